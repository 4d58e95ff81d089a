//! Access tokens: JWTs (RFC 7519) with a pinned algorithm, judged by the shop's clock.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::token::{Signer, hex};
use crate::{
    clock::Timestamp,
    context::{Identity, Role},
    id::{SessionId, UserId},
    store::StoreError,
};

const ALGORITHM: Algorithm = Algorithm::HS256;
/// The type of access tokens (RFC 9068 §2.1): no other JWT signed with the same key passes for one.
const TYPE: &str = "at+jwt";
const AUDIENCE: &str = "commerce";
/// How far another process's clock may be ahead, in seconds.
const SKEW: i64 = 5;

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
        let id = hex(&Sha256::digest(key)[..4]);
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

    pub fn issue(&self, issuer: &str, who: Identity, now: Timestamp, exp: Timestamp) -> Result<String, StoreError> {
        let key = self.keys.first().ok_or_else(|| StoreError::bug("no key signs access tokens"))?;
        let claims = Claims {
            iss: issuer.to_owned(),
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

    /// What a token says, if this shop signed it and it is good now.
    pub fn read(&self, issuer: &str, token: &str, now: Timestamp) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let key = self.keys.iter().find(|key| header.kid.as_deref() == Some(&key.id))?;
        let claims = decode::<Claims>(token, &key.verifies, &self.validation).ok()?.claims;
        let now = now.as_secs();
        (claims.iss == issuer && now < claims.exp && claims.nbf <= now + SKEW).then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};
    use std::time::Duration;
    use uuid::Uuid;

    use super::*;

    const SHOP: &str = "https://shop.example";
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
        tokens().issue(SHOP, who(), NOW, NOW + TTL).unwrap()
    }

    /// The shop's own token with its header and claims changed, signed with the shop's own key.
    fn resigned(change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let tokens = tokens();
        let mut header = decode_header(token()).unwrap();
        let mut claims = serde_json::to_value(tokens.read(SHOP, &token(), NOW).unwrap()).unwrap();
        change(&mut header, &mut claims);
        encode(&header, &claims, &tokens.keys[0].signs).unwrap()
    }

    #[test]
    fn a_token_says_who_until_it_expires() {
        let tokens = tokens();
        let claims = tokens.read(SHOP, &token(), NOW).unwrap();
        assert_eq!((claims.sub, claims.sid, claims.role), (who().user, who().session, Role::Manager));
        assert!(tokens.read(SHOP, &token(), NOW + TTL - Duration::from_secs(1)).is_some());
        assert!(tokens.read(SHOP, &token(), NOW + TTL).is_none());
        assert!(tokens.read(SHOP, &token(), NOW - Duration::from_mins(1)).is_none());
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
                assert!(tokens.read(SHOP, &forged, NOW).is_none(), "{algorithm}");
            }
        }
        assert!(tokens.read(SHOP, &resigned(|header, _| header.alg = Algorithm::HS512), NOW).is_none());
        assert!(tokens.read(SHOP, &resigned(|header, _| header.typ = Some("JWT".into())), NOW).is_none());
        assert!(tokens.read(SHOP, &resigned(|_, _| ()), NOW).is_some());
    }

    #[test]
    fn every_claim_is_demanded_and_checked() {
        let tokens = tokens();
        for claim in ["iss", "aud", "sub", "sid", "role", "iat", "nbf", "exp"] {
            let without = resigned(|_, claims| _ = claims.as_object_mut().unwrap().remove(claim));
            assert!(tokens.read(SHOP, &without, NOW).is_none(), "{claim}");
        }
        for (claim, value) in [("iss", "https://other.example"), ("aud", "other"), ("sub", "me"), ("role", "owner")] {
            assert!(tokens.read(SHOP, &resigned(|_, claims| claims[claim] = json!(value)), NOW).is_none(), "{claim}");
        }
    }

    #[test]
    fn refresh_tokens_and_garbage_are_no_access_tokens() {
        let refresh = Signer::new(&[1; 32]).issue_refresh_token(who().session, 0);
        for text in ["", ".", "..", "a.b.c", &refresh, &format!("{refresh}.{refresh}.{refresh}")] {
            assert!(tokens().read(SHOP, text, NOW).is_none(), "{text}");
        }
    }

    #[test]
    fn a_retired_key_is_believed_while_it_is_kept() {
        let old = token();
        assert!(AccessTokens::new(&[&[2; 32], &[1; 32]]).read(SHOP, &old, NOW).is_some());
        assert!(AccessTokens::new(&[&[2; 32]]).read(SHOP, &old, NOW).is_none());
    }
}
