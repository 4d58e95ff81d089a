//! Orders after they were placed: the customer's side.

mod admin;
pub mod dto;
pub mod edit;
pub mod parts;

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
};
use crate::{
    caller::{Buyer, Caller, Public, SignedIn},
    checkout::declined,
    conditional::IdempotencyKey,
    payload::{Created, Input, Reply},
    problem::ApiError,
    spec::Tag,
    stack::{AppState, ORDER_TOKEN},
    types::{All, Page, Paging},
};

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        match error {
            OrderError::Common(error) => error.into(),
            OrderError::NotAllowed(_) => Self::conflict("invalid_state", detail),
            OrderError::AlreadyShipped => Self::conflict("already_shipped", detail),
            OrderError::QuantityExceeded { variant_id, left } => {
                Self::conflict("quantity_exceeded", detail).with("variant_id", variant_id).with("left", left)
            }
            OrderError::RefundExceedsCaptured { left } => {
                let left = crate::types::Money::from(left);
                Self::conflict("refund_exceeds_captured", detail).with("left", left)
            }
            OrderError::CaptureExceedsOwed { left } => {
                Self::conflict("capture_exceeds_owed", detail).with("left", crate::types::Money::from(left))
            }
            OrderError::OutOfStock { variant_id, available } => Self::out_of_stock(detail, variant_id, available),
            OrderError::NothingToCapture => Self::conflict("nothing_to_capture", detail),
            OrderError::NotAwaited => Self::conflict("not_awaited", detail),
            OrderError::GatewayUnavailable => Self::unavailable("gateway_unavailable", detail),
            OrderError::AmountNotPayable(error) => crate::checkout::not_payable(&error, "/amount"),
            OrderError::GatewayRefused(_) => Self::conflict("gateway_refused", detail),
            OrderError::PaymentHeld { held } => {
                Self::conflict("payment_held", detail).with("held", crate::types::Money::from(held))
            }
            OrderError::PaymentBusy => Self::conflict("payment_busy", detail).retry_after(1),
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
    #[oai(path = "/:id", method = "get", operation_id = "get_order")]
    async fn get(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        Ok(order(caller.shop().orders().get(id.0.into()).await?, None))
    }

    /// Track an order
    #[oai(path = "/:id/tracking", method = "get", operation_id = "track_order")]
    async fn tracking(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Tracking>, ApiError> {
        Ok(Reply::new(caller.shop().orders().tracking(id.0.into()).await?))
    }

    /// Find a guest's order again
    ///
    /// Answers the order with a fresh `order_token`. Orders that belong to an account are found by signing in to it.
    ///
    /// Errors: 404 not_found; 429 rate_limited
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
    ///
    /// Errors: 409 already_shipped, invalid_state, payment_busy
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_order")]
    async fn cancel(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        let cancellation = Cancellation::all().reason("cancelled by the customer");
        Ok(order(caller.shop().orders().cancel(id.0.into(), cancellation).await?, None))
    }

    /// Confirm a payment after 3-D Secure
    ///
    /// Asks the gateway how the payment stands and settles it.
    ///
    /// Errors: 402 payment_declined; 503 gateway_unavailable
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
    #[oai(path = "/:id/returns", method = "get", operation_id = "list_order_returns")]
    async fn returns(&self, caller: Caller<Buyer>, id: Path<Uuid>) -> Result<Reply<All<Return>>, ApiError> {
        Ok(Reply::new(All::of(caller.shop().orders().get(id.0.into()).await?.returns)))
    }

    /// Ask to return items
    ///
    /// Delivered items only.
    ///
    /// Errors: 409 quantity_exceeded; 422 required, too_long
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
