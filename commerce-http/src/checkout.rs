//! Quoting and placing orders.

pub mod dto;

use std::sync::Arc;

use commerce_core::{
    Outcome,
    checkout::{self as core, CheckoutError, Placement},
    id::OrderId,
    payment::PlacementOutcome,
};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    registry::{MetaResponses, Registry},
    types::Example,
};
use serde::Serialize;
use uuid::Uuid;

use self::dto::{CheckoutRequest, PaymentMethod, PaymentRequest, Quote, QuoteRequest};
use crate::{
    caller::{Buyer, Caller, Public, Shopper},
    cart::dto::Totals,
    conditional::IdempotencyKey,
    order::{
        dto::{Order, ShippingMethod},
        order,
        problems::{declined, not_payable},
    },
    param::Query,
    payload::{Input, Optional, REPLAYED, Reply},
    problem::{ApiError, Code, Members},
    spec::Tag,
    stack::{AppState, count_order},
    types::{Country, sample},
};

impl From<CheckoutError> for ApiError {
    fn from(error: CheckoutError) -> Self {
        let detail = error.to_string();
        match error {
            CheckoutError::Common(error) => error.into(),
            CheckoutError::CartEmpty => Self::new(Code::CartEmpty, detail),
            CheckoutError::OutOfStock { variant_id, available } => Self::out_of_stock(detail, variant_id, available),
            CheckoutError::PriceChanged { totals } => Self::with(detail, &PriceChanged { totals: (*totals).into() }),
            CheckoutError::NotPayable => Self::new(Code::NotPayable, detail),
            CheckoutError::PaymentBusy => Self::new(Code::PaymentBusy, detail).retry_after(1),
            CheckoutError::AmountNotPayable(error) => not_payable(&error, "/payment/method"),
            CheckoutError::GatewayUnavailable => Self::new(Code::GatewayUnavailable, detail),
        }
    }
}

/// The cart costs something else than the customer has seen.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct PriceChanged {
    /// What it costs now.
    pub totals: Totals,
}

impl Members for PriceChanged {
    const CODE: Code = Code::PriceChanged;
}

impl Example for PriceChanged {
    fn example() -> Self {
        Self { totals: Totals::example() }
    }
}

/// 201: placed. 202: the payment isn't settled yet.
pub enum Placed {
    Created(Reply<Order, 201>),
    Accepted(Reply<Order, 202>),
}

impl IntoResponse for Placed {
    fn into_response(self) -> Response {
        match self {
            Self::Created(reply) => reply.into_response(),
            Self::Accepted(reply) => reply.into_response(),
        }
    }
}

impl ApiResponse for Placed {
    fn meta() -> MetaResponses {
        let mut meta = Reply::<Order, 201>::meta();
        meta.responses.extend(Reply::<Order, 202>::meta().responses);
        meta
    }

    fn register(registry: &mut Registry) {
        Reply::<Order>::register(registry);
    }
}

/// Operations on the way from the cart to an order.
pub struct CheckoutApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1", tag = "Tag::Checkout")]
impl CheckoutApi {
    /// Ways to pay
    ///
    /// What `payment.method` may be at checkout.
    #[allow(clippy::unused_async)] // Operations are asynchronous.
    #[oai(path = "/payment-methods", method = "get", operation_id = "list_payment_methods")]
    async fn payment_methods(&self, caller: Caller<Public>) -> Result<Reply<Vec<PaymentMethod>>, ApiError> {
        let methods = caller.shop().checkout().payment_methods();
        Ok(Reply::new(methods.into_iter().map(Into::into).collect::<Vec<_>>()))
    }

    /// Ways to ship
    ///
    /// What each costs for your cart.
    #[oai(path = "/shipping-methods", method = "get", operation_id = "list_shipping_methods")]
    async fn shipping_methods(
        &self,
        caller: Caller<Shopper>,
        /// Where to: ISO 3166-1 alpha-2.
        #[oai(example = "sample::country")]
        country: Query<Country>,
    ) -> Result<Reply<Vec<ShippingMethod>>, ApiError> {
        let methods = caller.shop().checkout().shipping_methods(country.0.as_deref()).await?;
        Ok(Reply::new(methods.into_iter().map(Into::into).collect::<Vec<_>>()))
    }

    /// What would it cost?
    ///
    /// Totals of your cart, with shipping and tax. `grand_total` is what checkout's `expected_total` means.
    #[oai(path = "/checkout/quote", method = "post", operation_id = "quote_checkout")]
    async fn quote(&self, caller: Caller<Shopper>, body: Optional<QuoteRequest>) -> Result<Reply<Quote>, ApiError> {
        let QuoteRequest { shipping_address, shipping_method } = body.parse()?;
        let request =
            core::QuoteRequest::new().ship_to(shipping_address.map(Into::into)).shipping_method(shipping_method);
        Ok(Reply::new(caller.shop().checkout().quote(request).await?))
    }

    /// Place the order
    ///
    /// Reserves the goods, has them paid and confirms. 201: the order is placed. 202: the customer must finish 3-D Secure
    /// (`payments[0].next_action`, then confirm the payment) before `reserved_until`; or the gateway's answer is awaited.
    /// 402: the cart is kept, the goods are free again. Send an `Idempotency-Key`, so that a repeated call orders once.
    #[oai(path = "/checkout", method = "post", operation_id = "checkout")]
    async fn place(
        &self,
        caller: Caller<Shopper>,
        idempotency_key: IdempotencyKey,
        body: Input<CheckoutRequest>,
    ) -> Result<Placed, ApiError> {
        let checkout = body.parse()?.read(self.0.commerce.settings().currency)?;
        let shop = caller.shop_once(&idempotency_key, &body);
        placed(shop.checkout().place(checkout).outcome().await?)
    }

    /// Pay in another way
    ///
    /// Pays a pending order by another card or method while its goods are reserved (`reserved_until`, which isn't prolonged). The
    /// open payment is given up first; if it turns out to have succeeded, the order is placed by it. Answers as the checkout does.
    /// After 402 the order stays pending, and may be paid once more, until the reservation ends; then its cart is open again.
    #[oai(path = "/orders/:id/payments", method = "post", operation_id = "pay_order")]
    async fn pay(
        &self,
        caller: Caller<Buyer>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<PaymentRequest>,
    ) -> Result<Placed, ApiError> {
        let id = OrderId(id.0);
        let shop = caller.shop_once(&idempotency_key, &body);
        let PaymentRequest { payment } = body.parse_for(shop.orders().get_to_act_on(id)).await?;
        placed(shop.checkout().pay_again(id, payment).outcome().await?)
    }
}

/// How a checkout is answered.
fn placed(done: Outcome<Placement>) -> Result<Placed, ApiError> {
    let Placement { order: placed, order_token, outcome, .. } = done.value;
    if !done.replayed {
        count_order(name(&outcome));
    }
    let location = format!("/v1/orders/{}", placed.id);
    match outcome {
        PlacementOutcome::Placed => {
            Ok(Placed::Created(order(placed, order_token).replayed(done.replayed).location(&location)))
        }
        PlacementOutcome::ActionRequired | PlacementOutcome::Pending => {
            Ok(Placed::Accepted(order(placed, order_token).replayed(done.replayed).location(&location)))
        }
        PlacementOutcome::Declined { code } => {
            let error = declined(&placed, &code);
            Err(if done.replayed {
                error.header(REPLAYED, "true".parse().map_err(|_| ApiError::internal())?)
            } else {
                error
            })
        }
    }
}

const fn name(outcome: &PlacementOutcome) -> &'static str {
    match outcome {
        PlacementOutcome::Placed => "placed",
        PlacementOutcome::ActionRequired => "action_required",
        PlacementOutcome::Pending => "pending",
        PlacementOutcome::Declined { .. } => "declined",
    }
}
