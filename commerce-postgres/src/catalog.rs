//! Products with their variants, and the category tree. How products are shown is in
//! [`crate::product_view`], lists and search in [`crate::listing`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_core::{
    catalog::{
        CatalogQueries, Category, CategoryTree, Image, Product, ProductFilter, ProductKey, ProductStatus, ProductView,
        PurchasableVariant,
    },
    id::{CategoryId, ProductId, VariantId},
    page::{PageSpec, Rows},
    store::StoreError,
};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    codec::{Name, table},
    listing,
    product_row::{PRODUCT, ProductRow, VariantRow, product},
    product_view,
    reads::PgReads,
    sql::Sql,
};

table! {
    ProductCategoryRow = "commerce_product_category" by [product_id, category_id] {
        product_id: Uuid,
        category_id: Uuid,
        position: i64,
        status: Name<ProductStatus>,
        created_at: i64,
        title_key: String,
        title_sort: String,
        min_price: i64,
        max_price: i64,
    }
}

table! {
    #[derive(serde::Deserialize)]
    CategoryRow = "commerce_category" by [id] {
        id: Uuid,
        slug: String,
        name: String,
        parent_id: Option<Uuid>,
        position: i64,
    }
}

impl From<&Category> for CategoryRow {
    fn from(category: &Category) -> Self {
        Self {
            id: category.id.0,
            slug: category.slug.clone(),
            name: category.name.clone(),
            parent_id: category.parent_id.map(Into::into),
            position: category.position,
        }
    }
}

impl From<CategoryRow> for Category {
    fn from(row: CategoryRow) -> Self {
        Self {
            id: CategoryId(row.id),
            slug: row.slug,
            name: row.name,
            parent_id: row.parent_id.map(CategoryId),
            position: row.position,
        }
    }
}

/// A product with its variants, retired ones too.
pub(crate) struct ProductWithVariants(ProductRow, Vec<VariantRow>, Vec<Uuid>);

impl<'r> FromRow<'r, PgRow> for ProductWithVariants {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let Json(variants) = row.try_get("variants")?;
        Ok(Self(ProductRow::from_row(row)?, variants, row.try_get("category_ids")?))
    }
}

impl From<ProductWithVariants> for Product {
    fn from(ProductWithVariants(row, variants, categories): ProductWithVariants) -> Self {
        product(row, categories, variants.into_iter().map(Into::into).collect())
    }
}

pub(crate) fn load() -> Sql {
    let mut sql = whole_products();
    sql.push("p.id = ");
    sql
}

/// Selects whole products on a condition that follows.
pub(crate) fn whole_products() -> Sql {
    Sql::new(format!(
        "SELECT {PRODUCT}, p.description, coalesce((SELECT json_agg(v ORDER BY v.position, v.id) FROM commerce_variant v \
         WHERE v.product_id = p.id), '[]') AS variants FROM commerce_product p WHERE "
    ))
}

/// A row of the query in `load_purchasable`.
struct PurchasableVariantRow {
    variant: VariantRow,
    slug: String,
    product_title: String,
    status: Name<ProductStatus>,
    image: Option<Json<Image>>,
    available: i64,
}

impl<'r> FromRow<'r, PgRow> for PurchasableVariantRow {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            variant: VariantRow::from_row(row)?,
            slug: row.try_get("slug")?,
            product_title: row.try_get("product_title")?,
            status: row.try_get("status")?,
            image: row.try_get("image")?,
            available: row.try_get("available")?,
        })
    }
}

impl From<PurchasableVariantRow> for PurchasableVariant {
    fn from(row: PurchasableVariantRow) -> Self {
        Self {
            product_id: ProductId(row.variant.product_id),
            variant: row.variant.into(),
            slug: row.slug,
            product_title: row.product_title,
            status: row.status.0,
            image: row.image.map(|image| image.0),
            available: row.available,
        }
    }
}

#[async_trait]
impl CatalogQueries for PgReads {
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        let mut sql = load();
        sql.bind(id.0);
        Ok(self.reader.optional::<ProductWithVariants>(&sql).await?.map(Into::into))
    }

    async fn load_product_of(&self, variant: VariantId) -> Result<Option<Product>, StoreError> {
        let mut sql = load();
        sql.push("(SELECT product_id FROM commerce_variant WHERE id = ").bind(variant.0).push(")");
        Ok(self.reader.optional::<ProductWithVariants>(&sql).await?.map(Into::into))
    }

    async fn view_product(&self, key: &ProductKey) -> Result<Option<ProductView>, StoreError> {
        product_view::view(&self.reader, key).await
    }

    async fn list_products(&self, filter: &ProductFilter, spec: &PageSpec) -> Result<Rows<ProductView>, StoreError> {
        listing::list(&self.reader, filter, spec).await
    }

    async fn load_purchasable(&self, variants: &[VariantId]) -> Result<Vec<PurchasableVariant>, StoreError> {
        let ids: Vec<Uuid> = variants.iter().map(|variant| variant.0).collect();
        let (available, join) = product_view::stock(&self.reader).await?;
        let mut sql = Sql::new(format!(
            "SELECT v.*, p.slug, p.title AS product_title, p.status, p.images -> 0 AS image, {available} AS available \
             FROM commerce_variant v JOIN commerce_product p ON p.id = v.product_id {join} WHERE v.id = ANY(",
        ));
        sql.bind(ids).push(")");
        let mut offers: Vec<PurchasableVariant> =
            self.reader.all::<PurchasableVariantRow>(&sql).await?.into_iter().map(Into::into).collect();
        product_view::fill(&self.reader, offers.iter_mut().map(|offer| (offer.variant.id, &mut offer.available)))
            .await?;
        Ok(offers)
    }

    async fn load_similar_words(&self, words: &[String]) -> Result<Vec<Vec<String>>, StoreError> {
        listing::similar_words(&self.reader, words).await
    }

    async fn load_categories(&self) -> Result<CategoryTree, StoreError> {
        let sql = Sql::new(
            "SELECT t.version, coalesce((SELECT json_agg(c ORDER BY c.position, c.id) FROM commerce_category c), '[]') \
             FROM commerce_category_tree t",
        );
        let (version, Json(nodes)): (i64, Json<Vec<CategoryRow>>) = self.reader.one(&sql).await?;
        Ok(CategoryTree { nodes: nodes.into_iter().map(Into::into).collect(), version })
    }

    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        // UNION, not UNION ALL: it ends even if the tree had a cycle.
        let sql = Sql::new(
            "WITH RECURSIVE up (id, above) AS ( \
                 SELECT id, id FROM commerce_category \
                 UNION SELECT up.id, c.parent_id FROM up JOIN commerce_category c ON c.id = up.above WHERE c.parent_id IS NOT NULL) \
             SELECT up.above, count(DISTINCT p.id) FROM up \
             JOIN commerce_product_category m ON m.category_id = up.id JOIN commerce_product p ON p.id = m.product_id \
             WHERE p.status = 'active' GROUP BY up.above",
        );
        let rows: Vec<(Uuid, i64)> = self.reader.all(&sql).await?;
        Ok(rows.into_iter().map(|(id, count)| (CategoryId(id), u64::try_from(count).unwrap_or(0))).collect())
    }
}
