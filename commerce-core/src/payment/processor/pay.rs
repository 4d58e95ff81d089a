//! Calls that move a payment: promise or take, capture, void.

use super::{PaymentProcessor, Progress};
use crate::{
    alert::AlertKind,
    error::CommonError,
    fail_point::FailPoint,
    id::{OrderId, PaymentId},
    money::Money,
    order::{Order, OrderStatus},
    payment::{
        Payment, PaymentStatus,
        gateway::{AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayState, VoidRequest},
        rules::{AMOUNT_NOT_PAYABLE, CANCELLED, NOTHING_OWED},
    },
};

/// How often a capture whose outcome is unknown is repeated at once, under the same key.
const CALLS: u32 = 3;

impl PaymentProcessor {
    /// Asks the gateway for the money of an order that was just placed (or is being resumed), and settles its answer.
    pub async fn authorize(&self, order: Order, id: PaymentId) -> Result<Result<Order, GatewayError>, CommonError> {
        let payment = order.payment(id)?;
        if payment.amount.is_zero() {
            let report = GatewayPayment {
                reference: format!("free/{id}"),
                state: GatewayState::Captured,
                amount: payment.amount,
                captured: payment.amount,
            };
            return self.settle(order, id, &report).await.map(Ok);
        }
        let request = self.request(&order, payment);
        let answer = self.gateway(&payment.gateway)?.authorize(&request).await;
        FailPoint::Paid.reach().await;
        match answer {
            Ok(report) => self.settle(order, id, &report).await.map(Ok),
            Err(GatewayError::Rejected(reason)) => {
                tracing::warn!(payment = %id, reason, "the gateway rejected the payment");
                let report = Self::refusal(&order, id, "rejected")?;
                self.settle(order, id, &report).await.map(Ok)
            }
            Err(GatewayError::AmountNotPayable(reason)) => {
                tracing::warn!(payment = %id, reason, "the gateway can't take this amount");
                let report = Self::refusal(&order, id, AMOUNT_NOT_PAYABLE)?;
                self.settle(order, id, &report).await.map(Ok)
            }
            Err(error @ GatewayError::Unavailable(_)) => Ok(Err(error)),
            Err(GatewayError::Unknown(reason)) => {
                tracing::warn!(payment = %id, reason, "the gateway's answer is unknown; recovery will ask");
                let report = GatewayPayment {
                    reference: order.payment(id)?.reference.clone().unwrap_or_default(),
                    state: GatewayState::Processing,
                    amount: order.payment(id)?.amount,
                    captured: order.currency().zero(),
                };
                self.mark_unknown(order, &report, id).await.map(Ok)
            }
        }
    }

    /// What the gateway is asked for a payment: the same, however often.
    pub(super) fn request(&self, order: &Order, payment: &Payment) -> AuthorizeRequest {
        AuthorizeRequest {
            payment_id: payment.id,
            order_id: order.id,
            order_number: order.number.clone(),
            method: payment.method.clone(),
            amount: payment.amount,
            token: payment.token.clone(),
            capture: self.engine.settings.capture_at_checkout,
        }
    }

    /// A refusal that the gateway didn't word as a payment.
    pub fn refusal(order: &Order, id: PaymentId, code: &str) -> Result<GatewayPayment, CommonError> {
        let payment = order.payment(id)?;
        Ok(GatewayPayment {
            reference: payment.reference.clone().unwrap_or_default(),
            state: GatewayState::Declined(code.to_owned()),
            amount: payment.amount,
            captured: payment.amount.currency.zero(),
        })
    }

    pub(super) async fn mark_unknown(
        &self,
        order: Order,
        report: &GatewayPayment,
        id: PaymentId,
    ) -> Result<Order, CommonError> {
        if report.reference.is_empty() {
            return self
                .change(order, |order, now| {
                    let payment = order.payment_mut(id)?;
                    if payment.status.is_open() {
                        payment.status = PaymentStatus::Unknown;
                        payment.lease_until = None;
                        payment.updated_at = now;
                        order.payment_status = PaymentStatus::Unknown;
                    }
                    Ok(())
                })
                .await;
        }
        self.settle(order, id, report).await
    }

    /// Voids an authorised payment of an order that nothing is owed for. `Ok(false)` if it must be tried again.
    pub async fn void(&self, order: Order, id: PaymentId) -> Result<(Order, Progress), CommonError> {
        let payment = order.payment(id)?.clone();
        if payment.status != PaymentStatus::Authorized {
            return Ok((order, Progress::Done));
        }
        let request = VoidRequest { payment_id: id, reference: payment.reference.clone() };
        let answer = self.gateway(&payment.gateway)?.void(&request).await;
        FailPoint::Voided.reach().await;
        match answer {
            Ok(report) if report.state == GatewayState::Captured => {
                let detail =
                    format!("order {}: its payment was to be voided, but had been captured meanwhile", order.number);
                self.raise(AlertKind::PaymentMismatch, &order, detail).await?;
                Ok((self.settle(order, id, &report).await?, Progress::Done))
            }
            Ok(report) => {
                let reason = if order.status == OrderStatus::Cancelled { CANCELLED } else { NOTHING_OWED };
                Ok((self.settle_as(order, id, &report, Some(reason)).await?, Progress::Done))
            }
            Err(error) => {
                tracing::warn!(payment = %id, %error, "the payment can't be voided yet");
                Ok((order, Progress::Refused(error)))
            }
        }
    }

    /// Takes so much of the promised money, as intended by the payment's lease.
    pub async fn capture(
        &self,
        order: Order,
        id: PaymentId,
        amount: Money,
    ) -> Result<Result<Order, GatewayError>, CommonError> {
        let payment = order.payment(id)?.clone();
        let reference = payment.reference.clone().unwrap_or_default();
        let gateway = self.gateway(&payment.gateway)?;
        let amount = gateway.amounts(payment.amount.currency).round_down(amount);
        let request = CaptureRequest { payment_id: id, reference, amount };
        let mut answer = gateway.capture(&request).await;
        for attempt in 1..CALLS {
            match answer {
                Ok(_) | Err(GatewayError::Rejected(_) | GatewayError::AmountNotPayable(_)) => break,
                Err(GatewayError::Unavailable(_) | GatewayError::Unknown(_)) => {
                    self.engine.pause(attempt + 5).await;
                    answer = gateway.capture(&request).await;
                }
            }
        }
        FailPoint::Captured.reach().await;
        match answer {
            Ok(report) => self.settle(order, id, &report).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Makes a capture that a host has committed the intention of. Units that were cancelled meanwhile aren't charged.
    pub async fn capture_intended(
        &self,
        order: OrderId,
        id: PaymentId,
        amount: Money,
    ) -> Result<Progress, CommonError> {
        let order = self.load(order).await?;
        let amount = Money::new(amount.minor.min(order.owed().minor), amount.currency);
        if order.payment(id)?.status != PaymentStatus::Authorized || amount.is_zero() {
            return Ok(Progress::Done);
        }
        Ok(self.capture(order, id, amount).await?.map_or_else(Progress::Refused, |_| Progress::Done))
    }
}
