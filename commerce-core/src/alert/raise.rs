//! Raising alerts: once each, with a message to every admin.

use super::{Alert, AlertKind};
use crate::{
    account::UserQuery,
    context::Actor,
    engine::Engine,
    event::{DomainEvent, Notice, Task},
    id::{AlertId, IdGenerator, UserId},
    inventory::StockItem,
    language::sentence,
    page::PageSpec,
    role::Role,
    store::{Aggregate, ChangeSet, StoreError},
};

impl Alert {
    /// An alert about something, to be [raised](raise_alert).
    pub(crate) fn new(engine: &Engine, kind: AlertKind, detail: &str) -> Self {
        Self {
            id: AlertId(engine.uuid()),
            kind,
            variant_id: None,
            order_id: None,
            detail: sentence(detail),
            raised_at: engine.now(),
            acknowledged_at: None,
            version: 0,
        }
    }

    /// That a variant is running out.
    fn low_stock(engine: &Engine, item: &StockItem) -> Self {
        let name = match item.variant_title.as_str() {
            "" => item.product_title.clone(),
            variant => format!("{} – {variant}", item.product_title),
        };
        let detail = format!("{name} ({}): {} left", item.sku, item.available());
        Self { variant_id: Some(item.variant_id), ..Self::new(engine, AlertKind::LowStock, &detail) }
    }
}

/// Adds an alert to a set, with its event and one message to each admin.
pub(crate) fn raise_alert(set: &mut ChangeSet, ids: &dyn IdGenerator, alert: &mut Alert, admins: &[UserId]) {
    set.insert(alert);
    set.event(ids, alert.root(), alert.version, DomainEvent::AlertRaised { alert: alert.id });
    let due = set.at();
    for to in admins {
        set.task(ids, due, Task::Send { message: Notice::Alert { alert: alert.id, to: *to } });
    }
}

/// Who is mailed about alerts: the admins that aren't locked out.
pub(crate) async fn admins(engine: &Engine) -> Result<Vec<UserId>, StoreError> {
    let query = UserQuery { role: Some(Role::Admin), q: None };
    let mut admins = Vec::new();
    let mut spec = PageSpec::first(100);
    loop {
        let listed = engine.reads().list_users(&query, &spec).await?;
        admins.extend(listed.items.iter().filter(|user| !user.disabled).map(|user| user.id));
        match listed.next {
            Some(after) => spec.after = Some(after),
            None => return Ok(admins),
        }
    }
}

/// Raises the alerts that are due: one for each time that a variant's stock became low. The store counts those crossings as
/// it moves the stock; what was alerted is guarded here, so that two workers don't alert the same crossing.
///
/// Stock that has recovered in the meantime is only noted. Answers how many crossings were dealt with.
pub(crate) async fn raise_low_stock_alerts(engine: &Engine) -> Result<usize, StoreError> {
    const BATCH: u32 = 100;
    let due = engine.reads().load_unalerted(BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let admins = admins(engine).await?;
    let mut noted = 0;
    for item in due {
        let mut set = engine.set(&Actor::System);
        set.alerted(item.variant_id, item.alerted, item.crossings);
        if item.is_low() {
            raise_alert(&mut set, engine.ids(), &mut Alert::low_stock(engine, &item), &admins);
        }
        // A conflict means that another worker was here first.
        noted += usize::from(engine.commit(&mut set).await?.is_ok());
    }
    Ok(noted)
}
