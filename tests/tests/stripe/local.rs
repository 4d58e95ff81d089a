use std::sync::Arc;

use commerce_core::{
    clock::{Clock, SystemClock},
    conformance::cases::gateway as cases,
    id::{IdGenerator, RefundId, UuidV7},
    payment::{
        PaymentGateway as _,
        gateway::{
            AuthorizeRequest, CaptureRequest, GatewayEvent, GatewayRefundState, GatewayState, RefundRequest,
            VoidRequest, WebhookRequest,
        },
        stripe::{StripeConfig, StripeGateway},
    },
};
use commerce_tests::localstripe::{Localstripe, SECRET_KEY};

use crate::{Fixture, eur, request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const WEBHOOK_SECRET: &str = "whsec_local";

async fn stripe() -> Fixture<Localstripe> {
    let local = tokio::task::spawn_blocking(Localstripe::start).await.unwrap();
    let config = StripeConfig::new(SECRET_KEY).unwrap().api_base(local.base()).unwrap();
    let config = config.webhook_secret(WEBHOOK_SECRET).unwrap();
    let gateway = StripeGateway::with_transport(config.clone(), local.transport(&config));
    let action_token = local.three_d_secure_token().await;
    Fixture {
        service: local,
        gateway: Arc::new(gateway),
        declined_token: "pm_card_chargeCustomerFail",
        action_token,
        charges: None,
        refund_past_us: None,
    }
}

/// The cases that need no idempotency, no limit on refunds, and none on captures of what was cancelled: localstripe knows none
/// of these. All cases run against the fake.
#[tokio::test]
async fn localstripe_keeps_the_contract_as_far_as_it_goes() {
    let stripe = stripe().await;
    cases::it_names_itself_and_its_methods(&stripe).await;
    cases::it_takes_money_at_once(&stripe).await;
    cases::it_captures_in_full(&stripe).await;
    cases::it_captures_a_part_once(&stripe).await;
    cases::it_captures_no_more_than_promised(&stripe).await;
    cases::it_does_not_void_what_was_taken(&stripe).await;
    cases::it_finds_payments(&stripe).await;
    cases::a_decline_is_an_answer(&stripe).await;
    cases::a_customer_may_have_to_act(&stripe).await;
    cases::an_unsigned_webhook_is_not_believed(&stripe).await;
}

#[tokio::test]
async fn three_d_secure_ends_well_or_badly() {
    let stripe = stripe().await;
    let failed = GatewayState::Declined("payment_intent_authentication_failure".to_owned());
    for (success, end) in [(true, GatewayState::Captured), (false, failed)] {
        let request = request(&stripe.action_token);
        let waiting = stripe.gateway.authorize(&request).await.unwrap();
        let GatewayState::RequiresAction(action) = waiting.state else { panic!("{waiting:?}") };
        assert_eq!(action.kind, "use_client_secret");
        stripe.service.authenticate(&waiting.reference, &action.client_secret.unwrap(), success).await;
        let seen = stripe.gateway.retrieve(request.payment_id, Some(&waiting.reference)).await.unwrap().unwrap();
        assert_eq!(seen.state, end);
    }
}

#[tokio::test]
async fn money_is_promised_taken_in_part_and_sent_back() {
    let stripe = stripe().await;
    let request = AuthorizeRequest { capture: false, ..request("pm_card_visa") };
    let promised = stripe.gateway.authorize(&request).await.unwrap();
    assert_eq!((promised.state, promised.captured), (GatewayState::Authorized, eur(0)));
    let (payment_id, reference) = (request.payment_id, promised.reference);
    let capture = CaptureRequest { payment_id, reference: reference.clone(), amount: eur(700) };
    let taken = stripe.gateway.capture(&capture).await.unwrap();
    assert_eq!((taken.state, taken.amount, taken.captured), (GatewayState::Captured, eur(1000), eur(700)));
    let refund_id = RefundId(UuidV7.uuid());
    let refund = RefundRequest { refund_id, payment_id, reference: reference.clone(), amount: eur(400) };
    let made = stripe.gateway.refund(&refund).await.unwrap();
    assert_eq!((&made.state, made.amount), (&GatewayRefundState::Settled, eur(400)));
    assert_eq!(stripe.gateway.refund(&refund).await, Ok(made), "the same refund again is the same refund");
    let void = VoidRequest { payment_id, reference: Some(reference) };
    assert_eq!(stripe.gateway.void(&void).await.unwrap().captured, eur(700), "what was taken isn't voided");
}

#[tokio::test]
async fn promises_are_given_back() {
    let stripe = stripe().await;
    for known in [true, false] {
        let request = AuthorizeRequest { capture: false, ..request("pm_card_visa") };
        let promised = stripe.gateway.authorize(&request).await.unwrap();
        let reference = known.then_some(promised.reference);
        let void = VoidRequest { payment_id: request.payment_id, reference: reference.clone() };
        for _ in 0..2 {
            let voided = stripe.gateway.void(&void).await.unwrap();
            assert_eq!((voided.state, voided.captured), (GatewayState::Voided, eur(0)));
        }
        let seen = stripe.gateway.retrieve(request.payment_id, reference.as_deref()).await.unwrap().unwrap();
        assert_eq!(seen.state, GatewayState::Voided);
    }
}

#[tokio::test]
async fn webhooks_arrive_signed() {
    let stripe = stripe().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/webhooks/stripe", listener.local_addr().unwrap());
    stripe.service.send_webhooks_to(&url, WEBHOOK_SECRET).await;
    let request = request("pm_card_visa");
    let paid = stripe.gateway.authorize(&request).await.unwrap();

    let (signature, body) = receive(&listener).await;
    let signature = Some(signature.as_str());
    let event = stripe.gateway.webhook(&WebhookRequest { signature, body: &body, at: SystemClock.now() }).unwrap();
    let GatewayEvent::Payment { reference, payment_id, payment, .. } = event else { panic!("{event:?}") };
    assert_eq!((reference, payment_id, payment), (paid.reference.clone(), Some(request.payment_id), paid));

    let mut tampered = body.clone();
    tampered.push(b' ');
    let at = SystemClock.now();
    for (body, at) in [(&tampered, at), (&body, at + std::time::Duration::from_secs(310))] {
        assert!(stripe.gateway.webhook(&WebhookRequest { signature, body, at }).is_err());
    }
}

/// Takes one HTTP request: its signature and its body.
async fn receive(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the request is complete");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let header = |name: &str| {
            let line =
                head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
            line.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let body = &bytes[end + 4..];
        if body.len() == header("content-length").parse::<usize>().unwrap() {
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            return (header("stripe-signature"), body.to_vec());
        }
    }
}
