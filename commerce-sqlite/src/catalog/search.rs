//! Full-text search, as [`SearchTerms`] defines it.
//!
//! A prefix becomes the words it begins, whose lists FTS5 reads lazily and in rowid order. Scores are searched one after the
//! other, best first, each newest first: so the first page of a common word costs no more than that of a rare one.

use commerce_core::{
    catalog::{ProductFilter, ProductStatus, SearchTerms},
    page::{PageSpec, SortKey},
    store::StoreError,
};

use super::{
    list::{Walk, all_of_statuses, has_residual, residual, rowid_of},
    write::category_token,
};
use crate::{SqliteStore, sql::Sql};

/// Up to so many words a prefix is taken apart; beyond, FTS5 merges their lists itself.
const WORDS: u8 = 64;

/// From so many matches on, a sorted search walks the sort's index and looks which products match, instead of sorting them.
const MANY: i64 = 2000;

/// FTS5 expressions, by score.
pub(super) struct Matches {
    facets: String,
    title: String,
    keywords: String,
    anywhere: String,
}

impl Matches {
    /// `None` if some word begins no word of any product.
    pub(super) async fn expand(
        store: &SqliteStore,
        terms: &SearchTerms,
        filter: &ProductFilter,
    ) -> Result<Option<Self>, StoreError> {
        let mut sql = Sql::new("SELECT json_array(");
        for (n, word) in terms.words().iter().enumerate() {
            sql.push(if n == 0 { "" } else { ", " });
            // '~' comes after all letters and digits.
            sql.push("(SELECT json_group_array(word) FROM (SELECT word FROM commerce_search_word WHERE word >= ? ");
            sql.push("AND word < ? LIMIT ?))").bind(word.clone()).bind(format!("{word}~")).bind(i64::from(WORDS) + 1);
        }
        sql.push(")");
        let expanded: Vec<Vec<String>> = store.optional(sql).await?.unwrap_or_default();
        if expanded.iter().any(Vec::is_empty) {
            return Ok(None);
        }
        let groups: Vec<String> = terms
            .words()
            .iter()
            .zip(&expanded)
            .map(|(word, words)| if words.len() > usize::from(WORDS) { format!("\"{word}\" *") } else { any_of(words) })
            .collect();
        let within = |columns: &str| {
            groups.iter().map(|group| format!("{{{columns}}} : ({group})")).collect::<Vec<_>>().join(" AND ")
        };
        Ok(Some(Self {
            facets: facets(filter),
            title: within("title"),
            keywords: within("title keywords"),
            anywhere: within("title keywords body"),
        }))
    }

    fn all(&self) -> String {
        format!("{}({})", self.facets, self.anywhere)
    }

    /// `SELECT score, product` of the page's products, best first.
    pub(super) fn by_relevance(&self, sql: &mut Sql, filter: &ProductFilter, spec: &PageSpec) {
        let tiers = [
            (3, format!("{}({})", self.facets, self.title)),
            (2, format!("({}({})) NOT ({})", self.facets, self.keywords, self.title)),
            (1, format!("({}({})) NOT ({})", self.facets, self.anywhere, self.keywords)),
        ];
        let from = match &spec.after {
            Some(position) => match position.key {
                SortKey::Int(score) => score,
                SortKey::Real(_) | SortKey::Text(_) => 0,
            },
            None => 3,
        };
        let limit = i64::from(spec.limit) + 1;
        sql.push("SELECT * FROM (");
        for (n, (score, expression)) in tiers.into_iter().filter(|(score, _)| *score <= from).enumerate() {
            sql.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            sql.push("SELECT ? AS score, s.rowid AS product FROM commerce_search s").bind(score);
            join_residual(sql, filter);
            sql.push(" WHERE s.commerce_search MATCH ?").bind(expression);
            if let Some(position) = spec.after.as_ref().filter(|_| score == from) {
                sql.push(" AND s.rowid < ");
                rowid_of(sql, position, true);
            }
            residual(sql, filter);
            sql.push(" ORDER BY s.rowid DESC LIMIT ?)").bind(limit);
        }
        sql.push(") LIMIT ?").bind(limit);
    }

    /// `SELECT 0 AS score, product` of the page's products, in another order than relevance.
    pub(super) fn sorted(&self, sql: &mut Sql, filter: &ProductFilter, spec: &PageSpec) {
        let walk = Walk::of(filter.sort);
        let limit = i64::from(spec.limit) + 1;
        sql.push("WITH few (are) AS MATERIALIZED (SELECT count(*) < ? FROM (SELECT 1 FROM commerce_search ");
        sql.push("WHERE commerce_search MATCH ? LIMIT ?)) ").bind(MANY).bind(self.all()).bind(MANY);
        sql.push("SELECT * FROM (SELECT 0 AS score, ").push(walk.key).push(", s.rowid AS product ");
        sql.push("FROM commerce_search s CROSS JOIN commerce_listing ");
        sql.push("ON commerce_listing.product = s.rowid AND category = x'' ");
        sql.push("WHERE (SELECT are FROM few) AND s.commerce_search MATCH ?").bind(self.all());
        walk.after(sql, spec);
        residual(sql, filter);
        walk.order(sql);
        sql.push(" LIMIT ?) UNION ALL SELECT * FROM (").bind(limit);
        all_of_statuses(sql, &walk, filter, spec, &[], |sql| {
            sql.push(" AND NOT (SELECT are FROM few) AND EXISTS (SELECT 1 FROM commerce_search s ");
            sql.push("WHERE s.commerce_search MATCH ? AND s.rowid = commerce_listing.product)").bind(self.all());
        });
        sql.push(")");
    }

    pub(super) fn total<'a>(&self, sql: &'a mut Sql, filter: &ProductFilter) -> &'a mut Sql {
        sql.push("(SELECT count(*) FROM commerce_search s");
        join_residual(sql, filter);
        sql.push(" WHERE s.commerce_search MATCH ?").bind(self.all());
        residual(sql, filter);
        sql.push(")")
    }
}

/// The known words that may be meant by each of these.
pub(super) async fn similar_words(store: &SqliteStore, words: &[String]) -> Result<Vec<Vec<String>>, StoreError> {
    let mut sql = Sql::new("SELECT json_array(");
    for (n, word) in words.iter().enumerate() {
        let (initial, length) = (&word[..1], i64::try_from(word.len()).map_err(StoreError::bug)?);
        let typos = i64::try_from(SearchTerms::TYPOS).map_err(StoreError::bug)?;
        sql.push(if n == 0 { "" } else { ", " });
        sql.push("(SELECT json_group_array(word) FROM commerce_search_word WHERE word >= ? AND word < ? ");
        sql.push("AND length(word) BETWEEN ? AND ? AND word NOT GLOB '*[0-9]*' ");
        sql.push("AND NOT EXISTS (SELECT 1 FROM commerce_search_word WHERE word >= ? AND word < ?))");
        sql.bind(initial.to_owned()).bind(format!("{initial}~")).bind(length - typos).bind(length + typos);
        sql.bind(word.clone()).bind(format!("{word}~"));
    }
    sql.push(")");
    Ok(store.optional(sql).await?.unwrap_or_default())
}

fn join_residual(sql: &mut Sql, filter: &ProductFilter) {
    if has_residual(filter) {
        sql.push(" CROSS JOIN commerce_listing ON commerce_listing.product = s.rowid AND category = x''");
    }
}

/// Words are letters and digits only, so quoting them is enough.
fn any_of(words: &[String]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ")
}

/// Status and categories as part of the expression, so that the index narrows by them.
fn facets(filter: &ProductFilter) -> String {
    let group = |words: &[String]| format!("{{facets}} : ({}) AND ", any_of(words));
    let every = [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived];
    let statuses = if every.iter().all(|status| filter.statuses.contains(status)) {
        String::new()
    } else {
        group(&filter.statuses.iter().map(|status| status.as_str().to_owned()).collect::<Vec<_>>())
    };
    let categories = filter.categories.as_ref().map(|ids| {
        let tokens: Vec<_> = ids.iter().map(|id| category_token(id.0)).collect();
        group(&tokens)
    });
    statuses + &categories.unwrap_or_default()
}
