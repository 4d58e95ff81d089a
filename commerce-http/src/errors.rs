//! Domain errors as problem documents: by variant, never by text.

use commerce_core::{
    context::{AccessError, IdempotencyError},
    error::{CommonError, Invalid},
    store::StoreError,
};
use poem_openapi::{Object, types::Example};
use serde::Serialize;

use crate::problem::{ApiError, Code, Members};

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unauthenticated => Self::unauthenticated(),
            AccessError::Forbidden(_) => Self::new(Code::Forbidden, error.to_string()),
        }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let code = invalid.errors.first().map_or(Code::InvalidValue, |first| Code::of_rule(first.code));
        let mut error = Self::new(code, invalid.to_string());
        error.errors = invalid.errors.into_iter().map(Into::into).collect();
        error
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store is unavailable");
                Self::new(Code::Unavailable, Code::Unavailable.detail())
            }
            StoreError::Unknown(_) => {
                tracing::error!(%error, "a commit's outcome is unknown");
                Self::new(Code::UnknownOutcome, Code::UnknownOutcome.detail())
            }
            StoreError::Contended => Self::new(Code::Contended, error.to_string()),
            StoreError::Schema(_) | StoreError::Bug(_) => {
                tracing::error!(%error, "internal error");
                Self::internal()
            }
        }
    }
}

impl From<CommonError> for ApiError {
    fn from(error: CommonError) -> Self {
        match error {
            CommonError::Access(error) => error.into(),
            CommonError::NotFound(what) => Self::not_found(what),
            CommonError::Invalid(invalid) => invalid.into(),
            CommonError::Idempotency(IdempotencyError::Reused) => {
                Self::new(Code::IdempotencyKeyReused, error.to_string())
            }
            CommonError::Idempotency(IdempotencyError::InProgress) => {
                Self::new(Code::IdempotencyInProgress, error.to_string()).retry_after(1)
            }
            CommonError::Cursor(_) => {
                let detail = error.to_string();
                Self::new(Code::InvalidCursor, &*detail).at_parameter("cursor", Code::InvalidCursor.word(), detail)
            }
            CommonError::VersionMismatch(version) => Self::with(error.to_string(), &VersionMismatch { version }),
            CommonError::Store(error) => error.into(),
        }
    }
}

/// The resource is at another version than the write demands.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct VersionMismatch {
    /// The version that it is at now.
    pub version: i64,
}

impl Members for VersionMismatch {
    const CODE: Code = Code::VersionMismatch;
}

impl Example for VersionMismatch {
    fn example() -> Self {
        Self { version: 4 }
    }
}
