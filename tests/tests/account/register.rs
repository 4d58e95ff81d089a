//! Registering and confirming the address.

use commerce_core::{
    account::{AccountError, Registration},
    context::{AccessError, Idempotency, IdempotencyError, RequestContext, Role},
    error::CommonError,
};

use crate::{Shop, invalid, refused, registration, token_in};

#[tokio::test]
async fn a_customer_registers_and_confirms_once() {
    let shop = Shop::open().await;
    let user = shop.register(" Ada@Example.com ").await;
    assert_eq!((user.email.as_str(), user.email_confirmed, user.role), ("ada@example.com", false, Role::Customer));
    assert!(user.password_hash.starts_with("$argon2id$"));

    let token = token_in(&shop.letter("ada@example.com", "confirm", 0).await);
    let confirmed = shop.accounts().confirm_email(&RequestContext::guest(), &token).await.unwrap();
    assert!(confirmed.email_confirmed);
    refused!(shop.accounts().confirm_email(&RequestContext::guest(), &token).await, AccountError::InvalidMailToken);
    assert_eq!(shop.letters("ada@example.com", "").await.len(), 1);
}

#[tokio::test]
async fn each_broken_rule_is_named_and_nothing_is_kept() {
    let shop = Shop::open().await;
    let bad = Registration {
        email: "ada".into(),
        password: "password".into(),
        first_name: " ".into(),
        last_name: "4111 1111 1111 1111".into(),
        phone: Some("none".into()),
    };
    let expected = [
        ("/email", "invalid_email"),
        ("/password", "weak_password"),
        ("/last_name", "card_number"),
        ("/phone", "invalid_phone"),
    ];
    let named = invalid(shop.accounts().register(&RequestContext::guest(), bad).await);
    assert_eq!(named, expected.map(|(at, code)| (at.to_owned(), code)));
    let nameless =
        Registration { first_name: "\u{200b}".into(), last_name: " ".into(), ..registration("ada@example.com") };
    let named = invalid(shop.accounts().register(&RequestContext::guest(), nameless).await);
    assert_eq!(named, [("/first_name".to_owned(), "required")]);
    let own_name = Registration { password: "lovelace1815".into(), ..registration("ada@example.com") };
    assert_eq!(
        invalid(shop.accounts().register(&RequestContext::guest(), own_name).await),
        [("/password".to_owned(), "weak_password")]
    );
    assert_eq!(shop.letters("ada@example.com", "").await, []);
}

#[tokio::test]
async fn an_address_has_one_account_even_in_a_race() {
    let shop = Shop::open().await;
    let accounts = shop.accounts();
    let call = RequestContext::guest();
    let attempts = (0..8).map(|n| {
        let email = if n % 2 == 0 { "ada@example.com" } else { "ADA@example.com" };
        accounts.register(&call, registration(email))
    });
    let mut won = 0;
    for attempt in futures_util::future::join_all(attempts).await {
        match attempt {
            Ok(done) => won += u32::from(!done.replayed),
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
    let call = RequestContext::guest().once(Idempotency::new("register", "key", b"body"));
    let first = shop.accounts().register(&call, registration("ada@example.com")).await.unwrap();
    let again = shop.accounts().register(&call, registration("ada@example.com")).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.value, again.value);

    let other = RequestContext::guest().once(Idempotency::new("register", "key", b"other body"));
    let reused = shop.accounts().register(&other, registration("eve@example.com")).await;
    refused!(reused, AccountError::Common(CommonError::Idempotency(IdempotencyError::Reused)));
    refused!(
        shop.accounts().register(&RequestContext::guest(), registration("ada@example.com")).await,
        AccountError::EmailTaken
    );
    assert_eq!(shop.letters("ada@example.com", "confirm").await.len(), 1);
}

#[tokio::test]
async fn only_admins_and_the_shop_itself_make_users() {
    let shop = Shop::open().await;
    let manager = shop.create("manager@example.com", Role::Manager).await;
    assert!(manager.email_confirmed);
    let login = shop.login("manager@example.com").await;
    let by_manager = shop.call(&login).await;
    let create = |call: RequestContext| {
        let accounts = shop.accounts();
        async move { accounts.create_user(&call, registration("new@example.com"), Role::Admin).await }
    };
    refused!(create(by_manager).await, AccountError::Common(CommonError::Access(AccessError::Forbidden(_))));
    refused!(
        create(RequestContext::guest()).await,
        AccountError::Common(CommonError::Access(AccessError::Unauthenticated))
    );
    assert_eq!(create(RequestContext::system()).await.unwrap().value.role, Role::Admin);
}
