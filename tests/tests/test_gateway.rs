//! The test gateway keeps the contract of gateways.

use std::sync::Arc;

use async_trait::async_trait;
use commerce_core::{
    conformance::GatewayFixture,
    id::PaymentId,
    payment::{PaymentGateway, TestGateway},
};

struct Fixture(TestGateway);

#[async_trait]
impl GatewayFixture for Fixture {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        Arc::new(self.0.clone())
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

    async fn charges(&self, payment: PaymentId) -> Option<u64> {
        let charged = self.0.ledger().iter().filter(|line| line.payment == payment && line.captured > 0).count();
        u64::try_from(charged).ok()
    }
}

async fn fixture() -> Fixture {
    Fixture(TestGateway::new())
}

commerce_core::gateway_conformance_tests!(fixture);
