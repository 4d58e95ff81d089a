//! What staff say about products and categories.

use std::collections::BTreeMap;

use super::{Image, ProductStatus};
use crate::{id::CategoryId, money::Money};

/// A product to be created.
///
/// ```
/// # use commerce_core::{catalog::{NewProduct, NewVariant}, Currency, Money};
/// # let price = Money::new(19_90, Currency::EUR);
/// let mug = NewProduct::active("Enamel mug").variant("MUG", price).stock(10);
/// let shirt = NewProduct::draft("Shirt")
///     .attribute("material", "linen")
///     .with_variant(NewVariant::new("SHIRT-M", price).option("size", "M"))
///     .with_variant(NewVariant::new("SHIRT-L", price).option("size", "L"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct NewProduct {
    pub(super) title: String,
    pub(super) slug: Option<String>,
    pub(super) description: String,
    pub(super) status: ProductStatus,
    pub(super) category_ids: Vec<CategoryId>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) images: Vec<Image>,
    pub(super) variants: Vec<NewVariant>,
    /// Given before any variant.
    pub(super) first_stock: Option<i64>,
}

impl NewProduct {
    /// A product with a title of 1 to 200 characters, shown to everybody.
    pub fn active(title: impl Into<String>) -> Self {
        Self::draft(title).status(ProductStatus::Active)
    }

    /// A product with a title of 1 to 200 characters, shown to staff only.
    pub fn draft(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Who sees it.
    pub const fn status(mut self, status: ProductStatus) -> Self {
        self.status = status;
        self
    }

    /// Its name in URLs. With `None`, one is made from the title.
    pub fn slug(mut self, slug: impl Into<Option<String>>) -> Self {
        self.slug = slug.into();
        self
    }

    /// What it is, at most 20,000 characters.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Puts it into a category; it can be in at most 50.
    pub fn category(mut self, id: CategoryId) -> Self {
        self.category_ids.push(id);
        self
    }

    /// Adds a free attribute, of which there are at most 50.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Adds an image, of which there are at most 50. The first is the main one.
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// Adds a variant that has no title and no options. There must be 1 to 100 variants.
    pub fn variant(self, sku: impl Into<String>, price: Money) -> Self {
        self.with_variant(NewVariant::new(sku, price))
    }

    /// Adds a variant. There must be 1 to 100.
    pub fn with_variant(mut self, mut variant: NewVariant) -> Self {
        variant.stock = variant.stock.or(self.first_stock.take());
        self.variants.push(variant);
        self
    }

    /// How many units there are of the variant that was added last, or of the first one that will be added.
    pub fn stock(mut self, units: i64) -> Self {
        match self.variants.last_mut() {
            Some(variant) => variant.stock = Some(units),
            None => self.first_stock = Some(units),
        }
        self
    }
}

/// A variant to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct NewVariant {
    pub(super) sku: String,
    pub(super) title: Option<String>,
    pub(super) options: BTreeMap<String, String>,
    pub(super) price: Money,
    pub(super) stock: Option<i64>,
    pub(super) low_stock_threshold: Option<i64>,
}

impl NewVariant {
    /// A variant with a stock keeping unit of 1 to 64 characters that is unique in the shop, and a price in the shop's
    /// currency that is not negative. It has no title, options or stock yet.
    pub fn new(sku: impl Into<String>, price: Money) -> Self {
        Self { sku: sku.into(), title: None, options: BTreeMap::new(), price, stock: None, low_stock_threshold: None }
    }

    /// Its own name, at most 200 characters; `None` for none.
    pub fn title(mut self, title: impl Into<Option<String>>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a choice that leads to it, such as `size` and `L`. There are at most 20.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// How many units there are; `None` for none.
    pub fn stock(mut self, units: impl Into<Option<i64>>) -> Self {
        self.stock = units.into();
        self
    }

    /// Stock is low at so many available units or fewer; `None` for the shop's setting.
    pub fn low_stock_threshold(mut self, units: impl Into<Option<i64>>) -> Self {
        self.low_stock_threshold = units.into();
        self
    }
}

/// Changes to named texts: what isn't named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextChanges {
    /// Whether all that are there are removed first.
    clear: bool,
    /// The texts to set, and with `None` to remove.
    changed: BTreeMap<String, Option<String>>,
}

impl TextChanges {
    pub(super) fn is_empty(&self) -> bool {
        !self.clear && self.changed.is_empty()
    }

    pub(super) fn apply(&self, texts: &mut BTreeMap<String, String>) {
        if self.clear {
            texts.clear();
        }
        for (name, value) in &self.changed {
            match value {
                Some(value) => texts.insert(name.clone(), value.clone()),
                None => texts.remove(name),
            };
        }
    }

    fn set(&mut self, name: impl Into<String>, value: impl Into<Option<String>>) {
        self.changed.insert(name.into(), value.into());
    }

    fn clear(&mut self) {
        *self = Self { clear: true, changed: BTreeMap::new() };
    }
}

/// Changes to a product; what isn't named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct ProductPatch {
    pub(super) title: Option<String>,
    pub(super) slug: Option<String>,
    pub(super) description: Option<String>,
    pub(super) status: Option<ProductStatus>,
    pub(super) category_ids: Option<Vec<CategoryId>>,
    pub(super) attributes: TextChanges,
    pub(super) images: Option<Vec<Image>>,
}

impl ProductPatch {
    /// Changes that change nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another name; `None` keeps it. The slug doesn't follow it.
    pub fn title(mut self, title: impl Into<Option<String>>) -> Self {
        self.title = title.into();
        self
    }

    /// Another name in URLs; `None` keeps it. The old one leads to the new one until it is given to another product.
    pub fn slug(mut self, slug: impl Into<Option<String>>) -> Self {
        self.slug = slug.into();
        self
    }

    /// Another description; `None` keeps it, an empty one removes it.
    pub fn description(mut self, description: impl Into<Option<String>>) -> Self {
        self.description = description.into();
        self
    }

    /// Who sees it from now on; `None` keeps it.
    pub fn status(mut self, status: impl Into<Option<ProductStatus>>) -> Self {
        self.status = status.into();
        self
    }

    /// All categories it is to be in; `None` keeps them.
    pub fn categories(mut self, ids: impl Into<Option<Vec<CategoryId>>>) -> Self {
        self.category_ids = ids.into();
        self
    }

    /// Sets an attribute, or removes it with `None`. The others stay.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Option<String>>) -> Self {
        self.attributes.set(name, value);
        self
    }

    /// Removes all attributes but those that are set afterwards.
    pub fn without_attributes(mut self) -> Self {
        self.attributes.clear();
        self
    }

    /// All images it is to have; `None` keeps them.
    pub fn images(mut self, images: impl Into<Option<Vec<Image>>>) -> Self {
        self.images = images.into();
        self
    }
}

/// Changes to a variant; what isn't named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct VariantPatch {
    pub(super) sku: Option<String>,
    pub(super) title: Option<String>,
    pub(super) options: TextChanges,
    pub(super) price: Option<Money>,
}

impl VariantPatch {
    /// Changes that change nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another stock keeping unit; `None` keeps it. The old one is free again.
    pub fn sku(mut self, sku: impl Into<Option<String>>) -> Self {
        self.sku = sku.into();
        self
    }

    /// Another name of its own; `None` keeps it, an empty one removes it.
    pub fn title(mut self, title: impl Into<Option<String>>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets one of the choices that lead to it, or removes it with `None`. The others stay.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Option<String>>) -> Self {
        self.options.set(name, value);
        self
    }

    /// Removes all choices but those that are set afterwards.
    pub fn without_options(mut self) -> Self {
        self.options.clear();
        self
    }

    /// Its price from now on; `None` keeps it. Orders keep theirs.
    pub fn price(mut self, price: impl Into<Option<Money>>) -> Self {
        self.price = price.into();
        self
    }
}

/// A category to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct NewCategory {
    pub(super) name: String,
    pub(super) slug: Option<String>,
    pub(super) parent_id: Option<CategoryId>,
    pub(super) position: Option<i64>,
}

impl NewCategory {
    /// A category with a name of 1 to 200 characters, last at the top of the tree.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Its name in URLs. With `None`, one is made from the name.
    pub fn slug(mut self, slug: impl Into<Option<String>>) -> Self {
        self.slug = slug.into();
        self
    }

    /// The category above; `None` for the top of the tree.
    pub fn parent(mut self, parent: impl Into<Option<CategoryId>>) -> Self {
        self.parent_id = parent.into();
        self
    }

    /// Where it stands among its siblings; last with `None`.
    pub fn position(mut self, position: impl Into<Option<i64>>) -> Self {
        self.position = position.into();
        self
    }
}

/// Where a category goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Move {
    #[default]
    Nowhere,
    /// Below another category, or to the top of the tree.
    Below(Option<CategoryId>),
}

/// Changes to a category; what isn't named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct CategoryPatch {
    pub(super) name: Option<String>,
    pub(super) slug: Option<String>,
    pub(super) parent: Move,
    pub(super) position: Option<i64>,
}

impl CategoryPatch {
    /// Changes that change nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another name; `None` keeps it. The slug doesn't follow it.
    pub fn name(mut self, name: impl Into<Option<String>>) -> Self {
        self.name = name.into();
        self
    }

    /// Another name in URLs; `None` keeps it. The old one leads to the new one until it is given to another category.
    pub fn slug(mut self, slug: impl Into<Option<String>>) -> Self {
        self.slug = slug.into();
        self
    }

    /// Moves it below another category, or with `None` to the top of the tree.
    pub fn parent(mut self, parent: impl Into<Option<CategoryId>>) -> Self {
        self.parent = Move::Below(parent.into());
        self
    }

    /// Where it stands among its siblings from now on; `None` keeps it.
    pub fn position(mut self, position: impl Into<Option<i64>>) -> Self {
        self.position = position.into();
        self
    }
}
