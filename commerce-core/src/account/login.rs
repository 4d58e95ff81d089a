//! Signing in, and telling who an access token belongs to.

use std::fmt;

use serde_json::Value;

use super::{
    AccountError, Accounts, Session, User,
    attempts::{PasswordWrite, take_back},
    password::Check,
    session::{begin, is_alive},
};
use crate::{
    cart::Carts,
    clock::Timestamp,
    context::{Actor, Identity},
    engine::Planned,
    id::SessionId,
    store::{Aggregate, Attempt, StoreError},
    token::{AccessToken, CartToken, RefreshToken, digest},
    write::{OneCommit, Write, WriteContext},
};

/// What somebody signs in with.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    email: String,
    password: String,
    cart_token: Option<CartToken>,
}

impl Credentials {
    /// The account's e-mail address, and the password in the clear.
    pub fn new(email: impl Into<String>, password: impl Into<String>) -> Self {
        Self { email: email.into(), password: password.into(), cart_token: None }
    }

    /// Has a guest's cart become part of the customer's.
    #[must_use]
    pub fn cart_token(mut self, token: impl Into<Option<CartToken>>) -> Self {
        self.cart_token = token.into();
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a signed-in client holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tokens {
    /// Goes with each request, as a bearer token.
    pub access_token: AccessToken,
    /// For how many seconds the access token is good.
    pub expires_in: u64,
    /// Good for one call of [`Accounts::refresh`].
    pub refresh_token: RefreshToken,
    /// For how many seconds the refresh token is good.
    pub refresh_expires_in: u64,
}

/// A successful sign-in or refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// What the client holds from now on.
    pub tokens: Tokens,
    /// Who it is.
    pub user: User,
}

/// A sign-in whose session has been written.
struct SignedIn {
    login: Login,
    identity: Identity,
    cart: Option<CartToken>,
}

impl Accounts {
    /// Signs in. Takes as long whether or not the account exists; an idempotency key has no effect, since tokens aren't kept.
    ///
    /// A prepared write has counted the attempt already, in a commit of its own; its change-set takes the count back. The tokens
    /// are good once that is applied. A guest's cart isn't touched by it: the host merges it when the customer is signed in.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`], whatever is wrong; [`AccountError::TooManyAttempts`] after
    /// [`crate::Settings::sign_in_attempts`] that failed.
    pub fn login(&self, credentials: Credentials) -> Write<Login, AccountError> {
        let login = PasswordWrite::new(
            self.clone(),
            credentials,
            |_, _, credentials| Box::pin(async { Ok(credentials.email.clone()) }),
            |accounts, input| {
                OneCommit::followed(
                    "accounts.login",
                    accounts,
                    input,
                    |accounts, write, (credentials, attempt)| {
                        Box::pin(accounts.plan_login(write, credentials, *attempt))
                    },
                    (
                        |_| Ok(Value::Null),
                        |_, _| Box::pin(async { Err(StoreError::bug("a sign-in was replayed").into()) }),
                    ),
                    |accounts, signed_in| Box::pin(accounts.take_cart_along(signed_in)),
                    |SignedIn { login, .. }| login,
                )
            },
        );
        self.scope.write(login.without_key())
    }

    async fn plan_login(
        &self,
        write: &WriteContext,
        Credentials { email, password, cart_token }: &Credentials,
        attempt: Option<Attempt>,
    ) -> Result<Planned<SignedIn>, AccountError> {
        let user = self.find_by_email(email).await?;
        let kept = user.as_ref().map(|user| user.password_hash.as_str());
        let check = self.cache().passwords.check(password, kept).await?;
        let (Some(mut user), Check::Right | Check::Rehashed(_)) = (user, &check) else {
            return Err(AccountError::InvalidCredentials);
        };
        if user.disabled {
            return Err(AccountError::InvalidCredentials);
        }

        let identity = Identity { user: user.id, role: user.role, session: SessionId(self.scope.engine.uuid()) };
        let mut changes = self.scope.engine.set(&Actor::User(identity));
        let now = changes.at();
        // Either way the user must be as it was when the password was checked: a reset in between starts this over.
        if let Check::Rehashed(hash) = check {
            let before = user.clone();
            user.password_hash = hash;
            user.updated_at = now;
            changes.update(&before, &mut user);
        } else {
            changes.assert(user.root(), user.version);
        }
        let refresh_token = RefreshToken(self.scope.engine.signer.issue_refresh_token(identity.session, 0));
        let began = begin(&user, now);
        let settings = &self.scope.engine.settings;
        let expires_at = now + settings.session_ttl;
        let origin = &write.call.origin;
        let mut session = Session {
            id: identity.session,
            user_id: user.id,
            refresh_hash: digest(&refresh_token.0),
            generation: 0,
            rotated_at: now,
            idle_expires_at: expires_at.min(now + settings.refresh_idle_ttl),
            expires_at,
            ended_at: None,
            ip: origin.ip.clone(),
            user_agent: origin.user_agent.as_deref().map(shorten),
            created_at: began,
            version: 0,
        };
        changes.insert(&mut session);
        take_back(attempt, &mut changes);
        let login = Login { tokens: self.tokens(identity, &session, refresh_token, now)?, user };
        Ok(Planned { changes, output: SignedIn { login, identity, cart: cart_token.clone() } })
    }

    /// Makes a guest's cart part of the customer's. A sign-in doesn't fail over it: the token stays good for another try.
    async fn take_cart_along(&self, signed_in: SignedIn) -> Result<Login, AccountError> {
        let SignedIn { login, identity, cart } = signed_in;
        if let Some(token) = cart {
            let carts = Carts::new(self.acting_as(Actor::User(identity)).scope);
            if let Err(error) = carts.merge(&token).await {
                tracing::warn!(user = %identity.user, %error, "a guest's cart couldn't be merged at sign-in");
            }
        }
        Ok(login)
    }

    /// Whose access token this is. The session must be alive, and the role is the user's present one; both may be known from
    /// up to two seconds ago, but never from before an end that this process made.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`].
    pub(crate) async fn authenticate(&self, token: &AccessToken) -> Result<Identity, AccountError> {
        let now = self.scope.engine.now();
        let claims = self.cache().access.read(&token.0, now).ok_or(AccountError::InvalidToken)?;
        let (id, user) = (claims.sid, claims.sub);
        if let Some(role) = self.cache().recall(id, user, now) {
            return Ok(Identity { user, role, session: id });
        }
        let epoch = self.cache().epoch(user);
        let found = self.scope.engine.reads().load_session(id).await?;
        let (_, stored) = found
            .filter(|(session, stored)| stored.id == user && is_alive(session, stored, now))
            .ok_or(AccountError::InvalidToken)?;
        self.cache().remember(id, user, stored.role, now, epoch);
        Ok(Identity { user, role: stored.role, session: id })
    }

    pub(super) fn tokens(
        &self,
        identity: Identity,
        session: &Session,
        refresh_token: RefreshToken,
        now: Timestamp,
    ) -> Result<Tokens, StoreError> {
        let expires = session.expires_at.min(now + self.scope.engine.settings.access_ttl);
        Ok(Tokens {
            access_token: AccessToken(self.cache().access.issue(identity, now, expires)?),
            expires_in: expires.since(now).as_secs(),
            refresh_token,
            refresh_expires_in: session.idle_expires_at.since(now).as_secs(),
        })
    }
}

/// As much of a `User-Agent` as tells devices apart.
fn shorten(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(256).collect()
}
