//! What every service can answer besides its own errors: [`CommonError`], and rules broken by input: [`Invalid`].

use std::fmt;

use crate::{
    context::{AccessError, IdempotencyError},
    money::MoneyError,
    page::InvalidCursor,
    store::StoreError,
};

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
            $crate::context::AccessError, $crate::context::IdempotencyError, $crate::error::Invalid, $crate::money::MoneyError,
            $crate::page::InvalidCursor, $crate::store::StoreError);
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
