//! A new e-mail address.

use std::{future::IntoFuture, time::Duration};

use commerce_core::{account::AccountError, store::Claim};
use futures_util::future::join_all;

use crate::{OTHER_PASSWORD, PASSWORD, Shop, invalid, refused, token_in};

const OLD: &str = "ada@example.com";
const NEW: &str = "countess@example.com";
const CONFIRM: &str = "confirm your new";
const NOTICE: &str = "was asked for";

#[tokio::test]
async fn a_new_address_is_confirmed_there_and_told_to_the_old_one() {
    let shop = Shop::open().await;
    let (login, ada) = shop.customer(OLD).await;
    let elsewhere = shop.login(OLD).await;
    shop.accounts().forgot_password(OLD).await.unwrap();
    let reset = token_in(&shop.letter(OLD, "new password", 0).await);
    let first = token_in(&shop.letter(OLD, "Please confirm", 0).await);

    ada.accounts().change_email(" Countess@Example.com", PASSWORD).await.unwrap();
    let letter = shop.letter(NEW, CONFIRM, 0).await;
    assert_eq!(shop.letters(OLD, NOTICE).await.len(), 1);
    assert_eq!((shop.letters(NEW, NOTICE).await.len(), shop.letters(OLD, CONFIRM).await.len()), (0, 0));
    let user = ada.accounts().me().await.unwrap();
    assert_eq!((user.email.as_str(), user.email_confirmed), (OLD, false), "nothing has changed yet");
    shop.try_login(OLD, PASSWORD).await.unwrap();

    let token = token_in(&letter);
    let user = ada.accounts().confirm_email_change(token.as_str()).await.unwrap();
    assert_eq!((user.email.as_str(), user.email_confirmed), (NEW, true));
    assert_eq!(ada.accounts().me().await.unwrap(), user);
    assert!(shop.is_signed_in(&login).await, "the session that confirmed goes on");
    assert!(!shop.is_signed_in(&elsewhere).await, "the others end");
    shop.try_login(NEW, PASSWORD).await.unwrap();
    refused!(shop.try_login(OLD, PASSWORD).await, AccountError::InvalidCredentials);

    // It is good once, and what was mailed to the old address is void.
    refused!(ada.accounts().confirm_email_change(token.as_str()).await, AccountError::InvalidMailToken);
    let old = shop.accounts().reset_password(reset.as_str(), OTHER_PASSWORD).await;
    refused!(old, AccountError::InvalidMailToken);
    refused!(shop.accounts().confirm_email(first.as_str()).await, AccountError::InvalidMailToken);

    // The old address is free again.
    assert_eq!(shop.store.reads().load_claim(&Claim::email(OLD)).await.unwrap(), None);
    shop.register(OLD).await;
}

#[tokio::test]
async fn whether_the_new_address_is_taken_is_not_told() {
    let shop = Shop::open().await;
    let (_, ada) = shop.customer(OLD).await;
    shop.register("eve@example.com").await;
    ada.accounts().change_email("eve@example.com", PASSWORD).await.unwrap();
    assert_eq!(shop.letters(OLD, NOTICE).await.len(), 1, "as if it were free");
    assert_eq!(shop.letters("eve@example.com", "address").await.len(), 1, "only her own confirmation");

    // Taken between the link and its use.
    ada.accounts().change_email(NEW, PASSWORD).await.unwrap();
    let token = token_in(&shop.letter(NEW, CONFIRM, 0).await);
    shop.register(NEW).await;
    refused!(ada.accounts().confirm_email_change(token.as_str()).await, AccountError::EmailTaken);
    assert_eq!(ada.accounts().me().await.unwrap().email, OLD);
}

#[tokio::test]
async fn only_who_knows_the_password_may_ask_and_only_who_asked_may_confirm() {
    let shop = Shop::open().await;
    let (_, ada) = shop.customer(OLD).await;
    let (_, eve) = shop.customer("eve@example.com").await;
    let wrong = ada.accounts().change_email(NEW, OTHER_PASSWORD).await;
    refused!(wrong, AccountError::InvalidCredentials);
    let bad = ada.accounts().change_email("countess", PASSWORD).await;
    assert_eq!(invalid(bad), [("/email".to_owned(), "invalid_email")]);
    let same = ada.accounts().change_email("ADA@example.com", PASSWORD).await;
    assert_eq!(invalid(same), [("/email".to_owned(), "unchanged")]);
    assert!(shop.letters(OLD, NOTICE).await.is_empty() && shop.letters(NEW, CONFIRM).await.is_empty());

    ada.accounts().change_email(NEW, PASSWORD).await.unwrap();
    let token = token_in(&shop.letter(NEW, CONFIRM, 0).await);
    refused!(eve.accounts().confirm_email_change(token.as_str()).await, AccountError::InvalidMailToken);
    refused!(shop.accounts().confirm_email(token.as_str()).await, AccountError::InvalidMailToken);
    let reset = shop.accounts().reset_password(token.as_str(), OTHER_PASSWORD).await;
    refused!(reset, AccountError::InvalidMailToken);

    // A new password voids a change that somebody else asked for.
    ada.accounts().change_password(PASSWORD, OTHER_PASSWORD).await.unwrap();
    refused!(ada.accounts().confirm_email_change(token.as_str()).await, AccountError::InvalidMailToken);

    ada.accounts().change_email(NEW, OTHER_PASSWORD).await.unwrap();
    let token = token_in(&shop.letter(NEW, CONFIRM, 1).await);
    shop.advance(Duration::from_hours(72));
    let ada = shop.call(&shop.try_login(OLD, OTHER_PASSWORD).await.unwrap()).await;
    refused!(ada.accounts().confirm_email_change(token.as_str()).await, AccountError::InvalidMailToken);
}

#[tokio::test]
async fn passwords_are_not_guessed_through_a_session_and_links_are_counted() {
    let shop = Shop::open().await;
    let (_, ada) = shop.customer(OLD).await;
    for n in 0..7 {
        ada.accounts().change_email(format!("{n}@example.com"), PASSWORD).await.unwrap();
    }
    let mut mailed = 0;
    for n in 0..7 {
        mailed += shop.letters(&format!("{n}@example.com"), CONFIRM).await.len();
    }
    assert_eq!((mailed, shop.letters(OLD, NOTICE).await.len()), (5, 5), "the others are quietly not sent");

    let mut tried = 0;
    for n in 0..30 {
        let guess = if n % 2 == 0 {
            ada.accounts().change_email(NEW, OTHER_PASSWORD).await
        } else {
            ada.accounts().change_password(OTHER_PASSWORD, PASSWORD).await
        };
        match guess {
            Err(AccountError::InvalidCredentials) => tried += 1,
            Err(AccountError::TooManyAttempts { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tried, 20, "as many as sign-ins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_confirm_the_same_address_at_once_one_gets_it() {
    let shop = Shop::open().await;
    let mut rivals = Vec::new();
    for (n, email) in [OLD, "eve@example.com"].into_iter().enumerate() {
        let (_, call) = shop.customer(email).await;
        call.accounts().change_email(NEW, PASSWORD).await.unwrap();
        let token = token_in(&shop.letter(NEW, CONFIRM, n).await);
        rivals.extend([(call.clone(), token.clone()), (call, token)]);
    }
    let calls =
        rivals.into_iter().map(|(call, token)| tokio::spawn(call.accounts().confirm_email_change(token).into_future()));
    let mut winners = 0;
    for result in join_all(calls).await {
        match result.unwrap() {
            Ok(user) => winners += usize::from(user.email == NEW),
            Err(AccountError::EmailTaken | AccountError::InvalidMailToken) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn erasing_an_account_leaves_no_address_behind() {
    let shop = Shop::open().await;
    let (login, ada) = shop.customer(OLD).await;
    let user = shop.identity(&login).await.user;
    ada.accounts().change_email(NEW, PASSWORD).await.unwrap();
    assert_eq!(shop.store.reads().list_mail_tokens(user).await.unwrap().len(), 2);
    ada.accounts().erase().await.unwrap();
    assert_eq!(shop.store.reads().list_mail_tokens(user).await.unwrap(), []);
    assert!(shop.letters(NEW, CONFIRM).await.is_empty() && shop.letters(OLD, NOTICE).await.is_empty());
}
