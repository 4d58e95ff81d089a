//! Saving products, with all that finds them: listing rows, the search index, its words.

use std::collections::BTreeSet;

use commerce_core::{
    catalog::{CategoryTree, Product, ProductStatus},
    id::ProductId,
    store::{Aggregate as _, AggregateWrite, ExpectedVersion},
    text::look,
};
use uuid::Uuid;

use super::ANY_AVAILABLE;
use crate::{
    batch::Batch,
    child_rows::{children, remove},
    codec::json,
    head::{head_and, is_own},
    row::Entity as _,
};

pub(crate) fn save_product(batch: &mut Batch, save: &AggregateWrite<Product>) {
    if save.expected_version() == ExpectedVersion::Absent {
        insert_head(batch, save);
    } else {
        head_and(batch, save, &FURTHER, bind_further);
    }
    save_variants(batch, save);
    save_listing(batch, save.after());
    save_search(batch, save);
}

/// Lists are read without it, so it isn't a column like the others.
const FURTHER: [&str; 1] = ["description"];

fn bind_further(batch: &mut Batch, product: &Product) {
    batch.bind(product.description.clone());
}

/// How far apart rowids are kept, so that ids that come late find a place between their neighbours.
const GAP: i64 = 1024;

/// Finds the new product a rowid between those of the products whose ids are before and after its own. The first 63 bits of
/// the id would do, were it not for ids of the same millisecond. If there is no room, any rowid has to do: such a product
/// stands out of order among ties in search, and nowhere else.
fn insert_head(batch: &mut Batch, save: &AggregateWrite<Product>) {
    let product = save.after();
    batch.guards.heads.push((product.root(), ExpectedVersion::Absent));
    batch.guarded(1, "INSERT INTO commerce_product (n, id, version, ");
    let columns: Vec<&str> = Product::columns().into_iter().filter(|column| is_own(column)).chain(FURTHER).collect();
    batch.push(&columns.join(", "));
    batch.push(
        ") SELECT CASE WHEN above IS NULL THEN max(ideal, below + gap) \
         WHEN ideal > below AND ideal < above THEN ideal \
         WHEN above - below > 1 THEN below + (above - below) / 2 \
         ELSE (SELECT max(n) FROM commerce_product) + gap END, id, ",
    );
    batch.marks(columns.len() + 1);
    batch.push(
        " FROM (SELECT m.column1 AS id, m.column2 AS ideal, m.column3 AS gap, \
         coalesce((SELECT n FROM commerce_product WHERE id < m.column1 ORDER BY id DESC LIMIT 1), 0) AS below, \
         (SELECT n FROM commerce_product WHERE id > m.column1 ORDER BY id LIMIT 1) AS above FROM (VALUES (?, ?, ?)) m) \
         WHERE true ON CONFLICT (id) DO NOTHING",
    );
    batch.bind(product.version);
    product.bind_columns(batch, is_own);
    bind_further(batch, product);
    batch.bind(product.id.0).bind(ideal_rowid(product.id.0)).bind(GAP);
}

fn ideal_rowid(id: Uuid) -> i64 {
    i64::try_from(id.as_u64_pair().0 >> 1).unwrap_or(i64::MAX)
}

fn save_variants(batch: &mut Batch, save: &AggregateWrite<Product>) {
    let id = save.after().id.0;
    let variants = save.children(|product| &product.variants);
    if !variants.put.is_empty() {
        // The product's rowid isn't known here, so this can't be `children`, which writes plain VALUES.
        batch.statement(
            "INSERT OR REPLACE INTO commerce_variant (product, id, position, sku, title, options, price, currency, retired, \
             sku_key) \
             SELECT p.n, m.* FROM commerce_product p, (VALUES ",
        );
        batch.rows(variants.put.len(), 9).push(") m WHERE p.id = ?");
        for variant in &variants.put {
            batch.bind(variant.id.0).bind(variant.position).bind(variant.sku.clone()).bind(variant.title.clone());
            batch.bind(json(&variant.options)).bind(variant.price.minor).bind(variant.price.currency.code());
            batch.bind(variant.retired).bind(look(&variant.sku));
        }
        batch.bind(id);
    }
    remove(batch, "commerce_variant", variants.gone.into_iter().map(|id| id.0));
}

fn save_listing(batch: &mut Batch, product: &Product) {
    batch.statement("DELETE FROM commerce_listing WHERE product = (SELECT n FROM commerce_product WHERE id = ?)");
    batch.bind(product.id.0);
    if product.status == ProductStatus::Deleted {
        return;
    }
    let categories: BTreeSet<_> = product.category_ids.iter().collect();
    batch.statement(
        "INSERT INTO commerce_listing \
         (product, category, status, created_at, min_price, max_price, title_key, title_sort, rating, in_stock) \
         SELECT p.n, m.column1, p.status, p.created_at, m.column2, m.column3, m.column4, m.column5, \
         iif(p.rating_count = 0, 0.0, CAST(p.rating_sum AS REAL) / p.rating_count), 0 FROM commerce_product p, (VALUES ",
    );
    batch.rows(1 + categories.len(), 5).push(") m WHERE p.id = ?");
    for category in std::iter::once(Vec::new()).chain(categories.into_iter().map(|id| id.0.as_bytes().to_vec())) {
        batch.bind(category).bind(product.min_price()).bind(product.max_price());
        batch.bind(product.title_key()).bind(product.title_sort_key());
    }
    batch.bind(product.id.0);
    batch.statement(
        "UPDATE commerce_listing SET in_stock = 1 WHERE product = (SELECT n FROM commerce_product WHERE id = ?)",
    );
    batch.push(" AND ").push(ANY_AVAILABLE).bind(product.id.0);
}

/// The token that stands for a category in the search index.
pub(super) fn category_token(id: Uuid) -> String {
    format!("c{}", id.simple())
}

fn save_search(batch: &mut Batch, save: &AggregateWrite<Product>) {
    let product = save.after();
    if product.status == ProductStatus::Deleted {
        forget_search(batch, product.id);
        return;
    }
    let unchanged = |before: &Product| {
        (before.status, &before.category_ids) == (product.status, &product.category_ids)
            && before.search_document() == product.search_document()
    };
    if save.before().is_some_and(unchanged) {
        return;
    }
    index_words(batch, product);
}

/// Writes the words that a product is found by.
fn index_words(batch: &mut Batch, product: &Product) {
    let document = product.search_document();
    let mut facets = product.status.as_str().to_owned();
    for category in &product.category_ids {
        facets.push(' ');
        facets.push_str(&category_token(category.0));
    }
    batch
        .statement("INSERT INTO commerce_search_word SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING");
    batch.bind(json(&document.words()));
    batch.statement(
        "INSERT OR REPLACE INTO commerce_search (rowid, facets, whole, title, keywords, body) \
         SELECT n, ?, ?, ?, ?, ? FROM commerce_product WHERE id = ?",
    );
    batch
        .bind(facets)
        .bind(marked(&document.whole))
        .bind(document.title)
        .bind(document.keywords)
        .bind(document.body)
        .bind(product.id.0);
}

/// Makes anew what finds and sorts a product.
pub(crate) fn index_again(batch: &mut Batch, product: &Product) {
    batch.statement("UPDATE commerce_listing SET title_key = ?, title_sort = ? ");
    batch.push("WHERE product = (SELECT n FROM commerce_product WHERE id = ?)");
    batch.bind(product.title_key()).bind(product.title_sort_key()).bind(product.id.0);
    if product.status == ProductStatus::Deleted {
        forget_search(batch, product.id);
    } else {
        index_words(batch, product);
    }
}

pub(crate) fn forget_search(batch: &mut Batch, id: ProductId) {
    batch.statement("DELETE FROM commerce_search WHERE rowid = (SELECT n FROM commerce_product WHERE id = ?)");
    batch.bind(id.0);
}

pub(crate) fn save_categories(batch: &mut Batch, save: &AggregateWrite<CategoryTree>) {
    // The tree's one row is there from the start, at version 0.
    let from = match save.expected_version() {
        ExpectedVersion::Absent => 0,
        ExpectedVersion::At(version) => version,
    };
    batch.guards.heads.push((save.after().root(), save.expected_version()));
    batch.guarded(1, "UPDATE commerce_category_tree SET version = ? WHERE one = 1 AND version = ?");
    batch.bind(save.after().version).bind(from);
    let nodes = save.children(|tree| &tree.nodes);
    children(batch, "commerce_category", None, &nodes.put);
    remove(batch, "commerce_category", nodes.gone.into_iter().map(|id| id.0));
}

/// The mark of what finds a product as a whole, so that it is a word of its own: FTS5 keeps one list a word for all columns, and
/// would go through all products that have the word anywhere.
pub(super) const WHOLE: &str = "##";

fn marked(whole: &str) -> String {
    whole.split_whitespace().map(|whole| format!("{WHOLE}{whole}")).collect::<Vec<_>>().join(" ")
}
