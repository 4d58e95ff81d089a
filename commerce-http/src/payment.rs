//! Payments: webhooks of gateways, the test gateway's 3-D Secure, and staff's side.

use std::sync::Arc;

use commerce_core::{
    id::PaymentId,
    order::OrderChild,
    payment::{
        PaymentQuery, WebhookFailure,
        gateway::{WebhookError, WebhookRequest},
    },
};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    caller::{
        Caller, Public,
        staff::{ManageOrders, ViewOrders},
    },
    order::{
        dto::Order,
        order,
        parts::{OrderPayment, PaymentStatus},
    },
    param::{Paging, Query, path_text},
    payload::{Empty, Input, Optional, Raw, Reply},
    problem::{ApiError, Code},
    spec::Tag,
    stack::AppState,
    types::Page,
};

impl From<WebhookFailure> for ApiError {
    fn from(failure: WebhookFailure) -> Self {
        let detail = failure.to_string();
        match failure {
            WebhookFailure::Failed(error) => error.into(),
            WebhookFailure::Rejected(WebhookError::Unsupported) => Self::not_found("webhook"),
            WebhookFailure::Rejected(WebhookError::Signature) => Self::new(Code::InvalidSignature, detail),
            WebhookFailure::Rejected(WebhookError::Malformed(_)) => Self::new(Code::MalformedWebhook, detail),
        }
    }
}

/// What gateways call.
pub struct WebhookApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/webhooks", tag = "Tag::Payments")]
impl WebhookApi {
    /// A gateway's webhook
    ///
    /// For payment gateways only. The signature, in the header `<Gateway>-Signature`, is checked over the raw body and must not be
    /// older than 300 seconds; each event has its effect once.
    #[oai(path = "/payments/:gateway", method = "post", operation_id = "payment_webhook")]
    async fn take(
        &self,
        caller: Caller<Public>,
        gateway: Path<String>,
        request: &Request,
        body: Raw,
    ) -> Result<Empty<200>, ApiError> {
        path_text("gateway", &gateway)?;
        let signature = request.header(format!("{}-signature", gateway.0));
        let webhook = WebhookRequest { signature, body: &body.0, at: caller.info.arrived };
        self.0.commerce.payment_webhook(&gateway.0, &webhook).await?;
        Ok(Empty)
    }
}

/// How the customer fared at 3-D Secure.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Authentication {
    pub success: bool,
}

impl Example for Authentication {
    fn example() -> Self {
        Self { success: true }
    }
}

/// What is to become of a payment that is stuck.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PaymentResolution {
    /// Whether it is written off if the gateway holds no money for it; false, if absent.
    #[serde(default)]
    #[oai(nullable)]
    pub give_up: Option<bool>,
}

impl Example for PaymentResolution {
    fn example() -> Self {
        Self { give_up: Some(true) }
    }
}

/// What only the test gateway can do.
pub struct TestGatewayApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/test-gateway", tag = "Tag::Payments")]
impl TestGatewayApi {
    /// Finish 3-D Secure at the test gateway
    ///
    /// Plays the customer's bank. Confirm the payment afterwards. Not there unless the test gateway is offered.
    #[allow(clippy::unused_async)] // Operations are asynchronous.
    #[oai(path = "/payments/:id/authenticate", method = "post", operation_id = "test_gateway_authenticate")]
    async fn authenticate(
        &self,
        _caller: Caller<Public>,
        id: Path<Uuid>,
        body: Input<Authentication>,
    ) -> Result<Reply<Authentication>, ApiError> {
        let success = body.parse()?.success;
        let gateway = self.0.test_gateway.as_ref().ok_or_else(|| ApiError::not_found("test gateway"))?;
        let waited = gateway.authenticate(PaymentId(id.0), success);
        let answer = waited.then(|| Reply::new(Authentication { success }));
        answer.ok_or_else(|| ApiError::not_found("payment that waits for authentication"))
    }
}

/// Staff's side of payments.
pub struct AdminPaymentApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/admin/payments", tag = "Tag::AdminOrders")]
impl AdminPaymentApi {
    /// All payments
    ///
    /// Newest first.
    #[oai(path = "/", method = "get", operation_id = "admin_list_payments")]
    async fn list(
        &self,
        caller: Caller<ViewOrders>,
        /// Only this status.
        #[oai(example = "PaymentStatus::example")]
        status: Query<PaymentStatus>,
        paging: Paging,
    ) -> Result<Reply<Page<OrderPayment>>, ApiError> {
        let query = PaymentQuery::new().status(status.0.map(Into::into));
        Ok(Reply::new(Page::of(caller.shop().payments().list(query, &paging.0).await?)))
    }

    /// Settle a payment that is stuck
    ///
    /// Asks the gateway how it stands and settles it by that word, as recovery does by itself in time. With `give_up`, a
    /// payment that stays open and of which the gateway holds no money is written off: its order is cancelled, the goods are
    /// free again. Answers the order.
    #[oai(path = "/:id/resolve", method = "post", operation_id = "admin_resolve_payment")]
    async fn resolve(
        &self,
        caller: Caller<ManageOrders>,
        id: Path<Uuid>,
        body: Optional<PaymentResolution>,
    ) -> Result<Reply<Order>, ApiError> {
        let id = PaymentId(id.0);
        let store = self.0.commerce.store();
        let known = async {
            let order = store.reads().load_order_of(OrderChild::Payment(id)).await?;
            order.ok_or_else(|| ApiError::not_found("payment"))
        };
        let give_up = body.parse_for(known).await?.give_up.unwrap_or(false);
        let payments = caller.shop().payments();
        let write = if give_up { payments.write_off(id) } else { payments.resolve(id) };
        Ok(order(write.await?, None))
    }

    /// Note that an offline payment has arrived
    ///
    /// What is owed for the order is booked as received. Answers the order.
    #[oai(path = "/:id/receive", method = "post", operation_id = "admin_receive_payment")]
    async fn receive(&self, caller: Caller<ManageOrders>, id: Path<Uuid>) -> Result<Reply<Order>, ApiError> {
        Ok(order(caller.shop().payments().receive(id.0.into()).await?, None))
    }
}
