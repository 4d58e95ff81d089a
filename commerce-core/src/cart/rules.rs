//! Pure rules over a cart in memory.

use super::{Cart, CartError, CartLine};
use crate::{
    catalog::PurchasableVariant,
    error::{CommonError, Invalid},
    id::VariantId,
};

/// The most of one variant that a cart holds.
pub(super) const MAX_QUANTITY: i64 = 9_999;
/// The most lines that a cart holds.
pub(super) const MAX_LINES: usize = 100;

#[allow(clippy::unnecessary_wraps)] // The shape of a rule.
pub(super) fn add_to(
    lines: &mut Vec<CartLine>,
    variant: VariantId,
    quantity: u32,
) -> Result<Option<VariantId>, CartError> {
    match lines.iter_mut().find(|line| line.variant_id == variant) {
        Some(line) => line.quantity = line.quantity.saturating_add(quantity),
        None => {
            let position = lines.last().map_or(0, |last| last.position + 1);
            lines.push(CartLine { position, variant_id: variant, quantity });
        }
    }
    Ok(Some(variant))
}

pub(super) fn check_available(cart: &Cart, offers: &[PurchasableVariant], variant: VariantId) -> Result<(), CartError> {
    let offer = offers.iter().find(|offer| offer.variant.id == variant && offer.is_sold());
    let offer = offer.ok_or(CommonError::NotFound("variant"))?;
    let wanted = cart.lines.iter().find(|line| line.variant_id == variant).map_or(0, |line| line.quantity);
    if i64::from(wanted) > offer.available {
        return Err(CartError::OutOfStock { variant_id: variant, available: offer.available });
    }
    if i64::from(wanted) > MAX_QUANTITY {
        let detail = format!("a cart holds at most {MAX_QUANTITY} of one item");
        return Err(Invalid::field("/quantity", "out_of_range", detail).into());
    }
    Ok(())
}

pub(super) fn check_quantity(quantity: i64, least: i64) -> Result<u32, Invalid> {
    let valid = (least..=MAX_QUANTITY).contains(&quantity);
    u32::try_from(quantity).ok().filter(|_| valid).ok_or_else(|| {
        Invalid::field("/quantity", "out_of_range", format!("must be between {least} and {MAX_QUANTITY}"))
    })
}
