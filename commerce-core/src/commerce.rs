//! [`Commerce`]: the facade, built once and cheap to clone.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio_util::task::TaskTracker;

use crate::{
    account::normalise_email,
    clock::{Clock, SystemClock},
    context::Actor,
    engine::{Engine, Queues, recent_writers},
    event::EventSink,
    health::Health,
    id::{IdGenerator, UuidV7},
    money::Currency,
    notification::{LogMailer, Mailer},
    payment::{PaymentGateway, Payments, WebhookFailure, gateway::WebhookRequest},
    pricing::{FlatShipping, FlatTax, ShippingRates, TaxCalculator},
    settings::Settings,
    store::{Store, StoreError},
    token::Signer,
    worker::Worker,
    write_watch::WriteWatch,
};

/// A shop. Cheap to clone; all clones are the same shop.
#[derive(Clone)]
pub struct Commerce {
    engine: Arc<Engine>,
}

impl Commerce {
    /// Starts building a shop.
    #[must_use]
    pub fn builder() -> CommerceBuilder {
        CommerceBuilder::default()
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Background work: messages, alerts, expiry, recovery.
    #[must_use]
    pub fn worker(&self) -> Worker {
        Worker::new(self.engine.clone())
    }

    /// What the shop was told about itself.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.engine.settings
    }

    /// The clock, for whoever notes when a call arrived.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.engine.clock
    }

    /// The source of ids, for whoever names calls.
    #[must_use]
    pub fn ids(&self) -> &Arc<dyn IdGenerator> {
        &self.engine.ids
    }

    /// The store, for health checks and verification.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.engine.store
    }

    /// Grows with every change to the catalogue, stock or ratings that this process committed: a key for caches of public
    /// pages.
    #[must_use]
    pub fn catalog_revision(&self) -> u64 {
        self.engine.catalog_revision.load(Ordering::Acquire)
    }

    /// Whether somebody may have written what public pages made up to a second ago don't show: staff, and customers who wrote
    /// just now.
    #[must_use]
    pub fn may_have_written(&self, viewer: &Actor) -> bool {
        self.engine.may_have_written(viewer)
    }

    /// Whether the shop is able to do its work, for health checks. Answers within seconds, whatever the database does. It may be
    /// asked often: the last write tells whether writes succeed, and only if that failed, or is long ago, one is made to find out.
    pub async fn health(&self) -> Health {
        self.engine.health().await
    }

    /// Takes a payment gateway's webhook. The signature is checked first; then the payment is settled by the same function that
    /// serves checkout and recovery, which changes nothing if the word is old or doesn't match the order.
    ///
    /// # Errors
    /// [`WebhookFailure::Rejected`] if it can't be believed; [`WebhookFailure::Failed`] if the store failed: the gateway
    /// sends it again.
    pub async fn payment_webhook(&self, gateway: &str, request: &WebhookRequest<'_>) -> Result<(), WebhookFailure> {
        Payments::webhook(&self.engine, gateway, request).await
    }

    /// Waits until every write that was begun has ended. Begin no more before.
    pub async fn drain(&self) {
        self.engine.writes.close();
        self.engine.writes.wait().await;
    }

    /// Waits as [`drain`](Self::drain) does, and then closes the store, which refuses everything from then on. Stop whatever uses
    /// the shop before, the worker too. A SQLite database is a single file after that, which can be copied and moved; without it,
    /// the newest writes may be in a second file beside it, from which the next to open the database takes them.
    ///
    /// # Errors
    /// If the store couldn't be closed in order. Nothing that was committed is lost then.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.drain().await;
        self.engine.store.close().await
    }
}

/// Why a shop can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No store was given.
    #[error("a shop needs a store: call .store(…)")]
    NoStore,
    /// The secret is too short.
    #[error("the secret must have at least 32 bytes")]
    ShortSecret,
    /// Two gateways have the same code.
    #[error("two payment gateways have the code '{0}'")]
    DuplicateGateway(String),
    /// The mailer sends messages away, and nobody is named as their sender.
    #[error("messages need a sender: set Settings::mail_from to the shop's e-mail address")]
    NoSender,
    /// The sender of messages is wrong.
    #[error("'{0}' can't be the sender of messages: Settings::mail_from must be an e-mail address")]
    Sender(String),
    /// The shop's name is wrong.
    #[error("the shop's name must be a line of text")]
    ShopName,
    /// The machine has no randomness to give.
    #[error("no random secret could be made: {0}")]
    NoRandomness(String),
}

/// Puts a shop together. Only a store must be given.
#[derive(Default)]
pub struct CommerceBuilder {
    store: Option<Arc<dyn Store>>,
    clock: Option<Arc<dyn Clock>>,
    ids: Option<Arc<dyn IdGenerator>>,
    gateways: Vec<Arc<dyn PaymentGateway>>,
    mailer: Option<Arc<dyn Mailer>>,
    sink: Option<Arc<dyn EventSink>>,
    tax: Option<Arc<dyn TaxCalculator>>,
    shipping: Option<Arc<dyn ShippingRates>>,
    settings: Settings,
    secret: Option<Vec<u8>>,
}

impl CommerceBuilder {
    /// Where everything is kept.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where everything is kept, if it is shared already.
    #[must_use]
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Adds a payment gateway. Without any there is nothing to pay with.
    #[must_use]
    pub fn gateway(mut self, gateway: impl PaymentGateway) -> Self {
        self.gateways.push(Arc::new(gateway));
        self
    }

    /// Adds a payment gateway that is shared already.
    #[must_use]
    pub fn shared_gateway(mut self, gateway: Arc<dyn PaymentGateway>) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// Who delivers messages; the log, if nobody is given.
    #[must_use]
    pub fn mailer(mut self, mailer: impl Mailer) -> Self {
        self.mailer = Some(Arc::new(mailer));
        self
    }

    /// Who hears of events.
    #[must_use]
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// How tax is computed; none, if nothing is given.
    #[must_use]
    pub fn tax(mut self, tax: impl TaxCalculator) -> Self {
        self.tax = Some(Arc::new(tax));
        self
    }

    /// What shipping costs; one free method, if nothing is given.
    #[must_use]
    pub fn shipping(mut self, shipping: impl ShippingRates) -> Self {
        self.shipping = Some(Arc::new(shipping));
        self
    }

    /// The time, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// A clock that is shared with the test that turns it.
    #[must_use]
    pub fn shared_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The ids, for tests.
    #[must_use]
    pub fn ids(mut self, ids: impl IdGenerator) -> Self {
        self.ids = Some(Arc::new(ids));
        self
    }

    /// What signs tokens: at least 32 bytes, the same for every process of the shop, kept secret. Without one, a random
    /// secret is made, and sessions, guests' tokens and mailed links end with the process.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// The shop's one currency; EUR, if none is given.
    #[must_use]
    pub fn currency(mut self, currency: Currency) -> Self {
        self.settings.currency = currency;
        self
    }

    /// Changes the settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Builds the shop.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<Commerce, BuildError> {
        let secret = match self.secret {
            Some(secret) => secret,
            None => {
                let mut secret = vec![0; 32];
                getrandom::fill(&mut secret).map_err(|error| BuildError::NoRandomness(error.to_string()))?;
                secret
            }
        };
        if secret.len() < 32 {
            return Err(BuildError::ShortSecret);
        }
        let mailer = self.mailer.unwrap_or_else(|| Arc::new(LogMailer));
        check_sender(&self.settings, mailer.as_ref())?;
        let mut gateways = BTreeMap::new();
        for gateway in self.gateways {
            let code = gateway.code().to_owned();
            if gateways.insert(code.clone(), gateway).is_some() {
                return Err(BuildError::DuplicateGateway(code));
            }
        }
        let engine = Engine {
            store: self.store.ok_or(BuildError::NoStore)?,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            ids: self.ids.unwrap_or_else(|| Arc::new(UuidV7)),
            gateways,
            mailer,
            sink: self.sink,
            tax: self.tax.unwrap_or_else(|| Arc::new(FlatTax::none())),
            shipping: self.shipping.unwrap_or_else(|| Arc::new(FlatShipping::free())),
            accounts: crate::account::SessionCache::new(&secret),
            signer: Signer::new(&secret),
            settings: self.settings,
            writes: TaskTracker::new(),
            queues: Queues::default(),
            write_watch: WriteWatch::default(),
            worker: crate::worker::WorkerWatch::default(),
            catalog_revision: AtomicU64::new(0),
            writers: recent_writers(),
        };
        Ok(Commerce { engine: Arc::new(engine) })
    }
}

fn check_sender(settings: &Settings, mailer: &dyn Mailer) -> Result<(), BuildError> {
    if settings.shop_name.trim().is_empty() || settings.shop_name.contains(char::is_control) {
        return Err(BuildError::ShopName);
    }
    match &settings.mail_from {
        None if mailer.needs_sender() => Err(BuildError::NoSender),
        Some(sender) if normalise_email(sender).is_err() => Err(BuildError::Sender(sender.clone())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{MemoryMailer, Message};

    struct Away;

    #[async_trait::async_trait]
    impl Mailer for Away {
        async fn send(&self, _message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(())
        }
        fn needs_sender(&self) -> bool {
            true
        }
    }

    #[test]
    fn messages_that_leave_the_machine_have_a_sender() {
        let settings = |sender: Option<&str>| Settings { mail_from: sender.map(str::to_owned), ..Settings::default() };
        let check =
            |sender, mailer: &dyn Mailer| check_sender(&settings(sender), mailer).map_err(|error| error.to_string());
        assert_eq!(check(None, &MemoryMailer::default()), Ok(()));
        assert!(check(None, &Away).unwrap_err().contains("mail_from"));
        assert_eq!(check(Some("orders@shop.example"), &Away), Ok(()));
        for wrong in ["shop", "Shop <orders@shop.example>", "orders@shop.example\r\nBcc: eve@example.com", ""] {
            assert!(check(Some(wrong), &MemoryMailer::default()).unwrap_err().contains("mail_from"), "{wrong}");
        }
        for wrong in ["", " ", "Shop\r\nBcc: eve@example.com"] {
            let settings = Settings { shop_name: wrong.to_owned(), ..Settings::default() };
            assert!(matches!(check_sender(&settings, &LogMailer), Err(BuildError::ShopName)));
        }
    }
}
