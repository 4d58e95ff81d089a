//! Units that leave what is to be delivered: cancelled, refunded, or back from a parcel that nobody took.

use super::{FulfilmentStatus, ItemSelection, Order, OrderError, OrderLine, OrderStatus, state::invalid_transition};
use crate::{
    id::VariantId,
    order::LineQuantity,
    state::{InvalidTransition, State},
};

/// What became of the goods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Withdrawn {
    /// Units that were cancelled.
    pub cancelled: Vec<LineQuantity>,
    /// Units that go back into stock.
    pub back: Vec<LineQuantity>,
}

impl Withdrawn {
    fn add(&mut self, variant_id: VariantId, cancelled: u32, back: u32) {
        let of = |quantity| (quantity > 0).then_some(LineQuantity { variant_id, quantity });
        self.cancelled.extend(of(cancelled));
        self.back.extend(of(back));
    }
}

impl OrderLine {
    /// Cancels units that wait to be packed; the answer is how many go back into stock. Some may lie there already: with
    /// `restock` these go first, else they go last.
    fn cancel(&mut self, units: u32, restock: bool) -> u32 {
        let own = self.unfulfilled() - self.restocked;
        let own = if restock { units - units.min(self.restocked) } else { units.min(own) };
        self.restocked -= units - own;
        self.cancelled += units;
        self.take_in(own, restock)
    }

    /// Units that are in the shop's hands again; the answer is how many go back into stock.
    fn take_in(&mut self, units: u32, restock: bool) -> u32 {
        if restock {
            return units;
        }
        self.written_off += units;
        0
    }
}

impl Order {
    /// Units of a line that have left, whether or not they came back to be refunded.
    pub(super) fn left(&self, line: &OrderLine) -> u32 {
        line.fulfilled.saturating_sub(self.parcelled(line.variant_id, &[FulfilmentStatus::Pending]))
    }

    /// Units of a line that have left and are still charged for.
    pub(super) fn left_and_charged(&self, line: &OrderLine) -> u32 {
        self.left(line).saturating_sub(line.released().saturating_sub(line.cancelled))
    }

    /// Takes units out of the order before they leave: those that wait to be packed, or the whole order, which nothing may
    /// have left of.
    pub(crate) fn cancel_units(
        &mut self,
        items: ItemSelection,
        reason: Option<String>,
        restock: bool,
    ) -> Result<Withdrawn, OrderError> {
        if !matches!(self.status, OrderStatus::Pending | OrderStatus::Confirmed) {
            let already_left = self.has_left();
            return Err(if already_left {
                OrderError::AlreadyShipped
            } else {
                invalid_transition(self.status, "cancelled").into()
            });
        }
        if items == ItemSelection::All {
            if self.has_left() {
                return Err(OrderError::AlreadyShipped);
            }
            for parcel in self.fulfilments.iter_mut().filter(|parcel| parcel.status == FulfilmentStatus::Pending) {
                parcel.status.transition_to(FulfilmentStatus::Cancelled)?;
            }
            self.lines.iter_mut().for_each(|line| line.fulfilled = 0);
        }
        let mut withdrawn = Withdrawn::default();
        for item in self.select_units(items, OrderLine::unfulfilled)? {
            let back = self.line_mut(item.variant_id)?.cancel(item.quantity, restock);
            withdrawn.add(item.variant_id, item.quantity, back);
        }
        self.settle_cancelled(reason)?;
        Ok(withdrawn)
    }

    pub(super) fn settle_cancelled(&mut self, reason: Option<String>) -> Result<(), InvalidTransition> {
        let none_left = self.lines.iter().all(|line| line.cancelled == line.quantity);
        if self.status != OrderStatus::Cancelled && none_left {
            self.status.transition_to(OrderStatus::Cancelled)?;
            self.cancel_reason = reason;
        }
        self.refresh_fulfilment_state()
    }

    /// What a refund of these units, which are counted as refunded already, means for the goods. No unit is shipped whose
    /// money went back. With `restock` the units that are with the customer count as returned, and only then are units taken
    /// that haven't left; without it nothing came back, so that units that haven't left go first.
    ///
    /// # Errors
    /// [`OrderError::QuantityExceeded`] if units that were `named` can't go back into stock: they are back already, or come
    /// back by a return.
    pub(crate) fn withdraw_refunded(
        &mut self,
        items: &[LineQuantity],
        restock: bool,
        named: bool,
        reason: &str,
    ) -> Result<Withdrawn, OrderError> {
        let mut withdrawn = Withdrawn::default();
        for item in items {
            let (id, away) = (item.variant_id, self.away(item.variant_id));
            let packed = self.parcelled(id, &[FulfilmentStatus::Pending]);
            let line = self.line(id)?;
            let released = line.released() - item.quantity;
            let charged = self.left(line).saturating_sub(released.saturating_sub(line.cancelled));
            // Units that were cancelled before and whose refund failed then.
            let again = item.quantity.min(line.cancelled.saturating_sub(released));
            let units = item.quantity - again;
            let returned = if restock { units.min(charged).min(away) } else { 0 };
            let cancelled = (units - returned).min(line.unfulfilled() + packed);
            if restock && named && returned + cancelled < units {
                return Err(OrderError::QuantityExceeded { variant_id: id, left: again + returned + cancelled });
            }
            let unpacked = cancelled.min(line.unfulfilled());
            let line = self.line_mut(id)?;
            line.returned += returned;
            let mut back = returned + line.cancel(unpacked, restock);
            let from_parcels = cancelled - unpacked;
            line.fulfilled -= from_parcels;
            line.cancelled += from_parcels;
            back += line.take_in(from_parcels, restock);
            self.unpack(id, from_parcels)?;
            withdrawn.add(id, cancelled, back);
        }
        self.settle_cancelled(Some(reason.to_owned()))?;
        Ok(withdrawn)
    }

    /// Takes units out of parcels that are still being packed, the newest first; an emptied parcel is cancelled.
    fn unpack(&mut self, variant: VariantId, mut units: u32) -> Result<(), InvalidTransition> {
        for parcel in self.fulfilments.iter_mut().rev().filter(|parcel| parcel.status == FulfilmentStatus::Pending) {
            let is_alone = parcel.items.len() == 1;
            let Some(item) = parcel.items.iter_mut().find(|item| item.variant_id == variant) else { continue };
            let taken = units.min(item.quantity);
            units -= taken;
            if taken == item.quantity && is_alone {
                parcel.status.transition_to(FulfilmentStatus::Cancelled)?;
                continue;
            }
            item.quantity -= taken;
            parcel.items.retain(|item| item.quantity > 0);
        }
        Ok(())
    }

    /// Takes the goods of a parcel back that nobody took. They wait to be shipped again, but for those whose money went back,
    /// which are cancelled, and those that were taken back with a refund before.
    pub(super) fn take_in_parcel(&mut self, items: &[LineQuantity], restock: bool) -> Result<Withdrawn, OrderError> {
        let mut withdrawn = Withdrawn::default();
        for item in items {
            let id = item.variant_id;
            let (left, returning) = (self.left(self.line(id)?), self.returning(id));
            let line = self.line_mut(id)?;
            let others = left.saturating_sub(item.quantity);
            let taken_back = (line.returned + returning).saturating_sub(others).min(item.quantity);
            let units = item.quantity - taken_back;
            let refunded = line.released().saturating_sub(line.cancelled).saturating_sub(left - units).min(units);
            line.fulfilled -= units;
            line.cancelled += refunded;
            let mut back = line.take_in(refunded, restock);
            if restock {
                line.restocked += units - refunded;
                back += units - refunded;
            }
            withdrawn.add(id, refunded, back);
        }
        self.settle_cancelled(Some("returned to sender".to_owned()))?;
        Ok(withdrawn)
    }
}
