//! Payments that were left open: finding out how they stand, giving them up.

use super::consequences::{Lost, Settled};
use super::{ATTEMPTS, PaymentProcessor, Progress};
use crate::{
    context::Actor,
    error::CommonError,
    event::Task,
    id::{OrderId, PaymentId},
    money::Money,
    order::{Order, OrderStatus},
    payment::{
        Payment, PaymentStatus,
        gateway::{GatewayError, GatewayPayment, GatewayState, VoidRequest},
        rules::{SUPERSEDED, Settlement},
    },
    store::{ChangeSet, ClaimKind, StoreError},
};

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
        // A payment that a host has committed in place of another one waits until that is given up.
        if let Some(earlier) = order.payments.iter().find(|other| other.id != id && other.status.is_open()) {
            let earlier = earlier.id;
            order = match Box::pin(self.supersede(order.clone(), earlier)).await? {
                Ok(order) => order,
                Err(error) => return Ok((order, Some(error))),
            };
            if order.status != OrderStatus::Pending {
                return Ok((order, None));
            }
        }
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
        if order.payment(id)?.status.is_given_up() {
            return self.give_up_unpaid(order, id, reason).await.map(Ok);
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
        let order = self.settle_as(order, id, &report, Some(reason)).await?;
        Ok(Ok(self.give_up_unpaid(order, id, reason).await?))
    }

    /// Gives an order up of which the latest payment has failed, but which outlived that because it could be paid again.
    pub async fn give_up_unpaid(&self, order: Order, id: PaymentId, reason: &str) -> Result<Order, CommonError> {
        let order_id = order.id;
        let (mut before, mut lost) = (order, Lost::default());
        for attempt in 1..=ATTEMPTS {
            let mut after = before.clone();
            if !after.give_up_unpaid(reason)? {
                return Ok(before);
            }
            let mut set = self.engine.set(&Actor::System);
            let settled = Settled { before: &before, payment: id, settlement: Settlement::Cancelled, lost };
            self.write_consequences(&mut set, &mut after, settled).await?;
            match self.engine.commit(&mut set).await? {
                Ok(_) => return Ok(after),
                Err(conflicts) => lost.cart |= conflicts.taken(ClaimKind::OpenCart),
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Gives an open payment up at its gateway, so that the order can be paid in another way; its goods stay reserved. If it
    /// turns out to have succeeded, the order is confirmed by it.
    pub async fn supersede(&self, order: Order, id: PaymentId) -> Result<Result<Order, GatewayError>, CommonError> {
        let until = self.engine.now() + self.engine.settings.gateway_lease;
        let intend = self.change(order, |order, _| {
            let is_pending = order.status == OrderStatus::Pending;
            let payment = order.payment_mut(id)?;
            if is_pending && payment.status.is_open() {
                payment.intend_to_give_up(SUPERSEDED, until);
            }
            Ok(())
        });
        let order = intend.await?;
        let payment = order.payment(id)?.clone();
        if order.status != OrderStatus::Pending || !payment.status.is_open() {
            return Ok(Ok(order));
        }
        match self.void_open(&order, &payment).await? {
            Ok(report) => Ok(Ok(self.settle_as(order, id, &report, Some(SUPERSEDED)).await?)),
            Err(error) => {
                tracing::warn!(payment = %id, %error, "can't give the payment up for another one yet");
                // What may have had its effect is looked at by recovery, once the lease is over.
                if !matches!(error, GatewayError::Unknown(_)) {
                    self.change(order, |order, _| order.payment_mut(id).map(Payment::keep_open)).await?;
                }
                Ok(Err(error))
            }
        }
    }

    /// Asks how an open payment stands, and gives it back unless it is taken. What has no name yet is asked for by the
    /// identical call.
    async fn void_open(
        &self,
        order: &Order,
        payment: &Payment,
    ) -> Result<Result<GatewayPayment, GatewayError>, CommonError> {
        let gateway = self.gateway(&payment.gateway)?;
        let known = match &payment.reference {
            Some(reference) => gateway.retrieve(payment.id, Some(reference)).await,
            None => match gateway.authorize(&self.request(order, payment)).await {
                Ok(report) => Ok(Some(report)),
                Err(GatewayError::Rejected(_) | GatewayError::AmountNotPayable(_)) => {
                    Self::refusal(order, payment.id, "rejected").map(Some).map(Ok)?
                }
                Err(GatewayError::Unavailable(_) | GatewayError::Unknown(_)) => {
                    gateway.retrieve(payment.id, None).await
                }
            },
        };
        let report = match known {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(Err(GatewayError::Unknown("the gateway doesn't know the payment yet".to_owned()))),
            Err(error) => return Ok(Err(error)),
        };
        let is_open = |state: &GatewayState| {
            matches!(state, GatewayState::RequiresAction(_) | GatewayState::Processing | GatewayState::Authorized)
        };
        if !is_open(&report.state) {
            return Ok(Ok(report));
        }
        let request = VoidRequest { payment_id: payment.id, reference: Some(report.reference) };
        Ok(match gateway.void(&request).await {
            Ok(report) if is_open(&report.state) => {
                Err(GatewayError::Unknown("the payment isn't given back yet".to_owned()))
            }
            voided => voided,
        })
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
            return Ok(Box::pin(self.sync_refunds(order, id)).await?.1);
        }
        let (order, refused) = self.resolve(order, id).await?;
        if order.status != OrderStatus::Pending || order.payment(id)?.status == PaymentStatus::RequiresAction {
            return Ok(Progress::Done);
        }
        Ok(refused.map_or(Progress::Waits("the payment isn't settled yet"), Progress::Refused))
    }
}
