//! Opaque tokens that clients hold. All are signed with the shop's secret, so that a forged one never reaches the database.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    cart::CartOwner,
    clock::Timestamp,
    id::{MailTokenId, OrderId, SessionId},
};

/// How long a guest's order token opens its order: long enough for delivery and a return.
const ORDER_TOKEN_TTL: Duration = Duration::from_hours(180 * 24);
/// 128 bits of signature, or of randomness.
const TAG: usize = 16;

macro_rules! bearer {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl From<&str> for $name {
            fn from(token: &str) -> Self {
                Self(token.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(token: String) -> Self {
                Self(token)
            }
        }
    )+};
}

bearer! {
    /// Opens a guest's cart (`X-Cart-Token`).
    CartToken,
    /// Opens one order (`X-Order-Token`).
    OrderToken,
    /// Says who is signed in (`Authorization: Bearer`), for some minutes.
    AccessToken,
    /// Is exchanged for a new access token, once.
    RefreshToken,
    /// The secret of a link that was mailed to a user; good once.
    MailedToken,
}

/// Signs what clients hold, with keys derived from the shop's secret: one key a purpose, so that no token can pass for another.
pub(crate) struct Signer {
    root: Hmac<Sha256>,
}

impl Signer {
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes keys of any length (RFC 2104 §2).
        #[allow(clippy::expect_used)]
        let root = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { root }
    }

    /// A 256-bit signature of `data` for one purpose.
    pub fn sign(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = self.root.clone();
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// Whether `signature` (its first bytes, at least 16) is that of `data`, in constant time.
    pub fn verify(&self, purpose: &str, data: &[u8], signature: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        let length = signature.len();
        (16..=32).contains(&length) && bool::from(self.sign(purpose, data)[..length].ct_eq(signature))
    }

    /// A fresh token for a guest's cart: random, so that it names a cart nobody else can open.
    pub fn issue_cart_token(&self) -> CartToken {
        CartToken(self.seal("cart", &random::<TAG>()))
    }

    /// Whose cart a token opens; `None` if this shop didn't issue it.
    pub fn cart_owner(&self, token: &CartToken) -> Option<CartOwner> {
        self.open::<TAG>("cart", &token.0)?;
        Some(CartOwner::Guest(hex::encode(Sha256::digest(&token.0))))
    }

    /// A capability for one order, good for a while from `now`; nothing is stored.
    pub fn issue_order_token(&self, order: OrderId, now: Timestamp) -> OrderToken {
        let mut body = [0; 24];
        body[..16].copy_from_slice(order.0.as_bytes());
        body[16..].copy_from_slice(&(now + ORDER_TOKEN_TTL).as_micros().to_be_bytes());
        OrderToken(self.seal("order", &body))
    }

    /// Which order a token opens; `None` if it is forged or too old.
    pub fn order_of(&self, token: &OrderToken, now: Timestamp) -> Option<OrderId> {
        let body = self.open::<24>("order", &token.0)?;
        let (order, expires) = body.split_first_chunk::<16>()?;
        let expires = Timestamp::from_micros(i64::from_be_bytes(*expires.first_chunk()?));
        (now < expires).then_some(OrderId(Uuid::from_bytes(*order)))
    }

    /// A fresh refresh token of a session's generation.
    pub fn issue_refresh_token(&self, session: SessionId, generation: i64) -> String {
        let mut body = [0; 40];
        body[..16].copy_from_slice(session.0.as_bytes());
        body[16..24].copy_from_slice(&generation.to_be_bytes());
        body[24..].copy_from_slice(&random::<TAG>());
        self.seal("refresh", &body)
    }

    /// The session and generation that a refresh token was issued for; `None` if it is forged.
    pub fn open_refresh_token(&self, token: &str) -> Option<(SessionId, i64)> {
        let body = self.open::<40>("refresh", token)?;
        let (session, rest) = body.split_first_chunk::<16>()?;
        Some((SessionId(Uuid::from_bytes(*session)), i64::from_be_bytes(*rest.first_chunk()?)))
    }

    /// The token that is mailed for a stored id. Derived, so that queues and outboxes hold ids only.
    pub fn mail_token(&self, id: MailTokenId) -> String {
        self.seal("mail", id.0.as_bytes())
    }

    /// The id behind a mailed token; `None` if it is forged.
    pub fn open_mail_token(&self, token: &str) -> Option<MailTokenId> {
        self.open::<16>("mail", token).map(|body| MailTokenId(Uuid::from_bytes(body)))
    }

    /// `body ‖ tag`, in URL-safe letters.
    fn seal(&self, purpose: &str, body: &[u8]) -> String {
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&self.sign(purpose, body)[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The body of a sealed token, if its tag is right.
    fn open<const N: usize>(&self, purpose: &str, token: &str) -> Option<[u8; N]> {
        // Longer text can't be a token; decoding it would only cost memory.
        if token.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, tag) = bytes.split_first_chunk::<N>()?;
        (tag.len() == TAG && self.verify(purpose, body, tag)).then_some(*body)
    }
}

/// SHA-256 of a token, as it is kept.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // getrandom(2) and its relatives don't fail once the system is up, and a guessable token would be worse than a panic.
    #[allow(clippy::expect_used)]
    getrandom::fill(&mut bytes).expect("the system's random source");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn signer() -> Signer {
        Signer::new(&[7; 32])
    }

    fn order() -> OrderId {
        OrderId(Uuid::from_bytes([9; 16]))
    }

    #[test]
    fn cart_tokens_differ_and_open_only_their_own_shop() {
        let (signer, other) = (signer(), Signer::new(&[8; 32]));
        let (one, two) = (signer.issue_cart_token(), signer.issue_cart_token());
        let owner = signer.cart_owner(&one).unwrap();
        assert_eq!(signer.cart_owner(&one), Some(owner.clone()));
        assert_ne!(signer.cart_owner(&two), Some(owner));
        assert_eq!(other.cart_owner(&one), None);
    }

    #[test]
    fn a_changed_letter_or_length_opens_nothing() {
        let signer = signer();
        let CartToken(token) = signer.issue_cart_token();
        for at in 0..token.len() {
            let mut letters = token.clone().into_bytes();
            letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(letters).unwrap();
            assert_eq!(signer.cart_owner(&CartToken(forged)), None, "letter {at}");
        }
        for forged in ["", "A", &token[..20], &format!("{token}AAAA"), &format!("{token}="), &"A".repeat(10_000)] {
            assert_eq!(signer.cart_owner(&CartToken(forged.to_owned())), None, "{forged}");
        }
    }

    #[test]
    fn an_order_token_opens_its_order_until_it_expires() {
        let signer = signer();
        let token = signer.issue_order_token(order(), NOW);
        assert_eq!(signer.order_of(&token, NOW), Some(order()));
        assert_eq!(signer.order_of(&token, NOW + ORDER_TOKEN_TTL), None);
    }

    #[test]
    fn no_token_passes_for_another_kind() {
        let signer = signer();
        let mail = signer.mail_token(MailTokenId(order().0));
        let refresh = signer.issue_refresh_token(SessionId(order().0), 3);
        assert_eq!(signer.open_refresh_token(&refresh), Some((SessionId(order().0), 3)));
        assert_eq!(signer.open_mail_token(&mail), Some(MailTokenId(order().0)));
        assert_eq!(signer.cart_owner(&CartToken(mail.clone())), None);
        assert_eq!(signer.open_refresh_token(&mail), None);
        assert_eq!(signer.order_of(&OrderToken(refresh.clone()), NOW), None);
        assert_eq!(signer.open_mail_token(&refresh), None);
    }

    #[test]
    fn tokens_keep_their_secret_when_they_are_debugged() {
        assert_eq!(format!("{:?}", signer().issue_cart_token()), "CartToken(…)");
    }
}
