//! [`ManualGateway`]: cash on delivery, bank transfer. Staff mark the money as received.

use async_trait::async_trait;

use super::gateway::{
    AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayRefund, GatewayRefundState, GatewayState,
    PaymentGateway, PaymentMethod, RefundRequest, VoidRequest,
};
use crate::{id::PaymentId, money::Money};

/// Offline payments: orders are confirmed at once, and the money is awaited. It has no memory: what it is asked, it answers
/// from the request.
#[derive(Clone, Debug)]
pub struct ManualGateway {
    methods: Vec<PaymentMethod>,
}

impl ManualGateway {
    /// Offers one method, `manual`.
    #[must_use]
    pub fn new() -> Self {
        Self { methods: Vec::new() }.method("manual", "Cash on delivery or bank transfer")
    }

    /// Offers these methods: code and title each.
    #[must_use]
    pub fn with_methods<'a>(methods: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        methods.into_iter().fold(Self { methods: Vec::new() }, |gateway, (code, title)| gateway.method(code, title))
    }

    fn method(mut self, code: &str, title: &str) -> Self {
        let gateway = self.code().to_owned();
        self.methods.push(PaymentMethod::new(code, title, gateway));
        self
    }

    /// Tells customers how to pay, whichever of the methods so far they choose: the bank account, say. It stands in the list of
    /// methods, in the order and in its mail.
    #[must_use]
    pub fn instructions(mut self, text: &str) -> Self {
        self.methods.iter_mut().for_each(|method| method.instructions = Some(text.to_owned()));
        self
    }
}

impl Default for ManualGateway {
    fn default() -> Self {
        Self::new()
    }
}

fn report(id: PaymentId, state: GatewayState, amount: Money, captured: Money) -> GatewayPayment {
    GatewayPayment { reference: format!("manual_{id}"), state, amount, captured }
}

#[async_trait]
impl PaymentGateway for ManualGateway {
    fn code(&self) -> &'static str {
        "manual"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        self.methods.clone()
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        let zero = request.amount.currency.zero();
        Ok(report(request.payment_id, GatewayState::Offline, request.amount, zero))
    }

    async fn capture(&self, request: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        Ok(report(request.payment_id, GatewayState::Captured, request.amount, request.amount))
    }

    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        Err(GatewayError::Rejected(format!("offline payment {} is given up in the books only", request.payment_id)))
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let reference = format!("manual_{}", request.refund_id);
        Ok(GatewayRefund { reference, state: GatewayRefundState::Settled, amount: request.amount })
    }

    async fn retrieve(
        &self,
        _payment: PaymentId,
        _reference: Option<&str>,
    ) -> Result<Option<GatewayPayment>, GatewayError> {
        Ok(None)
    }
}
