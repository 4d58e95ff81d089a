//! What the services share: the door to the store, retries, idempotent answers, queues per root, tracked writes.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    account::{normalise_email, normalise_international_email},
    clock::{Clock, Timestamp},
    context::{Actor, ActorRef, IdempotencyError, RequestContext, Role},
    error::{CommonError, Invalid},
    event::{EventSink, Task},
    id::{IdGenerator, UserId, VariantId},
    notification::Mailer,
    payment::PaymentGateway,
    pricing::{ShippingRates, TaxCalculator},
    settings::Settings,
    store::{AggregateId, Applied, Change, ChangeSet, ClaimKind, CommitError, Conflict, Reads, Store, StoreError},
    token::Signer,
    write_watch::WriteWatch,
};

/// How often a call starts over from a fresh read when others changed what it was computed from.
const ATTEMPTS: u32 = 12;
/// How often an identical set is committed again when the store is unavailable or its answer is unknown.
const RECOMMITS: u32 = 5;

/// What a write has decided on, before it is committed.
#[derive(Debug)]
pub(crate) struct Planned<T> {
    /// What to apply.
    pub changes: ChangeSet,
    /// What the write answers once it is applied.
    pub output: T,
}

/// A write's output, or what was kept of it when it was made before.
pub(crate) enum Replay<T> {
    Fresh(T),
    Replayed(Value),
}

/// The guards that failed.
#[derive(Debug)]
pub(crate) struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    pub fn taken(&self, kind: ClaimKind) -> bool {
        self.0.iter().any(|conflict| matches!(conflict, Conflict::Taken(claim) if claim.kind == kind))
    }

    pub fn short(&self) -> Option<(VariantId, i64)> {
        self.0.iter().find_map(|conflict| match conflict {
            Conflict::Short { variant, available } => Some((*variant, *available)),
            _ => None,
        })
    }

    pub fn key_taken(&self) -> bool {
        self.0.contains(&Conflict::KeyTaken)
    }
}

/// Shared by all services of one shop.
pub(crate) struct Engine {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    pub gateways: BTreeMap<String, Arc<dyn PaymentGateway>>,
    pub mailer: Arc<dyn Mailer>,
    pub sink: Option<Arc<dyn EventSink>>,
    pub tax: Arc<dyn TaxCalculator>,
    pub shipping: Arc<dyn ShippingRates>,
    pub settings: Settings,
    pub signer: Signer,
    pub accounts: crate::account::SessionCache,
    pub writes: TaskTracker,
    pub queues: Queues,
    pub write_watch: WriteWatch,
    pub worker: crate::worker::WorkerWatch,
    pub catalog_revision: AtomicU64,
    /// Who wrote in the last moments, which what is shown to others may lack.
    pub writers: Cache<UserId, ()>,
}

impl Engine {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn reads(&self) -> &dyn Reads {
        self.store.reads()
    }

    /// Whether somebody may have written what a replica doesn't know yet. Staff write the catalogue, through whichever server
    /// they happen to reach; what customers and guests write is read from the primary anyway, but for a customer's review.
    pub fn may_have_written(&self, viewer: &Actor) -> bool {
        match viewer {
            Actor::Guest { .. } => false,
            Actor::User(identity) => identity.role != Role::Customer || self.writers.contains_key(&identity.user),
            Actor::System => true,
        }
    }

    /// Reads for showing something to somebody, who must find what they wrote themselves. Nothing that decides a write.
    pub fn reads_for(&self, viewer: &Actor) -> &dyn Reads {
        if self.may_have_written(viewer) { self.store.reads() } else { self.store.replica_reads() }
    }

    /// An address that mail is sent to, as it is kept.
    pub fn new_email(&self, text: &str) -> Result<String, Invalid> {
        if self.mailer.takes_international_addresses() {
            normalise_international_email(text)
        } else {
            normalise_email(text)
        }
    }

    pub fn uuid(&self) -> Uuid {
        self.ids.uuid()
    }

    pub fn ids(&self) -> &dyn IdGenerator {
        &*self.ids
    }

    /// An empty set of changes, caused by an actor now.
    pub fn set(&self, actor: &Actor) -> ChangeSet {
        ChangeSet::new(self.ids(), self.now(), actor.reference())
    }

    /// Runs a write to its end even if its caller goes away. Shutdown waits for it.
    pub fn run<T: Send + 'static>(
        &self,
        write: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        // Boxed, so that callers' futures don't grow by what they hand over.
        let write = Box::pin(write);
        async {
            match self.writes.spawn(write).await {
                Ok(value) => value,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // Only a runtime that is shutting down cancels tracked writes; nobody is left to hear an answer then.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Commits a set; what is in doubt or momentarily unavailable is committed again, identically.
    pub async fn commit(&self, set: &mut ChangeSet) -> Result<Result<Applied, Conflicts>, StoreError> {
        self.publish_events(set);
        let mut attempt = 0;
        let mut in_doubt = false;
        loop {
            attempt += 1;
            let outcome = self.store.commit(set).await;
            self.write_watch.note(&outcome);
            // Also when it is unknown what became of it.
            self.accounts.forget_changed(set);
            match outcome {
                Ok(applied) => {
                    self.note_catalog_change(set);
                    if let ActorRef::User(user) = set.by() {
                        self.writers.insert(user, ());
                    }
                    return Ok(Ok(applied));
                }
                // The set itself may hold the key or claim if an earlier try in doubt was applied: but then the store
                // answers `Before`, as the set id is judged first. So a conflict is certain.
                Err(CommitError::Conflict(conflicts)) => return Ok(Err(Conflicts(conflicts))),
                Err(CommitError::Bug(error)) => return Err(StoreError::Bug(error)),
                Err(CommitError::Unavailable(error)) if attempt == RECOMMITS => {
                    return Err(if in_doubt { StoreError::Unknown(error) } else { StoreError::Unavailable(error) });
                }
                Err(CommitError::Unknown(error)) if attempt == RECOMMITS => return Err(StoreError::Unknown(error)),
                Err(CommitError::Unavailable(error)) => tracing::debug!(%error, "commit unavailable; trying again"),
                Err(CommitError::Unknown(error)) => {
                    in_doubt = true;
                    tracing::warn!(%error, "commit in doubt; committing the identical set again");
                }
            }
            self.pause(attempt).await;
        }
    }

    /// Plans and commits a write until it applies, is refused, or was made before.
    ///
    /// `plan` reads and decides; it runs again from fresh reads when others changed what it was computed from, unless
    /// `refuse` finds the conflict to be an answer. `record` writes down what is kept of the output for an idempotency key.
    pub async fn transact<T, E, F>(
        &self,
        context: &RequestContext,
        plan: impl Fn() -> F + Send,
        record: impl Fn(&T) -> serde_json::Result<Value> + Send,
        refuse: impl Fn(&Conflicts) -> Option<E> + Send,
    ) -> Result<Replay<T>, E>
    where
        T: Send,
        E: From<CommonError> + Send,
        F: Future<Output = Result<Planned<T>, E>> + Send,
    {
        for attempt in 1..=ATTEMPTS {
            if let Some(value) = self.replay(context).await? {
                return Ok(Replay::Replayed(value));
            }
            let Planned { mut changes, output } = match plan().await {
                Ok(planned) => planned,
                Err(refusal) => return self.unless_answered(context, refusal).await,
            };
            Self::keep_answer(&mut changes, context, || record(&output))?;
            match self.commit(&mut changes).await.map_err(CommonError::Store)? {
                Ok(_) => return Ok(Replay::Fresh(output)),
                Err(conflicts) => {
                    if let Some(error) = refuse(&conflicts) {
                        return self.unless_answered(context, error).await;
                    }
                }
            }
            self.pause(attempt).await;
        }
        Err(CommonError::Store(StoreError::Contended).into())
    }

    /// Adds to a set that a host commits what [`Self::transact`] and [`Self::commit`] add: the answer of the idempotency key,
    /// and the tasks that tell the event sink.
    pub fn complete(
        &self,
        set: &mut ChangeSet,
        context: &RequestContext,
        answer: impl FnOnce() -> serde_json::Result<Value>,
    ) -> Result<(), CommonError> {
        Self::keep_answer(set, context, answer)?;
        self.publish_events(set);
        Ok(())
    }

    fn keep_answer(
        set: &mut ChangeSet,
        context: &RequestContext,
        answer: impl FnOnce() -> serde_json::Result<Value>,
    ) -> Result<(), CommonError> {
        if let Some(key) = context.idempotency {
            set.key(key, None, Some(answer().map_err(StoreError::bug)?));
        }
        Ok(())
    }

    /// Keeps the answer of a call that was made without a commit of its own. If the key is taken, the same call was faster.
    pub async fn remember<A: Serialize + Sync>(&self, context: &RequestContext, answer: &A) -> Result<(), CommonError> {
        if context.idempotency.is_some() {
            let mut set = self.set(&context.actor);
            Self::keep_answer(&mut set, context, || serde_json::to_value(answer))?;
            let _ = self.commit(&mut set).await?;
        }
        Ok(())
    }

    /// Has the event sink told of what a set changes.
    pub fn publish_events(&self, set: &mut ChangeSet) {
        if self.sink.is_some() {
            for event in set.events().to_vec() {
                let due = set.at();
                set.task(self.ids(), due, Task::Publish { event: Box::new(event) });
            }
        }
    }

    /// A refusal, unless the same call was faster: then what it did is what this one would be refused for.
    async fn unless_answered<T, E>(&self, context: &RequestContext, refusal: E) -> Result<Replay<T>, E>
    where
        E: From<CommonError>,
    {
        match self.replay(context).await? {
            Some(value) => Ok(Replay::Replayed(value)),
            None => Err(refusal),
        }
    }

    /// The answer of an earlier call with the same idempotency key, if there is one.
    pub async fn replay<T: DeserializeOwned>(&self, context: &RequestContext) -> Result<Option<T>, CommonError> {
        let Some(key) = context.idempotency else { return Ok(None) };
        let Some(record) = self.reads().load_key(&key.key).await? else { return Ok(None) };
        if record.fingerprint != key.fingerprint {
            return Err(IdempotencyError::Reused.into());
        }
        let output = record.output.ok_or(IdempotencyError::InProgress)?;
        serde_json::from_value(output).map(Some).map_err(|error| StoreError::bug(error).into())
    }

    /// Waits a little longer after each lost attempt, at random, so that rivals fall out of step.
    pub async fn pause(&self, attempt: u32) {
        let ceiling = 2u64.saturating_pow(attempt.min(7)) * 1000;
        let jitter = u64::from_be_bytes(self.uuid().into_bytes()[8..].try_into().unwrap_or_default()) % ceiling;
        tokio::time::sleep(Duration::from_micros(jitter)).await;
    }

    fn note_catalog_change(&self, set: &ChangeSet) {
        let touched = set.stock().len() > 0
            || set.ratings().len() > 0
            || set.changes().iter().any(|change| {
                matches!(
                    change,
                    Change::Product(_) | Change::Categories(_) | Change::Remove(AggregateId::Product(_), _)
                )
            });
        if touched {
            self.catalog_revision.fetch_add(1, Ordering::Release);
        }
    }
}

/// Remembers for as long as replicas may be behind, a second, and for as long as a page made from one may be kept, another;
/// and a little longer.
pub fn recent_writers() -> Cache<UserId, ()> {
    Cache::builder().max_capacity(100_000).time_to_live(Duration::from_millis(2_500)).build()
}

/// Lets calls on one root take turns within this process, so that they don't lose to each other's version guards.
#[derive(Default)]
pub(crate) struct Queues(Mutex<HashMap<Uuid, Weak<tokio::sync::Mutex<()>>>>);

impl Queues {
    /// Waits for this root's turn; the turn ends when the guard is dropped.
    pub async fn turn(&self, root: impl Into<Uuid>) -> tokio::sync::OwnedMutexGuard<()> {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let root = root.into();
            if let Some(queue) = queues.get(&root).and_then(Weak::upgrade) {
                queue
            } else {
                if queues.len() >= 1024 {
                    queues.retain(|_, queue| queue.strong_count() > 0);
                }
                let queue = Arc::new(tokio::sync::Mutex::new(()));
                queues.insert(root, Arc::downgrade(&queue));
                queue
            }
        };
        queue.lock_owned().await
    }
}
