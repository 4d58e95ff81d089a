//! Carts and their lines.

use async_trait::async_trait;
use commerce_core::{
    cart::{Cart, CartLine, CartOwner, CartQueries},
    id::CartId,
    store::{AggregateWrite, StoreError},
};
use serde::de::{Error as _, SeqAccess};

use crate::{
    SqliteStore,
    batch::Batch,
    child_rows::children,
    head::head,
    row::{CellOf, Id, Int, Many, Name, Text, Time, all, next, row},
    sql::Sql,
};

row! {
    /// A cart `c` with its lines.
    fn cart() -> Cart of "c." {
        id: Id,
        owner: Text,
        status: Name,
        lines: Many = all(&line(), "l.position, l.variant_id", "commerce_cart_line l WHERE l.cart_id = c.id"),
        created_at: Time,
        updated_at: Time,
        version: Int,
    }
}

row! {
    fn line() -> CartLine of "l." {
        position: Int,
        variant_id: Id,
        quantity: Int,
    }
}

impl CellOf<CartOwner> for Text {
    fn read<'de, A: SeqAccess<'de>>(row: &mut A) -> Result<CartOwner, A::Error> {
        CartOwner::from_key(&next::<String, A>(row)?).ok_or_else(|| A::Error::custom("not a cart's owner"))
    }

    fn bind(batch: &mut Batch, owner: &CartOwner) {
        batch.bind(owner.key());
    }
}

pub(crate) fn save_cart(batch: &mut Batch, save: &AggregateWrite<Cart>) {
    head(batch, save);
    let id = save.after().id.0;
    let lines = save.children(|cart| &cart.lines);
    children(batch, "commerce_cart_line", Some(("cart_id", id)), &lines.put);
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
        sql.push(&cart()).push(" FROM commerce_cart c WHERE c.id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&cart()).push(" FROM commerce_claim k JOIN commerce_cart c ON c.id = k.owner");
        sql.push(" WHERE k.kind = 'open_cart' AND k.key = ?").bind(owner.key());
        self.entity(sql).await
    }
}
