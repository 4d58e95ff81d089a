//! `localstripe`, a stand-in for Stripe from `PyPI`, as a process of its own.
//!
//! What it gets wrong (idempotency, over-refunds) is tested against [`FakeStripe`](crate::fake_stripe::FakeStripe).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use async_trait::async_trait;
use commerce_core::payment::stripe::{
    HttpRequest, HttpResponse, HttpTransport, ReqwestTransport, StripeConfig, TransportError,
};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const VERSION: &str = "1.15.10";
/// Localstripe takes any secret key.
pub const SECRET_KEY: &str = "sk_test_localstripe";

/// A running localstripe; it ends when this is dropped.
pub struct Localstripe {
    process: Child,
    base: String,
    http: Client,
    _state: TempDir,
}

impl Localstripe {
    /// Starts one, empty, on a free port of 127.0.0.1. Installs it first if need be.
    #[must_use]
    pub fn start() -> Self {
        let packages = installed();
        let state = tempfile::tempdir().expect("a temporary folder for localstripe's state");
        let mut process = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("run_localstripe.py"))
            .env("PYTHONPATH", packages)
            .env("TMPDIR", state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(state.path().join("log")).expect("a log"))
            .spawn()
            .expect("localstripe starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut port = String::new();
        BufReader::new(stdout).read_line(&mut port).expect("localstripe says its port");
        if port.is_empty() {
            let log = fs::read_to_string(state.path().join("log")).unwrap_or_default();
            panic!("localstripe didn't start:\n{log}");
        }
        let http = Client::builder().no_proxy().build().expect("an HTTP client");
        Self { process, base: format!("http://127.0.0.1:{}", port.trim()), http, _state: state }
    }

    /// What to give as Stripe's API base.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A transport that makes up for what localstripe leaves out; see [`Patient`].
    #[must_use]
    pub fn transport(&self, config: &StripeConfig) -> Patient {
        Patient(ReqwestTransport::new(config).expect("an HTTP client"))
    }

    /// A new payment method for a card that asks for 3-D Secure: there is no ready-made token for one.
    pub async fn three_d_secure_token(&self) -> String {
        let card = json!({"type": "card", "card": {"number": "4000002500003155", "exp_month": 12, "exp_year": 2040, "cvc": "123"}});
        let method = self.post("/v1/payment_methods", &card).await;
        method["id"].as_str().expect("an id").to_owned()
    }

    /// The customer finishes 3-D Secure, or fails to.
    pub async fn authenticate(&self, reference: &str, client_secret: &str, success: bool) {
        let body = json!({"client_secret": client_secret, "success": success});
        self.post(&format!("/v1/payment_intents/{reference}/_authenticate"), &body).await;
    }

    /// Has events sent to an address, a second after they happen, once.
    pub async fn send_webhooks_to(&self, url: &str, secret: &str) {
        let request = self.http.post(format!("{}/_config/webhooks/test", self.base));
        let answer = request.json(&json!({"url": url, "secret": secret})).send().await.expect("localstripe answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(SECRET_KEY).json(body);
        let answer = request.send().await.expect("localstripe answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }
}

impl Drop for Localstripe {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder that localstripe is installed in: once for each checkout.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let folder = target.join(format!("localstripe-{VERSION}"));
        if !folder.exists() {
            install(&target, &folder);
        }
        folder
    })
}

fn install(target: &Path, folder: &Path) {
    let staging = tempfile::tempdir_in(target).expect("a temporary folder under target/");
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(staging.path())
        .arg(format!("localstripe=={VERSION}"))
        .output();
    let help = "the Stripe tests need Python with pip and a way to PyPI: `apt-get install python3 python3-pip`";
    let output = output.unwrap_or_else(|error| panic!("{help} (python3: {error})"));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{help}\n{log}");
    // Should another process have been faster, its folder is as good.
    if let Err(error) = fs::rename(staging.keep(), folder) {
        assert!(folder.exists(), "localstripe can't be put in place: {error}");
    }
}

/// Speaks to localstripe as if it were complete: leaves out the time window of lists, which it refuses, and works out
/// `amount_received`, which it lacks (what isn't captured, it books as a refund).
pub struct Patient(ReqwestTransport);

#[async_trait]
impl HttpTransport for Patient {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if let Some((path, query)) = request.path.split_once('?') {
            let query: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("created[")).collect();
            request.path = format!("{path}?{}", query.join("&"));
        }
        let mut response = self.0.send(request).await?;
        if let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) {
            match body["data"].as_array_mut() {
                Some(list) => list.iter_mut().for_each(complete),
                None => complete(&mut body),
            }
            response.body = body.to_string().into_bytes();
        }
        Ok(response)
    }
}

fn complete(object: &mut Value) {
    if object["object"] != "payment_intent" || object["status"] != "succeeded" {
        return;
    }
    let refunds = object["latest_charge"]["refunds"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let not_taken = refunds.iter().filter(|refund| refund["metadata"]["refund_id"].is_null());
    let not_taken: i64 = not_taken.filter_map(|refund| refund["amount"].as_i64()).sum();
    object["amount_received"] = json!(object["amount"].as_i64().unwrap_or_default() - not_taken);
}
