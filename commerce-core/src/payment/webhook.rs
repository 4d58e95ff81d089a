//! What payment gateways tell by webhooks.

use std::sync::Arc;

use super::{
    Payments,
    gateway::{GatewayEvent, RefundReport, WebhookError, WebhookRequest},
};
use crate::{
    alert::AlertKind,
    clock::Timestamp,
    context::{Idempotency, RequestContext},
    engine::Engine,
    error::CommonError,
    event::DomainEvent,
    id::{OrderId, PaymentId},
    order::{Effects, Order, OrderChild, OrderError},
    store::{AggregateId, Claim, StoreError},
    write::{Scope, WriteContext},
};

/// Why a webhook wasn't taken.
#[derive(Debug, thiserror::Error)]
pub enum WebhookFailure {
    /// It can't be believed.
    #[error(transparent)]
    Rejected(#[from] WebhookError),
    /// It is believed, but couldn't be written down.
    #[error(transparent)]
    Failed(#[from] CommonError),
}

impl Payments {
    /// Takes a webhook of the gateway with this code.
    pub(crate) async fn webhook(
        engine: &Arc<Engine>,
        gateway: &str,
        request: &WebhookRequest<'_>,
    ) -> Result<(), WebhookFailure> {
        let Some(gateway) = engine.gateways.get(gateway) else {
            return Err(CommonError::NotFound("payment gateway").into());
        };
        let event = gateway.webhook(request)?;
        let (payments, code) = (Self::new(Scope::system(engine.clone())), gateway.code().to_owned());
        Ok(engine.run(async move { payments.take(&code, event).await }).await?)
    }

    async fn take(&self, gateway: &str, event: GatewayEvent) -> Result<(), CommonError> {
        match event {
            GatewayEvent::Payment { reference, payment_id, payment, .. } => {
                let Some((order, id)) = self.find(gateway, &reference, payment_id).await? else { return Ok(()) };
                let _turn = self.scope.engine.queues.turn(order.id).await;
                self.processor().settle(order, id, &payment).await.map(drop)
            }
            GatewayEvent::Refund { payment_reference, refund_id, refund, .. } => {
                let Some((order, payment)) = self.find(gateway, &payment_reference, None).await? else { return Ok(()) };
                let _turn = self.scope.engine.queues.turn(order.id).await;
                let order = self.processor().load(order.id).await?;
                let report = RefundReport { refund_id, refund };
                Box::pin(self.processor().take_refund_in_time(order, payment, &report)).await
            }
            GatewayEvent::Refunds { payment_reference, .. } => {
                let Some((order, payment)) = self.find(gateway, &payment_reference, None).await? else { return Ok(()) };
                let _turn = self.scope.engine.queues.turn(order.id).await;
                let order = self.processor().load(order.id).await?;
                Box::pin(self.processor().sync_refunds_in_time(order, payment)).await.map(drop)
            }
            GatewayEvent::Disputed { reference, .. } => {
                let Some((order, payment)) = self.find(gateway, &reference, None).await? else { return Ok(()) };
                self.dispute(order, payment).await
            }
            GatewayEvent::Foreign { account, reference, payment_id, .. } => {
                let Some((order, _)) = self.find(gateway, &reference, payment_id).await? else { return Ok(()) };
                let detail = format!("order {}: the gateway speaks of account {account}, not of ours", order.number);
                self.processor().raise(AlertKind::PaymentMismatch, &order, detail).await.map(drop)
            }
            GatewayEvent::Other => Ok(()),
        }
    }

    /// Marks the order's history and alerts staff: each once, however often it is told.
    async fn dispute(&self, order: Order, payment: PaymentId) -> Result<(), CommonError> {
        let id = order.id;
        let detail = format!("order {}: the customer disputes the payment at their bank", order.number);
        self.processor().raise(AlertKind::PaymentDisputed, &order, detail).await?;
        let marks =
            |event: &DomainEvent| matches!(event, DomainEvent::PaymentDisputed { payment: p, .. } if *p == payment);
        if self
            .scope
            .engine
            .reads()
            .list_events(AggregateId::Order(id))
            .await?
            .iter()
            .any(|record| marks(&record.event))
        {
            return Ok(());
        }
        // Two who look at once both find nothing: the key lets one of them write.
        let once = Idempotency::new("gateway", &format!("dispute {payment}"), b"");
        let write = WriteContext::from(RequestContext::system().once(once));
        let rule = |order: &mut Order, effects: &mut Effects, now: Timestamp| {
            order.payment_mut(payment)?.updated_at = now;
            effects.events.push(DomainEvent::PaymentDisputed { order: order.id, payment });
            Ok(())
        };
        match self.orders().edit(&write, id, &rule).await {
            Ok(_) => Ok(()),
            Err(OrderError::Common(error)) => Err(error),
            Err(error) => Err(StoreError::bug(error).into()),
        }
    }

    /// The order and payment that a webhook speaks of, if they are ours.
    async fn find(
        &self,
        gateway: &str,
        reference: &str,
        payment: Option<PaymentId>,
    ) -> Result<Option<(Order, PaymentId)>, CommonError> {
        let reads = self.scope.engine.reads();
        let order = match reads.load_claim(&Claim::gateway_ref(gateway, reference)).await? {
            Some(order) => Some(OrderId(order)),
            None => match payment {
                Some(payment) => reads.load_order_of(OrderChild::Payment(payment)).await?,
                None => None,
            },
        };
        let Some(order) = order else { return Ok(None) };
        let Some(order) = reads.load_order(order).await? else { return Ok(None) };
        let ours = order.payments.iter().find(|ours| {
            ours.gateway == gateway && (payment == Some(ours.id) || ours.reference.as_deref() == Some(reference))
        });
        Ok(ours.map(|ours| ours.id).map(|id| (order, id)))
    }
}
