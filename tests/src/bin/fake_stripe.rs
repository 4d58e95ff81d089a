//! [`FakeStripe`] as a process of its own, whose ledger outlives the shops that call it. Prints its port.
//!
//! Besides Stripe's calls, with our ids: `GET /ledger`, `POST /faults` (a list, for the next requests),
//! `POST /do/authenticate/{payment}`, `POST /do/refund/{payment}/{amount}`, `POST /do/reprice/{payment}/{amount}`,
//! `POST /do/bounce/{refund}` and `GET /event/{type}/{payment}`. It ends with its parent.

use std::io::Read as _;

use commerce_core::{
    id::{PaymentId, RefundId},
    payment::stripe::{HttpRequest, HttpTransport as _, Method, TransportError},
};
use commerce_tests::fake_stripe::{FakeStripe, StripeFault};
use poem::{
    Endpoint, EndpointExt as _, Request, Response, Route, Server, endpoint, handler,
    http::{Method as Verb, StatusCode},
    listener::TcpAcceptor,
    web::{Data, Json, Path},
};
use serde_json::{Value, json};
use uuid::Uuid;

#[handler]
fn ledger(stripe: Data<&FakeStripe>) -> Json<Value> {
    Json(json!(stripe.accounts()))
}

#[handler]
fn faults(stripe: Data<&FakeStripe>, faults: Json<Vec<StripeFault>>) {
    stripe.script(faults.0);
}

#[handler]
fn authenticate(stripe: Data<&FakeStripe>, Path(payment): Path<Uuid>) {
    stripe.authenticate(&stripe.reference(PaymentId(payment)));
}

#[handler]
fn refund_past_us(stripe: Data<&FakeStripe>, Path((payment, amount)): Path<(Uuid, i64)>) -> Json<Value> {
    Json(stripe.refund_past_us(&stripe.reference(PaymentId(payment)), amount))
}

#[handler]
fn bounce_past_us(stripe: Data<&FakeStripe>, Path(refund): Path<String>) -> Json<Value> {
    Json(stripe.bounce_past_us(&refund, "failed"))
}

#[handler]
fn call_off(stripe: Data<&FakeStripe>, Path(refund): Path<String>) -> Json<Value> {
    Json(stripe.bounce_past_us(&refund, "canceled"))
}

#[handler]
fn reprice(stripe: Data<&FakeStripe>, Path((payment, amount)): Path<(Uuid, i64)>) {
    stripe.reprice(&stripe.reference(PaymentId(payment)), amount);
}

#[handler]
fn bounce(stripe: Data<&FakeStripe>, Path(id): Path<Uuid>) -> Json<Value> {
    Json(stripe.bounce(RefundId(id)))
}

#[handler]
fn event(stripe: Data<&FakeStripe>, Path((kind, payment)): Path<(String, Uuid)>) -> Json<Value> {
    Json(stripe.event(&kind, &stripe.reference(PaymentId(payment))))
}

/// Stripe's own calls.
async fn stripe(stripe: FakeStripe, mut request: Request) -> poem::Result<Response> {
    let key = request.header("idempotency-key").map(|key| ("Idempotency-Key", key.to_owned()));
    let is_post = *request.method() == Verb::POST;
    let asked = HttpRequest {
        method: if is_post { Method::Post } else { Method::Get },
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: key.into_iter().collect(),
        body: if is_post { Some(request.take_body().into_string().await?) } else { None },
    };
    match stripe.send(asked).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = Response::builder().status(status).content_type("application/json");
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            Ok(response.body(answer.body))
        }
        // The nearest that a server comes to falling silent.
        Err(TransportError::Connect(_)) => Ok(StatusCode::SERVICE_UNAVAILABLE.into()),
        Err(TransportError::Timeout | TransportError::Broken(_)) => std::future::pending().await,
    }
}

fn app(fake: FakeStripe) -> impl Endpoint {
    let own = fake.clone();
    Route::new()
        .at("/ledger", poem::get(ledger))
        .at("/faults", poem::post(faults))
        .at("/do/authenticate/:payment", poem::post(authenticate))
        .at("/do/refund/:payment/:amount", poem::post(refund_past_us))
        .at("/do/bounce_past_us/:refund", poem::post(bounce_past_us))
        .at("/do/call_off/:refund", poem::post(call_off))
        .at("/do/reprice/:payment/:amount", poem::post(reprice))
        .at("/do/bounce/:refund", poem::post(bounce))
        .at("/event/:kind/:payment", poem::get(event))
        .at("/v1/*path", endpoint::make(move |request| stripe(own.clone(), request)))
        .data(fake)
}

#[tokio::main]
async fn main() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    Server::new_with_acceptor(acceptor).run(app(FakeStripe::default())).await.unwrap();
}
