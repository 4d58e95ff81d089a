//! What staff send about products and variants.

use std::collections::BTreeMap;

use commerce_core::{Currency, catalog as core, error::Invalid, id::CategoryId};
use poem_openapi::{
    Object,
    types::{Example, MaybeUndefined},
};
use serde::Deserialize;
use uuid::Uuid;

use super::dto::{Image, Product, ProductStatus, Variant, read_all};
use crate::types::{Money, eur, present, sample};

/// A new variant.
#[derive(Clone, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewVariant {
    /// Unique in the shop.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub sku: String,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 200))]
    pub title: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub options: Option<BTreeMap<String, String>>,
    pub price: Money,
    /// The first count; 0 if absent.
    #[serde(default)]
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub stock: Option<i64>,
    /// Stock is low at so many available units or fewer.
    #[serde(default)]
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub low_stock_threshold: Option<i64>,
}

impl NewVariant {
    pub fn read(self, currency: Currency, pointer: &str) -> Result<core::NewVariant, Invalid> {
        let price = self.price.read(currency, &format!("{pointer}/price"))?;
        let variant = core::NewVariant::new(self.sku, price).title(self.title).stock(self.stock);
        let variant = variant.low_stock_threshold(self.low_stock_threshold);
        Ok(self.options.into_iter().flatten().fold(variant, |variant, (name, value)| variant.option(name, value)))
    }
}

impl Example for NewVariant {
    fn example() -> Self {
        let Variant { sku, title, options, .. } = Variant::example();
        Self {
            sku,
            title: Some(title),
            options: Some(options),
            price: eur("19.90"),
            stock: Some(50),
            low_stock_threshold: Some(5),
        }
    }
}

/// A new product.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewProduct {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: String,
    /// Made from the title if absent.
    #[serde(default)]
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    pub slug: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 20000))]
    pub description: Option<String>,
    pub status: ProductStatus,
    #[serde(default)]
    #[oai(nullable, validator(max_items = 50))]
    pub category_ids: Option<Vec<Uuid>>,
    #[serde(default)]
    #[oai(nullable)]
    pub attributes: Option<BTreeMap<String, String>>,
    #[serde(default)]
    #[oai(nullable, validator(max_items = 50))]
    pub images: Option<Vec<Image>>,
    /// At least one.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub variants: Vec<NewVariant>,
}

impl NewProduct {
    pub fn read(self, currency: Currency) -> Result<core::NewProduct, Invalid> {
        let variants = read_all(self.variants, "/variants", |variant, at| variant.read(currency, at))?;
        let product = core::NewProduct::draft(self.title).status(self.status.into()).slug(self.slug);
        let product = product.description(self.description.unwrap_or_default());
        let categories = self.category_ids.into_iter().flatten().map(CategoryId);
        let product = categories.fold(product, core::NewProduct::category);
        let attributes = self.attributes.into_iter().flatten();
        let product = attributes.fold(product, |product, (name, value)| product.attribute(name, value));
        let images = self.images.into_iter().flatten().map(Into::into);
        let product = images.fold(product, core::NewProduct::image);
        Ok(variants.into_iter().fold(product, core::NewProduct::with_variant))
    }
}

impl Example for NewProduct {
    fn example() -> Self {
        let Product { slug, title, description, attributes, images, .. } = Product::example();
        Self {
            title,
            slug: Some(slug),
            description,
            status: ProductStatus::Active,
            category_ids: Some(vec![sample::CATEGORY]),
            attributes: Some(attributes),
            images: Some(images),
            variants: vec![NewVariant::example()],
        }
    }
}

/// A whole to be set: `null` is an empty one.
fn all<T: Default>(field: MaybeUndefined<T>) -> Option<T> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(T::default()),
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// Texts to set, and with `null` to remove; the others stay.
type TextPatch = BTreeMap<String, Option<String>>;

/// Changes to a product.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct ProductPatch {
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub slug: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 20000))]
    pub description: MaybeUndefined<String>,
    #[serde(default, deserialize_with = "present")]
    pub status: Option<ProductStatus>,
    /// All categories it is to be in; `null`: none.
    #[serde(default)]
    #[oai(nullable, validator(max_items = 50))]
    pub category_ids: MaybeUndefined<Vec<Uuid>>,
    /// Attributes to set, and with `null` to remove; the others stay. `null` for the whole removes all.
    #[serde(default)]
    #[oai(nullable)]
    pub attributes: MaybeUndefined<TextPatch>,
    /// All images it is to have; `null`: none.
    #[serde(default)]
    #[oai(nullable, validator(max_items = 50))]
    pub images: MaybeUndefined<Vec<Image>>,
}

impl From<ProductPatch> for core::ProductPatch {
    fn from(body: ProductPatch) -> Self {
        let categories = all(body.category_ids).map(|ids| ids.into_iter().map(CategoryId).collect::<Vec<_>>());
        let images = all(body.images).map(|images| images.into_iter().map(Into::into).collect::<Vec<_>>());
        let patch = Self::new().title(body.title).slug(body.slug).description(all(body.description));
        let patch = patch.status(body.status.map(Into::into)).categories(categories).images(images);
        match body.attributes {
            MaybeUndefined::Undefined => patch,
            MaybeUndefined::Null => patch.without_attributes(),
            MaybeUndefined::Value(changed) => {
                changed.into_iter().fold(patch, |patch, (name, value)| patch.attribute(name, value))
            }
        }
    }
}

impl Example for ProductPatch {
    fn example() -> Self {
        Self {
            title: Some("Enamel mug, 300 ml".to_owned()),
            slug: Some("enamel-mug-300".to_owned()),
            description: MaybeUndefined::Value("Holds 300 ml, survives a fall.".to_owned()),
            status: Some(ProductStatus::Active),
            category_ids: MaybeUndefined::Value(vec![sample::CATEGORY]),
            attributes: MaybeUndefined::Value(BTreeMap::from([(
                "material".to_owned(),
                Some("enamelled steel".to_owned()),
            )])),
            images: MaybeUndefined::Value(vec![Image::example()]),
        }
    }
}

/// Changes to a variant.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct VariantPatch {
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 64))]
    pub sku: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 200))]
    pub title: MaybeUndefined<String>,
    /// Choices to set, and with `null` to remove; the others stay. `null` for the whole removes all.
    #[serde(default)]
    #[oai(nullable)]
    pub options: MaybeUndefined<TextPatch>,
    #[serde(default, deserialize_with = "present")]
    pub price: Option<Money>,
}

impl VariantPatch {
    pub fn read(self, currency: Currency) -> Result<core::VariantPatch, Invalid> {
        let price = self.price.map(|price| price.read(currency, "/price")).transpose()?;
        let patch = core::VariantPatch::new().sku(self.sku).title(all(self.title)).price(price);
        Ok(match self.options {
            MaybeUndefined::Undefined => patch,
            MaybeUndefined::Null => patch.without_options(),
            MaybeUndefined::Value(changed) => {
                changed.into_iter().fold(patch, |patch, (name, value)| patch.option(name, value))
            }
        })
    }
}

impl Example for VariantPatch {
    fn example() -> Self {
        Self {
            sku: Some("MUG-BLUE-L".to_owned()),
            title: MaybeUndefined::Value("Large, blue".to_owned()),
            options: MaybeUndefined::Value(BTreeMap::from([("size".to_owned(), Some("L".to_owned()))])),
            price: Some(eur("18.90")),
        }
    }
}

/// Changes to a category.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct CategoryPatch {
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub slug: Option<String>,
    /// `null` moves it to the top.
    #[serde(default)]
    #[oai(nullable)]
    pub parent_id: MaybeUndefined<Uuid>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    pub position: Option<i64>,
}

impl From<CategoryPatch> for core::CategoryPatch {
    fn from(body: CategoryPatch) -> Self {
        let patch = Self::new().name(body.name).slug(body.slug).position(body.position);
        match body.parent_id {
            MaybeUndefined::Undefined => patch,
            MaybeUndefined::Null => patch.parent(None),
            MaybeUndefined::Value(parent) => patch.parent(CategoryId(parent)),
        }
    }
}

impl Example for CategoryPatch {
    fn example() -> Self {
        Self {
            name: Some("Mugs & cups".to_owned()),
            slug: Some("mugs-and-cups".to_owned()),
            parent_id: MaybeUndefined::Value(sample::CATEGORY),
            position: Some(1),
        }
    }
}
