//! Payments and refunds, and the gateways that move the money.

mod amounts;
mod capture;
pub mod gateway;
mod manual;
mod model;
pub(crate) mod processor;
mod reconcile;
mod report;
mod resolve;
mod rules;
mod service;
mod state;
#[cfg(feature = "stripe")]
pub mod stripe;
mod test_gateway;
mod webhook;

#[cfg(test)]
mod tests;

pub use self::{
    amounts::{AmountNotPayable, PayableAmounts},
    capture::NewCapture,
    gateway::{PaymentGateway, PaymentMethod},
    manual::ManualGateway,
    model::{Payment, Refund},
    processor::PlacementOutcome,
    reconcile::{PaymentDrift, ReconcileError, Reconciliation},
    report::{NextAction, RefundReport},
    service::{NewRefund, PaymentQuery, Payments, Refunded},
    state::{PaymentStatus, RefundOrigin, RefundStatus},
    test_gateway::{GatewayFault, LedgerLine, TestGateway},
    webhook::WebhookFailure,
};
pub(crate) use rules::{AMOUNT_NOT_PAYABLE, CANCELLED, EXPIRED, NOTHING_OWED, RefundIntent, UNPAID};
