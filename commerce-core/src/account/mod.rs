//! Accounts: users and roles, passwords, sessions and tokens, addresses.
//!
//! | file | holds |
//! |---|---|
//! | `service`, `model` | the handle [`Accounts`]; the entities |
//! | `queries` | what a backend can be asked |
//! | `rules`, `email`, `phone`, `session` | pure rules: names and addresses; e-mail; phones; refresh rotation and the life of sessions |
//! | `access`, `password` | access tokens (JWT), Argon2id |
//! | `session_cache` | what this process remembers between calls |
//! | `attempts` | what may be done only so often |
//! | `register`, `login`, `refresh`, `recovery`, `email_change`, `guest_orders`, `devices`, `profile`, `erase`, `addresses`, `users`, `export` | the service, by use |

mod access;
mod addresses;
mod attempts;
mod devices;
mod email;
mod email_change;
mod erase;
mod error;
mod export;
mod guest_orders;
mod login;
mod model;
mod password;
mod phone;
mod profile;
mod queries;
mod recovery;
mod refresh;
mod register;
mod rules;
mod service;
mod session;
mod session_cache;
mod users;

use self::service::is_signed_in;
pub use self::{
    addresses::AddressPatch,
    email::{normalise_email, normalise_international_email},
    error::AccountError,
    login::{Credentials, Login, Tokens},
    model::{Address, MailToken, MailTokenKind, Session, User},
    profile::ProfilePatch,
    queries::{AccountQueries, UserQuery},
    register::Registration,
    rules::validate_address,
    service::Accounts,
    users::UserPatch,
};
pub(crate) use self::{email::reachable, session_cache::SessionCache};
pub use crate::text::holds_card_number;
