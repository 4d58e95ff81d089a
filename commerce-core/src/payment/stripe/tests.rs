use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Timestamp,
    id::OrderId,
    money::{Currency, Money},
    payment::gateway::GatewayRefundState,
};

const PAYMENT: &str = "0199b2a1-7c3e-7000-8000-000000000001";
const REFUND: &str = "0199b2a1-7c3e-7000-8000-000000000002";

type SendResult = Result<HttpResponse, TransportError>;

/// Gives prepared answers in turn, and remembers what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<SendResult>>>,
    asked: Arc<Mutex<Vec<HttpRequest>>>,
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: HttpRequest) -> SendResult {
        self.asked.lock().unwrap().push(request);
        self.answers.lock().unwrap().pop_front().expect("no more calls are made than there are answers")
    }
}

impl Script {
    fn asked(&self) -> Vec<HttpRequest> {
        assert_eq!(self.answers.lock().unwrap().len(), 0, "every answer is asked for");
        self.asked.lock().unwrap().clone()
    }

    fn paths(&self) -> Vec<String> {
        let verb = |method| if method == Method::Get { "GET" } else { "POST" };
        self.asked().iter().map(|request| format!("{} {}", verb(request.method), request.path)).collect()
    }
}

fn gateway(answers: impl IntoIterator<Item = SendResult>) -> (StripeGateway, Script) {
    let script = Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Script::default() };
    let retry = RetryPolicy { attempts: 3, first_delay: Duration::ZERO };
    let config = StripeConfig::new("sk_test_1").unwrap().retry(retry);
    (StripeGateway::with_transport(config, script.clone()), script)
}

#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "scripts read best so")]
fn answer(status: u16, body: Value) -> SendResult {
    Ok(HttpResponse { status, headers: Vec::new(), body: body.to_string().into_bytes() })
}

fn replayed(answer: SendResult) -> SendResult {
    let replay = ("idempotent-replayed".to_owned(), "true".to_owned());
    answer.map(|answer| HttpResponse { headers: vec![replay], ..answer })
}

fn error(status: u16, kind: &str, code: &str) -> SendResult {
    answer(status, json!({"error": {"type": kind, "code": code}}))
}

fn intent(status: &str, received: i64) -> Value {
    json!({"id": "pi_1", "status": status, "amount": 1990, "amount_received": received, "currency": "eur",
        "client_secret": "pi_1_secret_2", "metadata": {"payment_id": PAYMENT}})
}

fn refund_object(status: &str) -> Value {
    json!({"id": "re_1", "status": status, "amount": 500, "currency": "eur", "payment_intent": "pi_1",
        "metadata": {"refund_id": REFUND}})
}

fn connect() -> SendResult {
    Err(TransportError::Connect("refused".to_owned()))
}

fn payment_id() -> PaymentId {
    PAYMENT.parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn request() -> AuthorizeRequest {
    AuthorizeRequest {
        payment_id: payment_id(),
        order_id: OrderId(payment_id().0),
        order_number: "A-1&2".to_owned(),
        method: "stripe".to_owned(),
        amount: eur(1990),
        token: Some("pm_card_visa".to_owned()),
        capture: true,
    }
}

fn refund_request() -> RefundRequest {
    let reference = "pi_1".to_owned();
    RefundRequest { refund_id: REFUND.parse().unwrap(), payment_id: payment_id(), reference, amount: eur(500) }
}

fn report(state: GatewayState, captured: i64) -> GatewayPayment {
    GatewayPayment { reference: "pi_1".to_owned(), state, amount: eur(1990), captured: eur(captured) }
}

#[tokio::test]
async fn one_post_creates_and_confirms_under_our_key() {
    let (stripe, script) = gateway([answer(200, intent("succeeded", 1990))]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(GatewayState::Captured, 1990)));
    let asked = &script.asked()[0];
    assert_eq!((asked.method, asked.path.as_str()), (Method::Post, "/v1/payment_intents"));
    assert_eq!(asked.header("Idempotency-Key"), Some(PAYMENT));
    let form = "amount=1990&currency=eur&payment_method=pm_card_visa&payment_method_types%5B%5D=card\
        &capture_method=automatic&confirm=true&metadata%5Border_id%5D=0199b2a1-7c3e-7000-8000-000000000001\
        &metadata%5Border_number%5D=A-1%262&metadata%5Bpayment_id%5D=0199b2a1-7c3e-7000-8000-000000000001";
    assert_eq!(asked.body.as_deref(), Some(form));
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_under_the_same_key() {
    let (stripe, script) = gateway([
        Err(TransportError::Timeout),
        error(409, "idempotency_error", "idempotency_key_in_use"),
        answer(200, intent("succeeded", 1990)),
    ]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(GatewayState::Captured, 1990)));
    let asked = script.asked();
    assert!(asked.iter().all(|again| *again == asked[0]), "each attempt is the same request");
}

#[tokio::test]
async fn doubt_stays_until_stripe_clears_it_up() {
    let broken = || Err(TransportError::Broken("reset".to_owned()));
    let cases: [(Vec<SendResult>, &str); 9] = [
        (vec![connect(), connect(), connect()], "unavailable"),
        (vec![error(429, "", ""), error(429, "", ""), error(429, "", "rate_limit")], "unavailable"),
        (vec![broken(), connect(), connect()], "unknown"),
        (vec![error(503, "", ""), error(500, "", ""), error(500, "", "")], "unknown"),
        (vec![error(409, "", ""), error(409, "", ""), error(409, "", "")], "unknown"),
        (vec![error(401, "", "")], "unavailable"),
        (vec![broken(), error(401, "", "")], "unknown"),
        (vec![broken(), error(404, "invalid_request_error", "resource_missing")], "rejected"),
        (vec![answer(200, json!({"id": 1}))], "unknown"),
    ];
    for (n, (answers, expected)) in cases.into_iter().enumerate() {
        let (stripe, script) = gateway(answers);
        let name = match stripe.authorize(&request()).await.unwrap_err() {
            GatewayError::Unavailable(_) => "unavailable",
            GatewayError::Unknown(_) => "unknown",
            GatewayError::Rejected(_) => "rejected",
            GatewayError::AmountNotPayable(_) => "amount",
        };
        assert_eq!(name, expected, "case {n}");
        script.asked();
    }
}

#[tokio::test]
async fn a_decline_is_an_answer_with_its_code() {
    let mut declined = json!({"error": {"type": "card_error", "code": "card_declined",
        "decline_code": "insufficient_funds", "payment_intent": intent("requires_payment_method", 0)}});
    let state = GatewayState::Declined("insufficient_funds".to_owned());
    let (stripe, _) = gateway([answer(402, declined.clone())]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(state.clone(), 0)));
    declined["error"].as_object_mut().unwrap().remove("payment_intent");
    let (stripe, _) = gateway([answer(402, declined)]);
    let nameless = GatewayPayment { reference: String::new(), ..report(state, 0) };
    assert_eq!(stripe.authorize(&request()).await, Ok(nameless));
}

#[tokio::test]
async fn what_was_answered_before_is_looked_up_anew() {
    let (stripe, script) =
        gateway([replayed(answer(200, intent("requires_capture", 0))), answer(200, intent("succeeded", 1990))]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(GatewayState::Captured, 1990)));
    assert_eq!(script.paths(), ["POST /v1/payment_intents", "GET /v1/payment_intents/pi_1"]);
    let declined = json!({"error": {"type": "card_error", "payment_intent": intent("requires_payment_method", 0)}});
    let (stripe, _) = gateway([replayed(answer(402, declined)), answer(200, intent("succeeded", 1990))]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(GatewayState::Captured, 1990)));
}

#[tokio::test]
async fn what_was_done_stays_in_doubt_when_the_look_at_it_fails() {
    let down = || [connect(), connect(), connect()];
    let reused = || error(400, "idempotency_error", "");
    let not_so = || error(400, "invalid_request_error", "payment_intent_unexpected_state");
    for first in [replayed(answer(200, intent("requires_capture", 0))), reused()] {
        let (stripe, _) = gateway([first].into_iter().chain(down()));
        let unknown = stripe.authorize(&request()).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    }
    let (payment_id, reference) = (payment_id(), "pi_1".to_owned());
    let (stripe, _) = gateway([not_so()].into_iter().chain(down()));
    let unknown = stripe.capture(&CaptureRequest { payment_id, reference, amount: eur(400) }).await;
    assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    let (stripe, _) = gateway(down());
    let unavailable = stripe.refund(&refund_request()).await;
    assert!(matches!(unavailable, Err(GatewayError::Unavailable(_))), "nothing was done: {unavailable:?}");
}

#[tokio::test]
async fn a_key_that_was_used_otherwise_leads_to_its_payment() {
    let reused = || error(400, "idempotency_error", "");
    let (stripe, _) = gateway([reused(), answer(200, json!({"data": [intent("requires_capture", 0)]}))]);
    assert_eq!(stripe.authorize(&request()).await, Ok(report(GatewayState::Authorized, 0)));
    let (stripe, _) = gateway([reused(), answer(200, json!({"data": []}))]);
    assert!(matches!(stripe.authorize(&request()).await, Err(GatewayError::Unknown(_))));
}

#[tokio::test]
async fn what_cannot_be_is_rejected_without_a_call() {
    let (stripe, script) = gateway([]);
    let is_rejected = |result: Result<_, GatewayError>| matches!(result, Err(GatewayError::Rejected(_)));
    for token in [None, Some(String::new())] {
        assert!(is_rejected(stripe.authorize(&AuthorizeRequest { token, ..request() }).await));
    }
    for reference in ["", "../charges", "pi_1/confirm", "pi_1?x=1"] {
        let reference = reference.to_owned();
        let capture = CaptureRequest { payment_id: payment_id(), reference: reference.clone(), amount: eur(1) };
        assert!(is_rejected(stripe.capture(&capture).await));
        let refund = stripe.refund(&RefundRequest { reference, ..refund_request() }).await;
        assert!(matches!(refund, Err(GatewayError::Rejected(_))));
    }
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_capture_takes_a_part_and_may_have_been_made() {
    let capture = CaptureRequest { payment_id: payment_id(), reference: "pi_1".to_owned(), amount: eur(400) };
    let (stripe, script) = gateway([answer(200, intent("succeeded", 400))]);
    assert_eq!(stripe.capture(&capture).await, Ok(report(GatewayState::Captured, 400)));
    let asked = &script.asked()[0];
    assert_eq!(asked.path, "/v1/payment_intents/pi_1/capture");
    assert_eq!(asked.body.as_deref(), Some("amount_to_capture=400"));
    assert_eq!(asked.header("Idempotency-Key"), Some(format!("{PAYMENT}-capture").as_str()));

    let refused = || error(400, "invalid_request_error", "payment_intent_unexpected_state");
    let (stripe, _) = gateway([refused(), answer(200, intent("succeeded", 400))]);
    assert_eq!(stripe.capture(&capture).await, Ok(report(GatewayState::Captured, 400)));
    for status in ["requires_capture", "canceled"] {
        let (stripe, _) = gateway([refused(), answer(200, intent(status, 0))]);
        assert!(matches!(stripe.capture(&capture).await, Err(GatewayError::Rejected(_))), "{status}");
    }
}

#[tokio::test]
async fn a_void_finds_its_payment_and_leaves_what_was_taken() {
    let void =
        |reference: Option<&str>| VoidRequest { payment_id: payment_id(), reference: reference.map(str::to_owned) };
    let (stripe, script) =
        gateway([answer(200, json!({"data": [intent("requires_capture", 0)]})), answer(200, intent("canceled", 0))]);
    assert_eq!(stripe.void(&void(None)).await, Ok(report(GatewayState::Voided, 0)));
    let asked = &script.asked()[1];
    assert_eq!(asked.path, "/v1/payment_intents/pi_1/cancel");
    assert_eq!(asked.header("Idempotency-Key"), Some(format!("{PAYMENT}-void").as_str()));

    let refused = || error(400, "invalid_request_error", "payment_intent_unexpected_state");
    let (stripe, _) = gateway([refused(), answer(200, intent("succeeded", 1990))]);
    assert_eq!(stripe.void(&void(Some("pi_1"))).await, Ok(report(GatewayState::Captured, 1990)));
    let (stripe, _) = gateway([refused(), answer(200, intent("processing", 0))]);
    assert!(matches!(stripe.void(&void(Some("pi_1"))).await, Err(GatewayError::Rejected(_))));
    let (stripe, _) = gateway([answer(200, json!({"data": []}))]);
    assert!(matches!(stripe.void(&void(None)).await, Err(GatewayError::Rejected(_))));
}

#[tokio::test]
async fn a_refund_is_made_unless_it_was() {
    let settled = GatewayRefund { reference: "re_1".to_owned(), state: GatewayRefundState::Settled, amount: eur(500) };
    let none = || answer(200, json!({"data": []}));
    let (stripe, script) = gateway([none(), answer(200, refund_object("succeeded"))]);
    assert_eq!(stripe.refund(&refund_request()).await, Ok(settled.clone()));
    let paths = ["GET /v1/refunds?limit=100&payment_intent=pi_1", "POST /v1/refunds"];
    assert_eq!(script.paths(), paths);
    let asked = &script.asked()[1];
    assert_eq!(asked.header("Idempotency-Key"), Some(REFUND));
    let form = "payment_intent=pi_1&amount=500&metadata%5Brefund_id%5D=0199b2a1-7c3e-7000-8000-000000000002\
        &metadata%5Bpayment_id%5D=0199b2a1-7c3e-7000-8000-000000000001";
    assert_eq!(asked.body.as_deref(), Some(form));

    let (stripe, _) = gateway([answer(200, json!({"data": [refund_object("succeeded")]}))]);
    assert_eq!(stripe.refund(&refund_request()).await, Ok(settled.clone()));
    let (stripe, _) =
        gateway([none(), replayed(answer(200, refund_object("pending"))), answer(200, refund_object("succeeded"))]);
    assert_eq!(stripe.refund(&refund_request()).await, Ok(settled));
    let (stripe, _) = gateway([none(), error(400, "invalid_request_error", "charge_already_refunded")]);
    assert!(matches!(stripe.refund(&refund_request()).await, Err(GatewayError::Rejected(_))));
    let (stripe, _) = gateway([none(), connect(), Err(TransportError::Timeout), error(500, "", "")]);
    assert!(matches!(stripe.refund(&refund_request()).await, Err(GatewayError::Unknown(_))));
}

#[tokio::test]
async fn payments_are_found_by_name_or_page_by_page() {
    let (stripe, _) = gateway([answer(200, intent("succeeded", 1990))]);
    let found = stripe.retrieve(payment_id(), Some("pi_1")).await;
    assert_eq!(found, Ok(Some(report(GatewayState::Captured, 1990))));
    let (stripe, _) = gateway([error(404, "invalid_request_error", "resource_missing")]);
    assert_eq!(stripe.retrieve(payment_id(), Some("pi_1")).await, Ok(None));

    let stranger = |id: &str| json!({"id": id, "status": "succeeded", "amount": 1, "currency": "usd"});
    let (stripe, script) = gateway([
        answer(200, json!({"data": [stranger("pi_3"), stranger("pi_2")], "has_more": true})),
        answer(200, json!({"data": [intent("requires_action", 0)], "has_more": true})),
    ]);
    let found = stripe.retrieve(payment_id(), None).await.unwrap().unwrap();
    assert!(matches!(found.state, GatewayState::RequiresAction(_)));
    let made = payment_id().0.get_timestamp().unwrap().to_unix().0;
    let (from, to) = (made - 3600, made + 25 * 3600);
    let page = format!("GET /v1/payment_intents?limit=100&created[gte]={from}&created[lte]={to}");
    assert_eq!(script.paths(), [page.clone(), format!("{page}&starting_after=pi_2")]);

    let (stripe, _) = gateway([answer(200, json!({"data": [stranger("pi_2")], "has_more": false}))]);
    assert_eq!(stripe.retrieve(payment_id(), None).await, Ok(None));
    let endless = || answer(200, json!({"data": [stranger("pi_2")], "has_more": true}));
    let (stripe, script) = gateway((0..PAGES).map(|_| endless()));
    let lost = stripe.retrieve(payment_id(), Some("")).await;
    assert!(matches!(lost, Err(GatewayError::Unavailable(_))), "not found isn't not there: {lost:?}");
    script.asked();
}

#[tokio::test]
async fn customers_are_sent_back_to_where_the_shop_says() {
    let (mut stripe, script) = gateway([answer(200, intent("succeeded", 1990))]);
    stripe.config = stripe.config.return_url("https://shop.example/back").unwrap();
    stripe.authorize(&AuthorizeRequest { capture: false, ..request() }).await.unwrap();
    let body = script.asked()[0].body.clone().unwrap();
    assert!(body.ends_with("&return_url=https%3A%2F%2Fshop.example%2Fback"), "{body}");
    assert!(body.contains("capture_method=manual"), "{body}");
}

#[test]
fn webhooks_need_a_secret_and_a_signature() {
    let body = json!({"id": "evt_1", "type": "ping", "data": {"object": {}}}).to_string().into_bytes();
    let at = Timestamp::from_micros(1_795_000_000_000_000);
    let signed = signature("whsec_1", at, &body);
    let request = WebhookRequest { signature: Some(&signed), body: &body, at };
    let (mut stripe, _) = gateway([]);
    assert_eq!(stripe.webhook(&request), Err(WebhookError::Unsupported));
    stripe.config = stripe.config.webhook_secret("whsec_2").unwrap();
    assert_eq!(stripe.webhook(&request), Err(WebhookError::Signature));
    stripe.config = stripe.config.webhook_secret("whsec_1").unwrap();
    assert_eq!(stripe.webhook(&request), Ok(GatewayEvent::Other));
}
