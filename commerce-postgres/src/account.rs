//! Users, sessions, mailed tokens and addresses.

use async_trait::async_trait;
use commerce_core::{
    account::{AccountQueries, Address, MailToken, MailTokenKind, Session, User, UserQuery},
    address::PostalAddress,
    clock::Timestamp,
    context::Role,
    id::{AddressId, MailTokenId, SessionId, UserId},
    page::{Cursor, PageSpec, Rows},
    store::{Claim, OutboxQueries as _, StoreError},
};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    codec::{Name, table},
    page::{Direction, List, Sorted, at},
    reads::PgReads,
    sql::Sql,
};

table! {
    #[derive(serde::Deserialize)]
    UserRow = "commerce_user" by [id] {
        id: Uuid,
        email: String,
        email_confirmed: bool,
        password_hash: String,
        first_name: String,
        last_name: String,
        phone: Option<String>,
        role: Name<Role>,
        disabled: bool,
        sessions_from: i64,
        created_at: i64,
        updated_at: i64,
        version: i64,
        found_by: String,
    }
}

impl From<&User> for UserRow {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.clone(),
            email_confirmed: user.email_confirmed,
            password_hash: user.password_hash.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            phone: user.phone.clone(),
            role: Name(user.role),
            disabled: user.disabled,
            sessions_from: user.sessions_from.as_micros(),
            created_at: user.created_at.as_micros(),
            updated_at: user.updated_at.as_micros(),
            version: user.version,
            found_by: format!("{}\n{} {}", user.email, user.first_name, user.last_name).to_lowercase(),
        }
    }
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            email: row.email,
            email_confirmed: row.email_confirmed,
            password_hash: row.password_hash,
            first_name: row.first_name,
            last_name: row.last_name,
            phone: row.phone,
            role: row.role.0,
            disabled: row.disabled,
            sessions_from: Timestamp::from_micros(row.sessions_from),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        }
    }
}

impl Sorted for UserRow {
    fn position(&self) -> Cursor {
        at(self.created_at, self.id)
    }
}

table! {
    SessionRow = "commerce_session" by [id] {
        id: Uuid,
        user_id: Uuid,
        refresh_hash: [u8; 32],
        generation: i64,
        rotated_at: i64,
        idle_expires_at: i64,
        expires_at: i64,
        ended_at: Option<i64>,
        ip: Option<String>,
        user_agent: Option<String>,
        created_at: i64,
        version: i64,
    }
}

impl From<&Session> for SessionRow {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.0,
            user_id: session.user_id.0,
            refresh_hash: session.refresh_hash,
            generation: session.generation,
            rotated_at: session.rotated_at.as_micros(),
            idle_expires_at: session.idle_expires_at.as_micros(),
            expires_at: session.expires_at.as_micros(),
            ended_at: session.ended_at.map(Timestamp::as_micros),
            ip: session.ip.clone(),
            user_agent: session.user_agent.clone(),
            created_at: session.created_at.as_micros(),
            version: session.version,
        }
    }
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            refresh_hash: row.refresh_hash,
            generation: row.generation,
            rotated_at: Timestamp::from_micros(row.rotated_at),
            idle_expires_at: Timestamp::from_micros(row.idle_expires_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            ended_at: row.ended_at.map(Timestamp::from_micros),
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: Timestamp::from_micros(row.created_at),
            version: row.version,
        }
    }
}

table! {
    MailTokenRow = "commerce_mail_token" by [id] {
        id: Uuid,
        user_id: Uuid,
        kind: Name<MailTokenKind>,
        hash: [u8; 32],
        expires_at: i64,
        used_at: Option<i64>,
        created_at: i64,
        email: Option<String>,
        former_email: Option<String>,
        version: i64,
    }
}

impl From<&MailToken> for MailTokenRow {
    fn from(token: &MailToken) -> Self {
        Self {
            id: token.id.0,
            user_id: token.user_id.0,
            kind: Name(token.kind),
            hash: token.hash,
            expires_at: token.expires_at.as_micros(),
            used_at: token.used_at.map(Timestamp::as_micros),
            created_at: token.created_at.as_micros(),
            email: token.email.clone(),
            former_email: token.former_email.clone(),
            version: token.version,
        }
    }
}

impl From<MailTokenRow> for MailToken {
    fn from(row: MailTokenRow) -> Self {
        Self {
            id: MailTokenId(row.id),
            user_id: UserId(row.user_id),
            kind: row.kind.0,
            hash: row.hash,
            expires_at: Timestamp::from_micros(row.expires_at),
            used_at: row.used_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            email: row.email,
            former_email: row.former_email,
            version: row.version,
        }
    }
}

table! {
    AddressRow = "commerce_address" by [id] {
        id: Uuid,
        user_id: Uuid,
        address: Json<PostalAddress>,
        created_at: i64,
        version: i64,
    }
}

impl From<&Address> for AddressRow {
    fn from(address: &Address) -> Self {
        Self {
            id: address.id.0,
            user_id: address.user_id.0,
            address: Json(address.address.clone()),
            created_at: address.created_at.as_micros(),
            version: address.version,
        }
    }
}

impl From<AddressRow> for Address {
    fn from(row: AddressRow) -> Self {
        Self {
            id: AddressId(row.id),
            user_id: UserId(row.user_id),
            address: row.address.0,
            created_at: Timestamp::from_micros(row.created_at),
            version: row.version,
        }
    }
}

/// A session's columns under their own names, its user's with `u_` before them.
struct SessionAndUser(SessionRow, UserRow);

impl<'r> FromRow<'r, PgRow> for SessionAndUser {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let Json(user) = row.try_get("owner")?;
        Ok(Self(SessionRow::from_row(row)?, user))
    }
}

#[async_trait]
impl AccountQueries for PgReads {
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_user WHERE id = ");
        Ok(self.reader.optional::<UserRow>(sql.bind(id.0)).await?.map(Into::into))
    }

    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        if self.reader.is_distributed().await? {
            return match self.load_claim(&Claim::email(email)).await? {
                Some(id) => self.load_user(UserId(id)).await,
                None => Ok(None),
            };
        }
        let mut sql = Sql::new(
            "SELECT u.* FROM commerce_claim c JOIN commerce_user u ON u.id = c.owner WHERE c.kind = 'email' AND c.key = ",
        );
        Ok(self.reader.optional::<UserRow>(sql.bind(email)).await?.map(Into::into))
    }

    async fn list_users(&self, query: &UserQuery, spec: &PageSpec) -> Result<Rows<User>, StoreError> {
        let mut from = Sql::new(" FROM commerce_user WHERE email <> ''");
        if let Some(q) = &query.q {
            from.push(" AND strpos(found_by, ").bind(q.to_lowercase()).push(") > 0");
        }
        from.and("role =", query.role.map(Role::as_str));
        let list = List { select: "SELECT *", key: "created_at", id: "id", direction: Direction::Falling };
        self.reader.list::<UserRow, User>(list, &from, spec).await
    }

    async fn load_session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
        if self.reader.is_distributed().await? {
            let mut sql = Sql::new("SELECT * FROM commerce_session WHERE id = ");
            let session: Option<SessionRow> = self.reader.optional(sql.bind(id.0)).await?;
            let Some(session) = session.map(Session::from) else { return Ok(None) };
            return Ok(self.load_user(session.user_id).await?.map(|user| (session, user)));
        }
        let mut sql = Sql::new(
            "SELECT s.*, to_jsonb(u) AS owner FROM commerce_session s JOIN commerce_user u ON u.id = s.user_id WHERE s.id = ",
        );
        let found = self.reader.optional::<SessionAndUser>(sql.bind(id.0)).await?;
        Ok(found.map(|SessionAndUser(session, user)| (session.into(), user.into())))
    }

    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_session WHERE ended_at IS NULL AND user_id = ");
        sql.bind(user.0).push(" ORDER BY created_at DESC, id DESC");
        Ok(self.reader.all::<SessionRow>(&sql).await?.into_iter().map(Into::into).collect())
    }

    async fn load_mail_token(&self, id: MailTokenId) -> Result<Option<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_mail_token WHERE id = ");
        Ok(self.reader.optional::<MailTokenRow>(sql.bind(id.0)).await?.map(Into::into))
    }

    async fn list_mail_tokens(&self, user: UserId) -> Result<Vec<MailToken>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_mail_token WHERE user_id = ");
        Ok(self.reader.all::<MailTokenRow>(sql.bind(user.0)).await?.into_iter().map(Into::into).collect())
    }

    async fn load_address(&self, id: AddressId) -> Result<Option<Address>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_address WHERE id = ");
        Ok(self.reader.optional::<AddressRow>(sql.bind(id.0)).await?.map(Into::into))
    }

    async fn list_addresses(&self, user: UserId) -> Result<Vec<Address>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_address WHERE user_id = ");
        sql.bind(user.0).push(" ORDER BY created_at, id");
        Ok(self.reader.all::<AddressRow>(&sql).await?.into_iter().map(Into::into).collect())
    }
}
