//! What every service can answer besides its own errors: [`CommonError`], and rules broken by input: [`Invalid`].

use std::fmt;

use crate::{money::MoneyError, page::InvalidCursor, role::Permission};

/// A rule that a field of the input breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) to the field within the input: `/items/0/quantity`.
    pub pointer: String,
    /// A stable word: `invalid_email`, `weak_password`, `too_long`, `out_of_range`.
    pub code: &'static str,
    /// A sentence for whoever filled the field in.
    pub detail: String,
}

/// Input that breaks rules; nothing was changed. Names at least the first field that does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, in the order of the fields.
    pub errors: Vec<FieldError>,
}

impl Invalid {
    /// One broken rule.
    pub fn field(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        let mut invalid = Self::default();
        invalid.add(pointer, code, detail);
        invalid
    }

    /// Notes another broken rule.
    pub fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer: pointer.into(), code, detail: detail.into() });
    }

    /// Notes a broken rule unless `holds`.
    pub fn check(&mut self, holds: bool, pointer: &str, code: &'static str, detail: &str) {
        if !holds {
            self.add(pointer, code, detail);
        }
    }

    /// Succeeds if no broken rule was noted.
    ///
    /// # Errors
    /// `self`, if any was.
    pub fn into_result(self) -> Result<(), Self> {
        if self.errors.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.first() {
            Some(first) => write!(f, "{}: {}", first.pointer, first.detail),
            None => f.write_str("the input breaks a rule"),
        }
    }
}

impl std::error::Error for Invalid {}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The call needs a signed-in user.
    #[error("sign in first")]
    Unauthenticated,
    /// The user's role lacks a right.
    #[error("your role doesn't allow this")]
    Forbidden(Permission),
}

/// Why an idempotency key can't be honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdempotencyError {
    /// The key came before with another request.
    #[error("this Idempotency-Key was used for another request")]
    Reused,
    /// The first call with this key hasn't ended yet.
    #[error("the first request with this Idempotency-Key is still running")]
    InProgress,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A read that failed, or a commit that failed for a reason other than its guards.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach, full or overloaded; nothing was changed.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// A commit's outcome stayed unknown after several tries; it may have been applied.
    #[error("the database didn't say whether the change was applied: {0}")]
    Unknown(#[source] BoxError),
    /// A calls' retries were used up by others changing the same thing.
    #[error("too many others are changing the same thing; try again")]
    Contended,
    /// The database's schema is older or newer than this program's. The sentence says which, and what is missing.
    #[error("{0}")]
    Schema(String),
    /// Data or code that can't be: a stored value that can't be read, a set that breaks a constraint.
    #[error("internal error: {0}")]
    Bug(#[source] BoxError),
}

impl StoreError {
    /// An error of the kind "this can't be".
    pub fn bug(error: impl Into<BoxError>) -> Self {
        Self::Bug(error.into())
    }

    /// An error of the kind "not now".
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What every service can answer. Domain errors wrap it as `Common`.
#[derive(Debug, thiserror::Error)]
pub enum CommonError {
    /// The actor may not.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It isn't there, or isn't the actor's to see.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The idempotency key can't be honoured.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// The cursor belongs to another list.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The caller demanded a version (`If-Match`) that isn't the present one.
    #[error("this has been changed since you read it: it is at version {0} now")]
    VersionMismatch(i64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MoneyError> for CommonError {
    fn from(error: MoneyError) -> Self {
        let code = match error {
            MoneyError::CurrencyMismatch(..) => "currency_mismatch",
            MoneyError::Overflow => "out_of_range",
            MoneyError::UnknownCurrency(_) | MoneyError::Malformed { .. } => "invalid_amount",
        };
        Self::Invalid(Invalid::field("", code, error.to_string()))
    }
}

/// Lets `?` turn what every service can answer into a domain's error, by its variant `Common`.
macro_rules! common_errors {
    ($error:ident) => {
        $crate::error::common_errors!($error:
            $crate::error::AccessError, $crate::error::IdempotencyError, $crate::error::Invalid, $crate::error::StoreError,
            $crate::money::MoneyError, $crate::page::InvalidCursor);
    };
    ($error:ident: $($from:ty),+) => {$(
        impl From<$from> for $error {
            fn from(error: $from) -> Self {
                Self::Common(error.into())
            }
        }
    )+};
}
pub(crate) use common_errors;
