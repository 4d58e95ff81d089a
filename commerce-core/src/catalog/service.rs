//! What everybody may ask of the catalogue.

use super::{
    Catalog, CatalogError, Category, CategoryNode, CategoryTree, ProductDetail, ProductFilter, ProductKey,
    ProductQuery, ProductSort, ProductStatus, ProductView, SearchTerms, rules, search::Search, slug::is_slug,
};
use crate::{
    context::Actor,
    error::{CommonError, Invalid},
    id::{CategoryId, ProductId},
    page::{Page, PageRequest},
    store::{Claim, Reads},
    text::check_filter,
};

impl Catalog {
    /// Active products. An unknown category, and words without any letter or digit, match nothing.
    ///
    /// # Errors
    /// [`CommonError::Invalid`] if a price filter isn't in the shop's currency (`/min_price`, `/max_price`) or the rating
    /// filter isn't between 0 and 5 (`/min_rating`); [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn products(
        &self,
        actor: &Actor,
        query: ProductQuery,
        page: &PageRequest,
    ) -> Result<Page<ProductDetail>, CatalogError> {
        check_filter(&[("/q", query.q.as_deref()), ("/category", query.category.as_deref())])?;
        let currency = self.engine.settings.currency;
        let min_price = rules::filter_price("/min_price", query.min_price, currency)?;
        let max_price = rules::filter_price("/max_price", query.max_price, currency)?;
        if query.min_rating.is_some_and(|stars| !(0.0..=5.0).contains(&stars)) {
            return Err(Invalid::field("/min_rating", "out_of_range", "must be between 0 and 5").into());
        }
        let reads = self.engine.reads_for(actor);
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
        self.list(reads, &filter, &tree, &query, page).await
    }

    /// An active product, by id, slug or former slug: who asked by the last is led on to the slug that the answer has.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if there is none or it isn't active; [`CommonError::Store`].
    pub async fn product(&self, actor: &Actor, id_or_slug: &str) -> Result<ProductDetail, CatalogError> {
        let reads = self.engine.reads_for(actor);
        let view = active_product(reads, id_or_slug).await?;
        let tree = reads.load_categories().await?;
        Ok(ProductDetail::new(view, &tree))
    }

    /// The category tree, with how many active products are in each category or below it.
    ///
    /// # Errors
    /// [`CommonError::Store`].
    pub async fn categories(&self, actor: &Actor) -> Result<Vec<CategoryNode>, CatalogError> {
        let reads = self.engine.reads_for(actor);
        let tree = reads.load_categories().await?;
        let counts = reads.count_products().await?;
        Ok(tree.build(&counts))
    }

    /// A category with everything below it, by id, slug or former slug.
    ///
    /// # Errors
    /// [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn category(&self, actor: &Actor, id_or_slug: &str) -> Result<CategoryNode, CatalogError> {
        let reads = self.engine.reads_for(actor);
        let tree = reads.load_categories().await?;
        let id = find_category(reads, &tree, id_or_slug).await?.ok_or(CommonError::NotFound("category"))?.id;
        let counts = reads.count_products().await?;
        Ok(tree.node(id, &counts).ok_or(CommonError::NotFound("category"))?)
    }

    /// A page of products with their categories, its cursor bound to `query`.
    pub(super) async fn list(
        &self,
        reads: &dyn Reads,
        filter: &ProductFilter,
        tree: &CategoryTree,
        query: &impl serde::Serialize,
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
}

/// An active product as shown, by id, slug or former slug.
pub(crate) async fn active_product(reads: &dyn Reads, id_or_slug: &str) -> Result<ProductView, CommonError> {
    let key = ProductKey::parse(id_or_slug).ok_or(CommonError::NotFound("product"))?;
    let view = reads.view_product(&key).await?;
    // A deleted product has given its slug back.
    let mut view = view.filter(|view| view.product.status != ProductStatus::Deleted);
    if let (None, ProductKey::Slug(slug)) = (&view, &key)
        && let Some(owner) = reads.load_claim(&Claim::former_product_slug(slug)).await?
    {
        view = reads.view_product(&ProductKey::Id(ProductId(owner))).await?;
    }
    let view = view.filter(|view| view.product.status == ProductStatus::Active);
    view.ok_or(CommonError::NotFound("product"))
}

/// A category by id, slug or former slug.
async fn find_category<'a>(
    reads: &dyn Reads,
    tree: &'a CategoryTree,
    id_or_slug: &str,
) -> Result<Option<&'a Category>, CommonError> {
    if let Some(category) = tree.find(id_or_slug) {
        return Ok(Some(category));
    }
    if !is_slug(id_or_slug) {
        return Ok(None);
    }
    let owner = reads.load_claim(&Claim::former_category_slug(id_or_slug)).await?;
    Ok(owner.and_then(|owner| tree.get(CategoryId(owner))))
}

/// The words to look for, and whether a text was given that has none.
pub(super) fn search(q: Option<&str>) -> (Option<SearchTerms>, bool) {
    match Search::parse(q) {
        Search::Everything => (None, false),
        Search::Nothing => (None, true),
        Search::For(terms) => (Some(terms), false),
    }
}

pub(super) fn sort(wanted: Option<ProductSort>, searching: bool) -> ProductSort {
    match wanted {
        None if searching => ProductSort::Relevance,
        // Without words, nothing is more relevant than anything else.
        Some(ProductSort::Relevance) if !searching => ProductSort::Newest,
        wanted => wanted.unwrap_or_default(),
    }
}
