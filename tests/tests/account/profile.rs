//! One's own account.

use commerce_core::{
    account::{AccountError, AddressPatch, ProfilePatch, UserQuery},
    address::PostalAddress,
    context::{AccessError, Idempotency, RequestContext},
    error::CommonError,
    page::PageRequest,
};

use crate::{Shop, invalid, refused};

fn address() -> PostalAddress {
    PostalAddress {
        name: "Ada Lovelace".into(),
        line1: "12 St James's Square".into(),
        line2: Some("2nd floor".into()),
        city: "London".into(),
        postal_code: "SW1Y 4JH".into(),
        country: "gb".into(),
        ..PostalAddress::default()
    }
}

#[tokio::test]
async fn a_profile_is_changed_field_by_field() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    let accounts = shop.accounts();
    let patch = ProfilePatch { phone: Some(Some("+44 20 7946 0958".into())), ..ProfilePatch::default() };
    let user = accounts.update_profile(&call, patch.clone(), Some(login.user.version)).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.phone.as_deref()), ("Ada", Some("+44 20 7946 0958")));
    assert_eq!(accounts.me(&call.actor).await.unwrap(), user, "the answer is what is stored");

    let stale = accounts.update_profile(&call, patch, Some(login.user.version)).await;
    refused!(stale, AccountError::Common(CommonError::VersionMismatch(2)));
    let clear = ProfilePatch { first_name: Some("Augusta".into()), phone: Some(None), ..ProfilePatch::default() };
    let user = accounts.update_profile(&call, clear, None).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.phone), ("Augusta", None));
    let one = ProfilePatch { first_name: Some("\u{200b}".into()), ..ProfilePatch::default() };
    let user = accounts.update_profile(&call, one, None).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.last_name.as_str(), user.called()), ("", "Lovelace", "Lovelace"));
    let bad = ProfilePatch { last_name: Some(String::new()), ..ProfilePatch::default() };
    assert_eq!(invalid(accounts.update_profile(&call, bad, None).await), [("/last_name".to_owned(), "required")]);
    refused!(
        accounts.me(&RequestContext::guest().actor).await,
        AccountError::Common(CommonError::Access(AccessError::Unauthenticated))
    );
}

#[tokio::test]
async fn addresses_belong_to_one_user() {
    let shop = Shop::open().await;
    let (_, ada) = shop.customer("ada@example.com").await;
    let (_, eve) = shop.customer("eve@example.com").await;
    let accounts = shop.accounts();
    let saved = accounts.add_address(&ada, address()).await.unwrap().value;
    assert_eq!(saved.address.country, "GB");
    assert_eq!(accounts.addresses(&ada.actor).await.unwrap(), std::slice::from_ref(&saved));
    assert_eq!(accounts.addresses(&eve.actor).await.unwrap(), []);

    let patch = AddressPatch { city: Some("Ockham".into()), line2: Some(None), ..AddressPatch::default() };
    let not_hers = accounts.update_address(&eve, saved.id, patch.clone()).await;
    refused!(not_hers, AccountError::Common(CommonError::NotFound("address")));
    let not_hers = accounts.delete_address(&eve, saved.id).await;
    refused!(not_hers, AccountError::Common(CommonError::NotFound("address")));
    let moved = accounts.update_address(&ada, saved.id, patch).await.unwrap();
    assert_eq!((moved.address.city.as_str(), moved.address.line2.as_ref()), ("Ockham", None));
    assert_eq!(accounts.addresses(&ada.actor).await.unwrap(), [moved]);
    let bad = AddressPatch { country: Some("ZZ".into()), ..AddressPatch::default() };
    let bad = accounts.update_address(&ada, saved.id, bad).await;
    assert_eq!(invalid(bad), [("/country".to_owned(), "invalid_country")]);

    accounts.delete_address(&ada, saved.id).await.unwrap();
    let gone = accounts.delete_address(&ada, saved.id).await;
    refused!(gone, AccountError::Common(CommonError::NotFound("address")));
    assert_eq!(accounts.addresses(&ada.actor).await.unwrap(), []);
}

#[tokio::test]
async fn an_address_sent_again_with_its_key_is_saved_once() {
    let shop = Shop::open().await;
    let (_, call) = shop.customer("ada@example.com").await;
    let once = call.clone().once(Idempotency::new("ada/addresses", "key", b"body"));
    let first = shop.accounts().add_address(&once, address()).await.unwrap();
    let again = shop.accounts().add_address(&once, address()).await.unwrap();
    assert_eq!((first.value, again.replayed), (again.value, true));
    assert_eq!(shop.accounts().addresses(&call.actor).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_export_holds_everything_but_secrets() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    shop.accounts().add_address(&call, address()).await.unwrap();
    let export = shop.accounts().export(&call.actor).await.unwrap();
    assert_eq!(export["user"]["email"], "ada@example.com");
    assert_eq!(export["addresses"][0]["address"]["city"], "London");
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    assert!(export["orders"].is_array() && export["reviews"].is_array());
    let text = export.to_string();
    assert!(!text.contains("argon2") && !text.contains("hash") && !text.contains(&login.tokens.refresh_token));
}

#[tokio::test]
async fn an_erased_account_is_gone_and_its_address_free() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    shop.accounts().add_address(&call, address()).await.unwrap();
    shop.accounts().forgot_password(&RequestContext::guest(), "ada@example.com").await.unwrap();
    let reset = crate::token_in(&shop.letter("ada@example.com", "new password", 0).await);

    shop.accounts().erase(&call).await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(&login.tokens.refresh_token).await, AccountError::SessionExpired);
    refused!(shop.try_login("ada@example.com", crate::PASSWORD).await, AccountError::InvalidCredentials);
    refused!(
        shop.accounts().reset_password(&RequestContext::guest(), &reset, crate::OTHER_PASSWORD).await,
        AccountError::InvalidMailToken
    );
    let staff = RequestContext::system().actor;
    let user = shop.accounts().user(&staff, login.user.id).await;
    refused!(user, AccountError::Common(CommonError::NotFound("user")));
    let listed = shop.accounts().users(&staff, UserQuery::default(), &PageRequest::default()).await.unwrap();
    assert_eq!(listed.items, []);
    let stored = shop.store.reads().load_user(login.user.id).await.unwrap().unwrap();
    assert_eq!((stored.email.as_str(), stored.first_name.as_str(), stored.disabled), ("", "", true));
    assert_eq!(shop.store.reads().list_addresses(login.user.id).await.unwrap(), []);

    let again = shop.register("ada@example.com").await;
    assert_ne!(again.id, login.user.id);
    refused!(
        shop.accounts().me(&call.actor).await,
        AccountError::Common(CommonError::Access(AccessError::Unauthenticated))
    );
}
