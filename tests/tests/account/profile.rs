//! One's own account.

use commerce_core::{
    account::{AccountError, AddressPatch, ProfilePatch, UserQuery},
    address::PostalAddress,
    context::{AccessError, Idempotency},
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
    let accounts = call.accounts();
    let patch = ProfilePatch::new().phone("+44 20 7946 0958".to_owned());
    let user = accounts.update_profile(patch.clone()).if_version(login.user.version).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.phone.as_deref()), ("Ada", Some("+44 20 7946 0958")));
    assert_eq!(accounts.me().await.unwrap(), user, "the answer is what is stored");

    let stale = accounts.update_profile(patch).if_version(login.user.version).await;
    refused!(stale, AccountError::Common(CommonError::VersionMismatch(2)));
    let clear = ProfilePatch::new().first_name("Augusta".to_owned()).phone(String::new());
    let user = accounts.update_profile(clear).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.phone), ("Augusta", None));
    let one = ProfilePatch::new().first_name("\u{200b}".to_owned());
    let user = accounts.update_profile(one).await.unwrap();
    assert_eq!((user.first_name.as_str(), user.last_name.as_str(), user.called()), ("", "Lovelace", "Lovelace"));
    let bad = ProfilePatch::new().last_name(String::new());
    assert_eq!(invalid(accounts.update_profile(bad).await), [("/last_name".to_owned(), "required")]);
    refused!(shop.accounts().me().await, AccountError::Common(CommonError::Access(AccessError::Unauthenticated)));
}

#[tokio::test]
async fn addresses_belong_to_one_user() {
    let shop = Shop::open().await;
    let (_, ada) = shop.customer("ada@example.com").await;
    let (_, eve) = shop.customer("eve@example.com").await;
    let (accounts, hers) = (ada.accounts(), eve.accounts());
    let saved = accounts.add_address(address()).await.unwrap();
    assert_eq!(saved.address.country, "GB");
    assert_eq!(accounts.addresses().await.unwrap(), std::slice::from_ref(&saved));
    assert_eq!(hers.addresses().await.unwrap(), []);

    let patch = AddressPatch::new().city("Ockham".to_owned()).line2(String::new());
    let not_hers = hers.update_address(saved.id, patch.clone()).await;
    refused!(not_hers, AccountError::Common(CommonError::NotFound("address")));
    let not_hers = hers.delete_address(saved.id).await;
    refused!(not_hers, AccountError::Common(CommonError::NotFound("address")));
    let moved = accounts.update_address(saved.id, patch).await.unwrap();
    assert_eq!((moved.address.city.as_str(), moved.address.line2.as_ref()), ("Ockham", None));
    assert_eq!(accounts.addresses().await.unwrap(), [moved]);
    let bad = AddressPatch::new().country("ZZ".to_owned());
    let bad = accounts.update_address(saved.id, bad).await;
    assert_eq!(invalid(bad), [("/country".to_owned(), "invalid_country")]);

    accounts.delete_address(saved.id).await.unwrap();
    let gone = accounts.delete_address(saved.id).await;
    refused!(gone, AccountError::Common(CommonError::NotFound("address")));
    assert_eq!(accounts.addresses().await.unwrap(), []);
}

#[tokio::test]
async fn an_address_sent_again_with_its_key_is_saved_once() {
    let shop = Shop::open().await;
    let (_, call) = shop.customer("ada@example.com").await;
    let once = || {
        let key = Idempotency::new("ada/addresses", "key", b"body");
        call.accounts().add_address(address()).idempotent(key).outcome()
    };
    let (first, again) = (once().await.unwrap(), once().await.unwrap());
    assert_eq!((first.value, again.replayed), (again.value, true));
    assert_eq!(call.accounts().addresses().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_export_holds_everything_but_secrets() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    call.accounts().add_address(address()).await.unwrap();
    let export = call.accounts().export().await.unwrap();
    assert_eq!(export["user"]["email"], "ada@example.com");
    assert_eq!(export["addresses"][0]["address"]["city"], "London");
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    assert!(export["orders"].is_array() && export["reviews"].is_array());
    let text = export.to_string();
    assert!(!text.contains("argon2") && !text.contains("hash") && !text.contains(&login.tokens.refresh_token.0));
}

#[tokio::test]
async fn an_erased_account_is_gone_and_its_address_free() {
    let shop = Shop::open().await;
    let (login, call) = shop.customer("ada@example.com").await;
    call.accounts().add_address(address()).await.unwrap();
    shop.accounts().forgot_password("ada@example.com").await.unwrap();
    let reset = crate::token_in(&shop.letter("ada@example.com", "new password", 0).await);

    call.accounts().erase().await.unwrap();
    assert!(!shop.is_signed_in(&login).await);
    refused!(shop.refresh(login.tokens.refresh_token.clone()).await, AccountError::SessionExpired);
    refused!(shop.try_login("ada@example.com", crate::PASSWORD).await, AccountError::InvalidCredentials);
    refused!(
        shop.accounts().reset_password(reset.as_str(), crate::OTHER_PASSWORD).await,
        AccountError::InvalidMailToken
    );
    let user = shop.staff().user(login.user.id).await;
    refused!(user, AccountError::Common(CommonError::NotFound("user")));
    let listed = shop.staff().users(UserQuery::default(), &PageRequest::default()).await.unwrap();
    assert_eq!(listed.items, []);
    let stored = shop.store.reads().load_user(login.user.id).await.unwrap().unwrap();
    assert_eq!((stored.email.as_str(), stored.first_name.as_str(), stored.disabled), ("", "", true));
    assert_eq!(shop.store.reads().list_addresses(login.user.id).await.unwrap(), []);

    let again = shop.register("ada@example.com").await;
    assert_ne!(again.id, login.user.id);
    refused!(call.accounts().me().await, AccountError::Common(CommonError::Access(AccessError::Unauthenticated)));
}
