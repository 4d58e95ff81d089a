//! Registering, signing in and out, confirming, resetting.

use std::sync::Arc;

use commerce_core::account::{AccountError, Credentials};
use poem_openapi::OpenApi;

use crate::{
    account::dto::{EmailAddress, Login, LoginRequest, Logout, MailedToken, PasswordReset, Refresh, Register, User},
    caller::{Caller, CartTokenHeader, Public, SignedIn},
    payload::{Created, Empty, Input, Optional, Reply},
    problem::{ApiError, Code},
    spec::Tag,
    stack::AppState,
};

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let detail = error.to_string();
        match error {
            AccountError::Common(error) => error.into(),
            AccountError::EmailTaken => Self::new(Code::EmailTaken, detail),
            AccountError::InvalidCredentials => Self::new(Code::InvalidCredentials, detail),
            AccountError::TooManyAttempts { retry_after } => {
                Self::new(Code::RateLimited, detail).retry_after(retry_after.as_secs() + 1)
            }
            AccountError::InvalidToken => Self::new(Code::InvalidToken, detail),
            AccountError::SessionExpired => Self::new(Code::SessionExpired, detail),
            AccountError::TokenReused => Self::new(Code::TokenReused, detail),
            AccountError::InvalidMailToken => {
                commerce_core::error::Invalid::field("/token", "invalid_token", detail).into()
            }
            AccountError::LastAdmin => Self::new(Code::LastAdmin, detail),
        }
    }
}

/// Operations of who isn't signed in yet, or no longer wants to be.
pub struct AuthApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Register
    ///
    /// Makes a customer account and sends a message that confirms the address. Signs nobody in. Unconfirmed customers may log
    /// in and buy.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, caller: Caller<Public>, body: Input<Register>) -> Result<Created<User>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let done = caller.shop().accounts().register(body.parse()?.into()).outcome().await?;
        let version = done.value.version;
        Ok(Created::outcome(done).version(version).location("/v1/me"))
    }

    /// Log in
    ///
    /// Begins a session. With `X-Cart-Token`, the guest's cart is merged into the customer's and the token dies.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        caller: Caller<Public>,
        /// A guest's cart to be merged.
        x_cart_token: CartTokenHeader,
        body: Input<LoginRequest>,
    ) -> Result<Reply<Login>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let LoginRequest { email, password } = body.parse()?;
        self.0.limits.account(&email)?;
        let credentials = Credentials::new(email, password).cart_token(x_cart_token.0);
        Ok(Reply::new(caller.shop().accounts().login(credentials).await?))
    }

    /// Refresh the session
    ///
    /// Answers a new pair of tokens; the old refresh token is used up. Presenting it again ends the whole session.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(&self, caller: Caller<Public>, body: Input<Refresh>) -> Result<Reply<Login>, ApiError> {
        let body = body.parse()?;
        Ok(Reply::new(caller.shop().accounts().refresh(body.refresh_token).await?))
    }

    /// Log out
    ///
    /// Ends this session, or all: access and refresh tokens are dead.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Caller<SignedIn>, body: Optional<Logout>) -> Result<Empty, ApiError> {
        let everywhere = body.parse()?.everywhere.unwrap_or(false);
        let accounts = caller.shop().accounts();
        if everywhere { accounts.logout_everywhere() } else { accounts.logout() }.await?;
        Ok(Empty)
    }

    /// Confirm an e-mail address
    ///
    /// Takes the token of the mailed link. Orders placed as a guest with this address become the account's.
    #[oai(path = "/email/confirm", method = "post", operation_id = "confirm_email")]
    async fn confirm_email(&self, caller: Caller<Public>, body: Input<MailedToken>) -> Result<Reply<User>, ApiError> {
        let body = body.parse()?;
        let user = caller.shop().accounts().confirm_email(body.token).await?;
        let version = user.version;
        Ok(Reply::new(user).version(version))
    }

    /// Send the confirmation again
    ///
    /// Answers 202 whether or not there is such an account.
    #[oai(path = "/email/resend", method = "post", operation_id = "resend_confirmation")]
    async fn resend(&self, caller: Caller<Public>, body: Input<EmailAddress>) -> Result<Empty<202>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let body = body.parse()?;
        self.0.limits.account(&body.email)?;
        caller.shop().accounts().resend_confirmation(body.email).await?;
        Ok(Empty)
    }

    /// Forgot the password
    ///
    /// Sends a link that resets it. Answers 202 whether or not there is such an account.
    #[oai(path = "/password/forgot", method = "post", operation_id = "forgot_password")]
    async fn forgot(&self, caller: Caller<Public>, body: Input<EmailAddress>) -> Result<Empty<202>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let body = body.parse()?;
        self.0.limits.account(&body.email)?;
        caller.shop().accounts().forgot_password(body.email).await?;
        Ok(Empty)
    }

    /// Reset the password
    ///
    /// Takes the token of the mailed link. All sessions end, and a message confirms the change.
    #[oai(path = "/password/reset", method = "post", operation_id = "reset_password")]
    async fn reset(&self, caller: Caller<Public>, body: Input<PasswordReset>) -> Result<Empty, ApiError> {
        let body = body.parse()?;
        caller.shop().accounts().reset_password(body.token, body.new_password).await?;
        Ok(Empty)
    }
}
