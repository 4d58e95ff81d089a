//! What can go wrong with accounts.

use crate::error::{CommonError, common_errors};

/// What the account service refuses.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// The address belongs to another account.
    #[error("an account with this e-mail address exists already")]
    EmailTaken,
    /// No such account, a wrong password, or an account that is locked: which of them isn't told.
    #[error("e-mail address or password is wrong")]
    InvalidCredentials,
    /// Too many sign-ins to this account have failed lately.
    #[error("too many attempts: wait {} s", retry_after.as_secs() + 1)]
    TooManyAttempts {
        /// When the next is allowed.
        retry_after: std::time::Duration,
    },
    /// Not an access or refresh token that is good now; also the loser of a race between two refreshes.
    #[error("the token isn't valid")]
    InvalidToken,
    /// The session was ended, or wasn't used for too long.
    #[error("the session has ended; sign in again")]
    SessionExpired,
    /// A refresh token came again after it was rotated: it may be stolen, so the session was ended.
    #[error("this refresh token was used before; the session was ended, sign in again")]
    TokenReused,
    /// A mailed token that is unknown, used or too old.
    #[error("the link or token is unknown, was used already, or is too old; ask for a new one")]
    InvalidMailToken,
    /// Nobody would be left who may manage users.
    #[error("this is the last admin; make somebody else admin first")]
    LastAdmin,
}

common_errors!(AccountError);
