//! Aggregates with children as rows of a change-set.

use commerce_core::{
    cart::Cart,
    catalog::{CategoryTree, Product, ProductStatus},
    clock::Timestamp,
    id::CategoryId,
    order::Order,
    store::AggregateWrite,
};

use crate::{
    cart::{CartLineRow, CartRow},
    catalog::ProductCategoryRow,
    codec::{Count, Name},
    order::{FulfilmentRow, OrderLineRow, PaymentRow, RefundRow, ReturnRow},
    product_row::variant_row,
    search_words,
    write_plan::RowSet,
};

impl RowSet {
    pub(crate) fn product(&mut self, save: &AggregateWrite<Product>) {
        let product = save.after();
        self.products.save(save, product.into());
        let words = search_words::words(product);
        if save.before().is_none_or(|before| search_words::words(before) != words) {
            self.words.extend(words);
        }
        let variants = save.children(|product| &product.variants);
        for variant in variants.put {
            self.variants.put(variant_row(product.id, variant));
        }
        for variant in variants.gone {
            self.variants.gone([product.id.0, variant.0]);
        }
        if save.before().is_none() {
            self.opened_ratings.push(product.id);
        }
        if save.before().map(listed) != Some(listed(product)) {
            for (category, position) in product.category_ids.iter().zip(0..) {
                self.product_categories.put(category_row(product, *category, position));
            }
        }
        for category in save.before().into_iter().flat_map(|before| &before.category_ids) {
            if !product.category_ids.contains(category) {
                self.product_categories.gone([product.id.0, category.0]);
            }
        }
    }

    pub(crate) fn categories(&mut self, save: &AggregateWrite<CategoryTree>) {
        self.tree = Some((save.before().map_or(0, |tree| tree.version), save.after().version));
        let nodes = save.children(|tree| &tree.nodes);
        for node in nodes.put {
            self.categories.put(node.into());
        }
        for node in nodes.gone {
            self.categories.gone([node.0]);
        }
    }
}

impl RowSet {
    pub(crate) fn cart(&mut self, save: &AggregateWrite<Cart>) {
        let cart = save.after();
        let row = CartRow {
            id: cart.id.0,
            owner: cart.owner.key(),
            status: Name(cart.status),
            created_at: cart.created_at.as_micros(),
            updated_at: cart.updated_at.as_micros(),
            version: cart.version,
        };
        self.carts.save(save, row);
        let lines = save.children(|cart| &cart.lines);
        for line in lines.put {
            self.cart_lines.put(CartLineRow {
                cart_id: cart.id.0,
                variant_id: line.variant_id.0,
                position: line.position,
                quantity: Count(line.quantity),
            });
        }
        for variant in lines.gone {
            self.cart_lines.gone([cart.id.0, variant.0]);
        }
    }
}

impl RowSet {
    pub(crate) fn order(&mut self, save: &AggregateWrite<Order>) {
        let order = save.after();
        let id = order.id.0;
        self.orders.save(save, order.into());

        let lines = save.children(|order| &order.lines);
        lines.put.into_iter().for_each(|line| self.order_lines.put(OrderLineRow::new(id, line)));
        lines.gone.into_iter().for_each(|variant| self.order_lines.gone([id, variant.0]));
        let payments = save.children(|order| &order.payments);
        payments.put.into_iter().for_each(|payment| self.payments.put(PaymentRow::new(id, payment)));
        payments.gone.into_iter().for_each(|payment| self.payments.gone([id, payment.0]));
        let refunds = save.children(|order| &order.refunds);
        refunds.put.into_iter().for_each(|refund| self.refunds.put(RefundRow::new(id, refund)));
        refunds.gone.into_iter().for_each(|refund| self.refunds.gone([id, refund.0]));
        let fulfilments = save.children(|order| &order.fulfilments);
        fulfilments.put.into_iter().for_each(|parcel| self.fulfilments.put(FulfilmentRow::new(id, parcel)));
        fulfilments.gone.into_iter().for_each(|parcel| self.fulfilments.gone([id, parcel.0]));
        let returns = save.children(|order| &order.returns);
        returns.put.into_iter().for_each(|back| self.returns.put(ReturnRow::new(id, back)));
        returns.gone.into_iter().for_each(|back| self.returns.gone([id, back.0]));
    }
}

/// What a product's rows in its categories are made of.
fn listed(product: &Product) -> (&[CategoryId], ProductStatus, Timestamp, &str, i64, i64) {
    let (min, max) = (product.min_price(), product.max_price());
    (&product.category_ids, product.status, product.created_at, &product.title, min, max)
}

fn category_row(product: &Product, category: CategoryId, position: i64) -> ProductCategoryRow {
    ProductCategoryRow {
        product_id: product.id.0,
        category_id: category.0,
        position,
        status: Name(product.status),
        created_at: product.created_at.as_micros(),
        title_key: product.title_key(),
        title_sort: product.title_sort_key(),
        min_price: product.min_price(),
        max_price: product.max_price(),
    }
}
