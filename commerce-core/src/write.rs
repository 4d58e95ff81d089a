//! A write as one value: [`Write`]. It is configured by its caller, and then awaited, or prepared for a transaction of the
//! host's own.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    context::{AccessError, Actor, Idempotency, RequestContext},
    engine::{Conflicts, Engine, Planned, Replay},
    error::CommonError,
    store::{ChangeSet, StoreError, Version},
};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an awaited write did, and whether an earlier one with the same idempotency key had done it already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// The answer.
    pub value: T,
    /// Whether this write changed nothing, because an earlier one with the same key had done it.
    pub replayed: bool,
}

impl<T> Outcome<T> {
    pub(crate) const fn fresh(value: T) -> Self {
        Self { value, replayed: false }
    }

    pub(crate) const fn replayed(value: T) -> Self {
        Self { value, replayed: true }
    }
}

/// A write that was decided but not committed: for hosts that commit it in a transaction of their own.
#[derive(Debug)]
#[non_exhaustive]
pub struct PreparedWrite<T> {
    /// What to apply. Empty if the write is a replay.
    pub changes: ChangeSet,
    /// What the write answers once it is applied.
    pub output: T,
    /// Whether an earlier write with the same idempotency key has been made already.
    pub replayed: bool,
}

/// What makes a repeated write take effect once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdempotencyKey {
    /// A key of the caller's, at most 255 characters. It is scoped to the actor and the kind of write, and compared with the
    /// write's input: the same key with another input is refused.
    Named(String),
    /// A key whose scope and fingerprint the caller computed.
    Hashed(Idempotency),
}

impl From<&str> for IdempotencyKey {
    fn from(key: &str) -> Self {
        Self::Named(key.to_owned())
    }
}

impl From<String> for IdempotencyKey {
    fn from(key: String) -> Self {
        Self::Named(key)
    }
}

impl From<Idempotency> for IdempotencyKey {
    fn from(key: Idempotency) -> Self {
        Self::Hashed(key)
    }
}

/// A write that has not been made yet: awaiting it makes it.
///
/// It reads, decides and commits; when others changed meanwhile what it was decided on, it starts over from fresh reads. It
/// runs to its end even if the future that awaits it is dropped.
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
/// let first = staff.inventory().adjust(mug, -3, "broken").idempotent("count 7").outcome().await?;
/// let again = staff.inventory().adjust(mug, -3, "broken").idempotent("count 7").outcome().await?;
/// assert_eq!((first.value.on_hand, first.replayed), (7, false));
/// assert_eq!((again.value.on_hand, again.replayed), (7, true));
/// # Ok(())
/// # }
/// ```
#[must_use = "a write is made when it is awaited"]
pub struct Write<T, E> {
    engine: Arc<Engine>,
    context: WriteContext,
    operation: Arc<dyn Operation<T, E>>,
}

impl<T, E> fmt::Debug for Write<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("context", &self.context).finish_non_exhaustive()
    }
}

impl<T: Send + 'static, E: From<CommonError> + Send + 'static> Write<T, E> {
    /// What kind of write this is, as `orders.cancel`: for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.operation.describe().0
    }

    /// Refuses with [`CommonError::VersionMismatch`] unless what is changed is at this version. `None` accepts any version.
    pub fn if_version(mut self, version: impl Into<Option<Version>>) -> Self {
        self.context.expected = version.into();
        self
    }

    /// Makes the write take effect once, however often it is made with this key. A repeated one gives the first answer again.
    ///
    /// Guests are told apart by the tokens they hold. Those who hold none are one caller: their keys must not be guessable.
    pub fn idempotent(mut self, key: impl Into<IdempotencyKey>) -> Self {
        self.context.call.idempotency = Some(match key.into() {
            IdempotencyKey::Hashed(key) => key,
            IdempotencyKey::Named(key) => {
                let (scope, input) = self.operation.describe();
                let scope = format!("{} {scope}", key_owner(self.context.actor()));
                Idempotency::new(&scope, &key, input.as_bytes())
            }
        });
        self
    }

    /// Makes the write, and tells whether an earlier one with the same key had made it already.
    ///
    /// # Errors
    /// Those of the method that gave the write.
    pub async fn outcome(self) -> Result<Outcome<T>, E> {
        let Self { engine, context, operation } = self;
        let runner = Arc::clone(&engine);
        engine.run(async move { operation.run(&runner, &context).await }).await
    }

    /// Reads and decides, but commits nothing: the host applies the change-set in a transaction of its own. What would follow
    /// the commit (refunds at the gateway, messages) is left to the worker, as due tasks of the same change-set.
    ///
    /// # Errors
    /// Those of the method that gave the write, but for what only the commit can tell.
    pub async fn prepare(self) -> Result<PreparedWrite<T>, E> {
        self.operation.prepare(&self.engine, &self.context).await
    }
}

impl<T: Send + 'static, E: From<CommonError> + Send + 'static> IntoFuture for Write<T, E> {
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.outcome().await?.value) })
    }
}

/// Whose keys these are.
fn key_owner(actor: &Actor) -> String {
    match actor {
        Actor::Guest { cart, order } => {
            format!("Guest {:?} {:?}", cart.as_ref().map(|token| &token.0), order.as_ref().map(|token| &token.0))
        }
        Actor::User(_) | Actor::System => format!("{:?}", actor.reference()),
    }
}

/// Who makes a write, and on what conditions.
#[derive(Clone, Debug)]
pub(crate) struct WriteContext {
    pub call: RequestContext,
    expected: Option<Version>,
}

impl From<RequestContext> for WriteContext {
    /// A write on no conditions.
    fn from(call: RequestContext) -> Self {
        Self { call, expected: None }
    }
}

impl WriteContext {
    pub const fn actor(&self) -> &Actor {
        &self.call.actor
    }

    /// The same without its idempotency key, for writes whose answers aren't kept.
    pub fn without_key(&self) -> Self {
        Self { call: RequestContext { idempotency: None, ..self.call.clone() }, ..self.clone() }
    }

    /// Refuses if the caller named another version than the present one.
    pub const fn check_version(&self, present: Version) -> Result<(), CommonError> {
        match self.expected {
            Some(expected) if expected != present => Err(CommonError::VersionMismatch(present)),
            _ => Ok(()),
        }
    }
}

/// The services of a shop, bound to who asks.
#[derive(Clone)]
pub(crate) struct Scope {
    pub engine: Arc<Engine>,
    pub call: Arc<RequestContext>,
}

impl Scope {
    /// The services as the shop itself uses them.
    pub fn system(engine: Arc<Engine>) -> Self {
        Self { engine, call: Arc::new(RequestContext::system()) }
    }

    pub fn actor(&self) -> &Actor {
        &self.call.actor
    }

    /// A write by this actor.
    pub fn write<T, E>(&self, operation: impl Operation<T, E> + 'static) -> Write<T, E> {
        Write {
            engine: Arc::clone(&self.engine),
            context: RequestContext::clone(&self.call).into(),
            operation: Arc::new(operation),
        }
    }
}

/// How a kind of write is made.
#[async_trait]
pub(crate) trait Operation<T, E>: Send + Sync {
    /// What the write is called, and what it was asked to do: the scope and the fingerprint of idempotency keys.
    fn describe(&self) -> (&'static str, String);

    /// Makes the write.
    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<T>, E>;

    /// Reads and decides what its first commit holds.
    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<T>, E>;
}

/// What reads and decides; it runs again whenever others changed what was read.
pub(crate) type Plan<S, I, P, E> = for<'a> fn(&'a S, &'a WriteContext, &'a I) -> BoxFuture<'a, Result<Planned<P>, E>>;
type LookUp<S, I> = for<'a> fn(&'a S, &'a I) -> BoxFuture<'a, Option<Uuid>>;
type Record<P> = fn(&P) -> serde_json::Result<Value>;
type Recall<S, T, E> = for<'a> fn(&'a S, Value) -> BoxFuture<'a, Result<T, E>>;

/// A write of one commit: a plan over fresh reads, and what surrounds it. `P` is what the plan yields, and `T` the answer.
pub(crate) struct OneCommit<S, I, T, E, P = T> {
    name: &'static str,
    service: S,
    input: I,
    plan: Plan<S, I, P, E>,
    /// What the write was asked to do, for the fingerprint of an idempotency key.
    fingerprint: fn(&S, &I) -> String,
    record: Record<P>,
    recall: Recall<S, T, E>,
    /// What is done once the commit has been made.
    finish: for<'a> fn(&'a S, P) -> BoxFuture<'a, Result<T, E>>,
    /// The answer of a prepared write.
    preview: fn(P) -> T,
    allow: fn(&Actor) -> Result<(), AccessError>,
    turn: Option<Uuid>,
    turn_of: Option<LookUp<S, I>>,
    refuse: fn(&I, &Conflicts) -> Option<E>,
}

impl<S, I: fmt::Debug, T, E> OneCommit<S, I, T, E>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: From<CommonError> + Send + 'static,
{
    /// A write whose whole answer is kept for its idempotency key.
    pub fn new(name: &'static str, service: S, input: I, plan: Plan<S, I, T, E>) -> Self {
        Self::kept(
            name,
            service,
            input,
            plan,
            |output| serde_json::to_value(output),
            |_, value| Box::pin(async move { serde_json::from_value(value).map_err(|error| unreadable(error).into()) }),
        )
    }
}

impl<S, I: fmt::Debug, T, E> OneCommit<S, I, T, E>
where
    T: Send + 'static,
    E: From<CommonError> + Send + 'static,
{
    /// A write of whose answer a part is kept for its idempotency key: the rest is secret, or is read anew.
    pub fn kept(
        name: &'static str,
        service: S,
        input: I,
        plan: Plan<S, I, T, E>,
        record: Record<T>,
        recall: Recall<S, T, E>,
    ) -> Self {
        let finish: for<'a> fn(&'a S, T) -> BoxFuture<'a, Result<T, E>> =
            |_, output| Box::pin(async move { Ok(output) });
        Self::followed(name, service, input, plan, (record, recall), finish, |output| output)
    }
}

impl<S, I, T, E, P> OneCommit<S, I, T, E, P> {
    /// A write that does something once its commit has been made: `finish`. A prepared one leaves that to the worker, and
    /// answers with a `preview`. `P` is what the plan yields, `T` the answer.
    pub fn followed(
        name: &'static str,
        service: S,
        input: I,
        plan: Plan<S, I, P, E>,
        (record, recall): (Record<P>, Recall<S, T, E>),
        finish: for<'a> fn(&'a S, P) -> BoxFuture<'a, Result<T, E>>,
        preview: fn(P) -> T,
    ) -> Self
    where
        I: fmt::Debug,
    {
        Self {
            name,
            service,
            input,
            plan,
            fingerprint: |_, input| format!("{input:?}"),
            record,
            recall,
            finish,
            preview,
            allow: |_| Ok(()),
            turn: None,
            turn_of: None,
            refuse: |_, _| None,
        }
    }

    /// Who may make it at all; checked before anything is read.
    pub fn allowed_to(mut self, allow: fn(&Actor) -> Result<(), AccessError>) -> Self {
        self.allow = allow;
        self
    }

    /// What the write was asked to do, where that isn't the input as it is debugged: fingerprints are stored, so secrets must be
    /// sealed in them.
    pub fn fingerprinted_by(mut self, fingerprint: fn(&S, &I) -> String) -> Self {
        self.fingerprint = fingerprint;
        self
    }

    /// Writes that share this id take turns within the process.
    pub fn in_turn(mut self, id: impl Into<Uuid>) -> Self {
        self.turn = Some(id.into());
        self
    }

    /// Like [`Self::in_turn`], by an id that has to be looked up. Without one, the write takes no turn.
    pub fn in_turn_of(mut self, look_up: LookUp<S, I>) -> Self {
        self.turn_of = Some(look_up);
        self
    }

    /// Which failed guards are an answer rather than a reason to start over.
    pub fn refused_by(mut self, refuse: fn(&I, &Conflicts) -> Option<E>) -> Self {
        self.refuse = refuse;
        self
    }

    /// What is done once the commit has been made, where that leaves the answer's type as it is.
    pub fn then(mut self, finish: for<'a> fn(&'a S, P) -> BoxFuture<'a, Result<T, E>>) -> Self {
        self.finish = finish;
        self
    }
}

fn unreadable(error: serde_json::Error) -> CommonError {
    StoreError::bug(error).into()
}

#[async_trait]
impl<S, I, T, E, P> Operation<T, E> for OneCommit<S, I, T, E, P>
where
    S: Send + Sync,
    I: fmt::Debug + Send + Sync,
    P: Send + 'static,
    T: Send + 'static,
    E: From<CommonError> + Send + 'static,
{
    fn describe(&self) -> (&'static str, String) {
        (self.name, (self.fingerprint)(&self.service, &self.input))
    }

    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<T>, E> {
        (self.allow)(context.actor()).map_err(CommonError::from)?;
        let turn = match self.turn_of {
            Some(look_up) => look_up(&self.service, &self.input).await,
            None => self.turn,
        };
        let _turn = match turn {
            Some(id) => Some(engine.queues.turn(id).await),
            None => None,
        };
        let plan = || (self.plan)(&self.service, context, &self.input);
        let refuse = |conflicts: &Conflicts| (self.refuse)(&self.input, conflicts);
        match engine.transact(&context.call, plan, self.record, refuse).await? {
            Replay::Fresh(planned) => Ok(Outcome::fresh((self.finish)(&self.service, planned).await?)),
            Replay::Replayed(kept) => Ok(Outcome::replayed((self.recall)(&self.service, kept).await?)),
        }
    }

    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<T>, E> {
        (self.allow)(context.actor()).map_err(CommonError::from)?;
        if let Some(kept) = engine.replay(&context.call).await? {
            let output = (self.recall)(&self.service, kept).await?;
            return Ok(PreparedWrite { changes: engine.set(context.actor()), output, replayed: true });
        }
        let Planned { mut changes, output } = (self.plan)(&self.service, context, &self.input).await?;
        engine.complete(&mut changes, &context.call, || (self.record)(&output))?;
        Ok(PreparedWrite { changes, output: (self.preview)(output), replayed: false })
    }
}
