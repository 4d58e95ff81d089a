//! Registering and confirming the address.

use std::future::IntoFuture;

use commerce_core::{
    Caller,
    account::{AccountError, Registration},
    context::{AccessError, Idempotency, IdempotencyError, Role},
    error::CommonError,
};

use crate::{PASSWORD, Shop, invalid, refused, registration, token_in};

#[tokio::test]
async fn a_customer_registers_and_confirms_once() {
    let shop = Shop::open().await;
    let user = shop.register(" Ada@Example.com ").await;
    assert_eq!((user.email.as_str(), user.email_confirmed, user.role), ("ada@example.com", false, Role::Customer));
    assert!(user.password_hash.starts_with("$argon2id$"));

    let token = token_in(&shop.letter("ada@example.com", "confirm", 0).await);
    let confirmed = shop.accounts().confirm_email(token.as_str()).await.unwrap();
    assert!(confirmed.email_confirmed);
    refused!(shop.accounts().confirm_email(token.as_str()).await, AccountError::InvalidMailToken);
    assert_eq!(shop.letters("ada@example.com", "").await.len(), 1);
}

#[tokio::test]
async fn each_broken_rule_is_named_and_nothing_is_kept() {
    let shop = Shop::open().await;
    let bad = Registration::new("ada", "password", " ", "4111 1111 1111 1111").phone("none".to_owned());
    let expected = [
        ("/email", "invalid_email"),
        ("/password", "weak_password"),
        ("/last_name", "card_number"),
        ("/phone", "invalid_phone"),
    ];
    let named = invalid(shop.accounts().register(bad).await);
    assert_eq!(named, expected.map(|(at, code)| (at.to_owned(), code)));
    let nameless = Registration::new("ada@example.com", PASSWORD, "\u{200b}", " ");
    let named = invalid(shop.accounts().register(nameless).await);
    assert_eq!(named, [("/first_name".to_owned(), "required")]);
    let own_name = Registration::new("ada@example.com", "lovelace1815", "Ada", "Lovelace");
    assert_eq!(invalid(shop.accounts().register(own_name).await), [("/password".to_owned(), "weak_password")]);
    assert_eq!(shop.letters("ada@example.com", "").await, []);
}

#[tokio::test]
async fn an_address_has_one_account_even_in_a_race() {
    let shop = Shop::open().await;
    let accounts = shop.accounts();
    let attempts = (0..8).map(|n| {
        let email = if n % 2 == 0 { "ada@example.com" } else { "ADA@example.com" };
        accounts.register(registration(email)).into_future()
    });
    let mut won = 0;
    for attempt in futures_util::future::join_all(attempts).await {
        match attempt {
            Ok(_) => won += 1,
            Err(AccountError::EmailTaken) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(shop.letters("ada@example.com", "confirm").await.len(), 1);
}

#[tokio::test]
async fn a_registration_sent_again_with_its_key_is_the_same() {
    let shop = Shop::open().await;
    let register = |email, body| {
        let key = Idempotency::new("register", "key", body);
        shop.accounts().register(registration(email)).idempotent(key).outcome()
    };
    let first = register("ada@example.com", b"body").await.unwrap();
    let again = register("ada@example.com", b"body").await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.value, again.value);

    let reused = register("eve@example.com", b"else").await;
    refused!(reused, AccountError::Common(CommonError::Idempotency(IdempotencyError::Reused)));
    refused!(shop.accounts().register(registration("ada@example.com")).await, AccountError::EmailTaken);
    assert_eq!(shop.letters("ada@example.com", "confirm").await.len(), 1);
}

#[tokio::test]
async fn only_admins_and_the_shop_itself_make_users() {
    let shop = Shop::open().await;
    let manager = shop.create("manager@example.com", Role::Manager).await;
    assert!(manager.email_confirmed);
    let login = shop.login("manager@example.com").await;
    let by_manager = shop.call(&login).await;
    let create = |caller: Caller| caller.accounts().create_user(registration("new@example.com"), Role::Admin);
    refused!(create(by_manager).await, AccountError::Common(CommonError::Access(AccessError::Forbidden(_))));
    refused!(
        create(shop.commerce.as_guest()).await,
        AccountError::Common(CommonError::Access(AccessError::Unauthenticated))
    );
    assert_eq!(create(shop.commerce.as_system()).await.unwrap().role, Role::Admin);
}
