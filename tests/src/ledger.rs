//! A gateway whose ledger is a folder: it outlives the processes that call it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use commerce_core::{
    Currency, Money,
    id::PaymentId,
    payment::{
        PaymentGateway, PaymentMethod,
        gateway::{
            AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayRefund, GatewayRefundState,
            GatewayState, RefundRequest, VoidRequest,
        },
    },
};

/// One file a payment, one a refund; who makes it first is who charges.
#[derive(Clone, Debug)]
pub struct FolderGateway {
    folder: PathBuf,
}

impl FolderGateway {
    /// A ledger in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Writes a file unless it is there; how much stands in it.
    fn book(&self, name: &str, minor: i64) -> Result<i64, GatewayError> {
        let lost = |error: io::Error| GatewayError::Unknown(error.to_string());
        let path = self.folder.join(name);
        // Written aside and linked, so that nobody ever reads half of it.
        let draft = self.folder.join(format!(".{name}.{}", std::process::id()));
        fs::write(&draft, minor.to_string()).map_err(lost)?;
        let linked = fs::hard_link(&draft, &path);
        fs::remove_file(&draft).map_err(lost)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(lost(error)),
            _ => self.booked(name).ok_or_else(|| GatewayError::Unknown("the ledger can't be read".to_owned())),
        }
    }

    fn booked(&self, name: &str) -> Option<i64> {
        fs::read_to_string(self.folder.join(name)).ok()?.parse().ok()
    }

    /// What was taken, by payment.
    #[must_use]
    pub fn charges(&self) -> Vec<(PaymentId, i64)> {
        let names = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let charges = names.filter_map(|name| Some((name.strip_prefix("pay_")?.parse().ok()?, self.booked(&name)?)));
        charges.collect()
    }

    /// How much was sent back in all.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let names = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("refund_")).filter_map(|name| self.booked(&name)).sum()
    }

    fn report(id: PaymentId, minor: i64) -> GatewayPayment {
        let amount = Money::new(minor, Currency::EUR);
        GatewayPayment { reference: format!("pay_{id}"), state: GatewayState::Captured, amount, captured: amount }
    }
}

#[async_trait]
impl PaymentGateway for FolderGateway {
    fn code(&self) -> &'static str {
        "folder"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        vec![PaymentMethod::new("folder", "Folder", "folder")]
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        let id = request.payment_id;
        Ok(Self::report(id, self.book(&format!("pay_{id}"), request.amount.minor)?))
    }

    async fn capture(&self, _request: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        Err(GatewayError::Rejected("everything is captured at once here".to_owned()))
    }

    async fn void(&self, _request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        Err(GatewayError::Rejected("everything is captured at once here".to_owned()))
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let minor = self.book(&format!("refund_{}", request.refund_id), request.amount.minor)?;
        let (reference, amount) = (format!("refund_{}", request.refund_id), Money::new(minor, Currency::EUR));
        Ok(GatewayRefund { reference, state: GatewayRefundState::Settled, amount })
    }

    async fn retrieve(
        &self,
        payment: PaymentId,
        _reference: Option<&str>,
    ) -> Result<Option<GatewayPayment>, GatewayError> {
        Ok(self.booked(&format!("pay_{payment}")).map(|minor| Self::report(payment, minor)))
    }
}
