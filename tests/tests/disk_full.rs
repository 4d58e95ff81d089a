//! The real server on SQLite when its files may grow no further: 503, nothing acknowledged is lost, and it goes on when there
//! is space again.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use commerce_tests::http::{Backend, Client, Home, Server, at, card, id};
use serde_json::{Value, json};

/// How much the files may still grow by.
const QUOTA: u64 = 1_000_000;

/// A server that takes the end of its quota for an error, as it would a full disk, instead of dying by SIGXFSZ.
async fn start(home: &Arc<Home>) -> Server {
    let plain = home.command();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(plain.get_program());
    command.current_dir(home.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let home = home.clone();
    tokio::task::spawn_blocking(move || Server::start_by(home, command, &[], &[])).await.expect("the server starts")
}

/// How large a file of the server's may become.
fn limit_files(server: &Server, size: &str) {
    let pid = server.pid().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:")]).status();
    assert!(done.expect("prlimit runs").success());
}

struct Attempt {
    guest: Client,
    key: String,
    order: Option<Value>,
}

impl Attempt {
    /// Sends it under its key; the status.
    async fn send(&mut self) -> u16 {
        let mut body = card("pm_card_visa");
        body["email"] = json!("guest@example.com");
        let answer = self.guest.once(&self.key).post("/v1/checkout", body).await;
        match answer.status {
            201 | 202 => self.order = Some(answer.json()),
            503 => assert!(!answer.header("retry-after").is_empty(), "{}", answer.text()),
            409 => drop(answer.refused(409, "idempotency_in_progress")),
            _ => panic!("{}: {}", answer.status, answer.text()),
        }
        answer.status
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_loses_nothing_and_passes() {
    let home = Home::new(Backend::Sqlite).await;
    let mut server = start(&home).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 1_000_000).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let mut attempts = Vec::new();
    for n in 0..60 {
        let guest = server.guest_with(&variant, 1).await;
        attempts.push(Attempt { guest, key: format!("attempt {n}"), order: None });
    }
    let grown = |name: &str| std::fs::metadata(home.path().join(name)).map_or(0, |file| file.len());
    let largest = grown("shop.db").max(grown("shop.db-wal"));
    limit_files(&server, &(largest + QUOTA).to_string());

    let mut refused_in_a_row = 0;
    for attempt in &mut attempts {
        refused_in_a_row = if attempt.send().await == 503 { refused_in_a_row + 1 } else { 0 };
        if refused_in_a_row == 10 {
            break;
        }
    }
    let acknowledged = attempts.iter().filter(|attempt| attempt.order.is_some()).count();
    assert!(acknowledged > 0 && refused_in_a_row == 10, "{acknowledged} acknowledged, then {refused_in_a_row} refused");
    admin.get("/v1/admin/orders").await.done(200);

    limit_files(&server, "unlimited");
    let spacious = Instant::now();
    for attempt in &mut attempts {
        while attempt.order.is_none() {
            attempt.send().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(spacious.elapsed() < Duration::from_mins(1), "{}: {}", attempt.key, server.log());
        }
    }
    for ends_first in [false, true] {
        if ends_first {
            server.kill();
            server = start(&home).await;
        }
        server.assert_verified();
        for attempt in &attempts {
            let told = attempt.order.as_ref().expect("an order");
            let guest = server.anyone().with("x-order-token", at(told, "/order_token"));
            let order = guest.get(&format!("/v1/orders/{}", id(told))).await.expect(200);
            assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
        }
    }
    let stock = admin.of(&server.base).get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    let left = 1_000_000 - i64::try_from(attempts.len()).expect("a small number");
    assert_eq!((stock["on_hand"].as_i64(), stock["reserved"].as_i64()), (Some(left), Some(0)));
    println!("{acknowledged} orders before the disk was full, {} in the end", attempts.len());
}
