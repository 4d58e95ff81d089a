//! Our books against the gateway's.

use commerce_core::{
    checkout::{Checkout, PaymentChoice},
    order::Order,
    payment::{
        NewRefund, PaymentDrift, ReconcileError,
        stripe::{RetryPolicy, StripeConfig, StripeGateway},
    },
};
use commerce_tests::{
    fake_stripe::{FakeStripe, StripeFault},
    shop::{TestShop, VISA, customer, eur, input, offline},
};

async fn shop() -> (TestShop, FakeStripe) {
    let stripe = FakeStripe::default();
    let retry = RetryPolicy { attempts: 1, first_delay: std::time::Duration::ZERO };
    let config = StripeConfig::new("sk_test_fake").unwrap().retry(retry);
    let gateway = StripeGateway::with_transport(config, stripe.clone());
    (TestShop::with(|builder| builder.gateway(gateway)).await, stripe)
}

async fn buy(shop: &TestShop, variant: commerce_core::id::VariantId, how: Checkout) -> Order {
    let ada = customer();
    shop.fill(&ada, variant, 1).await;
    shop.by(&ada).checkout().place(how).await.unwrap().order
}

fn card() -> Checkout {
    input(VISA).pay_with(PaymentChoice::by("stripe").token(VISA.to_owned()))
}

async fn drifts(shop: &TestShop) -> Vec<PaymentDrift> {
    shop.staff().payments().reconcile().await.unwrap().drifts
}

#[tokio::test]
async fn every_payment_on_every_page_is_compared() {
    let (shop, stripe) = shop().await;
    let (mug, gift) = (shop.sell("MUG", 1000, 1000).await, shop.sell("GIFT", 0, 10).await);
    let oldest = buy(&shop, mug, card()).await;
    for _ in 0..120 {
        buy(&shop, mug, card()).await;
    }
    buy(&shop, mug, offline()).await;
    buy(&shop, gift, card()).await;
    let books = shop.staff().payments().reconcile().await.unwrap();
    assert_eq!((books.compared, books.skipped, books.drifts), (121, 2, vec![]));
    assert!(shop.by(&customer().actor).payments().reconcile().await.is_err());

    stripe.refund_past_us(&stripe.reference(oldest.payments[0].id), 300);
    let found = drifts(&shop).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let drift = &found[0];
    assert_eq!((drift.payment, drift.order, drift.what), (oldest.payments[0].id, oldest.id, "refunded"));
    let said = format!("payment {} of order {}, refunded: 0 in our books, 300 at stripe", drift.payment, oldest.number);
    assert_eq!(drift.to_string(), said);

    stripe.script([StripeFault::Refused]);
    let unreached = shop.staff().payments().reconcile().await;
    assert!(matches!(unreached, Err(ReconcileError::Gateway { .. })), "{unreached:?}");
}

#[tokio::test]
async fn amounts_that_were_changed_behind_our_back_are_found_and_what_is_on_its_way_is_no_drift() {
    let (shop, stripe) = shop().await;
    let mug = shop.sell("MUG", 1000, 10).await;
    let order = buy(&shop, mug, card()).await;
    // Asked for, done at the gateway, not yet known to us.
    stripe.script([StripeFault::Busy, StripeFault::LostAfter]);
    let refund = NewRefund::amount(eur(400)).reason("x");
    let mut after = order.clone();
    for _ in 0..2 {
        after = shop.staff().payments().refund(order.id, refund.clone()).await.unwrap().order;
    }
    assert_eq!((after.payments[0].refunded, after.payments[0].refund_pending), (0, 800));
    assert_eq!(drifts(&shop).await, []);

    let repriced = buy(&shop, mug, card()).await;
    stripe.reprice(&stripe.reference(repriced.payments[0].id), 999);
    let found: Vec<_> = drifts(&shop).await.into_iter().map(|drift| (drift.payment, drift.what)).collect();
    assert_eq!(found, [(repriced.payments[0].id, "amount")]);
}
