//! A product and its variants as rows.

use std::collections::BTreeMap;

use commerce_core::{
    Currency, Money,
    catalog::{Image, Product, ProductStatus, Variant},
    clock::Timestamp,
    id::{CategoryId, ProductId, VariantId},
    text::look,
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    codec::{Document, Name, table},
    search_words::document,
};

table! {
    ProductRow = "commerce_product" by [id] {
        id: Uuid,
        slug: String,
        title: String,
        description: String,
        status: Name<ProductStatus>,
        attributes: Json<BTreeMap<String, String>>,
        images: Json<Vec<Image>>,
        created_at: i64,
        updated_at: i64,
        version: i64,
        title_key: String,
        title_sort: String = String::new(),
        min_price: i64,
        max_price: i64,
        document: Document = Document::default(),
    }
}

table! {
    #[derive(serde::Deserialize)]
    VariantRow = "commerce_variant" by [product_id, id] {
        product_id: Uuid,
        id: Uuid,
        position: i64,
        sku: String,
        title: String,
        options: Json<BTreeMap<String, String>>,
        price: i64,
        currency: Name<Currency>,
        retired: bool,
        sku_key: String,
    }
}

impl From<&Product> for ProductRow {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id.0,
            slug: product.slug.clone(),
            title: product.title.clone(),
            description: product.description.clone(),
            status: Name(product.status),
            attributes: Json(product.attributes.clone()),
            images: Json(product.images.clone()),
            created_at: product.created_at.as_micros(),
            updated_at: product.updated_at.as_micros(),
            version: product.version,
            title_key: product.title_key(),
            title_sort: product.title_sort_key(),
            min_price: product.min_price(),
            max_price: product.max_price(),
            document: document(product),
        }
    }
}

impl From<VariantRow> for Variant {
    fn from(row: VariantRow) -> Self {
        Self {
            id: VariantId(row.id),
            position: row.position,
            sku: row.sku,
            title: row.title,
            options: row.options.0,
            price: Money::new(row.price, row.currency.0),
            retired: row.retired,
        }
    }
}

pub(crate) fn variant_row(product: ProductId, variant: &Variant) -> VariantRow {
    VariantRow {
        product_id: product.0,
        id: variant.id.0,
        position: variant.position,
        sku: variant.sku.clone(),
        title: variant.title.clone(),
        options: Json(variant.options.clone()),
        price: variant.price.minor,
        currency: Name(variant.price.currency),
        retired: variant.retired,
        sku_key: look(&variant.sku),
    }
}

pub(crate) fn product(row: ProductRow, categories: Vec<Uuid>, variants: Vec<Variant>) -> Product {
    Product {
        id: ProductId(row.id),
        slug: row.slug,
        title: row.title,
        description: row.description,
        status: row.status.0,
        category_ids: categories.into_iter().map(CategoryId).collect(),
        attributes: row.attributes.0,
        images: row.images.0,
        variants,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        version: row.version,
    }
}

/// The columns of [`ProductRow`] that are read.
pub(crate) const PRODUCT: &str = "p.id, p.slug, p.title, p.status, p.attributes, p.images, p.created_at, p.updated_at, \
                                  p.version, p.title_key, p.min_price, p.max_price, \
                                  ARRAY(SELECT m.category_id FROM commerce_product_category m WHERE m.product_id = p.id \
                                  ORDER BY m.position) AS category_ids";
