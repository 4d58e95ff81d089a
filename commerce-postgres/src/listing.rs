//! Products as they are shown: the detail view, lists and search.

use std::collections::BTreeMap;

use commerce_core::{
    catalog::{Product, ProductFilter, ProductKey, ProductSort, ProductView, SearchTerms, Variant},
    page::{Listed, Position, Slice, SortKey},
    store::{Claim, StoreError},
};
use serde::Deserialize;
use sqlx::{Column as _, FromRow, Row as _, TypeInfo as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    catalog::{PRODUCT, ProductRow, VariantRow, product},
    codec::Document,
    connect::{Direction, Reader, Sorted, Sql},
};

// PostgreSQL refuses lexemes from 2 KB on; nobody types as much.
const LONGEST_WORD: usize = 1_000;

/// The words a product is found by, as the text form of a `tsvector`: each word once, at position 1 with weight A if it is in
/// the title, 2 with B if it is a keyword, 3 with C if it is in the description.
pub(crate) fn document(product: &Product) -> Document {
    let found_by = product.search_document();
    let mut words: BTreeMap<&str, [bool; 3]> = BTreeMap::new();
    for (i, text) in [&found_by.title, &found_by.keywords, &found_by.body].into_iter().enumerate() {
        for word in text.split_whitespace() {
            words.entry(cut(word)).or_default()[i] = true;
        }
    }
    let lexemes = words.iter().map(|(word, places)| {
        let positions = places.iter().zip(["1A", "2B", "3C"]).filter(|(there, _)| **there).map(|(_, position)| position);
        format!("'{word}':{}", positions.collect::<Vec<_>>().join(","))
    });
    Document(lexemes.collect::<Vec<_>>().join(" "))
}

// Words are ASCII letters and digits (see `SearchTerms`), so they need no quoting and can be cut anywhere.
fn cut(word: &str) -> &str {
    word.get(..LONGEST_WORD).unwrap_or(word)
}

/// All words, each the beginning of a word with one of these weights.
fn all_words(terms: &SearchTerms, weights: &str) -> String {
    let words: Vec<String> = terms.words().iter().map(|word| format!("'{}':*{weights}", cut(word))).collect();
    words.join(" & ")
}

/// A variant as shown: with what is available.
#[derive(Debug, Deserialize)]
struct ShownVariant {
    #[serde(flatten)]
    row: VariantRow,
    available: i64,
}

struct ViewRow {
    product: ProductRow,
    categories: Vec<Uuid>,
    variants: Vec<ShownVariant>,
    rating_sum: i64,
    rating_count: i64,
}

impl<'r> FromRow<'r, PgRow> for ViewRow {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let Json(variants) = row.try_get("variants")?;
        Ok(Self {
            product: ProductRow::from_row(row)?,
            categories: row.try_get("category_ids")?,
            variants,
            rating_sum: row.try_get("rating_sum")?,
            rating_count: row.try_get("rating_count")?,
        })
    }
}

impl From<ViewRow> for ProductView {
    fn from(row: ViewRow) -> Self {
        let (variants, available): (Vec<Variant>, Vec<i64>) =
            row.variants.into_iter().map(|shown| (Variant::from(shown.row), shown.available)).unzip();
        Self {
            product: product(row.product, row.categories, variants),
            available,
            rating_sum: row.rating_sum,
            rating_count: row.rating_count,
        }
    }
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
    fn position(&self) -> Position {
        Position { key: self.key.clone(), id: self.view.product.id }
    }
}

const SHOWN: &str = "coalesce(r.sum, 0) AS rating_sum, coalesce(r.count, 0) AS rating_count, \
                     coalesce((SELECT json_agg(x ORDER BY x.position, x.id) FROM ( \
                         SELECT v.*, coalesce(s.on_hand - s.reserved, 0) AS available FROM commerce_variant v \
                         LEFT JOIN commerce_stock s ON s.variant_id = v.id WHERE v.product_id = p.id AND NOT v.retired) x), '[]') \
                     AS variants";

pub(crate) async fn view(reader: &Reader, key: &ProductKey) -> Result<Option<ProductView>, StoreError> {
    let mut sql = Sql::new(format!(
        "SELECT {PRODUCT}, p.description, {SHOWN} FROM commerce_product p LEFT JOIN commerce_rating r ON r.product_id = p.id WHERE p.id = "
    ));
    match key {
        ProductKey::Id(id) => sql.bind(id.0),
        ProductKey::Slug(slug) => {
            let claim = Claim::product_slug(slug);
            sql.push("(SELECT owner FROM commerce_claim WHERE kind = ").bind(claim.kind.as_str());
            sql.push(" AND key = ").bind(claim.key).push(")")
        }
    };
    Ok(reader.optional::<ViewRow>(&sql).await?.map(Into::into))
}

/// One statement finds the page by the narrow columns that filters and sorts need, and shows only the products on it.
pub(crate) async fn list(reader: &Reader, filter: &ProductFilter, slice: &Slice) -> Result<Listed<ProductView>, StoreError> {
    let (key, id, direction) = match filter.sort {
        ProductSort::Newest => ("p.created_at", "p.id", Direction::Falling),
        ProductSort::PriceAscending => ("p.min_price", "p.id", Direction::Rising),
        ProductSort::PriceDescending => ("p.min_price", "p.id", Direction::Falling),
        ProductSort::Title => ("p.title_key", "p.id", Direction::Rising),
        ProductSort::Rating => ("r.average", "r.product_id", Direction::Falling),
        ProductSort::Relevance => ("p.score", "p.id", Direction::Falling),
    };
    let from = from(filter);
    let mut page = from.prefixed(&format!("SELECT p.id, {key} AS sort_key"));
    page.page(key, id, direction, slice);
    let order = if matches!(direction, Direction::Rising) { "ASC" } else { "DESC" };
    let mut sql = page.prefixed("WITH page AS MATERIALIZED (");
    sql.push(&format!(
        ") SELECT page.sort_key, {PRODUCT}, '' AS description, {SHOWN} FROM page JOIN commerce_product p ON p.id = page.id \
         LEFT JOIN commerce_rating r ON r.product_id = p.id ORDER BY page.sort_key {order}, p.id {order}"
    ));
    reader.page::<PageRow, ProductView>(&sql, &from, slice).await
}

/// What the filter lets through: ` FROM … WHERE …`.
fn from(filter: &ProductFilter) -> Sql {
    let mut sql = Sql::new(" FROM ");
    match &filter.search {
        Some(terms) => {
            sql.push("(SELECT p.*, CASE WHEN p.document @@ ").bind(all_words(terms, "A"));
            sql.push("::tsquery THEN 3::bigint WHEN p.document @@ ").bind(all_words(terms, "AB"));
            sql.push("::tsquery THEN 2 ELSE 1 END AS score FROM commerce_product p WHERE p.document @@ ").bind(all_words(terms, ""));
            sql.push("::tsquery) p");
        }
        None if filter.sort == ProductSort::Relevance => {
            sql.push("(SELECT p.*, 1::bigint AS score FROM commerce_product p) p");
        }
        None => {
            sql.push("commerce_product p");
        }
    }
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
        sql.push(" AND EXISTS (SELECT 1 FROM commerce_product_category m WHERE m.product_id = p.id AND m.category_id = ANY(");
        sql.bind(ids).push("))");
    }
    price(filter, &mut sql);
    if let Some(in_stock) = filter.in_stock {
        let not = if in_stock { "" } else { "NOT " };
        sql.push(&format!(
            " AND {not}EXISTS (SELECT 1 FROM commerce_variant v JOIN commerce_stock s ON s.variant_id = v.id \
             WHERE v.product_id = p.id AND NOT v.retired AND s.in_stock)"
        ));
    }
    sql.and("r.average >=", filter.min_rating);
    sql
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
