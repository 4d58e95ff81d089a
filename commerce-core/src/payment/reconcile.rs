//! Our books against the gateways'.

use std::fmt;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Payment, PaymentQuery, PaymentStatus, Payments,
    gateway::{GatewayAccount, GatewayError, GatewayState},
};
use crate::{
    clock::Timestamp,
    error::CommonError,
    id::{OrderId, PaymentId},
    order::{OrderError, OrderPayment},
    page::PageRequest,
};

/// How many gateways' answers are awaited at once.
const PARALLEL: usize = 8;
/// How often a payment that moves while it is being compared is looked at again.
const LOOKS: u32 = 3;

/// What came of a reconciliation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciliation {
    /// Payments that were compared.
    pub compared: u64,
    /// Payments whose gateway keeps no books, or isn't this shop's any more.
    pub skipped: u64,
    /// Where the books differ.
    pub drifts: Vec<PaymentDrift>,
}

/// A number or state of a payment that its gateway sees differently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaymentDrift {
    /// The payment.
    pub payment: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// The order's number.
    pub order_number: String,
    /// The gateway's code.
    pub gateway: String,
    /// What differs: `amount`, `captured`, `refunded` or `status`.
    pub what: &'static str,
    /// What our books say; amounts in minor units.
    pub ours: String,
    /// What the gateway's say.
    pub theirs: String,
}

impl fmt::Display for PaymentDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payment, order_number, gateway, what, ours, theirs, .. } = self;
        write!(f, "payment {payment} of order {order_number}, {what}: {ours} in our books, {theirs} at {gateway}")
    }
}

/// Why the books couldn't be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Ours couldn't be read.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The gateway's couldn't.
    #[error("{gateway} can't be asked about payment {payment}: {error}")]
    Gateway {
        /// The gateway's code.
        gateway: String,
        /// The payment.
        payment: PaymentId,
        /// Why.
        error: GatewayError,
    },
}

impl From<CommonError> for ReconcileError {
    fn from(error: CommonError) -> Self {
        Self::Order(error.into())
    }
}

impl Payments {
    /// Compares every payment with the books of its gateway. What is just being paid or refunded is no drift. It changes
    /// nothing: a refund that was made past the shop, of which no webhook told, is a drift until
    /// [`Payments::resolve`] books it.
    ///
    /// # Errors
    /// Needs [`crate::context::Permission::ViewOrders`]; [`ReconcileError::Gateway`] if a gateway can't be asked.
    pub async fn reconcile(&self) -> Result<Reconciliation, ReconcileError> {
        let mut result = Reconciliation::default();
        let mut page = PageRequest::first(100);
        loop {
            let payments = self.list(PaymentQuery::new(), &page).await?;
            let mut compared = stream::iter(payments.items).map(|payment| self.compare(payment)).buffered(PARALLEL);
            while let Some(drifts) = compared.try_next().await? {
                match drifts {
                    None => result.skipped += 1,
                    Some(drifts) => {
                        result.compared += 1;
                        result.drifts.extend(drifts);
                    }
                }
            }
            let Some(cursor) = payments.next_cursor else { return Ok(result) };
            page.cursor = Some(cursor);
        }
    }

    /// `None` if there is nothing to compare it with.
    async fn compare(&self, listed: OrderPayment) -> Result<Option<Vec<PaymentDrift>>, ReconcileError> {
        let OrderPayment { order_id: order, order_number, mut payment } = listed;
        let Some(gateway) = self.scope.engine.gateways.get(&payment.gateway) else { return Ok(None) };
        for look in 1.. {
            // What is free never reaches a gateway.
            if payment.amount.is_zero() {
                return Ok(None);
            }
            let account = gateway.account(payment.id, payment.reference.as_deref()).await;
            let account = account.map_err(|error| ReconcileError::Gateway {
                gateway: payment.gateway.clone(),
                payment: payment.id,
                error,
            })?;
            let Some(account) = account else { return Ok(None) };
            let differences = differences(&payment, &account, self.scope.engine.now());
            let present = match differences.first() {
                Some(_) => self.processor().load(order).await?.payment(payment.id)?.clone(),
                None => return Ok(Some(Vec::new())),
            };
            if present == payment || look == LOOKS {
                let drift = |(what, ours, theirs)| PaymentDrift {
                    payment: payment.id,
                    order,
                    order_number: order_number.clone(),
                    gateway: payment.gateway.clone(),
                    what,
                    ours,
                    theirs,
                };
                return Ok(Some(differences.into_iter().map(drift).collect()));
            }
            payment = present;
        }
        Ok(None)
    }
}

/// Where a payment's books differ: what, ours, theirs.
fn differences(ours: &Payment, account: &GatewayAccount, now: Timestamp) -> Vec<(&'static str, String, String)> {
    if ours.lease_until.is_some_and(|until| until > now) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let is_promised = ours.status == PaymentStatus::Authorized;
    let Some(theirs) = &account.payment else {
        if is_promised || ours.captured > 0 {
            found.push(("status", ours.status.as_str().to_owned(), "unknown".to_owned()));
        }
        return found;
    };
    if theirs.amount != ours.amount {
        found.push(("amount", ours.amount.minor.to_string(), theirs.amount.minor.to_string()));
    }
    if theirs.captured.minor != ours.captured {
        found.push(("captured", ours.captured.to_string(), theirs.captured.minor.to_string()));
    }
    if is_promised != (theirs.state == GatewayState::Authorized) && theirs.captured.minor == ours.captured {
        let state = match &theirs.state {
            GatewayState::RequiresAction(_) => "requires_action",
            GatewayState::Processing => "processing",
            GatewayState::Offline => "awaited",
            GatewayState::Authorized => "authorized",
            GatewayState::Captured => "captured",
            GatewayState::Declined(_) => "declined",
            GatewayState::Voided => "voided",
        };
        found.push(("status", ours.status.as_str().to_owned(), state.to_owned()));
    }
    if !(ours.refunded..=ours.refunded + ours.refund_pending).contains(&account.refunded()) {
        found.push(("refunded", ours.refunded.to_string(), account.refunded().to_string()));
    }
    found
}
