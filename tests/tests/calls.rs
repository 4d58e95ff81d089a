//! What things cost: a fixed number of store calls, whatever the size of the page or the cart. Each call is one statement or
//! one snapshot in a backend.

use std::sync::{Arc, Mutex};

use commerce_core::{Commerce, catalog::NewProduct, id::VariantId, page::PageRequest, payment::TestGateway};
use commerce_tests::{
    shop::{VISA, customer, eur, input},
    sim::{Chance, Coverage, MemoryStore, Process, SharedState},
};

async fn shop(products: usize) -> (Commerce, Arc<Mutex<SharedState>>, Vec<VariantId>) {
    let shared = SharedState::new(None);
    let process = Process::new(Chance::new(0), Coverage::default(), 0);
    let store = MemoryStore::new(shared.clone(), process);
    let shop = Commerce::builder().store(store).gateway(TestGateway::new()).build().unwrap();
    let mut variants = Vec::new();
    for n in 0..products {
        let thing = NewProduct::active(format!("Thing {n}")).variant(format!("SKU-{n}"), eur(100)).stock(9);
        variants.push(shop.as_system().catalog().create(thing).await.unwrap().default_variant());
    }
    (shop, shared, variants)
}

#[tokio::test]
async fn pages_carts_and_checkouts_cost_the_same_at_any_size() {
    for size in [1, 10, 60] {
        let (shop, shared, variants) = shop(size).await;
        let calls = || shared.lock().unwrap().take_calls();
        calls();
        let page = shop.as_guest().catalog().products().page(&PageRequest::first(100)).await;
        assert_eq!(page.unwrap().items.len(), size);
        assert_eq!(calls(), ["load_categories", "list_products"]);
        shop.as_guest().catalog().product("thing-0").await.unwrap();
        assert_eq!(calls(), ["view_product", "load_categories"]);

        let ada = customer();
        for variant in &variants {
            shop.acting_as(&ada).carts().add(*variant, 1).await.unwrap();
        }
        calls();
        shop.acting_as(&ada).carts().view().await.unwrap();
        assert_eq!(calls(), ["load_open_cart", "load_offers"]);
        shop.acting_as(&ada).carts().add(variants[0], 1).await.unwrap();
        assert_eq!(calls(), ["load_open_cart", "load_offers", "commit"]);
        let order = shop.acting_as(&ada).checkout().place(input(VISA)).await.unwrap().order;
        assert_eq!(order.lines.len(), size);
        assert_eq!(calls(), ["load_open_cart", "load_offers", "commit", "commit"]);
        shop.acting_as(&ada.actor).orders().get(order.id).await.unwrap();
        assert_eq!(calls(), ["load_order"]);
        shop.acting_as(&ada.actor).orders().mine(&PageRequest::default()).await.unwrap();
        assert_eq!(calls(), ["list_orders"]);
    }
}
