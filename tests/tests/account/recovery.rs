//! Forgotten passwords and mailed tokens.

use std::time::Duration;

use commerce_core::account::AccountError;
use futures_util::future::join_all;

use crate::{OTHER_PASSWORD, PASSWORD, Shop, invalid, refused, token_in};

const RESET: &str = "new password";

#[tokio::test]
async fn a_reset_changes_the_password_ends_all_sessions_and_says_so() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    shop.accounts().forgot_password(" ADA@example.com").await.unwrap();
    let token = token_in(&shop.letter("ada@example.com", RESET, 0).await);

    shop.accounts().reset_password(token.as_str(), OTHER_PASSWORD).await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    refused!(shop.try_login("ada@example.com", PASSWORD).await, AccountError::InvalidCredentials);
    let fresh = shop.try_login("ada@example.com", OTHER_PASSWORD).await.unwrap();
    assert!(shop.is_signed_in(&fresh).await);
    assert_eq!(shop.letters("ada@example.com", "was changed").await.len(), 1);
    let again = shop.accounts().reset_password(token.as_str(), PASSWORD).await;
    refused!(again, AccountError::InvalidMailToken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_token_is_good_once_even_in_a_race() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await;
    shop.accounts().forgot_password("ada@example.com").await.unwrap();
    let token = token_in(&shop.letter("ada@example.com", RESET, 0).await);
    let password = |n: usize| format!("{n} {OTHER_PASSWORD} {n}");
    let rivals = (0..6).map(|n| {
        let (accounts, token) = (shop.accounts(), token.clone());
        tokio::spawn(async move { accounts.reset_password(token, password(n)).await })
    });
    let mut winners = Vec::new();
    for (n, rival) in join_all(rivals).await.into_iter().enumerate() {
        match rival.unwrap() {
            Ok(()) => winners.push(n),
            Err(AccountError::InvalidMailToken) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    shop.try_login("ada@example.com", &password(winners[0])).await.unwrap();
    assert_eq!(shop.letters("ada@example.com", "was changed").await.len(), 1);
}

#[tokio::test]
async fn a_weak_password_uses_no_token_up() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await;
    shop.accounts().forgot_password("ada@example.com").await.unwrap();
    let token = token_in(&shop.letter("ada@example.com", RESET, 0).await);
    let weak = shop.accounts().reset_password(token.as_str(), "password1").await;
    assert_eq!(invalid(weak), [("/new_password".to_owned(), "weak_password")]);
    shop.accounts().reset_password(token.as_str(), OTHER_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn tokens_expire_and_a_reset_voids_those_asked_for_before() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await;
    let mut tokens = Vec::new();
    for n in 0..2 {
        shop.accounts().forgot_password("ada@example.com").await.unwrap();
        tokens.push(token_in(&shop.letter("ada@example.com", RESET, n).await));
    }
    shop.accounts().reset_password(tokens[1].as_str(), OTHER_PASSWORD).await.unwrap();
    let older = shop.accounts().reset_password(tokens[0].as_str(), PASSWORD).await;
    refused!(older, AccountError::InvalidMailToken);

    shop.accounts().forgot_password("ada@example.com").await.unwrap();
    let late = token_in(&shop.letter("ada@example.com", RESET, 2).await);
    shop.advance(Duration::from_hours(1));
    let late = shop.accounts().reset_password(late.as_str(), PASSWORD).await;
    refused!(late, AccountError::InvalidMailToken);
}

#[tokio::test]
async fn links_mailed_to_one_account_are_counted_by_all_processes_together() {
    let one = Shop::open().await;
    one.register("ada@example.com").await;
    one.register("eve@example.com").await;
    let other = one.another_process();
    for n in 0..8 {
        let process = if n % 2 == 0 { &one } else { &other };
        process.accounts().forgot_password("ada@example.com").await.unwrap();
        process.commerce.drain().await;
    }
    assert_eq!(one.letters("ada@example.com", RESET).await.len(), 5);
    one.accounts().forgot_password("eve@example.com").await.unwrap();
    one.letter("eve@example.com", RESET, 0).await;
    one.advance(Duration::from_mins(15));
    one.accounts().forgot_password("ada@example.com").await.unwrap();
    one.letter("ada@example.com", RESET, 5).await;
}

#[tokio::test]
async fn a_token_is_good_for_its_own_purpose_only() {
    let shop = Shop::open().await;
    let (login, _) = shop.customer("ada@example.com").await;
    let confirm = token_in(&shop.letter("ada@example.com", "confirm", 0).await);
    shop.accounts().forgot_password("ada@example.com").await.unwrap();
    let reset = token_in(&shop.letter("ada@example.com", RESET, 0).await);
    let swapped = shop.accounts().reset_password(confirm.as_str(), OTHER_PASSWORD).await;
    refused!(swapped, AccountError::InvalidMailToken);
    refused!(shop.accounts().confirm_email(reset.as_str()).await, AccountError::InvalidMailToken);
    for forged in ["", "x", &login.tokens.refresh_token.0, &format!("{confirm}A")] {
        refused!(shop.accounts().confirm_email(forged).await, AccountError::InvalidMailToken);
    }
    assert!(shop.accounts().confirm_email(format!(" {confirm}\n")).await.unwrap().email_confirmed);
}

#[tokio::test]
async fn nobody_learns_which_accounts_there_are() {
    let shop = Shop::open().await;
    shop.register("ada@example.com").await;
    let token = token_in(&shop.letter("ada@example.com", "confirm", 0).await);
    shop.accounts().resend_confirmation("ada@example.com").await.unwrap();
    shop.letter("ada@example.com", "confirm", 1).await;
    shop.accounts().confirm_email(token.as_str()).await.unwrap();

    for email in ["eve@example.com", "no address", ""] {
        shop.accounts().forgot_password(email).await.unwrap();
        shop.accounts().resend_confirmation(email).await.unwrap();
    }
    shop.accounts().resend_confirmation("ada@example.com").await.unwrap();
    shop.commerce.drain().await;
    shop.commerce.worker().tick().await.unwrap();
    assert_eq!(shop.mail.sent().len(), 2, "one when registering, one when asked again, none once confirmed");
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let shop = Shop::open().await;
    let (laptop, call) = shop.customer("ada@example.com").await;
    let phone = shop.login("ada@example.com").await;
    for new in [OTHER_PASSWORD, "weak"] {
        let wrong = call.accounts().change_password("wrong", new).await;
        refused!(wrong, AccountError::InvalidCredentials);
    }
    let weak = call.accounts().change_password(PASSWORD, "ada@example.com").await;
    assert_eq!(invalid(weak), [("/new_password".to_owned(), "weak_password")]);
    assert!(shop.is_signed_in(&phone).await);

    call.accounts().change_password(PASSWORD, OTHER_PASSWORD).await.unwrap();
    assert!(!shop.is_signed_in(&phone).await);
    refused!(shop.refresh(phone.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    assert!(shop.is_signed_in(&laptop).await);
    shop.refresh(laptop.tokens.refresh_token.clone()).await.unwrap();
    refused!(shop.try_login("ada@example.com", PASSWORD).await, AccountError::InvalidCredentials);
    assert_eq!(shop.letters("ada@example.com", "was changed").await.len(), 1);
}
