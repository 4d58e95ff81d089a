//! [`Client`]: repeats calls under their key and sorts their outcomes. What it decides on is pure: [`classify_response`].

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{
    config::RetryPolicy,
    object::{Problem, problem},
    transport::{HttpRequest, HttpResponse, HttpTransport, Method, TransportError},
};
use crate::payment::gateway::GatewayError;

/// Answers change with Stripe's versions; these are the ones we read.
const VERSION: &str = "2024-06-20";

/// An answer of success.
pub(super) struct Reply {
    body: Vec<u8>,
    /// Stripe repeats what it once answered under this key: the present may be another.
    pub replayed: bool,
}

impl Reply {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GatewayError::Unknown(format!("Stripe's answer can't be read: {error}")))
    }
}

/// Why there is no answer of success.
pub(super) enum Failure {
    /// The card was refused.
    Declined { problem: Box<Problem>, replayed: bool },
    /// What the path names isn't there.
    Missing(String),
    /// The key was used for a call with other parameters, which may have had its effect.
    KeyReused(String),
    /// Certainly without effect, now and for ever.
    Rejected(String),
    /// The amount is none that Stripe can move.
    Amount(String),
    /// The key isn't known, or lacks a right. Without effect until somebody mends that.
    Forbidden(String),
    /// Certainly without effect, for now.
    Unavailable(String),
    /// Perhaps with effect.
    Unknown(String),
}

impl From<Failure> for GatewayError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Declined { problem, .. } => Self::Rejected(problem.decline()),
            Failure::Missing(why) | Failure::Rejected(why) => Self::Rejected(why),
            Failure::Amount(why) => Self::AmountNotPayable(why),
            Failure::Unavailable(why) | Failure::Forbidden(why) => Self::Unavailable(why),
            Failure::Unknown(why) | Failure::KeyReused(why) => Self::Unknown(why),
        }
    }
}

/// What an attempt came to.
enum ResponseClass {
    Done(Reply),
    Failed(Failure),
    /// To be repeated, if there are attempts left.
    Again {
        why: String,
        /// It may have had its effect.
        in_doubt: bool,
    },
}

pub(super) struct Client {
    pub transport: Box<dyn HttpTransport>,
    pub retry: RetryPolicy,
}

impl Client {
    /// Asks. Without effect, so never in doubt.
    pub async fn get(&self, path: String) -> Result<Reply, Failure> {
        self.call(HttpRequest { method: Method::Get, path, headers: headers(), body: None }).await
    }

    /// Does, once for each key.
    pub async fn post(&self, path: String, form: &[(&str, String)], key: String) -> Result<Reply, Failure> {
        let mut headers = headers();
        headers.push(("Idempotency-Key", key));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.call(HttpRequest { method: Method::Post, path, headers, body: Some(body) }).await
    }

    async fn call(&self, request: HttpRequest) -> Result<Reply, Failure> {
        let mut was_in_doubt = false;
        let mut delay = self.retry.first_delay;
        let mut attempt = 1;
        loop {
            let (why, in_doubt) = match classify_response(self.transport.send(request.clone()).await) {
                ResponseClass::Done(reply) => return Ok(reply),
                // Once in doubt, only Stripe's word on the call itself clears it up.
                ResponseClass::Failed(Failure::Unavailable(why) | Failure::Forbidden(why)) if was_in_doubt => {
                    return Err(Failure::Unknown(why));
                }
                ResponseClass::Failed(failure) => return Err(failure),
                ResponseClass::Again { why, in_doubt } => (why, in_doubt),
            };
            was_in_doubt |= in_doubt && request.method == Method::Post;
            if attempt >= self.retry.attempts {
                return Err(if was_in_doubt { Failure::Unknown(why) } else { Failure::Unavailable(why) });
            }
            tracing::debug!(path = request.path, attempt, why, "a call to Stripe is repeated");
            tokio::time::sleep(delay + spread(&request, delay)).await;
            delay *= 2;
            attempt += 1;
        }
    }
}

fn headers() -> Vec<(&'static str, String)> {
    vec![("Stripe-Version", VERSION.to_owned())]
}

/// Up to a quarter more, by the key, so that calls refused together don't come back together.
fn spread(request: &HttpRequest, delay: Duration) -> Duration {
    let key = request.header("Idempotency-Key").unwrap_or(&request.path);
    let sum: u32 = key.bytes().map(u32::from).sum();
    delay / 4 * (sum % 64) / 64
}

fn classify_response(outcome: Result<HttpResponse, TransportError>) -> ResponseClass {
    let response = match outcome {
        Ok(response) => response,
        Err(error) => {
            let in_doubt = !matches!(error, TransportError::Connect(_));
            return ResponseClass::Again { why: error.to_string(), in_doubt };
        }
    };
    let replayed = response.header("idempotent-replayed") == Some("true");
    if (200..300).contains(&response.status) {
        return ResponseClass::Done(Reply { body: response.body, replayed });
    }
    let problem = problem(&response.body);
    let why = format!("{} {}", response.status, problem.text());
    let is_final = response.header("stripe-should-retry") == Some("false");
    match response.status {
        402 => ResponseClass::Failed(Failure::Declined { problem: Box::new(problem), replayed }),
        // A key that Stripe doesn't take is the shop's misfortune, not a decline: it may be mended.
        401 | 403 => ResponseClass::Failed(Failure::Forbidden(why)),
        400 if problem.kind.as_deref() == Some("idempotency_error") => ResponseClass::Failed(Failure::KeyReused(why)),
        400 if problem.is_about_the_amount() => ResponseClass::Failed(Failure::Amount(why)),
        404 => ResponseClass::Failed(Failure::Missing(why)),
        429 if is_final => ResponseClass::Failed(Failure::Unavailable(why)),
        429 => ResponseClass::Again { why, in_doubt: false },
        // Another call under the same key is being worked on.
        409 => ResponseClass::Again { why, in_doubt: true },
        400..500 => ResponseClass::Failed(Failure::Rejected(why)),
        _ if is_final => ResponseClass::Failed(Failure::Unknown(why)),
        _ => ResponseClass::Again { why, in_doubt: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> String {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        name(classify_response(Ok(HttpResponse { status, headers, body: body.into() })))
    }

    fn name(verdict: ResponseClass) -> String {
        match verdict {
            ResponseClass::Done(reply) => format!("done{}", if reply.replayed { " before" } else { "" }),
            ResponseClass::Again { in_doubt, .. } => format!("again{}", if in_doubt { " in doubt" } else { "" }),
            ResponseClass::Failed(Failure::Declined { problem, .. }) => format!("declined {}", problem.decline()),
            ResponseClass::Failed(Failure::Missing(_)) => "missing".to_owned(),
            ResponseClass::Failed(Failure::KeyReused(_)) => "key reused".to_owned(),
            ResponseClass::Failed(Failure::Rejected(why)) => format!("rejected {why}"),
            ResponseClass::Failed(Failure::Amount(why)) => format!("amount {why}"),
            ResponseClass::Failed(Failure::Forbidden(_)) => "forbidden".to_owned(),
            ResponseClass::Failed(Failure::Unavailable(_)) => "unavailable".to_owned(),
            ResponseClass::Failed(Failure::Unknown(_)) => "unknown".to_owned(),
        }
    }

    #[test]
    fn every_answer_is_sorted() {
        let stop = [("Stripe-Should-Retry", "false")];
        assert_eq!(verdict(200, &[], "{}"), "done");
        assert_eq!(verdict(200, &[("Idempotent-Replayed", "true")], "{}"), "done before");
        let error = r#"{"error": {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}}"#;
        assert_eq!(verdict(402, &[], error), "declined lost_card");
        assert_eq!(verdict(402, &[], r#"{"error": {"code": "expired_card"}}"#), "declined expired_card");
        assert_eq!(verdict(402, &[], "<html>"), "declined card_declined");
        let error = r#"{"error": {"type": "invalid_request_error", "code": "charge_already_refunded"}}"#;
        assert_eq!(verdict(400, &[], error), "rejected 400 charge_already_refunded");
        assert_eq!(verdict(400, &[], r#"{"error": {"type": "idempotency_error"}}"#), "key reused");
        for about in
            [r#""code": "amount_too_small""#, r#""code": "invalid_x", "param": "amount""#, r#""param": "currency""#]
        {
            let told = verdict(400, &[], &format!(r#"{{"error": {{"type": "invalid_request_error", {about}}}}}"#));
            assert!(told.starts_with("amount "), "{told}");
        }
        // More than there is: that is about the payment's state.
        let error =
            r#"{"error": {"type": "invalid_request_error", "code": "amount_too_large", "param": "amount_to_capture"}}"#;
        assert_eq!(verdict(400, &[], error), "rejected 400 amount_too_large");
        assert_eq!(verdict(401, &[], "{}"), "forbidden");
        assert_eq!(verdict(403, &[], "{}"), "forbidden");
        assert_eq!(verdict(404, &[], "{}"), "missing");
        assert_eq!(verdict(409, &[], "{}"), "again in doubt");
        assert_eq!(verdict(429, &[], "{}"), "again");
        assert_eq!(verdict(429, &stop, "{}"), "unavailable");
        assert_eq!(verdict(500, &[], "{}"), "again in doubt");
        assert_eq!(verdict(502, &stop, "<html>"), "unknown");
        assert_eq!(verdict(302, &[], ""), "again in doubt");
    }

    #[test]
    fn only_a_refused_connection_is_certainly_without_effect() {
        assert_eq!(name(classify_response(Err(TransportError::Connect("refused".to_owned())))), "again");
        assert_eq!(name(classify_response(Err(TransportError::Timeout))), "again in doubt");
        assert_eq!(name(classify_response(Err(TransportError::Broken("reset".to_owned())))), "again in doubt");
    }
}
