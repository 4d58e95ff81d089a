//! Pure rules over an order in memory: what may be done with it, and what it becomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Fulfilment, FulfilmentState, FulfilmentStatus, Order, OrderError, OrderLine, OrderStatus, Return, ReturnStatus,
    state::{NoSuchMove, State},
};
use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{FulfilmentId, ReturnId, VariantId},
    payment::{LineQuantity, PaymentStatus},
    store::StoreError,
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

    /// Whether any parcel has left.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.fulfilments
            .iter()
            .any(|parcel| matches!(parcel.status, FulfilmentStatus::Shipped | FulfilmentStatus::Delivered))
    }

    /// Units of a variant in parcels with one of these statuses.
    fn parcelled(&self, variant: VariantId, statuses: &[FulfilmentStatus]) -> u32 {
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
    fn returning(&self, variant: VariantId) -> u32 {
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
    fn away(&self, variant: VariantId) -> u32 {
        let left = self.parcelled(variant, &[FulfilmentStatus::Shipped, FulfilmentStatus::Delivered]);
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

    /// Puts units into a parcel; no items means all that are left.
    pub(crate) fn pack(&mut self, parcel: NewParcel, now: Timestamp) -> Result<(), OrderError> {
        if self.status != OrderStatus::Confirmed {
            return Err(no_move(self.status, "shipped").into());
        }
        let items = self.pick(parcel.items, OrderLine::unfulfilled)?;
        for item in &items {
            self.line_mut(item.variant_id)?.fulfilled += item.quantity;
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
        Ok(())
    }

    /// Moves a parcel on. `Ok(false)` if it is there already.
    pub(crate) fn move_parcel(
        &mut self,
        id: FulfilmentId,
        to: FulfilmentStatus,
        now: Timestamp,
    ) -> Result<bool, OrderError> {
        let Some(parcel) = self.fulfilments.iter_mut().find(|parcel| parcel.id == id) else {
            return Err(crate::error::CommonError::NotFound("fulfilment").into());
        };
        if parcel.status == to {
            return Ok(false);
        }
        parcel.status.become_(to)?;
        match to {
            FulfilmentStatus::Shipped => parcel.shipped_at = Some(now),
            FulfilmentStatus::Delivered => parcel.delivered_at = Some(now),
            FulfilmentStatus::Cancelled => {
                for item in parcel.items.clone() {
                    self.line_mut(item.variant_id)?.fulfilled -= item.quantity;
                }
            }
            FulfilmentStatus::Pending => {}
        }
        self.settle_goods()?;
        Ok(true)
    }

    /// Takes units out of the order before they leave; no items means the whole order, which nothing may have left of.
    /// Returns what was taken out: its stock goes back.
    pub(crate) fn take_out(
        &mut self,
        items: Vec<LineQuantity>,
        reason: Option<String>,
    ) -> Result<Vec<LineQuantity>, OrderError> {
        if !matches!(self.status, OrderStatus::Pending | OrderStatus::Confirmed) {
            let already_left = self.has_left();
            return Err(if already_left {
                OrderError::AlreadyShipped
            } else {
                no_move(self.status, "cancelled").into()
            });
        }
        let whole = items.is_empty();
        if whole && self.has_left() {
            return Err(OrderError::AlreadyShipped);
        }
        if whole {
            for parcel in self.fulfilments.iter_mut().filter(|parcel| parcel.status == FulfilmentStatus::Pending) {
                parcel.status.become_(FulfilmentStatus::Cancelled)?;
            }
            self.lines.iter_mut().for_each(|line| line.fulfilled = 0);
        }
        let items = self.pick(items, OrderLine::unfulfilled)?;
        for item in &items {
            self.line_mut(item.variant_id)?.cancelled += item.quantity;
        }
        self.settle_cancelled(reason)?;
        Ok(items)
    }

    fn settle_cancelled(&mut self, reason: Option<String>) -> Result<(), NoSuchMove> {
        if self.status != OrderStatus::Cancelled && self.lines.iter().all(|line| line.cancelled == line.quantity) {
            self.status.become_(OrderStatus::Cancelled)?;
            self.cancel_reason = reason;
            return Ok(());
        }
        self.settle_goods()
    }

    /// Takes goods back with a refund, without a return: units that have left count as returned, units that haven't been
    /// packed as cancelled. So no unit goes back into stock twice, or goes back and is shipped as well.
    pub(crate) fn take_back(&mut self, items: &[LineQuantity], reason: &str) -> Result<(), OrderError> {
        for item in items {
            let away = self.away(item.variant_id);
            let line = self.line_mut(item.variant_id)?;
            let returned = item.quantity.min(away);
            let cancelled = item.quantity - returned;
            if cancelled > line.unfulfilled() {
                let left = away + line.unfulfilled();
                return Err(OrderError::QuantityExceeded { variant_id: item.variant_id, left });
            }
            line.returned += returned;
            line.cancelled += cancelled;
        }
        Ok(self.settle_cancelled(Some(reason.to_owned()))?)
    }

    /// As many of these units as can be taken back.
    pub(crate) fn takeable_back(&self, items: &[LineQuantity]) -> Vec<LineQuantity> {
        let capped = items.iter().filter_map(|item| {
            let left = self.away(item.variant_id) + self.line(item.variant_id).ok()?.unfulfilled();
            Some(LineQuantity { quantity: item.quantity.min(left), ..*item })
        });
        capped.filter(|item| item.quantity > 0).collect()
    }

    /// Asks to send delivered units back.
    pub(crate) fn ask_return(
        &mut self,
        id: ReturnId,
        items: Vec<LineQuantity>,
        reason: String,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        if items.is_empty() {
            return Err(Invalid::field("/items", "required", "name at least one item").into());
        }
        let left: BTreeMap<_, _> =
            self.lines.iter().map(|line| (line.variant_id, self.returnable(line.variant_id))).collect();
        let items = self.pick(items, |line| left.get(&line.variant_id).copied().unwrap_or(0))?;
        self.returns.push(Return {
            id,
            status: ReturnStatus::Requested,
            items,
            reason,
            created_at: now,
            updated_at: now,
        });
        Ok(())
    }

    /// Decides on a return. `Ok(None)` if it is decided so already, else what came back by it (when received).
    pub(crate) fn move_return(
        &mut self,
        id: ReturnId,
        to: ReturnStatus,
        now: Timestamp,
    ) -> Result<Option<Vec<LineQuantity>>, OrderError> {
        let Some(ret) = self.returns.iter_mut().find(|ret| ret.id == id) else {
            return Err(crate::error::CommonError::NotFound("return").into());
        };
        if ret.status == to {
            return Ok(None);
        }
        ret.status.become_(to)?;
        ret.updated_at = now;
        let items = if to == ReturnStatus::Received { ret.items.clone() } else { Vec::new() };
        for item in &items {
            self.line_mut(item.variant_id)?.returned += item.quantity;
        }
        self.settle_goods()?;
        Ok(Some(items))
    }

    /// Recomputes where the goods are, and completes the order when all have arrived and been paid for.
    pub(crate) fn settle_goods(&mut self) -> Result<(), NoSuchMove> {
        let left = [FulfilmentStatus::Shipped, FulfilmentStatus::Delivered];
        let sum = |of: &dyn Fn(&OrderLine) -> u32| self.lines.iter().map(of).sum::<u32>();
        let wanted = sum(&|line| line.quantity - line.cancelled);
        let shipped = sum(&|line| self.parcelled(line.variant_id, &left));
        let delivered = sum(&|line| self.parcelled(line.variant_id, &left[1..]));
        let returned = sum(&|line| line.returned);
        let state = match () {
            () if wanted == 0 || shipped == 0 => FulfilmentState::Unfulfilled,
            () if returned >= wanted => FulfilmentState::Returned,
            () if delivered >= wanted => FulfilmentState::Delivered,
            () if shipped >= wanted => FulfilmentState::Shipped,
            () => FulfilmentState::PartiallyShipped,
        };
        self.fulfilment_status.become_(state)?;
        let arrived = matches!(state, FulfilmentState::Delivered | FulfilmentState::Returned);
        let paid = matches!(
            self.payment_status,
            PaymentStatus::Paid | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded
        );
        if arrived && paid && self.status == OrderStatus::Confirmed {
            self.status.become_(OrderStatus::Completed)?;
        }
        Ok(())
    }

    /// Checks quantities against what is left of each line; no items means all that is left, which must be something.
    pub(crate) fn pick(
        &self,
        items: Vec<LineQuantity>,
        left: impl Fn(&OrderLine) -> u32,
    ) -> Result<Vec<LineQuantity>, OrderError> {
        let picked: Vec<_> = if items.is_empty() {
            self.lines
                .iter()
                .map(|line| LineQuantity { variant_id: line.variant_id, quantity: left(line) })
                .filter(|item| item.quantity > 0)
                .collect()
        } else {
            merge_items(items)?
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
    pub items: Vec<LineQuantity>,
    pub carrier: String,
    pub tracking_number: String,
    pub tracking_url: Option<String>,
}

/// Adds up items of the same variant, so that naming one twice counts twice.
fn merge_items(items: Vec<LineQuantity>) -> Result<Vec<LineQuantity>, Invalid> {
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

fn no_move(from: OrderStatus, to: &str) -> NoSuchMove {
    NoSuchMove { from: from.as_str().to_owned(), to: to.to_owned() }
}

impl From<NoSuchMove> for StoreError {
    /// A move that core itself composed and the table doesn't have: a bug.
    fn from(error: NoSuchMove) -> Self {
        Self::bug(error)
    }
}
