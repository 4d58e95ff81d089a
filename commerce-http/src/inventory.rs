//! Stock and alerts, for staff.

pub mod dto;

use commerce_core::{
    alert,
    id::{AlertId, VariantId},
    inventory::{self as core, InventoryError},
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde::Serialize;
use uuid::Uuid;

use self::dto::{Adjustment, Alert, Movement, StockCount, StockItem};
use crate::{
    caller::{
        Caller,
        staff::{EditStock, ViewAlerts},
    },
    conditional::IdempotencyKey,
    param::{Paging, Query},
    payload::{Created, Input, Optional, Reply},
    problem::{ApiError, Code, Members},
    spec::Tag,
    types::{Page, sample},
};

impl From<InventoryError> for ApiError {
    fn from(error: InventoryError) -> Self {
        let detail = error.to_string();
        match error {
            InventoryError::Common(error) => error.into(),
            InventoryError::BelowReserved { reserved } => Self::with(detail, &BelowReserved { reserved }),
        }
    }
}

/// Fewer units would be on hand than orders have reserved.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct BelowReserved {
    /// Units that are reserved.
    pub reserved: i64,
}

impl Members for BelowReserved {
    const CODE: Code = Code::BelowReserved;
}

impl Example for BelowReserved {
    fn example() -> Self {
        Self { reserved: 3 }
    }
}

/// Operations on stock and alerts.
pub struct InventoryApi;

async fn existing(caller: &Caller<EditStock>, id: VariantId) -> Result<(), InventoryError> {
    caller.shop().inventory().stock_item(id).await.map(drop)
}

#[OpenApi(prefix_path = "/v1/admin", tag = "Tag::AdminInventory")]
impl InventoryApi {
    /// Stock
    ///
    /// By SKU.
    #[oai(path = "/inventory", method = "get", operation_id = "admin_list_stock")]
    async fn list(
        &self,
        caller: Caller<EditStock>,
        /// Only what is low.
        #[oai(example = "sample::yes")]
        low_stock: Query<bool>,
        /// The beginning of the SKU, or part of the product's title.
        #[oai(example = "sample::sku")]
        q: Query<String>,
        paging: Paging,
    ) -> Result<Reply<Page<StockItem>>, ApiError> {
        let query = core::StockQuery { low_stock: low_stock.0.unwrap_or(false), q: q.0 };
        Ok(Reply::new(Page::of(caller.shop().inventory().stock(query, &paging.0).await?)))
    }

    /// The stock of a variant
    ///
    /// What is on hand, reserved and available.
    #[oai(path = "/inventory/:variant_id", method = "get", operation_id = "admin_get_stock")]
    async fn get(&self, caller: Caller<EditStock>, variant_id: Path<Uuid>) -> Result<Reply<StockItem>, ApiError> {
        Ok(Reply::new(caller.shop().inventory().stock_item(variant_id.0.into()).await?))
    }

    /// Count stock
    ///
    /// Sets what is on hand, whatever it was, and from where on stock is low.
    #[oai(path = "/inventory/:variant_id", method = "put", operation_id = "admin_set_stock")]
    async fn set(
        &self,
        caller: Caller<EditStock>,
        variant_id: Path<Uuid>,
        body: Optional<StockCount>,
    ) -> Result<Reply<StockItem>, ApiError> {
        let id = variant_id.0.into();
        let StockCount { on_hand, low_stock_threshold } = body.parse_for(existing(&caller, id)).await?;
        let count = core::StockCount::new().on_hand(on_hand).low_stock_threshold(low_stock_threshold);
        Ok(Reply::new(caller.shop().inventory().set_stock(id, count).await?))
    }

    /// Correct stock
    ///
    /// Moves what is on hand by a number of units; answers the stock as it then stands.
    #[oai(path = "/inventory/:variant_id/adjustments", method = "post", operation_id = "admin_adjust_stock")]
    async fn adjust(
        &self,
        caller: Caller<EditStock>,
        variant_id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<Adjustment>,
    ) -> Result<Created<StockItem>, ApiError> {
        let id = variant_id.0.into();
        let Adjustment { delta, reason } = body.parse_for(existing(&caller, id)).await?;
        let shop = caller.shop_once(&idempotency_key, &body);
        let outcome = shop.inventory().adjust(id, delta, reason).outcome().await?;
        Ok(Created::outcome(outcome).location(&format!("/v1/admin/inventory/{id}")))
    }

    /// The ledger of a variant
    ///
    /// Newest first.
    #[oai(path = "/inventory/:variant_id/movements", method = "get", operation_id = "admin_list_movements")]
    async fn movements(
        &self,
        caller: Caller<EditStock>,
        variant_id: Path<Uuid>,
        paging: Paging,
    ) -> Result<Reply<Page<Movement>>, ApiError> {
        let page = caller.shop().inventory().movements(variant_id.0.into(), &paging.0).await?;
        Ok(Reply::new(Page::of(page)))
    }

    /// Alerts
    ///
    /// Newest first. Low stock: one alert each time a variant runs low.
    #[oai(path = "/alerts", method = "get", operation_id = "admin_list_alerts")]
    async fn alerts(
        &self,
        caller: Caller<ViewAlerts>,
        /// Only those that staff took note of, or only those that they didn't.
        #[oai(example = "sample::yes")]
        acknowledged: Query<bool>,
        paging: Paging,
    ) -> Result<Reply<Page<Alert>>, ApiError> {
        let query = alert::AlertQuery { acknowledged: acknowledged.0 };
        Ok(Reply::new(Page::of(caller.shop().inventory().alerts(query, &paging.0).await?)))
    }

    /// Take note of an alert
    ///
    /// It stays in the list, as one that staff have seen.
    #[oai(path = "/alerts/:id/acknowledge", method = "post", operation_id = "admin_acknowledge_alert")]
    async fn acknowledge(&self, caller: Caller<ViewAlerts>, id: Path<Uuid>) -> Result<Reply<Alert>, ApiError> {
        let alert = caller.shop().inventory().acknowledge(AlertId(id.0)).await?;
        let version = alert.version;
        Ok(Reply::new(alert).version(version))
    }
}
