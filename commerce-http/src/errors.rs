//! Domain errors as problem documents: by variant, never by text.

use commerce_core::{
    context::{AccessError, IdempotencyError},
    error::{CommonError, Invalid},
    store::StoreError,
};
use poem::http::StatusCode;

use crate::problem::ApiError;

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unauthenticated => Self::unauthenticated(),
            AccessError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
        }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let code = invalid.errors.first().map_or("invalid", |first| first.code);
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, invalid.to_string());
        error.errors = invalid.errors;
        error
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store is unavailable");
                Self::unavailable("unavailable", "the database can't be reached right now; nothing was changed")
            }
            StoreError::Unknown(_) => {
                tracing::error!(%error, "a commit's outcome is unknown");
                Self::unavailable("unknown_outcome", "this may have been done: repeat it with the same Idempotency-Key")
            }
            StoreError::Contended => Self::unavailable("contended", error.to_string()),
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
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", error.to_string())
            }
            CommonError::Idempotency(IdempotencyError::InProgress) => {
                Self::conflict("idempotency_in_progress", error.to_string()).retry_after(1)
            }
            CommonError::Cursor(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_cursor", error.to_string()),
            CommonError::VersionMismatch(version) => {
                Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", error.to_string())
                    .with("version", version)
            }
            CommonError::Store(error) => error.into(),
        }
    }
}
