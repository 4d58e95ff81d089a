//! Background work over the facade: messages, events, alerts, clean-up.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use commerce_core::{
    account::Registration,
    alert::AlertKind,
    context::{RequestContext, Role},
    event::{EventRecord, EventSink},
    notification::{Mailer, Message},
    page::PageSpec,
};
use commerce_tests::shop::{MortalStore, TestShop, customer};
use futures_util::future::join_all;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Refuses the first messages.
struct Moody {
    refusals: AtomicUsize,
    seen: Arc<Mutex<Vec<Message>>>,
}

#[async_trait]
impl Mailer for Moody {
    async fn send(&self, message: &Message) -> Result<(), Failure> {
        self.seen.lock().unwrap().push(message.clone());
        if self.refusals.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        self.refusals.fetch_sub(1, Ordering::SeqCst);
        Err("the mail server is down".into())
    }
}

async fn moody(refusals: usize) -> (TestShop, Arc<Mutex<Vec<Message>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mailer = Moody { refusals: refusals.into(), seen: seen.clone() };
    let shop = TestShop::with(|b| b.mailer(mailer)).await;
    let mug = shop.sell("MUG", 1000, 10).await;
    shop.buy(&customer(), mug, 1).await;
    (shop, seen)
}

#[tokio::test]
async fn a_message_is_sent_again_under_the_same_id_until_it_is_taken() {
    let (shop, seen) = moody(2).await;
    for _ in 0..5 {
        shop.wait(Duration::from_mins(1)).await;
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    let same = |message: &Message| (message.id.clone(), message.to.clone(), message.subject.clone());
    assert!(seen.iter().all(|message| same(message) == same(&seen[0])), "{seen:?}");
    assert_eq!(shop.store.reads().task_backlog().await.unwrap().0, 0);
}

#[tokio::test]
async fn a_message_whose_worker_died_after_sending_is_sent_again_under_the_same_id() {
    let (shop, seen) = moody(0).await;
    let mailer = Moody { refusals: 0.into(), seen: seen.clone() };
    // Leases the message, sends it, and dies before it has noted that.
    let dying = TestShop::on(MortalStore::new(shop.store.clone(), 0, false), |builder| {
        builder.mailer(mailer).shared_clock(shop.clock.clone())
    });
    let died = tokio::time::timeout(Duration::from_millis(500), dying.commerce.worker().tick()).await;
    assert!(died.is_err() && seen.lock().unwrap().len() == 1, "{died:?}");
    shop.wait(Duration::from_secs(10)).await;
    assert_eq!(seen.lock().unwrap().len(), 1, "for a while it is still the dead worker's");
    shop.wait(Duration::from_secs(50)).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[0].id, &seen[0].text), (&seen[1].id, &seen[1].text));
    assert_eq!(shop.store.reads().task_backlog().await.unwrap().0, 0);
}

#[tokio::test]
async fn a_message_that_nobody_takes_is_kept_for_staff_to_see() {
    let (shop, seen) = moody(usize::MAX).await;
    for _ in 0..40 {
        shop.wait(Duration::from_mins(10)).await;
    }
    assert_eq!(seen.lock().unwrap().len(), 12);
    let dead = shop.store.reads().list_dead_tasks(&PageSpec::first(10)).await.unwrap().items;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].attempts, dead[0].last_error.as_deref()), (12, Some("the mail server is down")));
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<EventRecord>>>);

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, event: &EventRecord) -> Result<(), Failure> {
        let mut seen = self.0.lock().unwrap();
        seen.push(event.clone());
        if seen.len() % 3 == 1 { Err("busy".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn every_event_reaches_the_sink_and_none_of_a_refused_call() {
    let sink = Sink::default();
    let shop = TestShop::with(|b| b.event_sink(sink.clone())).await;
    let (mug, ada) = (shop.sell("MUG", 1000, 1).await, customer());
    let order = shop.buy(&ada, mug, 1).await;
    assert!(
        shop.by(&ada)
            .orders()
            .request_return(order.id, commerce_core::order::NewReturn::new(vec![], "x"))
            .await
            .is_err()
    );
    for _ in 0..8 {
        shop.wait(Duration::from_mins(10)).await;
    }
    let mut names: Vec<_> = sink.0.lock().unwrap().iter().map(|record| (record.id, record.event.name())).collect();
    names.sort();
    names.dedup();
    let names: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted
        },
        ["alert_raised", "order_confirmed", "order_placed", "payment_captured", "product_created"]
    );
}

#[tokio::test]
async fn running_low_is_alerted_once_a_crossing_and_mailed_to_admins() {
    let shop = TestShop::open().await;
    let system = RequestContext::system();
    let admin = Registration::new("root@example.com", "difference engine no 2", "Root", "Admin");
    shop.commerce.acting_as(&system).accounts().create_user(admin, Role::Admin).await.unwrap();
    let mug = shop.sell("MUG", 1000, 4).await;
    shop.commerce
        .acting_as(&system)
        .inventory()
        .set_stock(mug, commerce_core::inventory::StockCount::new().low_stock_threshold(2))
        .await
        .unwrap();
    shop.buy(&customer(), mug, 1).await;
    shop.commerce.worker().tick().await.unwrap();
    assert_eq!(shop.alerts(AlertKind::LowStock).await.len(), 0);
    shop.buy(&customer(), mug, 1).await;
    let workers = [shop.commerce.worker(), shop.commerce.worker()];
    join_all(workers.iter().map(commerce_core::Worker::tick)).await;
    shop.buy(&customer(), mug, 1).await;
    shop.commerce.worker().tick().await.unwrap();
    assert_eq!(shop.alerts(AlertKind::LowStock).await.len(), 1, "one crossing, one alert");
    assert_eq!(shop.mailer.sent_to("root@example.com").len(), 1);
    shop.commerce.acting_as(&system).inventory().adjust(mug, 9, "delivery").await.unwrap();
    shop.commerce.worker().tick().await.unwrap();
    shop.buy(&customer(), mug, 8).await;
    shop.commerce.worker().tick().await.unwrap();
    let alerts = shop.alerts(AlertKind::LowStock).await;
    assert_eq!(alerts.len(), 2, "armed again when stock had recovered");
    let acknowledged = shop.commerce.acting_as(&system).inventory().acknowledge(alerts[0].id).await.unwrap();
    assert!(acknowledged.acknowledged_at.is_some());
    assert!(shop.commerce.acting_as(customer()).inventory().acknowledge(alerts[1].id).await.is_err());
}

#[tokio::test]
async fn a_running_worker_stops_when_told() {
    let shop = TestShop::open().await;
    let mug = shop.sell("MUG", 1000, 4).await;
    shop.buy(&customer(), mug, 1).await;
    let (end, told) = tokio::sync::oneshot::channel::<()>();
    let worker = tokio::spawn(shop.commerce.worker().run(async {
        told.await.ok();
    }));
    while shop.mailer.sent().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    end.send(()).unwrap();
    worker.await.unwrap();
    shop.commerce.drain().await;
    assert_eq!(shop.orders().await.len(), 1);
}

/// Never answers.
struct HangingMailer;

#[async_trait]
impl Mailer for HangingMailer {
    async fn send(&self, _: &Message) -> Result<(), Failure> {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_hangs_is_given_up_and_counted() {
    let shop = TestShop::with(|b| b.mailer(HangingMailer)).await;
    let mug = shop.sell("MUG", 1000, 10).await;
    shop.buy(&customer(), mug, 1).await;
    let worker = shop.commerce.worker().round_limit(Duration::from_millis(50));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.clone().run(async { drop(stopped.await) }));
    let status = async |holds: fn(&commerce_core::WorkerStatus) -> bool| {
        let waiting = async {
            while !holds(&worker.status()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the worker goes on");
    };
    status(|status| status.stalls > 0).await;
    // What hangs is leased to the round that was given up: the next one has nothing to do, and ends.
    status(|status| status.is_running && status.since_last_round.is_some()).await;
    stop.send(()).expect("it runs");
    running.await.expect("it ends");
    assert!(!worker.status().is_running);
}
