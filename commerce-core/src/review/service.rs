//! Writing, reading and moderating reviews.

use super::{
    Review, ReviewDraft, ReviewError, ReviewPatch, ReviewQuery, ReviewStatus, Reviews, entity::rating_change, rules,
};
use crate::{
    call::{AccessError, Actor, Call, Done, Identity, Permission},
    catalog::active_product,
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::{ProductId, ReviewId, UserId},
    page::{Page, PageRequest},
    store::{Aggregate, ChangeSet, Claim, ClaimKind, RatingDelta, Reads, StoreError},
};

impl Reviews {
    /// Writes the caller's review of an active product, by its id or slug. It is shown at once; whether they bought the
    /// product comes from their orders.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::NotFound`] if the product isn't active; [`CommonError::Invalid`];
    /// [`ReviewError::AlreadyReviewed`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub async fn create(&self, call: &Call, id_or_slug: &str, draft: ReviewDraft) -> Result<Done<Review>, ReviewError> {
        call.actor.identity()?;
        let (reviews, call, product) = (self.clone(), call.clone(), id_or_slug.to_owned());
        let write = async move {
            let plan = || reviews.plan_create(&call, &product, &draft);
            let refuse = |conflicts: &crate::engine::Conflicts| {
                conflicts.taken(ClaimKind::Review).then_some(ReviewError::AlreadyReviewed)
            };
            reviews.engine.transact(&call, plan, refuse).await
        };
        self.engine.run(write).await
    }

    /// Plans [`create`](Self::create), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: an earlier review.
    pub async fn plan_create(
        &self,
        call: &Call,
        id_or_slug: &str,
        draft: &ReviewDraft,
    ) -> Result<Planned<Review>, ReviewError> {
        let Identity { user: customer_id, .. } = call.actor.identity()?;
        let product_id = active_product(self.engine.reads(), id_or_slug).await?.product.id;
        let ReviewDraft { rating, title, body } = rules::review(draft)?;
        let user = self.engine.reads().load_user(customer_id).await?.ok_or(AccessError::Unauthenticated)?;
        let verified_purchase = bought(self.engine.reads(), customer_id, product_id).await?;
        let mut set = self.engine.set(&call.actor);
        let mut review = Review {
            id: ReviewId(self.engine.uuid()),
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
    pub async fn update(&self, call: &Call, id: ReviewId, patch: ReviewPatch) -> Result<Review, ReviewError> {
        call.actor.identity()?;
        let (reviews, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = reviews.engine.queues.turn(id).await;
            let plan = || reviews.plan_update(&call, id, &patch);
            reviews.engine.transact(&call, plan, |_| None).await
        };
        Ok(self.engine.run(write).await?.value)
    }

    /// Plans [`update`](Self::update), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_update(
        &self,
        call: &Call,
        id: ReviewId,
        patch: &ReviewPatch,
    ) -> Result<Planned<Review>, ReviewError> {
        let Identity { user, .. } = call.actor.identity()?;
        let before = self.load(id).await?;
        if before.customer_id != user {
            return Err(CommonError::NotFound("review").into());
        }
        let after = rules::patched(&before, patch)?;
        Ok(self.plan_change(call, &before, after).await?)
    }

    /// Removes a review: its author's own, or anybody's with the right to moderate. The author may write another.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn delete(&self, call: &Call, id: ReviewId) -> Result<(), ReviewError> {
        require_author_or_moderator(&call.actor)?;
        let (reviews, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = reviews.engine.queues.turn(id).await;
            let plan = || reviews.plan_delete(&call, id);
            reviews.engine.transact(&call, plan, |_| None).await
        };
        self.engine.run(write).await?;
        Ok(())
    }

    /// Plans [`delete`](Self::delete), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_delete(&self, call: &Call, id: ReviewId) -> Result<Planned<()>, ReviewError> {
        require_author_or_moderator(&call.actor)?;
        let review = self.load(id).await?;
        let own = call.actor.user() == Some(review.customer_id);
        if !own && !call.actor.may(Permission::ModerateReviews) {
            return Err(CommonError::NotFound("review").into());
        }
        let mut set = self.engine.set(&call.actor);
        set.free(Claim::review(review.product_id, review.customer_id), id);
        rate(&mut set, review.product_id, rating_change(Some(&review), None));
        set.remove(review.root(), review.version);
        let event = DomainEvent::ReviewRemoved { review: id, product: review.product_id };
        set.event(self.engine.ids(), review.root(), review.version + 1, event);
        Ok(Planned { changes: set, output: () })
    }

    /// The published reviews of an active product, by its id or slug, newest first.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if the product isn't active; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn of_product(
        &self,
        actor: &Actor,
        id_or_slug: &str,
        page: &PageRequest,
    ) -> Result<Page<Review>, ReviewError> {
        // Somebody signed in may just have written theirs, through another server.
        let signed_in = actor.user().is_some();
        let reads = if signed_in { self.engine.reads() } else { self.engine.shown_to(actor) };
        let product = active_product(reads, id_or_slug).await?.product.id;
        let status = Some(ReviewStatus::Published);
        list(reads, &ReviewQuery { product: Some(product), status, customer: None }, page).await
    }

    /// The caller's own reviews, hidden ones too, newest first.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn mine(&self, actor: &Actor, page: &PageRequest) -> Result<Page<Review>, ReviewError> {
        let Identity { user, .. } = actor.identity()?;
        list(self.engine.reads(), &ReviewQuery { customer: Some(user), ..ReviewQuery::default() }, page).await
    }

    /// Everybody's reviews, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn admin_reviews(
        &self,
        actor: &Actor,
        status: Option<ReviewStatus>,
        page: &PageRequest,
    ) -> Result<Page<Review>, ReviewError> {
        actor.require(Permission::ModerateReviews)?;
        list(self.engine.shown_to(actor), &ReviewQuery { status, ..ReviewQuery::default() }, page).await
    }

    /// Hides a review, or shows it again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn moderate(&self, call: &Call, id: ReviewId, status: ReviewStatus) -> Result<Review, ReviewError> {
        call.actor.require(Permission::ModerateReviews)?;
        let (reviews, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = reviews.engine.queues.turn(id).await;
            let plan = || reviews.plan_moderate(&call, id, status);
            reviews.engine.transact(&call, plan, |_| None).await
        };
        Ok(self.engine.run(write).await?.value)
    }

    /// Plans [`moderate`](Self::moderate), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_moderate(
        &self,
        call: &Call,
        id: ReviewId,
        status: ReviewStatus,
    ) -> Result<Planned<Review>, ReviewError> {
        call.actor.require(Permission::ModerateReviews)?;
        let before = self.load(id).await?;
        let after = Review { status, ..before.clone() };
        Ok(self.plan_change(call, &before, after).await?)
    }

    /// Saves a changed review; the set stays empty if nothing changed.
    async fn plan_change(
        &self,
        call: &Call,
        before: &Review,
        mut after: Review,
    ) -> Result<Planned<Review>, StoreError> {
        let verified_purchase = bought(self.engine.reads(), after.customer_id, after.product_id).await?;
        let mut set = self.engine.set(&call.actor);
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
        set.event(self.engine.ids(), review.root(), review.version, event);
    }

    async fn load(&self, id: ReviewId) -> Result<Review, CommonError> {
        self.engine.reads().load_review(id).await?.ok_or(CommonError::NotFound("review"))
    }
}

async fn list(reads: &dyn Reads, query: &ReviewQuery, page: &PageRequest) -> Result<Page<Review>, ReviewError> {
    let slice = page.slice(query)?;
    let mut listed = reads.list_reviews(query, &slice).await?;
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

fn require_author_or_moderator(actor: &Actor) -> Result<(), AccessError> {
    if actor.may(Permission::ModerateReviews) {
        return Ok(());
    }
    actor.identity().map(|_| ())
}

fn rate(set: &mut ChangeSet, product: ProductId, delta: RatingDelta) {
    if delta != RatingDelta::default() {
        set.rate(product, delta);
    }
}
