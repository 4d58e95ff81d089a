//! Products with variants, and the category tree; listing and search are in [`list`] and [`search`].

mod list;
mod search;
mod write;

use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_core::{
    catalog::{
        CatalogQueries, Category, CategoryTree, Product, ProductFilter, ProductKey, ProductView, PurchasableVariant,
        Variant,
    },
    id::{CategoryId, ProductId, VariantId},
    page::{PageSpec, Rows},
    store::StoreError,
};
use serde::{Deserialize, Deserializer};

pub(crate) use self::write::{forget_search, index_again, save_categories, save_product};
use crate::{
    SqliteStore,
    codec::{FromJson, Row},
    row::{Amount, Flag, Id, Int, Json, Many, MaybeId, MaybeJson, Name, One, Text, Time, all, row},
    sql::Sql,
};

row! {
    /// A product `p`. `variants` and `description` say what of them is read.
    fn product(variants: &str, description: &str) -> Product of "p." {
        id: Id,
        slug: Text,
        title: Text,
        description: Text = description,
        status: Name,
        category_ids: Json,
        attributes: Json,
        images: Json,
        variants: Many = variants,
        created_at: Time,
        updated_at: Time,
        version: Int,
    }
}

row! {
    /// A variant `v`.
    fn variant() -> Variant of "v." {
        id: Id,
        position: Int,
        sku: Text,
        title: Text,
        options: Json,
        price: Amount = "json_array(v.price, v.currency)",
        retired: Flag,
    }
}

row! {
    /// A variant `v` of a product `p` with its stock `s`.
    fn purchasable() -> PurchasableVariant of "p." {
        variant: One = variant(),
        product_id: Id = "hex(p.id)",
        slug: Text,
        product_title: Text = "p.title",
        status: Name,
        image: MaybeJson = "json(p.images -> '$[0]')",
        available: Int = "coalesce(s.on_hand - s.reserved, 0)",
    }
}

row! {
    fn category() -> Category of "" {
        id: Id,
        slug: Text,
        name: Text,
        parent_id: MaybeId,
        position: Int,
    }
}

/// Whether any variant that is sold of a row of `commerce_listing` can be had.
pub(crate) const ANY_AVAILABLE: &str = "EXISTS (SELECT 1 FROM commerce_variant v \
    JOIN commerce_stock s ON s.variant_id = v.id \
    WHERE v.product = commerce_listing.product AND NOT v.retired AND s.on_hand > s.reserved)";

pub(crate) fn whole_product() -> String {
    let variants = all(&variant(), "v.position, v.id", "commerce_variant v WHERE v.product = p.n");
    product(&variants, "p.description")
}

/// A product as shown, read by [`ViewRow`]: the product with an empty list of variants, then the variants that are sold with
/// their stock.
fn view(description: &str) -> String {
    format!(
        "json_array({}, (SELECT json_group_array(json_array({}, s.on_hand - s.reserved) ORDER BY v.position, v.id) \
         FROM commerce_variant v LEFT JOIN commerce_stock s ON s.variant_id = v.id WHERE v.product = p.n AND NOT v.retired), \
         p.rating_sum, p.rating_count)",
        product("json('[]')", description),
        variant(),
    )
}

#[derive(Deserialize)]
struct ViewRow(Row<Product>, Vec<(Row<Variant>, Option<i64>)>, i64, i64);

impl FromJson for ProductView {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let ViewRow(Row(mut product), variants, rating_sum, rating_count) = ViewRow::deserialize(from)?;
        let (variants, available): (Vec<_>, Vec<_>) =
            variants.into_iter().map(|(Row(variant), available)| (variant, available)).unzip();
        product.variants = variants;
        // A variant whose stock was never opened has none.
        let available = available.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Self { product, available, rating_sum, rating_count })
    }
}

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
        let mut sql = Sql::new("SELECT ");
        sql.push(&purchasable()).push(" FROM commerce_variant v JOIN commerce_product p ON p.n = v.product ");
        sql.push("LEFT JOIN commerce_stock s ON s.variant_id = v.id WHERE v.id IN (").marks(variants.len()).push(")");
        for variant in variants {
            sql.bind(variant.0);
        }
        self.entities(sql).await
    }

    async fn load_categories(&self) -> Result<CategoryTree, StoreError> {
        let sql = Sql::new(&format!(
            "SELECT json_array((SELECT json_group_array({}) FROM commerce_category), version) FROM commerce_category_tree",
            category()
        ));
        let (nodes, version): (Vec<Row<Category>>, i64) = self.optional(sql).await?.unwrap_or_default();
        Ok(CategoryTree { nodes: nodes.into_iter().map(|row| row.0).collect(), version })
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
