//! Money in motion: every gateway call is *Intend* (a commit) – *Call* – *Settle* (a commit), and nothing is held while calling.
//!
//! One settle function serves API answers, webhooks and recovery: [`PaymentProcessor::settle`].

mod consequences;
mod foreign;
mod pay;
mod recover;
mod refund;
mod settle;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AmountNotPayable, PayableAmounts, PaymentGateway, PaymentStatus, gateway::GatewayError};
use crate::{
    alert::{Alert, AlertKind, admins, raise_alert},
    clock::Timestamp,
    context::Actor,
    engine::Engine,
    error::CommonError,
    event::{Notice, Task},
    id::{OrderId, PaymentId, RefundId, TaskId},
    order::{Order, OrderStatus},
    store::{ChangeSet, StoreError},
};

/// How a checkout ended, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PlacementOutcome {
    /// The order is confirmed.
    Placed,
    /// The customer must do something first; the stock stays reserved until then.
    ActionRequired,
    /// The gateway's answer isn't known yet; recovery finds out.
    Pending,
    /// Nothing came of it: the gateway declined, or the payment was given up. The stock is released, and the cart kept; but
    /// an order that was paid again stays pending, with its goods, for as long as they are reserved.
    Declined {
        /// The gateway's decline code, `expired`, `cancelled` or `written_off`.
        code: String,
    },
}

impl PlacementOutcome {
    /// How an order's checkout ended.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        match (order.status, order.payment_status) {
            (OrderStatus::Pending, PaymentStatus::RequiresAction) => Self::ActionRequired,
            (OrderStatus::Pending, PaymentStatus::Failed) => {
                let code = order.payments.last().and_then(|payment| payment.failure.clone());
                Self::Declined { code: code.unwrap_or_default() }
            }
            (OrderStatus::Pending, _) => Self::Pending,
            (OrderStatus::Cancelled, _) if order.declined => {
                let code = order.payments.last().and_then(|payment| payment.failure.clone());
                Self::Declined { code: code.unwrap_or_default() }
            }
            (OrderStatus::Cancelled, _) if order.was_given_up() => {
                Self::Declined { code: order.cancel_reason.clone().unwrap_or_default() }
            }
            (OrderStatus::Confirmed | OrderStatus::Completed | OrderStatus::Cancelled, _) => Self::Placed,
        }
    }
}

/// The answer kept for a checkout's idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlacementRecord {
    pub order: Order,
    pub outcome: PlacementOutcome,
}

/// How far the money of a task has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is where it belongs.
    Done,
    /// Not yet: somebody else is at work, or the gateway hasn't decided.
    Waits(&'static str),
    /// The gateway can't be asked, or refuses to say.
    Refused(GatewayError),
}

/// How often settling starts over when the order was changed meanwhile.
const ATTEMPTS: u32 = 20;

/// Moves money and takes gateways' words.
#[derive(Clone)]
pub(crate) struct PaymentProcessor {
    pub engine: Arc<Engine>,
}

impl PaymentProcessor {
    /// Tasks that watch over a payment have ids derived from its own, so that whoever settles it can remove them.
    pub fn settle_task(payment: PaymentId) -> TaskId {
        derived(payment, 1)
    }

    /// See [`Self::settle_task`].
    pub fn expire_task(payment: PaymentId) -> TaskId {
        derived(payment, 2)
    }

    /// Gives up an order whose offline payment hasn't come in time.
    fn unpaid_task(payment: PaymentId) -> TaskId {
        derived(payment, 5)
    }

    fn refund_task(refund: RefundId) -> TaskId {
        derived(refund, 3)
    }

    fn gateway(&self, code: &str) -> Result<&dyn PaymentGateway, CommonError> {
        let gateway = self.engine.gateways.get(code).map(|gateway| &**gateway);
        gateway.ok_or_else(|| StoreError::bug(format!("this shop has no payment gateway '{code}' any more")).into())
    }

    /// Which amounts the gateway of a payment can move.
    pub fn amounts(&self, order: &Order, payment: PaymentId) -> Result<PayableAmounts, CommonError> {
        let payment = order.payment(payment)?;
        Ok(self.gateway(&payment.gateway)?.amounts(payment.amount.currency))
    }

    /// Rounds a refund that the shop has worked out down to what its gateway can send back; the remainder can still be
    /// refunded, with the rest.
    pub fn round_refund(&self, order: &mut Order, id: RefundId) -> Result<Result<(), AmountNotPayable>, CommonError> {
        let refund = order.refund_mut(id)?.clone();
        let amounts = self.amounts(order, refund.payment_id)?;
        let rounded = amounts.round_down(refund.amount);
        if rounded.is_zero() {
            return Ok(amounts.check_part(refund.amount));
        }
        order.refund_mut(id)?.amount = rounded;
        order.payment_mut(refund.payment_id)?.refund_pending -= refund.amount.minor - rounded.minor;
        Ok(Ok(()))
    }

    pub async fn load(&self, id: OrderId) -> Result<Order, CommonError> {
        self.engine.reads().load_order(id).await?.ok_or(CommonError::NotFound("order"))
    }

    /// A change to an order that moves nothing else: marks and leases.
    async fn change(
        &self,
        order: Order,
        rule: impl Fn(&mut Order, Timestamp) -> Result<(), CommonError> + Send,
    ) -> Result<Order, CommonError> {
        let id = order.id;
        let mut before = order;
        for attempt in 1..=ATTEMPTS {
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            rule(&mut after, set.at())?;
            if after == before {
                return Ok(before);
            }
            after.updated_at = set.at();
            set.update(&before, &mut after);
            match self.engine.commit(&mut set).await? {
                Ok(_) => return Ok(after),
                Err(_) => self.engine.pause(attempt).await,
            }
            before = self.load(id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Adds an alert about an order to a set, with a message to each admin.
    async fn alert(
        &self,
        set: &mut ChangeSet,
        kind: AlertKind,
        order: &Order,
        detail: String,
    ) -> Result<(), CommonError> {
        let admins = admins(&self.engine).await?;
        let mut alert = Alert { order_id: Some(order.id), ..Alert::new(&self.engine, kind, &detail) };
        raise_alert(set, self.engine.ids(), &mut alert, &admins);
        Ok(())
    }

    /// Raises an alert about an order by itself, once: its id follows from what it says. `Ok(false)` if it had been raised.
    pub async fn raise(&self, kind: AlertKind, order: &Order, detail: String) -> Result<bool, CommonError> {
        let about = detail.clone();
        self.raise_about(kind, order, &about, detail).await
    }

    /// Tells staff that the money of an order doesn't come to rest because its gateway can't be asked: once for each payment or
    /// refund.
    pub async fn tell_stuck(&self, order: OrderId, what: &str, error: &GatewayError) -> Result<(), CommonError> {
        let order = self.load(order).await?;
        let detail = format!("order {}: {what} can't be settled, because {error}", order.number);
        self.raise_about(AlertKind::PaymentStuck, &order, what, detail).await.map(drop)
    }

    async fn raise_about(
        &self,
        kind: AlertKind,
        order: &Order,
        about: &str,
        detail: String,
    ) -> Result<bool, CommonError> {
        use sha2::{Digest, Sha256};
        let said = Sha256::digest(format!("{} {} {about}", order.id, kind.as_str()));
        let mut id = [0; 16];
        id.copy_from_slice(&said[..16]);
        let id = crate::id::AlertId(uuid::Builder::from_custom_bytes(id).into_uuid());
        if self.engine.reads().load_alert(id).await?.is_some() {
            return Ok(false);
        }
        let mut set = self.engine.set(&Actor::System);
        let mut alert = Alert { id, order_id: Some(order.id), ..Alert::new(&self.engine, kind, &detail) };
        raise_alert(&mut set, self.engine.ids(), &mut alert, &admins(&self.engine).await?);
        Ok(self.engine.commit(&mut set).await?.is_ok())
    }
}

pub(crate) fn send(set: &mut ChangeSet, ids: &dyn crate::id::IdGenerator, message: Notice) {
    let due = set.at();
    set.task(ids, due, Task::Send { message });
}

fn derived(id: impl Into<uuid::Uuid>, kind: u8) -> TaskId {
    let mut bytes = id.into().into_bytes();
    bytes[15] ^= kind;
    TaskId(uuid::Uuid::from_bytes(bytes))
}
