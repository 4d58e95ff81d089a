//! Full-text search, as [`SearchTerms`] defines it.
//!
//! A prefix becomes the words it begins, whose lists FTS5 reads lazily and in rowid order. Scores are searched one after the
//! other, best first, each newest first: so the first page of a common word costs no more than that of a rare one.

use std::collections::BTreeMap;

use commerce_core::{
    catalog::{ProductFilter, ProductStatus, SearchField, SearchTerm, SearchTerms},
    page::{PageSpec, SortKey},
    store::StoreError,
};

use super::{
    list::{Walk, all_of_statuses, has_residual, residual, rowid_of},
    write::{WHOLE, category_token},
};
use crate::{SqliteStore, sql::Sql};

/// Up to so many words a prefix is taken apart; beyond, FTS5 merges their lists itself.
const WORDS: u8 = 64;

/// From so many matches on, a sorted search walks the sort's index and looks which products match, instead of sorting them.
const MANY: i64 = 2000;

/// FTS5 expressions of what is searched for.
pub(super) struct Matches {
    facets: String,
    /// What each score needs beside the facets, the best first.
    tiers: Vec<(i64, String)>,
    /// What any match needs.
    anywhere: String,
}

/// The known words that each asked word begins, in order; one more than [`WORDS`] if there are more.
type Known<'a> = BTreeMap<&'a str, Vec<String>>;

impl Matches {
    /// `None` if some word begins no word of any product.
    pub(super) async fn expand(
        store: &SqliteStore,
        terms: &SearchTerms,
        filter: &ProductFilter,
    ) -> Result<Option<Self>, StoreError> {
        let words = terms.words();
        let mut sql = Sql::new("SELECT json_array(");
        for (n, word) in words.iter().enumerate() {
            sql.push(if n == 0 { "" } else { ", " });
            sql.push("(SELECT json_group_array(word) FROM (SELECT word FROM commerce_search_word WHERE word >= ? ");
            sql.push("AND word < ? LIMIT ?))").bind((*word).to_owned()).bind(SearchTerms::end_of(word));
            sql.bind(i64::from(WORDS) + 1);
        }
        sql.push(")");
        let expanded: Vec<Vec<String>> = store.optional(sql).await?.unwrap_or_default();
        let known: Known<'_> = words.into_iter().zip(expanded).collect();
        let Some(anywhere) = every(terms, &known, SearchField::Anywhere, false) else { return Ok(None) };
        // Each tier without those above it.
        let marked: Vec<String> = terms.whole().iter().map(|whole| format!("{WHOLE}{whole}")).collect();
        let whole = format!("({{whole}} : ({})) AND ({anywhere})", any_of(&marked));
        let mut tiers = vec![(SearchTerms::EXACT, whole.clone())];
        let mut better = vec![whole];
        for whole_words in [true, false] {
            let wider = better.len();
            for field in SearchField::ALL {
                let Some(tier) = every(terms, &known, field, whole_words) else { continue };
                let others = better.iter().map(|better| format!("({better})")).collect::<Vec<_>>().join(" OR ");
                tiers.push((SearchTerms::score(field, whole_words), format!("({tier}) NOT ({others})")));
                // What is found in the title is found in the fields after it.
                better.truncate(wider);
                better.push(tier);
            }
        }
        Ok(Some(Self { facets: facets(filter), tiers, anywhere }))
    }

    fn all(&self) -> String {
        format!("{}({})", self.facets, self.anywhere)
    }

    /// `SELECT score, product` of the page's products, best first.
    pub(super) fn by_relevance(&self, sql: &mut Sql, filter: &ProductFilter, spec: &PageSpec) {
        let from = match &spec.after {
            Some(position) => match position.key {
                SortKey::Int(score) => score,
                SortKey::Real(_) | SortKey::Text(_) => 0,
            },
            None => SearchTerms::EXACT,
        };
        let limit = i64::from(spec.limit) + 1;
        sql.push("SELECT * FROM (");
        for (n, (score, tier)) in self.tiers.iter().filter(|(score, _)| *score <= from).enumerate() {
            sql.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            sql.push("SELECT ? AS score, s.rowid AS product FROM commerce_search s").bind(*score);
            join_residual(sql, filter);
            sql.push(" WHERE s.commerce_search MATCH ?").bind(format!("{}({tier})", self.facets));
            if let Some(position) = spec.after.as_ref().filter(|_| *score == from) {
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
        let initial: String = word.chars().take(1).collect();
        let length = i64::try_from(word.chars().count()).map_err(StoreError::bug)?;
        let typos = i64::try_from(SearchTerms::TYPOS).map_err(StoreError::bug)?;
        sql.push(if n == 0 { "" } else { ", " });
        sql.push("(SELECT json_group_array(word) FROM commerce_search_word WHERE word >= ? AND word < ? ");
        sql.push("AND length(word) BETWEEN ? AND ? AND word NOT GLOB '*[0-9]*' ");
        sql.push("AND NOT EXISTS (SELECT 1 FROM commerce_search_word WHERE word >= ? AND word < ?))");
        let end = SearchTerms::end_of(&initial);
        sql.bind(initial).bind(end).bind(length - typos).bind(length + typos);
        sql.bind(word.clone()).bind(SearchTerms::end_of(word));
    }
    sql.push(")");
    Ok(store.optional(sql).await?.unwrap_or_default())
}

fn join_residual(sql: &mut Sql, filter: &ProductFilter) {
    if has_residual(filter) {
        sql.push(" CROSS JOIN commerce_listing ON commerce_listing.product = s.rowid AND category = x''");
    }
}

/// All words met in a field, as whole words or by beginnings. `None` if no product can: some word is unknown.
fn every(terms: &SearchTerms, known: &Known<'_>, field: SearchField, whole_words: bool) -> Option<String> {
    let columns = match field {
        SearchField::Title => "title",
        SearchField::Keywords => "title keywords",
        SearchField::Anywhere => "title keywords body",
    };
    let met = |word: &String| {
        let begun = known.get(word.as_str()).filter(|begun| !begun.is_empty())?;
        match (whole_words, begun.len() > usize::from(WORDS)) {
            (true, _) => begun.contains(word).then(|| format!("\"{word}\"")),
            (false, true) => Some(format!("\"{word}\" *")),
            (false, false) => Some(any_of(begun)),
        }
    };
    let way = |way: &Vec<String>| {
        let words: Option<Vec<_>> = way.iter().map(|word| Some(format!("{{{columns}}} : ({})", met(word)?))).collect();
        Some(format!("({})", words?.join(" AND ")))
    };
    let term = |term: &SearchTerm| {
        let ways: Vec<_> = term.ways().iter().filter_map(way).collect();
        (!ways.is_empty()).then(|| format!("({})", ways.join(" OR ")))
    };
    let terms: Option<Vec<_>> = terms.terms().iter().map(term).collect();
    Some(terms?.join(" AND "))
}

/// Words hold neither quotes nor blanks, so quoting them is enough.
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
