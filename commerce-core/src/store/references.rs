//! Whether all is there that is referred to: a copy of a database that lacks some of its rows may agree with itself otherwise.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{
    Claim, ClaimKind, Portable, StoreError, TABLES, Table,
    relations::{MissingReference, short},
    table::BATCH,
};

/// What is referred to. Reviews, addresses and carts may be removed, but not while something of these kinds refers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    User,
    Product,
    Category,
    Variant,
    Cart,
    Order,
    Review,
}

const CLAIMS: &[(ClaimKind, Target)] = &[
    (ClaimKind::Email, Target::User),
    (ClaimKind::ProductSlug, Target::Product),
    (ClaimKind::CategorySlug, Target::Category),
    (ClaimKind::Sku, Target::Variant),
    (ClaimKind::OrderNumber, Target::Order),
    (ClaimKind::OpenCart, Target::Cart),
    (ClaimKind::Review, Target::Review),
    (ClaimKind::GatewayRef, Target::Order),
];

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Product => "product",
            Self::Category => "category",
            Self::Variant => "variant",
            Self::Cart => "cart",
            Self::Order => "order",
            Self::Review => "review",
        }
    }

    /// The table whose ids these are; categories and variants have none of that kind.
    const fn table(self) -> Option<&'static str> {
        match self {
            Self::User => Some("commerce_user"),
            Self::Product => Some("commerce_product"),
            Self::Cart => Some("commerce_cart"),
            Self::Order => Some("commerce_order"),
            Self::Review => Some("commerce_review"),
            Self::Category | Self::Variant => None,
        }
    }

    /// Who holds claims of a kind.
    fn of_claim(kind: &str) -> Option<Self> {
        CLAIMS.iter().find(|(known, _)| known.as_str() == kind).map(|(_, target)| *target)
    }

    /// Whose events are kept for ever, and which is never removed itself.
    fn of_event(root: &str) -> Option<Self> {
        [Self::User, Self::Product, Self::Order].into_iter().find(|target| target.name() == root)
    }
}

/// Goes through all that refers to something by its id (rows below aggregates, claims, stock, its ledger, events, tasks), and
/// names what isn't there. Servers may run meanwhile.
///
/// # Errors
/// If the database can't be read.
pub async fn missing_references(store: &dyn Portable) -> Result<Vec<MissingReference>, StoreError> {
    let mut search = Search { store, known: HashMap::new(), missing: Vec::new() };
    for table in TABLES {
        let mut after = None;
        loop {
            let rows = store.rows(table, after.as_ref(), BATCH).await?;
            for row in &rows {
                for (target, id) in references(table, row) {
                    search.look_for(table, row, target, id).await?;
                }
            }
            if rows.len() < BATCH as usize {
                break;
            }
            after = rows.into_iter().next_back();
        }
    }
    let mut missing = store.unrelated().await?;
    if !missing.is_empty() {
        // Nodes of a distributed database are read one after the other: what came in between isn't missing.
        let still = store.unrelated().await?;
        missing.retain(|found| still.contains(found));
    }
    missing.append(&mut search.missing);
    Ok(missing)
}

fn references(table: &Table, row: &Value) -> Vec<(Target, Uuid)> {
    let id = |column: &str| row[column].as_str().and_then(|id| Uuid::parse_str(id).ok());
    let text = |column: &str| row[column].as_str().unwrap_or_default();
    let found = match table.name {
        "commerce_claim" => vec![Target::of_claim(text("kind")).zip(id("owner"))],
        "commerce_stock" => vec![id("product_id").map(|id| (Target::Product, id))],
        "commerce_movement" => {
            vec![id("variant_id").map(|id| (Target::Variant, id)), id("order_id").map(|id| (Target::Order, id))]
        }
        "commerce_event" => vec![Target::of_event(text("root_kind")).zip(id("root_id"))],
        "commerce_task" => task_references(&row["body"]),
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// Most tasks are about an order; messages are about a user or an order, too.
fn task_references(body: &Value) -> Vec<Option<(Target, Uuid)>> {
    let body = match body {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        body => body.clone(),
    };
    let named = |object: &Value| {
        [("order", Target::Order), ("user", Target::User)].map(|(member, target)| {
            object[member].as_str().and_then(|id| Uuid::parse_str(id).ok()).map(|id| (target, id))
        })
    };
    [named(&body), named(&body["message"])].concat()
}

/// A search, with what was found already: ids in order.
struct Search<'a> {
    store: &'a dyn Portable,
    known: HashMap<Target, Vec<Uuid>>,
    missing: Vec<MissingReference>,
}

impl Search<'_> {
    async fn look_for(&mut self, table: &Table, row: &Value, target: Target, id: Uuid) -> Result<(), StoreError> {
        if !self.known.contains_key(&target) {
            let ids = self.all(target).await?;
            self.known.insert(target, ids);
        }
        if self.known.get(&target).is_some_and(|known| known.binary_search(&id).is_ok()) {
            return Ok(());
        }
        // It, or what refers to it, may have come or gone while this went on.
        if self.exists(target, id).await? || !self.still_refers(table, row).await? {
            return Ok(());
        }
        let key = table.columns[..table.key].iter().filter_map(|(column, _)| row[column].as_str());
        let name = short(table.name);
        let from = format!("{name} {}", key.collect::<Vec<_>>().join(" "));
        self.missing.push(MissingReference {
            from: from.trim_end().to_owned(),
            kind: target.name().to_owned(),
            id: Some(id),
        });
        Ok(())
    }

    async fn all(&self, target: Target) -> Result<Vec<Uuid>, StoreError> {
        let Some(table) = target.table() else {
            let mut ids = match target {
                Target::Category => self.categories().await?,
                _ => self.variants().await?,
            };
            ids.sort_unstable();
            return Ok(ids);
        };
        let mut ids: Vec<Uuid> = Vec::new();
        loop {
            let more = self.store.ids(table, ids.last().copied(), BATCH).await?;
            let count = more.len();
            ids.extend(more);
            if count < BATCH as usize {
                return Ok(ids);
            }
        }
    }

    async fn categories(&self) -> Result<Vec<Uuid>, StoreError> {
        let tree = self.store.reads().load_categories().await?;
        Ok(tree.nodes.iter().map(|node| node.id.0).collect())
    }

    /// By their stock: each variant has some, be it none.
    async fn variants(&self) -> Result<Vec<Uuid>, StoreError> {
        let Some(stock) = TABLES.iter().find(|table| table.name == "commerce_stock") else { return Ok(Vec::new()) };
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let rows = self.store.rows(stock, after.as_ref(), BATCH).await?;
            ids.extend(rows.iter().filter_map(|row| Uuid::parse_str(row["variant_id"].as_str()?).ok()));
            if rows.len() < BATCH as usize {
                return Ok(ids);
            }
            after = rows.into_iter().next_back();
        }
    }

    async fn exists(&self, target: Target, id: Uuid) -> Result<bool, StoreError> {
        match target.table() {
            Some(table) => {
                let before = id.as_u128().checked_sub(1).map(Uuid::from_u128);
                Ok(self.store.ids(table, before, 1).await? == [id])
            }
            None if target == Target::Category => Ok(self.categories().await?.contains(&id)),
            None => Ok(self.store.reads().load_stock(crate::id::VariantId(id)).await?.is_some()),
        }
    }

    /// Only claims are ever given back, together with what they refer to.
    async fn still_refers(&self, table: &Table, row: &Value) -> Result<bool, StoreError> {
        let kind = row["kind"].as_str().and_then(claim_kind);
        let (Some(kind), Some(key)) = (kind.filter(|_| table.name == "commerce_claim"), row["key"].as_str()) else {
            return Ok(true);
        };
        let holder = self.store.reads().load_claim(&Claim { kind, key: key.to_owned() }).await?;
        Ok(holder.is_some() && holder == row["owner"].as_str().and_then(|id| Uuid::parse_str(id).ok()))
    }
}

fn claim_kind(name: &str) -> Option<ClaimKind> {
    CLAIMS.iter().map(|(kind, _)| *kind).find(|kind| kind.as_str() == name)
}
