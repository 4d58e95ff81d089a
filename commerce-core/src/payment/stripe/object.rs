//! Stripe's objects, as far as we read them, and what they say in our words. Pure.

use std::collections::HashMap;

use serde::Deserialize;

use super::amount::from_stripe;
use crate::{
    id::{PaymentId, RefundId},
    money::Money,
    payment::gateway::{GatewayPayment, GatewayRefund, GatewayRefundState, GatewayState, NextAction, RefundReport},
};

/// A `payment_intent`.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub id: String,
    status: String,
    amount: i64,
    currency: String,
    amount_received: Option<i64>,
    client_secret: Option<String>,
    next_action: Option<IntentAction>,
    last_payment_error: Option<Problem>,
    metadata: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct IntentAction {
    redirect_to_url: Option<RedirectToUrl>,
}

#[derive(Deserialize)]
struct RedirectToUrl {
    url: Option<String>,
}

/// A `refund`.
#[derive(Clone, Deserialize)]
pub(super) struct RefundObject {
    pub id: String,
    status: Option<String>,
    amount: i64,
    currency: String,
    failure_reason: Option<String>,
    pub payment_intent: Option<Reference>,
    metadata: Option<HashMap<String, String>>,
}

/// A link to another object: its id, or (expanded) the object.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Reference {
    Id(String),
    Object { id: String },
}

impl Reference {
    pub fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

/// What Stripe says of a failure: `error` in an answer, `last_payment_error` of an intent.
#[derive(Default, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    pub payment_intent: Option<Box<Intent>>,
}

impl Problem {
    /// The most telling code: `insufficient_funds` rather than `card_declined`.
    pub fn decline(&self) -> String {
        let code = self.decline_code.as_ref().or(self.code.as_ref());
        code.cloned().unwrap_or_else(|| "card_declined".to_owned())
    }

    /// Whether Stripe can't move such an amount at all. Of a refund or capture, `amount_too_large` is about what is left.
    pub fn is_about_the_amount(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        code == "amount_too_small"
            || code == "invalid_charge_amount"
            || self.param.as_deref() == Some("currency")
            || (self.param.as_deref() == Some("amount")
                && !matches!(code, "amount_too_large" | "charge_already_refunded"))
    }

    /// For logs and staff.
    pub fn text(&self) -> String {
        let parts = [self.code.as_deref(), self.message.as_deref()];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        if text.is_empty() { "no reason given".to_owned() } else { text }
    }
}

#[derive(Deserialize)]
struct ProblemBody {
    error: Problem,
}

/// Reads an answer's `error`; an empty one if it isn't Stripe who speaks.
pub(super) fn problem(body: &[u8]) -> Problem {
    serde_json::from_slice::<ProblemBody>(body).map(|body| body.error).unwrap_or_default()
}

impl Intent {
    /// Our id of it.
    pub fn payment_id(&self) -> Option<PaymentId> {
        self.metadata.as_ref()?.get("payment_id")?.parse().ok()
    }

    /// The intent in our words; `None` if its amount is in none of our currencies.
    pub fn into_payment(self) -> Option<GatewayPayment> {
        let amount = from_stripe(self.amount, &self.currency)?;
        let captured = match self.status.as_str() {
            // Stand-ins for Stripe leave `amount_received` out.
            "succeeded" => from_stripe(self.amount_received.unwrap_or(self.amount), &self.currency)?,
            _ => amount.currency.zero(),
        };
        let (reference, state) = (self.id.clone(), self.state());
        Some(GatewayPayment { reference, state, amount, captured })
    }

    fn state(self) -> GatewayState {
        match self.status.as_str() {
            "requires_action" => GatewayState::RequiresAction(self.action()),
            "requires_capture" => GatewayState::Authorized,
            "succeeded" => GatewayState::Captured,
            "canceled" => GatewayState::Voided,
            // We confirm as we create: an intent only comes to want another payment method because its own was refused.
            "requires_payment_method" => GatewayState::Declined(self.last_payment_error.unwrap_or_default().decline()),
            _ => GatewayState::Processing,
        }
    }

    fn action(self) -> NextAction {
        match self.next_action.and_then(|action| action.redirect_to_url).and_then(|redirect| redirect.url) {
            Some(url) => NextAction { kind: "redirect".to_owned(), client_secret: None, url: Some(url) },
            None => NextAction { kind: "use_client_secret".to_owned(), client_secret: self.client_secret, url: None },
        }
    }
}

impl RefundObject {
    /// Our id of it.
    pub fn refund_id(&self) -> Option<RefundId> {
        self.metadata.as_ref()?.get("refund_id")?.parse().ok()
    }

    /// The refund and whose it is; `None` if its amount is in none of our currencies.
    pub fn report(&self) -> Option<RefundReport> {
        Some(RefundReport { refund_id: self.refund_id(), refund: self.clone().into_refund()? })
    }

    /// The refund in our words; `None` if its amount is in none of our currencies.
    pub fn into_refund(self) -> Option<GatewayRefund> {
        let amount: Money = from_stripe(self.amount, &self.currency)?;
        let state = match self.status.as_deref() {
            Some("succeeded") => GatewayRefundState::Settled,
            Some("failed") => GatewayRefundState::Failed(self.failure_reason.unwrap_or_else(|| "failed".to_owned())),
            Some("canceled") => GatewayRefundState::Failed("canceled".to_owned()),
            _ => GatewayRefundState::Pending,
        };
        Some(GatewayRefund { reference: self.id, state, amount })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::money::Currency;

    fn intent(change: &Value) -> GatewayPayment {
        let mut intent = json!({
            "id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 1990, "currency": "eur",
            "amount_received": 1990, "client_secret": "pi_1_secret", "next_action": null, "last_payment_error": null,
            "metadata": {"payment_id": "0199b2a1-7c3e-7000-8000-000000000001"}, "latest_charge": "ch_1",
        });
        let changes = change.as_object().unwrap().clone();
        intent.as_object_mut().unwrap().extend(changes);
        serde_json::from_value::<Intent>(intent).unwrap().into_payment().unwrap()
    }

    #[test]
    fn every_status_has_its_state() {
        let eur = |minor| Money::new(minor, Currency::EUR);
        let cases = [
            (json!({}), GatewayState::Captured, 1990),
            (json!({"amount_received": 400}), GatewayState::Captured, 400),
            (json!({"status": "requires_capture", "amount_received": 0}), GatewayState::Authorized, 0),
            (json!({"status": "processing"}), GatewayState::Processing, 0),
            (json!({"status": "something_new"}), GatewayState::Processing, 0),
            (json!({"status": "canceled"}), GatewayState::Voided, 0),
            (
                json!({"status": "requires_payment_method",
                       "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}}),
                GatewayState::Declined("insufficient_funds".to_owned()),
                0,
            ),
            (
                json!({"status": "requires_payment_method",
                       "last_payment_error": {"code": "payment_intent_authentication_failure"}}),
                GatewayState::Declined("payment_intent_authentication_failure".to_owned()),
                0,
            ),
        ];
        for (change, state, captured) in cases {
            let payment = intent(&change);
            assert_eq!(
                (payment.state, payment.amount, payment.captured),
                (state, eur(1990), eur(captured)),
                "{change}"
            );
        }
    }

    #[test]
    fn customers_finish_in_the_browser_library_or_at_their_bank() {
        let sdk = intent(&json!({"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}));
        let action = NextAction {
            kind: "use_client_secret".to_owned(),
            client_secret: Some("pi_1_secret".to_owned()),
            url: None,
        };
        assert_eq!(sdk.state, GatewayState::RequiresAction(action));
        let url = "https://hooks.stripe.com/3ds".to_owned();
        let next = json!({"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": "https://shop"}});
        let redirect = intent(&json!({"status": "requires_action", "next_action": next}));
        let action = NextAction { kind: "redirect".to_owned(), client_secret: None, url: Some(url) };
        assert_eq!(redirect.state, GatewayState::RequiresAction(action));
    }

    #[test]
    fn refunds_have_a_state_and_our_id() {
        let read = |status: &str| {
            let refund = json!({"id": "re_1", "amount": 5, "currency": "eur", "status": status,
                "failure_reason": "lost_or_stolen_card", "payment_intent": {"id": "pi_1", "object": "payment_intent"},
                "metadata": {"refund_id": "0199b2a1-7c3e-7000-8000-000000000002"}});
            serde_json::from_value::<RefundObject>(refund).unwrap()
        };
        assert!(read("pending").refund_id().is_some());
        assert_eq!(read("pending").payment_intent.map(Reference::into_id).as_deref(), Some("pi_1"));
        let state = |status| read(status).into_refund().unwrap().state;
        assert_eq!(state("succeeded"), GatewayRefundState::Settled);
        assert_eq!(state("pending"), GatewayRefundState::Pending);
        assert_eq!(state("requires_action"), GatewayRefundState::Pending);
        assert_eq!(state("failed"), GatewayRefundState::Failed("lost_or_stolen_card".to_owned()));
    }
}
