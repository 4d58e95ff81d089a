//! What strangers can send, as random input: nothing panics, nothing forged is taken, and what is read is written back the same.
//!
//! `cargo test` gives each target some seconds of random input. `cargo bolero test` lets coverage guide a target for as long as
//! wanted; `CONTRIBUTING.md` has the command.

use std::{panic::AssertUnwindSafe, time::Duration};

use bolero::{TypeGenerator, check};
use commerce_core::{
    account::{normalise_email, normalise_international_email},
    catalog::SearchTerms,
    error::Invalid,
    money::{Currency, Money},
    page::{Cursor, PageRequest, Rows, SortKey},
    prelude::{Commerce, TestGateway},
    text,
};
use commerce_sqlite::SqliteStore;

const A_WHILE: Duration = Duration::from_secs(2);

/// Text as it is sent: any text, any bytes, or what looks like a number.
#[derive(Clone, Debug, TypeGenerator)]
enum Text {
    Any(String),
    Bytes(Vec<u8>),
    Number(Vec<Letter>),
}

#[derive(Clone, Copy, Debug, TypeGenerator)]
enum Letter {
    Digit(u8),
    Sign,
    Point,
    Other(char),
}

impl Text {
    fn text(&self) -> String {
        let letter = |letter: &Letter| match letter {
            Letter::Digit(n) => char::from(b'0' + n % 10),
            Letter::Sign => '-',
            Letter::Point => '.',
            Letter::Other(letter) => *letter,
        };
        match self {
            Self::Any(text) => text.clone(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Number(letters) => letters.iter().map(letter).collect(),
        }
    }
}

#[test]
fn money() {
    let currencies = ["EUR", "JPY", "KWD"].map(|code| code.parse::<Currency>().expect("a currency"));
    check!().with_type::<(Text, u8)>().with_test_time(A_WHILE).for_each(|(text, n)| {
        let currency = currencies[usize::from(*n) % currencies.len()];
        if let Ok(money) = Money::parse(&text.text(), currency) {
            assert_eq!(Money::parse(&money.to_string(), currency), Ok(money), "{text:?}");
        }
    });
}

#[test]
fn cursors() {
    let page = |cursor: String| PageRequest { cursor: Some(cursor), ..PageRequest::first(10) };
    check!().with_type::<(Text, i64, String, u128, String)>().with_test_time(A_WHILE).for_each(
        |(sent, number, word, id, query)| {
            assert!(page(sent.text()).spec(query).is_err(), "a cursor that nobody gave out");
            for key in [SortKey::Int(*number), SortKey::Text(word.clone())] {
                let next = Cursor { key, id: uuid::Uuid::from_u128(*id) };
                let rows: Rows<()> = Rows { items: vec![], next: Some(next.clone()), total: None };
                let cursor = rows.page(query).next_cursor.expect("there is a next page");
                assert_eq!(page(cursor.clone()).spec(query).expect("its own cursor").after, Some(next));
                assert!(page(cursor).spec(&(query, "another filter")).is_err());
            }
        },
    );
}

#[test]
fn search_terms() {
    check!().with_type::<Text>().with_test_time(A_WHILE).for_each(|text| {
        if let Some(terms) = SearchTerms::parse(&text.text()) {
            assert!((1..=8).contains(&terms.terms().len()), "{text:?}");
            assert!(terms.words().iter().all(|word| !word.is_empty()), "{text:?}");
        }
    });
}

#[test]
fn texts() {
    check!().with_type::<Text>().with_test_time(A_WHILE).for_each(|sent| {
        let sent = sent.text();
        assert_eq!(text::trim(text::trim(&sent)), text::trim(&sent));
        for normalise in [normalise_email, normalise_international_email] {
            if let Ok(email) = normalise(&sent) {
                assert_eq!(normalise(&email).ok(), Some(email), "{sent:?}");
            }
        }
        let mut invalid = Invalid::default();
        invalid.check_text(&sent, "/title", 1, 20);
        if invalid.into_result().is_ok() {
            assert!(!text::shows_nothing(&sent) && text::forbidden(&sent, text::Lines::One).is_none(), "{sent:?}");
        }
    });
}

#[test]
fn access_tokens() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = runtime.block_on(SqliteStore::open("sqlite::memory:")).expect("a store");
    let shop = Commerce::builder().store(store).gateway(TestGateway::new()).build().expect("a shop");
    let refuses = AssertUnwindSafe(|token: &str| runtime.block_on(shop.authenticate(&token.into())).is_err());
    check!().with_type::<Text>().with_test_time(A_WHILE).for_each(|token| {
        assert!((*refuses)(&token.text()), "{token:?}");
    });
}

#[cfg(feature = "stripe")]
#[test]
fn webhooks() {
    use commerce_core::{
        clock::Timestamp,
        payment::{
            gateway::{PaymentGateway as _, WebhookError, WebhookRequest},
            stripe::{StripeConfig, StripeGateway, signature},
        },
    };
    const SECRET: &str = "whsec_fuzz";
    let config = StripeConfig::new("sk_test_fuzz").and_then(|config| config.webhook_secret(SECRET)).expect("a config");
    let stripe = StripeGateway::new(config).expect("a gateway");
    let webhook = AssertUnwindSafe(|request: &WebhookRequest<'_>| stripe.webhook(request));
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    check!().with_type::<(Text, Text, String)>().with_test_time(A_WHILE).for_each(|(header, body, kind)| {
        let (header, body) = (header.text(), body.text());
        let forged = (*webhook)(&WebhookRequest { signature: Some(&header), body: body.as_bytes(), at });
        assert!(matches!(forged, Err(WebhookError::Signature)), "a signature that Stripe didn't make");
        // Signed, but not as Stripe writes it: it is read without a panic, or refused as malformed.
        let event =
            serde_json::json!({ "id": body, "type": kind, "data": { "object": { "id": header, "object": kind } } });
        for body in [body, event.to_string()] {
            let signature = signature(SECRET, at, body.as_bytes());
            let read = (*webhook)(&WebhookRequest { signature: Some(&signature), body: body.as_bytes(), at });
            assert!(matches!(read, Ok(_) | Err(WebhookError::Malformed(_))), "{read:?}");
        }
    });
}
