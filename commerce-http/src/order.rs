//! Orders after they were placed: the customer's side.

mod admin;
pub mod dto;
pub mod edit;
pub mod parts;
pub mod problems;

use std::sync::Arc;

use commerce_core::{
    Outcome,
    checkout::Placement,
    id::OrderId,
    order::{self as core, Cancellation, OrderError},
    payment::PlacementOutcome,
    token::OrderToken,
};
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

pub use self::admin::AdminOrderApi;
use self::{
    dto::{Order, Tracking},
    edit::{NewReturn, OrderLookup},
    parts::Return,
    problems::{CaptureExceedsOwed, PaymentHeld, QuantityExceeded, RefundExceedsCaptured, declined, not_payable},
};
use crate::{
    caller::{Buyer, Caller, Public, SignedIn},
    conditional::IdempotencyKey,
    param::Paging,
    payload::{Created, Input, Reply},
    problem::{ApiError, Code},
    spec::Tag,
    stack::{AppState, ORDER_TOKEN},
    types::{All, Page},
};

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        match error {
            OrderError::Common(error) => error.into(),
            OrderError::NotAllowed(_) => Self::new(Code::InvalidState, detail),
            OrderError::AlreadyShipped => Self::new(Code::AlreadyShipped, detail),
            OrderError::QuantityExceeded { variant_id, left } => {
                Self::with(detail, &QuantityExceeded { variant_id: variant_id.0, left })
            }
            OrderError::RefundExceedsCaptured { left } => {
                Self::with(detail, &RefundExceedsCaptured { left: left.into() })
            }
            OrderError::CaptureExceedsOwed { left } => Self::with(detail, &CaptureExceedsOwed { left: left.into() }),
            OrderError::OutOfStock { variant_id, available } => Self::out_of_stock(detail, variant_id, available),
            OrderError::NothingToCapture => Self::new(Code::NothingToCapture, detail),
            OrderError::NotAwaited => Self::new(Code::NotAwaited, detail),
            OrderError::GatewayUnavailable => Self::new(Code::GatewayUnavailable, detail),
            OrderError::AmountNotPayable(error) => not_payable(&error, "/amount"),
            OrderError::GatewayRefused(_) => Self::new(Code::GatewayRefused, detail),
            OrderError::PaymentHeld { held } => Self::with(detail, &PaymentHeld { held: held.into() }),
            OrderError::PaymentBusy => Self::new(Code::PaymentBusy, detail).retry_after(1),
        }
    }
}

/// An order, at its version.
pub fn order<const STATUS: u16>(order: core::Order, token: Option<OrderToken>) -> Reply<Order, STATUS> {
    let version = order.version;
    let token = token.map(|OrderToken(token)| token);
    let body = Order { order_token: token.clone(), ..order.into() };
    let reply = Reply::new(body).version(version);
    match token {
        Some(token) => reply.header(ORDER_TOKEN, &token),
        None => reply,
    }
}

/// Operations on one's own orders.
pub struct OrderApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/orders", tag = "Tag::Orders")]
impl OrderApi {
    /// Your orders
    ///
    /// Newest first. Attempts whose payment was declined are left out.
    #[oai(path = "/", method = "get", operation_id = "list_orders")]
    async fn list(&self, caller: Caller<SignedIn>, paging: Paging) -> Result<Reply<Page<Order>>, ApiError> {
        Ok(Reply::new(Page::of(caller.shop().orders().mine(&paging.0).await?)))
    }

    /// An order
    ///
    /// As it stands now, with its payments, refunds, parcels and returns.
    #[oai(path = "/:id", method = "get", operation_id = "get_order")]
    async fn get(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        Ok(order(caller.shop().orders().get(id.0.into()).await?, None))
    }

    /// Track an order
    ///
    /// What has happened to it, oldest first, and where its parcels are.
    #[oai(path = "/:id/tracking", method = "get", operation_id = "track_order")]
    async fn tracking(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Tracking>, ApiError> {
        Ok(Reply::new(caller.shop().orders().tracking(id.0.into()).await?))
    }

    /// Find a guest's order again
    ///
    /// Answers the order with a fresh `order_token`. Orders that belong to an account are found by signing in to it.
    #[oai(path = "/lookup", method = "post", operation_id = "lookup_order")]
    async fn lookup(&self, caller: Caller<Public>, body: Input<OrderLookup>) -> Result<Reply<Order>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let OrderLookup { number, email } = body.parse()?;
        self.0.limits.account(&email)?;
        let found = caller.shop().orders().lookup(&number, &email).await?;
        Ok(order(found.order, Some(found.order_token)))
    }

    /// Cancel an order
    ///
    /// Before any shipment: stock goes back, the payment is voided or refunded.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_order")]
    async fn cancel(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        let cancellation = Cancellation::all().reason("cancelled by the customer");
        Ok(order(caller.shop().orders().cancel(id.0.into(), cancellation).await?, None))
    }

    /// Confirm a payment after 3-D Secure
    ///
    /// Asks the gateway how the payment stands and settles it.
    #[oai(path = "/:id/payments/:payment_id/confirm", method = "post", operation_id = "confirm_payment")]
    async fn confirm(
        &self,
        caller: Caller<Buyer>,
        id: Path<Uuid>,
        payment_id: Path<Uuid>,
    ) -> Result<Reply<Order>, ApiError> {
        let payments = caller.shop().payments();
        let Placement { order: found, outcome, .. } = payments.confirm(id.0.into(), payment_id.0.into()).await?;
        match outcome {
            PlacementOutcome::Declined { code } => Err(declined(&found, &code)),
            PlacementOutcome::Placed | PlacementOutcome::ActionRequired | PlacementOutcome::Pending => {
                Ok(order(found, None))
            }
        }
    }

    /// An order's returns
    ///
    /// Those that were asked for, however they were decided.
    #[oai(path = "/:id/returns", method = "get", operation_id = "list_order_returns")]
    async fn returns(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<All<Return>>, ApiError> {
        Ok(Reply::new(All::of(caller.shop().orders().get(id.0.into()).await?.returns)))
    }

    /// Ask to return items
    ///
    /// Delivered items only.
    #[oai(path = "/:id/returns", method = "post", operation_id = "request_return")]
    async fn request_return(
        &self,
        caller: Caller<Buyer>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<NewReturn>,
    ) -> Result<Created<Return>, ApiError> {
        let id = OrderId(id.0);
        let orders = caller.shop_once(&idempotency_key, &body).orders();
        let NewReturn { items, reason } = body.parse_for(orders.get_to_act_on(id)).await?;
        let items: Vec<_> = items.into_iter().map(Into::into).collect();
        let Outcome { value, replayed, .. } =
            orders.request_return(id, core::NewReturn::new(items, reason)).outcome().await?;
        Ok(Created::new(value.r#return).replayed(replayed).location(&format!("/v1/orders/{id}/returns")))
    }
}
