//! What belongs to who is signed in: profile, devices, addresses. And users, for staff.

pub mod address;
pub mod dto;

use std::sync::Arc;

use commerce_core::{
    account::{self as core, AccountError},
    id::AddressId,
};
use poem_openapi::{
    OpenApi,
    param::Path,
    types::{Any, Example},
};
use serde_json::Value;
use uuid::Uuid;

use self::{
    address::{Address, AddressPatch, PostalAddress},
    dto::{AdminUser, EmailChange, MailedToken, PasswordChange, ProfilePatch, Role, Session, User, UserPatch},
};
use crate::{
    caller::{Caller, SignedIn, staff},
    conditional::IfMatch,
    param::{Paging, Query},
    payload::{Created, Empty, Input, Reply},
    problem::ApiError,
    spec::Tag,
    stack::AppState,
    types::{All, Page, sample},
};

async fn own_address(caller: &Caller<SignedIn>, id: AddressId) -> Result<(), ApiError> {
    let addresses = caller.shop().accounts().addresses().await?;
    let found = addresses.iter().any(|address| address.id == id);
    found.then_some(()).ok_or_else(|| ApiError::not_found("address"))
}

/// Operations on one's own account.
pub struct AccountApi(pub Arc<AppState>);

fn profile(user: core::User) -> Reply<User> {
    let version = user.version;
    Reply::new(user).version(version)
}

#[OpenApi(prefix_path = "/v1/me", tag = "Tag::Account")]
impl AccountApi {
    /// Your profile
    ///
    /// Who you are to the shop.
    #[oai(path = "/", method = "get", operation_id = "get_me")]
    async fn me(&self, caller: Caller<SignedIn>) -> Result<Reply<User>, ApiError> {
        Ok(profile(caller.shop().accounts().me().await?))
    }

    /// Change your profile
    ///
    /// What is absent stays; `null` takes away what may be absent.
    #[oai(path = "/", method = "patch", operation_id = "update_me")]
    async fn update(
        &self,
        caller: Caller<SignedIn>,
        if_match: IfMatch,
        body: Input<ProfilePatch>,
    ) -> Result<Reply<User>, ApiError> {
        let patch = body.parse()?.into();
        Ok(profile(caller.shop().accounts().update_profile(patch).if_version(if_match.0).await?))
    }

    /// Erase your account
    ///
    /// Your name, addresses and sessions are gone; orders stay, as the law demands.
    #[oai(path = "/", method = "delete", operation_id = "erase_me")]
    async fn erase(&self, caller: Caller<SignedIn>) -> Result<Empty, ApiError> {
        caller.shop().accounts().erase().await?;
        Ok(Empty)
    }

    /// Change your password
    ///
    /// All other sessions end.
    #[oai(path = "/password", method = "post", operation_id = "change_password")]
    async fn password(&self, caller: Caller<SignedIn>, body: Input<PasswordChange>) -> Result<Empty, ApiError> {
        let body = body.parse()?;
        caller.shop().accounts().change_password(body.current_password, body.new_password).await?;
        Ok(Empty)
    }

    /// Change your e-mail address
    ///
    /// Sends a link to the new address and a notice to the present one. Answers 202 whether or not the new address belongs to
    /// another account. The address changes once the link's token is confirmed.
    #[oai(path = "/email", method = "post", operation_id = "change_email")]
    async fn change_email(&self, caller: Caller<SignedIn>, body: Input<EmailChange>) -> Result<Empty<202>, ApiError> {
        self.0.limits.address(caller.info.ip)?;
        let EmailChange { email, password } = body.parse()?;
        self.0.limits.account(&email)?;
        caller.shop().accounts().change_email(email, password).await?;
        Ok(Empty)
    }

    /// Confirm your new e-mail address
    ///
    /// Takes the token of the mailed link, of whoever asked for the change. Your other sessions end, links mailed to the former
    /// address are void, and orders placed as a guest with the new address become yours.
    #[oai(path = "/email/confirm", method = "post", operation_id = "confirm_email_change")]
    async fn confirm_email(&self, caller: Caller<SignedIn>, body: Input<MailedToken>) -> Result<Reply<User>, ApiError> {
        let body = body.parse()?;
        Ok(profile(caller.shop().accounts().confirm_email_change(body.token).await?))
    }

    /// Your devices
    ///
    /// The sessions that haven't ended, newest first.
    #[oai(path = "/sessions", method = "get", operation_id = "list_my_sessions")]
    async fn sessions(&self, caller: Caller<SignedIn>) -> Result<Reply<All<Session>>, ApiError> {
        let current = caller.actor.identity()?.session;
        let sessions = caller.shop().accounts().sessions().await?;
        Ok(Reply::new(All::of(sessions.into_iter().map(|session| Session::of(session, current)).collect())))
    }

    /// Sign a device out
    ///
    /// Its access and refresh tokens are dead; other devices stay signed in.
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "revoke_my_session")]
    async fn revoke(&self, caller: Caller<SignedIn>, id: Path<Uuid>) -> Result<Empty, ApiError> {
        caller.shop().accounts().revoke_session(id.0.into()).await?;
        Ok(Empty)
    }

    /// Everything held on you
    ///
    /// Profile, addresses, sessions, orders and reviews in one document.
    #[oai(path = "/export", method = "get", operation_id = "export_me")]
    async fn export(&self, caller: Caller<SignedIn>) -> Result<Reply<Any<Value>>, ApiError> {
        Ok(Reply::new(Any(caller.shop().accounts().export().await?)))
    }

    /// Your addresses
    ///
    /// Those that you have saved, oldest first.
    #[oai(path = "/addresses", method = "get", operation_id = "list_my_addresses")]
    async fn addresses(&self, caller: Caller<SignedIn>) -> Result<Reply<All<Address>>, ApiError> {
        Ok(Reply::new(All::of(caller.shop().accounts().addresses().await?)))
    }

    /// Save an address
    ///
    /// At most a hundred are kept.
    #[oai(path = "/addresses", method = "post", operation_id = "add_my_address")]
    async fn add_address(
        &self,
        caller: Caller<SignedIn>,
        body: Input<PostalAddress>,
    ) -> Result<Created<Address>, ApiError> {
        let done = caller.shop().accounts().add_address(body.parse()?.into()).outcome().await?;
        let (id, version) = (done.value.id, done.value.version);
        Ok(Created::outcome(done).version(version).location(&format!("/v1/me/addresses/{id}")))
    }

    /// Change an address
    ///
    /// What is absent stays; `null` takes away what may be absent. Orders keep the address that they were placed with.
    #[oai(path = "/addresses/:id", method = "patch", operation_id = "update_my_address")]
    async fn update_address(
        &self,
        caller: Caller<SignedIn>,
        id: Path<Uuid>,
        body: Input<AddressPatch>,
    ) -> Result<Reply<Address>, ApiError> {
        let id = AddressId(id.0);
        let patch = body.parse_for(own_address(&caller, id)).await?.into();
        let address = caller.shop().accounts().update_address(id, patch).await?;
        let version = address.version;
        Ok(Reply::new(address).version(version))
    }

    /// Delete an address
    ///
    /// Orders keep the address that they were placed with.
    #[oai(path = "/addresses/:id", method = "delete", operation_id = "delete_my_address")]
    async fn delete_address(&self, caller: Caller<SignedIn>, id: Path<Uuid>) -> Result<Empty, ApiError> {
        caller.shop().accounts().delete_address(id.0.into()).await?;
        Ok(Empty)
    }
}

/// Staff's operations on users.
pub struct AdminUserApi;

fn managed(user: core::User) -> Reply<AdminUser> {
    let version = user.version;
    Reply::new(user).version(version)
}

#[OpenApi(prefix_path = "/v1/admin/users", tag = "Tag::AdminUsers")]
impl AdminUserApi {
    /// Users
    ///
    /// Newest first.
    #[oai(path = "/", method = "get", operation_id = "admin_list_users")]
    async fn list(
        &self,
        caller: Caller<staff::ViewUsers>,
        /// Part of the e-mail address or name.
        #[oai(example = "sample::name_part")]
        q: Query<String>,
        /// Only this role.
        #[oai(example = "Role::example")]
        role: Query<Role>,
        paging: Paging,
    ) -> Result<Reply<Page<AdminUser>>, ApiError> {
        let query = core::UserQuery { q: q.0, role: role.0.map(Into::into) };
        Ok(Reply::new(Page::of(caller.shop().accounts().users(query, &paging.0).await?)))
    }

    /// A user
    ///
    /// A customer or a member of the staff.
    #[oai(path = "/:id", method = "get", operation_id = "admin_get_user")]
    async fn get(&self, caller: Caller<staff::ViewUsers>, id: Path<Uuid>) -> Result<Reply<AdminUser>, ApiError> {
        Ok(managed(caller.shop().accounts().user(id.0.into()).await?))
    }

    /// Change a user
    ///
    /// A changed role or a lock takes effect at once.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_update_user")]
    async fn update(
        &self,
        caller: Caller<staff::EditUsers>,
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<UserPatch>,
    ) -> Result<Reply<AdminUser>, ApiError> {
        let id = id.0.into();
        let accounts = caller.shop().accounts();
        let patch = body.parse_for::<_, AccountError>(accounts.user(id)).await?.into();
        Ok(managed(accounts.update_user(id, patch).if_version(if_match.0).await?))
    }
}
