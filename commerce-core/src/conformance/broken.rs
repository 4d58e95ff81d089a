//! A store that is broken on purpose.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::{
    clock::Timestamp,
    event::LeasedTask,
    id::VariantId,
    store::{Applied, ChangeSet, CommitError, Conflict, Reads, StockDelta, Store, StoreError},
};

/// A store that handles stock the way it is often done, and never may be: it reads how much there is, decides, and then
/// writes what it computed, without a guard. Everything else it leaves to a good store. The oversell case must catch it.
pub struct BrokenStore {
    inner: Arc<dyn Store>,
    writing: Mutex<()>,
}

impl BrokenStore {
    /// Breaks a good store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, writing: Mutex::new(()) }
    }

    async fn levels(&self, set: &ChangeSet) -> Result<BTreeMap<VariantId, (i64, i64)>, CommitError> {
        let mut levels = BTreeMap::new();
        for (variant, _) in set.stock() {
            let stock = self.inner.reads().load_stock(variant).await.map_err(unavailable)?;
            if let Some(stock) = stock {
                levels.insert(variant, (stock.on_hand, stock.reserved));
            }
        }
        Ok(levels)
    }
}

fn unavailable(error: StoreError) -> CommitError {
    CommitError::Unavailable(error.into())
}

#[async_trait]
impl Store for BrokenStore {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        let read = self.levels(set).await?;
        let mut goals = BTreeMap::new();
        for (variant, delta) in set.stock() {
            let (on_hand, reserved) = read.get(&variant).copied().unwrap_or_default();
            let goal = (on_hand + delta.on_hand, reserved + delta.reserved);
            if read.contains_key(&variant) && goal.0 < goal.1 {
                return Err(CommitError::Conflict(vec![Conflict::Short { variant, available: on_hand - reserved }]));
            }
            goals.insert(variant, goal);
        }
        tokio::task::yield_now().await;
        // The mutex makes `SET reserved = <goal>` out of the good store's `reserved + delta`; it guards no decision.
        let _writing = self.writing.lock().await;
        let now = self.levels(set).await?;
        let blind = goals.into_iter().map(|(variant, goal)| {
            let (on_hand, reserved) = now.get(&variant).copied().unwrap_or_default();
            (variant, StockDelta { on_hand: goal.0 - on_hand, reserved: goal.1 - reserved, expect_on_hand: None })
        });
        self.inner.commit(&set.clone().with_stock(blind.collect())).await
    }

    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        self.inner.lease(worker, now, until, limit).await
    }

    fn reads(&self) -> &dyn Reads {
        self.inner.reads()
    }
}
