//! Webhooks: the signature over the raw body, and what events say. Pure.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::object::{Intent, List, Reference, RefundObject};
use crate::{
    clock::Timestamp,
    payment::gateway::{GatewayEvent, WebhookError, WebhookRequest},
};

/// How old a signature may be, in seconds, and how far ahead of our clock.
const WINDOW: u64 = 300;

#[derive(Deserialize)]
struct Event {
    id: String,
    /// Set where the event is another account's: that of a connected one.
    account: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Charge {
    payment_intent: Option<Reference>,
    /// Left out by newer versions, which send `refund.created` besides.
    refunds: Option<List<RefundObject>>,
}

#[derive(Deserialize)]
struct Dispute {
    payment_intent: Option<Reference>,
}

/// Checks that one of the secrets signed the body not long before or after `at`: `t=…,v1=…`, HMAC-SHA256 over `t.body`.
pub(super) fn verify(secrets: &[String], request: &WebhookRequest<'_>) -> Result<(), WebhookError> {
    let (signed_at, signatures) = request.signature.and_then(parts).ok_or(WebhookError::Signature)?;
    let mut valid = Choice::from(0);
    for secret in secrets {
        let expected = sign(secret, signed_at, request.body);
        for signature in &signatures {
            valid |= expected.as_bytes().ct_eq(signature.as_bytes());
        }
    }
    let fresh = signed_at.parse().is_ok_and(|at: i64| request.at.as_secs().abs_diff(at) <= WINDOW);
    if bool::from(valid) && fresh { Ok(()) } else { Err(WebhookError::Signature) }
}

/// The time as written and every `v1` signature of a header.
fn parts(header: &str) -> Option<(&str, Vec<&str>)> {
    let pairs: Vec<_> = header.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let (_, signed_at) = pairs.iter().find(|(name, _)| *name == "t")?;
    let signatures = pairs.iter().filter(|(name, _)| *name == "v1").map(|(_, value)| *value).collect();
    Some((*signed_at, signatures))
}

fn sign(secret: &str, signed_at: &str, body: &[u8]) -> String {
    // Hmac takes keys of any length, so this can't fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The `Stripe-Signature` of a body: for tests and stand-ins of Stripe.
#[must_use]
pub fn signature(secret: &str, at: Timestamp, body: &[u8]) -> String {
    let signed_at = at.as_secs().to_string();
    format!("t={signed_at},v1={}", sign(secret, &signed_at, body))
}

/// Reads an event.
pub(super) fn event(body: &[u8]) -> Result<GatewayEvent, WebhookError> {
    let mut event: Event = read(serde_json::from_slice(body))?;
    let account = event.account.take();
    let told = tell(event)?;
    let Some(account) = account else { return Ok(told) };
    Ok(match told {
        GatewayEvent::Payment { event_id, reference, payment_id, .. } => {
            GatewayEvent::Foreign { event_id, account, reference, payment_id }
        }
        GatewayEvent::Refund { event_id, payment_reference: reference, .. }
        | GatewayEvent::Refunds { event_id, payment_reference: reference }
        | GatewayEvent::Disputed { event_id, reference } => {
            GatewayEvent::Foreign { event_id, account, reference, payment_id: None }
        }
        told @ (GatewayEvent::Foreign { .. } | GatewayEvent::Other) => told,
    })
}

fn tell(Event { id: event_id, kind, data, .. }: Event) -> Result<GatewayEvent, WebhookError> {
    match kind.as_str() {
        "payment_intent.succeeded"
        | "payment_intent.amount_capturable_updated"
        | "payment_intent.payment_failed"
        | "payment_intent.canceled"
        | "payment_intent.requires_action"
        | "payment_intent.processing" => {
            let intent: Intent = object(data)?;
            let (reference, payment_id) = (intent.id.clone(), intent.payment_id());
            let payment = intent.into_payment().ok_or_else(unknown_amount)?;
            Ok(GatewayEvent::Payment { event_id, reference, payment_id, payment })
        }
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            let mut refund: RefundObject = object(data)?;
            let payment = refund.payment_intent.take();
            refund_event(event_id, payment, refund)
        }
        "charge.refunded" => {
            let charge: Charge = object(data)?;
            let mut refunds = charge.refunds.map(|refunds| refunds.data).unwrap_or_default();
            match (refunds.pop(), charge.payment_intent) {
                (Some(only), payment) if refunds.is_empty() => refund_event(event_id, payment, only),
                (_, Some(payment)) => Ok(GatewayEvent::Refunds { event_id, payment_reference: payment.into_id() }),
                (_, None) => Ok(GatewayEvent::Other),
            }
        }
        "charge.dispute.created" | "charge.dispute.updated" | "charge.dispute.funds_withdrawn" => {
            let dispute: Dispute = object(data)?;
            let disputed = |payment: Reference| GatewayEvent::Disputed { event_id, reference: payment.into_id() };
            Ok(dispute.payment_intent.map_or(GatewayEvent::Other, disputed))
        }
        _ => Ok(GatewayEvent::Other),
    }
}

/// Charges without an intent aren't ours.
fn refund_event(
    event_id: String,
    payment: Option<Reference>,
    refund: RefundObject,
) -> Result<GatewayEvent, WebhookError> {
    let Some(payment) = payment else { return Ok(GatewayEvent::Other) };
    let refund_id = refund.refund_id();
    let refund = refund.into_refund().ok_or_else(unknown_amount)?;
    Ok(GatewayEvent::Refund { event_id, payment_reference: payment.into_id(), refund_id, refund })
}

fn object<T: DeserializeOwned>(data: Data) -> Result<T, WebhookError> {
    read(serde_json::from_value(data.object))
}

fn read<T>(result: serde_json::Result<T>) -> Result<T, WebhookError> {
    result.map_err(|error| WebhookError::Malformed(error.to_string()))
}

fn unknown_amount() -> WebhookError {
    WebhookError::Malformed("an amount in no currency of ours".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        money::{Currency, Money},
        payment::gateway::{GatewayRefundState, GatewayState},
    };

    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn check(secrets: &[&str], signature: Option<&str>, now: i64) -> bool {
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        verify(&secrets, &WebhookRequest { signature, body: BODY, at: at(now) }).is_ok()
    }

    #[test]
    fn the_signature_is_stripes() {
        // Computed with `printf '%s' '1795000000.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_1`.
        let openssl = "c2fa8b11ace03b7fa0a250f0eac2a3b7c8804e09f8bb4417c3876613b429f1f6";
        assert_eq!(signature("whsec_1", at(1_795_000_000), BODY), format!("t=1795000000,v1={openssl}"));
    }

    #[test]
    fn any_of_the_secrets_will_do_and_any_of_the_signatures() {
        let signed = signature("whsec_1", at(1000), BODY);
        assert!(check(&["whsec_1"], Some(&signed), 1000));
        assert!(check(&["whsec_2", "whsec_1"], Some(&signed), 1000));
        let other = signature("whsec_2", at(1000), BODY).replace("t=1000,", "");
        assert!(check(&["whsec_1"], Some(&format!("{signed},{other},v0=00")), 1000));
        assert!(check(&["whsec_2"], Some(&format!("{signed},{other},v0=00")), 1000));
    }

    #[test]
    fn a_window_of_five_minutes_either_way() {
        let signed = signature("whsec_1", at(1000), BODY);
        for (now, believed) in [(1300, true), (1301, false), (700, true), (699, false)] {
            assert_eq!(check(&["whsec_1"], Some(&signed), now), believed, "{now}");
        }
    }

    #[test]
    fn nothing_else_is_believed() {
        let signed = signature("whsec_1", at(1000), BODY);
        assert!(!check(&["whsec_2"], Some(&signed), 1000));
        assert!(!check(&[], Some(&signed), 1000));
        assert!(!check(&["whsec_1"], None, 1000));
        let hex = signed.strip_prefix("t=1000,v1=").unwrap();
        for header in [
            String::new(),
            ",,=,".to_owned(),
            "t=1000".to_owned(),
            format!("v1={hex}"),
            format!("t=,v1={hex}"),
            format!("t=1001,v1={hex}"),
            format!("t=1000,v0={hex}"),
            format!("t=1000,v1={}", &hex[..32]),
            format!("t=1000,v1={hex}00"),
            "t=1000,v1=".to_owned(),
        ] {
            assert!(!check(&["whsec_1"], Some(&header), 1000), "{header}");
        }
        let secrets = ["whsec_1".to_owned()];
        let tampered = WebhookRequest { signature: Some(&signed), body: br#"{"id": "evt_2"}"#, at: at(1000) };
        assert_eq!(verify(&secrets, &tampered), Err(WebhookError::Signature));
    }

    fn parse(kind: &str, object: &Value) -> Result<GatewayEvent, WebhookError> {
        event(json!({"id": "evt_1", "type": kind, "data": {"object": object}}).to_string().as_bytes())
    }

    #[test]
    fn payments_refunds_and_disputes_are_told() {
        let (ours, refund_id) = ("0199b2a1-7c3e-7000-8000-000000000001", "0199b2a1-7c3e-7000-8000-000000000002");
        let intent = json!({"id": "pi_1", "status": "requires_capture", "amount": 5, "currency": "eur",
            "metadata": {"payment_id": ours}});
        for kind in ["succeeded", "amount_capturable_updated", "payment_failed", "canceled", "requires_action"] {
            let event = parse(&format!("payment_intent.{kind}"), &intent).unwrap();
            let GatewayEvent::Payment { event_id, reference, payment_id, payment } = event else { panic!("{event:?}") };
            assert_eq!((event_id.as_str(), reference.as_str()), ("evt_1", "pi_1"));
            assert_eq!(payment_id, ours.parse().ok());
            assert_eq!((payment.state, payment.amount), (GatewayState::Authorized, Money::new(5, Currency::EUR)));
        }
        let refund = json!({"id": "re_1", "status": "failed", "amount": 5, "currency": "eur", "payment_intent": "pi_1",
            "metadata": {"refund_id": refund_id}});
        let charge = json!({"id": "ch_1", "payment_intent": "pi_1", "refunds": {"data": [refund]}});
        for (kind, object) in [("refund.failed", &refund), ("refund.updated", &refund), ("charge.refunded", &charge)] {
            let event = parse(kind, object).unwrap();
            let GatewayEvent::Refund { payment_reference, refund_id: ours, refund, .. } = event else {
                panic!("{kind}")
            };
            assert_eq!((payment_reference.as_str(), ours), ("pi_1", refund_id.parse().ok()));
            assert_eq!(refund.state, GatewayRefundState::Failed("failed".to_owned()));
        }
        let two = json!({"id": "ch_1", "payment_intent": "pi_1", "refunds": {"data": [refund, refund]}});
        for charge in [&json!({"id": "ch_1", "payment_intent": "pi_1"}), &two] {
            let refunds = GatewayEvent::Refunds { event_id: "evt_1".to_owned(), payment_reference: "pi_1".to_owned() };
            assert_eq!(parse("charge.refunded", charge), Ok(refunds), "which of them, the gateway is asked");
        }
        let dispute = json!({"id": "dp_1", "payment_intent": "pi_1"});
        let disputed = GatewayEvent::Disputed { event_id: "evt_1".to_owned(), reference: "pi_1".to_owned() };
        assert_eq!(parse("charge.dispute.created", &dispute), Ok(disputed));
    }

    #[test]
    fn what_happened_to_another_account_is_foreign() {
        let ours = "0199b2a1-7c3e-7000-8000-000000000001";
        let intent = json!({"id": "pi_1", "status": "succeeded", "amount": 5, "currency": "eur",
            "metadata": {"payment_id": ours}});
        let refund =
            json!({"id": "re_1", "status": "failed", "amount": 5, "currency": "eur", "payment_intent": "pi_1"});
        let cases = [("payment_intent.succeeded", intent, ours.parse().ok()), ("refund.failed", refund, None)];
        for (kind, object, payment_id) in cases {
            let body = json!({"id": "evt_1", "account": "acct_2", "type": kind, "data": {"object": object}});
            let (event_id, account, reference) = ("evt_1".to_owned(), "acct_2".to_owned(), "pi_1".to_owned());
            let foreign = GatewayEvent::Foreign { event_id, account, reference, payment_id };
            assert_eq!(event(body.to_string().as_bytes()), Ok(foreign));
        }
    }

    #[test]
    fn the_rest_is_other_or_malformed() {
        assert_eq!(parse("customer.created", &json!({"id": "cus_1"})), Ok(GatewayEvent::Other));
        assert_eq!(parse("charge.refunded", &json!({"id": "ch_1"})), Ok(GatewayEvent::Other));
        for broken in [
            event(b"{"),
            event(br#"{"id": "evt_1"}"#),
            parse("payment_intent.succeeded", &json!({"id": "pi_1"})),
            parse(
                "payment_intent.succeeded",
                &json!({"id": "pi_1", "status": "succeeded", "amount": 1, "currency": "zzz"}),
            ),
        ] {
            assert!(matches!(broken, Err(WebhookError::Malformed(_))), "{broken:?}");
        }
    }
}
