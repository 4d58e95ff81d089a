//! What a payment gateway promises.

use std::sync::Arc;

use futures_util::future::join_all;

use super::GatewayFixture;
use crate::{
    id::{IdGenerator, OrderId, PaymentId, RefundId, UuidV7},
    money::Money,
    payment::gateway::{
        AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayRefund, GatewayRefundState,
        GatewayState, PaymentGateway, RefundReport, RefundRequest, VoidRequest, WebhookRequest,
    },
};

const AMOUNT: i64 = 1000;

/// A gateway, and one payment after the other.
struct Desk<'a> {
    fixture: &'a dyn GatewayFixture,
    gateway: Arc<dyn PaymentGateway>,
}

impl<'a> Desk<'a> {
    fn new(fixture: &'a dyn GatewayFixture) -> Self {
        Self { fixture, gateway: fixture.gateway() }
    }

    fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.fixture.currency())
    }

    // Real gateways remember earlier runs, so ids aren't repeated.
    fn request(&self, token: &str, capture: bool) -> AuthorizeRequest {
        let payment_id = PaymentId(UuidV7.uuid());
        AuthorizeRequest {
            payment_id,
            order_id: OrderId(UuidV7.uuid()),
            order_number: format!("T-{payment_id}"),
            method: self.fixture.method(),
            amount: self.money(AMOUNT),
            token: Some(token.to_owned()),
            capture,
        }
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> GatewayPayment {
        self.gateway.authorize(request).await.expect("the gateway answers")
    }

    /// A payment that was taken at once.
    async fn paid(&self) -> (AuthorizeRequest, GatewayPayment) {
        let request = self.request(&self.fixture.good_token(), true);
        let payment = self.authorize(&request).await;
        assert_eq!(
            (&payment.state, payment.amount, payment.captured),
            (&GatewayState::Captured, self.money(AMOUNT), self.money(AMOUNT))
        );
        (request, payment)
    }

    /// A payment that was promised, if the gateway can do that.
    async fn promised(&self) -> Option<(AuthorizeRequest, GatewayPayment)> {
        if !self.fixture.manual_capture() {
            eprintln!("not applicable: the fixture says that this gateway takes all money at once");
            return None;
        }
        let request = self.request(&self.fixture.good_token(), false);
        let payment = self.authorize(&request).await;
        assert_eq!(
            (&payment.state, payment.amount, payment.captured),
            (&GatewayState::Authorized, self.money(AMOUNT), self.money(0))
        );
        Some((request, payment))
    }

    async fn capture(
        &self,
        payment_id: PaymentId,
        reference: &str,
        minor: i64,
    ) -> Result<GatewayPayment, GatewayError> {
        let reference = reference.to_owned();
        self.gateway.capture(&CaptureRequest { payment_id, reference, amount: self.money(minor) }).await
    }

    async fn refund(
        &self,
        refund_id: RefundId,
        payment_id: PaymentId,
        reference: &str,
        minor: i64,
    ) -> Result<GatewayRefund, GatewayError> {
        let reference = reference.to_owned();
        self.gateway.refund(&RefundRequest { refund_id, payment_id, reference, amount: self.money(minor) }).await
    }

    async fn void(&self, payment_id: PaymentId, reference: Option<&str>) -> GatewayPayment {
        let reference = reference.map(str::to_owned);
        self.gateway.void(&VoidRequest { payment_id, reference }).await.expect("the gateway answers")
    }

    async fn retrieve(&self, payment: PaymentId, reference: Option<&str>) -> Option<GatewayPayment> {
        self.gateway.retrieve(payment, reference).await.expect("the gateway answers")
    }
}

fn new_refund() -> RefundId {
    RefundId(UuidV7.uuid())
}

/// The gateway has a code and at least one method, and its methods name it.
pub async fn it_names_itself_and_its_methods(fixture: &dyn GatewayFixture) {
    let gateway = fixture.gateway();
    assert!(!gateway.code().is_empty());
    assert!(!gateway.methods().is_empty(), "there is a way to pay");
    for method in gateway.methods() {
        assert_eq!(method.gateway, gateway.code());
        assert!(!method.code.is_empty() && !method.title.is_empty());
    }
}

/// Money is taken at once if asked so.
pub async fn it_takes_money_at_once(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    assert!(!payment.reference.is_empty());
    assert_eq!(desk.retrieve(request.payment_id, Some(&payment.reference)).await, Some(payment));
}

/// Promised money is taken in full.
pub async fn it_captures_in_full(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let Some((request, promised)) = desk.promised().await else { return };
    let taken =
        desk.capture(request.payment_id, &promised.reference, AMOUNT).await.expect("promised money can be taken");
    assert_eq!(
        (&taken.state, taken.captured, &taken.reference),
        (&GatewayState::Captured, desk.money(AMOUNT), &promised.reference)
    );
    assert_eq!(desk.retrieve(request.payment_id, Some(&promised.reference)).await, Some(taken));
}

/// Part of the promised money is taken, and that once: the same capture again changes nothing.
pub async fn it_captures_a_part_once(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let Some((request, promised)) = desk.promised().await else { return };
    for _ in 0..2 {
        let taken = desk.capture(request.payment_id, &promised.reference, 400).await.expect("a part can be taken");
        assert_eq!((&taken.state, taken.captured), (&GatewayState::Captured, desk.money(400)));
    }
    let seen = desk.retrieve(request.payment_id, Some(&promised.reference)).await.expect("the payment is known");
    assert_eq!(seen.captured, desk.money(400));
}

/// More than was promised can't be taken.
pub async fn it_captures_no_more_than_promised(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let Some((request, promised)) = desk.promised().await else { return };
    let more = desk.capture(request.payment_id, &promised.reference, AMOUNT + 1).await;
    assert!(matches!(more, Err(GatewayError::Rejected(_))), "{more:?}");
    let seen = desk.retrieve(request.payment_id, Some(&promised.reference)).await;
    assert_eq!(seen, Some(promised), "a rejected call has no effect");
}

/// A promise is given back, also if only our id of it is known, and stays given back.
pub async fn it_voids_a_promise(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    for known in [true, false] {
        let Some((request, promised)) = desk.promised().await else { return };
        let reference = known.then_some(promised.reference.as_str());
        for _ in 0..2 {
            let voided = desk.void(request.payment_id, reference).await;
            assert_eq!((&voided.state, voided.captured), (&GatewayState::Voided, desk.money(0)));
        }
        let capture = desk.capture(request.payment_id, &promised.reference, AMOUNT).await;
        assert!(matches!(capture, Err(GatewayError::Rejected(_))), "what was given back can't be taken: {capture:?}");
        let seen = desk.retrieve(request.payment_id, reference).await.expect("the payment is known");
        assert_eq!(seen.state, GatewayState::Voided);
    }
}

/// A payment that was already taken is answered as it stands when it is to be voided.
pub async fn it_does_not_void_what_was_taken(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    assert_eq!(desk.void(request.payment_id, Some(&payment.reference)).await, payment);
    assert_eq!(desk.retrieve(request.payment_id, Some(&payment.reference)).await, Some(payment));
}

/// Money goes back, all at once.
pub async fn it_refunds_in_full(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    let refund =
        desk.refund(new_refund(), request.payment_id, &payment.reference, AMOUNT).await.expect("money can go back");
    assert_eq!(refund.amount, desk.money(AMOUNT));
    assert!(matches!(refund.state, GatewayRefundState::Settled | GatewayRefundState::Pending), "{refund:?}");
    let more = desk.refund(new_refund(), request.payment_id, &payment.reference, 1).await;
    assert!(matches!(more, Err(GatewayError::Rejected(_))), "nothing is left: {more:?}");
}

/// Money goes back in parts, and never more than was taken.
pub async fn it_refunds_no_more_than_taken(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    let refund = async |minor| desk.refund(new_refund(), request.payment_id, &payment.reference, minor).await;
    assert!(matches!(refund(AMOUNT + 1).await, Err(GatewayError::Rejected(_))), "more than there was");
    let (one, two) = (refund(300).await.expect("a part"), refund(600).await.expect("another part"));
    assert_ne!(one.reference, two.reference, "two refunds are two");
    assert!(matches!(refund(101).await, Err(GatewayError::Rejected(_))), "more than is left");
    assert_eq!(refund(100).await.expect("the rest").amount, desk.money(100));
}

/// The same refund again, and at the same time, is one refund.
pub async fn it_refunds_once(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    let id = new_refund();
    let again = join_all((0..5).map(|_| desk.refund(id, request.payment_id, &payment.reference, 600))).await;
    let mut references: Vec<_> = again.into_iter().map(|refund| refund.expect("money can go back").reference).collect();
    references.dedup();
    assert_eq!(references.len(), 1, "one refund has one name");
    let rest = desk.refund(new_refund(), request.payment_id, &payment.reference, 400).await;
    assert!(rest.is_ok(), "only 600 of 1000 went back: {rest:?}");
}

/// The books of a payment tell of each refund, whose it is, and what went back in all.
pub async fn it_tells_of_all_refunds(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    let account =
        async || desk.gateway.account(request.payment_id, Some(&payment.reference)).await.expect("the gateway answers");
    let Some(before) = account().await else {
        eprintln!("not applicable: this gateway keeps no books");
        return;
    };
    assert_eq!((before.payment.as_ref(), before.refunded(), before.refunds.len()), (Some(&payment), 0, 0));
    let id = new_refund();
    let ours = desk.refund(id, request.payment_id, &payment.reference, 300).await.expect("money can go back");
    let told = account().await.expect("books").refunds;
    assert_eq!(told, [RefundReport { refund_id: Some(id), refund: ours }], "ours has our id");
    if !fixture.refund_past_us(request.payment_id, &payment.reference, 200).await {
        eprintln!("not applicable: nobody can send money back past the shop here");
        return;
    }
    let after = account().await.expect("books");
    let theirs: Vec<_> = after.refunds.iter().filter(|report| report.refund_id.is_none()).collect();
    assert_eq!((after.refunds.len(), theirs.len()), (2, 1), "{:?}", after.refunds);
    assert_eq!(theirs[0].refund.amount, desk.money(200));
    assert!(!theirs[0].refund.reference.is_empty());
    assert_ne!(after.refunds[0].refund.reference, after.refunds[1].refund.reference, "two refunds are two");
    let more = desk.refund(new_refund(), request.payment_id, &payment.reference, 501).await;
    assert!(matches!(more, Err(GatewayError::Rejected(_))), "only 500 of 1000 are left: {more:?}");
}

/// An amount that the gateway says it can't take is refused as such: without effect, and as no decline.
pub async fn it_keeps_to_the_amounts_it_names(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let amounts = desk.gateway.amounts(fixture.currency());
    assert!(amounts.step >= 1 && amounts.least >= 1 && amounts.most >= amounts.least, "{amounts:?}");
    let wrong = [
        (amounts.least > amounts.step).then_some(amounts.least - amounts.step),
        (amounts.step > 1).then_some(amounts.least + 1),
        amounts.most.checked_add(amounts.step),
    ];
    for minor in wrong.into_iter().flatten() {
        let request = AuthorizeRequest { amount: desk.money(minor), ..desk.request(&fixture.good_token(), true) };
        assert!(amounts.check_payment(request.amount).is_err());
        let refused = desk.gateway.authorize(&request).await;
        assert!(matches!(refused, Err(GatewayError::AmountNotPayable(_))), "{minor}: {refused:?}");
        assert_eq!(desk.retrieve(request.payment_id, None).await, None, "{minor}");
    }
}

/// The same payment again, and at the same time, is one payment under one name.
pub async fn it_charges_once(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let request = desk.request(&fixture.good_token(), true);
    let again = join_all((0..5).map(|_| desk.authorize(&request))).await;
    assert!(again.iter().all(|payment| *payment == again[0]), "one payment has one answer: {again:?}");
    assert_eq!(desk.authorize(&request).await, again[0]);
    if let Some(charges) = fixture.charges(request.payment_id).await {
        assert_eq!(charges, 1, "the gateway's own ledger has one charge");
    }
    let (_, other) = desk.paid().await;
    assert_ne!(other.reference, again[0].reference, "another id is another payment");
}

/// A repeated call is answered with the present state, not with the state of the first call.
pub async fn it_answers_with_the_present_state(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let Some((request, promised)) = desk.promised().await else { return };
    desk.capture(request.payment_id, &promised.reference, AMOUNT).await.expect("promised money can be taken");
    let again = desk.authorize(&request).await;
    assert_eq!(
        (again.state, again.reference, again.captured),
        (GatewayState::Captured, promised.reference, desk.money(AMOUNT))
    );
}

/// A payment is found by our id alone, and by its name; what never was isn't found.
pub async fn it_finds_payments(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let (request, payment) = desk.paid().await;
    assert_eq!(desk.retrieve(request.payment_id, None).await.as_ref(), Some(&payment));
    assert_eq!(desk.retrieve(request.payment_id, Some(&payment.reference)).await.as_ref(), Some(&payment));
    assert_eq!(desk.retrieve(PaymentId(UuidV7.uuid()), None).await, None);
}

/// A decline is an answer with a code, takes no money, and stays the answer.
pub async fn a_decline_is_an_answer(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    for capture in [true, false] {
        let request = desk.request(&fixture.declined_token(), capture);
        let declined = desk.authorize(&request).await;
        assert!(matches!(&declined.state, GatewayState::Declined(code) if !code.is_empty()), "{declined:?}");
        assert_eq!(declined.captured, desk.money(0));
        assert_eq!(desk.authorize(&request).await.state, declined.state);
        let seen = desk.retrieve(request.payment_id, Some(&declined.reference)).await;
        assert_eq!(seen.map(|payment| payment.state), Some(declined.state));
    }
}

/// A payment that waits for the customer says what they must do, and has taken nothing.
pub async fn a_customer_may_have_to_act(fixture: &dyn GatewayFixture) {
    let desk = Desk::new(fixture);
    let Some(token) = fixture.action_token() else {
        eprintln!("not applicable: the fixture says that this gateway never asks customers to act");
        return;
    };
    let request = desk.request(&token, true);
    let waiting = desk.authorize(&request).await;
    let GatewayState::RequiresAction(action) = &waiting.state else { panic!("{waiting:?}") };
    match action.kind.as_str() {
        "use_client_secret" => assert!(action.client_secret.as_ref().is_some_and(|secret| !secret.is_empty())),
        "redirect" => assert!(action.url.as_ref().is_some_and(|url| url.starts_with("http"))),
        kind => panic!("clients don't know what to do for '{kind}'"),
    }
    assert_eq!(waiting.captured, desk.money(0));
    let seen = desk.retrieve(request.payment_id, Some(&waiting.reference)).await.expect("the payment is known");
    assert_eq!(seen.state, waiting.state);
    assert_eq!(desk.void(request.payment_id, Some(&waiting.reference)).await.state, GatewayState::Voided);
}

/// A webhook without a signature, or with a made-up one, isn't believed.
pub async fn an_unsigned_webhook_is_not_believed(fixture: &dyn GatewayFixture) {
    let gateway = fixture.gateway();
    for signature in [None, Some(""), Some("t=1795000000,v1=00")] {
        let request = WebhookRequest { signature, body: br#"{"type":"payment"}"#, at: fixture.now() };
        assert!(gateway.webhook(&request).is_err(), "signature: {signature:?}");
    }
}
