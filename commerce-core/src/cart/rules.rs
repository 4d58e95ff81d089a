//! Pure rules over a cart in memory.

use super::{Cart, CartError, CartLine};
use crate::{
    catalog::PurchasableVariant,
    error::{CommonError, Invalid},
    id::VariantId,
};

/// The most of one variant that a cart holds.
const MAX_QUANTITY: i64 = 9_999;
/// The most lines that a cart holds.
const MAX_LINES: usize = 100;

/// A change of a cart's lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    /// Adds units of a variant to those that are there.
    Add(VariantId, u32),
    /// Sets the units of a variant that is there; 0 removes it.
    Set(VariantId, u32),
    /// Removes all lines.
    Clear,
}

impl Edit {
    /// Changes the lines, and returns the variant that has to be available for it.
    pub fn apply(self, lines: &mut Vec<CartLine>) -> Result<Option<VariantId>, CartError> {
        let line = |variant| move |line: &&mut CartLine| line.variant_id == variant;
        let checked = match self {
            Self::Add(variant, quantity) => {
                match lines.iter_mut().find(line(variant)) {
                    Some(line) => line.quantity = line.quantity.saturating_add(quantity),
                    None => push(lines, variant, quantity),
                }
                Some(variant)
            }
            Self::Set(variant, quantity) => {
                lines.iter_mut().find(line(variant)).ok_or(CommonError::NotFound("cart item"))?.quantity = quantity;
                lines.retain(|line| line.quantity > 0);
                (quantity > 0).then_some(variant)
            }
            Self::Clear => {
                lines.clear();
                None
            }
        };
        if lines.len() > MAX_LINES {
            let detail = format!("a cart holds at most {MAX_LINES} different items");
            return Err(Invalid::field("/variant_id", "cart_full", detail).into());
        }
        Ok(checked)
    }
}

/// The lines of one cart with those of another added, as far as they are available and the cart has room. What is there
/// already stays, even if it isn't available any more.
pub(super) fn merged(into: &[CartLine], from: &[CartLine], offers: &[PurchasableVariant]) -> Vec<CartLine> {
    let mut lines = into.to_vec();
    for line in from {
        let offer = offers.iter().find(|offer| offer.variant.id == line.variant_id && offer.is_sold());
        let available = offer.map_or(0, |offer| offer.available).clamp(0, MAX_QUANTITY);
        let at = lines.iter().position(|ours| ours.variant_id == line.variant_id);
        let ours = at.map_or(0, |at| lines[at].quantity);
        let cap = u32::try_from(available).unwrap_or(0).max(ours);
        let quantity = ours.saturating_add(line.quantity).min(cap);
        match at {
            Some(at) => lines[at].quantity = quantity,
            None if quantity > 0 && lines.len() < MAX_LINES => push(&mut lines, line.variant_id, quantity),
            None => {}
        }
    }
    lines
}

fn push(lines: &mut Vec<CartLine>, variant_id: VariantId, quantity: u32) {
    let position = lines.last().map_or(0, |last| last.position + 1);
    lines.push(CartLine { position, variant_id, quantity });
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
