//! Users, sessions, mailed tokens, addresses.

use async_trait::async_trait;
use commerce_core::{
    account::{AccountQueries, Address, MailToken, Session, User, UserQuery},
    id::{AddressId, MailTokenId, SessionId, UserId},
    page::{PageSpec, Rows, SortKey},
    store::{AggregateWrite, StoreError},
};

use crate::{
    SqliteStore,
    batch::Batch,
    codec::Row,
    head::head_and,
    list::{Keyset, listed},
    row::{Flag, Hash, Id, Int, Json, Name, Text, Time, row},
    sql::Sql,
};

row! {
    /// A user `u`.
    fn user() -> User of "u." {
        id: Id,
        email: Text,
        email_confirmed: Flag,
        password_hash: Text,
        first_name: Text,
        last_name: Text,
        phone: Text,
        role: Name,
        disabled: Flag,
        sessions_from: Time,
        created_at: Time,
        updated_at: Time,
        version: Int,
    }
}

row! {
    /// A session `s`.
    fn session() -> Session of "s." {
        id: Id,
        user_id: Id,
        refresh_hash: Hash,
        generation: Int,
        rotated_at: Time,
        idle_expires_at: Time,
        expires_at: Time,
        ended_at: Time,
        ip: Text,
        user_agent: Text,
        created_at: Time,
        version: Int,
    }
}

row! {
    fn mail_token() -> MailToken of "" {
        id: Id,
        user_id: Id,
        kind: Name,
        hash: Hash,
        expires_at: Time,
        used_at: Time,
        created_at: Time,
        email: Text,
        former_email: Text,
        version: Int,
    }
}

row! {
    fn address() -> Address of "" {
        id: Id,
        user_id: Id,
        address: Json,
        created_at: Time,
        version: Int,
    }
}

pub(crate) fn save_user(batch: &mut Batch, save: &AggregateWrite<User>) {
    head_and(batch, save, &["found_by"], |batch, user| {
        batch.bind(format!("{}\n{} {}", user.email, user.first_name, user.last_name).to_lowercase());
    });
}

#[async_trait]
impl AccountQueries for SqliteStore {
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&user()).push(" FROM commerce_user u WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&user()).push(" FROM commerce_claim c JOIN commerce_user u ON u.id = c.owner");
        sql.push(" WHERE c.kind = 'email' AND c.key = ?").bind(email);
        self.entity(sql).await
    }

    async fn list_users(&self, query: &UserQuery, spec: &PageSpec) -> Result<Rows<User>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_user u WHERE u.email <> ''");
            if let Some(role) = query.role {
                sql.push(" AND u.role = ?").bind(role.as_str());
            }
            if let Some(q) = &query.q {
                sql.push(" AND instr(u.found_by, ?)").bind(q.to_lowercase());
            }
        };
        let keyset = Keyset::falling("u.created_at", "u.id");
        let rows = self.page::<User>(&user(), filter, &keyset, spec).await?;
        Ok(listed(rows, spec, |user| (SortKey::Int(user.created_at.as_micros()), user.id.0)))
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
        let mut sql = Sql::new("SELECT json_array(");
        sql.push(&session()).push(", ").push(&user());
        sql.push(") FROM commerce_session s JOIN commerce_user u ON u.id = s.user_id WHERE s.id = ?").bind(id.0);
        let row: Option<(Row<Session>, Row<User>)> = self.optional(sql).await?;
        Ok(row.map(|(session, user)| (session.0, user.0)))
    }

    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&session()).push(" FROM commerce_session s WHERE s.user_id = ? AND s.ended_at IS NULL").bind(user.0);
        sql.push(" ORDER BY s.created_at DESC, s.id DESC");
        self.entities(sql).await
    }

    async fn load_mail_token(&self, id: MailTokenId) -> Result<Option<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&mail_token()).push(" FROM commerce_mail_token WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_mail_tokens(&self, user: UserId) -> Result<Vec<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&mail_token()).push(" FROM commerce_mail_token WHERE user_id = ?").bind(user.0);
        self.entities(sql).await
    }

    async fn load_address(&self, id: AddressId) -> Result<Option<Address>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&address()).push(" FROM commerce_address WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_addresses(&self, user: UserId) -> Result<Vec<Address>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&address()).push(" FROM commerce_address WHERE user_id = ? ORDER BY created_at, id").bind(user.0);
        self.entities(sql).await
    }
}
