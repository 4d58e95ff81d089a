//! Passwords: judged by zxcvbn, kept as Argon2id, worked on beside the async threads and never by too many at once.
//!
//! A password is what it looks like: it is put into NFC before it is judged or hashed, since keyboards differ in how they compose
//! letters (NIST SP 800-63B, 3.1.1.2). Hashes from before that are found by the password as it was typed, and replaced.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

use crate::{
    error::{Invalid, StoreError},
    text::{Lines, nfc},
};

/// How long a password may be, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=128;
/// How many may wait for the processor. More than that and callers are told to come back, so that a storm of sign-ins can't
/// pile up work without end.
const PLACES: usize = 256;
/// Verified against where there is no account, so that this takes as long as a wrong password. Nobody knows its password: the
/// hash is 32 random bytes.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$r4f9h1m1lJbXz2dA0cVvYQ$3xI6mK9kXw1N0cQf5yG8uVhR2sJpLbT7oZaEeDiHq4M";

/// Too many passwords wait to be checked.
#[derive(Debug, thiserror::Error)]
#[error("too many people are signing in at once; try again in a moment")]
struct Busy;

/// How a password compares with a stored hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Not the same.
    Wrong,
    /// The same.
    Right,
    /// The same, but the hash was made with weaker parameters than today's, or not from the composed form: keep this one instead.
    Rehashed(String),
}

/// The workshop for passwords.
pub(super) struct Passwords {
    places: Semaphore,
    hands: Arc<Semaphore>,
}

impl Passwords {
    pub fn new() -> Self {
        // Half the processors, so that the shop goes on beside a storm of sign-ins.
        let hands = std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2));
        Self { places: Semaphore::new(PLACES), hands: Arc::new(Semaphore::new(hands)) }
    }

    /// Notes at `pointer` what is wrong with a new password. `inputs` is what others know of its owner.
    pub async fn validate(
        &self,
        invalid: &mut Invalid,
        pointer: &str,
        password: &str,
        inputs: Vec<String>,
    ) -> Result<(), StoreError> {
        if !invalid.check_characters(password, pointer, Lines::One) {
            return Ok(());
        }
        let password = nfc(password);
        let length = password.chars().count();
        if length > *LENGTH.end() {
            invalid.add(pointer, "too_long", "must not be longer than 128 characters");
        } else if length < *LENGTH.start() {
            invalid.add(pointer, "weak_password", "must have at least 8 characters");
        } else {
            let password = password.into_owned();
            let strong = self.work(move || is_strong(&password, &inputs)).await?;
            let detail = "is too easy to guess; use several uncommon words, or let a password manager choose";
            invalid.check(strong, pointer, "weak_password", detail);
        }
        Ok(())
    }

    /// The hash to keep of a password.
    pub async fn hash(&self, password: &str) -> Result<String, StoreError> {
        let password = nfc(password).into_owned();
        self.work(move || hash(&password)).await?
    }

    /// Compares a password with what is kept, which is `None` where there is no account. Takes as long either way.
    pub async fn check(&self, password: &str, kept: Option<&str>) -> Result<Check, StoreError> {
        // Taking it apart makes a password up to three times as long.
        if password.chars().count() > 3 * *LENGTH.end() {
            return Ok(Check::Wrong);
        }
        let kept = kept.filter(|hash| !hash.is_empty()).map(str::to_owned);
        let password = password.to_owned();
        self.work(move || check(&password, kept.as_deref())).await?
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        let _place = self.places.try_acquire().map_err(|_| StoreError::unavailable(Busy))?;
        let hand = self.hands.clone().acquire_owned().await.map_err(StoreError::bug)?;
        let job = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the caller goes away meanwhile.
            let _hand = hand;
            work()
        });
        job.await.map_err(StoreError::bug)
    }
}

fn hasher() -> Argon2<'static> {
    // OWASP's m = 19 MiB, t = 2, p = 1 are the crate's defaults; a test pins them.
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

fn is_strong(password: &str, inputs: &[String]) -> bool {
    // An address is known as a whole and in its parts.
    let inputs: Vec<&str> = inputs.iter().flat_map(|text| text.split('@').chain([text.as_str()])).collect();
    zxcvbn(password, &inputs).score() >= Score::Three
}

fn hash(password: &str) -> Result<String, StoreError> {
    let hash: PasswordHash = hasher().hash_password(password.as_bytes()).map_err(StoreError::bug)?;
    Ok(hash.to_string())
}

fn check(password: &str, kept: Option<&str>) -> Result<Check, StoreError> {
    let parsed = PasswordHash::new(kept.unwrap_or(DECOY)).map_err(StoreError::bug)?;
    let same = |password: &str| hasher().verify_password(password.as_bytes(), &parsed).is_ok();
    let composed = nfc(password);
    let known = same(&composed);
    // Tried where there is no account too, so that both take as long.
    let known_as_typed = !known && composed != password && same(password);
    if kept.is_none() || !(known || known_as_typed) {
        return Ok(Check::Wrong);
    }
    if known_as_typed || is_weaker(&parsed) { hash(&composed).map(Check::Rehashed) } else { Ok(Check::Right) }
}

/// Whether a hash was made with less work than a new one would be.
fn is_weaker(kept: &PasswordHash) -> bool {
    let today = Params::default();
    let Ok(params) = Params::try_from(kept) else { return true };
    kept.algorithm.as_str() != "argon2id"
        || kept.version != Some(Version::V0x13.into())
        || params.m_cost() < today.m_cost()
        || params.t_cost() < today.t_cost()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery staple";

    fn weak_hash(algorithm: Algorithm, m: u32) -> String {
        let params = Params::new(m, 2, 1, None).unwrap();
        let hash: PasswordHash =
            Argon2::new(algorithm, Version::V0x13, params).hash_password(PASSWORD.as_bytes()).unwrap();
        hash.to_string()
    }

    async fn judged(password: &str, inputs: &[&str]) -> Option<&'static str> {
        let mut invalid = Invalid::default();
        let inputs = inputs.iter().map(|&text| text.to_owned()).collect();
        Passwords::new().validate(&mut invalid, "/password", password, inputs).await.unwrap();
        invalid.errors.first().map(|error| error.code)
    }

    #[tokio::test]
    async fn hashes_are_salted_argon2id_of_the_agreed_strength() {
        let passwords = Passwords::new();
        let (one, two) = (passwords.hash(PASSWORD).await.unwrap(), passwords.hash(PASSWORD).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert_eq!(passwords.check(PASSWORD, Some(&one)).await.unwrap(), Check::Right);
        assert_eq!(passwords.check("Correct horse battery staple", Some(&one)).await.unwrap(), Check::Wrong);
    }

    #[tokio::test]
    async fn weaker_hashes_are_replaced_once_the_password_is_known() {
        let passwords = Passwords::new();
        for weak in [weak_hash(Algorithm::Argon2id, 4096), weak_hash(Algorithm::Argon2i, 19456)] {
            let Check::Rehashed(strong) = passwords.check(PASSWORD, Some(&weak)).await.unwrap() else {
                panic!("{weak} should be replaced")
            };
            assert_eq!(passwords.check(PASSWORD, Some(&strong)).await.unwrap(), Check::Right);
            assert_eq!(passwords.check("wrong", Some(&weak)).await.unwrap(), Check::Wrong);
        }
        let stronger = weak_hash(Algorithm::Argon2id, 32768);
        assert_eq!(passwords.check(PASSWORD, Some(&stronger)).await.unwrap(), Check::Right);
    }

    #[tokio::test]
    async fn no_password_opens_what_has_none() {
        let passwords = Passwords::new();
        for kept in [None, Some("")] {
            assert_eq!(passwords.check("", kept).await.unwrap(), Check::Wrong);
            assert_eq!(passwords.check(PASSWORD, kept).await.unwrap(), Check::Wrong);
        }
        let decoy = PasswordHash::new(DECOY).unwrap();
        assert!(!is_weaker(&decoy), "an unknown account must cost as much as a known one");
    }

    #[tokio::test]
    async fn passwords_must_be_hard_to_guess() {
        assert_eq!(judged(PASSWORD, &[]).await, None);
        assert_eq!(judged("pässwörter sind lästig", &[]).await, None);
        for weak in ["", "short", "password", "Password1!", "12345678", "qwertyuiop", "aaaaaaaaaaaaaaaa"] {
            assert_eq!(judged(weak, &[]).await, Some("weak_password"), "{weak}");
        }
        assert_eq!(judged(&"x".repeat(129), &[]).await, Some("too_long"));
    }

    #[tokio::test]
    async fn a_password_is_the_same_however_its_letters_are_composed() {
        let (composed, apart) = ("Größe ündert nichts é", "Gro\u{308}ße u\u{308}ndert nichts e\u{301}");
        let passwords = Passwords::new();
        for (set, typed) in [(composed, apart), (apart, composed), (apart, apart)] {
            let kept = passwords.hash(set).await.unwrap();
            assert_eq!(passwords.check(typed, Some(&kept)).await.unwrap(), Check::Right);
        }
        // A hash from before passwords were composed.
        let before = hash(apart).unwrap();
        let Check::Rehashed(now) = passwords.check(apart, Some(&before)).await.unwrap() else {
            panic!("it should be replaced")
        };
        assert_eq!(passwords.check(composed, Some(&now)).await.unwrap(), Check::Right);
        assert_eq!(passwords.check("wrong e\u{301}", Some(&before)).await.unwrap(), Check::Wrong);
        assert_eq!(judged(&"e\u{301}".repeat(65), &[]).await, Some("weak_password"), "65 letters aren't too long");
        assert_eq!(judged("correct horse\0battery staple", &[]).await, Some("invalid_character"));
    }

    #[tokio::test]
    async fn what_others_know_makes_a_weak_password() {
        let known = ["augusta.lovelace@example.com", "augusta", "lovelace"];
        assert_eq!(judged("augusta.lovelace", &known).await, Some("weak_password"));
    }

    #[tokio::test]
    async fn a_storm_is_turned_away_at_the_door() {
        let passwords = Passwords { places: Semaphore::new(1), hands: Arc::new(Semaphore::new(1)) };
        let _place = passwords.places.try_acquire().unwrap();
        assert!(matches!(passwords.hash(PASSWORD).await, Err(StoreError::Unavailable(_))));
    }
}
