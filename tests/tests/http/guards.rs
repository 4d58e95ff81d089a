//! Tokens that aren't, and callers who try too often.

use commerce_tests::http::{Backend, Home, PASSWORD, Server};
use serde_json::json;

use crate::BACKEND;

/// Base64url without padding.
fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| bits << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

async fn token(server: &Server) -> String {
    server.customer("mia").await;
    let login = json!({ "email": "mia@example.com", "password": PASSWORD });
    let session = server.anyone().post("/v1/auth/login", login).await.expect(200);
    session["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let server = Server::start(BACKEND).await;
    let good = token(&server).await;
    let anyone = server.anyone();
    anyone.bearer(&good).get("/v1/me").await.done(200);
    let parts: Vec<&str> = good.split('.').collect();
    let none = encode(br#"{"typ":"at+jwt","alg":"none"}"#);
    let rs = encode(br#"{"typ":"at+jwt","alg":"RS256"}"#);
    let plain = encode(br#"{"sub":"admin","role":"admin","exp":99999999999}"#);
    let mut broken = good.clone();
    let last = if broken.pop() == Some('A') { 'B' } else { 'A' };
    broken.insert(broken.len() - 5, last);
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{rs}.{}.{}", parts[1], parts[2]),
        format!("{}.{plain}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        broken,
        "garbage".to_owned(),
        "a.b.c".to_owned(),
    ] {
        anyone.bearer(&forged).get("/v1/me").await.refused(401, "invalid_token");
        // A public page doesn't overlook a bad token either: the caller would take a guest's answer for their own.
        assert_eq!(anyone.bearer(&forged).get("/v1/cart").await.status, 401);
    }
    assert_eq!(anyone.with("authorization", "Basic bWlhOm1pYQ==").get("/v1/me").await.status, 401);
    let refused = anyone.get("/v1/me").await;
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
}

#[tokio::test]
async fn who_tries_too_often_waits() {
    let server = Server::start_with(BACKEND, &[("COMMERCE_RATE_LIMIT", "on")], &[]).await;
    let guess = json!({ "email": "mia@example.com", "password": "wrong" });
    for _ in 0..60 {
        let answer = server.anyone().post("/v1/auth/login", guess.clone()).await;
        if answer.status == 429 {
            answer.refused(429, "rate_limited");
            assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
            let other = json!({ "email": "noah@example.com", "password": "wrong" });
            server.anyone().post("/v1/auth/login", other).await.refused(401, "invalid_credentials");
            return;
        }
        answer.refused(401, "invalid_credentials");
    }
    panic!("sixty guesses in a row");
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let home = Home::new(BACKEND).await;
    for (name, value) in [
        ("COMMERCE_CURRENCY", "EURO"),
        ("COMMERCE_LISTEN", "here"),
        ("COMMERCE_JWT_SECRET", "short"),
        ("COMMERCE_ACCESS_TTL", "soon"),
        ("COMMERCE_TAX_RATES", "DE=much"),
        ("COMMERCE_SHIPPING_METHODS", "standard:free"),
        ("COMMERCE_RATE_LIMIT", "perhaps"),
        ("COMMERCE_PRICES_INCLUDE_TAX", "perhaps"),
        ("COMMERCE_DATABASE_URL", "mysql://x"),
        ("COMMERCE_DATABASE_REPLICAS", "mysql://x"),
    ] {
        let output = home.command().arg("seed").env(name, value).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(name), "{name}={value}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "one sentence: {said}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_distributed_is_said_to_be_one() {
    let why = match BACKEND {
        Backend::Sqlite => "only a shop on PostgreSQL can be distributed",
        Backend::Postgres => "has no Citus",
    };
    let home = Home::new(BACKEND).await;
    let output = home.command().args(["migrate", "--distributed", "citus"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    if home.is_distributed() {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with("All tables were on the nodes already"), "{said}");
        return;
    }
    assert!(!output.status.success() && said.contains(why), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "one sentence: {said}");
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_not_served() {
    let home = Home::new(BACKEND).await;
    let run = |arguments: &[&str], url: &str| {
        let output = home.command().args(arguments).env("COMMERCE_DATABASE_URL", url).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(run(&["migrate"], home.url()).0);
    let join = if home.url().contains('?') { '&' } else { '?' };
    let read_only = match BACKEND {
        Backend::Sqlite => format!("{}{join}mode=ro", home.url()),
        Backend::Postgres => format!("{}{join}options=-c%20default_transaction_read_only%3Don", home.url()),
    };
    for arguments in [&["serve"][..], &["seed"]] {
        let (succeeded, said) = run(arguments, &read_only);
        assert!(!succeeded && said.contains("it can only be read, and a shop must write"), "{said}");
    }
}
