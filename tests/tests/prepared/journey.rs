//! One journey on which every write is made, and another on which every write is refused.

use commerce_core::{
    Caller,
    account::{AddressPatch, Credentials, ProfilePatch, Registration, UserPatch},
    address::PostalAddress,
    alert::AlertQuery,
    catalog::{CategoryPatch, NewCategory, NewProduct, NewVariant, ProductPatch, VariantPatch},
    checkout::{Checkout, PaymentChoice},
    context::Role,
    id::{
        AddressId, AlertId, CategoryId, FulfilmentId, OrderId, PaymentId, ProductId, ReturnId, ReviewId, SessionId,
        UserId, VariantId,
    },
    inventory::StockCount,
    order::{Cancellation, FulfilmentStatus, NewFulfilment, NewReturn, ReturnDecision},
    page::PageRequest,
    payment::NewRefund,
    review::{NewReview, ReviewPatch, ReviewStatus},
    token::CartToken,
};
use commerce_tests::shop::{SECURE, VISA, address, eur, input, offline, units_of};
use uuid::Uuid;

use super::world::{Pair, World};

const EMAIL: &str = "ada@example.com";
const NEW_EMAIL: &str = "countess@example.com";
const PASSWORD: &str = "correct horse battery staple";
const SECOND: &str = "seven purple otters sing";
const THIRD: &str = "nine yellow badgers whistle";

/// Makes every write, then has every write refused.
pub async fn travel(pair: &mut Pair) {
    let (mug, _) = shelves(pair).await;
    stock(pair, mug).await;
    let ada = sign_in(pair).await;
    carts(pair, &ada, mug).await;
    orders(pair, &ada, mug).await;
    reviews(pair, &ada).await;
    account(pair).await;
    Box::pin(refusals(pair)).await;
}

async fn shelves(pair: &mut Pair) -> ([VariantId; 2], [ProductId; 2]) {
    let kitchen = pair.make(|w| w.staff().catalog().create_category(NewCategory::new("Kitchen"))).await;
    let renamed = CategoryPatch::new().name("Tea kitchen".to_owned());
    pair.make(|w| w.staff().catalog().update_category(kitchen[w.side].id, renamed.clone())).await;
    pair.make(|w| w.staff().catalog().delete_category(kitchen[w.side].id)).await;
    let mug = NewProduct::active("Enamel mug")
        .with_variant(NewVariant::new("MUG-S", eur(1990)).option("size", "S").stock(90));
    let mug = pair.make(|w| w.staff().catalog().create(mug.clone())).await;
    let title = ProductPatch::new().title("Enamel mugs".to_owned());
    pair.make(|w| w.staff().catalog().update(mug[w.side].id, title.clone())).await;
    let large = NewVariant::new("MUG-L", eur(2490)).option("size", "L");
    let large = pair.make(|w| w.staff().catalog().add_variant(mug[w.side].id, large.clone())).await;
    let price = VariantPatch::new().price(eur(2590));
    pair.make(|w| w.staff().catalog().update_variant(large[w.side].id, price.clone())).await;
    pair.make(|w| w.staff().catalog().delete_variant(large[w.side].id)).await;
    let pot = pair.make(|w| w.staff().catalog().create(NewProduct::active("Pot").variant("POT", eur(990)))).await;
    pair.make(|w| w.staff().catalog().delete(pot[w.side].id)).await;
    (mug.clone().map(|mug| mug.variants[0].id), mug.map(|mug| mug.id))
}

async fn stock(pair: &mut Pair, mug: [VariantId; 2]) {
    pair.make(|w| w.staff().inventory().set_stock(mug[w.side], StockCount::new().low_stock_threshold(85))).await;
    pair.make(|w| w.staff().inventory().adjust(mug[w.side], -6, "broken")).await;
    let alerts = async |world: &World| {
        let alerts = world.staff().inventory().alerts(AlertQuery::default(), &PageRequest::first(10)).await.unwrap();
        alerts.items[0].id
    };
    let alert = [alerts(&pair.worlds[0]).await, alerts(&pair.worlds[1]).await];
    pair.make(|w| w.staff().inventory().acknowledge(alert[w.side])).await;
}

async fn sign_in(pair: &mut Pair) -> [Caller; 2] {
    let ada = Registration::new(EMAIL, PASSWORD, "Ada", "Lovelace");
    pair.make(|w| w.guest().accounts().register(ada.clone())).await;
    let token = |w: &World| w.mailed(EMAIL, "Please confirm");
    let tokens = [token(&pair.worlds[0]), token(&pair.worlds[1])];
    pair.make(|w| w.guest().accounts().resend_confirmation(EMAIL)).await;
    pair.make(|w| w.guest().accounts().confirm_email(tokens[w.side].as_str())).await;
    let logins = pair.make(|w| w.guest().accounts().login(Credentials::new(EMAIL, PASSWORD))).await;
    let logins = pair.make(|w| w.guest().accounts().refresh(logins[w.side].tokens.refresh_token.clone())).await;
    let [one, two] = &pair.worlds;
    [
        one.commerce.authenticate(&logins[0].tokens.access_token).await.unwrap(),
        two.commerce.authenticate(&logins[1].tokens.access_token).await.unwrap(),
    ]
}

async fn carts(pair: &mut Pair, ada: &[Caller; 2], mug: [VariantId; 2]) {
    pair.make(|w| ada[w.side].carts().add(mug[w.side], 2)).await;
    pair.make(|w| ada[w.side].carts().set_quantity(mug[w.side], 3)).await;
    pair.make(|w| ada[w.side].carts().remove(mug[w.side])).await;
    pair.make(|w| ada[w.side].carts().add(mug[w.side], 1)).await;
    pair.make(|w| ada[w.side].carts().clear()).await;
    let [one, two] = &pair.worlds;
    let tokens = [
        one.guest().carts().add(mug[0], 3).await.unwrap().cart_token.unwrap(),
        two.guest().carts().add(mug[1], 3).await.unwrap().cart_token.unwrap(),
    ];
    pair.make(|w| ada[w.side].carts().merge(&tokens[w.side])).await;
}

async fn orders(pair: &mut Pair, ada: &[Caller; 2], mug: [VariantId; 2]) {
    let placed = pair.make(|w| ada[w.side].checkout().place(input(VISA))).await;
    let order = placed.map(|placed| placed.order.id);
    pair.make(|w| w.staff().payments().capture(order[w.side])).await;
    let parcel = pair.make(|w| w.staff().orders().fulfil(order[w.side], NewFulfilment::all("Royal Mail", "RM1"))).await;
    for status in [FulfilmentStatus::Shipped, FulfilmentStatus::Delivered] {
        pair.make(|w| w.staff().orders().update_fulfilment(parcel[w.side].fulfilment.id, status)).await;
    }
    let asked = pair
        .make(|w| {
            ada[w.side].orders().request_return(order[w.side], NewReturn::new([units_of(mug[w.side], 1)], "too small"))
        })
        .await;
    for decision in [ReturnDecision::approve(), ReturnDecision::receive()] {
        pair.make(|w| w.staff().orders().decide_return(asked[w.side].r#return.id, decision)).await;
    }
    let refund = NewRefund::amount(eur(500)).reason("a dent");
    pair.make(|w| w.staff().payments().refund(order[w.side], refund.clone())).await;

    // A card that needs its owner, and one that doesn't.
    pair.make(|w| ada[w.side].carts().add(mug[w.side], 1)).await;
    let placed = pair.make(|w| ada[w.side].checkout().place(input(SECURE))).await;
    let [one, two] = &pair.worlds;
    let payment = [
        one.staff().orders().get(placed[0].order.id).await.unwrap().payments[0].id,
        two.staff().orders().get(placed[1].order.id).await.unwrap().payments[0].id,
    ];
    assert!(one.gateway.authenticate(payment[0], true) && two.gateway.authenticate(payment[1], true));
    pair.make(|w| ada[w.side].payments().confirm(placed[w.side].order.id, payment[w.side])).await;
    pair.make(|w| ada[w.side].orders().cancel(placed[w.side].order.id, Cancellation::all())).await;

    // By bank transfer, or not.
    pair.make(|w| ada[w.side].carts().add(mug[w.side], 1)).await;
    let placed = pair.make(|w| ada[w.side].checkout().place(offline())).await;
    pair.make(|w| w.staff().payments().receive(placed[w.side].order.payments[0].id)).await;
    pair.make(|w| ada[w.side].carts().add(mug[w.side], 1)).await;
    let placed = pair.make(|w| ada[w.side].checkout().place(input(SECURE))).await;
    let card = || PaymentChoice::by("test").token(VISA.to_owned());
    pair.make(|w| ada[w.side].checkout().pay_again(placed[w.side].order.id, card())).await;
}

async fn reviews(pair: &mut Pair, ada: &[Caller; 2]) {
    let review = || NewReview::new(5, "Sturdy", "Survived a fall.");
    let review = pair.make(|w| ada[w.side].reviews().create("enamel-mug", review())).await;
    pair.make(|w| ada[w.side].reviews().update(review[w.side].id, ReviewPatch::new().rating(4))).await;
    pair.make(|w| w.staff().reviews().moderate(review[w.side].id, ReviewStatus::Hidden)).await;
    pair.make(|w| ada[w.side].reviews().delete(review[w.side].id)).await;
    // One stays, for who erases their account.
    let review = || NewReview::new(3, "Sturdy", "Survived a fall.");
    pair.make(|w| ada[w.side].reviews().create("enamel-mug", review())).await;
}

async fn again(pair: &Pair, email: &str, password: &str) -> [Caller; 2] {
    let [one, two] = &pair.worlds;
    [one.commerce.sign_in(email, password).await.unwrap(), two.commerce.sign_in(email, password).await.unwrap()]
}

async fn account(pair: &mut Pair) {
    let ada = again(pair, EMAIL, PASSWORD).await;
    let phone = ProfilePatch::new().phone("+44 20 7946 0958".to_owned());
    pair.make(|w| ada[w.side].accounts().update_profile(phone.clone())).await;
    let saved = pair.make(|w| ada[w.side].accounts().add_address(address())).await;
    let flat = AddressPatch::new().line2("2nd floor".to_owned());
    pair.make(|w| ada[w.side].accounts().update_address(saved[w.side].id, flat.clone())).await;
    pair.make(|w| ada[w.side].accounts().delete_address(saved[w.side].id)).await;
    pair.make(|w| ada[w.side].accounts().add_address(address())).await;

    let other = again(pair, EMAIL, PASSWORD).await.map(|other| other.actor().identity().unwrap().session);
    pair.make(|w| ada[w.side].accounts().revoke_session(other[w.side])).await;
    pair.make(|w| ada[w.side].accounts().change_password(PASSWORD, SECOND)).await;
    pair.make(|w| w.guest().accounts().forgot_password(EMAIL)).await;
    let tokens = [pair.worlds[0].mailed(EMAIL, "new password"), pair.worlds[1].mailed(EMAIL, "new password")];
    pair.make(|w| w.guest().accounts().reset_password(tokens[w.side].as_str(), THIRD)).await;

    let ada = again(pair, EMAIL, THIRD).await;
    pair.make(|w| ada[w.side].accounts().change_email(NEW_EMAIL, THIRD)).await;
    let tokens =
        [pair.worlds[0].mailed(NEW_EMAIL, "confirm your new"), pair.worlds[1].mailed(NEW_EMAIL, "confirm your new")];
    pair.make(|w| ada[w.side].accounts().confirm_email_change(tokens[w.side].as_str())).await;
    pair.make(|w| ada[w.side].accounts().logout()).await;
    let ada = again(pair, NEW_EMAIL, THIRD).await;
    pair.make(|w| ada[w.side].accounts().logout_everywhere()).await;

    let eve = Registration::new("eve@example.com", PASSWORD, "Eve", "");
    let eve = pair.make(|w| w.staff().accounts().create_user(eve.clone(), Role::Support)).await;
    pair.make(|w| w.staff().accounts().update_user(eve[w.side].id, UserPatch::new().role(Role::Manager))).await;
    let ada = again(pair, NEW_EMAIL, THIRD).await;
    pair.make(|w| ada[w.side].accounts().erase()).await;
}

async fn refusals(pair: &mut Pair) {
    let nil = Uuid::nil;
    pair.refuse(|w| w.guest().catalog().create_category(NewCategory::new("Kitchen"))).await;
    pair.refuse(|w| w.staff().catalog().update_category(CategoryId(nil()), CategoryPatch::new())).await;
    pair.refuse(|w| w.staff().catalog().delete_category(CategoryId(nil()))).await;
    pair.refuse(|w| w.staff().catalog().create(NewProduct::active("Mug").variant("MUG-S", eur(1)))).await;
    pair.refuse(|w| w.staff().catalog().update(ProductId(nil()), ProductPatch::new())).await;
    pair.refuse(|w| w.staff().catalog().delete(ProductId(nil()))).await;
    pair.refuse(|w| w.staff().catalog().add_variant(ProductId(nil()), NewVariant::new("X", eur(1)))).await;
    pair.refuse(|w| w.staff().catalog().update_variant(VariantId(nil()), VariantPatch::new())).await;
    pair.refuse(|w| w.staff().catalog().delete_variant(VariantId(nil()))).await;

    pair.refuse(|w| w.guest().inventory().set_stock(VariantId(nil()), StockCount::new())).await;
    pair.refuse(|w| w.staff().inventory().adjust(VariantId(nil()), 1, "found")).await;
    pair.refuse(|w| w.staff().inventory().acknowledge(AlertId(nil()))).await;

    pair.refuse(|w| w.guest().carts().add(VariantId(nil()), 1)).await;
    pair.refuse(|w| w.guest().carts().set_quantity(VariantId(nil()), 1)).await;
    pair.refuse(|w| w.guest().carts().remove(VariantId(nil()))).await;
    pair.refuse(|w| w.staff().carts().clear()).await;
    pair.refuse(|w| w.guest().carts().merge(&CartToken::from("x"))).await;

    pair.refuse(|w| w.guest().checkout().place(Checkout::ship_to(address()).pay_with("test"))).await;
    pair.refuse(|w| w.staff().checkout().pay_again(OrderId(nil()), PaymentChoice::by("test"))).await;
    pair.refuse(|w| w.staff().orders().cancel(OrderId(nil()), Cancellation::all())).await;
    pair.refuse(|w| w.staff().orders().fulfil(OrderId(nil()), NewFulfilment::all("Royal Mail", "RM1"))).await;
    pair.refuse(|w| w.staff().orders().update_fulfilment(FulfilmentId(nil()), FulfilmentStatus::Shipped)).await;
    pair.refuse(|w| w.staff().orders().request_return(OrderId(nil()), NewReturn::new(Vec::new(), "x"))).await;
    pair.refuse(|w| w.staff().orders().decide_return(ReturnId(nil()), ReturnDecision::approve())).await;
    pair.refuse(|w| w.staff().payments().capture(OrderId(nil()))).await;
    pair.refuse(|w| w.staff().payments().refund(OrderId(nil()), NewRefund::all().reason("x"))).await;
    pair.refuse(|w| w.staff().payments().receive(PaymentId(nil()))).await;
    pair.refuse(|w| w.staff().payments().resolve(PaymentId(nil()))).await;
    pair.refuse(|w| w.staff().payments().write_off(PaymentId(nil()))).await;

    pair.refuse(|w| w.guest().reviews().create("enamel-mug", NewReview::new(5, "x", "x"))).await;
    pair.refuse(|w| w.guest().reviews().update(ReviewId(nil()), ReviewPatch::new())).await;
    pair.refuse(|w| w.staff().reviews().delete(ReviewId(nil()))).await;
    pair.refuse(|w| w.staff().reviews().moderate(ReviewId(nil()), ReviewStatus::Hidden)).await;

    let taken = || Registration::new("eve@example.com", PASSWORD, "Eve", "");
    pair.refuse(|w| w.guest().accounts().register(taken())).await;
    pair.refuse(|w| w.staff().accounts().create_user(taken(), Role::Admin)).await;
    pair.refuse(|w| w.staff().accounts().update_user(UserId(nil()), UserPatch::new())).await;
    pair.refuse(|w| w.guest().accounts().login(Credentials::new("eve@example.com", "wrong"))).await;
    pair.refuse(|w| w.guest().accounts().refresh("x")).await;
    pair.refuse(|w| w.guest().accounts().confirm_email("x")).await;
    pair.refuse(|w| w.guest().accounts().reset_password("x", PASSWORD)).await;
    let eve = again(pair, "eve@example.com", PASSWORD).await;
    pair.refuse(|w| eve[w.side].accounts().change_email("countess@example.com", "wrong")).await;
    pair.refuse(|w| eve[w.side].accounts().change_password("wrong", SECOND)).await;
    pair.refuse(|w| eve[w.side].accounts().confirm_email_change("x")).await;
    pair.refuse(|w| eve[w.side].accounts().update_profile(ProfilePatch::new().phone("x".to_owned()))).await;
    pair.refuse(|w| eve[w.side].accounts().add_address(PostalAddress::default())).await;
    pair.refuse(|w| eve[w.side].accounts().update_address(AddressId(nil()), AddressPatch::new())).await;
    pair.refuse(|w| eve[w.side].accounts().delete_address(AddressId(nil()))).await;
    pair.refuse(|w| eve[w.side].accounts().revoke_session(SessionId(nil()))).await;
    pair.refuse(|w| w.guest().accounts().logout()).await;
    pair.refuse(|w| w.guest().accounts().logout_everywhere()).await;
    pair.refuse(|w| w.guest().accounts().erase()).await;
}
