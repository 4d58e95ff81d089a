//! Users, sessions, mailed tokens and addresses.

use super::{
    StoreFixture,
    sample::EXTREME_TIMES,
    shop::{ODD, Outcome, Shop, bare_address, full_address, minutes, same},
};
use crate::{
    account::{Address, MailToken, MailTokenKind, Session, User, UserQuery},
    context::Role,
    id::UserId,
    page::{PageSpec, Rows},
    store::{AggregateId, Claim, Conflict},
};

async fn load(shop: &Shop, id: UserId) -> Option<User> {
    shop.reads().load_user(id).await.expect("a user can be read")
}

async fn list(shop: &Shop, query: &UserQuery) -> Rows<User> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    shop.reads().list_users(query, &spec).await.expect("users can be listed")
}

async fn emails(shop: &Shop, query: &UserQuery) -> Vec<String> {
    let listed = list(shop, query).await;
    assert_eq!(listed.total, Some(listed.items.len() as u64), "the total counts what the filter lets through");
    listed.items.into_iter().map(|user| user.email).collect()
}

/// A user loads as it was committed: every field set, and every option left out.
pub async fn users_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let full =
        User { first_name: ODD.to_owned(), last_name: ODD.to_owned(), disabled: true, ..shop.user("full@example.com") };
    let bare = User { phone: None, email_confirmed: false, first_name: String::new(), ..shop.user("bare@example.com") };
    for user in [full, bare] {
        let user = shop.save_user(user).await;
        same(&load(&shop, user.id).await, &Some(user));
    }
    for (role, at) in
        [Role::Customer, Role::Support, Role::Manager, Role::Admin].into_iter().zip(EXTREME_TIMES.into_iter().cycle())
    {
        let user = User { role, sessions_from: at, created_at: at, updated_at: at, ..shop.user(role.as_str()) };
        let user = shop.save_user(user).await;
        same(&load(&shop, user.id).await, &Some(user));
    }
}

/// Every field of a user but its id can be changed.
pub async fn users_can_be_changed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("old@example.com")).await;
    let other = shop.save_user(shop.user("other@example.com")).await;
    let at = shop.now();
    let changed = User {
        id: user.id,
        email: "new@example.com".to_owned(),
        email_confirmed: false,
        password_hash: String::new(),
        first_name: "Augusta".to_owned(),
        last_name: "King".to_owned(),
        phone: None,
        role: Role::Manager,
        disabled: true,
        sessions_from: at,
        created_at: at,
        updated_at: at,
        version: 0,
    };
    let changed = shop.update(&user, |after| *after = changed).await;
    assert_eq!(changed.version, 2, "each write adds one to the version");
    same(&load(&shop, user.id).await, &Some(changed));
    same(&load(&shop, other.id).await, &Some(other));
}

/// A user is found by the e-mail address they hold, and no longer by one they gave back.
pub async fn users_are_found_by_email(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("old@example.com")).await;
    shop.save_user(shop.user("other@example.com")).await;
    let mut moved = User { email: "new@example.com".to_owned(), ..user.clone() };
    let mut set = shop.set();
    set.update(&user, &mut moved)
        .free(Claim::email("old@example.com"), user.id)
        .hold(Claim::email("new@example.com"), user.id);
    shop.commit(&set).await;
    let by_email = async |email| shop.reads().load_user_by_email(email).await.expect("a user can be read");
    same(&by_email("new@example.com").await, &Some(moved));
    same(&by_email("old@example.com").await, &None);
    same(&by_email("nobody@example.com").await, &None);
}

/// Users are listed newest first, the greatest id first among those of the same time, erased ones left out.
pub async fn users_are_listed_newest_first(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let old = shop.insert(shop.user("a@example.com")).await;
    let tie = shop.insert(User { created_at: old.created_at, ..shop.user("b@example.com") }).await;
    let new = shop.insert(shop.user("c@example.com")).await;
    let past = shop.insert(User { created_at: old.created_at - minutes(1), ..shop.user("d@example.com") }).await;
    shop.insert(User { email: String::new(), disabled: true, ..shop.user("") }).await;
    let listed = list(&shop, &UserQuery::default()).await;
    assert_eq!(listed.total, Some(4), "erased users aren't counted");
    same(&listed.items, &vec![new, tie, old, past]);
    let uncounted =
        shop.reads().list_users(&UserQuery::default(), &PageSpec::first(2)).await.expect("users can be listed");
    assert_eq!((uncounted.items.len(), uncounted.total), (2, None), "totals are counted only when asked for");
}

/// `q` finds part of the e-mail address or a name, in any case; `%`, `_` and `\` are letters like any other; `role` narrows.
pub async fn users_are_filtered(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let names = [
        ("ada@example.com", "Ada", "Lovelace", Role::Customer),
        ("grace@navy.example", "Grace", "Hopper", Role::Admin),
        ("under_score@example.com", "100%", "Back\\slash", Role::Support),
    ];
    for (email, first_name, last_name, role) in names {
        let (first_name, last_name) = (first_name.to_owned(), last_name.to_owned());
        shop.insert(User { first_name, last_name, role, ..shop.user(email) }).await;
    }
    for (q, found) in [
        ("NAVY.ex", vec!["grace@navy.example"]),
        ("love", vec!["ada@example.com"]),
        ("GRA", vec!["grace@navy.example"]),
        ("0%", vec!["under_score@example.com"]),
        ("r_s", vec!["under_score@example.com"]),
        ("\\", vec!["under_score@example.com"]),
        ("'", vec![]),
        ("example", vec!["under_score@example.com", "grace@navy.example", "ada@example.com"]),
    ] {
        let query = UserQuery { q: Some(q.to_owned()), role: None };
        assert_eq!(emails(&shop, &query).await, found, "q = {q}");
    }
    let admins = UserQuery { q: None, role: Some(Role::Admin) };
    assert_eq!(emails(&shop, &admins).await, ["grace@navy.example"]);
    let ada_as_admin = UserQuery { q: Some("ada".to_owned()), role: Some(Role::Admin) };
    assert!(emails(&shop, &ada_as_admin).await.is_empty(), "all filters must let a user through");
    assert!(emails(&shop, &UserQuery { q: None, role: Some(Role::Manager) }).await.is_empty());
}

/// `q` ignores the case of letters beyond ASCII too.
pub async fn users_are_filtered_in_any_script(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    shop.insert(User {
        first_name: "Émile".to_owned(), last_name: "ΣΟΦΙΑ".to_owned(), ..shop.user("e@example.com")
    })
    .await;
    for q in ["émi", "ÉMI", "Σοφ", "σοφ"] {
        let query = UserQuery { q: Some(q.to_owned()), role: None };
        assert_eq!(emails(&shop, &query).await, ["e@example.com"], "q = {q}");
    }
}

/// A session loads as it was committed, together with its user.
pub async fn sessions_load_with_their_user(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let ended = Session { ended_at: Some(shop.now()), generation: i64::MAX, ..shop.session(user.id) };
    let bare = Session { ip: None, user_agent: None, refresh_hash: [0; 32], ..shop.session(user.id) };
    for session in [ended, bare] {
        let session = shop.insert(session).await;
        same(
            &shop.reads().load_session(session.id).await.expect("a session can be read"),
            &Some((session, user.clone())),
        );
    }
}

/// A rotated or ended session loads as it was committed; ended ones aren't listed.
pub async fn sessions_rotate_and_end(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let other = shop.save_user(shop.user("grace@example.com")).await;
    let first = shop.insert(shop.session(user.id)).await;
    let second = shop.insert(shop.session(user.id)).await;
    let ended = shop.insert(shop.session(user.id)).await;
    shop.insert(shop.session(other.id)).await;
    let at = shop.now();
    shop.update(&ended, |session| session.ended_at = Some(at)).await;
    let rotated = shop
        .update(&first, |session| {
            (session.refresh_hash, session.generation, session.rotated_at) = ([1; 32], 1, at);
            (session.idle_expires_at, session.expires_at) = (at + minutes(5), at + minutes(50));
            (session.ip, session.user_agent) = (None, None);
        })
        .await;
    same(&shop.reads().list_sessions(user.id).await.expect("sessions can be listed"), &vec![second, rotated]);
    shop.remove(&shop.update(&ended_as_stored(&shop, ended).await, |session| session.generation = 9).await).await;
}

async fn ended_as_stored(shop: &Shop, ended: Session) -> Session {
    let stored = shop.reads().load_session(ended.id).await.expect("a session can be read");
    let (stored, _) = stored.expect("an ended session is kept until it is purged");
    assert!(stored.ended_at.is_some());
    stored
}

/// A mailed token loads as it was committed, is used once, and can be removed.
pub async fn mail_tokens_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let load = async |id| shop.reads().load_mail_token(id).await.expect("a token can be read");
    let list = async |user| shop.reads().list_mail_tokens(user).await.expect("tokens can be listed");
    for kind in [MailTokenKind::ConfirmEmail, MailTokenKind::ResetPassword, MailTokenKind::ChangeEmail] {
        let token = shop.insert(shop.mail_token(user.id, kind)).await;
        same(&load(token.id).await, &Some(token.clone()));
        same(&list(user.id).await, &vec![token.clone()]);
        same(&list(shop.id()).await, &vec![]);
        let at = shop.now();
        let used = shop.update(&token, |token| token.used_at = Some(at)).await;
        same(&load(token.id).await, &Some(used.clone()));
        let mut set = shop.set();
        set.update(&token, &mut token.clone());
        let stale = Outcome::Refused(vec![Conflict::Stale(AggregateId::MailToken(token.id))]);
        assert_eq!(shop.outcome(&set).await, stale, "a token is used once");
        shop.remove(&used).await;
        same(&load(token.id).await, &None);
    }
    let old = MailToken { email: None, ..shop.mail_token(user.id, MailTokenKind::ConfirmEmail) };
    let old = shop.insert(old).await;
    same(&load(old.id).await, &Some(old));
}

/// Addresses load as they were committed, are listed oldest first, and can be changed and removed.
pub async fn addresses_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let other = shop.save_user(shop.user("grace@example.com")).await;
    let full = shop.insert(shop.address(user.id)).await;
    let bare = shop.insert(Address { address: bare_address(), ..shop.address(user.id) }).await;
    let past = Address { created_at: full.created_at - minutes(1), ..shop.address(user.id) };
    let past = shop.insert(past).await;
    shop.insert(shop.address(other.id)).await;
    let list = async || shop.reads().list_addresses(user.id).await.expect("addresses can be listed");
    same(&list().await, &vec![past.clone(), full.clone(), bare.clone()]);
    same(&shop.reads().load_address(full.id).await.expect("an address can be read"), &Some(full.clone()));

    let swapped = shop.update(&full, |saved| saved.address = bare_address()).await;
    let filled = shop.update(&bare, |saved| saved.address = full_address()).await;
    shop.remove(&past).await;
    same(&list().await, &vec![swapped, filled]);
    same(&shop.reads().load_address(past.id).await.expect("an address can be read"), &None);
}

/// What was never written isn't there, and that is no error.
pub async fn unknown_ids_are_not_found(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let reads = shop.reads();
    same(&load(&shop, shop.id()).await, &None);
    same(&reads.load_session(shop.id()).await.expect("a session can be read"), &None);
    same(&reads.load_mail_token(shop.id()).await.expect("a token can be read"), &None);
    same(&reads.load_address(shop.id()).await.expect("an address can be read"), &None);
    assert!(reads.list_addresses(shop.id()).await.expect("addresses can be listed").is_empty());
    assert!(reads.list_sessions(shop.id()).await.expect("sessions can be listed").is_empty());
    assert!(list(&shop, &UserQuery::default()).await.items.is_empty());
}
