//! Signing in, refreshing, and telling who an access token belongs to.

use std::{fmt, sync::Arc};

use super::{
    AccountError, Accounts, Session, User,
    password::Check,
    session::{Presented, RefreshDecision, begin, decide_refresh, is_alive},
    session_cache::Ticket,
};
use crate::token::{CartToken, digest};
use crate::{
    cart::Carts,
    clock::Timestamp,
    context::{Actor, Identity, RequestContext},
    engine::{Planned, Replay},
    id::SessionId,
    store::{Aggregate, StoreError},
    write::Scope,
};

/// What somebody signs in with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The account's e-mail address.
    pub email: String,
    /// The password, in the clear.
    pub password: String,
    /// A one-time code. Not asked for yet.
    pub totp: Option<String>,
    /// The guest's cart, which becomes part of the customer's.
    pub cart_token: Option<CartToken>,
}

impl Credentials {
    /// An address and a password.
    pub fn new(email: impl Into<String>, password: impl Into<String>) -> Self {
        Self { email: email.into(), password: password.into(), totp: None, cart_token: None }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What a signed-in client holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Goes with each request, as a bearer token.
    pub access_token: String,
    /// For how many seconds the access token is good.
    pub expires_in: u64,
    /// Good for one call of [`Accounts::refresh`].
    pub refresh_token: String,
    /// For how many seconds the refresh token is good.
    pub refresh_expires_in: u64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// A successful sign-in or refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What the client holds from now on.
    pub tokens: Tokens,
    /// Who it is.
    pub user: User,
}

impl Accounts {
    /// Signs in. Takes as long whether or not the account exists; an idempotency key has no effect, since tokens aren't kept.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`], whatever is wrong; [`AccountError::TooManyAttempts`] after
    /// [`crate::Settings::sign_in_attempts`] that failed.
    pub async fn login(&self, call: &RequestContext, credentials: Credentials) -> Result<Login, AccountError> {
        self.run(call, |this, call| async move {
            let Credentials { email, password, cart_token, .. } = credentials;
            let once = RequestContext { idempotency: None, ..call.clone() };
            let attempt = this.take_attempt(&email).await?;
            let plan = || this.plan_login(&once, &email, &password, attempt);
            let answer = this.engine.transact_as(&once, plan, |_| (), |_| None).await?;
            let Replay::Fresh((login, identity)) = answer else {
                return Err(StoreError::bug("a sign-in was replayed").into());
            };
            if let Some(token) = &cart_token {
                this.take_cart_along(&call, identity, token).await;
            }
            Ok(login)
        })
        .await
    }

    async fn plan_login(
        &self,
        call: &RequestContext,
        email: &str,
        password: &str,
        attempt: Option<[u8; 32]>,
    ) -> Result<Planned<(Login, Identity)>, AccountError> {
        let user = self.find_by_email(email).await?;
        let kept = user.as_ref().map(|user| user.password_hash.as_str());
        let check = self.shared().passwords.check(password, kept).await?;
        let (Some(mut user), Check::Right | Check::Rehashed(_)) = (user, &check) else {
            return Err(AccountError::InvalidCredentials);
        };
        if user.disabled {
            return Err(AccountError::InvalidCredentials);
        }

        let identity = Identity { user: user.id, role: user.role, session: SessionId(self.engine.uuid()) };
        let mut changes = self.engine.set(&Actor::User(identity));
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
        let refresh_token = self.engine.signer.issue_refresh_token(identity.session, 0);
        let began = begin(&user, now);
        let expires_at = now + self.engine.settings.session_ttl;
        let mut session = Session {
            id: identity.session,
            user_id: user.id,
            refresh_hash: digest(&refresh_token),
            generation: 0,
            rotated_at: now,
            idle_expires_at: expires_at.min(now + self.engine.settings.refresh_idle_ttl),
            expires_at,
            ended_at: None,
            ip: call.origin.ip.clone(),
            user_agent: call.origin.user_agent.as_deref().map(shorten),
            created_at: began,
            version: 0,
        };
        changes.insert(&mut session);
        if let Some(attempt) = attempt {
            changes.forget(attempt);
        }
        let tokens = self.tokens(identity, &session, refresh_token, now)?;
        Ok(Planned { changes, output: (Login { tokens, user }, identity) })
    }

    /// Makes a guest's cart part of the customer's. A sign-in doesn't fail over it: the token stays good for another try.
    async fn take_cart_along(&self, call: &RequestContext, identity: Identity, token: &CartToken) {
        let call = RequestContext { actor: Actor::User(identity), idempotency: None, ..call.clone() };
        let carts = Carts::new(Scope { engine: self.engine.clone(), call: Arc::new(call) });
        if let Err(error) = carts.merge(token).await {
            tracing::warn!(user = %identity.user, %error, "a guest's cart couldn't be merged at sign-in");
        }
    }

    /// Exchanges a refresh token for a new pair. Each is good once.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`] for what isn't a refresh token, and for all but one of several parallel calls;
    /// [`AccountError::SessionExpired`]; [`AccountError::TokenReused`] for a token that had been exchanged before, which ends
    /// the session.
    pub async fn refresh(&self, call: &RequestContext, refresh_token: &str) -> Result<Login, AccountError> {
        let ticket = self.shared().ticket(call.origin.arrived.unwrap_or_else(|| self.engine.now()));
        let (session, generation) =
            self.engine.signer.open_refresh_token(refresh_token).ok_or(AccountError::InvalidToken)?;
        let hash = digest(refresh_token);
        self.run(call, |this, _| async move {
            let _turn = this.engine.queues.turn(session).await;
            this.rotate(session, generation, hash, ticket).await
        })
        .await
    }

    async fn rotate(
        &self,
        id: SessionId,
        generation: i64,
        hash: [u8; 32],
        ticket: Ticket,
    ) -> Result<Login, AccountError> {
        let found = self.engine.reads().load_session(id).await?;
        let (before, user) = found.ok_or(AccountError::SessionExpired)?;
        let identity = Identity { user: user.id, role: user.role, session: id };
        let raced = self.shared().raced(id, generation, before.generation, before.rotated_at, ticket);
        match decide_refresh(&before, &user, Presented { generation, hash, raced }, self.engine.now()) {
            RefreshDecision::Rotate => {}
            RefreshDecision::Lost => return Err(AccountError::InvalidToken),
            RefreshDecision::Over => return Err(AccountError::SessionExpired),
            RefreshDecision::Reused => {
                tracing::warn!(user = %user.id, session = %id, "a refresh token was used twice; its session ends");
                self.end_session(&Actor::User(identity), id).await?;
                return Err(AccountError::TokenReused);
            }
        }

        let mut changes = self.engine.set(&Actor::User(identity));
        let now = changes.at();
        let mut session = before.clone();
        session.generation += 1;
        let refresh_token = self.engine.signer.issue_refresh_token(id, session.generation);
        session.refresh_hash = digest(&refresh_token);
        session.rotated_at = now;
        session.idle_expires_at = session.expires_at.min(now + self.engine.settings.refresh_idle_ttl);
        changes.update(&before, &mut session);
        let tokens = self.tokens(identity, &session, refresh_token, now)?;
        match self.engine.commit(&mut changes).await? {
            Ok(_) => {
                self.shared().rotated(id, session.generation, self.engine.now());
                Ok(Login { tokens, user })
            }
            // Another process was faster.
            Err(_) => Err(AccountError::InvalidToken),
        }
    }

    /// Whose access token this is. The session must be alive, and the role is the user's present one; both may be known from
    /// up to two seconds ago, but never from before an end that this process made.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`].
    pub async fn authenticate(&self, access_token: &str) -> Result<Identity, AccountError> {
        let now = self.engine.now();
        let claims = self.shared().access.read(access_token, now).ok_or(AccountError::InvalidToken)?;
        let (id, user) = (claims.sid, claims.sub);
        if let Some(role) = self.shared().recall(id, user, now) {
            return Ok(Identity { user, role, session: id });
        }
        let epoch = self.shared().epoch(user);
        let found = self.engine.reads().load_session(id).await?;
        let (_, stored) = found
            .filter(|(session, stored)| stored.id == user && is_alive(session, stored, now))
            .ok_or(AccountError::InvalidToken)?;
        self.shared().remember(id, user, stored.role, now, epoch);
        Ok(Identity { user, role: stored.role, session: id })
    }

    fn tokens(
        &self,
        identity: Identity,
        session: &Session,
        refresh_token: String,
        now: Timestamp,
    ) -> Result<Tokens, StoreError> {
        let settings = &self.engine.settings;
        let expires = session.expires_at.min(now + settings.access_ttl);
        Ok(Tokens {
            access_token: self.shared().access.issue(identity, now, expires)?,
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
