//! Users, sessions and addresses on the wire.

use commerce_core::{account as core, context};
use poem_openapi::{
    Enum, Object,
    types::{Example, MaybeUndefined},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Time, mirror, or_empty, present, sample};

mirror! {
    /// What a user may do.
    Role = context::Role { Customer, Support, Manager, Admin }
}

/// A user.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    pub email_confirmed: bool,
    pub first_name: String,
    pub last_name: String,
    #[oai(nullable)]
    pub phone: Option<String>,
    pub role: Role,
    pub created_at: Time,
}

impl From<core::User> for User {
    fn from(user: core::User) -> Self {
        Self {
            id: user.id.0,
            email: user.email,
            email_confirmed: user.email_confirmed,
            first_name: user.first_name,
            last_name: user.last_name,
            phone: user.phone,
            role: user.role.into(),
            created_at: user.created_at.into(),
        }
    }
}

impl Example for User {
    fn example() -> Self {
        Self {
            id: sample::USER,
            email: "mia@example.com".to_owned(),
            email_confirmed: true,
            first_name: "Mia".to_owned(),
            last_name: "Berger".to_owned(),
            phone: Some("+49 30 901820".to_owned()),
            role: Role::Customer,
            created_at: sample::time(),
        }
    }
}

/// A user as staff see them.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct AdminUser {
    pub id: Uuid,
    pub email: String,
    pub email_confirmed: bool,
    pub first_name: String,
    pub last_name: String,
    #[oai(nullable)]
    pub phone: Option<String>,
    pub role: Role,
    /// Locked out.
    pub disabled: bool,
    pub created_at: Time,
}

impl From<core::User> for AdminUser {
    fn from(user: core::User) -> Self {
        let disabled = user.disabled;
        let User { id, email, email_confirmed, first_name, last_name, phone, role, created_at } = user.into();
        Self { id, email, email_confirmed, first_name, last_name, phone, role, disabled, created_at }
    }
}

impl Example for AdminUser {
    fn example() -> Self {
        let User { id, email, email_confirmed, first_name, last_name, phone, role, created_at } = User::example();
        Self { id, email, email_confirmed, first_name, last_name, phone, role, disabled: false, created_at }
    }
}

/// A new customer.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Register {
    #[oai(validator(max_length = 254))]
    pub email: String,
    /// 8 to 128 characters, not easily guessed.
    #[oai(validator(min_length = 8, max_length = 128))]
    pub password: String,
    /// One of the two names is enough.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub first_name: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub last_name: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub phone: Option<String>,
}

impl From<Register> for core::Registration {
    fn from(body: Register) -> Self {
        let Register { email, password, first_name, last_name, phone } = body;
        Self::new(email, password, first_name.unwrap_or_default(), last_name.unwrap_or_default()).phone(phone)
    }
}

impl Example for Register {
    fn example() -> Self {
        Self {
            email: "mia@example.com".to_owned(),
            password: "violet-Harbour-27".to_owned(),
            first_name: Some("Mia".to_owned()),
            last_name: Some("Berger".to_owned()),
            phone: Some("+49 30 901820".to_owned()),
        }
    }
}

/// Who signs in.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct LoginRequest {
    pub email: String,
    pub password: String,
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self { email: "mia@example.com".to_owned(), password: "violet-Harbour-27".to_owned() }
    }
}

/// How an access token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
pub enum TokenType {
    /// As `Authorization: Bearer …`.
    Bearer,
}

/// A session's tokens, and whose it is.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct Login {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Good for one refresh.
    pub refresh_token: String,
    /// Seconds until the refresh token goes stale if it isn't used.
    pub refresh_expires_in: u64,
    pub user: User,
}

impl From<core::Login> for Login {
    fn from(login: core::Login) -> Self {
        Self {
            access_token: login.tokens.access_token.0,
            token_type: TokenType::Bearer,
            expires_in: login.tokens.expires_in,
            refresh_token: login.tokens.refresh_token.0,
            refresh_expires_in: login.tokens.refresh_expires_in,
            user: login.user.into(),
        }
    }
}

impl Example for Login {
    fn example() -> Self {
        Self {
            access_token: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl".to_owned(),
            token_type: TokenType::Bearer,
            expires_in: 600,
            refresh_token: "AZq44moQfDGdUw8qaxxNCAAAAAAAAAAB.c2lnbmF0dXJl".to_owned(),
            refresh_expires_in: 1_209_600,
            user: User::example(),
        }
    }
}

/// One text each.
macro_rules! one_field {
    ($($(#[$doc:meta])* $name:ident { $field:ident } = $example:literal)+) => {$(
        $(#[$doc])*
        #[derive(Object, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[oai(example, skip_serializing_if_is_none)]
        pub struct $name { pub $field: String }

        impl Example for $name {
            fn example() -> Self {
                Self { $field: $example.to_owned() }
            }
        }
    )+};
}

one_field! {
    /// The refresh token of the last login or refresh.
    Refresh { refresh_token } = "AZq44moQfDGdUw8qaxxNCAAAAAAAAAAB.c2lnbmF0dXJl"
    /// A token from a message.
    MailedToken { token } = "AZq44moQfDGdUw8qaxxNDA.c2lnbmF0dXJl"
    /// An e-mail address.
    EmailAddress { email } = "mia@example.com"
}

/// Which sessions end.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Logout {
    /// All of them, not only this one.
    #[serde(default)]
    #[oai(nullable)]
    pub everywhere: Option<bool>,
}

impl Example for Logout {
    fn example() -> Self {
        Self { everywhere: Some(true) }
    }
}

/// A new password, by a mailed token.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PasswordReset {
    pub token: String,
    #[oai(validator(min_length = 8, max_length = 128))]
    pub new_password: String,
}

impl Example for PasswordReset {
    fn example() -> Self {
        Self { token: MailedToken::example().token, new_password: "amber-Lantern-31".to_owned() }
    }
}

/// A new password, by the present one.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PasswordChange {
    pub current_password: String,
    #[oai(validator(min_length = 8, max_length = 128))]
    pub new_password: String,
}

impl Example for PasswordChange {
    fn example() -> Self {
        let (current_password, new_password) = ("violet-Harbour-27".to_owned(), "amber-Lantern-31".to_owned());
        Self { current_password, new_password }
    }
}

/// A new e-mail address, by the present password.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct EmailChange {
    #[oai(validator(max_length = 254))]
    pub email: String,
    pub password: String,
}

impl Example for EmailChange {
    fn example() -> Self {
        let (email, password) = ("mia.berger@example.com".to_owned(), "violet-Harbour-27".to_owned());
        Self { email, password }
    }
}

/// Changes to a profile.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct ProfilePatch {
    /// One of the two names is enough.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub first_name: MaybeUndefined<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub last_name: MaybeUndefined<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub phone: MaybeUndefined<String>,
}

impl From<ProfilePatch> for core::ProfilePatch {
    fn from(body: ProfilePatch) -> Self {
        Self::new()
            .first_name(or_empty(body.first_name))
            .last_name(or_empty(body.last_name))
            .phone(or_empty(body.phone))
    }
}

impl Example for ProfilePatch {
    fn example() -> Self {
        Self {
            first_name: MaybeUndefined::Value("Mia".to_owned()),
            last_name: MaybeUndefined::Value("Berger-Lang".to_owned()),
            phone: MaybeUndefined::Value("+49 30 901821".to_owned()),
        }
    }
}

/// A device that is signed in.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Session {
    pub id: Uuid,
    /// Whether this request came from it.
    pub current: bool,
    #[oai(nullable)]
    pub ip: Option<String>,
    #[oai(nullable)]
    pub user_agent: Option<String>,
    pub created_at: Time,
    pub last_used_at: Time,
    pub expires_at: Time,
}

impl Session {
    pub fn of(session: core::Session, current: commerce_core::id::SessionId) -> Self {
        Self {
            id: session.id.0,
            current: session.id == current,
            ip: session.ip,
            user_agent: session.user_agent,
            created_at: session.created_at.into(),
            last_used_at: session.rotated_at.into(),
            expires_at: session.idle_expires_at.min(session.expires_at).into(),
        }
    }
}

impl Example for Session {
    fn example() -> Self {
        Self {
            id: sample::OTHER,
            current: true,
            ip: Some("203.0.113.7".to_owned()),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
            created_at: sample::time(),
            last_used_at: sample::time(),
            expires_at: sample::time(),
        }
    }
}

/// Changes to a user by an admin.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct UserPatch {
    #[serde(default, deserialize_with = "present")]
    pub role: Option<Role>,
    /// `true` locks the user out and ends their sessions.
    #[serde(default, deserialize_with = "present")]
    pub disabled: Option<bool>,
}

impl From<UserPatch> for core::UserPatch {
    fn from(body: UserPatch) -> Self {
        Self::new().role(body.role.map(Into::into)).disabled(body.disabled)
    }
}

impl Example for UserPatch {
    fn example() -> Self {
        Self { role: Some(Role::Manager), disabled: Some(false) }
    }
}
