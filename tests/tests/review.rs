//! Reviews and the ratings they add up to.

mod shop;

use std::future::IntoFuture as _;

use commerce_core::{
    catalog::ProductStatus,
    context::{AccessError, RequestContext, Role},
    error::CommonError,
    event::DomainEvent,
    id::{IdGenerator, ReviewId, UuidV7},
    page::PageRequest,
    review::{NewReview, Review, ReviewError, ReviewPatch, ReviewStatus},
    store::AggregateId,
};
use shop::{Shop, broken, draft, everything, once, open, someone};

fn stars(rating: i64) -> NewReview {
    NewReview::new(rating, " Sturdy ", "Survived a fall.\nTwice.")
}

impl Shop {
    async fn ada(&self) -> RequestContext {
        self.user("ada@example.com", "Ada", "Lovelace", Role::Customer).await
    }

    /// Sum and count, as the product shows them.
    async fn rating(&self, slug: &str) -> (i64, i64) {
        let view = self.as_guest().catalog().product(slug).await.unwrap();
        (view.rating_sum, view.rating_count)
    }

    async fn shown(&self, slug: &str) -> Vec<ReviewId> {
        let page = self.as_guest().reviews().of_product(slug, &everything()).await.unwrap();
        page.items.into_iter().map(|review| review.id).collect()
    }

    async fn moderated(&self, id: ReviewId, status: ReviewStatus) -> Review {
        self.acting_as(someone(Role::Support)).reviews().moderate(id, status).await.unwrap()
    }
}

fn common(error: ReviewError) -> CommonError {
    match error {
        ReviewError::Common(error) => error,
        ReviewError::AlreadyReviewed => panic!("reviewed already"),
    }
}

#[allow(clippy::needless_pass_by_value)] // What is called with is made for it.
fn is_not_found<T: std::fmt::Debug>(result: Result<T, ReviewError>) {
    assert!(matches!(result, Err(ReviewError::Common(CommonError::NotFound(_)))), "{result:?}");
}

#[tokio::test]
async fn a_review_is_shown_at_once_and_counts() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 5).await;
    let ada = shop.ada().await;
    let done = shop.acting_as(&ada).reviews().create("mug", stars(4)).outcome().await.unwrap();
    assert!(!done.replayed);
    let review = done.value;
    assert_eq!((review.author.as_str(), review.title.as_str(), review.rating), ("Ada L.", "Sturdy", 4));
    assert_eq!(
        (review.product_id, review.status, review.verified_purchase),
        (product.id, ReviewStatus::Published, false)
    );
    assert_eq!(shop.rating("mug").await, (4, 1));
    let id = product.id.to_string();
    for key in ["mug", &id] {
        let page = shop.as_guest().reviews().of_product(key, &everything()).await.unwrap();
        assert_eq!((page.items, page.total), (vec![review.clone()], Some(1)));
    }
    let error = shop.acting_as(&ada).reviews().create(&id, stars(1)).await.unwrap_err();
    assert!(matches!(error, ReviewError::AlreadyReviewed), "{error:?}");
    let bob = shop.user("bob@example.com", "Bob", "stone", Role::Customer).await;
    shop.later();
    let second = shop.acting_as(&bob).reviews().create("mug", stars(1)).await.unwrap();
    assert_eq!(second.author, "Bob S.");
    assert_eq!(shop.rating("mug").await, (5, 2));
    assert_eq!(shop.shown("mug").await, [second.id, review.id], "newest first");
    let mine = shop.acting_as(&ada.actor).reviews().mine(&everything()).await.unwrap().items;
    assert_eq!(mine, std::slice::from_ref(&review));
    let events = shop.store().reads().list_events(AggregateId::Review(review.id)).await.unwrap();
    assert_eq!(events[0].event, DomainEvent::ReviewPublished { review: review.id, product: product.id });
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn whether_it_was_bought_comes_from_the_orders() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 5).await;
    shop.product("Cup", "CUP", 100, 5).await;
    let ada = shop.ada().await;
    shop.buy(&ada, product.variants[0].id).await;
    assert!(shop.acting_as(&ada).reviews().create("mug", stars(5)).await.unwrap().verified_purchase);
    assert!(!shop.acting_as(&ada).reviews().create("cup", stars(5)).await.unwrap().verified_purchase);
}

#[tokio::test]
async fn what_was_bought_follows_the_orders() {
    let shop = open().await;
    let mug = shop.product("Mug", "MUG", 100, 5).await;
    let ada = shop.ada().await;
    let review = shop.acting_as(&ada).reviews().create("mug", stars(5)).await.unwrap();
    assert!(!review.verified_purchase, "nothing was bought yet");
    let shown = async || {
        let listed = shop.as_guest().reviews().of_product("mug", &everything()).await.unwrap().items;
        let mine = shop.acting_as(&ada).reviews().mine(&everything()).await.unwrap().items;
        let staff = shop.as_system().reviews().admin_reviews(None, &everything()).await.unwrap().items;
        assert_eq!(listed, mine);
        assert_eq!(listed, staff);
        listed[0].verified_purchase
    };
    assert!(!shown().await);
    let order = shop.buy(&ada, mug.variants[0].id).await;
    assert!(shown().await, "bought after the review");
    let moderated = shop.moderated(review.id, ReviewStatus::Published).await;
    assert!(moderated.verified_purchase);
    shop.acting_as(&ada).orders().cancel(order.id, commerce_core::order::Cancellation::all()).await.unwrap();
    assert!(!shown().await, "the order was cancelled");
    let patch = ReviewPatch::new().rating(3);
    assert!(!shop.acting_as(&ada).reviews().update(review.id, patch).await.unwrap().verified_purchase);
}

#[tokio::test]
async fn only_active_products_can_be_reviewed() {
    let shop = open().await;
    let ada = shop.ada().await;
    let draft = draft("Mug", "MUG", 100, 1).status(ProductStatus::Draft);
    shop.as_system().catalog().create(draft).await.unwrap();
    for key in ["mug", "nothing", "No Slug\0", "0190a2f4-7c1e-7000-8000-000000000001"] {
        is_not_found(shop.acting_as(&ada).reviews().create(key, stars(9)).await);
        is_not_found(shop.acting_as(&ada.actor).reviews().of_product(key, &everything()).await);
    }
}

#[tokio::test]
async fn broken_rules_are_named() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let bad = NewReview::new(6, "x".repeat(121), " ");
    let error = common(shop.acting_as(&ada).reviews().create("mug", bad).await.unwrap_err());
    assert_eq!(broken(&error), [("/rating", "out_of_range"), ("/title", "too_long"), ("/body", "required")]);
    let review = shop.acting_as(&ada).reviews().create("mug", stars(3)).await.unwrap();
    let patch = ReviewPatch::new().rating(0);
    let error = common(shop.acting_as(&ada).reviews().update(review.id, patch).await.unwrap_err());
    assert_eq!(broken(&error), [("/rating", "out_of_range")]);
    assert_eq!(shop.rating("mug").await, (3, 1));
}

#[tokio::test]
async fn authors_change_and_remove_their_own() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let (ada, eve) = (shop.ada().await, someone(Role::Customer));
    let review = shop.acting_as(&ada).reviews().create("mug", stars(5)).await.unwrap();
    shop.later();
    let patch = |rating| ReviewPatch::new().rating(rating);
    let changed = shop.acting_as(&ada).reviews().update(review.id, patch(2)).await.unwrap();
    assert_eq!((changed.rating, changed.version, changed.body == review.body), (2, 2, true));
    assert!(changed.updated_at > review.updated_at);
    assert_eq!(shop.rating("mug").await, (2, 1));
    assert_eq!(shop.acting_as(&ada).reviews().update(review.id, patch(2)).await.unwrap(), changed, "nothing to change");

    for other in [&eve, &someone(Role::Support), &someone(Role::Admin)] {
        is_not_found(shop.acting_as(other).reviews().update(review.id, patch(1)).await);
    }
    is_not_found(shop.acting_as(&eve).reviews().delete(review.id).await);
    is_not_found(shop.acting_as(&ada).reviews().update(ReviewId(UuidV7.uuid()), patch(1)).await);
    shop.acting_as(&ada).reviews().delete(review.id).await.unwrap();
    is_not_found(shop.acting_as(&ada).reviews().delete(review.id).await);
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(shop.shown("mug").await.is_empty());
    let last = shop.store().reads().list_events(AggregateId::Review(review.id)).await.unwrap().pop().unwrap();
    assert_eq!((last.version, last.event.name().as_str()), (3, "review_removed"));

    let again = shop.acting_as(&ada).reviews().create("mug", stars(1)).await.unwrap();
    shop.acting_as(someone(Role::Support)).reviews().delete(again.id).await.unwrap();
    assert_eq!(shop.rating("mug").await, (0, 0));
}

#[tokio::test]
async fn hidden_reviews_dont_count_until_they_are_shown_again() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let review = shop.acting_as(&ada).reviews().create("mug", stars(5)).await.unwrap();
    let hidden = shop.moderated(review.id, ReviewStatus::Hidden).await;
    assert_eq!((hidden.status, hidden.version), (ReviewStatus::Hidden, 2));
    assert_eq!(shop.moderated(review.id, ReviewStatus::Hidden).await, hidden, "hidden once is hidden");
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(shop.shown("mug").await.is_empty());
    assert_eq!(shop.acting_as(&ada.actor).reviews().mine(&everything()).await.unwrap().total, Some(1));

    // Editing doesn't bring it back.
    let patch = ReviewPatch::new().rating(3);
    assert_eq!(shop.acting_as(&ada).reviews().update(review.id, patch).await.unwrap().status, ReviewStatus::Hidden);
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(matches!(shop.acting_as(&ada).reviews().create("mug", stars(5)).await, Err(ReviewError::AlreadyReviewed)));

    let support = someone(Role::Support).actor;
    let total =
        async |status| shop.acting_as(&support).reviews().admin_reviews(status, &everything()).await.unwrap().total;
    assert_eq!(total(None).await, Some(1));
    assert_eq!(total(Some(ReviewStatus::Hidden)).await, Some(1));
    assert_eq!(total(Some(ReviewStatus::Published)).await, Some(0));
    shop.moderated(review.id, ReviewStatus::Published).await;
    assert_eq!(shop.rating("mug").await, (3, 1));
    shop.moderated(review.id, ReviewStatus::Hidden).await;
    shop.acting_as(&ada).reviews().delete(review.id).await.unwrap();
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn reviews_come_in_pages() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    for n in 0..3 {
        let user = shop.user(&format!("user{n}@example.com"), "U", "Ser", Role::Customer).await;
        shop.acting_as(&user).reviews().create("mug", stars(n + 1)).await.unwrap();
        shop.later();
    }
    let page = |cursor| PageRequest { limit: 2, cursor, count: false };
    let first = shop.as_guest().reviews().of_product("mug", &page(None)).await.unwrap();
    let rest = shop.as_guest().reviews().of_product("mug", &page(first.next_cursor.clone())).await.unwrap();
    let ratings: Vec<_> = first.items.iter().chain(&rest.items).map(|review| review.rating).collect();
    assert_eq!((ratings, rest.next_cursor), (vec![3, 2, 1], None));
    let error = shop.as_system().reviews().admin_reviews(None, &page(first.next_cursor)).await.unwrap_err();
    assert!(matches!(common(error), CommonError::Cursor(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_review_each_however_often_it_is_sent() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let tries: Vec<_> =
        (0..10).map(|_| tokio::spawn(shop.acting_as(&ada).reviews().create("mug", stars(4)).into_future())).collect();
    let mut written = 0;
    for one in tries {
        match one.await.unwrap() {
            Ok(_) => written += 1,
            Err(ReviewError::AlreadyReviewed) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((written, shop.rating("mug").await), (1, (4, 1)));

    shop.product("Cup", "CUP", 100, 1).await;
    let keyed = || shop.acting_as(&ada).reviews().create("cup", stars(4)).idempotent(once("review", "cup")).outcome();
    let first = keyed().await.unwrap();
    let again = keyed().await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.value, shop.rating("cup").await), (first.value, (4, 1)));
}

#[tokio::test]
async fn only_those_who_may_write_and_moderate_do() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let review = shop.acting_as(&shop.ada().await).reviews().create("mug", stars(5)).await.unwrap();
    let reviews = |call: &RequestContext| shop.acting_as(call).reviews();
    let (guest, system) = (RequestContext::guest(), RequestContext::system());
    let bad = PageRequest { cursor: Some("nonsense".into()), ..PageRequest::default() };
    let hidden = ReviewStatus::Hidden;
    let unauthenticated = [
        reviews(&guest).create("nothing", stars(9)).await.err(),
        reviews(&system).create("mug", stars(1)).await.err(),
        reviews(&guest).update(review.id, ReviewPatch::default()).await.err(),
        reviews(&guest).delete(review.id).await.err(),
        reviews(&guest).mine(&bad).await.err(),
        reviews(&guest).admin_reviews(None, &bad).await.err(),
        reviews(&guest).moderate(review.id, hidden).await.err(),
    ];
    for refusal in unauthenticated {
        let error = common(refusal.expect("a refusal"));
        assert!(matches!(error, CommonError::Access(AccessError::Unauthenticated)), "{error:?}");
    }
    let customer = someone(Role::Customer);
    let forbidden = [
        reviews(&customer).admin_reviews(None, &bad).await.err(),
        reviews(&customer).moderate(review.id, hidden).await.err(),
        reviews(&customer).moderate(review.id, hidden).prepare().await.err(),
    ];
    for refusal in forbidden {
        let error = common(refusal.expect("a refusal"));
        assert!(matches!(error, CommonError::Access(AccessError::Forbidden(_))), "{error:?}");
    }
    is_not_found(reviews(&someone(Role::Support)).moderate(ReviewId(UuidV7.uuid()), hidden).await);
    assert_eq!(shop.rating("mug").await, (5, 1));
}
