//! Carts and their lines.

use async_trait::async_trait;
use commerce_core::{
    cart::{Cart, CartLine, CartOwner, CartQueries, CartStatus},
    clock::Timestamp,
    id::CartId,
    store::{AggregateWrite, StoreError},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    SqliteStore,
    batch::Batch,
    child_rows::children,
    codec::{self, shadow},
    head::head,
    sql::Sql,
};

#[derive(Deserialize)]
#[serde(remote = "Cart")]
struct CartRow {
    id: CartId,
    #[serde(deserialize_with = "owner")]
    owner: CartOwner,
    status: CartStatus,
    lines: Vec<CartLine>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    version: i64,
}
shadow!(Cart, CartRow);

fn owner<'de, D: Deserializer<'de>>(from: D) -> Result<CartOwner, D::Error> {
    CartOwner::from_key(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("not a cart's owner"))
}

const CART: &str = "json_array(hex(c.id), c.owner, c.status, \
    (SELECT json_group_array(json_array(position, hex(variant_id), quantity) ORDER BY position, variant_id) \
     FROM commerce_cart_line WHERE cart_id = c.id), \
    c.created_at, c.updated_at, c.version)";

pub(crate) fn save_cart(batch: &mut Batch, save: &AggregateWrite<Cart>) {
    head(batch, save, &["owner", "status", "created_at", "updated_at"], |batch, cart| {
        batch.bind(cart.owner.key()).bind(cart.status.as_str());
        batch.bind(cart.created_at.as_micros()).bind(cart.updated_at.as_micros());
    });
    let id = save.after().id.0;
    let lines = save.children(|cart| &cart.lines);
    let columns = ["cart_id", "variant_id", "position", "quantity"];
    children(batch, "commerce_cart_line", &columns, &lines.put, |batch, line| {
        batch.bind(id).bind(line.variant_id.0).bind(line.position).bind(i64::from(line.quantity));
    });
    if !lines.gone.is_empty() {
        batch.statement("DELETE FROM commerce_cart_line WHERE cart_id = ? AND variant_id IN (").bind(id);
        batch.marks(lines.gone.len()).push(")");
        for variant in lines.gone {
            batch.bind(variant.0);
        }
    }
}

#[async_trait]
impl CartQueries for SqliteStore {
    async fn load_cart(&self, id: CartId) -> Result<Option<Cart>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(CART).push(" FROM commerce_cart c WHERE c.id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(CART).push(" FROM commerce_claim k JOIN commerce_cart c ON c.id = k.owner");
        sql.push(" WHERE k.kind = 'open_cart' AND k.key = ?").bind(owner.key());
        self.entity(sql).await
    }
}
