//! Orders after they were placed: staff's side.

use std::sync::Arc;

use commerce_core::{
    Outcome,
    id::{FulfilmentId, OrderId, ReturnId},
    order::{self as core, OrderChild},
    payment::NewCapture,
};
use poem_openapi::{OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    dto::{FulfilmentState, Order, OrderStatus},
    edit::{AdminCancel, CaptureInput, FulfilmentPatch, NewFulfilment, NewRefund, ReturnPatch},
    order,
    parts::{Fulfilment, OrderReturn, PaymentStatus, Refund, Return, ReturnStatus},
};
use crate::{
    caller::{
        Caller,
        staff::{self, ManageOrders, ViewOrders},
    },
    conditional::IdempotencyKey,
    param::{Paging, Query},
    payload::{Created, Input, Optional, Reply},
    problem::{ApiError, missing_first},
    spec::Tag,
    stack::AppState,
    types::{Page, Time, sample},
};

/// Operations on everybody's orders.
pub struct AdminOrderApi(pub Arc<AppState>);

impl AdminOrderApi {
    async fn has(&self, child: OrderChild, what: &str) -> Result<OrderId, ApiError> {
        self.0.commerce.store().reads().load_order_of(child).await?.ok_or_else(|| ApiError::not_found(what))
    }
}

#[OpenApi(prefix_path = "/v1/admin", tag = "Tag::AdminOrders")]
impl AdminOrderApi {
    /// All orders
    ///
    /// Newest first.
    #[oai(path = "/orders", method = "get", operation_id = "admin_list_orders")]
    #[allow(clippy::too_many_arguments)] // One for each parameter of the query.
    async fn list(
        &self,
        caller: Caller<ViewOrders>,
        /// Only this status.
        #[oai(example = "OrderStatus::example")]
        status: Query<OrderStatus>,
        /// Only this payment status.
        #[oai(example = "PaymentStatus::example")]
        payment_status: Query<PaymentStatus>,
        /// Only this fulfilment status.
        #[oai(example = "FulfilmentState::example")]
        fulfilment_status: Query<FulfilmentState>,
        /// Exactly this address.
        #[oai(example = "sample::email")]
        email: Query<String>,
        /// This number: in any case, with or without hyphens, O for 0, I and L for 1.
        #[oai(example = "sample::number")]
        number: Query<String>,
        /// Placed then or later.
        #[oai(example = "sample::time")]
        placed_after: Query<Time>,
        /// Placed earlier.
        #[oai(example = "sample::time")]
        placed_before: Query<Time>,
        paging: Paging,
    ) -> Result<Reply<Page<Order>>, ApiError> {
        let query = core::OrderQuery {
            customer: None,
            of_guests: false,
            hide_declined: false,
            status: status.0.map(Into::into),
            payment_status: payment_status.0.map(Into::into),
            fulfilment_status: fulfilment_status.0.map(Into::into),
            email: email.0.map(|email| email.trim().to_lowercase()),
            number: number.0,
            placed_after: placed_after.0.map(|at| at.0),
            placed_before: placed_before.0.map(|at| at.0),
        };
        Ok(Reply::new(Page::of(caller.shop().orders().list(query, &paging.0).await?)))
    }

    /// Anybody's order
    ///
    /// As its customer sees it.
    #[oai(path = "/orders/:id", method = "get", operation_id = "admin_get_order")]
    async fn get(&self, caller: Caller<ViewOrders>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        Ok(order(caller.shop().orders().get(id.0.into()).await?, None))
    }

    /// Pack a parcel
    ///
    /// Units that were cancelled or refunded are left out.
    #[oai(path = "/orders/:id/fulfilments", method = "post", operation_id = "admin_create_fulfilment")]
    async fn fulfil(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<NewFulfilment>,
    ) -> Result<Created<Fulfilment>, ApiError> {
        let id = OrderId(id.0);
        let orders = caller.shop_once(&idempotency_key, &body).orders();
        let parcel = body.parse_for(orders.get(id)).await?.into();
        let done = orders.fulfil(id, parcel).outcome().await;
        let Outcome { value, replayed, .. } = missing_first(done, orders.get(id)).await?;
        let location = format!("/v1/admin/orders/{id}");
        Ok(Created::new(value.fulfilment).replayed(replayed).location(&location))
    }

    /// Move a parcel on, or correct its tracking
    ///
    /// The customer hears of it when it has left. The goods of a parcel that comes back undelivered can be shipped again (taken
    /// from stock once more, if they were put back there), or cancelled; so can the order, if nothing else has left.
    #[oai(path = "/fulfilments/:id", method = "patch", operation_id = "admin_update_fulfilment")]
    async fn update_fulfilment(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        body: Input<FulfilmentPatch>,
    ) -> Result<Reply<Fulfilment>, ApiError> {
        let id = FulfilmentId(id.0);
        let update = body.read_for(FulfilmentPatch::read, self.has(OrderChild::Fulfilment(id), "fulfilment")).await?;
        let updated = caller.shop().orders().update_fulfilment(id, update).await;
        let found = missing_first(updated, self.has(OrderChild::Fulfilment(id), "fulfilment")).await?;
        Ok(Reply::new(pick(found.fulfilments, |parcel| parcel.id == id)?).version(found.version))
    }

    /// Cancel an order, or items of it
    ///
    /// What hasn't been put into a parcel: stock goes back, and its money, or it is no longer owed. A promise that nothing is
    /// owed for any more is given back.
    #[oai(path = "/orders/:id/cancel", method = "post", operation_id = "admin_cancel_order")]
    async fn cancel(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        body: Optional<AdminCancel>,
    ) -> Result<Reply<Order>, ApiError> {
        let (id, orders) = (id.0.into(), caller.shop().orders());
        let cancellation = body.parse_for(orders.get(id)).await?.into();
        let cancelled = orders.cancel(id, cancellation).await;
        Ok(order(missing_first(cancelled, orders.get(id)).await?, None))
    }

    /// Capture the payment
    ///
    /// Takes what is owed of the promised money, or so much of it: the order's total, less the share of units that were
    /// cancelled or came back and what was waived with a return. A payment is captured once: what isn't taken of the promise
    /// lapses.
    #[oai(path = "/orders/:id/capture", method = "post", operation_id = "admin_capture_order")]
    async fn capture(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        body: Optional<CaptureInput>,
    ) -> Result<Reply<Order>, ApiError> {
        let (id, shop) = (OrderId(id.0), caller.shop());
        let currency = self.0.commerce.settings().currency;
        let amount = body.read_for(|body| body.read(currency), shop.orders().get(id)).await?;
        let captured = shop.payments().capture(NewCapture::of(id).amount(amount)).await;
        Ok(order(missing_first(captured, shop.orders().get(id)).await?, None))
    }

    /// Refund
    ///
    /// By amount or by items; all that is left, if neither is given. Pending refunds count as gone. No unit is shipped whose
    /// money went back: without `restock`, units that haven't left are refunded first, and taken out of the order and out of
    /// parcels that are still being packed; with it, units that are with the customer come back first. An order of which
    /// nothing is left to deliver is cancelled.
    #[oai(path = "/orders/:id/refunds", method = "post", operation_id = "admin_refund_order")]
    async fn refund(
        &self,
        caller: Caller<staff::Refund>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<NewRefund>,
    ) -> Result<Created<Refund>, ApiError> {
        let id = OrderId(id.0);
        let currency = self.0.commerce.settings().currency;
        let shop = caller.shop_once(&idempotency_key, &body);
        let refund = body.read_for(|body| body.read(currency), shop.orders().get(id)).await?;
        let done = shop.payments().refund(id, refund).outcome().await;
        let Outcome { value, replayed, .. } = missing_first(done, shop.orders().get(id)).await?;
        let location = format!("/v1/admin/orders/{id}");
        Ok(Created::new(value.refund).replayed(replayed).location(&location))
    }

    /// All returns
    ///
    /// Newest first.
    #[oai(path = "/returns", method = "get", operation_id = "admin_list_returns")]
    async fn returns(
        &self,
        caller: Caller<ViewOrders>,
        /// Only this status.
        #[oai(example = "ReturnStatus::example")]
        status: Query<ReturnStatus>,
        paging: Paging,
    ) -> Result<Reply<Page<OrderReturn>>, ApiError> {
        let query = core::ReturnQuery::new().status(status.0.map(Into::into));
        let page = caller.shop().orders().returns(query, &paging.0).await?;
        Ok(Reply::new(Page::of(page)))
    }

    /// Decide on a return
    ///
    /// When the goods are received, they go back into stock and their money goes back, or is no longer owed if it hasn't been
    /// taken yet; `restock` and `refund` choose otherwise.
    #[oai(path = "/returns/:id", method = "patch", operation_id = "admin_decide_return")]
    async fn decide_return(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        body: Input<ReturnPatch>,
    ) -> Result<Reply<Return>, ApiError> {
        let id = ReturnId(id.0);
        let currency = self.0.commerce.settings().currency;
        let read = |body: ReturnPatch| body.read(currency);
        let decision = body.read_for(read, self.has(OrderChild::Return(id), "return")).await?;
        let decided = caller.shop().orders().decide_return(id, decision).await;
        let found = missing_first(decided, self.has(OrderChild::Return(id), "return")).await?;
        Ok(Reply::new(pick(found.returns, |back| back.id == id)?).version(found.version))
    }
}

/// The child of an order that a call was about.
fn pick<T>(children: Vec<T>, is_it: impl Fn(&T) -> bool) -> Result<T, ApiError> {
    children.into_iter().find(is_it).ok_or_else(ApiError::internal)
}
