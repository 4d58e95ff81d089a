//! Pages of products: a walk along the index of the sort, then the products of the page as one row of JSON.

use commerce_core::{
    catalog::{ProductFilter, ProductSort, ProductView},
    page::{Cursor, PageSpec, Rows, SortKey},
    store::StoreError,
};

use super::{search::Matches, view};
use crate::{
    SqliteStore,
    codec::Row,
    list::{FetchedRows, bind_key, listed},
    sql::Sql,
};

/// How a sort walks `commerce_listing`.
pub(super) struct Walk {
    index: &'static str,
    pub(super) key: &'static str,
    pub(super) falling: bool,
}

impl Walk {
    pub(super) const fn of(sort: ProductSort) -> Self {
        let (index, key, falling) = match sort {
            // Without words there is no relevance.
            ProductSort::Newest | ProductSort::Relevance => ("commerce_listing_newest", "created_at", true),
            ProductSort::PriceAscending => ("commerce_listing_price", "min_price", false),
            ProductSort::PriceDescending => ("commerce_listing_price", "min_price", true),
            ProductSort::Title => ("commerce_listing_title", "title_sort", false),
            ProductSort::Rating => ("commerce_listing_rating", "rating", true),
        };
        Self { index, key, falling }
    }

    pub(super) fn order(&self, sql: &mut Sql) {
        let way = if self.falling { " DESC" } else { "" };
        sql.push(" ORDER BY ").push(self.key).push(way).push(", product").push(way);
    }

    /// Only what comes after a position.
    pub(super) fn after(&self, sql: &mut Sql, spec: &PageSpec) {
        let Some(position) = &spec.after else { return };
        sql.push(" AND (").push(self.key).push(if self.falling { ", product) < (?, " } else { ", product) > (?, " });
        bind_key(sql, &position.key);
        rowid_of(sql, position, self.falling);
        sql.push(")");
    }
}

/// The rowid of the product that a position names or, if it has been purged, of its neighbour before it in the list.
pub(super) fn rowid_of(sql: &mut Sql, position: &Cursor, falling: bool) {
    sql.push(if falling {
        "coalesce((SELECT n FROM commerce_product WHERE id >= ? ORDER BY id LIMIT 1), 9223372036854775807)"
    } else {
        "coalesce((SELECT n FROM commerce_product WHERE id <= ? ORDER BY id DESC LIMIT 1), -1)"
    });
    sql.bind(position.id);
}

/// More walks than this at once are not worth it: see [`one_walk`].
const WALKS: usize = 64;

pub(super) async fn list_products(
    store: &SqliteStore,
    filter: &ProductFilter,
    spec: &PageSpec,
) -> Result<Rows<ProductView>, StoreError> {
    let nothing = FetchedRows { items: Vec::new(), total: spec.count.then_some(0) };
    if filter.categories.as_ref().is_some_and(Vec::is_empty) {
        return Ok(listed(nothing, spec, sort_key(filter.sort)));
    }
    let matches = match &filter.search {
        None => None,
        Some(terms) => match Matches::expand(store, terms, filter).await? {
            None => return Ok(listed(nothing, spec, sort_key(filter.sort))),
            some => some,
        },
    };
    let mut sql = Sql::new("SELECT json_array(");
    match (&matches, spec.count) {
        (_, false) => sql.push("NULL"),
        (None, true) => total(&mut sql, filter),
        (Some(matches), true) => matches.total(&mut sql, filter),
    };
    // The page's rows come sorted, and a join with a primary key keeps their order.
    sql.push(", json_group_array(json_array(").push(&view("''")).push(", page.score))) FROM (");
    match &matches {
        None => browse(&mut sql, filter, spec),
        Some(matches) if filter.sort == ProductSort::Relevance => matches.by_relevance(&mut sql, filter, spec),
        Some(matches) => matches.sorted(&mut sql, filter, spec),
    }
    sql.push(") page CROSS JOIN commerce_product p ON p.n = page.product");
    let (total, items): (Option<u64>, Vec<(Row<ProductView>, i64)>) =
        store.optional(sql).await?.ok_or_else(|| StoreError::bug("an aggregate without a row"))?;
    let items = items.into_iter().map(|(row, score)| (row.0, score)).collect();
    let page = listed(FetchedRows { items, total }, spec, |(product, score)| match (&matches, filter.sort) {
        (Some(_), ProductSort::Relevance) => (SortKey::Int(*score), product.product.id.0),
        _ => sort_key(filter.sort)(product),
    });
    Ok(Rows { items: page.items.into_iter().map(|(view, _)| view).collect(), next: page.next, total: page.total })
}

fn sort_key(sort: ProductSort) -> impl Fn(&ProductView) -> (SortKey, uuid::Uuid) {
    move |view| {
        let product = &view.product;
        let key = match sort {
            ProductSort::Newest | ProductSort::Relevance => SortKey::Int(product.created_at.as_micros()),
            ProductSort::PriceAscending | ProductSort::PriceDescending => SortKey::Int(product.min_price()),
            ProductSort::Title => SortKey::Text(product.title_sort_key()),
            ProductSort::Rating => SortKey::Real(view.rating_average()),
        };
        (key, product.id.0)
    }
}

/// `SELECT 0 AS score, product` of the page's products, sorted.
fn browse(sql: &mut Sql, filter: &ProductFilter, spec: &PageSpec) {
    let walk = Walk::of(filter.sort);
    let categories = filter.categories.as_deref().unwrap_or_default();
    let limit = i64::from(spec.limit) + 1;
    let walks = categories.len().max(1) * filter.statuses.len();
    if walks == 1 || walks > WALKS {
        one_walk(sql, &walk, filter, spec, |sql| {
            if categories.len() > 1 {
                sql.push(" AND EXISTS (SELECT 1 FROM commerce_listing c WHERE c.product = commerce_listing.product");
                sql.push(" AND c.category IN (").marks(categories.len()).push("))");
                for category in categories {
                    sql.bind(category.0);
                }
            }
        });
        return;
    }
    // The first of a union are among the firsts of its parts: one short walk for each category and status.
    sql.push("SELECT DISTINCT 0 AS score, ").push(walk.key).push(", product FROM (");
    let mut first = true;
    for status in &filter.statuses {
        let categories = filter
            .categories
            .as_ref()
            .map_or_else(|| vec![Vec::new()], |ids| ids.iter().map(|id| id.0.as_bytes().to_vec()).collect());
        for category in categories {
            sql.push(if first { "" } else { " UNION ALL " }).push("SELECT * FROM (");
            first = false;
            begin_walk(sql, &walk);
            sql.push(" WHERE category = ? AND status = ?").bind(category).bind(status.as_str());
            walk.after(sql, spec);
            residual(sql, filter);
            walk.order(sql);
            sql.push(" LIMIT ?)").bind(limit);
        }
    }
    sql.push(")");
    walk.order(sql);
    sql.push(" LIMIT ?").bind(limit);
}

/// A single walk. With more than one category it goes along all products and looks whether each is in any of them: many
/// categories hold many products. With one it goes along that category.
fn one_walk(sql: &mut Sql, walk: &Walk, filter: &ProductFilter, spec: &PageSpec, also: impl Fn(&mut Sql)) {
    let category = match filter.categories.as_deref() {
        Some([one]) => one.0.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    all_of_statuses(sql, walk, filter, spec, &category, also);
}

/// Products of a category (or of none) in sort order. Several statuses are merged from one walk each.
pub(super) fn all_of_statuses(
    sql: &mut Sql,
    walk: &Walk,
    filter: &ProductFilter,
    spec: &PageSpec,
    category: &[u8],
    also: impl Fn(&mut Sql),
) {
    let limit = i64::from(spec.limit) + 1;
    sql.push("SELECT 0 AS score, ").push(walk.key).push(", product FROM (");
    for (n, status) in filter.statuses.iter().enumerate() {
        sql.push(if n == 0 { "" } else { " UNION ALL " }).push("SELECT * FROM (");
        begin_walk(sql, walk);
        sql.push(" WHERE category = ? AND status = ?").bind(category.to_vec()).bind(status.as_str());
        walk.after(sql, spec);
        residual(sql, filter);
        also(sql);
        walk.order(sql);
        sql.push(" LIMIT ?)").bind(limit);
    }
    sql.push(")");
    walk.order(sql);
    sql.push(" LIMIT ?").bind(limit);
}

fn begin_walk(sql: &mut Sql, walk: &Walk) {
    sql.push("SELECT ").push(walk.key).push(", product FROM commerce_listing INDEXED BY ").push(walk.index);
}

/// To be continued by conditions on the variant `v`, and closed.
const PRICED: &str = "EXISTS (SELECT 1 FROM commerce_variant v WHERE v.product = commerce_listing.product \
    AND NOT v.retired";

/// Filters that no index begins with; all walks' indexes hold the columns.
pub(super) fn residual(sql: &mut Sql, filter: &ProductFilter) {
    if let Some(min) = filter.min_price {
        sql.push(" AND max_price >= ?").bind(min);
    }
    if let Some(max) = filter.max_price {
        sql.push(" AND min_price <= ?").bind(max);
    }
    if let (Some(min), Some(max)) = (filter.min_price, filter.max_price) {
        // Only products that straddle the range have to be looked at closely.
        sql.push(" AND (min_price >= ? OR max_price <= ? OR ").push(PRICED).push(" AND v.price BETWEEN ? AND ?))");
        sql.bind(min).bind(max).bind(min).bind(max);
    }
    if filter.min_price.is_some() || filter.max_price.is_some() {
        // A product without anything for sale is listed at 0, but costs nothing at all.
        sql.push(" AND (max_price > 0 OR ").push(PRICED).push("))");
    }
    if let Some(in_stock) = filter.in_stock {
        sql.push(" AND in_stock = ?").bind(in_stock);
    }
    if let Some(rating) = filter.min_rating {
        sql.push(" AND rating >= ?").bind(rating);
    }
}

pub(super) fn has_residual(filter: &ProductFilter) -> bool {
    filter.min_price.is_some() || filter.max_price.is_some() || filter.in_stock.is_some() || filter.min_rating.is_some()
}

fn total<'a>(sql: &'a mut Sql, filter: &ProductFilter) -> &'a mut Sql {
    sql.push("(SELECT count(DISTINCT product) FROM commerce_listing WHERE category IN (");
    match &filter.categories {
        None => {
            sql.push("x''");
        }
        Some(ids) => {
            sql.marks(ids.len());
            for id in ids {
                sql.bind(id.0);
            }
        }
    }
    sql.push(") AND status IN (").marks(filter.statuses.len()).push(")");
    for status in &filter.statuses {
        sql.bind(status.as_str());
    }
    residual(sql, filter);
    sql.push(")")
}
