//! Users in the hands of staff.

use std::future::IntoFuture;

use commerce_core::{
    account::{AccountError, UserPatch, UserQuery},
    context::{AccessError, Role},
    error::CommonError,
    id::UserId,
    page::PageRequest,
};

use crate::{Shop, refused};

fn lock() -> UserPatch {
    UserPatch::new().disabled(true)
}

fn promote(role: Role) -> UserPatch {
    UserPatch::new().role(role)
}

#[tokio::test]
async fn a_new_role_counts_at_once() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    assert_eq!(shop.identity(&login).await.role, Role::Customer);
    shop.staff().update_user(login.user.id, promote(Role::Support)).await.unwrap();
    assert_eq!(shop.identity(&login).await.role, Role::Support, "the token says customer, the store knows better");
    shop.staff().update_user(login.user.id, promote(Role::Customer)).await.unwrap();
    assert_eq!(shop.identity(&login).await.role, Role::Customer);
}

#[tokio::test]
async fn a_locked_out_user_is_out_everywhere_and_old_sessions_stay_dead() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    let id = login.user.id;
    shop.staff().update_user(id, lock()).await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    refused!(shop.try_login("ada@example.com", crate::PASSWORD).await, AccountError::InvalidCredentials);
    shop.accounts().forgot_password("ada@example.com").await.unwrap();

    let unlock = UserPatch::new().disabled(false);
    shop.staff().update_user(id, unlock).await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    shop.login("ada@example.com").await;
}

#[tokio::test]
async fn roles_decide_who_sees_and_who_edits_users() {
    let shop = Shop::open().await;
    let (ada, by_ada) = shop.customer("ada@example.com").await;
    shop.create("support@example.com", Role::Support).await;
    let support = shop.login("support@example.com").await;
    let by_support = shop.call(&support).await;
    let (query, page) = (UserQuery::default(), PageRequest::default());

    let listed = by_support.accounts().users(query.clone(), &page).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    assert_eq!(by_support.accounts().user(ada.user.id).await.unwrap().email, "ada@example.com");
    refused!(
        by_ada.accounts().users(query.clone(), &page).await,
        AccountError::Common(CommonError::Access(AccessError::Forbidden(_)))
    );
    refused!(
        shop.accounts().user(ada.user.id).await,
        AccountError::Common(CommonError::Access(AccessError::Unauthenticated))
    );
    for call in [&by_ada, &by_support] {
        refused!(
            call.accounts().update_user(ada.user.id, promote(Role::Admin)).await,
            AccountError::Common(CommonError::Access(AccessError::Forbidden(_)))
        );
    }
    assert_eq!(by_ada.accounts().me().await.unwrap().role, Role::Customer);
    let nobody = by_support.accounts().user(UserId(shop.identity(&ada).await.session.0)).await;
    refused!(nobody, AccountError::Common(CommonError::NotFound("user")));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let shop = Shop::open().await;
    for n in 0..5 {
        shop.create(&format!("staff{n}@example.com"), Role::Support).await;
        shop.advance(std::time::Duration::from_secs(1));
    }
    shop.create("admin@example.com", Role::Admin).await;
    let accounts = shop.staff();
    let query = UserQuery { q: None, role: Some(Role::Support) };
    let mut page = PageRequest { limit: 2, cursor: None, count: true };
    let mut seen = Vec::new();
    loop {
        let listed = accounts.users(query.clone(), &page).await.unwrap();
        assert_eq!(listed.total, Some(5));
        seen.extend(listed.items.into_iter().map(|user| user.email));
        match listed.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|n| format!("staff{n}@example.com")));
    let first = accounts.users(query, &PageRequest::first(2)).await.unwrap();
    let foreign = PageRequest { cursor: first.next_cursor, ..PageRequest::first(2) };
    let other = UserQuery { q: Some("ada".into()), role: None };
    refused!(accounts.users(other, &foreign).await, AccountError::Common(CommonError::Cursor(_)));
}

#[tokio::test]
async fn an_outdated_version_changes_nothing() {
    let shop = Shop::open().await;
    let user = shop.register("ada@example.com").await;
    let edit = |version| shop.staff().update_user(user.id, promote(Role::Manager)).if_version(version);
    refused!(edit(user.version + 1).await, AccountError::Common(CommonError::VersionMismatch(1)));
    let edited = edit(user.version).await.unwrap();
    assert_eq!((edited.role, edited.version), (Role::Manager, user.version + 1));
}

#[tokio::test]
async fn the_last_admin_stays() {
    let shop = Shop::open().await;
    let admin = shop.create("admin@example.com", Role::Admin).await;
    let login = shop.login("admin@example.com").await;
    let accounts = shop.call(&login).await.accounts();
    for patch in [lock(), promote(Role::Manager)] {
        refused!(accounts.update_user(admin.id, patch).await, AccountError::LastAdmin);
    }
    refused!(accounts.erase().await, AccountError::LastAdmin);

    let locked = shop.create("locked@example.com", Role::Admin).await;
    accounts.update_user(locked.id, lock()).await.unwrap();
    refused!(accounts.erase().await, AccountError::LastAdmin);
    shop.create("second@example.com", Role::Admin).await;
    accounts.erase().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_admins_who_demote_each_other_leave_one() {
    for _ in 0..5 {
        let shop = Shop::open().await;
        let one = shop.create("one@example.com", Role::Admin).await;
        let two = shop.create("two@example.com", Role::Admin).await;
        let demote = |id| tokio::spawn(shop.staff().update_user(id, promote(Role::Customer)).into_future());
        let (first, second) = tokio::join!(demote(one.id), demote(two.id));
        let results = [first.unwrap(), second.unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().any(|result| matches!(result, Err(AccountError::LastAdmin))), "{results:?}");
    }
}
