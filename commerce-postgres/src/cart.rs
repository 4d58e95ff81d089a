//! Carts and their lines.

use async_trait::async_trait;
use commerce_core::{
    cart::{Cart, CartLine, CartOwner, CartQueries, CartStatus},
    clock::Timestamp,
    id::{CartId, VariantId},
    store::{Claim, OutboxQueries as _, StoreError},
};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    codec::{Count, Name, table},
    reads::PgReads,
    sql::Sql,
};

table! {
    CartRow = "commerce_cart" by [id] {
        id: Uuid,
        owner: String,
        status: Name<CartStatus>,
        created_at: i64,
        updated_at: i64,
        version: i64,
    }
}

table! {
    #[derive(serde::Deserialize)]
    CartLineRow = "commerce_cart_line" by [cart_id, variant_id] {
        cart_id: Uuid,
        variant_id: Uuid,
        position: i64,
        quantity: Count,
    }
}

impl From<CartLineRow> for CartLine {
    fn from(row: CartLineRow) -> Self {
        Self { position: row.position, variant_id: VariantId(row.variant_id), quantity: row.quantity.0 }
    }
}

struct CartWithLines(CartRow, Vec<CartLineRow>);

impl<'r> FromRow<'r, PgRow> for CartWithLines {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let Json(lines) = row.try_get("lines")?;
        Ok(Self(CartRow::from_row(row)?, lines))
    }
}

impl TryFrom<CartWithLines> for Cart {
    type Error = StoreError;

    fn try_from(CartWithLines(row, lines): CartWithLines) -> Result<Self, StoreError> {
        Ok(Self {
            id: CartId(row.id),
            owner: CartOwner::from_key(&row.owner).ok_or_else(|| StoreError::bug("a cart's owner can't be read"))?,
            status: row.status.0,
            lines: lines.into_iter().map(Into::into).collect(),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        })
    }
}

/// Head and lines in one statement, so that they belong together. `id` is the cart's: as a parameter, if it can be, for Citus
/// asks one node only where every table's part is named by it.
fn cart(id: &str) -> Sql {
    Sql::new(format!(
        "SELECT c.*, coalesce((SELECT json_agg(l ORDER BY l.position, l.variant_id) \
         FROM commerce_cart_line l WHERE l.cart_id = {id}), '[]') AS lines "
    ))
}

#[async_trait]
impl CartQueries for PgReads {
    async fn load_cart(&self, id: CartId) -> Result<Option<Cart>, StoreError> {
        let mut sql = cart("$1");
        sql.push("FROM commerce_cart c WHERE c.id = ").bind(id.0);
        self.reader.optional::<CartWithLines>(&sql).await?.map(Cart::try_from).transpose()
    }

    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError> {
        let claim = Claim::open_cart(owner);
        if self.reader.is_distributed().await? {
            let Some(id) = self.load_claim(&claim).await? else { return Ok(None) };
            // It may have been ordered since.
            return Ok(self.load_cart(CartId(id)).await?.filter(|cart| cart.status == CartStatus::Open));
        }
        let mut sql = cart("c.id");
        sql.push("FROM commerce_claim k JOIN commerce_cart c ON c.id = k.owner WHERE k.kind = ")
            .bind(claim.kind.as_str());
        sql.push(" AND k.key = ").bind(claim.key);
        self.reader.optional::<CartWithLines>(&sql).await?.map(Cart::try_from).transpose()
    }
}
