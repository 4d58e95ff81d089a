//! Sample entities: plausible by default, with every field set or every option left out on request.

mod order;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::shop::{ODD, Shop, eur, full_address, minutes};
use crate::{
    account::{Address, MailToken, MailTokenKind, Session, User},
    alert::{Alert, AlertKind},
    cart::{Cart, CartLine, CartOwner, CartStatus},
    catalog::{Category, Image, Product, ProductStatus, Variant},
    clock::Timestamp,
    context::Role,
    id::{CategoryId, ProductId, UserId, VariantId},
    review::{Review, ReviewStatus},
};

pub(super) use self::order::{confirm, order_line, quantity, settle_task};

impl Shop {
    pub(super) fn user(&self, email: &str) -> User {
        let at = self.now();
        User {
            id: self.id(),
            email: email.to_owned(),
            email_confirmed: true,
            password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            phone: Some("+41 44 000 00 00".to_owned()),
            role: Role::Customer,
            disabled: false,
            sessions_from: at - minutes(1),
            created_at: at,
            updated_at: at,
            version: 0,
        }
    }

    pub(super) fn session(&self, user: UserId) -> Session {
        let at = self.now();
        Session {
            id: self.id(),
            user_id: user,
            refresh_hash: [0xA5; 32],
            generation: 0,
            rotated_at: at,
            idle_expires_at: at + minutes(60),
            expires_at: at + minutes(600),
            ended_at: None,
            ip: Some("2001:db8::1".to_owned()),
            user_agent: Some(ODD.to_owned()),
            created_at: at,
            version: 0,
        }
    }

    pub(super) fn mail_token(&self, user: UserId, kind: MailTokenKind) -> MailToken {
        let at = self.now();
        MailToken {
            id: self.id(),
            user_id: user,
            kind,
            hash: [0x5A; 32],
            expires_at: at + minutes(30),
            used_at: None,
            created_at: at,
            email: Some(ODD.to_owned()),
            former_email: (kind == MailTokenKind::ChangeEmail).then(|| "ada@example.com".to_owned()),
            version: 0,
        }
    }

    pub(super) fn address(&self, user: UserId) -> Address {
        Address { id: self.id(), user_id: user, address: full_address(), created_at: self.now(), version: 0 }
    }

    /// An active product with a variant for each price; slug, title and SKUs are made from `slug`.
    pub(super) fn product(&self, slug: &str, prices: &[i64]) -> Product {
        let at = self.now();
        let variants = prices.iter().zip(0..).map(|(price, position)| {
            let sku = format!("{}-{position}", slug.to_uppercase());
            self.variant(&sku, position, *price)
        });
        Product {
            id: self.id(),
            slug: slug.to_owned(),
            title: slug.to_owned(),
            description: String::new(),
            status: ProductStatus::Active,
            category_ids: Vec::new(),
            attributes: BTreeMap::new(),
            images: Vec::new(),
            variants: variants.collect(),
            created_at: at,
            updated_at: at,
            version: 0,
        }
    }

    pub(super) fn variant(&self, sku: &str, position: i64, price: i64) -> Variant {
        Variant {
            id: self.id(),
            position,
            sku: sku.to_owned(),
            title: String::new(),
            options: BTreeMap::new(),
            price: eur(price),
            retired: false,
        }
    }

    pub(super) fn category(&self, slug: &str, parent: Option<CategoryId>) -> Category {
        Category { id: self.id(), slug: slug.to_owned(), name: format!("The {slug}"), parent_id: parent, position: 0 }
    }

    pub(super) fn cart(&self, owner: CartOwner, lines: &[(VariantId, u32)]) -> Cart {
        let at = self.now();
        Cart {
            id: self.id(),
            owner,
            status: CartStatus::Open,
            lines: cart_lines(lines),
            created_at: at,
            updated_at: at,
            version: 0,
        }
    }

    pub(super) fn review(&self, product: ProductId, customer: UserId, rating: i64) -> Review {
        let at = self.now();
        Review {
            id: self.id(),
            product_id: product,
            customer_id: customer,
            rating,
            title: "As described".to_owned(),
            body: "It holds coffee.".to_owned(),
            author: "Ada L.".to_owned(),
            verified_purchase: true,
            status: ReviewStatus::Published,
            created_at: at,
            updated_at: at,
            version: 0,
        }
    }

    pub(super) fn alert(&self, kind: AlertKind) -> Alert {
        Alert {
            id: self.id(),
            kind,
            variant_id: Some(self.id()),
            order_id: Some(self.id()),
            detail: ODD.to_owned(),
            raised_at: self.now(),
            acknowledged_at: None,
            version: 0,
        }
    }
}

pub(super) fn cart_lines(lines: &[(VariantId, u32)]) -> Vec<CartLine> {
    let lines = lines.iter().zip(0..);
    lines
        .map(|((variant_id, quantity), position)| CartLine { position, variant_id: *variant_id, quantity: *quantity })
        .collect()
}

pub(super) fn image(url: &str, alt: Option<&str>) -> Image {
    Image { url: url.to_owned(), alt: alt.map(str::to_owned) }
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The owner of a guest's cart, by a made-up token hash.
pub(super) fn guest(n: u8) -> CartOwner {
    CartOwner::Guest(format!("{n:02x}").repeat(32))
}

/// The `n`-th of a hundred ids that don't come in order, ten of them in each millisecond: as when several machines make them.
pub(super) fn scattered<T: From<Uuid>>(n: usize) -> T {
    let place = u128::try_from(n * 37 % 101).unwrap_or_default();
    Uuid::from_u128((place / 10 + 1) << 80 | 0x7000 << 64 | 0x8000 << 48 | place << 16 | 0xFFFF).into()
}

/// The limits of what a time may be: the epoch, a lone microsecond, the end of the year 9999.
pub(super) const EXTREME_TIMES: [Timestamp; 3] =
    [Timestamp::from_micros(0), Timestamp::from_micros(1), Timestamp::from_micros(253_402_300_799_999_999)];
