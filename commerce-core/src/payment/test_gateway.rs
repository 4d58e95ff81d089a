//! [`TestGateway`]: moves no money, keeps a ledger as if it did, and can be told to fail.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    PayableAmounts,
    gateway::{
        AuthorizeRequest, CaptureRequest, GatewayAccount, GatewayError, GatewayEvent, GatewayPayment, GatewayRefund,
        GatewayRefundState, GatewayState, NextAction, PaymentGateway, PaymentMethod, RefundReport, RefundRequest,
        VoidRequest,
    },
};
use crate::{
    id::{PaymentId, RefundId},
    money::{Currency, Money},
};

/// A gateway for development and tests, method `test`. It understands Stripe's test tokens:
///
/// | token | outcome |
/// |---|---|
/// | `pm_card_visa`, none | succeeds |
/// | `pm_card_chargeDeclined`, `pm_card_visa_chargeDeclined` | declined, `card_declined` |
/// | `pm_card_visa_chargeDeclinedInsufficientFunds` | declined, `insufficient_funds` |
/// | `pm_card_threeDSecure2Required` | needs action; [`authenticate`](TestGateway::authenticate) completes it |
///
/// Clones share one ledger.
#[derive(Clone, Default)]
pub struct TestGateway {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    payments: HashMap<PaymentId, Entry>,
    faults: VecDeque<GatewayFault>,
    amounts: PayableAmounts,
}

#[derive(Clone)]
struct Entry {
    reference: String,
    state: GatewayState,
    amount: Money,
    captured: i64,
    capture: bool,
    refunds: HashMap<RefundId, SentBack>,
    /// Refunds that were made past the shop.
    past_us: Vec<SentBack>,
}

#[derive(Clone)]
struct SentBack {
    amount: Money,
    reference: String,
    bounced: bool,
}

impl SentBack {
    fn report(&self) -> GatewayRefund {
        let failed = || GatewayRefundState::Failed("lost_or_stolen_card".to_owned());
        let state = if self.bounced { failed() } else { GatewayRefundState::Settled };
        GatewayRefund { reference: self.reference.clone(), state, amount: self.amount }
    }
}

impl Entry {
    fn report(&self) -> GatewayPayment {
        GatewayPayment {
            reference: self.reference.clone(),
            state: self.state.clone(),
            amount: self.amount,
            captured: Money::new(self.captured, self.amount.currency),
        }
    }

    fn refunded(&self) -> i64 {
        let all = self.refunds.values().chain(&self.past_us);
        all.filter(|refund| !refund.bounced).map(|refund| refund.amount.minor).sum()
    }

    fn succeed(&mut self) {
        if self.capture {
            self.captured = self.amount.minor;
            self.state = GatewayState::Captured;
        } else {
            self.state = GatewayState::Authorized;
        }
    }
}

/// What goes wrong with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayFault {
    /// It isn't reached: `Unavailable`, without effect.
    Refused,
    /// The call is lost on its way: `Unknown`, without effect.
    LostBefore,
    /// The answer is lost on its way: `Unknown`, with effect.
    LostAfter,
}

/// What the ledger says of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// The payment.
    pub payment: PaymentId,
    /// What was taken, in minor units.
    pub captured: i64,
    /// What was sent back, in minor units.
    pub refunded: i64,
    /// Whether it is promised, not taken.
    pub authorized: bool,
}

impl TestGateway {
    /// A gateway with an empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next calls go wrong, in this order.
    pub fn script(&self, faults: impl IntoIterator<Item = GatewayFault>) {
        self.lock().faults.extend(faults);
    }

    /// The customer finishes 3-D Secure, or fails to. `false` if the payment doesn't wait for it.
    #[must_use]
    pub fn authenticate(&self, payment: PaymentId, success: bool) -> bool {
        let mut state = self.lock();
        let waiting = state.payments.get_mut(&payment).filter(|e| matches!(e.state, GatewayState::RequiresAction(_)));
        let Some(entry) = waiting else { return false };
        if success {
            entry.succeed();
        } else {
            entry.state = GatewayState::Declined("authentication_failed".to_owned());
        }
        true
    }

    /// The customer pays by another card after a decline, as gateways allow for a while. How the payment stands then; `None`
    /// unless it had been declined.
    #[must_use]
    pub fn pay_after_all(&self, payment: PaymentId) -> Option<GatewayPayment> {
        let mut state = self.lock();
        let entry = state.payments.get_mut(&payment).filter(|e| matches!(e.state, GatewayState::Declined(_)))?;
        entry.succeed();
        Some(entry.report())
    }

    /// The customer's bank sends a refund back, days after it was made: the money is the shop's again. What the gateway's
    /// webhook says of it; `None` if there is no such refund.
    #[must_use]
    pub fn bounce(&self, payment: PaymentId, refund: RefundId) -> Option<GatewayEvent> {
        let mut state = self.lock();
        let entry = state.payments.get_mut(&payment)?;
        let sent_back = entry.refunds.get_mut(&refund)?;
        sent_back.bounced = true;
        let (refund_id, refund) = (Some(refund), sent_back.report());
        let event_id = format!("bounced {}", refund.reference);
        Some(GatewayEvent::Refund { event_id, payment_reference: entry.reference.clone(), refund_id, refund })
    }

    /// Takes and moves only such amounts from now on.
    pub fn only_takes(&self, amounts: PayableAmounts) {
        self.lock().amounts = amounts;
    }

    /// Somebody sends money back at the gateway itself, past the shop. What the gateway's webhook says of it; `None` if so much
    /// isn't left of the payment.
    #[must_use]
    pub fn refund_past_us(&self, payment: PaymentId, minor: i64) -> Option<GatewayEvent> {
        let mut state = self.lock();
        let entry = state.payments.get_mut(&payment)?;
        if minor <= 0 || minor > entry.captured - entry.refunded() {
            return None;
        }
        let reference = format!("test_past_{}_{payment}", entry.past_us.len());
        let sent_back = SentBack { amount: Money::new(minor, entry.amount.currency), reference, bounced: false };
        let refund = sent_back.report();
        entry.past_us.push(sent_back);
        let event_id = format!("made {}", refund.reference);
        Some(GatewayEvent::Refund { event_id, payment_reference: entry.reference.clone(), refund_id: None, refund })
    }

    /// The newest refund that was made past the shop fails after all. What the gateway's webhook says of it; `None` if there is
    /// none.
    #[must_use]
    pub fn bounce_past_us(&self, payment: PaymentId) -> Option<GatewayEvent> {
        let mut state = self.lock();
        let entry = state.payments.get_mut(&payment)?;
        let sent_back = entry.past_us.iter_mut().rfind(|refund| !refund.bounced)?;
        sent_back.bounced = true;
        let refund = sent_back.report();
        let event_id = format!("bounced {}", refund.reference);
        Some(GatewayEvent::Refund { event_id, payment_reference: entry.reference.clone(), refund_id: None, refund })
    }

    /// The whole ledger, in no particular order.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerLine> {
        let line = |(id, entry): (&PaymentId, &Entry)| LedgerLine {
            payment: *id,
            captured: entry.captured,
            refunded: entry.refunded(),
            authorized: entry.state == GatewayState::Authorized,
        };
        self.lock().payments.iter().map(line).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call under the next scripted fault, if there is one.
    fn call<T>(&self, effect: impl FnOnce(&mut State) -> Result<T, GatewayError>) -> Result<T, GatewayError> {
        let mut state = self.lock();
        match state.faults.pop_front() {
            Some(GatewayFault::Refused) => Err(GatewayError::Unavailable("connection refused (scripted)".to_owned())),
            Some(GatewayFault::LostBefore) => {
                Err(GatewayError::Unknown("time-out before the effect (scripted)".to_owned()))
            }
            Some(GatewayFault::LostAfter) => {
                effect(&mut state)?;
                Err(GatewayError::Unknown("time-out after the effect (scripted)".to_owned()))
            }
            None => effect(&mut state),
        }
    }
}

impl State {
    /// The entry that a reference names. A payment from before a restart is rebuilt from its reference, so that a
    /// development shop can refund and capture what it sold yesterday.
    fn entry(
        &mut self,
        id: PaymentId,
        reference: Option<&str>,
        was: &GatewayState,
    ) -> Result<&mut Entry, GatewayError> {
        let slot = match self.payments.entry(id) {
            hash_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            hash_map::Entry::Vacant(slot) => slot,
        };
        let unknown = || GatewayError::Rejected(format!("no such payment: {id}"));
        let reference = reference.ok_or_else(unknown)?;
        let amount = amount_of(reference, id).ok_or_else(unknown)?;
        let captured = if *was == GatewayState::Captured { amount.minor } else { 0 };
        let (reference, state) = (reference.to_owned(), was.clone());
        let (refunds, past_us) = (HashMap::new(), Vec::new());
        Ok(slot.insert(Entry { reference, state, amount, captured, capture: false, refunds, past_us }))
    }
}

fn reference_of(id: PaymentId, amount: Money) -> String {
    format!("test_{id}_{}_{}", amount.minor, amount.currency)
}

fn amount_of(reference: &str, id: PaymentId) -> Option<Money> {
    let (minor, currency) = reference.strip_prefix(&format!("test_{id}_"))?.split_once('_')?;
    Some(Money::new(minor.parse().ok()?, currency.parse::<Currency>().ok()?))
}

#[async_trait]
impl PaymentGateway for TestGateway {
    fn code(&self) -> &'static str {
        "test"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        vec![PaymentMethod::new("test", "Test payment (no money moves)", "test")]
    }

    fn amounts(&self, _: Currency) -> PayableAmounts {
        self.lock().amounts
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        self.call(|state| {
            if let Some(entry) = state.payments.get(&request.payment_id) {
                return Ok(entry.report());
            }
            state.amounts.check_payment(request.amount)?;
            let declined = |code: &str| GatewayState::Declined(code.to_owned());
            let mut entry = Entry {
                reference: reference_of(request.payment_id, request.amount),
                state: GatewayState::Processing,
                amount: request.amount,
                captured: 0,
                capture: request.capture,
                refunds: HashMap::new(),
                past_us: Vec::new(),
            };
            match request.token.as_deref().unwrap_or("pm_card_visa") {
                "pm_card_visa" => entry.succeed(),
                "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => entry.state = declined("card_declined"),
                "pm_card_visa_chargeDeclinedInsufficientFunds" => entry.state = declined("insufficient_funds"),
                "pm_card_threeDSecure2Required" => {
                    entry.state = GatewayState::RequiresAction(NextAction {
                        kind: "use_client_secret".to_owned(),
                        client_secret: Some(format!("{}_secret", entry.reference)),
                        url: None,
                    });
                }
                other => return Err(GatewayError::Rejected(format!("no such payment method: {other}"))),
            }
            let report = entry.report();
            state.payments.insert(request.payment_id, entry);
            Ok(report)
        })
    }

    async fn capture(&self, request: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        self.call(|state| {
            state.amounts.check_part(request.amount)?;
            let entry = state.entry(request.payment_id, Some(&request.reference), &GatewayState::Authorized)?;
            match entry.state {
                GatewayState::Captured if entry.captured == request.amount.minor => {}
                GatewayState::Authorized if request.amount.minor <= entry.amount.minor => {
                    entry.captured = request.amount.minor;
                    entry.state = GatewayState::Captured;
                }
                GatewayState::Authorized => {
                    return Err(GatewayError::Rejected("more than was authorised".to_owned()));
                }
                _ => return Err(GatewayError::Rejected("the payment isn't authorised".to_owned())),
            }
            Ok(entry.report())
        })
    }

    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        self.call(|state| {
            let entry = state.entry(request.payment_id, request.reference.as_deref(), &GatewayState::Authorized)?;
            if !matches!(entry.state, GatewayState::Captured | GatewayState::Declined(_)) {
                entry.state = GatewayState::Voided;
            }
            Ok(entry.report())
        })
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        self.call(|state| {
            state.amounts.check_part(request.amount)?;
            let entry = state.entry(request.payment_id, Some(&request.reference), &GatewayState::Captured)?;
            let refunded = entry.refunded();
            if !entry.refunds.contains_key(&request.refund_id) {
                if request.amount.minor > entry.captured - refunded {
                    return Err(GatewayError::Rejected("more than is left of the payment".to_owned()));
                }
                let reference = format!("test_re_{}", request.refund_id);
                let refund = SentBack { amount: request.amount, reference, bounced: false };
                entry.refunds.insert(request.refund_id, refund);
            }
            Ok(entry.refunds[&request.refund_id].report())
        })
    }

    /// Of what it has done itself: its books end with its process.
    async fn account(&self, payment: PaymentId, _: Option<&str>) -> Result<Option<GatewayAccount>, GatewayError> {
        self.call(|state| {
            let account = |entry: &Entry| {
                let ours = entry.refunds.iter().map(|(id, refund)| (Some(*id), refund.report()));
                let past_us = entry.past_us.iter().map(|refund| (None, refund.report()));
                let reports = ours.chain(past_us).map(|(refund_id, refund)| RefundReport { refund_id, refund });
                GatewayAccount { payment: Some(entry.report()), refunds: reports.collect() }
            };
            Ok(state.payments.get(&payment).map(account))
        })
    }

    async fn retrieve(
        &self,
        payment: PaymentId,
        reference: Option<&str>,
    ) -> Result<Option<GatewayPayment>, GatewayError> {
        let _ = reference;
        self.call(|state| Ok(state.payments.get(&payment).map(Entry::report)))
    }
}
