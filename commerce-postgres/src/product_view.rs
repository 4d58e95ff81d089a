//! A product as it is shown, with its variants, their stock and its rating.

use std::collections::BTreeMap;

use commerce_core::{
    catalog::{ProductKey, ProductView, Variant},
    id::VariantId,
    store::{Claim, StoreError},
};
use serde::Deserialize;
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    product_row::{PRODUCT, ProductRow, VariantRow, product},
    reads::Reader,
    sql::Sql,
};

/// A variant as shown: with what is available.
#[derive(Debug, Deserialize)]
struct ShownVariant {
    #[serde(flatten)]
    row: VariantRow,
    available: i64,
}

/// A product as shown.
pub(crate) struct ViewRow {
    pub product: ProductRow,
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

impl ViewRow {
    pub(crate) fn stock(&mut self) -> impl Iterator<Item = (VariantId, &mut i64)> {
        self.variants.iter_mut().map(|shown| (VariantId(shown.row.id), &mut shown.available))
    }

    pub(crate) fn in_stock(&self) -> bool {
        self.variants.iter().any(|shown| shown.available > 0)
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

/// What is available of a variant `v`, and the join that tells. The nodes of a distributed database have the whole catalogue,
/// but each only a part of the stock: no statement joins one product with all of it, so [`fill`] asks for it afterwards.
pub(crate) async fn stock(reader: &Reader) -> Result<(&'static str, &'static str), StoreError> {
    Ok(if reader.is_distributed().await? {
        ("0::bigint", "")
    } else {
        ("coalesce(s.on_hand - s.reserved, 0)", "LEFT JOIN commerce_stock s ON s.variant_id = v.id")
    })
}

/// Asks the nodes that hold them what is available of these variants, where [`stock`] couldn't.
pub(crate) async fn fill(
    reader: &Reader,
    variants: impl Iterator<Item = (VariantId, &mut i64)> + Send,
) -> Result<(), StoreError> {
    if !reader.is_distributed().await? {
        return Ok(());
    }
    let mut unknown: BTreeMap<Uuid, &mut i64> = variants.map(|(variant, available)| (variant.0, available)).collect();
    let mut sql = Sql::new("SELECT variant_id, on_hand - reserved FROM commerce_stock WHERE variant_id = ANY(");
    sql.bind(unknown.keys().copied().collect::<Vec<_>>()).push(")");
    let known: Vec<(Uuid, i64)> = reader.all(&sql).await?;
    for (variant, available) in known {
        unknown.remove(&variant).into_iter().for_each(|unknown| *unknown = available);
    }
    Ok(())
}

/// What of a product `p` with its rating `r` makes a [`ViewRow`], beside its own columns.
pub(crate) async fn select(reader: &Reader) -> Result<String, StoreError> {
    let (available, join) = stock(reader).await?;
    Ok(format!(
        "coalesce(r.sum, 0) AS rating_sum, coalesce(r.count, 0) AS rating_count, \
         coalesce((SELECT json_agg(x ORDER BY x.position, x.id) FROM ( \
             SELECT v.*, {available} AS available FROM commerce_variant v {join} \
             WHERE v.product_id = p.id AND NOT v.retired) x), '[]') AS variants"
    ))
}

pub(crate) async fn view(reader: &Reader, key: &ProductKey) -> Result<Option<ProductView>, StoreError> {
    let shown = select(reader).await?;
    let mut sql = Sql::new(format!(
        "SELECT {PRODUCT}, p.description, {shown} FROM commerce_product p LEFT JOIN commerce_rating r ON r.product_id = p.id WHERE p.id = "
    ));
    match key {
        ProductKey::Id(id) => sql.bind(id.0),
        ProductKey::Slug(slug) => {
            let claim = Claim::product_slug(slug);
            sql.push("(SELECT owner FROM commerce_claim WHERE kind = ").bind(claim.kind.as_str());
            sql.push(" AND key = ").bind(claim.key).push(")")
        }
    };
    let mut found: Option<ViewRow> = reader.optional(&sql).await?;
    fill(reader, found.iter_mut().flat_map(ViewRow::stock)).await?;
    Ok(found.map(Into::into))
}
