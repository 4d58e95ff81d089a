//! Where heads of aggregates are kept.

use commerce_core::store::AggregateId;

/// Where an aggregate's head is kept.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const fn table(root: AggregateId) -> Table {
    let name = match root {
        AggregateId::User(_) => "commerce_user",
        AggregateId::Address(_) => "commerce_address",
        AggregateId::Session(_) => "commerce_session",
        AggregateId::MailToken(_) => "commerce_mail_token",
        AggregateId::Product(_) => "commerce_product",
        AggregateId::Categories => return Table { name: "commerce_category_tree", id: "one", version: "version" },
        AggregateId::Cart(_) => "commerce_cart",
        AggregateId::Order(_) => "commerce_order",
        AggregateId::Review(_) => "commerce_review",
        AggregateId::Alert(_) => "commerce_alert",
        AggregateId::StockAlert(_) => return Table { name: "commerce_stock", id: "variant_id", version: "alerted" },
    };
    Table { name, id: "id", version: "version" }
}
