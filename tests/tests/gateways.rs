//! The published contract of payment gateways, on the test gateway.

use std::sync::Arc;

use async_trait::async_trait;
use commerce_core::{
    conformance::GatewayFixture,
    id::PaymentId,
    payment::{PaymentGateway, TestGateway},
};

struct Fixture(Arc<TestGateway>);

#[async_trait]
impl GatewayFixture for Fixture {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        self.0.clone()
    }

    fn method(&self) -> String {
        "test".to_owned()
    }

    fn good_token(&self) -> String {
        "pm_card_visa".to_owned()
    }

    fn declined_token(&self) -> String {
        "pm_card_chargeDeclined".to_owned()
    }

    fn action_token(&self) -> Option<String> {
        Some("pm_card_threeDSecure2Required".to_owned())
    }

    fn manual_capture(&self) -> bool {
        true
    }

    async fn refund_past_us(&self, payment: PaymentId, _: &str, minor: i64) -> bool {
        self.0.refund_past_us(payment, minor).is_some()
    }
}

async fn fixture() -> Fixture {
    Fixture(Arc::new(TestGateway::new()))
}

commerce_core::gateway_conformance_tests!(fixture);
