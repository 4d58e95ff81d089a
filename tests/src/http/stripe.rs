//! [`FakeStripe`](crate::fake_stripe::FakeStripe) as a process of its own, for servers to call.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use commerce_core::{
    clock::{Clock as _, SystemClock},
    payment::stripe::signature,
};
use serde_json::{Value, json};

use super::{Client, Response, Server, address};
use crate::fake_stripe::{Account, StripeFault};

/// What the server and Stripe sign webhooks with.
pub const WEBHOOK_SECRET: &str = "whsec_journeys";

/// A process that plays Stripe. Dropping it ends it.
pub struct StripeProcess {
    process: Child,
    base: String,
    client: Client,
}

impl StripeProcess {
    /// Starts one, with an empty ledger.
    pub fn start() -> Self {
        let this = std::env::current_exe().expect("the test's own path");
        let program = this.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("fake_stripe");
        let mut process = Command::new(program);
        let mut process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the fake Stripe starts");
        let mut port = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut port).expect("its port");
        let base = format!("http://127.0.0.1:{}", port.trim());
        Self { process, client: Client::new(&base), base }
    }

    /// Settings of a server that takes payments by it.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        stripe_settings(&self.base)
    }

    /// What its ledger says, by our ids of payments.
    pub async fn ledger(&self) -> HashMap<String, Account> {
        let ledger = self.client.get("/ledger").await.expect(200);
        serde_json::from_value(ledger).expect("a ledger")
    }

    /// Makes the next requests go wrong, in this order.
    pub async fn script(&self, faults: &[StripeFault]) {
        self.client.post("/faults", json!(faults)).await.done(200);
    }

    /// Has something done past the shop: `authenticate/{payment}`, `refund/{payment}/{amount}`, `reprice/{payment}/{amount}`,
    /// `bounce/{refund}`. What it answers.
    pub async fn act(&self, what: &str) -> Value {
        self.client.post_empty(&format!("/do/{what}")).await.expect(200)
    }

    /// The event that it makes of how a payment stands.
    pub async fn event(&self, kind: &str, payment: &str) -> Value {
        self.client.get(&format!("/event/{kind}/{payment}")).await.expect(200)
    }
}

impl Drop for StripeProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Settings of a server that takes payments by a Stripe at `base`.
pub fn stripe_settings(base: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("STRIPE_SECRET_KEY", crate::localstripe::SECRET_KEY),
        ("STRIPE_API_BASE", base),
        ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ]
}

/// A checkout's body, paid by Stripe.
pub fn stripe_card(token: &str) -> Value {
    json!({ "shipping_address": address(), "payment": { "method": "stripe", "token": token } })
}

impl Server {
    /// Delivers an event as Stripe does.
    pub async fn deliver(&self, event: &Value) -> Response {
        let body = event.to_string().into_bytes();
        let signature = signature(WEBHOOK_SECRET, SystemClock.now(), &body);
        let stripe = self.anyone().with("stripe-signature", &signature);
        stripe.send("POST", "/v1/webhooks/payments/stripe", Some(("application/json", body))).await
    }
}
