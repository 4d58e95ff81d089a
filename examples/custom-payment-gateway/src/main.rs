//! A payment gateway of your own: store credit, kept in memory. Run it with `cargo run -p custom-payment-gateway`.
//!
//! The contract is in `PaymentGateway`'s documentation: every call is idempotent by our id, a decline is an answer, and what
//! isn't known is said to be unknown. `commerce_core::gateway_conformance_tests!` tests it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use commerce_core::{
    id::{PaymentId, RefundId},
    payment::gateway::{
        AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayRefund, GatewayRefundState,
        GatewayState, PaymentMethod, RefundRequest, VoidRequest,
    },
    prelude::*,
};
use commerce_sqlite::SqliteStore;

/// Pays from one pot of credit.
struct StoreCredit(Mutex<Books>);

struct Books {
    credit: i64,
    payments: HashMap<PaymentId, GatewayPayment>,
    refunds: HashMap<RefundId, GatewayRefund>,
}

impl StoreCredit {
    fn new(credit: i64) -> Self {
        Self(Mutex::new(Books { credit, payments: HashMap::new(), refunds: HashMap::new() }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PaymentGateway for StoreCredit {
    fn code(&self) -> &'static str {
        "store_credit"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        vec![PaymentMethod::new(self.code(), "Store credit", self.code())]
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        let mut books = self.books();
        if let Some(payment) = books.payments.get(&request.payment_id) {
            return Ok(payment.clone());
        }
        let amount = request.amount;
        let enough = amount.minor <= books.credit;
        let state =
            if enough { GatewayState::Captured } else { GatewayState::Declined("insufficient_credit".to_owned()) };
        let captured = if enough { amount } else { amount.currency.zero() };
        books.credit -= captured.minor;
        let reference = format!("credit_{}", request.payment_id);
        let payment = GatewayPayment { reference, state, amount, captured };
        books.payments.insert(request.payment_id, payment.clone());
        Ok(payment)
    }

    async fn capture(&self, _: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        Err(GatewayError::Rejected("credit is taken at once".to_owned()))
    }

    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        let payment = self.books().payments.get(&request.payment_id).cloned();
        payment.ok_or_else(|| GatewayError::Rejected("no such payment".to_owned()))
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let mut books = self.books();
        if let Some(refund) = books.refunds.get(&request.refund_id) {
            return Ok(refund.clone());
        }
        books.credit += request.amount.minor;
        let reference = format!("credit_{}", request.refund_id);
        let refund = GatewayRefund { reference, state: GatewayRefundState::Settled, amount: request.amount };
        books.refunds.insert(request.refund_id, refund.clone());
        Ok(refund)
    }

    async fn retrieve(&self, payment: PaymentId, _: Option<&str>) -> Result<Option<GatewayPayment>, GatewayError> {
        Ok(self.books().payments.get(&payment).cloned())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Commerce::builder()
        .store(SqliteStore::open("sqlite::memory:").await?)
        .gateway(StoreCredit::new(50_00))
        .build()?;
    let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
    let mug = shop.as_system().catalog().create(mug).await?.default_variant();
    for quantity in [2, 1] {
        let cart = shop.as_guest().carts().add(mug, quantity).await?;
        let guest = shop.acting_as(Actor::Guest { cart: cart.cart_token, order: None });
        let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
        let checkout = Checkout::ship_to(address).pay_with("store_credit").email("ada@example.com".to_owned());
        let placement = guest.checkout().place(checkout).await?;
        println!("{} EUR: {:?}", placement.order.totals.grand_total, placement.outcome);
    }
    Ok(())
}
