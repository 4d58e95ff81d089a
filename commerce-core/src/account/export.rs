//! Everything the shop holds on a user, for the user.

use serde_json::{Value, json};

use super::{AccountError, Accounts, User};
use crate::{
    id::UserId,
    money::Money,
    order::{Order, OrderQuery},
    page::PageSpec,
    review::{ReviewQuery, look_up_purchases},
};

impl Accounts {
    /// Everything held on the caller: profile, addresses, sessions, orders, reviews. Hashes and tokens are left out.
    ///
    /// # Errors
    /// [`CommonError::Access`](crate::error::CommonError::Access) if nobody is signed in;
    /// [`CommonError::Store`](crate::error::CommonError::Store).
    pub async fn export(&self) -> Result<Value, AccountError> {
        let user = self.signed_in(self.scope.actor()).await?;
        let reads = self.scope.engine.reads();
        let addresses: Vec<Value> = reads
            .list_addresses(user.id)
            .await?
            .into_iter()
            .map(|saved| json!({ "id": saved.id, "address": saved.address, "created_at": saved.created_at }))
            .collect();
        let sessions: Vec<Value> = reads
            .list_sessions(user.id)
            .await?
            .into_iter()
            .map(|session| {
                json!({
                    "id": session.id,
                    "ip": session.ip,
                    "user_agent": session.user_agent,
                    "created_at": session.created_at,
                    "last_used_at": session.rotated_at,
                    "expires_at": session.expires_at,
                })
            })
            .collect();
        Ok(json!({
            "user": profile(&user),
            "addresses": addresses,
            "sessions": sessions,
            "orders": self.export_orders(user.id).await?,
            "reviews": self.export_reviews(user.id).await?,
        }))
    }

    async fn export_orders(&self, customer: UserId) -> Result<Vec<Value>, AccountError> {
        let query = OrderQuery { customer: Some(customer), ..OrderQuery::default() };
        let mut spec = PageSpec::first(100);
        let mut orders = Vec::new();
        loop {
            let listed = self.scope.engine.reads().list_orders(&query, &spec).await?;
            orders.extend(listed.items.iter().map(order));
            match listed.next {
                Some(next) => spec.after = Some(next),
                None => return Ok(orders),
            }
        }
    }

    async fn export_reviews(&self, customer: UserId) -> Result<Vec<Value>, AccountError> {
        let query = ReviewQuery { customer: Some(customer), ..ReviewQuery::default() };
        let mut spec = PageSpec::first(100);
        let mut reviews = Vec::new();
        loop {
            let mut listed = self.scope.engine.reads().list_reviews(&query, &spec).await?;
            look_up_purchases(self.scope.engine.reads(), &mut listed.items).await?;
            reviews.extend(listed.items.iter().map(|review| json!(review)));
            match listed.next {
                Some(next) => spec.after = Some(next),
                None => return Ok(reviews),
            }
        }
    }
}

fn profile(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "email_confirmed": user.email_confirmed,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "phone": user.phone,
        "role": user.role,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    })
}

fn order(order: &Order) -> Value {
    let lines: Vec<Value> = order
        .lines
        .iter()
        .map(|line| {
            json!({
                "sku": line.sku,
                "title": line.title,
                "quantity": line.quantity,
                "unit_price": money(line.unit_price),
                "total": money(line.total),
            })
        })
        .collect();
    let payments: Vec<Value> = order
        .payments
        .iter()
        .map(|payment| {
            json!({
                "method": payment.method,
                "status": payment.status,
                "amount": money(payment.amount),
                "created_at": payment.created_at,
            })
        })
        .collect();
    let refunds: Vec<Value> = order
        .refunds
        .iter()
        .map(|refund| {
            json!({
                "amount": money(refund.amount),
                "status": refund.status,
                "reason": refund.reason,
                "created_at": refund.created_at,
            })
        })
        .collect();
    json!({
        "id": order.id,
        "number": order.number,
        "email": order.email,
        "status": order.status,
        "payment_status": order.payment_status,
        "fulfilment_status": order.fulfilment_status,
        "items": lines,
        "grand_total": money(order.totals.grand_total),
        "shipping_address": order.shipping_address,
        "billing_address": order.billing_address,
        "note": order.note,
        "payments": payments,
        "refunds": refunds,
        "returns": order.returns,
        "placed_at": order.placed_at,
    })
}

/// As the API writes it: a decimal string and the currency's code.
fn money(money: Money) -> Value {
    json!({ "amount": money.to_string(), "currency": money.currency })
}
