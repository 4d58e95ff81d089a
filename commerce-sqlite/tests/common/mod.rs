//! Entities to write, with nothing special about them.
#![allow(dead_code)] // Each test binary uses some of it.

use std::collections::BTreeMap;

use commerce_core::{
    Currency, Money,
    account::User,
    address::PostalAddress,
    cart::{Cart, CartLine, CartOwner, CartStatus},
    catalog::{Image, Product, ProductStatus, Variant},
    clock::Timestamp,
    context::{ActorRef, Role},
    id::{CartId, IdGenerator, OrderId, PaymentId, ProductId, SeededIds, UserId, VariantId},
    inventory::NewStock,
    order::{FulfilmentState, Order, OrderLine, OrderStatus},
    payment::{Payment, PaymentStatus},
    pricing::{ShippingMethod, Totals},
    store::{ChangeSet, Claim, Store},
};
use commerce_sqlite::SqliteStore;

pub const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_123_456);

pub struct Shop {
    pub store: SqliteStore,
    pub ids: SeededIds,
}

pub fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

impl Shop {
    pub async fn new() -> Self {
        Self { store: SqliteStore::open("sqlite::memory:").await.unwrap(), ids: SeededIds::new(1) }
    }

    pub fn set(&self) -> ChangeSet {
        ChangeSet::new(&self.ids, NOW, ActorRef::System)
    }

    pub fn id<T: From<uuid::Uuid>>(&self) -> T {
        self.ids.uuid().into()
    }

    pub fn user(&self, email: &str) -> User {
        User {
            id: self.id(),
            email: email.into(),
            email_confirmed: true,
            password_hash: "$argon2id$".into(),
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            phone: None,
            role: Role::Customer,
            disabled: false,
            sessions_from: NOW,
            created_at: NOW,
            updated_at: NOW,
            version: 0,
        }
    }

    pub fn product(&self, title: &str, prices: &[i64]) -> Product {
        let id: ProductId = self.id();
        Product {
            id,
            slug: format!("p-{}", id.0.simple()),
            title: title.into(),
            description: "Quite \"special\", ünïcode too".into(),
            status: ProductStatus::Active,
            category_ids: vec![],
            attributes: BTreeMap::from([("colour".into(), "red".into())]),
            images: vec![Image { url: "https://shop.example/1.jpg".into(), alt: None }],
            variants: (0..).zip(prices).map(|(n, price)| self.variant(n, *price)).collect(),
            created_at: NOW,
            updated_at: NOW,
            version: 0,
        }
    }

    pub fn variant(&self, position: i64, price: i64) -> Variant {
        let id: VariantId = self.id();
        Variant {
            id,
            position,
            sku: format!("SKU-{}", id.0.simple()),
            title: format!("Size {position}"),
            options: BTreeMap::from([("size".into(), position.to_string())]),
            price: eur(price),
            retired: false,
        }
    }

    /// Saves a new product with so many units of each variant.
    pub async fn stocked(&self, product: &mut Product, on_hand: i64) {
        let mut set = self.set();
        set.insert(product);
        for variant in &product.variants {
            let stock = NewStock { variant_id: variant.id, product_id: product.id, low_stock_threshold: 2 };
            set.open_stock(stock, on_hand);
        }
        self.store.commit(&set).await.unwrap();
    }

    pub fn cart(&self, owner: CartOwner, variants: &[VariantId]) -> Cart {
        Cart {
            id: self.id::<CartId>(),
            owner,
            status: CartStatus::Open,
            lines: (0..)
                .zip(variants)
                .map(|(position, variant)| CartLine { position, variant_id: *variant, quantity: 1 })
                .collect(),
            created_at: NOW,
            updated_at: NOW,
            version: 0,
        }
    }

    pub fn guest(&self) -> CartOwner {
        CartOwner::Guest(self.ids.uuid().simple().to_string())
    }

    pub fn order(&self, number: &str, customer: Option<UserId>, product: &Product, quantity: u32) -> Order {
        let lines = product
            .variants
            .iter()
            .map(|variant| {
                let total = variant.price.times(i64::from(quantity)).unwrap();
                OrderLine {
                    position: variant.position,
                    variant_id: variant.id,
                    product_id: product.id,
                    sku: variant.sku.clone(),
                    title: variant.title.clone(),
                    quantity,
                    unit_price: variant.price,
                    total,
                    charged: total,
                    tax: eur(0),
                    fulfilled: 0,
                    cancelled: 0,
                    refunded: 0,
                    returned: 0,
                    uncharged: 0,
                    restocked: 0,
                    written_off: 0,
                }
            })
            .collect::<Vec<_>>();
        let total = Money::sum(Currency::EUR, lines.iter().map(|line| line.total)).unwrap();
        let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
        Order {
            id: self.id::<OrderId>(),
            number: number.into(),
            customer_id: customer,
            email: "ada@example.org".into(),
            status: OrderStatus::Pending,
            payment_status: PaymentStatus::Pending,
            fulfilment_status: FulfilmentState::Unfulfilled,
            lines,
            totals: Totals { subtotal: total, discount: eur(0), shipping: eur(0), tax: eur(0), grand_total: total },
            shipping_address: address.clone(),
            billing_address: address,
            shipping_method: ShippingMethod { code: "std".into(), title: "Standard".into(), price: eur(0) },
            payments: vec![self.payment(total)],
            refunds: vec![],
            fulfilments: vec![],
            returns: vec![],
            cart_id: None,
            idempotency_key: Some([7; 32]),
            note: None,
            cancel_reason: None,
            declined: false,
            placed_at: NOW,
            updated_at: NOW,
            version: 0,
        }
    }

    pub fn payment(&self, amount: Money) -> Payment {
        Payment {
            id: self.id::<PaymentId>(),
            method: "test".into(),
            gateway: "test".into(),
            status: PaymentStatus::Pending,
            amount,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: Some("tok_1".into()),
            next_action: None,
            instructions: None,
            failure: None,
            lease_until: Some(NOW),
            reserved_until: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    /// A set that only takes a claim.
    pub fn claim(&self, sku: &str) -> ChangeSet {
        let mut set = self.set();
        set.hold(Claim::sku(sku), self.ids.uuid());
        set
    }
}
