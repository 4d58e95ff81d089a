//! Lists of products: what is asked for as a builder, and how it is read.

use serde::Serialize;

use super::{
    Catalog, CatalogError, CategoryTree, ProductDetail, ProductFilter, ProductSort, ProductStatus, SearchTerms, rules,
    search::Search, service::find_category,
};
use crate::{
    context::Permission,
    error::Invalid,
    money::Money,
    page::{Page, PageRequest},
    store::Reads,
    text::check_filter,
};

/// What customers ask for; cursors are bound to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct ProductQuery {
    q: Option<String>,
    category: Option<String>,
    min_price: Option<Money>,
    max_price: Option<Money>,
    in_stock: Option<bool>,
    min_rating: Option<f64>,
    sort: Option<ProductSort>,
}

/// Active products that match all filters: [`Catalog::products`], [`Catalog::search`].
#[derive(Clone)]
#[must_use = "products are read by `first` or `page`"]
pub struct ProductSearch {
    catalog: Catalog,
    query: ProductQuery,
}

impl ProductSearch {
    /// Only products that match all these words; words without any letter or digit match nothing. See [`SearchTerms`].
    pub fn words(mut self, words: impl Into<Option<String>>) -> Self {
        self.query.q = words.into();
        self
    }

    /// Only products in the category with this slug or id, or below it. An unknown one matches nothing.
    pub fn category(mut self, slug_or_id: impl Into<Option<String>>) -> Self {
        self.query.category = slug_or_id.into();
        self
    }

    /// Only products of which some variant costs at least this.
    pub fn min_price(mut self, price: impl Into<Option<Money>>) -> Self {
        self.query.min_price = price.into();
        self
    }

    /// Only products of which some variant costs at most this. With both bounds, one variant must lie between them.
    pub fn max_price(mut self, price: impl Into<Option<Money>>) -> Self {
        self.query.max_price = price.into();
        self
    }

    /// Only products of which some variant is available (`true`), or none is (`false`).
    pub fn in_stock(mut self, in_stock: impl Into<Option<bool>>) -> Self {
        self.query.in_stock = in_stock.into();
        self
    }

    /// Only products with an average rating of at least this, 0 to 5.
    pub fn min_rating(mut self, stars: impl Into<Option<f64>>) -> Self {
        self.query.min_rating = stars.into();
        self
    }

    /// The order; with `None`, the best match comes first if there are words, and else the newest product.
    pub fn sort(mut self, sort: impl Into<Option<ProductSort>>) -> Self {
        self.query.sort = sort.into();
        self
    }

    /// The first of these products.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub async fn first(&self) -> Result<Option<ProductDetail>, CatalogError> {
        Ok(self.page(&PageRequest::first(1)).await?.items.into_iter().next())
    }

    /// A page of these products.
    ///
    /// # Errors
    /// [`CommonError::Invalid`](crate::error::CommonError::Invalid) if a price isn't in the shop's currency (`/min_price`,
    /// `/max_price`) or the rating isn't between 0 and 5 (`/min_rating`);
    /// [`CommonError::Cursor`](crate::error::CommonError::Cursor); [`CommonError::Store`](crate::error::CommonError::Store).
    pub async fn page(&self, page: &PageRequest) -> Result<Page<ProductDetail>, CatalogError> {
        let Self { catalog, query } = self;
        check_filter(&[("/q", query.q.as_deref()), ("/category", query.category.as_deref())])?;
        let currency = catalog.engine().settings.currency;
        let min_price = rules::filter_price("/min_price", query.min_price, currency)?;
        let max_price = rules::filter_price("/max_price", query.max_price, currency)?;
        if query.min_rating.is_some_and(|stars| !(0.0..=5.0).contains(&stars)) {
            return Err(Invalid::field("/min_rating", "out_of_range", "must be between 0 and 5").into());
        }
        let reads = catalog.reads();
        let tree = reads.load_categories().await?;
        let (search, nothing) = search(query.q.as_deref());
        let categories = match query.category.as_deref() {
            None => None,
            Some(category) => {
                let found = find_category(reads, &tree, category).await?;
                Some(found.map(|category| tree.subtree(category.id).into_iter().collect()).unwrap_or_default())
            }
        };
        let filter = ProductFilter {
            statuses: vec![ProductStatus::Active],
            sort: sort(query.sort, search.is_some()),
            search,
            categories: if nothing { Some(Vec::new()) } else { categories },
            min_price,
            max_price,
            in_stock: query.in_stock,
            min_rating: query.min_rating,
        };
        // The cursor is bound to what was asked, not to the ids it means: a new subcategory doesn't end anybody's paging.
        list(reads, &filter, &tree, query, page).await
    }
}

/// What staff ask for; cursors are bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct AdminProductQuery {
    status: Option<ProductStatus>,
    q: Option<String>,
}

/// Products of any status but deleted: [`Catalog::admin_products`].
#[derive(Clone)]
#[must_use = "products are read by `page`"]
pub struct AdminProductSearch {
    catalog: Catalog,
    query: AdminProductQuery,
}

impl AdminProductSearch {
    /// Only products of this status.
    pub fn status(mut self, status: impl Into<Option<ProductStatus>>) -> Self {
        self.query.status = status.into();
        self
    }

    /// Only products that match all these words.
    pub fn words(mut self, words: impl Into<Option<String>>) -> Self {
        self.query.q = words.into();
        self
    }

    /// A page of these products, the newest first, or the best match first if there are words.
    ///
    /// # Errors
    /// [`CommonError::Access`](crate::error::CommonError::Access);
    /// [`CommonError::Cursor`](crate::error::CommonError::Cursor); [`CommonError::Store`](crate::error::CommonError::Store).
    pub async fn page(&self, page: &PageRequest) -> Result<Page<ProductDetail>, CatalogError> {
        let Self { catalog, query } = self;
        catalog.scope.actor().require(Permission::EditCatalog)?;
        check_filter(&[("/q", query.q.as_deref())])?;
        let kept = [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived];
        let statuses = kept.into_iter().filter(|status| query.status.is_none_or(|wanted| wanted == *status)).collect();
        let (search, nothing) = search(query.q.as_deref());
        let sort = sort(None, search.is_some());
        let categories = nothing.then(Vec::new);
        let filter = ProductFilter { statuses, search, categories, sort, ..ProductFilter::default() };
        let reads = catalog.reads();
        let tree = reads.load_categories().await?;
        list(reads, &filter, &tree, query, page).await
    }
}

impl Catalog {
    /// Active products, to be filtered and read.
    pub fn products(&self) -> ProductSearch {
        ProductSearch { catalog: self.clone(), query: ProductQuery::default() }
    }

    /// Active products that match all these words, the best match first. Small typos are forgiven where nothing matches.
    pub fn search(&self, words: impl Into<String>) -> ProductSearch {
        self.products().words(words.into())
    }

    /// Products of any status but deleted, to be filtered and read. Reading them needs
    /// [`Permission::EditCatalog`].
    pub fn admin_products(&self) -> AdminProductSearch {
        AdminProductSearch { catalog: self.clone(), query: AdminProductQuery::default() }
    }
}

/// A page of products with their categories, its cursor bound to `query`.
async fn list(
    reads: &dyn Reads,
    filter: &ProductFilter,
    tree: &CategoryTree,
    query: &impl Serialize,
    page: &PageRequest,
) -> Result<Page<ProductDetail>, CatalogError> {
    let bound = (query, filter.sort);
    let spec = page.spec(&bound)?;
    let nothing = filter.categories.as_ref().is_some_and(Vec::is_empty) || filter.statuses.is_empty();
    if nothing {
        return Ok(Page { items: Vec::new(), next_cursor: None, total: spec.count.then_some(0) });
    }
    let mut listed = reads.list_products(filter, &spec).await?;
    if let (true, Some(terms)) = (listed.items.is_empty(), &filter.search) {
        let similar = reads.load_similar_words(&terms.typed()).await?;
        if let Some(meant) = terms.corrected(&similar) {
            let filter = ProductFilter { search: Some(meant), ..filter.clone() };
            listed = reads.list_products(&filter, &spec).await?;
        }
    }
    Ok(listed.page(&bound).map(|view| ProductDetail::new(view, tree)))
}

/// The words to look for, and whether a text was given that has none.
fn search(q: Option<&str>) -> (Option<SearchTerms>, bool) {
    match Search::parse(q) {
        Search::Everything => (None, false),
        Search::Nothing => (None, true),
        Search::For(terms) => (Some(terms), false),
    }
}

fn sort(wanted: Option<ProductSort>, searching: bool) -> ProductSort {
    match wanted {
        None if searching => ProductSort::Relevance,
        // Without words, nothing is more relevant than anything else.
        Some(ProductSort::Relevance) if !searching => ProductSort::Newest,
        wanted => wanted.unwrap_or_default(),
    }
}
