//! [`Worker`]: due tasks, low-stock alerts, clean-up.

mod status;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::timeout;

pub use self::status::WorkerStatus;
pub(crate) use self::status::WorkerWatch;

use crate::{
    account::Accounts,
    alert::{AlertKind, raise_low_stock_alerts},
    cart::plan_return,
    clock::Timestamp,
    context::{Actor, RequestContext},
    engine::Engine,
    error::CommonError,
    event::{LeasedTask, Task},
    id::{OrderId, PaymentId, RefundId},
    money::Money,
    notification::compose,
    order::{Cancellation, Order, OrderChild, OrderError, OrderStatus, Orders},
    payment::{
        EXPIRED, PaymentStatus, Payments,
        gateway::GatewayError,
        processor::{PaymentProcessor, Progress},
    },
    store::StoreError,
    write::Scope,
};

/// How many tasks are leased at once.
const BATCH: u32 = 32;
/// How many of them are worked on at once.
const PARALLEL: usize = 8;
/// How long a lease lasts: longer than tasks take, but those of a process that was killed are another's within a minute. A
/// task that does take longer is done twice, which does no harm.
const LEASE: Duration = Duration::from_secs(45);
/// The longest wait before money that is in doubt is looked at again: once the gateway is back, so is certainty.
const MONEY_WAITS: Duration = Duration::from_secs(30);
/// After so many refusals, some four minutes, staff are told that money is stuck.
const REFUSALS: u32 = 10;
/// The longest wait before anything else is tried again.
const OTHERS_WAIT: Duration = Duration::from_mins(10);
/// How long a round may take. Tasks that take longer go on by themselves; their leases run out, and others may take them.
const ROUND_LIMIT: Duration = Duration::from_secs(50);
/// How long the worker sleeps when nothing is due.
const IDLE: Duration = Duration::from_millis(500);
/// How often what is no longer needed is forgotten, and how old it must be.
const PURGE_EVERY: Duration = Duration::from_hours(1);
const PURGE_AFTER: Duration = Duration::from_hours(24);
/// After so many tries a message or event is dead: staff may look at it. Money is never given up on.
const MAX_DELIVERIES: u32 = 12;

/// Delivers messages and events, raises alerts, expires reservations, settles what is in doubt. Any number of workers may
/// run, in any number of processes: each task is leased by one at a time, and done at least once.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use commerce_core::notification::MemoryMailer;
///
/// let mailer = MemoryMailer::default();
/// let store = SqliteStore::open("sqlite::memory:").await?;
/// let shop = Commerce::builder().store(store).mailer(mailer.clone()).build()?;
/// let ada = Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace");
/// shop.as_guest().accounts().register(ada).await?;
///
/// shop.worker().tick().await?; // in production: tokio::spawn(shop.worker().run(shutdown))
/// assert_eq!(mailer.sent()[0].to, "ada@example.com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Worker {
    engine: Arc<Engine>,
    round_limit: Duration,
}

type Turn = tokio::sync::OwnedMutexGuard<()>;

/// What became of a task.
enum Outcome {
    Done,
    Again { after: Duration, error: String },
}

impl Worker {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, round_limit: ROUND_LIMIT }
    }

    /// Works until `shutdown` resolves, then finishes what it holds.
    ///
    /// A round that hangs, because the database or a gateway does, is given up after a while, logged and counted; see
    /// [`round_limit`](Self::round_limit) and [`status`](Self::status).
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let _running = self.engine.worker.start(self.round_limit);
        let name = self.engine.uuid().to_string();
        let mut purged_at = None;
        loop {
            let now = self.engine.now();
            if purged_at.is_none_or(|at| now.since(at) >= PURGE_EVERY) {
                purged_at = Some(now);
                log(self.in_time("clean-up", self.purge()).await);
            }
            let worked = self.in_time("round", self.round(&name)).await;
            if worked.is_ok() {
                self.engine.worker.finished_round();
            }
            let busy = matches!(worked, Ok(count) if count > 0);
            log(worked.map(drop));
            let pause = tokio::time::sleep(if busy { Duration::ZERO } else { IDLE });
            tokio::select! {
                () = &mut shutdown => return,
                () = pause => {}
            }
        }
    }

    /// How long a round may take, 50 s if nothing is said. What it was working on goes on by itself. A worker that has finished no
    /// round for a fifth longer than that is [stalled](WorkerStatus::is_stalled).
    #[must_use]
    pub const fn round_limit(mut self, limit: Duration) -> Self {
        self.round_limit = limit;
        self
    }

    /// How the workers of this process are getting on, for health checks.
    #[must_use]
    pub fn status(&self) -> WorkerStatus {
        self.engine.worker.status()
    }

    /// Waits for a part of the work until the time limit. What was begun in tasks of its own goes on after that.
    async fn in_time<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        timeout(self.round_limit, work).await.unwrap_or_else(|_| {
            self.engine.worker.stalled();
            let limit = self.round_limit.as_secs_f32();
            Err(StoreError::unavailable(format!("the worker's {what} took longer than {limit} s")))
        })
    }

    /// Does everything that is due now, once, and answers how many tasks that were.
    ///
    /// # Errors
    /// If the store can't be reached. A task that fails isn't an error: it is put off.
    pub async fn tick(&self) -> Result<usize, StoreError> {
        let name = self.engine.uuid().to_string();
        let mut total = 0;
        loop {
            match self.round(&name).await? {
                0 => return Ok(total),
                count => total += count,
            }
        }
    }

    async fn round(&self, name: &str) -> Result<usize, StoreError> {
        let alerts = raise_low_stock_alerts(&self.engine).await?;
        let now = self.engine.now();
        let tasks = self.engine.store.lease(name, now, now + LEASE, BATCH).await?;
        let count = tasks.len();
        let results: Vec<_> = stream::iter(tasks)
            .map(|task| {
                let this = self.clone();
                let engine = self.engine.clone();
                async move { engine.run(async move { Box::pin(this.work(task)).await }).await }
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        results.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(count + alerts)
    }

    async fn purge(&self) -> Result<(), StoreError> {
        let mut set = self.engine.set(&Actor::System);
        set.purge(self.engine.now() - PURGE_AFTER);
        self.engine.commit(&mut set).await?.map(drop).map_err(|_| StoreError::Contended)
    }

    async fn work(&self, leased: LeasedTask) -> Result<(), StoreError> {
        let outcome = match self.handle(&leased).await {
            Ok(outcome) => outcome,
            Err(CommonError::NotFound(_)) => Outcome::Done,
            Err(error) => Outcome::Again { after: backoff(leased.attempts, OTHERS_WAIT), error: error.to_string() },
        };
        let mut set = self.engine.set(&Actor::System);
        match outcome {
            Outcome::Done => {
                set.done(leased.id);
            }
            Outcome::Again { after, error } => {
                let delivery = matches!(leased.task, Task::Send { .. } | Task::Publish { .. });
                let dead = delivery && leased.attempts >= MAX_DELIVERIES;
                tracing::warn!(task = %leased.id, kind = leased.task.kind(), attempts = leased.attempts, dead, error, "task failed");
                set.failed(leased.id, (!dead).then(|| set_due(&set, after)), error);
            }
        }
        self.engine.commit(&mut set).await?.map(drop).map_err(|_| StoreError::Contended)
    }

    async fn handle(&self, leased: &LeasedTask) -> Result<Outcome, CommonError> {
        match leased.task.clone() {
            Task::SettlePayment { order, payment } => self.settle_payment(order, payment, leased.attempts).await,
            Task::ExpireReservation { order, payment } => self.expire(order, payment, leased.attempts).await,
            Task::VoidPayment { order, payment } => self.void(order, payment, leased.attempts).await,
            Task::SettleRefund { order, refund } => self.settle_refund(order, refund, leased.attempts).await,
            Task::CancelOrder { order, reason } => {
                let orders = Orders::new(Scope::system(self.engine.clone()));
                let cancelled = orders.cancel(order, Cancellation::all().reason(reason)).await;
                self.made(order, "its cancellation", cancelled.map(drop), leased.attempts).await
            }
            Task::CapturePayment { order, payment, amount } => {
                self.capture(order, payment, amount, leased.attempts).await
            }
            Task::ResolvePayment { payment, give_up } => {
                let Some(order) = self.engine.reads().load_order_of(OrderChild::Payment(payment)).await? else {
                    return Ok(Outcome::Done);
                };
                let payments = Payments::new(Scope::system(self.engine.clone()));
                let write = if give_up { payments.write_off(payment) } else { payments.resolve(payment) };
                self.made(order, "a payment", write.await.map(drop), leased.attempts).await
            }
            Task::MergeCart { from, owner } => {
                let plan = || plan_return(&self.engine, from, owner.clone());
                self.engine.transact(&RequestContext::system(), plan, |()| Ok(Value::Null), |_| None).await?;
                Ok(Outcome::Done)
            }
            Task::JoinOrders { user } => {
                Accounts::new(Scope::system(self.engine.clone())).join_more_orders(user).await.map(|()| Outcome::Done)
            }
            Task::Send { message } => {
                let Some(message) = compose(&self.engine, leased.id, &message).await? else { return Ok(Outcome::Done) };
                Ok(delivered(self.engine.mailer.send(&message).await, leased.attempts))
            }
            Task::Publish { event } => match &self.engine.sink {
                Some(sink) => Ok(delivered(sink.publish(&event).await, leased.attempts)),
                None => Ok(Outcome::Done),
            },
        }
    }

    fn processor(&self) -> PaymentProcessor {
        PaymentProcessor { engine: self.engine.clone() }
    }

    async fn settle_payment(&self, id: OrderId, payment: PaymentId, attempts: u32) -> Result<Outcome, CommonError> {
        let _turn = self.engine.queues.turn(id).await;
        let progress = Box::pin(self.processor().recover(id, payment)).await?;
        self.outcome(id, format!("payment {payment}"), progress, attempts).await
    }

    /// An order that is paid offline is given up if its money hasn't come in time.
    async fn expire_unpaid(
        &self,
        order: &Order,
        payment: PaymentId,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Outcome, CommonError> {
        // Editing the order takes its own turn.
        drop(turn);
        let awaited = order.payment(payment)?;
        let Some(ttl) = self.engine.settings.unpaid_ttl.filter(|_| awaited.status == PaymentStatus::Pending) else {
            return Ok(Outcome::Done);
        };
        let due = awaited.created_at + ttl;
        if due > now {
            return Ok(Outcome::Again { after: due.since(now), error: "there is time left to pay".to_owned() });
        }
        match Orders::new(Scope::system(self.engine.clone())).cancel_unpaid(order.id, payment).await {
            Ok(()) => Ok(Outcome::Done),
            Err(OrderError::Common(error)) => Err(error),
            Err(error) => Ok(Outcome::Again { after: MONEY_WAITS, error: error.to_string() }),
        }
    }

    async fn expire(&self, id: OrderId, payment: PaymentId, attempts: u32) -> Result<Outcome, CommonError> {
        let turn = self.engine.queues.turn(id).await;
        let order = self.processor().load(id).await?;
        let now = self.engine.now();
        if order.status == OrderStatus::Confirmed {
            return self.expire_unpaid(&order, payment, now, turn).await;
        }
        if let Some(until) = order.payment(payment)?.lease_until.filter(|until| *until > now) {
            return Ok(Outcome::Again { after: until.since(now), error: "the payment is being made".to_owned() });
        }
        Ok(match self.processor().give_up(order, payment, EXPIRED).await? {
            // Somebody else is giving it up, or the gateway's word doesn't match: until that is settled it is up to us.
            Ok(order) if order.status == OrderStatus::Pending => again(attempts, "the payment is still open"),
            Ok(_) => Outcome::Done,
            Err(error) => {
                let refused = Progress::Refused(error);
                return self.outcome(id, format!("payment {payment}"), refused, attempts).await;
            }
        })
    }

    async fn void(&self, id: OrderId, payment: PaymentId, attempts: u32) -> Result<Outcome, CommonError> {
        let _turn = self.engine.queues.turn(id).await;
        let (_, progress) = self.processor().void(self.processor().load(id).await?, payment).await?;
        self.outcome(id, format!("payment {payment}"), progress, attempts).await
    }

    /// What becomes of a task that is a write of its own, which a host has prepared. A refusal that lasts is told to staff.
    async fn made(
        &self,
        order: OrderId,
        what: &str,
        made: Result<(), OrderError>,
        attempts: u32,
    ) -> Result<Outcome, CommonError> {
        match made {
            Ok(()) => Ok(Outcome::Done),
            Err(OrderError::Common(error)) => Err(error),
            Err(error @ (OrderError::PaymentBusy | OrderError::GatewayUnavailable)) => {
                Ok(again(attempts, &error.to_string()))
            }
            Err(error) => {
                let order = self.processor().load(order).await?;
                let detail = format!("order {}: {what} came to nothing: {error}", order.number);
                self.processor().raise(AlertKind::PaymentStuck, &order, detail).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn capture(
        &self,
        id: OrderId,
        payment: PaymentId,
        amount: Money,
        attempts: u32,
    ) -> Result<Outcome, CommonError> {
        let _turn = self.engine.queues.turn(id).await;
        let progress = Box::pin(self.processor().capture_intended(id, payment, amount)).await?;
        if let Progress::Refused(error @ (GatewayError::Rejected(_) | GatewayError::AmountNotPayable(_))) = &progress {
            self.processor().tell_stuck(id, &format!("the capture of payment {payment}"), error).await?;
            return Ok(Outcome::Done);
        }
        self.outcome(id, format!("payment {payment}"), progress, attempts).await
    }

    async fn settle_refund(&self, id: OrderId, refund: RefundId, attempts: u32) -> Result<Outcome, CommonError> {
        let _turn = self.engine.queues.turn(id).await;
        let (_, progress) = self.processor().refund(self.processor().load(id).await?, refund).await?;
        self.outcome(id, format!("refund {refund}"), progress, attempts).await
    }

    /// What becomes of a task about money. A gateway that can't be asked for minutes is told to staff, once.
    async fn outcome(
        &self,
        order: OrderId,
        what: String,
        progress: Progress,
        attempts: u32,
    ) -> Result<Outcome, CommonError> {
        match progress {
            Progress::Done => Ok(Outcome::Done),
            Progress::Waits(why) => Ok(again(attempts, why)),
            Progress::Refused(error) => {
                if attempts >= REFUSALS {
                    self.processor().tell_stuck(order, &what, &error).await?;
                }
                Ok(again(attempts, &error.to_string()))
            }
        }
    }
}

fn set_due(set: &crate::store::ChangeSet, after: Duration) -> crate::clock::Timestamp {
    set.at() + after
}

/// 2, 4, 8 … seconds.
fn backoff(attempts: u32, longest: Duration) -> Duration {
    Duration::from_secs(2u64.saturating_pow(attempts.clamp(1, 10))).min(longest)
}

/// Money that isn't settled yet.
fn again(attempts: u32, error: &str) -> Outcome {
    Outcome::Again { after: backoff(attempts, MONEY_WAITS), error: error.to_owned() }
}

fn delivered(result: Result<(), Box<dyn std::error::Error + Send + Sync>>, attempts: u32) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Again { after: backoff(attempts, OTHERS_WAIT), error: error.to_string() },
    }
}

fn log(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "the worker's round failed; it goes on");
    }
}
