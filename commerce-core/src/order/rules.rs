//! Pure rules over an order in memory: what may be done with it, and what it becomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Fulfilment, FulfilmentState, FulfilmentStatus, ItemSelection, Order, OrderError, OrderLine, OrderStatus, Return,
    ReturnStatus, state::invalid_transition, withdraw::Withdrawn,
};
use crate::{
    clock::Timestamp,
    error::{Invalid, StoreError},
    id::{FulfilmentId, ReturnId, VariantId},
    order::LineQuantity,
    payment::PaymentStatus,
    state::{InvalidTransition, State},
};

/// What the customer may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderAction {
    /// Give it up: nothing has left yet.
    Cancel,
    /// Send delivered goods back.
    Return,
    /// Finish a payment that waits for the customer, or pay in another way, while the goods are reserved.
    Pay,
}

impl OrderLine {
    /// Units that were neither put into a parcel nor cancelled.
    #[must_use]
    pub const fn unfulfilled(&self) -> u32 {
        self.quantity.saturating_sub(self.fulfilled).saturating_sub(self.cancelled)
    }
}

impl Order {
    /// What the customer may do next.
    #[must_use]
    pub fn actions(&self) -> Vec<OrderAction> {
        let mut actions = Vec::new();
        if self.status.may_become(OrderStatus::Cancelled) && self.status != OrderStatus::Cancelled && !self.has_left() {
            actions.push(OrderAction::Cancel);
        }
        if self.lines.iter().any(|line| self.returnable(line.variant_id) > 0) {
            actions.push(OrderAction::Return);
        }
        if self.payment_status == PaymentStatus::RequiresAction || self.payable_until().is_some() {
            actions.push(OrderAction::Pay);
        }
        actions
    }

    /// Whether any unit has left, and didn't come back undelivered.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.lines.iter().any(|line| self.left(line) > 0)
    }

    /// Units of a variant in parcels with one of these statuses.
    pub(super) fn parcelled(&self, variant: VariantId, statuses: &[FulfilmentStatus]) -> u32 {
        self.fulfilments
            .iter()
            .filter(|parcel| statuses.contains(&parcel.status))
            .flat_map(|parcel| &parcel.items)
            .filter(|item| item.variant_id == variant)
            .map(|item| item.quantity)
            .sum()
    }

    /// Delivered units of a variant that haven't come back and aren't on their way back.
    #[must_use]
    pub fn returnable(&self, variant: VariantId) -> u32 {
        let delivered = self.parcelled(variant, &[FulfilmentStatus::Delivered]);
        delivered.saturating_sub(self.returning(variant)).saturating_sub(self.came_back(variant))
    }

    /// Units of a variant on their way back.
    pub(super) fn returning(&self, variant: VariantId) -> u32 {
        self.returns
            .iter()
            .filter(|ret| matches!(ret.status, ReturnStatus::Requested | ReturnStatus::Approved))
            .flat_map(|ret| &ret.items)
            .filter(|item| item.variant_id == variant)
            .map(|item| item.quantity)
            .sum()
    }

    fn came_back(&self, variant: VariantId) -> u32 {
        self.line(variant).map_or(0, |line| line.returned)
    }

    /// Units of a variant that have left, haven't come back and aren't on their way back.
    pub(super) fn away(&self, variant: VariantId) -> u32 {
        let left = self.line(variant).map_or(0, |line| self.left(line));
        left.saturating_sub(self.returning(variant)).saturating_sub(self.came_back(variant))
    }

    /// The line of a variant.
    ///
    /// # Errors
    /// [`Invalid`] at `/items` if the order has none.
    pub fn line(&self, variant: VariantId) -> Result<&OrderLine, Invalid> {
        self.lines.iter().find(|line| line.variant_id == variant).ok_or_else(|| not_in_order(variant))
    }

    pub(crate) fn line_mut(&mut self, variant: VariantId) -> Result<&mut OrderLine, Invalid> {
        self.lines.iter_mut().find(|line| line.variant_id == variant).ok_or_else(|| not_in_order(variant))
    }

    /// Puts units into a parcel. The answer is what must be taken from stock for it once more, as it had been put back there.
    pub(crate) fn create_fulfilment(
        &mut self,
        parcel: NewParcel,
        now: Timestamp,
    ) -> Result<Vec<LineQuantity>, OrderError> {
        if self.status != OrderStatus::Confirmed {
            return Err(invalid_transition(self.status, "shipped").into());
        }
        let items = self.select_units(parcel.items, OrderLine::unfulfilled)?;
        let mut again = Vec::new();
        for item in &items {
            let line = self.line_mut(item.variant_id)?;
            let quantity = item.quantity.saturating_sub(line.unfulfilled() - line.restocked);
            line.restocked -= quantity;
            line.fulfilled += item.quantity;
            again.extend((quantity > 0).then_some(LineQuantity { quantity, ..*item }));
        }
        self.fulfilments.push(Fulfilment {
            id: parcel.id,
            status: FulfilmentStatus::Pending,
            carrier: parcel.carrier,
            tracking_number: parcel.tracking_number,
            tracking_url: parcel.tracking_url,
            items,
            created_at: now,
            shipped_at: None,
            delivered_at: None,
        });
        Ok(again)
    }

    /// Moves a parcel on. `Ok(None)` if it is there already, else what it did to the goods. What comes back undelivered goes
    /// back into stock with `restock`.
    pub(crate) fn move_parcel(
        &mut self,
        id: FulfilmentId,
        to: FulfilmentStatus,
        restock: bool,
        now: Timestamp,
    ) -> Result<Option<Withdrawn>, OrderError> {
        let Some(parcel) = self.fulfilments.iter_mut().find(|parcel| parcel.id == id) else {
            return Err(crate::error::CommonError::NotFound("fulfilment").into());
        };
        if parcel.status == to {
            return Ok(None);
        }
        parcel.status.transition_to(to)?;
        let items = parcel.items.clone();
        match to {
            FulfilmentStatus::Shipped => parcel.shipped_at = Some(now),
            FulfilmentStatus::Delivered => parcel.delivered_at = Some(now),
            FulfilmentStatus::Cancelled => {
                for item in items {
                    self.line_mut(item.variant_id)?.fulfilled -= item.quantity;
                }
            }
            FulfilmentStatus::ReturnedToSender => return self.take_in_parcel(&items, restock).map(Some),
            FulfilmentStatus::Pending => {}
        }
        self.refresh_fulfilment_state()?;
        Ok(Some(Withdrawn::default()))
    }

    /// Asks to send delivered units back.
    pub(crate) fn ask_return(
        &mut self,
        id: ReturnId,
        items: Vec<LineQuantity>,
        reason: String,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let left: BTreeMap<_, _> =
            self.lines.iter().map(|line| (line.variant_id, self.returnable(line.variant_id))).collect();
        let items = self.select_units(items.into(), |line| left.get(&line.variant_id).copied().unwrap_or(0))?;
        self.returns.push(Return {
            id,
            status: ReturnStatus::Requested,
            items,
            reason,
            created_at: now,
            updated_at: now,
            waived: None,
        });
        Ok(())
    }

    /// Decides on a return. `Ok(None)` if it is decided so already, else what came back by it (when received). Without
    /// `restock` it doesn't go back into stock.
    pub(crate) fn move_return(
        &mut self,
        id: ReturnId,
        to: ReturnStatus,
        restock: bool,
        now: Timestamp,
    ) -> Result<Option<Vec<LineQuantity>>, OrderError> {
        let Some(ret) = self.returns.iter_mut().find(|ret| ret.id == id) else {
            return Err(crate::error::CommonError::NotFound("return").into());
        };
        if ret.status == to {
            return Ok(None);
        }
        ret.status.transition_to(to)?;
        ret.updated_at = now;
        let items = if to == ReturnStatus::Received { ret.items.clone() } else { Vec::new() };
        for item in &items {
            let line = self.line_mut(item.variant_id)?;
            line.returned += item.quantity;
            line.written_off += if restock { 0 } else { item.quantity };
        }
        self.refresh_fulfilment_state()?;
        Ok(Some(items))
    }

    /// Recomputes where the goods are, and completes the order when all have arrived and been paid for.
    pub(crate) fn refresh_fulfilment_state(&mut self) -> Result<(), InvalidTransition> {
        let sum = |of: &dyn Fn(&OrderLine) -> u32| self.lines.iter().map(of).sum::<u32>();
        let wanted = sum(&|line| line.quantity - line.cancelled);
        let shipped = sum(&|line| self.left(line));
        let delivered = sum(&|line| self.parcelled(line.variant_id, &[FulfilmentStatus::Delivered]));
        let returned = sum(&|line| line.returned);
        let state = match () {
            () if wanted == 0 || shipped == 0 => FulfilmentState::Unfulfilled,
            () if returned >= wanted => FulfilmentState::Returned,
            () if delivered >= wanted => FulfilmentState::Delivered,
            () if shipped >= wanted => FulfilmentState::Shipped,
            () => FulfilmentState::PartiallyShipped,
        };
        self.fulfilment_status.transition_to(state)?;
        let arrived = matches!(state, FulfilmentState::Delivered | FulfilmentState::Returned);
        if arrived && self.is_settled() && self.status == OrderStatus::Confirmed {
            self.status.transition_to(OrderStatus::Completed)?;
        }
        Ok(())
    }

    /// Checks quantities against what is left of each line; of all that is left there must be something.
    pub(crate) fn select_units(
        &self,
        items: ItemSelection,
        left: impl Fn(&OrderLine) -> u32,
    ) -> Result<Vec<LineQuantity>, OrderError> {
        let picked: Vec<_> = match items {
            ItemSelection::All => self
                .lines
                .iter()
                .map(|line| LineQuantity { variant_id: line.variant_id, quantity: left(line) })
                .filter(|item| item.quantity > 0)
                .collect(),
            ItemSelection::Only(items) if items.is_empty() => {
                return Err(Invalid::field("/items", "required", "name at least one item").into());
            }
            ItemSelection::Only(items) => merge_items(items)?,
        };
        for (n, item) in picked.iter().enumerate() {
            let line = self.line(item.variant_id).map_err(|mut invalid| {
                invalid.errors[0].pointer = format!("/items/{n}/variant_id");
                invalid
            })?;
            let left = left(line);
            if item.quantity > left {
                return Err(OrderError::QuantityExceeded { variant_id: item.variant_id, left });
            }
        }
        match picked.first() {
            Some(_) => Ok(picked),
            None => {
                let variant_id = self.lines.first().map_or(VariantId(uuid::Uuid::nil()), |line| line.variant_id);
                Err(OrderError::QuantityExceeded { variant_id, left: 0 })
            }
        }
    }
}

/// What goes into a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewParcel {
    pub id: FulfilmentId,
    pub items: ItemSelection,
    pub carrier: String,
    pub tracking_number: String,
    pub tracking_url: Option<String>,
}

/// Adds up items of the same variant, so that naming one twice counts twice.
pub(crate) fn merge_items(items: Vec<LineQuantity>) -> Result<Vec<LineQuantity>, Invalid> {
    let mut merged: Vec<LineQuantity> = Vec::with_capacity(items.len());
    for (n, item) in items.into_iter().enumerate() {
        if item.quantity == 0 {
            return Err(Invalid::field(format!("/items/{n}/quantity"), "out_of_range", "must be at least 1"));
        }
        match merged.iter_mut().find(|earlier| earlier.variant_id == item.variant_id) {
            Some(earlier) => earlier.quantity = earlier.quantity.saturating_add(item.quantity),
            None => merged.push(item),
        }
    }
    Ok(merged)
}

fn not_in_order(variant: VariantId) -> Invalid {
    Invalid::field("/items", "unknown_item", format!("the order has no line of variant {variant}"))
}

impl From<InvalidTransition> for StoreError {
    /// A move that core itself composed and the table doesn't have: a bug.
    fn from(error: InvalidTransition) -> Self {
        Self::bug(error)
    }
}
