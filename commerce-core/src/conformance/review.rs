//! Reviews and ratings.

use super::{
    StoreFixture,
    sample::EXTREME_TIMES,
    shop::{ODD, Shop, minutes, refused, same},
};
use crate::{
    catalog::ProductKey,
    id::{ProductId, UserId},
    page::PageSpec,
    review::{Review, ReviewQuery, ReviewStatus},
    store::{Claim, Conflict, RatingDelta},
};

async fn load(shop: &Shop, review: &Review) -> Option<Review> {
    shop.reads().load_review(review.id).await.expect("a review can be read")
}

async fn list(shop: &Shop, query: &ReviewQuery) -> Vec<Review> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    let listed = shop.reads().list_reviews(query, &spec).await.expect("reviews can be listed");
    assert_eq!(listed.total, Some(listed.items.len() as u64), "the total counts what the filter lets through");
    listed.items
}

/// A review loads as it was committed, changes in every field, and can be removed.
pub async fn reviews_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let stars = Review {
        title: ODD.to_owned(),
        body: ODD.to_owned(),
        author: ODD.to_owned(),
        ..shop.review(shop.id(), shop.id(), 5)
    };
    let bare = Review {
        title: String::new(),
        body: String::new(),
        verified_purchase: false,
        ..shop.review(shop.id(), shop.id(), 1)
    };
    let old =
        Review { created_at: EXTREME_TIMES[0], updated_at: EXTREME_TIMES[1], ..shop.review(shop.id(), shop.id(), 3) };
    for review in [stars, bare, old] {
        let review = shop.insert(review).await;
        same(&load(&shop, &review).await, &Some(review.clone()));
        let at = shop.now();
        let changed = shop
            .update(&review, |review| {
                (review.rating, review.status, review.updated_at) = (4, ReviewStatus::Hidden, at);
                (review.title, review.body, review.author) = ("New".to_owned(), "Words".to_owned(), "A.".to_owned());
                review.verified_purchase = !review.verified_purchase;
            })
            .await;
        same(&load(&shop, &review).await, &Some(changed.clone()));
        shop.remove(&changed).await;
        same(&load(&shop, &review).await, &None);
    }
}

/// Reviews are listed newest first, filtered by product, customer and status.
pub async fn reviews_are_filtered(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let [mug, cup]: [ProductId; 2] = std::array::from_fn(|_| shop.id());
    let [ada, bob]: [UserId; 2] = std::array::from_fn(|_| shop.id());
    let first = shop.insert(shop.review(mug, ada, 5)).await;
    let second = shop.insert(Review { created_at: first.created_at, ..shop.review(mug, bob, 4) }).await;
    let hidden = Review { status: ReviewStatus::Hidden, ..shop.review(cup, ada, 1) };
    let hidden = shop.insert(hidden).await;
    let past = shop.insert(Review { created_at: first.created_at - minutes(1), ..shop.review(cup, bob, 2) }).await;
    let all = ReviewQuery::default();
    let of = |product| ReviewQuery { product: Some(product), ..ReviewQuery::default() };
    let by = |customer| ReviewQuery { customer: Some(customer), ..ReviewQuery::default() };
    let is = |status| ReviewQuery { status: Some(status), ..ReviewQuery::default() };
    for (query, expected) in [
        (all, vec![&hidden, &second, &first, &past]),
        (of(mug), vec![&second, &first]),
        (by(ada), vec![&hidden, &first]),
        (is(ReviewStatus::Hidden), vec![&hidden]),
        (is(ReviewStatus::Published), vec![&second, &first, &past]),
        (ReviewQuery { product: Some(cup), customer: Some(bob), status: Some(ReviewStatus::Published) }, vec![&past]),
        (ReviewQuery { product: Some(mug), customer: Some(bob), status: Some(ReviewStatus::Hidden) }, vec![]),
        (of(shop.id()), vec![]),
    ] {
        same(&list(&shop, &query).await, &expected.into_iter().cloned().collect());
    }
}

/// A customer reviews a product once.
pub async fn one_review_per_customer_and_product(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (mug, ada) = (shop.id(), shop.id());
    let write = |product, customer| {
        let mut review = shop.review(product, customer, 5);
        let mut set = shop.set();
        set.insert(&mut review).hold(Claim::review(product, customer), review.id);
        set
    };
    shop.commit(&write(mug, ada)).await;
    assert_eq!(shop.outcome(&write(mug, ada)).await, refused([Conflict::Taken(Claim::review(mug, ada))]));
    shop.commit(&write(mug, shop.id())).await;
    shop.commit(&write(shop.id(), ada)).await;
    assert_eq!(list(&shop, &ReviewQuery { product: Some(mug), ..ReviewQuery::default() }).await.len(), 2);
}

/// Deltas of a rating add up, within a set and over sets; the average is exact.
pub async fn ratings_add_up(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (mug, _) = shop.stocked("mug", 1).await;
    let (cup, _) = shop.stocked("cup", 1).await;
    let view = async |id| {
        let view = shop.reads().view_product(&ProductKey::Id(id)).await.expect("a product can be viewed");
        let view = view.expect("the product is there");
        (view.rating_sum, view.rating_count, view.rating_average())
    };
    assert_eq!(view(mug.id).await, (0, 0, 0.0));
    let mut set = shop.set();
    set.rate(mug.id, RatingDelta { sum: 5, count: 1 })
        .rate(mug.id, RatingDelta { sum: 4, count: 1 })
        .rate(cup.id, RatingDelta { sum: 2, count: 1 });
    shop.commit(&set).await;
    let mut set = shop.set();
    set.rate(mug.id, RatingDelta { sum: 2, count: 1 });
    shop.commit(&set).await;
    assert_eq!(view(mug.id).await, (11, 3, 11.0 / 3.0));
    assert_eq!(view(cup.id).await, (2, 1, 2.0));
    let mut set = shop.set();
    set.rate(mug.id, RatingDelta { sum: -1, count: 0 }).rate(cup.id, RatingDelta { sum: -2, count: -1 });
    shop.commit(&set).await;
    assert_eq!(view(mug.id).await, (10, 3, 10.0 / 3.0));
    assert_eq!(view(cup.id).await, (0, 0, 0.0));
}
