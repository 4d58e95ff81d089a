//! Writing, reading and moderating reviews.

use super::{NewReview, Review, ReviewError, ReviewPatch, ReviewQuery, ReviewStatus, model::rating_change, rules};
use crate::{
    catalog::active_product,
    context::{AccessError, Actor, Identity, Permission},
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::{ProductId, ReviewId, UserId},
    page::{Page, PageRequest},
    store::{Aggregate, ChangeSet, Claim, ClaimKind, RatingDelta, Reads, StoreError},
    write::{OneCommit, Scope, Write, WriteContext},
};

/// Reviews and ratings.
///
/// Everybody sees published reviews of active products; signed-in users write one for each product; hiding needs
/// [`Permission::ModerateReviews`](crate::context::Permission::ModerateReviews).
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// let ada = shop.sign_in("ada@example.com", "difference engine no 2").await?;
/// let review = ada.reviews().create("enamel-mug", NewReview::new(5, "Sturdy", "Survived a fall.")).await?;
/// assert!(!review.verified_purchase); // she hasn't bought it
/// assert_eq!(shop.as_guest().catalog().product("enamel-mug").await?.rating_average(), 5.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Reviews {
    scope: Scope,
}

impl Reviews {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

impl Reviews {
    /// Writes the caller's review of an active product, by its id or slug. It is shown at once; whether they bought the
    /// product comes from their orders.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::NotFound`] if the product isn't active; [`CommonError::Invalid`];
    /// [`ReviewError::AlreadyReviewed`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn create(&self, id_or_slug: &str, review: NewReview) -> Write<Review, ReviewError> {
        let input = (id_or_slug.to_owned(), review);
        let plan = OneCommit::new("reviews.create", self.clone(), input, |reviews, write, (product, review)| {
            Box::pin(reviews.plan_create(write, product, review))
        });
        self.scope.write(
            plan.allowed_to(signed_in)
                .refused_by(|_, conflicts| conflicts.taken(ClaimKind::Review).then_some(ReviewError::AlreadyReviewed)),
        )
    }

    async fn plan_create(
        &self,
        write: &WriteContext,
        id_or_slug: &str,
        review: &NewReview,
    ) -> Result<Planned<Review>, ReviewError> {
        let Identity { user: customer_id, .. } = write.actor().identity()?;
        let product_id = active_product(self.scope.engine.reads(), id_or_slug).await?.product.id;
        let NewReview { rating, title, body } = rules::review(review)?;
        let user = self.scope.engine.reads().load_user(customer_id).await?.ok_or(AccessError::Unauthenticated)?;
        let verified_purchase = bought(self.scope.engine.reads(), customer_id, product_id).await?;
        let mut set = self.scope.engine.set(write.actor());
        let mut review = Review {
            id: ReviewId(self.scope.engine.uuid()),
            product_id,
            customer_id,
            rating,
            title,
            body,
            author: rules::author(&user.first_name, &user.last_name),
            verified_purchase,
            status: ReviewStatus::Published,
            created_at: set.at(),
            updated_at: set.at(),
            version: 0,
        };
        set.hold(Claim::review(product_id, customer_id), review.id);
        rate(&mut set, product_id, rating_change(None, Some(&review)));
        set.insert(&mut review);
        self.event(&mut set, &review, DomainEvent::ReviewPublished { review: review.id, product: product_id });
        Ok(Planned { changes: set, output: review })
    }

    /// Changes the caller's own review. A hidden one stays hidden.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::NotFound`] if there is none or it is somebody else's;
    /// [`CommonError::Invalid`]; [`CommonError::Store`].
    pub fn update(&self, id: ReviewId, patch: ReviewPatch) -> Write<Review, ReviewError> {
        let plan = OneCommit::new("reviews.update", self.clone(), (id, patch), |reviews, write, (id, patch)| {
            Box::pin(reviews.plan_update(write, *id, patch))
        });
        self.scope.write(plan.allowed_to(signed_in).in_turn(id))
    }

    async fn plan_update(
        &self,
        write: &WriteContext,
        id: ReviewId,
        patch: &ReviewPatch,
    ) -> Result<Planned<Review>, ReviewError> {
        let Identity { user, .. } = write.actor().identity()?;
        let before = self.load(id).await?;
        if before.customer_id != user {
            return Err(CommonError::NotFound("review").into());
        }
        let after = rules::patched(&before, patch)?;
        write.check_version(before.version)?;
        Ok(self.plan_change(write, &before, after).await?)
    }

    /// Removes a review: its author's own, or anybody's with the right to moderate. The author may write another.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub fn delete(&self, id: ReviewId) -> Write<(), ReviewError> {
        let plan = OneCommit::new("reviews.delete", self.clone(), id, |reviews, write, id| {
            Box::pin(reviews.plan_delete(write, *id))
        });
        self.scope.write(plan.allowed_to(author_or_moderator).in_turn(id))
    }

    async fn plan_delete(&self, write: &WriteContext, id: ReviewId) -> Result<Planned<()>, ReviewError> {
        let review = self.load(id).await?;
        let own = write.actor().user() == Some(review.customer_id);
        if !own && !write.actor().may(Permission::ModerateReviews) {
            return Err(CommonError::NotFound("review").into());
        }
        write.check_version(review.version)?;
        let mut set = self.scope.engine.set(write.actor());
        set.free(Claim::review(review.product_id, review.customer_id), id);
        rate(&mut set, review.product_id, rating_change(Some(&review), None));
        set.remove(review.root(), review.version);
        let event = DomainEvent::ReviewRemoved { review: id, product: review.product_id };
        set.event(self.scope.engine.ids(), review.root(), review.version + 1, event);
        Ok(Planned { changes: set, output: () })
    }

    /// The published reviews of an active product, by its id or slug, newest first.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if the product isn't active; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn of_product(&self, id_or_slug: &str, page: &PageRequest) -> Result<Page<Review>, ReviewError> {
        // Somebody signed in may just have written theirs, through another server.
        let actor = self.scope.actor();
        let reads = if actor.user().is_some() { self.scope.engine.reads() } else { self.scope.engine.reads_for(actor) };
        let product = active_product(reads, id_or_slug).await?.product.id;
        let status = Some(ReviewStatus::Published);
        list(reads, &ReviewQuery { product: Some(product), status, customer: None }, page).await
    }

    /// The caller's own reviews, hidden ones too, newest first.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn mine(&self, page: &PageRequest) -> Result<Page<Review>, ReviewError> {
        let Identity { user, .. } = self.scope.actor().identity()?;
        list(self.scope.engine.reads(), &ReviewQuery { customer: Some(user), ..ReviewQuery::default() }, page).await
    }

    /// Everybody's reviews, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn admin_reviews(
        &self,
        status: Option<ReviewStatus>,
        page: &PageRequest,
    ) -> Result<Page<Review>, ReviewError> {
        self.scope.actor().require(Permission::ModerateReviews)?;
        list(self.scope.engine.reads_for(self.scope.actor()), &ReviewQuery { status, ..ReviewQuery::default() }, page)
            .await
    }

    /// Hides a review, or shows it again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub fn moderate(&self, id: ReviewId, status: ReviewStatus) -> Write<Review, ReviewError> {
        let plan = OneCommit::new("reviews.moderate", self.clone(), (id, status), |reviews, write, (id, status)| {
            Box::pin(reviews.plan_moderate(write, *id, *status))
        });
        self.scope.write(plan.allowed_to(|actor| actor.require(Permission::ModerateReviews)).in_turn(id))
    }

    async fn plan_moderate(
        &self,
        write: &WriteContext,
        id: ReviewId,
        status: ReviewStatus,
    ) -> Result<Planned<Review>, ReviewError> {
        let before = self.load(id).await?;
        write.check_version(before.version)?;
        let after = Review { status, ..before.clone() };
        Ok(self.plan_change(write, &before, after).await?)
    }

    /// Saves a changed review; the set stays empty if nothing changed.
    async fn plan_change(
        &self,
        write: &WriteContext,
        before: &Review,
        mut after: Review,
    ) -> Result<Planned<Review>, StoreError> {
        let verified_purchase = bought(self.scope.engine.reads(), after.customer_id, after.product_id).await?;
        let mut set = self.scope.engine.set(write.actor());
        if after != *before {
            (after.updated_at, after.verified_purchase) = (set.at(), verified_purchase);
            rate(&mut set, after.product_id, rating_change(Some(before), Some(&after)));
            set.update(before, &mut after);
            let event = DomainEvent::ReviewChanged { review: after.id, product: after.product_id };
            self.event(&mut set, &after, event);
        }
        Ok(Planned { changes: set, output: Review { verified_purchase, ..after } })
    }

    fn event(&self, set: &mut ChangeSet, review: &Review, event: DomainEvent) {
        set.event(self.scope.engine.ids(), review.root(), review.version, event);
    }

    async fn load(&self, id: ReviewId) -> Result<Review, CommonError> {
        self.scope.engine.reads().load_review(id).await?.ok_or(CommonError::NotFound("review"))
    }
}

async fn list(reads: &dyn Reads, query: &ReviewQuery, page: &PageRequest) -> Result<Page<Review>, ReviewError> {
    let spec = page.spec(query)?;
    let mut listed = reads.list_reviews(query, &spec).await?;
    look_up_purchases(reads, &mut listed.items).await?;
    Ok(listed.page(query))
}

/// Sets whether the authors have bought the products, as their orders stand now.
pub(crate) async fn look_up_purchases(reads: &dyn Reads, reviews: &mut [Review]) -> Result<(), StoreError> {
    let pairs: Vec<_> = reviews.iter().map(|review| (review.customer_id, review.product_id)).collect();
    if !pairs.is_empty() {
        let purchases = reads.load_purchases(&pairs).await?;
        for (review, pair) in reviews.iter_mut().zip(pairs) {
            review.verified_purchase = purchases.contains(&pair);
        }
    }
    Ok(())
}

async fn bought(reads: &dyn Reads, customer: UserId, product: ProductId) -> Result<bool, StoreError> {
    Ok(!reads.load_purchases(&[(customer, product)]).await?.is_empty())
}

fn signed_in(actor: &Actor) -> Result<(), AccessError> {
    actor.identity().map(|_| ())
}

fn author_or_moderator(actor: &Actor) -> Result<(), AccessError> {
    if actor.may(Permission::ModerateReviews) {
        return Ok(());
    }
    signed_in(actor)
}

fn rate(set: &mut ChangeSet, product: ProductId, delta: RatingDelta) {
    if delta != RatingDelta::default() {
        set.rate(product, delta);
    }
}
