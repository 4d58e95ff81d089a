//! Two shops that are told the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use commerce_core::{
    Caller, Commerce, Write,
    clock::{ManualClock, Timestamp},
    context::Idempotency,
    error::CommonError,
    event::{EventRecord, EventSink},
    id::SeededIds,
    notification::MemoryMailer,
    payment::{ManualGateway, TestGateway},
    store::{ChangeSet, CommitError, Store},
};
use commerce_postgres::{PgStore, testing::TestDatabase};
use commerce_sqlite::{SqliteStore, WriteError};
use commerce_tests::dump::dump;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// Their answers are secret and not kept: a key has no effect.
const KEYLESS: &[&str] = &["accounts.login", "accounts.refresh"];
/// They answer before they know what they did.
const IN_BACKGROUND: &[&str] = &["accounts.forgot_password", "accounts.resend_confirmation"];
/// Around a payment gateway: prepared, the worker does a part of it, in commits and with events of its own.
const AROUND_GATEWAY: &[&str] = &[
    "checkout.pay_again",
    "checkout.place",
    "orders.cancel",
    "orders.decide_return",
    "payments.ask",
    "payments.capture",
    "payments.refund",
];

#[derive(Clone, Copy)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Who owns the database that the shop's tables are in.
enum Host {
    Sqlite { store: SqliteStore, url: String, _folder: TempDir },
    Postgres(TestDatabase),
}

impl Host {
    async fn open(backend: Backend) -> (Self, Arc<dyn Store>) {
        match backend {
            Backend::Sqlite => {
                let folder = TempDir::new().unwrap();
                let url = format!("sqlite://{}", folder.path().join("shop.db").display());
                let store = SqliteStore::open(&url).await.unwrap();
                let table = store.write(|tx| Box::pin(tx.execute("CREATE TABLE host_note (n INTEGER)")));
                table.await.map_err(|error: WriteError<sqlx::Error>| error).unwrap();
                (Self::Sqlite { store: store.clone(), url, _folder: folder }, Arc::new(store))
            }
            Backend::Postgres => {
                let database = TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"));
                let store = database.store().await.unwrap();
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                connection.execute("CREATE TABLE host_note (n BIGINT)").await.unwrap();
                (Self::Postgres(database), Arc::new(store))
            }
        }
    }

    /// Applies a set beside a row of the host's own.
    async fn commit(&self, changes: ChangeSet) -> Result<(), CommitError> {
        const NOTE: &str = "INSERT INTO host_note VALUES (1)";
        match self {
            Self::Sqlite { store, .. } => {
                let written = store.write(move |tx| {
                    Box::pin(async move {
                        tx.execute(NOTE).await.map_err(|error| CommitError::Bug(error.into()))?;
                        commerce_sqlite::apply(tx, &changes).await
                    })
                });
                written.await.map(drop).map_err(|error| match error {
                    WriteError::Host(error) | WriteError::Commit(error) => error,
                })
            }
            Self::Postgres(database) => {
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                let mut transaction = connection.begin().await.unwrap();
                transaction.execute(NOTE).await.unwrap();
                PgStore::apply(&mut transaction, &changes).await?;
                transaction.commit().await.unwrap();
                Ok(())
            }
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Sqlite { url, .. } => url,
            Self::Postgres(database) => database.url(),
        }
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, event: &EventRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap().push(event.event.name());
        Ok(())
    }
}

/// One of the two shops.
pub struct World {
    pub commerce: Commerce,
    pub gateway: TestGateway,
    /// 0 or 1, for what is known of each shop.
    pub side: usize,
    host: Host,
    clock: Arc<ManualClock>,
    mailer: MemoryMailer,
    sink: Sink,
}

impl World {
    async fn open(backend: Backend, side: usize) -> Self {
        let (host, store) = Host::open(backend).await;
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
        let (gateway, mailer, sink) = (TestGateway::new(), MemoryMailer::default(), Sink::default());
        let commerce = Commerce::builder()
            .shared_store(store)
            .shared_clock(clock.clone())
            .ids(SeededIds::new(7))
            .gateway(gateway.clone())
            .gateway(ManualGateway::new())
            .mailer(mailer.clone())
            .event_sink(sink.clone())
            .settings(|settings| settings.capture_at_checkout = false)
            .secret([7; 32])
            .build()
            .unwrap();
        Self { commerce, gateway, side, host, clock, mailer, sink }
    }

    pub fn staff(&self) -> Caller {
        self.commerce.as_system()
    }

    pub fn guest(&self) -> Caller {
        self.commerce.as_guest()
    }

    /// The token of the newest message to an address.
    pub fn mailed(&self, to: &str, subject: &str) -> String {
        let mails = self.mailer.sent_to(to);
        let mail = mails.iter().rev().find(|mail| mail.subject.contains(subject));
        let mail = mail.unwrap_or_else(|| panic!("no '{subject}' for {to}: {mails:?}"));
        let (_, token) = mail.text.split_once("?token=").expect("a link");
        token.split_whitespace().next().expect("a token").to_owned()
    }

    /// Has everything done that follows from what was written.
    async fn settle(&self) {
        self.commerce.drain().await;
        while self.commerce.worker().tick().await.unwrap() > 0 {}
    }

    /// What is kept, told and sent, without what is random.
    async fn trace(&self) -> Trace {
        let mut trace = Trace::default();
        for (table, rows) in dump(self.host.url()).await {
            // A write is as many commits as it takes; what was queued has been done.
            if !["commerce_commit", "commerce_task"].contains(&table.as_str()) {
                let rows = rows.iter().map(|row| format!("{table} {}", masked(&comparable(&table, row))));
                trace.count(rows);
            }
        }
        let mails = self.mailer.sent();
        trace.count(mails.iter().map(|mail| format!("mail to {}: {}", mail.to, masked(&mail.subject))));
        trace.count(self.sink.0.lock().unwrap().iter().map(|name| format!("told of {name}")));
        trace
    }
}

/// How often each thing is there.
#[derive(Clone, Debug, Default, PartialEq)]
struct Trace(BTreeMap<String, i64>);

impl Trace {
    fn count(&mut self, things: impl Iterator<Item = String>) {
        for thing in things {
            *self.0.entry(thing).or_default() += 1;
        }
    }

    /// What has come and gone since.
    fn since(mut self, before: &Self) -> Self {
        for (thing, times) in &before.0 {
            *self.0.entry(thing.clone()).or_default() -= times;
        }
        self.0.retain(|_, times| *times != 0);
        self
    }

    /// Without what tells in how many steps, and by whom, something was done.
    fn whole(mut self) -> Self {
        self.0.retain(|thing, _| !["commerce_event ", "commerce_key "].iter().any(|table| thing.starts_with(table)));
        self
    }
}

/// Ids, hashes and tokens are alike.
fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_$=,+/.".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(before);
        out.push_str(if is_random(word) { "#" } else { word });
        rest = after;
    }
    out + rest
}

fn is_random(word: &str) -> bool {
    let long = word.len() >= 22 && word.bytes().any(|byte| byte.is_ascii_digit());
    let number = word.len() == 11
        && word.as_bytes()[5] == b'-'
        && word.bytes().all(|b| b == b'-' || b.is_ascii_digit() || b.is_ascii_uppercase());
    long || number
}

/// Without what follows from random ids; and, as orders around a gateway are written more or less often, and later if the worker
/// does it, without how often and when they were.
fn comparable(table: &str, row: &str) -> String {
    let row = match table {
        "commerce_product" | "commerce_order" => blank(row, "n"),
        "commerce_variant" | "commerce_listing" => blank(row, "product"),
        _ => row.to_owned(),
    };
    let of_orders = ["commerce_order", "commerce_payment", "commerce_refund", "commerce_key"].contains(&table);
    if of_orders || row.contains(r#""root_kind":"order""#) {
        ["version", "updated_at", "lease_until"].iter().fold(row, |row, field| blank(&row, field))
    } else {
        row
    }
}

/// A row without the values of a field.
fn blank(row: &str, field: &str) -> String {
    let field = format!("\"{field}\":");
    let mut parts = row.split(field.as_str());
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find([',', '}']).unwrap_or(part.len());
        out = out + &field + "_" + &part[end..];
    }
    out
}

/// Two shops that are told the same: one awaits its writes, the other prepares them and applies them in the host's transactions.
pub struct Pair {
    pub worlds: [World; 2],
    pub made: BTreeSet<String>,
    pub refused: BTreeSet<String>,
    count: usize,
}

impl Pair {
    pub async fn open(backend: Backend) -> Self {
        let worlds = [World::open(backend, 0).await, World::open(backend, 1).await];
        Self { worlds, made: BTreeSet::new(), refused: BTreeSet::new(), count: 0 }
    }

    async fn traces(&self) -> [Trace; 2] {
        [self.worlds[0].trace().await, self.worlds[1].trace().await]
    }

    async fn settle(&self) {
        for world in &self.worlds {
            world.settle().await;
        }
    }

    /// Makes a write in both shops, each in its way.
    pub async fn make<T, E>(&mut self, write: impl Fn(&World) -> Write<T, E>) -> [T; 2]
    where
        T: Send + 'static,
        E: From<CommonError> + Debug + Display + Send + 'static,
    {
        let [awaiting, preparing] = &self.worlds;
        let name = write(awaiting).name();
        self.count += 1;
        let key = |request: &[u8]| Idempotency::new("prepared", &format!("{name} {}", self.count), request);
        let before = self.traces().await;
        let awaited = write(awaiting).idempotent(key(b"one")).outcome().await;
        let awaited = awaited.unwrap_or_else(|error| panic!("{name}, awaited: {error:?}"));
        let prepared = write(preparing).idempotent(key(b"one")).prepare().await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{name}, prepared: {error:?}"));
        assert!(!awaited.replayed && !prepared.replayed, "{name} is new");
        preparing.host.commit(prepared.changes).await.unwrap_or_else(|error| panic!("{name}, applied: {error:?}"));
        self.settle().await;
        if AROUND_GATEWAY.contains(&name) {
            // What is in doubt, or waits for something else, is looked at again.
            for _ in 0..2 {
                for world in &self.worlds {
                    world.clock.advance(Duration::from_secs(35));
                }
                self.settle().await;
            }
        }
        let after = self.traces().await;
        let [mut did, mut does] = [after[0].clone().since(&before[0]), after[1].clone().since(&before[1])];
        if AROUND_GATEWAY.contains(&name) {
            (did, does) = (did.whole(), does.whole());
        }
        assert_eq!(did, does, "{name}: left as awaited, right as prepared");

        if !KEYLESS.contains(&name) {
            let again = write(awaiting).idempotent(key(b"one")).outcome().await.unwrap();
            assert!(again.replayed || IN_BACKGROUND.contains(&name), "{name} was awaited before");
            let again = write(preparing).idempotent(key(b"one")).prepare().await.unwrap();
            assert!(again.replayed, "{name} was prepared before");
            preparing.host.commit(again.changes).await.unwrap();
            let reused =
                write(preparing).idempotent(key(b"other")).prepare().await.err().map(|error| error.to_string());
            if !IN_BACKGROUND.contains(&name) {
                let awaited = write(awaiting).idempotent(key(b"other")).await.err().map(|error| error.to_string());
                assert_eq!(awaited, reused, "{name}");
            }
            assert!(reused.is_some_and(|error| error.contains("was used for another request")), "{name}");
            self.settle().await;
            assert_eq!(self.traces().await, after, "{name} is made once");
        }
        for world in &self.worlds {
            world.clock.advance(Duration::from_secs(1));
        }
        self.made.insert(name.to_owned());
        [awaited.value, prepared.output]
    }

    /// Has a write refused in both shops, by the same words or by a guard of the set.
    pub async fn refuse<T, E>(&mut self, write: impl Fn(&World) -> Write<T, E>)
    where
        T: Send + 'static,
        E: From<CommonError> + Debug + Display + Send + 'static,
    {
        let [awaiting, preparing] = &self.worlds;
        let name = write(awaiting).name();
        let before = self.traces().await;
        let Err(awaited) = write(awaiting).await else { panic!("{name}, awaited, is to be refused") };
        match write(preparing).prepare().await {
            Err(refused) => assert_eq!(masked(&awaited.to_string()), masked(&refused.to_string()), "{name}"),
            Ok(prepared) => {
                let applied = preparing.host.commit(prepared.changes).await;
                assert!(matches!(applied, Err(CommitError::Conflict(_))), "{name}: {awaited}, but {applied:?}");
            }
        }
        self.settle().await;
        let after = self.traces().await;
        let [did, does] = [after[0].clone().since(&before[0]), after[1].clone().since(&before[1])];
        assert_eq!(did, does, "{name}, refused");
        self.refused.insert(name.to_owned());
    }
}
