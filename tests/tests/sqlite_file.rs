//! On SQLite, the file is the shop: it is whole after a stop, its loss is noticed, and it can be copied while it is in use.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use commerce_core::{prelude::*, store::Store as _};
use commerce_sqlite::SqliteStore;
use commerce_tests::http::{Backend, Client, Home, Server, at, card, id};
use serde_json::{Value, json};

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// What a command says; it must end well, or with an error.
fn run(home: &Home, database: &Path, arguments: &[&str]) -> Output {
    let mut command = home.command();
    command.env("COMMERCE_DATABASE_URL", url(database)).args(arguments).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

#[track_caller]
fn refused(output: &Output, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words) && said.lines().count() == 1, "{said}");
}

/// A server of the shop in this file.
async fn start_on(database: &Path, settings: &[(&str, &str)]) -> Server {
    let home = Home::at(url(database));
    let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let start = move || {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Server::start_in(home, &settings, &[])
    };
    tokio::task::spawn_blocking(start).await.expect("the server starts")
}

async fn buy(server: &Server, variant: &str) -> Value {
    let guest = server.guest_with(variant, 1).await;
    let mut body = card("pm_card_visa");
    body["email"] = json!("guest@example.com");
    guest.post("/v1/checkout", body).await.expect(201)
}

async fn shop_with_a_mug(server: &Server) -> (Client, String) {
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 100_000).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    (admin, variant)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_the_file_alone_is_the_shop() {
    let home = Home::new(Backend::Sqlite).await;
    let mut server = Server::start_in(home.clone(), &[], &[]);
    let (_, variant) = shop_with_a_mug(&server).await;
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(id(&buy(&server, &variant).await).to_owned());
    }
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert_eq!(names_in(home.path()), ["mail", "shop.db"], "nothing is beside it");

    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("copy.db");
    fs::copy(home.path().join("shop.db"), &copy).expect("a copy");
    // Looking at it leaves nothing behind, either.
    done(&run(&home, &copy, &["verify"]));
    assert_eq!(names_in(elsewhere.path()), ["copy.db"]);
    let server = start_on(&copy, &[]).await;
    let found = server.admin().await.orders().await;
    assert_eq!(found.len(), orders.len());
    assert!(orders.iter().all(|order| found.iter().any(|found| id(found) == order)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_shop_closes_into_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let store = SqliteStore::open(&url(&path)).await.expect("a store");
    let shop = Commerce::builder().store(store.clone()).build().expect("a shop");
    let ada = Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace");
    shop.as_guest().accounts().register(ada.clone()).await.expect("an account");
    assert!(names_in(folder.path()).len() > 1, "its newest writes are beside it");
    shop.close().await.expect("it closes");
    assert_eq!(names_in(folder.path()), ["shop.db"]);
    shop.close().await.expect("it is closed already");
    assert!(store.reads().ping().await.is_err(), "what comes later is refused");
    assert!(!shop.health().await.is_able());

    let copy = folder.path().join("copy.db");
    fs::copy(&path, &copy).expect("a copy");
    let store = SqliteStore::open(&url(&copy)).await.expect("a store");
    let shop = Commerce::builder().store(store).build().expect("a shop");
    let taken = shop.as_guest().accounts().register(ada).await;
    assert!(taken.is_err(), "the account is there");
    assert!(shop.clock().now().as_micros() > 0 && shop.health().await.is_able());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_is_missed_before_the_next_acknowledgement() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let aside = folder.path().join("aside.db");
    let server = start_on(&path, &[]).await;
    let (_, variant) = shop_with_a_mug(&server).await;
    buy(&server, &variant).await;
    let guest = server.guest_with(&variant, 1).await;
    let mut order = card("pm_card_visa");
    order["email"] = json!("guest@example.com");

    // Moved away, and back.
    fs::rename(&path, &aside).expect("it moves");
    let answer = guest.once("one").post("/v1/checkout", order.clone()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let problem = server.anyone().get("/health/ready").await.refused(503, "not_ready");
    assert_eq!((&problem["checks"]["database"], &problem["checks"]["worker"]), (&json!("failed"), &json!("ok")));
    fs::rename(&aside, &path).expect("it moves");
    server.ready().await;
    guest.once("one").post("/v1/checkout", order.clone()).await.done(201);

    // Replaced by a copy, as a restore under a running server would.
    let guest = server.guest_with(&variant, 1).await;
    fs::copy(&path, &aside).expect("a copy");
    fs::rename(&aside, &path).expect("it moves");
    let answer = guest.once("two").post("/v1/checkout", order).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let problem = server.anyone().get("/health/ready").await.refused(503, "not_ready");
    assert_eq!(problem["checks"]["database"], "failed", "{problem}");
    assert!(server.log().contains("was replaced while it was open"), "{}", server.log());

    // Removed for good.
    fs::remove_file(&path).expect("it goes");
    server.not_ready("database").await;
    server.anyone().get("/health/live").await.done(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_deleted_is_missed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let server = start_on(&path, &[]).await;
    let (admin, _) = shop_with_a_mug(&server).await;
    fs::remove_file(folder.path().join("shop.db-wal")).expect("it is there");
    let category = json!({ "name": "Lost" });
    let answer = admin.post("/v1/admin/categories", category).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    server.anyone().get("/health/ready").await.refused(503, "not_ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.db");
    let mut server = start_on(&path, &[]).await;
    shop_with_a_mug(&server).await;
    // All is in the file itself, and nothing of it in the new server's memory.
    server.signal("TERM");
    server.wait();
    let server = start_on(&path, &[]).await;
    server.ready().await;
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the file");
    let size = file.metadata().expect("its size").len();
    for page in 1..size / 4096 {
        file.write_all_at(&[0xa5; 4096], page * 4096).expect("it is overwritten");
    }
    server.not_ready("database").await;
    let answer = server.anyone().get("/v1/products").await;
    assert!([200, 503].contains(&answer.status), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_only_be_read_is_not_opened_for_business() {
    let home = Home::new(Backend::Sqlite).await;
    let database = home.path().join("shop.db");
    done(&run(&home, &database, &["migrate"]));
    let mut command = home.command();
    command.env("COMMERCE_DATABASE_URL", format!("{}?mode=ro", url(&database)));
    refused(&command.arg("serve").output().expect("it runs"), "can only be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_changes_nothing() {
    let home = Home::new(Backend::Sqlite).await;
    let missing = home.path().join("missing.db");
    refused(&run(&home, &missing, &["verify"]), "there is no database");
    assert!(!missing.exists());

    let empty = home.path().join("empty.db");
    fs::write(&empty, "").expect("a file");
    let output = run(&home, &empty, &["verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(fs::read(&empty).expect("the file"), b"", "{}", said(&output));
    assert_eq!(names_in(home.path()), ["empty.db"]);
}

/// Buyers who go on until they are told to stop.
fn buyers(server: &Server, variant: &str, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<usize>> {
    let buyer = || {
        let (anyone, variant, stop) = (server.anyone(), variant.to_owned(), stop.clone());
        tokio::spawn(async move {
            let mut bought = 0;
            while !stop.load(Ordering::Relaxed) {
                let item = json!({ "variant_id": variant, "quantity": 1 });
                let cart = anyone.post("/v1/cart/items", item).await.expect(200);
                let mut body = card("pm_card_visa");
                body["email"] = json!("guest@example.com");
                anyone.with("x-cart-token", at(&cart, "/cart_token")).post("/v1/checkout", body).await.done(201);
                bought += 1;
            }
            bought
        })
    };
    (0..4).map(|_| buyer()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_a_whole_shop() {
    let home = Home::new(Backend::Sqlite).await;
    let database = home.path().join("shop.db");
    let server = Server::start_in(home.clone(), &[], &[]);
    let (_, variant) = shop_with_a_mug(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let buyers = buyers(&server, &variant, &stop);

    let mut backups: Vec<(PathBuf, usize)> = Vec::new();
    for n in 0..3 {
        let before = server.admin().await.orders().await.len();
        let to = home.path().join(format!("backup-{n}.db"));
        let (home, database, file) = (home.clone(), database.clone(), to.clone());
        let backup = move || run(&home, &database, &["backup", "--to", file.to_str().expect("a path")]);
        done(&tokio::task::spawn_blocking(backup).await.expect("it runs"));
        backups.push((to, before));
    }
    stop.store(true, Ordering::Relaxed);
    let mut bought = 0;
    for buyer in buyers {
        bought += buyer.await.expect("a buyer");
    }
    assert!(bought >= 4, "{bought} orders");

    for (backup, at_least) in &backups {
        let mode = fs::metadata(backup).expect("the backup").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        done(&run(&home, backup, &["verify"]));
        let restored = backup.with_extension("restored.db");
        done(&run(&home, &restored, &["restore", "--from", backup.to_str().expect("a path")]));
        done(&run(&home, &restored, &["verify"]));
        let server = start_on(&restored, &[]).await;
        let found = server.admin().await.orders().await.len();
        assert!((*at_least..=bought).contains(&found), "{found} orders, of {at_least} to {bought}");
    }
    let left = names_in(home.path()).into_iter().filter(|name| name.ends_with(".part")).count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_and_databases_are_never_overwritten() {
    let home = Home::new(Backend::Sqlite).await;
    let path = |name: &str| home.path().join(name);
    let text = |name: &str| path(name).to_str().expect("a path").to_owned();
    done(&run(&home, &path("shop.db"), &["migrate"]));
    done(&run(&home, &path("shop.db"), &["backup", "--to", &text("backup.db")]));

    refused(&run(&home, &path("shop.db"), &["backup", "--to", &text("backup.db")]), "exists already");
    refused(&run(&home, &path("none.db"), &["backup", "--to", &text("new.db")]), "there is no file");
    refused(&run(&home, &path("shop.db"), &["backup", "--to", "/nowhere/at/all.db"]), "/nowhere/at/all.db");
    refused(&run(&home, &path("shop.db"), &["restore", "--from", &text("backup.db")]), "exists already");
    refused(&run(&home, &path("new.db"), &["restore", "--from", &text("none.db")]), "there is no file");
    for beside in ["new.db-wal", "new.db-shm", "new.db-journal"] {
        fs::write(path(beside), "x").expect("a file");
        refused(&run(&home, &path("new.db"), &["restore", "--from", &text("backup.db")]), "left over");
        fs::remove_file(path(beside)).expect("it goes");
    }
    // A copy of a database in use isn't a backup; neither is anything else.
    fs::copy(path("backup.db"), path("half.db")).expect("a copy");
    fs::write(path("half.db-wal"), "x").expect("a file");
    refused(&run(&home, &path("new.db"), &["restore", "--from", &text("half.db")]), "isn't a backup");
    fs::write(path("letter.txt"), "Dear Ada").expect("a file");
    refused(&run(&home, &path("new.db"), &["restore", "--from", &text("letter.txt")]), "letter.txt");
    let whole = fs::read(path("backup.db")).expect("the backup");
    fs::write(path("short.db"), &whole[..whole.len() / 2]).expect("a file");
    refused(&run(&home, &path("new.db"), &["restore", "--from", &text("short.db")]), "short.db");
    assert!(!path("new.db").exists());
    assert!(names_in(home.path()).iter().all(|name| !name.ends_with(".part")), "{:?}", names_in(home.path()));

    done(&run(&home, &path("new.db"), &["restore", "--from", &text("backup.db")]));
    let mut postgres = home.command();
    postgres.env("COMMERCE_DATABASE_URL", "postgres://shop@127.0.0.1/shop").args(["backup", "--to", &text("pg.db")]);
    refused(&postgres.output().expect("it runs"), "pg_dump");
}
