use std::{sync::Arc, time::Duration};

use commerce_core::{
    id::{IdGenerator, PaymentId, RefundId, UuidV7},
    payment::{
        PaymentGateway as _,
        gateway::{AuthorizeRequest, GatewayError, GatewayRefundState, GatewayState, RefundRequest},
        stripe::{RetryPolicy, StripeConfig, StripeGateway},
    },
};
use commerce_tests::fake_stripe::{Account, FakeStripe, StripeFault};

use crate::{Fixture, eur, request};

fn stripe() -> Fixture<FakeStripe> {
    let fake = FakeStripe::default();
    let retry = RetryPolicy { attempts: 4, first_delay: Duration::from_millis(1) };
    let config = StripeConfig::new("sk_test_fake").unwrap().webhook_secret("whsec_fake").unwrap().retry(retry);
    Fixture {
        gateway: Arc::new(StripeGateway::with_transport(config, fake.clone())),
        service: fake,
        declined_token: "pm_card_visa_chargeDeclinedInsufficientFunds",
        action_token: "pm_card_threeDSecure2Required".to_owned(),
        charges: Some(|fake, payment| fake.account(payment).intents.try_into().expect("a count")),
        refund_past_us: Some(|fake, reference, minor| drop(fake.refund_past_us(reference, minor))),
    }
}

async fn fixture() -> Fixture<FakeStripe> {
    stripe()
}

mod conformance {
    use super::fixture;
    commerce_core::gateway_conformance_tests!(fixture);
}

async fn paid(stripe: &Fixture<FakeStripe>) -> (PaymentId, String) {
    let request = request("pm_card_visa");
    let payment = stripe.gateway.authorize(&request).await.unwrap();
    (request.payment_id, payment.reference)
}

fn refund(payment_id: PaymentId, reference: &str, minor: i64) -> RefundRequest {
    let refund_id = RefundId(UuidV7.uuid());
    RefundRequest { refund_id, payment_id, reference: reference.to_owned(), amount: eur(minor) }
}

#[tokio::test]
async fn faults_in_any_mixture_charge_once() {
    use StripeFault::{Busy, Failed, LostAfter, LostBefore, Refused};
    for faults in [
        vec![Refused],
        vec![LostBefore],
        vec![LostAfter],
        vec![Busy, Failed],
        vec![LostAfter, Refused, Busy],
        vec![LostBefore, LostAfter, LostAfter],
    ] {
        let stripe = stripe();
        let request = request("pm_card_visa");
        stripe.service.script(faults.clone());
        let payment = stripe.gateway.authorize(&request).await.unwrap();
        assert_eq!((payment.state, payment.captured), (GatewayState::Captured, eur(1000)), "{faults:?}");
        let account = Account { intents: 1, captured: 1000, refunded: 0 };
        assert_eq!(stripe.service.account(request.payment_id), account, "{faults:?}");
        assert_eq!(stripe.service.calls(), faults.len() + 1 + usize::from(faults.contains(&LostAfter)), "{faults:?}");
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_a_lost_payment_is_found() {
    let stripe = stripe();
    let request = request("pm_card_visa");
    stripe.service.script([StripeFault::Refused; 4]);
    let unavailable = stripe.gateway.authorize(&request).await;
    assert!(matches!(unavailable, Err(GatewayError::Unavailable(_))), "{unavailable:?}");
    assert_eq!(stripe.service.calls(), 4);
    assert_eq!(stripe.gateway.retrieve(request.payment_id, None).await, Ok(None));

    stripe.service.script([StripeFault::LostAfter; 4]);
    let unknown = stripe.gateway.authorize(&request).await;
    assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    let found = stripe.gateway.retrieve(request.payment_id, None).await.unwrap().unwrap();
    assert_eq!(found.state, GatewayState::Captured);
    assert_eq!(stripe.service.account(request.payment_id).intents, 1);
}

#[tokio::test]
async fn an_error_that_stripe_repeats_hides_no_payment() {
    let stripe = stripe();
    let request = request("pm_card_visa");
    stripe.service.script([StripeFault::FailedAfter]);
    let unknown = stripe.gateway.authorize(&request).await;
    assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    let found = stripe.gateway.retrieve(request.payment_id, None).await.unwrap().unwrap();
    assert_eq!((found.state, found.captured), (GatewayState::Captured, eur(1000)));
}

#[tokio::test]
async fn a_lost_payment_is_found_among_many() {
    let stripe = stripe();
    let (wanted, reference) = paid(&stripe).await;
    for _ in 0..250 {
        paid(&stripe).await;
    }
    let before = stripe.service.calls();
    let found = stripe.gateway.retrieve(wanted, None).await.unwrap().unwrap();
    assert_eq!(found.reference, reference);
    assert_eq!(stripe.service.calls() - before, 3, "a hundred a page, newest first");
}

#[tokio::test]
async fn settings_that_change_between_two_attempts_charge_once() {
    let stripe = stripe();
    let first = request("pm_card_visa");
    let payment = stripe.gateway.authorize(&first).await.unwrap();
    let again = stripe.gateway.authorize(&AuthorizeRequest { capture: false, ..first.clone() }).await;
    assert_eq!(again, Ok(payment));
    assert_eq!(stripe.service.account(first.payment_id).intents, 1);
}

#[tokio::test]
async fn a_refund_is_made_once_even_after_the_key_was_forgotten() {
    let stripe = stripe();
    let (payment, reference) = paid(&stripe).await;
    let refund = refund(payment, &reference, 300);
    stripe.service.script([StripeFault::LostBefore, StripeFault::Busy]);
    let made = stripe.gateway.refund(&refund).await.unwrap();
    assert_eq!(made.state, GatewayRefundState::Settled);
    stripe.service.forget_keys();
    assert_eq!(stripe.gateway.refund(&refund).await, Ok(made));
    assert_eq!(stripe.service.account(payment).refunded, 300);
}

#[tokio::test]
async fn fifty_refunds_at_once_give_back_no_more_than_was_taken() {
    let stripe = stripe();
    let (payment, reference) = paid(&stripe).await;
    let mut refunds = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (gateway, refund) = (stripe.gateway.clone(), refund(payment, &reference, 300));
        refunds.spawn(async move { gateway.refund(&refund).await });
    }
    let refunds = refunds.join_all().await;
    assert_eq!(refunds.iter().filter(|refund| refund.is_ok()).count(), 3);
    let is_rejected = |refund: &&Result<_, _>| matches!(refund, Err(GatewayError::Rejected(_)));
    assert_eq!(refunds.iter().filter(is_rejected).count(), 47);
    assert_eq!(stripe.service.account(payment).refunded, 900);
}

#[tokio::test]
async fn declines_have_their_code_and_wrong_tokens_none() {
    let stripe = stripe();
    for (token, code) in [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ] {
        let declined = stripe.gateway.authorize(&request(token)).await.unwrap();
        assert_eq!(declined.state, GatewayState::Declined(code.to_owned()));
        assert!(!declined.reference.is_empty());
    }
    let wrong = stripe.gateway.authorize(&request("pm_nonsense")).await;
    assert!(matches!(wrong, Err(GatewayError::Rejected(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_repeated_call_sees_that_the_customer_has_acted() {
    let stripe = stripe();
    let request = request("pm_card_threeDSecure2Required");
    let waiting = stripe.gateway.authorize(&request).await.unwrap();
    assert!(matches!(waiting.state, GatewayState::RequiresAction(_)));
    stripe.service.authenticate(&waiting.reference);
    let acted = stripe.gateway.authorize(&request).await.unwrap();
    assert_eq!((acted.state, acted.captured), (GatewayState::Captured, eur(1000)));
}
