//! What staff may ask and change of stock and alerts.

use super::{InventoryError, MAX_STOCK, MovementRecord, StockCount, StockItem, StockQuery};
use crate::{
    alert::{Alert, AlertQuery},
    context::{AccessError, Actor, Permission},
    engine::{Engine, Planned},
    error::{CommonError, Invalid},
    event::DomainEvent,
    id::{AlertId, VariantId},
    page::{Page, PageRequest},
    store::{AggregateId, ChangeSet, MovementKind, StockDelta},
    text::check_filter,
    write::{OneCommit, Scope, Write, WriteContext},
};

const MAX_ADJUSTMENT: i64 = 1_000_000;
const MAX_REASON: usize = 500;

/// Stock and alerts.
///
/// Stock needs [`Permission::EditStock`](crate::context::Permission::EditStock), alerts
/// [`Permission::ViewAlerts`](crate::context::Permission::ViewAlerts).
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// let staff = shop.as_system();
/// let stock = staff.inventory().adjust(mug, -3, "broken in the storeroom").await?;
/// assert_eq!(stock.available(), 7);
///
/// let ledger = staff.inventory().movements(mug, &PageRequest::default()).await?;
/// assert_eq!(ledger.items[0].on_hand_after, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Inventory {
    scope: Scope,
}

impl Inventory {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

impl Inventory {
    /// Stock, by SKU.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn stock(&self, query: StockQuery, page: &PageRequest) -> Result<Page<StockItem>, InventoryError> {
        self.scope.actor().require(Permission::EditStock)?;
        let spec = page.spec(&query)?;
        check_filter(&[("/q", query.q.as_deref())])?;
        let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        let sought = StockQuery { q: q.map(ToOwned::to_owned), ..query.clone() };
        let reads = self.scope.engine.reads_for(self.scope.actor());
        Ok(reads.list_stock(&sought, &spec).await?.page(&query))
    }

    /// The stock of a variant.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn stock_item(&self, variant: VariantId) -> Result<StockItem, InventoryError> {
        self.scope.actor().require(Permission::EditStock)?;
        Ok(self.load(variant).await?)
    }

    /// Sets how many units staff counted, and when there are few. What is absent stays as it is.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`InventoryError::BelowReserved`];
    /// [`CommonError::Store`].
    pub fn set_stock(&self, variant: VariantId, count: StockCount) -> Write<StockItem, InventoryError> {
        let plan = OneCommit::new(
            "inventory.set_stock",
            self.clone(),
            (variant, count),
            |inventory, write, (variant, count)| Box::pin(inventory.plan_set_stock(write, *variant, *count)),
        );
        self.scope.write(plan.allowed_to(may_edit).then(|inventory, item| Box::pin(inventory.reread(item))))
    }

    async fn plan_set_stock(
        &self,
        write: &WriteContext,
        variant: VariantId,
        count: StockCount,
    ) -> Result<Planned<StockItem>, InventoryError> {
        let StockCount { on_hand, low_stock_threshold } = count;
        let mut item = self.load(variant).await?;
        let mut invalid = Invalid::default();
        check_units(&mut invalid, "/on_hand", on_hand);
        check_units(&mut invalid, "/low_stock_threshold", low_stock_threshold);
        invalid.into_result()?;
        let mut set = self.scope.engine.set(write.actor());
        if let Some(on_hand) = on_hand {
            let expect_on_hand = Some(item.on_hand);
            // Counted against what was read: a sale in between is not to be counted twice.
            let delta = StockDelta { on_hand: on_hand - item.on_hand, reserved: 0, expect_on_hand };
            move_units(&mut set, &self.scope.engine, &mut item, delta, "count")?;
        }
        if let Some(threshold) = low_stock_threshold.filter(|threshold| *threshold != item.low_stock_threshold) {
            set.threshold(variant, threshold);
            item.low_stock_threshold = threshold;
        }
        Ok(Planned { changes: set, output: item })
    }

    /// Corrects a variant's stock by so many units, up or down.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`] (`/delta`, `/reason`);
    /// [`InventoryError::BelowReserved`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn adjust(
        &self,
        variant: VariantId,
        delta: i64,
        reason: impl Into<String>,
    ) -> Write<StockItem, InventoryError> {
        let input = (variant, delta, reason.into());
        let plan =
            OneCommit::new("inventory.adjust", self.clone(), input, |inventory, write, (variant, delta, reason)| {
                Box::pin(inventory.plan_adjust(write, *variant, *delta, reason))
            });
        self.scope.write(plan.allowed_to(may_edit).then(|inventory, item| Box::pin(inventory.reread(item))))
    }

    async fn plan_adjust(
        &self,
        write: &WriteContext,
        variant: VariantId,
        delta: i64,
        reason: &str,
    ) -> Result<Planned<StockItem>, InventoryError> {
        let mut item = self.load(variant).await?;
        check_adjustment(&item, delta, reason)?;
        let mut set = self.scope.engine.set(write.actor());
        let delta = StockDelta { on_hand: delta, ..StockDelta::default() };
        move_units(&mut set, &self.scope.engine, &mut item, delta, reason.trim())?;
        Ok(Planned { changes: set, output: item })
    }

    /// A variant's ledger, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn movements(
        &self,
        variant: VariantId,
        page: &PageRequest,
    ) -> Result<Page<MovementRecord>, InventoryError> {
        self.scope.actor().require(Permission::EditStock)?;
        self.load(variant).await?;
        let spec = page.spec(&variant)?;
        let reads = self.scope.engine.reads_for(self.scope.actor());
        Ok(reads.list_movements(variant, &spec).await?.page(&variant))
    }

    /// Alerts, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn alerts(&self, query: AlertQuery, page: &PageRequest) -> Result<Page<Alert>, InventoryError> {
        self.scope.actor().require(Permission::ViewAlerts)?;
        let spec = page.spec(&query)?;
        let reads = self.scope.engine.reads_for(self.scope.actor());
        Ok(reads.list_alerts(&query, &spec).await?.page(&query))
    }

    /// Notes that staff took note of an alert. Once noted, it stays as it is.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub fn acknowledge(&self, id: AlertId) -> Write<Alert, InventoryError> {
        let plan = OneCommit::new("inventory.acknowledge", self.clone(), id, |inventory, write, id| {
            Box::pin(inventory.plan_acknowledge(write, *id))
        });
        self.scope.write(plan.allowed_to(|actor| actor.require(Permission::ViewAlerts)))
    }

    async fn plan_acknowledge(&self, write: &WriteContext, id: AlertId) -> Result<Planned<Alert>, InventoryError> {
        let before = self.scope.engine.reads().load_alert(id).await?.ok_or(CommonError::NotFound("alert"))?;
        let mut set = self.scope.engine.set(write.actor());
        let mut after = before.clone();
        if before.acknowledged_at.is_none() {
            after.acknowledged_at = Some(set.at());
            set.update(&before, &mut after);
        }
        Ok(Planned { changes: set, output: after })
    }

    async fn load(&self, variant: VariantId) -> Result<StockItem, CommonError> {
        self.scope.engine.reads().load_stock(variant).await?.ok_or(CommonError::NotFound("variant"))
    }

    /// The item as it stands after a write: what was planned doesn't know of sales in between. The write is made, so a failure
    /// to read falls back to what was planned.
    async fn reread(&self, planned: StockItem) -> Result<StockItem, InventoryError> {
        Ok(self.load(planned.variant_id).await.unwrap_or(planned))
    }
}

fn may_edit(actor: &Actor) -> Result<(), AccessError> {
    actor.require(Permission::EditStock)
}

/// Moves what is on hand, with its ledger line and event. Short or outdated stock is found by the commit and planned anew.
fn move_units(
    set: &mut ChangeSet,
    engine: &Engine,
    item: &mut StockItem,
    delta: StockDelta,
    reason: &str,
) -> Result<(), InventoryError> {
    if delta.on_hand == 0 {
        return Ok(());
    }
    let after = item.on_hand + delta.on_hand;
    if after < item.reserved {
        return Err(InventoryError::BelowReserved { reserved: item.reserved });
    }
    let variant = item.variant_id;
    set.move_stock(variant, delta, Some((MovementKind::Adjustment, None, Some(reason.to_owned()))));
    // Stock moves without a version; the time takes its place, so that receivers can still order and tell events apart.
    let version = set.at().as_micros();
    let event = DomainEvent::StockAdjusted { variant, delta: delta.on_hand };
    set.event(engine.ids(), AggregateId::StockAlert(variant), version, event);
    item.on_hand = after;
    Ok(())
}

fn check_adjustment(item: &StockItem, delta: i64, reason: &str) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if delta == 0 || !(-MAX_ADJUSTMENT..=MAX_ADJUSTMENT).contains(&delta) {
        let detail = format!("must be between -{MAX_ADJUSTMENT} and {MAX_ADJUSTMENT}, and not 0");
        invalid.add("/delta", "out_of_range", detail);
    } else if item.on_hand + delta > MAX_STOCK {
        invalid.add("/delta", "out_of_range", format!("no more than {MAX_STOCK} units can be on hand"));
    }
    invalid.check_lines(reason, "/reason", 1, MAX_REASON);
    invalid.into_result()
}

fn check_units(invalid: &mut Invalid, pointer: &str, units: Option<i64>) {
    if units.is_some_and(|units| !(0..=MAX_STOCK).contains(&units)) {
        invalid.add(pointer, "out_of_range", format!("must be between 0 and {MAX_STOCK}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ProductId;

    fn item() -> StockItem {
        StockItem {
            variant_id: VariantId(uuid::Uuid::nil()),
            product_id: ProductId(uuid::Uuid::nil()),
            sku: "MUG".into(),
            product_title: "Mug".into(),
            variant_title: String::new(),
            on_hand: MAX_STOCK - 5,
            reserved: 2,
            low_stock_threshold: 0,
            crossings: 0,
            alerted: 0,
        }
    }

    #[test]
    fn adjustments_are_bounded_and_explained() {
        let broken = |delta, reason| {
            let errors = check_adjustment(&item(), delta, reason).err().unwrap_or_default().errors;
            errors.into_iter().map(|error| (error.pointer, error.code)).collect::<Vec<_>>()
        };
        assert_eq!(broken(5, "found"), []);
        assert_eq!(broken(-1_000_000, "lost"), []);
        for delta in [0, 6, 1_000_001, -1_000_001, i64::MIN, i64::MAX] {
            assert_eq!(broken(delta, "x"), [("/delta".to_owned(), "out_of_range")], "{delta}");
        }
        assert_eq!(broken(1, "  "), [("/reason".to_owned(), "required")]);
        assert_eq!(broken(1, "a\0b"), [("/reason".to_owned(), "invalid_character")]);
        assert_eq!(broken(1, "4111-1111-1111-1111"), [("/reason".to_owned(), "card_number")]);
        assert_eq!(broken(1, "two\nlines"), []);
    }
}
