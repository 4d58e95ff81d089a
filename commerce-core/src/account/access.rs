//! Access tokens: JWTs (RFC 7519) with a pinned algorithm, judged by the shop's clock.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    clock::Timestamp,
    context::Identity,
    error::StoreError,
    id::{SessionId, UserId},
    role::Role,
    token::Signer,
};

const ALGORITHM: Algorithm = Algorithm::HS256;
/// The type of access tokens (RFC 9068 §2.1): no other JWT signed with the same key passes for one.
const TYPE: &str = "at+jwt";
const AUDIENCE: &str = "commerce";
/// The same at every server of a shop, wherever it listens and whatever its public address is. Shops differ by their keys.
const ISSUER: &str = "commerce";
/// How far the clocks of a shop's servers may be apart, in seconds.
const CLOCK_LEEWAY: i64 = 60;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    pub sub: UserId,
    pub sid: SessionId,
    /// For whoever reads the token outside. The shop itself asks the store.
    pub role: Role,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Issues and reads access tokens.
pub(super) struct AccessTokens {
    /// The first one signs; the others are still believed.
    keys: Vec<Key>,
    validation: Validation,
}

struct Key {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
}

impl Key {
    fn derive(secret: &[u8]) -> Self {
        let key = Signer::new(secret).sign("access", b"");
        // Names the key without telling anything about it.
        let id = hex::encode(&Sha256::digest(key)[..4]);
        Self { id, signs: EncodingKey::from_secret(&key), verifies: DecodingKey::from_secret(&key) }
    }
}

impl AccessTokens {
    /// Tokens signed with a key derived from the first secret; those of the other secrets are believed too.
    pub fn new(secrets: &[&[u8]]) -> Self {
        // Fails if another part of the program chose a provider already, which is as good.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let mut validation = Validation::new(ALGORITHM);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        validation.set_audience(&[AUDIENCE]);
        // The library asks the system's clock; times are judged by `read`.
        validation.validate_exp = false;
        Self { keys: secrets.iter().map(|secret| Key::derive(secret)).collect(), validation }
    }

    pub fn issue(&self, who: Identity, now: Timestamp, exp: Timestamp) -> Result<String, StoreError> {
        let key = self.keys.first().ok_or_else(|| StoreError::bug("no key signs access tokens"))?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: who.user,
            sid: who.session,
            role: who.role,
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: exp.as_secs(),
        };
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(key.id.clone()), ..Header::new(ALGORITHM) };
        encode(&header, &claims, &key.signs).map_err(StoreError::bug)
    }

    /// What a token says, if this shop signed it and it is good now by the clock of the server that issued it.
    pub fn read(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let key = self.keys.iter().find(|key| header.kid.as_deref() == Some(&key.id))?;
        let claims = decode::<Claims>(token, &key.verifies, &self.validation).ok()?.claims;
        let now = now.as_secs();
        let begun = claims.iat.max(claims.nbf) <= now + CLOCK_LEEWAY;
        (claims.iss == ISSUER && begun && now < claims.exp + CLOCK_LEEWAY).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};
    use std::time::Duration;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const TTL: Duration = Duration::from_mins(10);

    fn who() -> Identity {
        let id = Uuid::from_bytes([5; 16]);
        Identity { user: UserId(id), role: Role::Manager, session: SessionId(id) }
    }

    fn tokens() -> AccessTokens {
        AccessTokens::new(&[&[1; 32]])
    }

    fn token() -> String {
        tokens().issue(who(), NOW, NOW + TTL).unwrap()
    }

    /// The shop's own token with its header and claims changed, signed with the shop's own key.
    fn resigned(change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let tokens = tokens();
        let mut header = decode_header(token()).unwrap();
        let mut claims = serde_json::to_value(tokens.read(&token(), NOW).unwrap()).unwrap();
        change(&mut header, &mut claims);
        encode(&header, &claims, &tokens.keys[0].signs).unwrap()
    }

    #[test]
    fn a_token_says_who_until_it_expires() {
        let tokens = tokens();
        let claims = tokens.read(&token(), NOW).unwrap();
        assert_eq!((claims.sub, claims.sid, claims.role), (who().user, who().session, Role::Manager));
        // Another server's clock may be a minute ahead or behind.
        let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
        assert!(tokens.read(&token(), NOW + TTL + minute - second).is_some());
        assert!(tokens.read(&token(), NOW + TTL + minute).is_none());
        assert!(tokens.read(&token(), NOW - minute).is_some());
        assert!(tokens.read(&token(), NOW - minute - second).is_none());
        let issued_later = resigned(|_, claims| claims["iat"] = json!((NOW + minute + second).as_secs()));
        assert!(tokens.read(&issued_later, NOW).is_none());
    }

    #[test]
    fn unsigned_tokens_and_other_algorithms_are_refused() {
        let tokens = tokens();
        let [header, claims, signature] = token().split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        let with_header = |change: &dyn Fn(&mut Value)| {
            let mut value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&header).unwrap()).unwrap();
            change(&mut value);
            URL_SAFE_NO_PAD.encode(value.to_string())
        };
        for algorithm in ["none", "None", "RS256", "HS512", "ES256", "EdDSA"] {
            let header = with_header(&|header| header["alg"] = json!(algorithm));
            for signature in ["", &signature] {
                let forged = format!("{header}.{claims}.{signature}");
                assert!(tokens.read(&forged, NOW).is_none(), "{algorithm}");
            }
        }
        assert!(tokens.read(&resigned(|header, _| header.alg = Algorithm::HS512), NOW).is_none());
        assert!(tokens.read(&resigned(|header, _| header.typ = Some("JWT".into())), NOW).is_none());
        assert!(tokens.read(&resigned(|_, _| ()), NOW).is_some());
    }

    #[test]
    fn every_claim_is_demanded_and_checked() {
        let tokens = tokens();
        for claim in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp"] {
            let without = resigned(|_, claims| _ = claims.as_object_mut().unwrap().remove(claim));
            assert!(tokens.read(&without, NOW).is_none(), "{claim}");
        }
        for (claim, value) in [("iss", "https://other.example"), ("aud", "other"), ("sub", "me"), ("role", "owner")] {
            assert!(tokens.read(&resigned(|_, claims| claims[claim] = json!(value)), NOW).is_none(), "{claim}");
        }
    }

    #[test]
    fn refresh_tokens_and_garbage_are_no_access_tokens() {
        let refresh = Signer::new(&[1; 32]).issue_refresh_token(who().session, 0);
        for text in ["", ".", "..", "a.b.c", &refresh, &format!("{refresh}.{refresh}.{refresh}")] {
            assert!(tokens().read(text, NOW).is_none(), "{text}");
        }
    }

    #[test]
    fn a_retired_key_is_believed_while_it_is_kept() {
        let old = token();
        assert!(AccessTokens::new(&[&[2; 32], &[1; 32]]).read(&old, NOW).is_some());
        assert!(AccessTokens::new(&[&[2; 32]]).read(&old, NOW).is_none());
    }
}
