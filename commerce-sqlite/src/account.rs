//! Users, sessions, mailed tokens, addresses.

use async_trait::async_trait;
use commerce_core::{
    account::{AccountQueries, Address, MailToken, MailTokenKind, Session, User, UserQuery},
    address::PostalAddress,
    clock::Timestamp,
    context::Role,
    id::{AddressId, MailTokenId, SessionId, UserId},
    page::{PageSpec, Rows, SortKey},
    store::{AggregateWrite, StoreError},
};
use serde::Deserialize;

use crate::{
    SqliteStore,
    batch::Batch,
    codec::{self, Row, shadow},
    head::head,
    list::{Keyset, listed},
    sql::Sql,
};

#[derive(Deserialize)]
#[serde(remote = "User")]
struct UserRow {
    id: UserId,
    email: String,
    #[serde(deserialize_with = "codec::flag")]
    email_confirmed: bool,
    password_hash: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
    role: Role,
    #[serde(deserialize_with = "codec::flag")]
    disabled: bool,
    #[serde(deserialize_with = "codec::time")]
    sessions_from: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    version: i64,
}
shadow!(User, UserRow);

const USER: &str = "json_array(hex(u.id), u.email, u.email_confirmed, u.password_hash, u.first_name, u.last_name, u.phone, \
    u.role, u.disabled, u.sessions_from, u.created_at, u.updated_at, u.version)";

#[derive(Deserialize)]
#[serde(remote = "Session")]
struct SessionRow {
    id: SessionId,
    user_id: UserId,
    #[serde(deserialize_with = "codec::hash")]
    refresh_hash: [u8; 32],
    generation: i64,
    #[serde(deserialize_with = "codec::time")]
    rotated_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    idle_expires_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    expires_at: Timestamp,
    #[serde(deserialize_with = "codec::maybe_time")]
    ended_at: Option<Timestamp>,
    ip: Option<String>,
    user_agent: Option<String>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    version: i64,
}
shadow!(Session, SessionRow);

const SESSION: &str = "json_array(hex(s.id), hex(s.user_id), hex(s.refresh_hash), s.generation, s.rotated_at, \
    s.idle_expires_at, s.expires_at, s.ended_at, s.ip, s.user_agent, s.created_at, s.version)";

#[derive(Deserialize)]
#[serde(remote = "MailToken")]
struct MailTokenRow {
    id: MailTokenId,
    user_id: UserId,
    kind: MailTokenKind,
    #[serde(deserialize_with = "codec::hash")]
    hash: [u8; 32],
    #[serde(deserialize_with = "codec::time")]
    expires_at: Timestamp,
    #[serde(deserialize_with = "codec::maybe_time")]
    used_at: Option<Timestamp>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    email: Option<String>,
    former_email: Option<String>,
    version: i64,
}
shadow!(MailToken, MailTokenRow);

const MAIL_TOKEN: &str = "json_array(hex(id), hex(user_id), kind, hex(hash), expires_at, used_at, created_at, email, \
    former_email, version)";

#[derive(Deserialize)]
#[serde(remote = "Address")]
struct AddressRow {
    id: AddressId,
    user_id: UserId,
    address: PostalAddress,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    version: i64,
}
shadow!(Address, AddressRow);

const ADDRESS: &str = "json_array(hex(id), hex(user_id), json(address), created_at, version)";

pub(crate) fn save_user(batch: &mut Batch, save: &AggregateWrite<User>) {
    const COLUMNS: [&str; 12] = [
        "email",
        "email_confirmed",
        "password_hash",
        "first_name",
        "last_name",
        "phone",
        "role",
        "disabled",
        "sessions_from",
        "created_at",
        "updated_at",
        "found_by",
    ];
    head(batch, save, &COLUMNS, |batch, user| {
        batch.bind(user.email.clone()).bind(user.email_confirmed).bind(user.password_hash.clone());
        batch.bind(user.first_name.clone()).bind(user.last_name.clone()).bind(user.phone.clone());
        batch.bind(user.role.as_str()).bind(user.disabled).bind(user.sessions_from.as_micros());
        batch.bind(user.created_at.as_micros()).bind(user.updated_at.as_micros());
        batch.bind(format!("{}\n{} {}", user.email, user.first_name, user.last_name).to_lowercase());
    });
}

pub(crate) fn save_session(batch: &mut Batch, save: &AggregateWrite<Session>) {
    const COLUMNS: [&str; 10] = [
        "user_id",
        "refresh_hash",
        "generation",
        "rotated_at",
        "idle_expires_at",
        "expires_at",
        "ended_at",
        "ip",
        "user_agent",
        "created_at",
    ];
    head(batch, save, &COLUMNS, |batch, session| {
        batch.bind(session.user_id.0).bind(session.refresh_hash.to_vec()).bind(session.generation);
        batch.bind(session.rotated_at.as_micros()).bind(session.idle_expires_at.as_micros());
        batch.bind(session.expires_at.as_micros()).bind(session.ended_at.map(Timestamp::as_micros));
        batch.bind(session.ip.clone()).bind(session.user_agent.clone()).bind(session.created_at.as_micros());
    });
}

pub(crate) fn save_mail_token(batch: &mut Batch, save: &AggregateWrite<MailToken>) {
    const COLUMNS: [&str; 8] =
        ["user_id", "kind", "hash", "expires_at", "used_at", "created_at", "email", "former_email"];
    head(batch, save, &COLUMNS, |batch, token| {
        let kind = match token.kind {
            MailTokenKind::ConfirmEmail => "confirm_email",
            MailTokenKind::ResetPassword => "reset_password",
            MailTokenKind::ChangeEmail => "change_email",
        };
        batch.bind(token.user_id.0).bind(kind).bind(token.hash.to_vec()).bind(token.expires_at.as_micros());
        batch.bind(token.used_at.map(Timestamp::as_micros)).bind(token.created_at.as_micros());
        batch.bind(token.email.clone()).bind(token.former_email.clone());
    });
}

pub(crate) fn save_address(batch: &mut Batch, save: &AggregateWrite<Address>) {
    head(batch, save, &["user_id", "address", "created_at"], |batch, address| {
        batch.bind(address.user_id.0).bind(codec::json(&address.address)).bind(address.created_at.as_micros());
    });
}

#[async_trait]
impl AccountQueries for SqliteStore {
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(USER).push(" FROM commerce_user u WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(USER).push(" FROM commerce_claim c JOIN commerce_user u ON u.id = c.owner");
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
        let rows = self.page::<User>(USER, filter, &keyset, spec).await?;
        Ok(listed(rows, spec, |user| (SortKey::Int(user.created_at.as_micros()), user.id.0)))
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
        let mut sql = Sql::new("SELECT json_array(");
        sql.push(SESSION).push(", ").push(USER);
        sql.push(") FROM commerce_session s JOIN commerce_user u ON u.id = s.user_id WHERE s.id = ?").bind(id.0);
        let row: Option<(Row<Session>, Row<User>)> = self.optional(sql).await?;
        Ok(row.map(|(session, user)| (session.0, user.0)))
    }

    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(SESSION).push(" FROM commerce_session s WHERE s.user_id = ? AND s.ended_at IS NULL").bind(user.0);
        sql.push(" ORDER BY s.created_at DESC, s.id DESC");
        self.entities(sql).await
    }

    async fn load_mail_token(&self, id: MailTokenId) -> Result<Option<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(MAIL_TOKEN).push(" FROM commerce_mail_token WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_mail_tokens(&self, user: UserId) -> Result<Vec<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(MAIL_TOKEN).push(" FROM commerce_mail_token WHERE user_id = ?").bind(user.0);
        self.entities(sql).await
    }

    async fn load_address(&self, id: AddressId) -> Result<Option<Address>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(ADDRESS).push(" FROM commerce_address WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_addresses(&self, user: UserId) -> Result<Vec<Address>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(ADDRESS).push(" FROM commerce_address WHERE user_id = ? ORDER BY created_at, id").bind(user.0);
        self.entities(sql).await
    }
}
