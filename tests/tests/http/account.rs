//! Registration, sessions, mailed links, profile, addresses.

use commerce_tests::http::{PASSWORD, Server, address, at, card, id};
use serde_json::{Value, json};

use crate::BACKEND;

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "first_name": "Mia", "last_name": "Muster" })
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

#[tokio::test]
async fn a_customer_registers_and_confirms_through_the_mailed_link() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();

    let answer = anyone.post("/v1/auth/register", registration("Mia@Example.com")).await;
    let user = answer.expect(201);
    assert!(!answer.header("location").is_empty());
    assert_eq!((at(&user, "/email"), at(&user, "/role")), ("mia@example.com", "customer"));
    assert_eq!(user["email_confirmed"], false);
    assert!(at(&user, "/created_at").ends_with('Z'));
    assert!(user.get("access_token").is_none());

    anyone.post("/v1/auth/register", registration("mia@example.com")).await.refused(409, "email_taken");
    let refused = |field: &str, value: Value| {
        let mut body = registration("noah@example.com");
        body[field] = value;
        anyone.post("/v1/auth/register", body)
    };
    refused("password", json!("password1")).await.refused_at(422, "weak_password", "/password");
    refused("email", json!("noah")).await.refused_at(422, "invalid_email", "/email");
    refused("role", json!("admin")).await.refused_at(422, "unknown_field", "/role");
    refused("first_name", json!(7)).await.refused_at(422, "invalid_type", "/first_name");
    let incomplete = json!({ "email": "noah@example.com", "password": PASSWORD });
    anyone.post("/v1/auth/register", incomplete).await.refused_at(422, "required", "/first_name");

    let token = server.mailed_token("mia@example.com", "/confirm-email").await;
    anyone.post("/v1/auth/email/confirm", json!({ "token": "nonsense" })).await.refused(422, "invalid_token");
    let confirmed = anyone.post("/v1/auth/email/confirm", json!({ "token": token })).await.expect(200);
    assert_eq!(confirmed["email_confirmed"], true);
    anyone.post("/v1/auth/email/confirm", json!({ "token": token })).await.refused(422, "invalid_token");
    for email in ["mia@example.com", "nobody@example.com"] {
        anyone.post("/v1/auth/email/resend", json!({ "email": email })).await.done(202);
    }
}

#[tokio::test]
async fn a_session_lives_by_rotation_and_dies_by_reuse() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();
    server.customer("mia").await;

    anyone.post("/v1/auth/login", credentials("mia@example.com", "wrong")).await.refused(401, "invalid_credentials");
    anyone.post("/v1/auth/login", credentials("no@example.com", PASSWORD)).await.refused(401, "invalid_credentials");
    let first = anyone.post("/v1/auth/login", credentials("mia@example.com", PASSWORD)).await.expect(200);
    assert_eq!(at(&first, "/token_type"), "Bearer");
    assert_eq!(at(&first, "/user/email"), "mia@example.com");
    assert_eq!(first["expires_in"], 600);
    assert!(first["refresh_expires_in"].as_i64() > Some(3600));

    let refresh = |session: &Value| {
        let body = json!({ "refresh_token": at(session, "/refresh_token") });
        anyone.post("/v1/auth/refresh", body)
    };
    let second = refresh(&first).await.expect(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let me = anyone.bearer(at(&second, "/access_token"));
    me.get("/v1/me").await.done(200);
    anyone.bearer(at(&second, "/refresh_token")).get("/v1/me").await.refused(401, "invalid_token");

    let third = refresh(&second).await.expect(200);
    refresh(&first).await.refused(401, "token_reused");
    refresh(&third).await.refused(401, "session_expired");
    me.get("/v1/me").await.refused(401, "invalid_token");
    let unknown = json!({ "refresh_token": "nonsense" });
    anyone.post("/v1/auth/refresh", unknown).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn signing_out_ends_one_session_or_all() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();
    let (here, there) = (server.customer("mia").await, server.login("mia@example.com").await);
    let sessions = here.get("/v1/me/sessions").await.expect(200);
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(2), "{sessions}");

    let session = anyone.post("/v1/auth/login", credentials("mia@example.com", PASSWORD)).await.expect(200);
    let third = anyone.bearer(at(&session, "/access_token"));
    third.post_empty("/v1/auth/logout").await.done(204);
    third.get("/v1/me").await.refused(401, "invalid_token");
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert_eq!(anyone.post("/v1/auth/refresh", refresh).await.status, 401);

    let of_there = there.get("/v1/me/sessions").await.expect(200);
    let current = of_there["items"].as_array().into_iter().flatten().find(|session| session["current"] == true);
    let path = format!("/v1/me/sessions/{}", id(current.expect("the current session")));
    here.delete(&path).await.done(204);
    here.delete(&path).await.refused(404, "not_found");
    there.get("/v1/me").await.refused(401, "invalid_token");

    let other = server.login("mia@example.com").await;
    here.post("/v1/auth/logout", json!({ "everywhere": true })).await.done(204);
    for ended in [here, other] {
        ended.get("/v1/me").await.refused(401, "invalid_token");
    }
    anyone.post_empty("/v1/auth/logout").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_forgotten_password_is_reset_through_the_mailed_link() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();
    let before = server.customer("mia").await;
    for email in ["mia@example.com", "nobody@example.com"] {
        anyone.post("/v1/auth/password/forgot", json!({ "email": email })).await.done(202);
    }
    let token = server.mailed_token("mia@example.com", "/reset-password").await;
    assert!(!server.mails().iter().any(|mail| mail.contains("nobody@example.com")));

    let reset =
        |password: &str| anyone.post("/v1/auth/password/reset", json!({ "token": token, "new_password": password }));
    reset("12345678").await.refused_at(422, "weak_password", "/new_password");
    reset("quiet-Meadow-91").await.done(204);
    reset("quiet-Meadow-92").await.refused(422, "invalid_token");
    before.get("/v1/me").await.refused(401, "invalid_token");
    anyone.post("/v1/auth/login", credentials("mia@example.com", PASSWORD)).await.refused(401, "invalid_credentials");
    anyone.post("/v1/auth/login", credentials("mia@example.com", "quiet-Meadow-91")).await.done(200);
    server.mail("mia@example.com", "Your password was changed").await;
}

#[tokio::test]
async fn a_profile_is_changed_exported_and_erased() {
    let server = Server::start(BACKEND).await;
    let mia = server.customer("mia").await;
    let changed = mia.patch("/v1/me", json!({ "first_name": "Maria", "phone": "+49 30 1234567" })).await.expect(200);
    assert_eq!((at(&changed, "/first_name"), at(&changed, "/phone")), ("Maria", "+49 30 1234567"));
    let cleared = mia.patch("/v1/me", json!({ "phone": null })).await.expect(200);
    assert!(cleared.get("phone").is_none_or(Value::is_null), "{cleared}");
    mia.patch("/v1/me", json!({ "role": "admin" })).await.refused_at(422, "unknown_field", "/role");
    let only = mia.patch("/v1/me", json!({ "first_name": null })).await.expect(200);
    assert_eq!((at(&only, "/first_name"), at(&only, "/last_name").is_empty()), ("", false), "one name is enough");
    mia.patch("/v1/me", json!({ "last_name": null })).await.refused_at(422, "required", "/last_name");

    let wrong = json!({ "current_password": "wrong", "new_password": "quiet-Meadow-91" });
    assert!([401, 422].contains(&mia.post("/v1/me/password", wrong).await.status));
    let other = server.login("mia@example.com").await;
    let right = json!({ "current_password": PASSWORD, "new_password": "quiet-Meadow-91" });
    mia.post("/v1/me/password", right).await.done(204);
    mia.get("/v1/me").await.done(200);
    other.get("/v1/me").await.refused(401, "invalid_token");

    mia.post("/v1/me/addresses", address()).await.done(201);
    let export = mia.get("/v1/me/export").await.expect(200);
    assert_eq!(at(&export, "/user/email"), "mia@example.com");
    for list in ["addresses", "sessions", "orders", "reviews"] {
        assert!(export[list].is_array(), "{list}: {export}");
    }
    assert_eq!(export["addresses"].as_array().map(Vec::len), Some(1));

    mia.delete("/v1/me").await.done(204);
    mia.get("/v1/me").await.refused(401, "invalid_token");
    let again = server.anyone().post("/v1/auth/login", credentials("mia@example.com", "quiet-Meadow-91")).await;
    again.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn addresses_are_kept() {
    let server = Server::start(BACKEND).await;
    let mia = server.customer("mia").await;
    let answer = mia.post("/v1/me/addresses", address()).await;
    let added = answer.expect(201);
    assert!(answer.header("location").starts_with("/v1/me/addresses"));
    let path = format!("/v1/me/addresses/{}", id(&added));

    let mut wrong = address();
    wrong["country"] = json!("XX");
    mia.post("/v1/me/addresses", wrong).await.refused_at(422, "invalid_country", "/country");
    let mut card = address();
    card["line2"] = json!("4242 4242 4242 4242");
    let refused = mia.post("/v1/me/addresses", card).await;
    assert_eq!((refused.status, refused.json()["errors"][0]["pointer"].as_str()), (422, Some("/line2")));
    assert!(!refused.text().contains("4242"), "a card number isn't repeated: {}", refused.text());

    let changed = mia.patch(&path, json!({ "city": "Potsdam", "line2": "c/o Noah" })).await.expect(200);
    assert_eq!((at(&changed, "/city"), at(&changed, "/line2")), ("Potsdam", "c/o Noah"));
    mia.patch(&path, json!({ "city": null })).await.refused_at(422, "required", "/city");
    let list = mia.get("/v1/me/addresses").await.expect(200);
    assert_eq!(list["items"][0]["city"], "Potsdam");
    mia.delete(&path).await.done(204);
    mia.delete(&path).await.refused(404, "not_found");
    mia.patch(&path, json!({})).await.refused(404, "not_found");
    assert!(!server.log().contains("4242"), "a card number was logged");
}

#[tokio::test]
async fn an_address_is_changed_through_the_link_mailed_to_the_new_one() {
    let server = Server::start(BACKEND).await;
    let (anyone, mia, noah) = (server.anyone(), server.customer("mia").await, server.customer("noah").await);
    let elsewhere = server.login("mia@example.com").await;
    let change = |email: &str, password: &str| json!({ "email": email, "password": password });
    anyone.post("/v1/me/email", change("new@example.com", PASSWORD)).await.refused(401, "unauthenticated");
    mia.post("/v1/me/email", change("new@example.com", "wrong")).await.refused(401, "invalid_credentials");
    mia.post("/v1/me/email", change("new", PASSWORD)).await.refused_at(422, "invalid_email", "/email");
    mia.post("/v1/me/email", change("mia@example.com", PASSWORD)).await.refused_at(422, "unchanged", "/email");
    let (taken, free) = (change("noah@example.com", PASSWORD), change("New@Example.com", PASSWORD));
    let (taken, free) = (mia.post("/v1/me/email", taken).await, mia.post("/v1/me/email", free).await);
    assert_eq!((taken.status, &taken.body), (202, &free.body), "the same, whether or not it is taken");
    free.done(202);

    let token = server.mailed_token("new@example.com", "/confirm-new-email").await;
    server.mail("mia@example.com", "was asked for").await;
    assert!(!server.mails().iter().any(|mail| mail.contains("To: noah") && mail.contains("/confirm-new-email")));
    let token = json!({ "token": token });
    anyone.post("/v1/me/email/confirm", token.clone()).await.refused(401, "unauthenticated");
    noah.post("/v1/me/email/confirm", token.clone()).await.refused(422, "invalid_token");
    assert_eq!(mia.get("/v1/me").await.expect(200)["email"], "mia@example.com");
    let user = mia.post("/v1/me/email/confirm", token.clone()).await.expect(200);
    assert_eq!((at(&user, "/email"), &user["email_confirmed"]), ("new@example.com", &json!(true)));
    mia.post("/v1/me/email/confirm", token).await.refused(422, "invalid_token");
    elsewhere.get("/v1/me").await.refused(401, "invalid_token");
    server.login("new@example.com").await.get("/v1/me").await.done(200);

    // Somebody else registers the next address before its link is used.
    mia.post("/v1/me/email", change("third@example.com", PASSWORD)).await.done(202);
    let token = server.mailed_token("third@example.com", "/confirm-new-email").await;
    anyone.post("/v1/auth/register", registration("third@example.com")).await.done(201);
    mia.post("/v1/me/email/confirm", json!({ "token": token })).await.refused(409, "email_taken");
}

#[tokio::test]
async fn orders_of_a_guest_join_the_account_that_confirms_their_address() {
    let server = Server::start(BACKEND).await;
    let (anyone, admin) = (server.anyone(), server.admin().await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    let buy = async || {
        let guest = server.guest_with(variant, 1).await;
        let mut body = card("pm_card_visa");
        body["email"] = json!("Mia@Example.com");
        guest.post("/v1/checkout", body).await.expect(201)
    };
    let (first, second) = (buy().await, buy().await);
    let path = format!("/v1/orders/{}", id(&first));
    let mia = server.customer("mia").await;
    let mine = async || mia.get("/v1/orders").await.expect(200)["items"].as_array().map(Vec::len);
    assert_eq!(mine().await, Some(0), "an unproven address joins nothing");
    mia.get(&path).await.refused(404, "not_found");

    // A token works beside a session, and a session beside a token.
    let both = mia.with("x-order-token", at(&first, "/order_token"));
    assert_eq!(both.get(&path).await.expect(200)["number"], first["number"]);
    both.get(&format!("{path}/tracking")).await.done(200);
    both.get("/v1/me").await.done(200);
    both.get(&format!("/v1/orders/{}", id(&second))).await.refused(404, "not_found");

    // However the number is written.
    let number = at(&first, "/number");
    let spelled = number.to_lowercase().replace('0', "o").replace('1', "L").replace('-', "");
    for text in [number, &spelled, &format!(" {} ", number.to_lowercase())] {
        let found = anyone.post("/v1/orders/lookup", json!({ "number": text, "email": "mia@example.com" })).await;
        assert_eq!(id(&found.expect(200)), id(&first), "{text}");
        let listed = admin.get(&format!("/v1/admin/orders?number={}", text.trim())).await.expect(200);
        assert_eq!(listed["items"][0]["id"], first["id"], "{text}");
    }

    let token = server.mailed_token("mia@example.com", "/confirm-email").await;
    anyone.post("/v1/auth/email/confirm", json!({ "token": token })).await.done(200);
    assert_eq!(mine().await, Some(2));
    both.get(&path).await.done(200);
    anyone.with("x-order-token", at(&first, "/order_token")).get(&path).await.refused(404, "not_found");
    let lookup = json!({ "number": number, "email": "mia@example.com" });
    anyone.post("/v1/orders/lookup", lookup).await.refused(404, "not_found");
    assert_eq!(mia.get("/v1/me/export").await.expect(200)["orders"].as_array().map(Vec::len), Some(2));
    let cancelled = mia.post_empty(&format!("{path}/cancel")).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
}
