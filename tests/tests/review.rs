//! Reviews and the ratings they add up to.

mod shop;

use commerce_core::{
    call::{AccessError, Actor, Call, Role},
    catalog::{ProductDraft, ProductStatus},
    error::CommonError,
    event::DomainEvent,
    id::{IdGenerator, ReviewId, UuidV7},
    page::PageRequest,
    review::{Review, ReviewDraft, ReviewError, ReviewPatch, ReviewStatus},
    store::Root,
};
use shop::{Shop, broken, draft, everything, once, open, someone};

fn stars(rating: i64) -> ReviewDraft {
    ReviewDraft { rating, title: " Sturdy ".into(), body: "Survived a fall.\nTwice.".into() }
}

impl Shop {
    async fn ada(&self) -> Call {
        self.user("ada@example.com", "Ada", "Lovelace", Role::Customer).await
    }

    /// Sum and count, as the product shows them.
    async fn rating(&self, slug: &str) -> (i64, i64) {
        let view = self.catalog().product(&Actor::guest(), slug).await.unwrap().view;
        (view.rating_sum, view.rating_count)
    }

    async fn shown(&self, slug: &str) -> Vec<ReviewId> {
        let page = self.reviews().of_product(&Actor::guest(), slug, &everything()).await.unwrap();
        page.items.into_iter().map(|review| review.id).collect()
    }

    async fn moderated(&self, id: ReviewId, status: ReviewStatus) -> Review {
        self.reviews().moderate(&someone(Role::Support), id, status).await.unwrap()
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
    let product = shop.product("Mug", "MUG", 100, 5).await.view.product;
    let ada = shop.ada().await;
    let done = shop.reviews().create(&ada, "mug", stars(4)).await.unwrap();
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
        let page = shop.reviews().of_product(&Actor::guest(), key, &everything()).await.unwrap();
        assert_eq!((page.items, page.total), (vec![review.clone()], Some(1)));
    }
    let error = shop.reviews().create(&ada, &id, stars(1)).await.unwrap_err();
    assert!(matches!(error, ReviewError::AlreadyReviewed), "{error:?}");
    let bob = shop.user("bob@example.com", "Bob", "stone", Role::Customer).await;
    shop.later();
    let second = shop.reviews().create(&bob, "mug", stars(1)).await.unwrap().value;
    assert_eq!(second.author, "Bob S.");
    assert_eq!(shop.rating("mug").await, (5, 2));
    assert_eq!(shop.shown("mug").await, [second.id, review.id], "newest first");
    let mine = shop.reviews().mine(&ada.actor, &everything()).await.unwrap().items;
    assert_eq!(mine, std::slice::from_ref(&review));
    let events = shop.store().reads().list_events(Root::Review(review.id)).await.unwrap();
    assert_eq!(events[0].event, DomainEvent::ReviewPublished { review: review.id, product: product.id });
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn whether_it_was_bought_comes_from_the_orders() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 5).await.view.product;
    shop.product("Cup", "CUP", 100, 5).await;
    let ada = shop.ada().await;
    shop.buy(&ada, product.variants[0].id).await;
    assert!(shop.reviews().create(&ada, "mug", stars(5)).await.unwrap().value.verified_purchase);
    assert!(!shop.reviews().create(&ada, "cup", stars(5)).await.unwrap().value.verified_purchase);
}

#[tokio::test]
async fn what_was_bought_follows_the_orders() {
    let shop = open().await;
    let mug = shop.product("Mug", "MUG", 100, 5).await.view.product;
    let ada = shop.ada().await;
    let review = shop.reviews().create(&ada, "mug", stars(5)).await.unwrap().value;
    assert!(!review.verified_purchase, "nothing was bought yet");
    let shown = async || {
        let listed = shop.reviews().of_product(&Actor::guest(), "mug", &everything()).await.unwrap().items;
        let mine = shop.reviews().mine(&ada.actor, &everything()).await.unwrap().items;
        let staff = shop.reviews().admin_reviews(&Actor::System, None, &everything()).await.unwrap().items;
        assert_eq!(listed, mine);
        assert_eq!(listed, staff);
        listed[0].verified_purchase
    };
    assert!(!shown().await);
    let order = shop.buy(&ada, mug.variants[0].id).await;
    assert!(shown().await, "bought after the review");
    let moderated = shop.moderated(review.id, ReviewStatus::Published).await;
    assert!(moderated.verified_purchase);
    shop.orders().cancel(&ada, order.id).await.unwrap();
    assert!(!shown().await, "the order was cancelled");
    let patch = ReviewPatch { rating: Some(3), ..ReviewPatch::default() };
    assert!(!shop.reviews().update(&ada, review.id, patch).await.unwrap().verified_purchase);
}

#[tokio::test]
async fn only_active_products_can_be_reviewed() {
    let shop = open().await;
    let ada = shop.ada().await;
    let draft = ProductDraft { status: ProductStatus::Draft, ..draft("Mug", "MUG", 100, 1) };
    shop.catalog().create_product(&Call::system(), draft).await.unwrap();
    for key in ["mug", "nothing", "No Slug\0", "0190a2f4-7c1e-7000-8000-000000000001"] {
        is_not_found(shop.reviews().create(&ada, key, stars(9)).await);
        is_not_found(shop.reviews().of_product(&ada.actor, key, &everything()).await);
    }
}

#[tokio::test]
async fn broken_rules_are_named() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let bad = ReviewDraft { rating: 6, title: "x".repeat(121), body: " ".into() };
    let error = common(shop.reviews().create(&ada, "mug", bad).await.unwrap_err());
    assert_eq!(broken(&error), [("/rating", "out_of_range"), ("/title", "too_long"), ("/body", "required")]);
    let review = shop.reviews().create(&ada, "mug", stars(3)).await.unwrap().value;
    let patch = ReviewPatch { rating: Some(0), ..ReviewPatch::default() };
    let error = common(shop.reviews().update(&ada, review.id, patch).await.unwrap_err());
    assert_eq!(broken(&error), [("/rating", "out_of_range")]);
    assert_eq!(shop.rating("mug").await, (3, 1));
}

#[tokio::test]
async fn authors_change_and_remove_their_own() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let (ada, eve) = (shop.ada().await, someone(Role::Customer));
    let review = shop.reviews().create(&ada, "mug", stars(5)).await.unwrap().value;
    shop.later();
    let patch = |rating| ReviewPatch { rating: Some(rating), ..ReviewPatch::default() };
    let changed = shop.reviews().update(&ada, review.id, patch(2)).await.unwrap();
    assert_eq!((changed.rating, changed.version, changed.body == review.body), (2, 2, true));
    assert!(changed.updated_at > review.updated_at);
    assert_eq!(shop.rating("mug").await, (2, 1));
    assert_eq!(shop.reviews().update(&ada, review.id, patch(2)).await.unwrap(), changed, "nothing to change");

    for other in [&eve, &someone(Role::Support), &someone(Role::Admin)] {
        is_not_found(shop.reviews().update(other, review.id, patch(1)).await);
    }
    is_not_found(shop.reviews().delete(&eve, review.id).await);
    is_not_found(shop.reviews().update(&ada, ReviewId(UuidV7.uuid()), patch(1)).await);
    shop.reviews().delete(&ada, review.id).await.unwrap();
    is_not_found(shop.reviews().delete(&ada, review.id).await);
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(shop.shown("mug").await.is_empty());
    let last = shop.store().reads().list_events(Root::Review(review.id)).await.unwrap().pop().unwrap();
    assert_eq!((last.version, last.event.name().as_str()), (3, "review_removed"));

    let again = shop.reviews().create(&ada, "mug", stars(1)).await.unwrap().value;
    shop.reviews().delete(&someone(Role::Support), again.id).await.unwrap();
    assert_eq!(shop.rating("mug").await, (0, 0));
}

#[tokio::test]
async fn hidden_reviews_dont_count_until_they_are_shown_again() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let review = shop.reviews().create(&ada, "mug", stars(5)).await.unwrap().value;
    let hidden = shop.moderated(review.id, ReviewStatus::Hidden).await;
    assert_eq!((hidden.status, hidden.version), (ReviewStatus::Hidden, 2));
    assert_eq!(shop.moderated(review.id, ReviewStatus::Hidden).await, hidden, "hidden once is hidden");
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(shop.shown("mug").await.is_empty());
    assert_eq!(shop.reviews().mine(&ada.actor, &everything()).await.unwrap().total, Some(1));

    // Editing doesn't bring it back.
    let patch = ReviewPatch { rating: Some(3), ..ReviewPatch::default() };
    assert_eq!(shop.reviews().update(&ada, review.id, patch).await.unwrap().status, ReviewStatus::Hidden);
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert!(matches!(shop.reviews().create(&ada, "mug", stars(5)).await, Err(ReviewError::AlreadyReviewed)));

    let support = someone(Role::Support).actor;
    let total = async |status| shop.reviews().admin_reviews(&support, status, &everything()).await.unwrap().total;
    assert_eq!(total(None).await, Some(1));
    assert_eq!(total(Some(ReviewStatus::Hidden)).await, Some(1));
    assert_eq!(total(Some(ReviewStatus::Published)).await, Some(0));
    shop.moderated(review.id, ReviewStatus::Published).await;
    assert_eq!(shop.rating("mug").await, (3, 1));
    shop.moderated(review.id, ReviewStatus::Hidden).await;
    shop.reviews().delete(&ada, review.id).await.unwrap();
    assert_eq!(shop.rating("mug").await, (0, 0));
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn reviews_come_in_pages() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    for n in 0..3 {
        let user = shop.user(&format!("user{n}@example.com"), "U", "Ser", Role::Customer).await;
        shop.reviews().create(&user, "mug", stars(n + 1)).await.unwrap();
        shop.later();
    }
    let page = |cursor| PageRequest { limit: 2, cursor, count: false };
    let first = shop.reviews().of_product(&Actor::guest(), "mug", &page(None)).await.unwrap();
    let rest = shop.reviews().of_product(&Actor::guest(), "mug", &page(first.next_cursor.clone())).await.unwrap();
    let ratings: Vec<_> = first.items.iter().chain(&rest.items).map(|review| review.rating).collect();
    assert_eq!((ratings, rest.next_cursor), (vec![3, 2, 1], None));
    let error = shop.reviews().admin_reviews(&Actor::System, None, &page(first.next_cursor)).await.unwrap_err();
    assert!(matches!(common(error), CommonError::Cursor(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_review_each_however_often_it_is_sent() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let ada = shop.ada().await;
    let tries: Vec<_> = (0..10)
        .map(|_| {
            let (reviews, ada) = (shop.reviews(), ada.clone());
            tokio::spawn(async move { reviews.create(&ada, "mug", stars(4)).await })
        })
        .collect();
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
    let keyed = ada.once(once("review", "cup"));
    let first = shop.reviews().create(&keyed, "cup", stars(4)).await.unwrap();
    let again = shop.reviews().create(&keyed, "cup", stars(4)).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.value, shop.rating("cup").await), (first.value, (4, 1)));
}

#[tokio::test]
async fn only_those_who_may_write_and_moderate_do() {
    let shop = open().await;
    shop.product("Mug", "MUG", 100, 1).await;
    let review = shop.reviews().create(&shop.ada().await, "mug", stars(5)).await.unwrap().value;
    let reviews = shop.reviews();
    let bad = PageRequest { cursor: Some("nonsense".into()), ..PageRequest::default() };
    let hidden = ReviewStatus::Hidden;
    let unauthenticated = [
        reviews.create(&Call::guest(), "nothing", stars(9)).await.err(),
        reviews.create(&Call::system(), "mug", stars(1)).await.err(),
        reviews.update(&Call::guest(), review.id, ReviewPatch::default()).await.err(),
        reviews.delete(&Call::guest(), review.id).await.err(),
        reviews.mine(&Actor::guest(), &bad).await.err(),
        reviews.admin_reviews(&Actor::guest(), None, &bad).await.err(),
        reviews.moderate(&Call::guest(), review.id, hidden).await.err(),
    ];
    for refusal in unauthenticated {
        let error = common(refusal.expect("a refusal"));
        assert!(matches!(error, CommonError::Access(AccessError::Unauthenticated)), "{error:?}");
    }
    let customer = someone(Role::Customer);
    let forbidden = [
        reviews.admin_reviews(&customer.actor, None, &bad).await.err(),
        reviews.moderate(&customer, review.id, hidden).await.err(),
        reviews.plan_moderate(&customer, review.id, hidden).await.err(),
    ];
    for refusal in forbidden {
        let error = common(refusal.expect("a refusal"));
        assert!(matches!(error, CommonError::Access(AccessError::Forbidden(_))), "{error:?}");
    }
    is_not_found(reviews.moderate(&someone(Role::Support), ReviewId(UuidV7.uuid()), hidden).await);
    assert_eq!(shop.rating("mug").await, (5, 1));
}
