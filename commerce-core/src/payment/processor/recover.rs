//! Payments that were left open: finding out how they stand, giving them up.

use super::{PaymentProcessor, Progress};
use crate::error::CommonError;
use crate::event::Task;
use crate::id::{OrderId, PaymentId};
use crate::money::Money;
use crate::order::{Order, OrderStatus};
use crate::payment::gateway::{GatewayError, GatewayPayment, GatewayState, VoidRequest};
use crate::payment::{Payment, PaymentStatus};
use crate::store::ChangeSet;

impl PaymentProcessor {
    /// Finds out how a payment stands that was left open: by recovery, by a client that asks. What the gateway refused to say
    /// comes with the order as it is.
    ///
    /// While the reservation holds, the identical call under the same key is the exact way to ask for a payment whose name
    /// isn't known: one request, where a look-up may need many, or a right that the shop's key lacks.
    pub async fn resolve(&self, order: Order, id: PaymentId) -> Result<(Order, Option<GatewayError>), CommonError> {
        let payment = order.payment(id)?.clone();
        if !payment.status.is_open() || order.status != OrderStatus::Pending {
            return Ok((order, None));
        }
        let holds = payment.reserved_until.is_none_or(|until| until > self.engine.now());
        let mut order = order;
        if holds && payment.reference.is_none() {
            order = match self.authorize(order.clone(), id).await? {
                Ok(order) if order.payment(id)?.status == PaymentStatus::Unknown => order,
                Ok(order) => return Ok((order, None)),
                Err(_) => order,
            };
        }
        let reference = order.payment(id)?.reference.clone();
        let refused = match self.gateway(&payment.gateway)?.retrieve(id, reference.as_deref()).await {
            Ok(Some(report)) => return Ok((self.settle(order, id, &report).await?, None)),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if holds && payment.reference.is_some() {
            return Ok(match self.authorize(order.clone(), id).await? {
                Ok(order) => (order, None),
                Err(error) => (order, Some(error)),
            });
        }
        if let Some(error) = &refused {
            tracing::warn!(payment = %id, %error, "the gateway can't say how the payment stands");
        }
        Ok((order, refused))
    }

    /// Asks the gateway how a payment stands, whatever we think of it, and settles its word, if it has one.
    pub async fn ask(
        &self,
        order: Order,
        id: PaymentId,
    ) -> Result<Result<(Order, Option<GatewayPayment>), GatewayError>, CommonError> {
        let payment = order.payment(id)?;
        let asked = self.gateway(&payment.gateway)?.retrieve(id, payment.reference.as_deref()).await;
        Ok(match asked {
            Ok(Some(report)) => Ok((self.settle(order, id, &report).await?, Some(report))),
            Ok(None) => Ok((order, None)),
            Err(error) => Err(error),
        })
    }

    /// The money that the gateway holds for an open payment, of which it has said `report`. A promise is given back.
    pub async fn held_money(
        &self,
        order: &Order,
        id: PaymentId,
        report: Option<GatewayPayment>,
    ) -> Result<Option<Money>, GatewayError> {
        let Some(mut report) = report else { return Ok(None) };
        let Ok(gateway) = order.payment(id).and_then(|payment| self.gateway(&payment.gateway)) else { return Ok(None) };
        if matches!(report.state, GatewayState::RequiresAction(_) | GatewayState::Processing | GatewayState::Authorized)
        {
            report = gateway.void(&VoidRequest { payment_id: id, reference: Some(report.reference) }).await?;
        }
        let refunded = gateway.account(id, Some(&report.reference)).await?.map_or(0, |account| account.refunded());
        Ok(match report.state {
            GatewayState::Voided | GatewayState::Declined(_) => None,
            GatewayState::Captured if refunded >= report.captured.minor => None,
            GatewayState::Captured => Some(Money::new(report.captured.minor - refunded, report.captured.currency)),
            _ => Some(report.amount),
        })
    }

    /// Gives a pending order up: voids its payment at the gateway first, then releases the stock. A payment that turns out
    /// to have succeeded confirms the order instead.
    pub async fn give_up(
        &self,
        order: Order,
        id: PaymentId,
        reason: &str,
    ) -> Result<Result<Order, GatewayError>, CommonError> {
        if order.status != OrderStatus::Pending {
            return Ok(Ok(order));
        }
        let payment = order.payment(id)?.clone();
        let gateway = self.gateway(&payment.gateway)?;
        let known = match gateway.retrieve(id, payment.reference.as_deref()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(payment = %id, %error, "can't give the payment up yet");
                return Ok(Err(error));
            }
        };
        let (order, report) = match known {
            Some(report) if matches!(report.state, GatewayState::RequiresAction(_) | GatewayState::Processing) => {
                let until = self.engine.now() + self.engine.settings.gateway_lease;
                let intend = self.change(order, |order, _| {
                    let payment = order.payment_mut(id)?;
                    if payment.status.is_open() {
                        payment.intend_to_give_up(reason, until);
                    }
                    Ok(())
                });
                let order = intend.await?;
                if order.status != OrderStatus::Pending {
                    return Ok(Ok(order));
                }
                let request = VoidRequest { payment_id: id, reference: Some(report.reference) };
                match gateway.void(&request).await {
                    Ok(report) => (order, report),
                    Err(error) => {
                        tracing::warn!(payment = %id, %error, "can't give the payment up yet");
                        // What certainly had no effect may be tried again, or paid after all, at once.
                        if !matches!(error, GatewayError::Unknown(_)) {
                            self.change(order, |order, _| order.payment_mut(id).map(Payment::keep_open)).await?;
                        }
                        return Ok(Err(error));
                    }
                }
            }
            Some(report) => (order, report),
            None => return self.write_off(order, id, reason).await.map(Ok),
        };
        Ok(Ok(self.settle_as(order, id, &report, Some(reason)).await?))
    }

    /// Gives up a payment that the gateway has never heard of. Should the call still arrive, its success is late: see
    /// `settle`. Should it have arrived meanwhile, the gateway's own word stands.
    pub async fn write_off(&self, order: Order, id: PaymentId, reason: &str) -> Result<Order, CommonError> {
        let payment = order.payment(id)?;
        let report = GatewayPayment {
            reference: payment.reference.clone().unwrap_or_default(),
            state: GatewayState::Voided,
            amount: payment.amount,
            captured: payment.amount.currency.zero(),
        };
        self.settle_if(order, id, &report, Some(reason), |payment| payment.status.is_open()).await
    }

    /// "Not found" is no proof until the gateway has forgotten our key: look again soon, and once more then.
    pub(super) fn watch_for_late_success(
        &self,
        set: &mut ChangeSet,
        order: &Order,
        payment: &Payment,
    ) -> Result<(), CommonError> {
        let horizon = self.gateway(&payment.gateway)?.key_horizon();
        for wait in [horizon / 48, horizon] {
            let due = set.at() + wait;
            set.task(self.engine.ids(), due, Task::SettlePayment { order: order.id, payment: payment.id });
        }
        Ok(())
    }

    /// Recovery's look at a payment, whatever its state: also finds late successes of payments that were given up, and
    /// captures whose answer was lost.
    pub async fn recover(&self, order: OrderId, id: PaymentId) -> Result<Progress, CommonError> {
        let order = self.load(order).await?;
        let payment = order.payment(id)?.clone();
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Ok(Progress::Waits("the gateway is being asked"));
        }
        if payment.status.is_given_up() || payment.status == PaymentStatus::Authorized {
            return Ok(match self.ask(order, id).await? {
                Ok(_) => Progress::Done,
                Err(error) => {
                    tracing::warn!(payment = %id, %error, "the gateway can't say how the payment stands");
                    Progress::Refused(error)
                }
            });
        }
        if payment.captured > 0 {
            return Ok(self.sync_refunds(order, id).await?.1);
        }
        let (order, refused) = self.resolve(order, id).await?;
        if order.status != OrderStatus::Pending || order.payment(id)?.status == PaymentStatus::RequiresAction {
            return Ok(Progress::Done);
        }
        Ok(refused.map_or(Progress::Waits("the payment isn't settled yet"), Progress::Refused))
    }
}
