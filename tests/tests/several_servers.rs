//! Three servers, one PostgreSQL: what one of them promised holds at the others, and outlives it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use commerce_tests::http::{Backend, Client, Home, PASSWORD, Server, at, card, id};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, query, query_scalar};
use tokio::task::JoinSet;

/// A little longer than a server believes what it knows of a session.
const REMEMBERED: Duration = Duration::from_millis(2_200);

async fn start(home: &Arc<Home>, settings: &'static [(&'static str, &'static str)]) -> Server {
    let home = home.clone();
    tokio::task::spawn_blocking(move || Server::start_in(home, settings, &[])).await.expect("a server")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_wherever_a_server_listens() {
    let home = Home::new(Backend::Postgres).await;
    let here = start(&home, &[("COMMERCE_LISTEN", "127.0.0.1:0")]).await;
    let there = start(&home, &[("COMMERCE_LISTEN", "127.0.0.2:0")]).await;
    let public = start(&home, &[("COMMERCE_PUBLIC_URL", "https://shop.example")]).await;
    let admin = here.admin().await;
    for server in [&here, &there, &public] {
        admin.at(&server.base).get("/v1/admin/orders").await.done(200);
        server.admin().await.at(&here.base).get("/v1/me").await.done(200);
    }
}

/// How far a server finds its clock ahead of its database's.
async fn ahead(server: &Server) -> f64 {
    loop {
        let metrics = server.anyone().get("/metrics").await.text();
        let ahead = metrics.lines().find_map(|line| line.strip_prefix("commerce_clock_ahead_seconds "));
        if let Some(ahead) = ahead {
            return ahead.parse().expect("a number");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_told() {
    let home = Home::new(Backend::Postgres).await;
    let server = start(&home, &[]).await;
    assert!(ahead(&server).await.abs() < 5.0);
    assert!(!server.log().contains("far apart"), "{}", server.log());

    // A database whose clock is two minutes behind: its own function is found before the server's.
    let mut database = PgConnection::connect(home.url()).await.expect("a connection");
    for statement in [
        "CREATE SCHEMA behind",
        "CREATE FUNCTION behind.clock_timestamp() RETURNS timestamptz LANGUAGE sql \
         AS 'SELECT pg_catalog.clock_timestamp() - interval ''2 minutes'''",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = behind, pg_catalog, public', current_database()); \
         END $$",
    ] {
        query(statement).execute(&mut database).await.expect("it is set up");
    }
    let server = start(&home, &[]).await;
    let ahead = ahead(&server).await;
    assert!((115.0..125.0).contains(&ahead), "{ahead}");
    server.logged("far apart").await;
}

async fn three() -> (Arc<Home>, Vec<Server>) {
    let home = Home::new(Backend::Postgres).await;
    // Together: the first start on a new database is a race.
    let starts = (0..3).map(|_| {
        let home = home.clone();
        tokio::task::spawn_blocking(move || Server::start_in(home, &[], &[]))
    });
    let starts: Vec<_> = starts.collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.expect("a server"));
    }
    (home, servers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_knows_the_others_know() {
    let (_home, servers) = three().await;
    let [a, b, c] = &servers[..] else { panic!("three servers") };
    let admin = a.admin().await;
    let product = a.product(&admin, "MUG", "19.90", 20).await;
    let variant = at(&product, "/variants/0/id");

    // Staff find what they wrote at any server, at once.
    let path = format!("/v1/products/{}", id(&product));
    for n in 0..10 {
        let title = format!("Title {n}");
        admin.at(&b.base).patch(&format!("/v1/admin{}", &path[3..]), json!({ "title": title })).await.done(200);
        assert_eq!(admin.at(&c.base).get(&path).await.expect(200)["title"], title);
    }

    // A session is one session.
    let mia = a.customer("mia").await;
    for server in &servers {
        mia.at(&server.base).get("/v1/me").await.done(200);
    }
    let login = json!({ "email": "mia@example.com", "password": PASSWORD });
    let session = b.anyone().post("/v1/auth/login", login).await.expect(200);
    let refresh = json!({ "refresh_token": at(&session, "/refresh_token") });
    let renewed = c.anyone().post("/v1/auth/refresh", refresh.clone()).await.expect(200);
    // Another server's last rotation is given two seconds: a client may have sent both at once.
    tokio::time::sleep(REMEMBERED).await;
    a.anyone().post("/v1/auth/refresh", refresh).await.refused(401, "token_reused");
    let renewed = json!({ "refresh_token": at(&renewed, "/refresh_token") });
    b.anyone().post("/v1/auth/refresh", renewed).await.refused(401, "session_expired");
    mia.at(&b.base).post_empty("/v1/auth/logout").await.done(204);
    tokio::time::sleep(REMEMBERED).await;
    mia.at(&c.base).get("/v1/me").await.refused(401, "invalid_token");

    // A key is one key: nine calls at once at three servers make one order.
    let mia = c.login("mia@example.com").await;
    mia.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 2 })).await.done(200);
    let mut calls = JoinSet::new();
    for n in 0..9 {
        let mia = mia.at(&servers[n % 3].base).once("one order");
        calls.spawn(async move {
            loop {
                let answer = mia.post("/v1/checkout", card("pm_card_visa")).await;
                if answer.status != 409 {
                    return id(&answer.expect(201)).to_owned();
                }
                answer.refused(409, "idempotency_in_progress");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    let orders: HashSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(orders.len(), 1);
    let stock = admin.at(&b.base).get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(18), &json!(0)));
    c.assert_verified();
}

/// When each mail was written, as often as it was; looked at all the time.
fn watch_mails(folder: &Path, end: Arc<AtomicBool>) -> std::thread::JoinHandle<BTreeMap<String, BTreeSet<SystemTime>>> {
    let folder = folder.join("mail");
    std::thread::spawn(move || {
        let mut seen: BTreeMap<String, BTreeSet<SystemTime>> = BTreeMap::new();
        loop {
            let last = end.load(Ordering::Acquire);
            for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let written = file.metadata().and_then(|metadata| metadata.modified());
                if let (true, Ok(written)) = (name.ends_with(".eml"), written) {
                    seen.entry(name).or_default().insert(written);
                }
            }
            if last {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// A guest who wants one unit and asks one server after another until there is an answer; the order, if there was a unit left.
async fn buy(guest: Client, bases: Vec<String>, n: usize, bought: Arc<AtomicUsize>) -> Option<(String, String)> {
    let mut body = card("pm_card_visa");
    body["email"] = json!(format!("buyer-{n}@example.com"));
    let body = body.to_string().into_bytes();
    let guest = guest.once("my only order");
    let end = Instant::now() + Duration::from_mins(2);
    for attempt in n.. {
        assert!(Instant::now() < end, "buyer {n} got no answer");
        let guest = guest.at(&bases[attempt % bases.len()]);
        match guest.try_send("POST", "/v1/checkout", Some(("application/json", body.clone()))).await {
            Ok(answer) if answer.status == 201 => {
                bought.fetch_add(1, Ordering::Relaxed);
                let order = answer.json();
                return Some((id(&order).to_owned(), at(&order, "/order_token").to_owned()));
            }
            Ok(answer) if answer.json()["code"] == "out_of_stock" => return None,
            // The server that had taken the call is gone; in time, its lease is.
            Ok(answer) => {
                answer.refused(409, "idempotency_in_progress");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(_) => {}
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_buyers_of_fifty_units_at_three_servers_of_which_one_dies() {
    let (home, mut servers) = three().await;
    let end = Arc::new(AtomicBool::new(false));
    let mails = watch_mails(home.path(), end.clone());
    let admin = servers[0].admin().await;
    let product = servers[0].product(&admin, "RARE", "19.90", 50).await;
    let variant = at(&product, "/variants/0/id");
    let bases: Vec<String> = servers.iter().map(|server| server.base.clone()).collect();
    let (mut buyers, bought) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let mut guests = Vec::new();
    for n in 0..200 {
        guests.push(servers[n % 3].guest_with(variant, 1).await);
    }
    for (n, guest) in guests.into_iter().enumerate() {
        buyers.spawn(buy(guest, bases.clone(), n, bought.clone()));
    }
    while bought.load(Ordering::Relaxed) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    servers[1].kill();
    let told: Vec<(String, String)> = buyers.join_all().await.into_iter().flatten().collect();
    assert_eq!(told.len(), 50, "every unit was sold, and each to one");

    // Everything acknowledged is there, and stock adds up.
    let mut numbers = HashSet::new();
    for (order, token) in &told {
        let guest = servers[2].anyone().with("x-order-token", token);
        let order = guest.get(&format!("/v1/orders/{order}")).await.expect(200);
        assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
        numbers.insert(at(&order, "/number").to_owned());
    }
    let all = admin.get("/v1/admin/orders?limit=100&include_total=true").await.expect(200);
    assert_eq!((numbers.len(), all["items"].as_array().map(Vec::len)), (50, Some(50)), "{all}");
    let stock = admin.get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(0), &json!(0)));
    servers[0].assert_verified();

    // Mails that the dead server was about to send stay its own until its lease ends; then they are sent again.
    let mut database = PgConnection::connect(home.url()).await.expect("the database");
    let left = "SELECT id::text FROM commerce_task WHERE kind = 'send' ORDER BY id";
    let (mut held, mut since): (Vec<String>, Instant) = (Vec::new(), Instant::now());
    while since.elapsed() < Duration::from_secs(3) {
        let now: Vec<String> = query_scalar(left).fetch_all(&mut database).await.expect("tasks");
        if now != held {
            (held, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = "UPDATE commerce_task SET lease_until = 1 WHERE kind = 'send' AND lease_until > 1";
    query(ended).execute(&mut database).await.expect("two minutes pass");
    let waited = Instant::now();
    while !query_scalar::<_, String>(left).fetch_all(&mut database).await.expect("tasks").is_empty() {
        assert!(waited.elapsed() < Duration::from_secs(30), "messages are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    end.store(true, Ordering::Release);
    let written = mails.join().expect("the watch");
    let texts = servers[0].mails();
    for number in &numbers {
        let sent = texts.iter().filter(|mail| mail.contains(number.as_str())).count();
        assert_eq!(sent, 1, "one mail for the order {number}");
    }
    assert_eq!(texts.iter().filter(|mail| mail.contains("buyer-")).count(), 50, "and none for nobody's order");
    for (mail, times) in &written {
        let was_held = held.iter().any(|task| mail.contains(task.as_str()));
        assert!(times.len() == 1 || (was_held && times.len() == 2), "{mail} was sent at {times:?}");
    }
}
