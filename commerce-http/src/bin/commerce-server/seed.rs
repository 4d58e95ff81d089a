//! The demo catalogue: the same in every shop, made through core's services, so that every rule holds for it.

mod data;

use commerce_core::{
    Commerce, Money,
    account::Registration,
    catalog::{Image, NewCategory, NewProduct, NewVariant},
    context::{Actor, Identity, Role},
    id::{CategoryId, ProductId, SessionId},
    page::PageRequest,
    review::NewReview,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use self::data::{CUSTOMERS, Choice, GROUPS, Item, PASSWORD, REVIEWS};
use crate::{Failure, output::Format};

/// Fills a shop that has no products.
pub async fn fill(commerce: &Commerce, format: Format) -> Result<(), Failure> {
    let existing = commerce.as_system().catalog().admin_products().page(&PageRequest::first(1)).await?;
    if !existing.items.is_empty() {
        format.notice("The shop has products already: the demo catalogue is left out", &json!({}));
        return Ok(());
    }
    let items: usize = GROUPS.iter().flat_map(|group| group.shelves).map(|shelf| shelf.items.len()).sum();
    let bar = ProgressBar::new((items + CUSTOMERS.len()) as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);

    let customers = register_customers(commerce, &bar).await?;
    let (mut products, mut reviews) = (0, 0);
    for (position, group) in (0_i64..).zip(GROUPS) {
        let above = category(commerce, group.name, None, position).await?;
        for (position, shelf) in (0_i64..).zip(group.shelves) {
            let shelf_id = category(commerce, shelf.name, Some(above), position).await?;
            for item in shelf.items {
                bar.set_message(item.title);
                let product = put_on_shelf(commerce, item, shelf_id, products).await?;
                reviews += review(commerce, product, products, &customers).await?;
                products += 1;
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    let (email, password) = (CUSTOMERS[0].2, PASSWORD);
    format.notice(
        &format!("Demo catalogue: {products} products, {reviews} reviews; sign in as {email} with {password}"),
        &json!({ "products": products, "reviews": reviews, "email": email, "password": password }),
    );
    Ok(())
}

async fn register_customers(commerce: &Commerce, bar: &ProgressBar) -> Result<Vec<Identity>, Failure> {
    let mut customers = Vec::new();
    for (first_name, last_name, email) in CUSTOMERS {
        bar.set_message(*first_name);
        let registration = Registration::new(*email, PASSWORD, *first_name, *last_name);
        let user = commerce.as_system().accounts().create_user(registration, Role::Customer).await?;
        customers.push(Identity { user: user.id, role: user.role, session: SessionId(commerce.ids().uuid()) });
        bar.inc(1);
    }
    Ok(customers)
}

async fn category(
    commerce: &Commerce,
    name: &str,
    parent_id: Option<CategoryId>,
    position: i64,
) -> Result<CategoryId, Failure> {
    let category = NewCategory::new(name).parent(parent_id).position(position);
    Ok(commerce.as_system().catalog().create_category(category).await?.id)
}

/// The `n`th product of the demo.
async fn put_on_shelf(commerce: &Commerce, item: &Item, shelf: CategoryId, n: usize) -> Result<ProductId, Failure> {
    let slug = item.sku.to_ascii_lowercase();
    let image = |view: u8| Image {
        url: format!("https://images.example.com/{slug}-{view}.jpg"),
        alt: Some(item.title.to_owned()),
    };
    let product = NewProduct::active(item.title).description(item.description).category(shelf);
    let product = product.attribute("material", item.material).image(image(1)).image(image(2));
    let product = variants(commerce, item, n).into_iter().fold(product, NewProduct::with_variant);
    Ok(commerce.as_system().catalog().create(product).await?.id)
}

fn variants(commerce: &Commerce, item: &Item, n: usize) -> Vec<NewVariant> {
    let currency = commerce.settings().currency;
    let price = Money::new(item.cents * 10_i64.pow(currency.digits()) / 100, currency);
    // Some well stocked, some running low, a few sold out: a shop as one finds it.
    let stock = |k: usize| i64::try_from((n * 37 + k * 11) % 60).map(|units| if units < 4 { 0 } else { units }).ok();
    let variant = |k: usize, sku: String| NewVariant::new(sku, price).stock(stock(k)).low_stock_threshold(5);
    let of = |name: &str, values: &[&str]| {
        let code = |value: &str| value[..value.len().min(3)].to_ascii_uppercase();
        let sku = |value: &str| format!("{}-{}", item.sku, code(value));
        let chosen =
            |(k, value): (usize, &&str)| variant(k, sku(value)).title((*value).to_owned()).option(name, *value);
        values.iter().enumerate().map(chosen).collect()
    };
    match item.choice {
        Choice::None => vec![variant(0, item.sku.to_owned())],
        Choice::Size => of("size", &["S", "M", "L", "XL"]),
        Choice::Colour => of("colour", &["blue", "green", "natural"]),
    }
}

/// Zero to four reviews, as the product's number has it.
async fn review(commerce: &Commerce, product: ProductId, n: usize, customers: &[Identity]) -> Result<usize, Failure> {
    let count = n * 7 % 5;
    for k in 0..count {
        let author = customers[(n + k) % customers.len()];
        let (rating, title, body) = REVIEWS[(n * 3 + k) % REVIEWS.len()];
        let draft = NewReview::new(rating, title, body);
        commerce.acting_as(Actor::User(author)).reviews().create(&product.to_string(), draft).await?;
    }
    Ok(count)
}
