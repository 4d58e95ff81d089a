//! Signing in, refreshing, signing out.

use std::time::Duration;

use commerce_core::{
    account::{AccountError, Credentials},
    clock::Clock,
    context::{AccessError, Actor, Origin, RequestContext, Role},
    error::CommonError,
    id::SessionId,
    store::{ChangeSet, Claim},
    token::AccessToken,
};
use futures_util::future::join_all;

use crate::{PASSWORD, Shop, refused};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn signing_in_says_who_it_is() {
    let shop = Shop::open().await;
    let user = shop.register("ada@example.com").await;
    let login = shop.login(" ADA@example.com").await;
    assert_eq!(login.user, user);
    assert_eq!((login.tokens.expires_in, login.tokens.refresh_expires_in), (600, 14 * 24 * 3600));
    let identity = shop.identity(&login).await;
    assert_eq!((identity.user, identity.role), (user.id, Role::Customer));
    assert!(!format!("{login:?}").contains(&login.tokens.refresh_token.0));
}

/// Versions before kept the domain of an address in letters.
#[tokio::test]
async fn accounts_from_before_are_found_by_all_spellings_of_their_address() {
    let shop = Shop::open().await;
    let (ascii, letters) = ("user@xn--mnchen-3ya.example", "user@münchen.example");
    let user = shop.register(ascii).await;
    let mut old = user.clone();
    old.email = letters.to_owned();
    let mut set = ChangeSet::new(&commerce_core::id::UuidV7, shop.clock.now(), Actor::System.reference());
    set.free(Claim::email(ascii), user.id).hold(Claim::email(letters), user.id).update(&user, &mut old);
    shop.store.commit(&set).await.unwrap();

    for spelling in [letters, ascii, "User@MÜNCHEN.example"] {
        assert_eq!(shop.login(spelling).await.user.id, user.id, "{spelling}");
        let again = shop.accounts().register(crate::registration(spelling)).await;
        refused!(again, AccountError::EmailTaken);
    }
    shop.accounts().forgot_password(ascii).await.unwrap();
    assert_eq!(shop.letter(ascii, "password", 0).await.to, ascii);
}

#[tokio::test]
async fn whatever_is_wrong_with_credentials_looks_the_same() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await;
    for (email, password) in [
        ("ada@example.com", "wrong horse battery staple"),
        ("ada@example.com", ""),
        ("eve@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("", ""),
    ] {
        refused!(shop.try_login(email, password).await, AccountError::InvalidCredentials);
    }
    refused!(shop.try_login("ada@example.com", &"x".repeat(100_000)).await, AccountError::InvalidCredentials);
}

#[tokio::test]
async fn a_weak_hash_is_replaced_at_sign_in() {
    // "correct horse battery staple", m = 64, t = 1: as an older shop might have kept it.
    const WEAK: &str = "$argon2id$v=19$m=64,t=1,p=1$YW4gb2xkIHNob3Agc2FsdA$gplo3TgCj+lVOctpKCJPuCzYIQa+zn9RpWwRz4xjHPc";
    let shop = Shop::open().await;
    let user = shop.register("ada@example.com").await;
    let mut weak = user.clone();
    weak.password_hash = WEAK.into();
    let mut set = ChangeSet::new(&commerce_core::id::UuidV7, shop.clock.now(), Actor::System.reference());
    set.update(&user, &mut weak);
    shop.store.commit(&set).await.unwrap();

    refused!(shop.try_login("ada@example.com", "wrong").await, AccountError::InvalidCredentials);
    let login = shop.login("ada@example.com").await;
    assert!(login.user.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(shop.is_signed_in(&login).await);
    assert_eq!(shop.login("ada@example.com").await.user, login.user, "it is replaced once");
}

#[tokio::test]
async fn an_access_token_dies_of_age() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    // Ten minutes, and one by which the clocks of the shop's servers may differ.
    shop.advance(659 * SECOND);
    assert!(shop.is_signed_in(&login).await);
    shop.advance(SECOND);
    assert!(!shop.is_signed_in(&login).await);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let shop = Shop::open().await;
    let (first, _) = shop.customer("ada@example.com").await;
    shop.advance(SECOND);
    let second = shop.refresh(first.tokens.refresh_token.clone()).await.unwrap();
    assert_eq!(second.user, first.user);
    assert_ne!(second.tokens.refresh_token, first.tokens.refresh_token);
    let third = shop.refresh(second.tokens.refresh_token.clone()).await.unwrap();
    assert!(shop.is_signed_in(&third).await && shop.is_signed_in(&first).await, "rotating ends no access token");

    refused!(shop.refresh(first.tokens.refresh_token.clone()).await, AccountError::TokenReused);
    for login in [&first, &second, &third] {
        assert!(!shop.is_signed_in(login).await);
        refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    }
    shop.login("ada@example.com").await;
}

// On one thread, so that all have arrived before the first is answered, however busy the machine is.
#[tokio::test]
async fn of_twenty_parallel_refreshes_one_wins_and_the_session_lives() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    for clock_runs in [false, true] {
        let login = shop.refresh(login.tokens.refresh_token.clone()).await;
        let login = match login {
            Ok(login) => login,
            Err(_) => shop.login("ada@example.com").await,
        };
        let rivals = (0..20).map(|_| {
            let (accounts, token) = (shop.accounts(), login.tokens.refresh_token.clone());
            if clock_runs {
                shop.advance(Duration::from_micros(1));
            }
            async move { accounts.refresh(token).await }
        });
        let mut winner = None;
        for answer in join_all(rivals).await {
            match answer {
                Ok(login) => assert!(winner.replace(login).is_none(), "two winners"),
                Err(AccountError::InvalidToken) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let winner = winner.expect("a winner");
        assert!(shop.is_signed_in(&winner).await);
        shop.refresh(winner.tokens.refresh_token.clone()).await.unwrap();
        shop.advance(SECOND);
    }
}

#[tokio::test]
async fn a_rotation_elsewhere_is_given_two_seconds_before_it_counts_as_reuse() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    let other = shop.another_process();
    let next = other.refresh(login.tokens.refresh_token.clone()).await.unwrap();
    shop.advance(SECOND);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::InvalidToken);
    assert!(shop.is_signed_in(&next).await);
    shop.advance(SECOND);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::TokenReused);
    refused!(other.refresh(next.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
}

#[tokio::test]
async fn an_access_token_expires_once_no_server_s_clock_can_think_it_good() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    shop.advance(600 * SECOND + 59 * SECOND);
    assert!(shop.is_signed_in(&login).await, "another server's clock may be a minute behind");
    shop.advance(SECOND);
    assert!(!shop.is_signed_in(&login).await);
}

#[tokio::test]
async fn sessions_end_by_idling_and_by_age() {
    let shop = Shop::open().await;
    let (mut login, _) = shop.customer("ada@example.com").await;
    for _ in 0..6 {
        shop.advance(13 * DAY + 86_399 * SECOND);
        login = shop.refresh(login.tokens.refresh_token.clone()).await.unwrap();
    }
    // 84 of 90 days are over: what is left is less than the idle time.
    assert!(login.tokens.refresh_expires_in < 7 * 24 * 3600);
    shop.advance(7 * DAY);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);

    let idle = shop.login("ada@example.com").await;
    shop.advance(14 * DAY);
    refused!(shop.refresh(idle.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
}

#[tokio::test]
async fn neither_kind_of_token_passes_for_the_other() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    let tokens = &login.tokens;
    refused!(
        shop.commerce.authenticate(&AccessToken(tokens.refresh_token.0.clone())).await,
        AccountError::InvalidToken
    );
    refused!(shop.refresh(tokens.access_token.0.as_str()).await, AccountError::InvalidToken);
    for forged in ["", "abc", &format!("{}A", tokens.refresh_token.0), &tokens.refresh_token.0[1..]] {
        refused!(shop.refresh(forged).await, AccountError::InvalidToken);
    }
    assert!(shop.is_signed_in(&login).await);
}

#[tokio::test]
async fn signing_out_kills_both_tokens_at_once_here_and_soon_elsewhere() {
    let shop = Shop::open().await;
    let other = shop.another_process();
    let (login, call) = shop.customer("ada@example.com").await;
    let phone = shop.login("ada@example.com").await;
    assert!(other.is_signed_in(&login).await);

    call.accounts().logout().await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    assert!(shop.is_signed_in(&phone).await, "other devices stay");
    shop.advance(2 * SECOND);
    assert!(!other.is_signed_in(&login).await);
    call.accounts().logout().await.unwrap();
    refused!(shop.accounts().logout().await, AccountError::Common(CommonError::Access(AccessError::Unauthenticated)));
}

#[tokio::test]
async fn signing_out_everywhere_spares_only_what_comes_after() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    let phone = shop.login("ada@example.com").await;
    let (eve, _) = shop.customer("eve@example.com").await;
    call.accounts().logout_everywhere().await.unwrap();
    for dead in [&login, &phone] {
        assert!(!shop.is_signed_in(dead).await);
        refused!(shop.refresh(dead.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    }
    assert!(shop.is_signed_in(&eve).await);
    let fresh = shop.login("ada@example.com").await;
    assert!(shop.is_signed_in(&fresh).await);
}

#[tokio::test]
async fn devices_are_listed_and_signed_out_one_by_one() {
    let shop = Shop::open().await;
    let (laptop, call) = shop.customer("ada@example.com").await;
    let origin = Origin { ip: Some("192.0.2.7".into()), user_agent: Some("Phone".into()), ..Origin::default() };
    shop.advance(SECOND);
    let from_phone = RequestContext { origin, ..RequestContext::guest() };
    let phone = shop.commerce.acting_as(from_phone).accounts();
    let phone = phone.login(Credentials::new("ada@example.com", PASSWORD)).await.unwrap();

    let sessions = call.accounts().sessions().await.unwrap();
    let seen: Vec<_> = sessions.iter().map(|session| (session.ip.as_deref(), session.user_agent.as_deref())).collect();
    assert_eq!(seen, [(Some("192.0.2.7"), Some("Phone")), (None, None)]);

    let (_, eve) = shop.customer("eve@example.com").await;
    let not_hers = eve.accounts().revoke_session(sessions[0].id).await;
    refused!(not_hers, AccountError::Common(CommonError::NotFound("session")));
    let nobodys = SessionId(eve.actor().user().unwrap().0);
    let unknown = call.accounts().revoke_session(nobodys).await;
    refused!(unknown, AccountError::Common(CommonError::NotFound("session")));

    assert!(shop.is_signed_in(&phone).await);
    call.accounts().revoke_session(sessions[0].id).await.unwrap();
    assert!(!shop.is_signed_in(&phone).await && shop.is_signed_in(&laptop).await);
    assert_eq!(call.accounts().sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn guesses_are_counted_by_all_processes_together() {
    let one = Shop::open().await;
    one.register("ada@example.com").await;
    one.register("eve@example.com").await;
    let other = one.another_process();
    for n in 0..20 {
        let process = if n % 2 == 0 { &one } else { &other };
        refused!(process.try_login(" ADA@example.com", "guess").await, AccountError::InvalidCredentials);
    }
    for process in [&one, &other] {
        let refused = process.try_login("ada@example.com", PASSWORD).await.unwrap_err();
        let AccountError::TooManyAttempts { retry_after } = refused else { panic!("{refused}") };
        assert!(retry_after <= Duration::from_mins(15));
        process.login("eve@example.com").await;
    }
    one.advance(Duration::from_mins(15));
    // Those that succeed don't count.
    for _ in 0..25 {
        other.login("ada@example.com").await;
    }
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_one_after_the_other() {
    let shop = Shop::open().await;
    let answers = join_all((0..60).map(|_| shop.try_login("nobody@example.com", "guess"))).await;
    let looked_at = answers.iter().filter(|answer| matches!(answer, Err(AccountError::InvalidCredentials))).count();
    assert_eq!(looked_at, 20);
}
