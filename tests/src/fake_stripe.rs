//! [`FakeStripe`]: Stripe in memory, with its idempotency, its rules on money, a ledger, and faults on demand.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use commerce_core::{
    clock::{Clock, SystemClock},
    id::{PaymentId, RefundId},
    payment::stripe::{HttpRequest, HttpResponse, HttpTransport, Method, TransportError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;

/// What goes wrong with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StripeFault {
    /// The connection is refused.
    Refused,
    /// The request is lost on its way.
    LostBefore,
    /// The answer is lost on its way.
    LostAfter,
    /// 429: too many requests.
    Busy,
    /// 503, without effect.
    Failed,
    /// 500, though with effect. Stripe repeats it under the same key.
    FailedAfter,
}

/// What the ledger says of a payment of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How many intents there are for it.
    pub intents: usize,
    /// What was taken.
    pub captured: i64,
    /// What went back.
    pub refunded: i64,
}

/// Stripe in memory. Clones are the same.
#[derive(Clone, Default)]
pub struct FakeStripe(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    intents: Vec<Intent>,
    refunds: Vec<Refund>,
    keys: HashMap<String, Kept>,
    faults: VecDeque<StripeFault>,
    forbidden: Vec<String>,
    calls: usize,
}

/// What is kept under an idempotency key.
struct Kept {
    request: (String, Option<String>),
    /// None while it is being worked on.
    answer: Option<(u16, Value)>,
}

struct Intent {
    id: String,
    amount: i64,
    currency: String,
    capture: bool,
    status: &'static str,
    captured: i64,
    decline: Option<&'static str>,
    metadata: HashMap<String, String>,
    created: i64,
}

struct Refund {
    id: String,
    intent: String,
    amount: i64,
    status: &'static str,
    currency: String,
    metadata: HashMap<String, String>,
}

type StripeResult = Result<(u16, Value), (u16, Value)>;

fn refuse<T>(status: u16, kind: &str, code: &str) -> Result<T, (u16, Value)> {
    Err((status, json!({"error": {"type": kind, "code": code, "message": format!("no: {code}")}})))
}

fn invalid<T>(code: &str) -> Result<T, (u16, Value)> {
    refuse(400, "invalid_request_error", code)
}

impl Intent {
    fn json(&self) -> Value {
        let error = self.decline.map(|code| json!({"code": "card_declined", "decline_code": code}));
        json!({"id": self.id, "object": "payment_intent", "status": self.status, "amount": self.amount,
            "currency": self.currency, "amount_received": self.captured, "client_secret": format!("{}_secret", self.id),
            "next_action": (self.status == "requires_action").then(|| json!({"type": "use_stripe_sdk"})),
            "last_payment_error": error, "metadata": self.metadata, "created": self.created})
    }

    fn succeed(&mut self) {
        (self.status, self.captured) = if self.capture { ("succeeded", self.amount) } else { ("requires_capture", 0) };
    }
}

impl Refund {
    fn json(&self) -> Value {
        json!({"id": self.id, "object": "refund", "status": self.status, "amount": self.amount,
            "currency": self.currency, "payment_intent": self.intent, "metadata": self.metadata})
    }
}

impl FakeStripe {
    /// Makes the next requests go wrong, in this order.
    pub fn script(&self, faults: impl IntoIterator<Item = StripeFault>) {
        self.lock().faults.extend(faults);
    }

    /// What the ledger says of a payment, by our id.
    #[must_use]
    pub fn account(&self, payment: PaymentId) -> Account {
        let (state, payment) = (self.lock(), payment.to_string());
        let intents: Vec<_> = state.intents.iter().filter(|i| i.metadata.get("payment_id") == Some(&payment)).collect();
        let refunds = state.refunds.iter().filter(|refund| refund.status == "succeeded");
        let refunds = refunds.filter(|refund| intents.iter().any(|intent| intent.id == refund.intent));
        Account {
            intents: intents.len(),
            captured: intents.iter().map(|intent| intent.captured).sum(),
            refunded: refunds.map(|refund| refund.amount).sum(),
        }
    }

    /// What the ledger says of all payments of ours, by our ids.
    #[must_use]
    pub fn accounts(&self) -> HashMap<PaymentId, Account> {
        let ids: Vec<PaymentId> = {
            let state = self.lock();
            let ids = state.intents.iter().filter_map(|intent| intent.metadata.get("payment_id")?.parse().ok());
            ids.collect()
        };
        ids.into_iter().map(|id| (id, self.account(id))).collect()
    }

    /// Somebody gives money back past the shop. The event that Stripe makes of it.
    pub fn refund_past_us(&self, reference: &str, amount: i64) -> Value {
        let given = [("payment_intent", reference.to_owned()), ("amount", amount.to_string())];
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (Ok((status, body)) | Err((status, body))) = self.lock().refund(&given);
        assert_eq!(status, 200, "{body}");
        let id = format!("evt_{}", body["id"].as_str().unwrap_or_default());
        json!({"id": id, "type": "refund.created", "data": {"object": body}})
    }

    /// A refund fails after all, or is called off, by Stripe's id of it. The event that Stripe makes of it.
    pub fn bounce_past_us(&self, refund: &str, status: &'static str) -> Value {
        let mut state = self.lock();
        let found = state.refunds.iter_mut().find(|other| other.id == refund);
        let found = found.unwrap_or_else(|| panic!("no such refund: {refund}"));
        found.status = status;
        json!({"id": format!("evt_{refund}_{status}"), "type": "refund.updated", "data": {"object": found.json()}})
    }

    /// Takes rights from the key: requests whose method and path begin so are answered with 403.
    pub fn forbid(&self, what: &[&str]) {
        self.lock().forbidden = what.iter().map(|what| (*what).to_owned()).collect();
    }

    /// What Stripe calls a payment of ours.
    pub fn reference(&self, payment: PaymentId) -> String {
        let (state, id) = (self.lock(), payment.to_string());
        let intent = state.intents.iter().find(|intent| intent.metadata.get("payment_id") == Some(&id));
        intent.unwrap_or_else(|| panic!("no such payment: {id}")).id.clone()
    }

    /// The customer's bank sends a refund of ours back. The event that Stripe makes of it.
    pub fn bounce(&self, refund: RefundId) -> Value {
        let (mut state, id) = (self.lock(), refund.to_string());
        let refund = state.refunds.iter_mut().find(|refund| refund.metadata.get("refund_id") == Some(&id));
        let refund = refund.unwrap_or_else(|| panic!("no such refund: {id}"));
        refund.status = "failed";
        json!({"id": "evt_bounced", "type": "refund.failed", "data": {"object": refund.json()}})
    }

    /// The event that Stripe makes of how a refund of ours stands.
    pub fn refund_event(&self, kind: &str, refund: RefundId) -> Value {
        let (state, id) = (self.lock(), refund.to_string());
        let refund = state.refunds.iter().find(|refund| refund.metadata.get("refund_id") == Some(&id));
        let refund = refund.unwrap_or_else(|| panic!("no such refund: {id}"));
        json!({"id": "evt_refund", "type": kind, "data": {"object": refund.json()}})
    }

    /// The event that Stripe makes of how a payment stands.
    pub fn event(&self, kind: &str, reference: &str) -> Value {
        let mut state = self.lock();
        let intent = state.intent(reference).unwrap_or_else(|_| panic!("no such payment: {reference}"));
        json!({"id": "evt_1", "type": kind, "data": {"object": intent.json()}})
    }

    /// Somebody changes a payment's amount past the shop.
    pub fn reprice(&self, reference: &str, amount: i64) {
        let mut state = self.lock();
        let intent = state.intent(reference).unwrap_or_else(|_| panic!("no such payment: {reference}"));
        intent.amount = amount;
    }

    /// How many requests arrived.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Forgets all idempotency keys, as Stripe does after a day.
    pub fn forget_keys(&self) {
        self.lock().keys.clear();
    }

    /// The customer finishes 3-D Secure.
    pub fn authenticate(&self, reference: &str) {
        let mut state = self.lock();
        state.intent(reference).unwrap_or_else(|_| panic!("no such payment: {reference}")).succeed();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked, once for each key.
    async fn work(&self, request: &HttpRequest, fault: Option<StripeFault>) -> HttpResponse {
        let Some(key) = request.header("idempotency-key").map(str::to_owned) else {
            return response(self.lock().answer(request), false);
        };
        let asked = (request.path.clone(), request.body.clone());
        {
            let mut state = self.lock();
            if let Some(kept) = state.keys.get(&key) {
                if kept.request != asked {
                    return response(refuse(400, "idempotency_error", "key_used_otherwise"), false);
                }
                return match kept.answer.clone() {
                    Some(answer) => response(Ok(answer), true),
                    None => response(refuse(409, "idempotency_error", "idempotency_key_in_use"), false),
                };
            }
            state.keys.insert(key.clone(), Kept { request: asked, answer: None });
        }
        tokio::task::yield_now().await;
        let mut state = self.lock();
        let (Ok(mut answer) | Err(mut answer)) = state.answer(request);
        if fault == Some(StripeFault::FailedAfter) {
            answer = (500, json!({"error": {"type": "api_error"}}));
        }
        if let Some(kept) = state.keys.get_mut(&key) {
            kept.answer = Some(answer.clone());
        }
        response(Ok(answer), false)
    }
}

fn response(answer: StripeResult, replayed: bool) -> HttpResponse {
    let (Ok((status, body)) | Err((status, body))) = answer;
    let replay = ("Idempotent-Replayed".to_owned(), "true".to_owned());
    HttpResponse { status, headers: replayed.then_some(replay).into_iter().collect(), body: body.to_string().into() }
}

#[async_trait]
impl HttpTransport for FakeStripe {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let fault = {
            let mut state = self.lock();
            state.calls += 1;
            state.faults.pop_front()
        };
        match fault {
            Some(StripeFault::Refused) => return Err(TransportError::Connect("connection refused".to_owned())),
            Some(StripeFault::LostBefore) => return Err(TransportError::Timeout),
            Some(StripeFault::Busy) => return Ok(response(refuse(429, "invalid_request_error", "rate_limit"), false)),
            Some(StripeFault::Failed) => return Ok(response(refuse(503, "api_error", "down"), false)),
            Some(StripeFault::LostAfter | StripeFault::FailedAfter) | None => {}
        }
        let answer = self.work(&request, fault).await;
        if fault == Some(StripeFault::LostAfter) {
            return Err(TransportError::Broken("connection reset".to_owned()));
        }
        Ok(answer)
    }
}

impl State {
    fn answer(&mut self, request: &HttpRequest) -> StripeResult {
        let asked = format!("{:?} {}", request.method, request.path);
        if self.forbidden.iter().any(|what| asked.starts_with(what)) {
            return refuse(403, "invalid_request_error", "more_permissions_required");
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let given = form_urlencoded::parse(request.body.as_deref().unwrap_or(query).as_bytes());
        let given: HashMap<String, String> = given.into_owned().collect();
        let path: Vec<_> = path.trim_start_matches("/v1/").split('/').collect();
        match (request.method, path.as_slice()) {
            (Method::Post, ["payment_intents"]) => self.create(&given),
            (Method::Get, ["payment_intents"]) => Ok((200, page(&given, self.intents.iter().map(Intent::json)))),
            (Method::Get, ["payment_intents", id]) => Ok((200, self.intent(id)?.json())),
            (Method::Post, ["payment_intents", id, "capture"]) => self.capture(id, &given),
            (Method::Post, ["payment_intents", id, "cancel"]) => self.cancel(id),
            (Method::Post, ["refunds"]) => self.refund(&given),
            (Method::Get, ["refunds"]) => {
                let of = given.get("payment_intent");
                let refunds = self.refunds.iter().filter(|refund| of == Some(&refund.intent));
                Ok((200, page(&given, refunds.map(Refund::json))))
            }
            (Method::Get, ["refunds", id]) => match self.refunds.iter().find(|refund| refund.id == *id) {
                Some(refund) => Ok((200, refund.json())),
                None => refuse(404, "invalid_request_error", "resource_missing"),
            },
            _ => refuse(404, "invalid_request_error", "url_invalid"),
        }
    }

    fn intent(&mut self, id: &str) -> Result<&mut Intent, (u16, Value)> {
        let found = self.intents.iter_mut().find(|intent| intent.id == id);
        found.map_or_else(|| refuse(404, "invalid_request_error", "resource_missing"), Ok)
    }

    fn create(&mut self, given: &HashMap<String, String>) -> StripeResult {
        let mut intent = Intent {
            id: format!("pi_{}", self.intents.len() + 1),
            amount: payable(given)?,
            currency: given.get("currency").cloned().unwrap_or_default(),
            capture: given.get("capture_method").is_none_or(|method| method != "manual"),
            status: "requires_payment_method",
            captured: 0,
            decline: None,
            metadata: metadata(given),
            created: SystemClock.now().as_secs(),
        };
        match given.get("payment_method").map_or("", String::as_str) {
            "pm_card_visa" => intent.succeed(),
            "pm_card_visa_chargeDeclined" => intent.decline = Some("generic_decline"),
            "pm_card_visa_chargeDeclinedInsufficientFunds" => intent.decline = Some("insufficient_funds"),
            "pm_card_threeDSecure2Required" => intent.status = "requires_action",
            _ => return invalid("resource_missing"),
        }
        let (body, decline) = (intent.json(), intent.decline);
        self.intents.push(intent);
        match decline {
            Some(code) => Err((
                402,
                json!({"error": {"type": "card_error", "code": "card_declined", "decline_code": code, "payment_intent": body}}),
            )),
            None => Ok((200, body)),
        }
    }

    fn capture(&mut self, id: &str, given: &HashMap<String, String>) -> StripeResult {
        let amount = amount(given, "amount_to_capture")?;
        let intent = self.intent(id)?;
        if intent.status != "requires_capture" {
            return invalid("payment_intent_unexpected_state");
        }
        if amount > intent.amount {
            return invalid("amount_too_large");
        }
        (intent.status, intent.captured) = ("succeeded", amount);
        Ok((200, intent.json()))
    }

    fn cancel(&mut self, id: &str) -> StripeResult {
        let intent = self.intent(id)?;
        if matches!(intent.status, "succeeded" | "canceled") {
            return invalid("payment_intent_unexpected_state");
        }
        intent.status = "canceled";
        Ok((200, intent.json()))
    }

    fn refund(&mut self, given: &HashMap<String, String>) -> StripeResult {
        let intent = self.intent(given.get("payment_intent").map_or("", String::as_str))?;
        let (id, captured, currency) = (intent.id.clone(), intent.captured, intent.currency.clone());
        let amount = in_tens(amount(given, "amount")?, &currency)?;
        let stands = |refund: &&Refund| refund.intent == id && refund.status == "succeeded";
        let refunded: i64 = self.refunds.iter().filter(stands).map(|refund| refund.amount).sum();
        if amount > captured - refunded {
            return invalid(if refunded == captured { "charge_already_refunded" } else { "amount_too_large" });
        }
        let id = (format!("re_{}", self.refunds.len() + 1), id);
        let (metadata, status) = (metadata(given), "succeeded");
        self.refunds.push(Refund { id: id.0, intent: id.1, amount, status, currency, metadata });
        Ok((200, self.refunds.last().map(Refund::json).unwrap_or_default()))
    }
}

fn amount(given: &HashMap<String, String>, name: &str) -> Result<i64, (u16, Value)> {
    let amount = given.get(name).and_then(|text| text.parse().ok()).filter(|amount| *amount > 0);
    amount.map_or_else(|| invalid("parameter_invalid_integer"), Ok)
}

/// What Stripe takes: at least 50 of anything, in tens where a currency has three decimals.
fn payable(given: &HashMap<String, String>) -> Result<i64, (u16, Value)> {
    let amount = amount(given, "amount")?;
    if amount < 50 {
        return invalid("amount_too_small");
    }
    in_tens(amount, given.get("currency").map_or("", String::as_str))
}

fn in_tens(amount: i64, currency: &str) -> Result<i64, (u16, Value)> {
    if ["bhd", "jod", "kwd", "omr", "tnd"].contains(&currency) && amount % 10 != 0 {
        return Err((
            400,
            json!({"error": {"type": "invalid_request_error", "code": "parameter_invalid_integer", "param": "amount"}}),
        ));
    }
    Ok(amount)
}

fn metadata(given: &HashMap<String, String>) -> HashMap<String, String> {
    let name = |field: &str| Some(field.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
    given.iter().filter_map(|(field, value)| Some((name(field)?, value.clone()))).collect()
}

/// A page of a list, newest first.
fn page(given: &HashMap<String, String>, oldest_first: impl DoubleEndedIterator<Item = Value>) -> Value {
    let limit = given.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    let bound = |name: &str| given.get(name).and_then(|at| at.parse::<i64>().ok());
    let (from, to) = (bound("created[gte]").unwrap_or(i64::MIN), bound("created[lte]").unwrap_or(i64::MAX));
    let mut rest =
        oldest_first.rev().filter(|object| (from..=to).contains(&object["created"].as_i64().unwrap_or(from)));
    if let Some(last) = given.get("starting_after") {
        rest.by_ref().find(|object| object["id"] == **last);
    }
    let data: Vec<_> = rest.by_ref().take(limit).collect();
    json!({"object": "list", "data": data, "has_more": rest.next().is_some()})
}
