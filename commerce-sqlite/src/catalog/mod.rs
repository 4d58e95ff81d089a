//! Products with variants, and the category tree; listing and search are in [`list`] and [`search`].

mod list;
mod search;
mod write;

use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_core::{
    catalog::{
        CatalogQueries, Category, CategoryTree, Image, Product, ProductFilter, ProductKey, ProductStatus, ProductView,
        PurchasableVariant, Variant,
    },
    clock::Timestamp,
    id::{CategoryId, ProductId, VariantId},
    page::{PageSpec, Rows},
    store::StoreError,
};
use serde::Deserialize;

pub(crate) use self::write::{forget_search, index_again, save_categories, save_product};
use crate::{
    SqliteStore,
    codec::{self, Row, Shadowed, shadow},
    sql::Sql,
};

#[derive(Deserialize)]
#[serde(remote = "Product")]
struct ProductRow {
    id: ProductId,
    slug: String,
    title: String,
    description: String,
    status: ProductStatus,
    category_ids: Vec<CategoryId>,
    attributes: BTreeMap<String, String>,
    images: Vec<Image>,
    variants: Vec<Variant>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    version: i64,
}
shadow!(Product, ProductRow);

/// A variant `v`.
const VARIANT: &str = "json_array(hex(v.id), v.position, v.sku, v.title, json(v.options), \
    json_array(v.price, v.currency), json(iif(v.retired, 'true', 'false')))";

/// Whether any variant that is sold of a row of `commerce_listing` can be had.
pub(crate) const ANY_AVAILABLE: &str = "EXISTS (SELECT 1 FROM commerce_variant v \
    JOIN commerce_stock s ON s.variant_id = v.id \
    WHERE v.product = commerce_listing.product AND NOT v.retired AND s.on_hand > s.reserved)";

/// A product `p`. `variants` and `description` say what of them is read.
fn product(variants: &str, description: &str) -> String {
    format!(
        "json_array(hex(p.id), p.slug, p.title, {description}, p.status, json(p.category_ids), json(p.attributes), \
         json(p.images), {variants}, p.created_at, p.updated_at, p.version)"
    )
}

pub(crate) fn whole_product() -> String {
    let variants = format!(
        "(SELECT json_group_array({VARIANT} ORDER BY v.position, v.id) FROM commerce_variant v WHERE v.product = p.n)"
    );
    product(&variants, "p.description")
}

/// A product as shown, read by [`ViewRow`]: the product with an empty list of variants, then the variants that are sold with
/// their stock.
fn view(description: &str) -> String {
    format!(
        "json_array({}, (SELECT json_group_array(json_array({VARIANT}, s.on_hand - s.reserved) ORDER BY v.position, v.id) \
         FROM commerce_variant v LEFT JOIN commerce_stock s ON s.variant_id = v.id WHERE v.product = p.n AND NOT v.retired), \
         p.rating_sum, p.rating_count)",
        product("json('[]')", description)
    )
}

#[derive(Deserialize)]
struct ViewRow(Row<Product>, Vec<(Variant, Option<i64>)>, i64, i64);

impl Shadowed for ProductView {
    fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let ViewRow(Row(mut product), variants, rating_sum, rating_count) = ViewRow::deserialize(from)?;
        let (variants, available): (_, Vec<_>) = variants.into_iter().unzip();
        product.variants = variants;
        // A variant whose stock was never opened has none.
        let available = available.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Self { product, available, rating_sum, rating_count })
    }
}

#[derive(Deserialize)]
#[serde(remote = "PurchasableVariant")]
struct PurchasableVariantRow {
    variant: Variant,
    product_id: ProductId,
    slug: String,
    product_title: String,
    status: ProductStatus,
    image: Option<Image>,
    available: i64,
}
shadow!(PurchasableVariant, PurchasableVariantRow);

#[async_trait]
impl CatalogQueries for SqliteStore {
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&whole_product()).push(" FROM commerce_product p WHERE p.id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_product_of(&self, variant: VariantId) -> Result<Option<Product>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&whole_product()).push(" FROM commerce_product p ");
        sql.push("WHERE p.n = (SELECT product FROM commerce_variant WHERE id = ?)").bind(variant.0);
        self.entity(sql).await
    }

    async fn view_product(&self, key: &ProductKey) -> Result<Option<ProductView>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&view("p.description")).push(" FROM commerce_product p WHERE ");
        match key {
            ProductKey::Id(id) => sql.push("p.id = ?").bind(id.0),
            // A deleted product has given its slug back: whoever has it now comes first.
            ProductKey::Slug(slug) => {
                sql.push("p.slug = ? ORDER BY p.status = 'deleted', p.n DESC LIMIT 1").bind(slug.clone())
            }
        };
        self.entity(sql).await
    }

    async fn list_products(&self, filter: &ProductFilter, spec: &PageSpec) -> Result<Rows<ProductView>, StoreError> {
        list::list_products(self, filter, spec).await
    }

    async fn load_similar_words(&self, words: &[String]) -> Result<Vec<Vec<String>>, StoreError> {
        search::similar_words(self, words).await
    }

    async fn load_purchasable(&self, variants: &[VariantId]) -> Result<Vec<PurchasableVariant>, StoreError> {
        let mut sql = Sql::new("SELECT json_array(");
        sql.push(VARIANT).push(", hex(p.id), p.slug, p.title, p.status, json(p.images -> '$[0]'), ");
        sql.push(
            "coalesce(s.on_hand - s.reserved, 0)) FROM commerce_variant v JOIN commerce_product p ON p.n = v.product ",
        );
        sql.push("LEFT JOIN commerce_stock s ON s.variant_id = v.id WHERE v.id IN (").marks(variants.len()).push(")");
        for variant in variants {
            sql.bind(variant.0);
        }
        self.entities(sql).await
    }

    async fn load_categories(&self) -> Result<CategoryTree, StoreError> {
        let sql = Sql::new(
            "SELECT json_array((SELECT json_group_array(json_array(hex(id), slug, name, \
             iif(parent_id IS NULL, NULL, hex(parent_id)), position)) FROM commerce_category), version) \
             FROM commerce_category_tree",
        );
        let (nodes, version): (Vec<Category>, i64) = self.optional(sql).await?.unwrap_or_default();
        Ok(CategoryTree { nodes, version })
    }

    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        // A product in two children counts once for their parent.
        let sql = Sql::new(
            "WITH RECURSIVE above (category, ancestor) AS ( \
               SELECT id, id FROM commerce_category \
               UNION SELECT a.category, c.parent_id FROM above a JOIN commerce_category c ON c.id = a.ancestor \
               WHERE c.parent_id IS NOT NULL) \
             SELECT json_array(hex(a.ancestor), count(DISTINCT l.product)) FROM above a \
             CROSS JOIN commerce_listing l INDEXED BY commerce_listing_newest \
             ON l.category = a.category AND l.status = 'active' GROUP BY a.ancestor",
        );
        Ok(self.many::<(CategoryId, u64)>(sql).await?.into_iter().collect())
    }
}
