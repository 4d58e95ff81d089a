//! Exchanging a refresh token for a new pair.

use async_trait::async_trait;

use super::{
    AccountError, Accounts, Login,
    session::{Presented, RefreshDecision, decide_refresh},
    session_cache::Ticket,
};
use crate::{
    context::{Actor, Identity},
    engine::Engine,
    id::SessionId,
    store::ChangeSet,
    token::{RefreshToken, digest},
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// One refresh. It isn't repeated if its commit fails: of several at once, the first wins.
struct Refresh {
    accounts: Accounts,
    token: RefreshToken,
    ticket: Ticket,
}

/// A new pair of tokens, good once the changes are committed.
struct Rotation {
    changes: ChangeSet,
    login: Login,
    generation: i64,
}

impl Accounts {
    /// Exchanges a refresh token for a new pair. Each is good once; an idempotency key has no effect, since tokens aren't kept.
    ///
    /// The tokens of a prepared write are good once its change-set is applied. A token that was used before ends the session at
    /// once also then.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`] for what isn't a refresh token, and for all but one of several parallel calls;
    /// [`AccountError::SessionExpired`]; [`AccountError::TokenReused`] for a token that had been exchanged before, which ends
    /// the session.
    pub fn refresh(&self, token: impl Into<RefreshToken>) -> Write<Login, AccountError> {
        let ticket = self.cache().ticket(self.scope.call.origin.arrived.unwrap_or_else(|| self.scope.engine.now()));
        self.scope.write(Refresh { accounts: self.clone(), token: token.into(), ticket })
    }
}

impl Refresh {
    fn open(&self, engine: &Engine) -> Result<(SessionId, i64), AccountError> {
        engine.signer.open_refresh_token(&self.token.0).ok_or(AccountError::InvalidToken)
    }

    async fn rotate(
        &self,
        engine: &Engine,
        context: &WriteContext,
        (id, generation): (SessionId, i64),
    ) -> Result<Rotation, AccountError> {
        let cache = self.accounts.cache();
        let (before, user) = engine.reads().load_session(id).await?.ok_or(AccountError::SessionExpired)?;
        let identity = Identity { user: user.id, role: user.role, session: id };
        let raced = cache.raced(id, generation, before.generation, before.rotated_at, self.ticket);
        let presented = Presented { generation, hash: digest(&self.token.0), raced };
        match decide_refresh(&before, &user, presented, engine.now()) {
            RefreshDecision::Rotate => {}
            RefreshDecision::Lost => return Err(AccountError::InvalidToken),
            RefreshDecision::Over => return Err(AccountError::SessionExpired),
            RefreshDecision::Reused => {
                tracing::warn!(user = %user.id, session = %id, "a refresh token was used twice; its session ends");
                self.accounts.acting_as(Actor::User(identity)).logout().await?;
                return Err(AccountError::TokenReused);
            }
        }
        context.check_version(before.version)?;
        let mut changes = engine.set(&Actor::User(identity));
        let now = changes.at();
        let mut session = before.clone();
        session.generation += 1;
        let token = RefreshToken(engine.signer.issue_refresh_token(id, session.generation));
        session.refresh_hash = digest(&token.0);
        session.rotated_at = now;
        session.idle_expires_at = session.expires_at.min(now + engine.settings.refresh_idle_ttl);
        changes.update(&before, &mut session);
        let login = Login { tokens: self.accounts.tokens(identity, &session, token, now)?, user };
        Ok(Rotation { changes, login, generation: session.generation })
    }
}

#[async_trait]
impl Operation<Login, AccountError> for Refresh {
    fn describe(&self) -> (&'static str, String) {
        ("accounts.refresh", String::new())
    }

    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<Login>, AccountError> {
        let presented = self.open(engine)?;
        let _turn = engine.queues.turn(presented.0).await;
        let Rotation { mut changes, login, generation } = self.rotate(engine, context, presented).await?;
        match engine.commit(&mut changes).await? {
            Ok(_) => {
                self.accounts.cache().rotated(presented.0, generation, engine.now());
                Ok(Outcome::fresh(login))
            }
            // Another process was faster.
            Err(_) => Err(AccountError::InvalidToken),
        }
    }

    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<Login>, AccountError> {
        let Rotation { changes, login, .. } = self.rotate(engine, context, self.open(engine)?).await?;
        Ok(PreparedWrite { changes, output: login, replayed: false })
    }
}
