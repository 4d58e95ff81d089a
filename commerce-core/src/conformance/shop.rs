//! A store with ids, a clock and short names for what the cases do over and over.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    account::User,
    address::PostalAddress,
    cart::{Cart, CartOwner},
    catalog::Product,
    clock::{Clock, ManualClock, Timestamp},
    context::ActorRef,
    id::{IdGenerator, OrderId, SeededIds, VariantId},
    inventory::{NewStock, StockItem},
    money::{Currency, Money},
    order::Order,
    store::{Aggregate, Applied, ChangeSet, Claim, CommitError, Conflict, MovementKind, Reads, StockDelta, Store},
};

/// Text that breaks careless quoting, escaping, collation and normalisation.
pub(super) const ODD: &str =
    "Ünïcødé 東京 🛒 «»\u{202e}rtl\u{202c} e\u{301} O'Brien \"; DROP TABLE users; -- \\ \\n %_ \t\n";

/// The low-stock threshold of sample variants.
pub(super) const THRESHOLD: i64 = 2;

// Odd microseconds, so that a store that keeps milliseconds is found out.
const START: i64 = 1_795_000_000_123_457;

pub(super) const fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(super) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// What became of a commit, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Now,
    Before,
    /// The failed guards, in no particular order.
    Refused(Vec<Conflict>),
    Bug,
    Failed(String),
}

/// A refusal that names exactly these guards, in any order.
pub(super) fn refused(conflicts: impl IntoIterator<Item = Conflict>) -> Outcome {
    let mut conflicts: Vec<_> = conflicts.into_iter().collect();
    conflicts.sort_by_key(|conflict| format!("{conflict:?}"));
    Outcome::Refused(conflicts)
}

/// Commits as core does: again after an unknown outcome, later if the store is overloaded.
pub(super) async fn outcome(store: &dyn Store, set: &ChangeSet) -> Outcome {
    let mut trouble = String::new();
    for attempt in 0..50 {
        match store.commit(set).await {
            Ok(Applied::Now) => return Outcome::Now,
            Ok(Applied::Before) => return Outcome::Before,
            Err(CommitError::Conflict(conflicts)) => return refused(conflicts),
            Err(CommitError::Bug(_)) => return Outcome::Bug,
            Err(error @ (CommitError::Unknown(_) | CommitError::Unavailable(_))) => trouble = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(attempt)).await;
    }
    Outcome::Failed(trouble)
}

/// Compares by value and shows both sides whole: some types keep their secrets out of `Debug`.
#[track_caller]
pub(super) fn same<T: PartialEq + Serialize>(got: &T, want: &T) {
    let json = |value: &T| serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string());
    assert!(got == want, "a load differs from what was committed\n got: {}\nwant: {}", json(got), json(want));
}

/// A store to test, with ids and a clock that are the same in every run.
pub(super) struct Shop {
    pub(super) store: Arc<dyn Store>,
    pub(super) ids: SeededIds,
    clock: ManualClock,
}

impl Shop {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ids: SeededIds::new(7), clock: ManualClock::at(Timestamp::from_micros(START)) }
    }

    pub(super) fn reads(&self) -> &dyn Reads {
        self.store.reads()
    }

    /// A time later than all before.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.advance(Duration::from_micros(1_000_003));
        self.clock.now()
    }

    pub(super) fn id<T: From<Uuid>>(&self) -> T {
        self.ids.uuid().into()
    }

    pub(super) fn set(&self) -> ChangeSet {
        self.set_at(self.now())
    }

    pub(super) fn set_at(&self, at: Timestamp) -> ChangeSet {
        ChangeSet::new(&self.ids, at, ActorRef::System)
    }

    pub(super) async fn outcome(&self, set: &ChangeSet) -> Outcome {
        outcome(&*self.store, set).await
    }

    /// Commits what must succeed.
    pub(super) async fn commit(&self, set: &ChangeSet) {
        let outcome = self.outcome(set).await;
        assert_eq!(outcome, Outcome::Now, "a set without conflicts is applied");
    }

    /// Commits all sets at the same time; the answers are in the order of the sets.
    pub(super) async fn race(&self, sets: Vec<ChangeSet>) -> Vec<Outcome> {
        let racers = sets.into_iter().map(|set| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { outcome(&*store, &set).await })
        });
        join_all(racers).await.into_iter().map(|joined| joined.expect("a commit doesn't panic")).collect()
    }

    pub(super) async fn insert<T: Aggregate>(&self, mut new: T) -> T {
        let mut set = self.set();
        set.insert(&mut new);
        self.commit(&set).await;
        new
    }

    pub(super) async fn update<T: Aggregate>(&self, before: &T, change: impl FnOnce(&mut T)) -> T {
        let mut after = before.clone();
        change(&mut after);
        let mut set = self.set();
        set.update(before, &mut after);
        self.commit(&set).await;
        after
    }

    pub(super) async fn remove<T: Aggregate>(&self, whole: &T) {
        let mut set = self.set();
        set.remove(whole.root(), whole.version());
        self.commit(&set).await;
    }

    /// Saves a user with the claim to the e-mail address.
    pub(super) async fn save_user(&self, mut user: User) -> User {
        let mut set = self.set();
        set.insert(&mut user).hold(Claim::email(&user.email), user.id);
        self.commit(&set).await;
        user
    }

    /// Saves a product with its claims, and opens the stock of each variant with that many units.
    pub(super) async fn save_product(&self, mut product: Product, units: &[i64]) -> Product {
        let mut set = self.set();
        add_product(&mut set, &mut product, units);
        self.commit(&set).await;
        product
    }

    /// Saves a product with its claims, and opens the stock of each variant at zero.
    pub(super) async fn shelve(&self, product: Product) -> Product {
        let none = vec![0; product.variants.len()];
        self.save_product(product, &none).await
    }

    /// A product with one variant at 10.00, and so many units of it.
    pub(super) async fn stocked(&self, slug: &str, units: i64) -> (Product, VariantId) {
        let product = self.save_product(self.product(slug, &[1000]), &[units]).await;
        let variant = product.variants[0].id;
        (product, variant)
    }

    /// Saves a cart that holds its owner's claim to one.
    pub(super) async fn save_cart(&self, mut cart: Cart) -> Cart {
        let mut set = self.set();
        set.insert(&mut cart).hold(Claim::open_cart(&cart.owner), cart.id);
        self.commit(&set).await;
        cart
    }

    /// Moves stock and nothing else.
    pub(super) async fn move_stock(&self, variant: VariantId, on_hand: i64, reserved: i64) -> Outcome {
        let mut set = self.set();
        let ledger = (on_hand != 0).then_some((MovementKind::Adjustment, None, None));
        set.move_stock(variant, StockDelta { on_hand, reserved, expect_on_hand: None }, ledger);
        self.outcome(&set).await
    }

    pub(super) async fn stock(&self, variant: VariantId) -> StockItem {
        let stock = self.reads().load_stock(variant).await.expect("stock can be read");
        stock.expect("the variant's stock was opened")
    }

    pub(super) async fn load_order(&self, id: OrderId) -> Order {
        self.reads().load_order(id).await.expect("an order can be read").expect("the order is there")
    }

    pub(super) async fn open_cart(&self, owner: &CartOwner) -> Option<Cart> {
        self.reads().load_open_cart(owner).await.expect("a cart can be read")
    }

    pub(super) async fn holder(&self, claim: &Claim) -> Option<Uuid> {
        self.reads().load_claim(claim).await.expect("a claim can be read")
    }
}

/// Adds a new product with its claims and its variants' stock to a set.
pub(super) fn add_product(set: &mut ChangeSet, product: &mut Product, units: &[i64]) {
    assert_eq!(product.variants.len(), units.len(), "the sample gives each variant a number of units");
    set.insert(product).hold(Claim::product_slug(&product.slug), product.id);
    for (variant, units) in product.variants.iter().zip(units) {
        set.hold(Claim::sku(&variant.sku), variant.id);
        let stock = NewStock { variant_id: variant.id, product_id: product.id, low_stock_threshold: THRESHOLD };
        set.open_stock(stock, *units);
    }
}

pub(super) fn full_address() -> PostalAddress {
    PostalAddress {
        name: "Ada Lovelace".to_owned(),
        company: Some("Analytical Engines & Co".to_owned()),
        line1: "St James's Square 12".to_owned(),
        line2: Some(ODD.to_owned()),
        city: "Zürich".to_owned(),
        region: Some("ZH".to_owned()),
        postal_code: "8001".to_owned(),
        country: "CH".to_owned(),
        phone: Some("+41 44 000 00 00".to_owned()),
    }
}

pub(super) fn bare_address() -> PostalAddress {
    PostalAddress::new("Grace Hopper", "Pier 1", "Arlington", "22201", "US")
}

/// How many of these there are.
pub(super) fn count(outcomes: &[Outcome], wanted: impl Fn(&Outcome) -> bool) -> usize {
    outcomes.iter().filter(|outcome| wanted(outcome)).count()
}
