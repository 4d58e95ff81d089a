//! The real server when its database has no space left: 503, nothing acknowledged is lost, and it goes on when there is space
//! again.

mod postgres;
mod sqlite;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use commerce_tests::http::{Client, Response, Server, at, card, id};
use serde_json::{Value, json};

/// More than anybody buys here.
const PLENTY: i64 = 1_000_000;

/// How large a file of a process, and of those that it starts from now on, may become. `prlimit` is that program.
fn limit_files(mut prlimit: Command, pid: u32, size: &str) {
    let done = prlimit.args(["--pid", &pid.to_string(), &format!("--fsize={size}:")]).status();
    // It may have ended meanwhile.
    let gone = || !Path::new(&format!("/proc/{pid}")).exists();
    assert!(done.expect("prlimit runs").success() || gone());
}

/// Somebody's one order.
struct Attempt {
    guest: Client,
    key: String,
    order: Option<Value>,
}

/// Guests with a unit of something in their carts; and its id.
async fn attempts(server: &Server, count: usize) -> (Vec<Attempt>, String) {
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", PLENTY).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let mut attempts = Vec::new();
    for n in 0..count {
        let guest = server.guest_with(&variant, 1).await;
        attempts.push(Attempt { guest, key: format!("attempt {n}"), order: None });
    }
    (attempts, variant)
}

impl Attempt {
    /// Sends it under its key; the answer.
    async fn ask(&mut self) -> Response {
        let mut body = card("pm_card_visa");
        body["email"] = json!("guest@example.com");
        let answer = self.guest.once(&self.key).post("/v1/checkout", body).await;
        if [201, 202].contains(&answer.status) {
            self.order = Some(answer.json());
        }
        answer
    }

    /// Sends it under its key, which nothing worse may happen to than being told to come again; the status.
    async fn send(&mut self) -> u16 {
        let answer = self.ask().await;
        match answer.status {
            201 | 202 => {}
            503 => assert!(!answer.header("retry-after").is_empty(), "{}", answer.text()),
            409 => drop(answer.refused(409, "idempotency_in_progress")),
            _ => panic!("{}: {}", answer.status, answer.text()),
        }
        answer.status
    }
}

/// Sends each attempt until so many in a row are refused; how many were acknowledged.
async fn fill_up(attempts: &mut [Attempt], in_a_row: usize) -> usize {
    let mut refused = 0;
    for attempt in attempts.iter_mut() {
        refused = if attempt.send().await == 503 { refused + 1 } else { 0 };
        if refused == in_a_row {
            break;
        }
    }
    let acknowledged = attempts.iter().filter(|attempt| attempt.order.is_some()).count();
    assert!(acknowledged > 0 && refused == in_a_row, "{acknowledged} acknowledged, then {refused} refused");
    acknowledged
}

/// Sends each attempt under its key until there is an order.
async fn go_on(server: &Server, attempts: &mut [Attempt]) {
    let spacious = Instant::now();
    for attempt in attempts {
        while attempt.order.is_none() {
            attempt.send().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(spacious.elapsed() < Duration::from_mins(2), "{}: {}", attempt.key, server.log());
        }
    }
}

/// Every order that was told of is there and paid, and no other has taken a unit.
async fn all_is_there(server: &Server, attempts: &[Attempt], variant: &str) {
    server.assert_verified();
    for attempt in attempts {
        let told = attempt.order.as_ref().expect("an order");
        let guest = server.anyone().with("x-order-token", at(told, "/order_token"));
        let order = guest.get(&format!("/v1/orders/{}", id(told))).await.expect(200);
        assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
    }
    let stock = server.admin().await.get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    let left = PLENTY - i64::try_from(attempts.len()).expect("a small number");
    assert_eq!((stock["on_hand"].as_i64(), stock["reserved"].as_i64()), (Some(left), Some(0)));
}
