//! Lists of products, and search.

use commerce_core::{
    catalog::{ProductFilter, ProductSort, ProductView, SearchField, SearchTerm, SearchTerms},
    id::CategoryId,
    page::{Cursor, PageSpec, Rows, SortKey},
    store::StoreError,
};
use sqlx::{Column as _, FromRow, Row as _, TypeInfo as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    page::{Direction, Sorted},
    product_row::PRODUCT,
    product_view::{ViewRow, fill, select},
    reads::Reader,
    search_words::{WHOLE, mark},
    sql::Sql,
};

/// The known words that may be meant by each of these.
pub(crate) async fn similar_words(reader: &Reader, words: &[String]) -> Result<Vec<Vec<String>>, StoreError> {
    let initial = |word: &String| word.chars().take(1).collect::<String>();
    let ends =
        |of: &dyn Fn(&String) -> String| words.iter().map(|word| SearchTerms::end_of(&of(word))).collect::<Vec<_>>();
    let mut sql = Sql::new("SELECT coalesce(array_agg(k.word) FILTER (WHERE k.word IS NOT NULL), '{}') FROM unnest(");
    sql.bind(words.to_vec()).push("::text[], ").bind(ends(&initial)).push("::text[], ").bind(ends(&String::clone));
    sql.push(&format!(
        "::text[]) WITH ORDINALITY AS w (word, end_of_initial, end_of_word, n) LEFT JOIN commerce_search_word k \
         ON k.word >= left(w.word, 1) AND k.word < w.end_of_initial AND k.word !~ '[0-9]' \
         AND abs(length(k.word) - length(w.word)) <= {} \
         AND NOT EXISTS (SELECT 1 FROM commerce_search_word b WHERE b.word >= w.word AND b.word < w.end_of_word) \
         GROUP BY w.n ORDER BY w.n",
        SearchTerms::TYPOS
    ));
    let rows: Vec<(Vec<String>,)> = reader.all(&sql).await?;
    Ok(rows.into_iter().map(|(words,)| words).collect())
}

/// All words met in a field, as whole words or by beginnings. Words hold neither quotes nor backslashes.
fn met(terms: &SearchTerms, field: SearchField, whole_words: bool) -> String {
    let (mark, end) = (mark(field), if whole_words { "" } else { ":*" });
    let way = |way: &Vec<String>| {
        let words: Vec<String> = way.iter().map(|word| format!("'{mark}{word}'{end}")).collect();
        words.join(" & ")
    };
    let term = |term: &SearchTerm| {
        let ways: Vec<String> = term.ways().iter().map(way).collect();
        format!("({})", ways.join(" | "))
    };
    terms.terms().iter().map(term).collect::<Vec<_>>().join(" & ")
}

/// What any match needs.
fn anywhere(terms: &SearchTerms) -> String {
    met(terms, SearchField::Anywhere, false)
}

/// What each score needs, the best first. A product has the best score whose needs it meets.
fn tiers(terms: &SearchTerms) -> Vec<(i64, String)> {
    let whole: Vec<String> = terms.whole().iter().map(|whole| format!("'{WHOLE}{whole}'")).collect();
    let mut tiers = vec![(SearchTerms::EXACT, format!("({}) & {}", whole.join(" | "), anywhere(terms)))];
    for whole_words in [true, false] {
        let of = |field| (SearchTerms::score(field, whole_words), met(terms, field, whole_words));
        tiers.extend(SearchField::ALL.map(of));
    }
    tiers
}

/// A row of a list, with what it is sorted by.
struct PageRow {
    view: ViewRow,
    key: SortKey,
}

impl<'r> FromRow<'r, PgRow> for PageRow {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let key = match row.column("sort_key").type_info().name() {
            "TEXT" => SortKey::Text(row.try_get("sort_key")?),
            "FLOAT8" => SortKey::Real(row.try_get("sort_key")?),
            _ => SortKey::Int(row.try_get("sort_key")?),
        };
        Ok(Self { view: ViewRow::from_row(row)?, key })
    }
}

impl From<PageRow> for ProductView {
    fn from(row: PageRow) -> Self {
        row.view.into()
    }
}

impl Sorted for PageRow {
    fn position(&self) -> Cursor {
        Cursor { key: self.key.clone(), id: self.view.product.id }
    }
}

/// The products of which some is available.
const AVAILABLE: &str = "SELECT v.product_id FROM commerce_variant v JOIN commerce_stock s ON s.variant_id = v.id \
                         WHERE NOT v.retired AND s.in_stock";

pub(crate) async fn list(
    reader: &Reader,
    filter: &ProductFilter,
    spec: &PageSpec,
) -> Result<Rows<ProductView>, StoreError> {
    let rows = match filter.in_stock {
        Some(wanted) if reader.is_distributed().await? => walk(reader, filter, wanted, spec).await?,
        _ => rows(reader, filter, spec).await?,
    };
    reader.page(rows, &matching(filter), spec).await
}

/// A list is walked in steps that double up to this many products.
const LONGEST_STEP: u32 = 2_000;

/// Distributed, the order of the catalogue and the stock are on different nodes: to join them, all that is in stock would have
/// to be gathered for each page. So the list is walked without that filter until enough of what is wanted came by.
async fn walk(
    reader: &Reader,
    filter: &ProductFilter,
    in_stock: bool,
    spec: &PageSpec,
) -> Result<Vec<PageRow>, StoreError> {
    let filter = ProductFilter { in_stock: None, ..filter.clone() };
    let mut step = PageSpec { limit: spec.limit.saturating_mul(2).min(LONGEST_STEP), count: false, ..spec.clone() };
    let mut found = Vec::new();
    loop {
        let seen = rows(reader, &filter, &step).await?;
        let more = seen.len() > step.limit as usize;
        step.after = seen.last().map(Sorted::position);
        found.extend(seen.into_iter().filter(|row| row.view.in_stock() == in_stock));
        if !more || found.len() > spec.limit as usize {
            return Ok(found);
        }
        step.limit = step.limit.saturating_mul(2).min(LONGEST_STEP);
    }
}

/// One statement finds the page by the narrow columns that filters and sorts need, and shows only the products on it, and one
/// more.
async fn rows(reader: &Reader, filter: &ProductFilter, spec: &PageSpec) -> Result<Vec<PageRow>, StoreError> {
    let (key, id, direction) = match filter.sort {
        ProductSort::Newest => ("p.created_at", "p.id", Direction::Falling),
        ProductSort::PriceAscending => ("p.min_price", "p.id", Direction::Rising),
        ProductSort::PriceDescending => ("p.min_price", "p.id", Direction::Falling),
        ProductSort::Title => ("p.title_sort", "p.id", Direction::Rising),
        ProductSort::Rating => ("r.average", "r.product_id", Direction::Falling),
        ProductSort::Relevance => ("score", "p.id", Direction::Falling),
    };
    let order = Order { key, id, direction };
    let page = match (&filter.search, &filter.categories) {
        (Some(terms), _) if filter.sort == ProductSort::Relevance => best_matches(filter, terms, spec),
        (Some(terms), _) => found(filter, terms, order, spec),
        (None, _) if filter.sort == ProductSort::Relevance => all_alike(filter, spec),
        (None, Some(categories)) => of_categories(filter, categories, order, spec),
        (None, None) => {
            let mut page = matching(filter).prefixed(&format!("SELECT p.id, {key} AS sort_key"));
            page.page(key, id, direction, spec);
            page
        }
    };
    let mut sql = page.prefixed("WITH page AS MATERIALIZED (");
    let (order, shown) = (direction.sql(), select(reader).await?);
    sql.push(&format!(
        ") SELECT page.sort_key, {PRODUCT}, '' AS description, {shown} FROM page JOIN commerce_product p ON p.id = page.id \
         LEFT JOIN commerce_rating r ON r.product_id = p.id ORDER BY page.sort_key {order}, p.id {order}"
    ));
    if filter.search.is_some() {
        sql.planned_anew();
    }
    let mut rows: Vec<PageRow> = reader.all(&sql).await?;
    fill(reader, rows.iter_mut().flat_map(|row| row.view.stock())).await?;
    Ok(rows)
}

/// What lists are filtered and sorted by.
const NARROW: &str = "status, created_at, title_sort, min_price, max_price";

/// What a list is sorted by.
#[derive(Clone, Copy)]
struct Order<'a> {
    key: &'a str,
    id: &'a str,
    direction: Direction,
}

/// Up to this many matches are sorted; where there are more, walking the list in its order soon finds a page of them. How many
/// there are is counted, as estimates for beginnings of words are often wrong by orders of magnitude.
const FEW: u32 = 2_000;

/// Adds up to [`FEW`] matches and one, by the index of words, with what they are filtered and sorted by: `m<score>`. None if
/// the gate, a condition on what was found before, is closed.
fn matches(sql: &mut Sql, tier: &str, score: i64, gate: &str) {
    sql.push(&format!("m{score} AS MATERIALIZED (SELECT {NARROW}, id, document FROM commerce_product WHERE {gate}"));
    sql.push(" AND document @@ ").bind(tier.to_owned()).push(&format!("::tsquery LIMIT {}), ", FEW + 1));
}

/// Begins a selection over the matches if they are few, or over all products in their order if they are many.
fn over_matches(sql: &mut Sql, filter: &ProductFilter, tier: &str, score: i64, few: bool) {
    let (from, than) = if few { (format!("m{score}"), "<=") } else { ("commerce_product".to_owned(), ">") };
    sql.push(&format!(" FROM {from} p"));
    conditions(filter, sql);
    sql.push(&format!(" AND (SELECT count(*) FROM m{score}) {than} {FEW}"));
    if !few {
        // The function behind the operator @@: the planner knows no index for it.
        sql.push(" AND ts_match_vq(p.document, ").bind(tier.to_owned()).push("::tsquery)");
    }
}

/// All words match, sorted by something else than how well.
fn found(filter: &ProductFilter, terms: &SearchTerms, order: Order<'_>, spec: &PageSpec) -> Sql {
    let Order { key, id, direction } = order;
    let select = format!("SELECT p.id, {key} AS sort_key");
    let mut sql = Sql::new("WITH ");
    let tier = anywhere(terms);
    matches(&mut sql, &tier, 1, "TRUE");
    for (name, few) in [("few", true), ("many", false)] {
        sql.push(&format!("{name} AS MATERIALIZED ({select}"));
        over_matches(&mut sql, filter, &tier, 1, few);
        sql.page(key, id, direction, spec).push(if few { "), " } else { ") " });
    }
    sql.push("SELECT id, sort_key FROM few UNION ALL SELECT id, sort_key FROM many");
    sql
}

/// So many of the newest products are looked through before the index of words is asked, which for a common word gives many
/// thousand matches where a page needs twenty.
const NEWEST: u32 = 1_000;

/// Adds the matches among the newest products, or the newest before `last`, each with its score.
fn newest(sql: &mut Sql, name: &str, filter: &ProductFilter, terms: &SearchTerms, last: Option<Uuid>) {
    sql.push(&format!("{name} AS MATERIALIZED (SELECT p.id, CASE"));
    let tiers = tiers(terms);
    for (score, tier) in &tiers[..tiers.len() - 1] {
        sql.push(" WHEN ts_match_vq(p.document, ").bind(tier.clone()).push(&format!("::tsquery) THEN {score}"));
    }
    sql.push(&format!(" ELSE 1 END AS score FROM (SELECT {NARROW}, id, document FROM commerce_product WHERE TRUE"));
    sql.and("id <", last).push(&format!(" ORDER BY id DESC LIMIT {NEWEST}) p"));
    conditions(filter, sql);
    sql.push(" AND ts_match_vq(p.document, ").bind(anywhere(terms)).push("::tsquery)), ");
}

/// Score by score, the best first; a lower one is looked for only if the higher ones don't fill the page.
fn best_matches(filter: &ProductFilter, terms: &SearchTerms, spec: &PageSpec) -> Sql {
    let rows = spec.limit + 1;
    let (after, last) = match &spec.after {
        Some(Cursor { key: SortKey::Int(after), id }) => (*after, Some(*id)),
        _ => (i64::MAX, None),
    };
    let mut sql = Sql::new("WITH ");
    newest(&mut sql, "newest", filter, terms, None);
    if last.is_some() {
        newest(&mut sql, "next", filter, terms, last);
    }
    // Tiers that come before the position are over.
    let tiers: Vec<(i64, String)> = tiers(terms);
    let open = || tiers.iter().filter(|(score, _)| *score <= after);
    for (n, (score, tier)) in open().enumerate() {
        let found: Vec<String> = open().take(n).map(|(score, _)| format!("(SELECT count(*) FROM t{score})")).collect();
        let gate = if found.is_empty() { "TRUE".to_owned() } else { format!("{} < {rows}", found.join(" + ")) };
        let (window, last) = if *score == after { ("next", last) } else { ("newest", None) };
        // The page's products of this score, among those that the selection begun gives.
        let better: Vec<&String> = tiers.iter().filter(|(other, _)| other > score).map(|(_, tier)| tier).collect();
        let page = |sql: &mut Sql| {
            if !better.is_empty() {
                let none: Vec<String> = better.iter().map(|tier| format!("!({tier})")).collect();
                sql.push(" AND ts_match_vq(p.document, ").bind(none.join(" & ")).push("::tsquery)");
            }
            sql.and("p.id <", last).push(&format!(" ORDER BY p.id DESC LIMIT {rows})"));
        };
        let index = format!("{gate} AND (SELECT count(*) FROM {window} WHERE score = {score}) < {rows}");
        matches(&mut sql, tier, *score, &index);
        sql.push(&format!("t{score} AS MATERIALIZED ((SELECT id FROM {window} WHERE score = {score} AND {gate}"));
        sql.push(&format!(" AND NOT ({index}) ORDER BY id DESC LIMIT {rows})"));
        for few in [true, false] {
            sql.push(" UNION ALL (SELECT p.id");
            over_matches(&mut sql, filter, tier, *score, few);
            sql.push(&format!(" AND {index}"));
            page(&mut sql);
        }
        sql.push(if *score > 1 { "), " } else { ") " });
    }
    let found: Vec<String> =
        open().map(|(score, _)| format!("SELECT id, {score}::bigint AS sort_key FROM t{score}")).collect();
    sql.push(&found.join(" UNION ALL ")).push(&format!(" ORDER BY sort_key DESC, id DESC LIMIT {rows}"));
    sql
}

/// Relevance without words: all match alike, the greatest id comes first.
fn all_alike(filter: &ProductFilter, spec: &PageSpec) -> Sql {
    let mut sql = matching(filter).prefixed("SELECT p.id, 1::bigint AS sort_key");
    if let Some(Cursor { id, .. }) = &spec.after {
        sql.push(" AND p.id < ").bind(*id);
    }
    sql.push(&format!(" ORDER BY p.id DESC LIMIT {}", spec.limit + 1));
    sql
}

/// The beginning of each category's list, merged: a product may be in several.
fn of_categories(filter: &ProductFilter, categories: &[CategoryId], order: Order<'_>, spec: &PageSpec) -> Sql {
    let Order { key, id, direction } = order;
    let ids: Vec<Uuid> = categories.iter().map(|category| category.0).collect();
    let mut sql = Sql::new("SELECT DISTINCT x.id, x.sort_key FROM unnest(");
    sql.bind(ids);
    sql.push(&format!(
        "::uuid[]) AS c (id) CROSS JOIN LATERAL (SELECT p.id, {key} AS sort_key FROM (SELECT product_id AS id, \
         category_id, {NARROW} FROM commerce_product_category) p"
    ));
    conditions(&ProductFilter { categories: None, ..filter.clone() }, &mut sql);
    sql.push(" AND p.category_id = c.id").page(key, id, direction, spec);
    sql.push(") x").order("x.sort_key", "x.id", direction, spec);
    sql
}

/// What the filter lets through: ` FROM … WHERE …`.
fn matching(filter: &ProductFilter) -> Sql {
    let mut sql = Sql::new(" FROM commerce_product p");
    conditions(filter, &mut sql);
    if let Some(terms) = &filter.search {
        sql.push(" AND p.document @@ ").bind(anywhere(terms)).push("::tsquery").planned_anew();
    }
    sql
}

/// All conditions but the words: ` JOIN … WHERE …`.
fn conditions(filter: &ProductFilter, sql: &mut Sql) {
    if filter.sort == ProductSort::Rating || filter.min_rating.is_some() {
        sql.push(" JOIN commerce_rating r ON r.product_id = p.id");
    }
    // Names of an enum, written out: the planner can then read the indexes that begin with the status in their order.
    let statuses: Vec<String> = filter.statuses.iter().map(|status| format!("'{}'", status.as_str())).collect();
    match &statuses[..] {
        [] => sql.push(" WHERE FALSE"),
        [one] => sql.push(&format!(" WHERE p.status = {one}")),
        many => sql.push(&format!(" WHERE p.status IN ({})", many.join(", "))),
    };
    if let Some(categories) = &filter.categories {
        let ids: Vec<Uuid> = categories.iter().map(|category| category.0).collect();
        sql.push(
            " AND EXISTS (SELECT 1 FROM commerce_product_category m WHERE m.product_id = p.id AND m.category_id = ANY(",
        );
        sql.bind(ids).push("))");
    }
    price(filter, sql);
    match filter.in_stock {
        Some(true) => sql.push(&format!(" AND p.id IN ({AVAILABLE})")),
        // OFFSET keeps the planner from looking at each product's variants one by one: most have some.
        Some(false) => {
            sql.push(&format!(" AND NOT EXISTS (SELECT 1 FROM ({AVAILABLE} OFFSET 0) a WHERE a.product_id = p.id)"))
        }
        None => sql,
    };
    sql.and("r.average >=", filter.min_rating);
}

/// One variant between the bounds. The product's own bounds say for most products that there is none.
fn price(filter: &ProductFilter, sql: &mut Sql) {
    if filter.min_price.is_none() && filter.max_price.is_none() {
        return;
    }
    sql.and("p.max_price >=", filter.min_price).and("p.min_price <=", filter.max_price);
    sql.push(" AND EXISTS (SELECT 1 FROM commerce_variant v WHERE v.product_id = p.id AND NOT v.retired");
    sql.and("v.price >=", filter.min_price).and("v.price <=", filter.max_price).push(")");
}
