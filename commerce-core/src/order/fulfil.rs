//! Parcels.

use super::{
    Effects, Fulfilment, FulfilmentStatus, ItemSelection, NewParcel, Order, OrderChild, OrderError, Orders,
    edit::{Admission, EditWrite, child_of},
};
use crate::{
    clock::Timestamp,
    context::Permission,
    error::{CommonError, Invalid},
    event::{DomainEvent, Notice},
    id::{FulfilmentId, OrderId},
    store::MovementKind,
    write::Write,
};

/// A parcel to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewFulfilment {
    items: ItemSelection,
    carrier: String,
    tracking_number: String,
    tracking_url: Option<String>,
}

impl NewFulfilment {
    /// A parcel with everything that is left to ship, handed to a carrier, who follows it by this number.
    pub fn all(carrier: impl Into<String>, tracking_number: impl Into<String>) -> Self {
        Self::of(ItemSelection::All, carrier, tracking_number)
    }

    /// A parcel with these units.
    pub fn of(items: impl Into<ItemSelection>, carrier: impl Into<String>, tracking_number: impl Into<String>) -> Self {
        Self {
            items: items.into(),
            carrier: carrier.into(),
            tracking_number: tracking_number.into(),
            tracking_url: None,
        }
    }

    /// Where the customer can follow the parcel: an http or https URL.
    #[must_use]
    pub fn tracking_url(mut self, url: impl Into<Option<String>>) -> Self {
        self.tracking_url = url.into();
        self
    }

    fn check(&self) -> Result<(), Invalid> {
        check_tracking(Some(&self.carrier), Some(&self.tracking_number), self.tracking_url.as_deref())
    }
}

/// A parcel that was packed, and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fulfilled {
    /// The parcel.
    pub fulfilment: Fulfilment,
    /// The order, with the parcel in it.
    pub order: Order,
}

/// Changes to a parcel; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FulfilmentUpdate {
    pub(super) status: Option<FulfilmentStatus>,
    pub(super) keep_apart: bool,
    pub(super) carrier: Option<String>,
    pub(super) tracking_number: Option<String>,
    #[allow(clippy::option_option)] // Kept, removed, or another one.
    pub(super) tracking_url: Option<Option<String>>,
}

impl FulfilmentUpdate {
    /// Changes that change nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The parcel moves on to a status; `None` leaves it where it is.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<FulfilmentStatus>>) -> Self {
        self.status = status.into();
        self
    }

    /// Whether the goods of a parcel that is returned to its sender go back into stock, which is the default. If not, they are
    /// kept apart to be shipped again.
    #[must_use]
    pub const fn restock(mut self, restock: bool) -> Self {
        self.keep_apart = !restock;
        self
    }

    /// Who carries the parcel; `None` leaves it as it is.
    #[must_use]
    pub fn carrier(mut self, carrier: impl Into<Option<String>>) -> Self {
        self.carrier = carrier.into();
        self
    }

    /// The carrier's number; `None` leaves it as it is.
    #[must_use]
    pub fn tracking_number(mut self, number: impl Into<Option<String>>) -> Self {
        self.tracking_number = number.into();
        self
    }

    /// Where the customer can follow the parcel; `None` removes the link.
    #[must_use]
    pub fn tracking_url(mut self, url: impl Into<Option<String>>) -> Self {
        self.tracking_url = Some(url.into());
        self
    }
}

impl From<FulfilmentStatus> for FulfilmentUpdate {
    fn from(status: FulfilmentStatus) -> Self {
        Self::new().status(status)
    }
}

impl FulfilmentUpdate {
    fn check(&self) -> Result<(), Invalid> {
        check_tracking(
            self.carrier.as_deref(),
            self.tracking_number.as_deref(),
            self.tracking_url.as_ref().and_then(Option::as_deref),
        )
    }

    /// Corrects who carries a parcel and how it is followed. Answers whether anything changed.
    fn correct(&self, parcel: &mut Fulfilment) -> bool {
        let before = parcel.clone();
        let corrected = self.clone();
        parcel.carrier = corrected.carrier.unwrap_or_else(|| before.carrier.clone());
        parcel.tracking_number = corrected.tracking_number.unwrap_or_else(|| before.tracking_number.clone());
        parcel.tracking_url = corrected.tracking_url.unwrap_or_else(|| before.tracking_url.clone());
        *parcel != before
    }
}

fn check_tracking(carrier: Option<&str>, number: Option<&str>, url: Option<&str>) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if let Some(carrier) = carrier {
        invalid.check_text(carrier, "/carrier", 1, 100);
    }
    if let Some(number) = number {
        invalid.check_reference(number, "/tracking_number", 1, 100);
    }
    if let Some(url) = url {
        invalid.check_characters(url, "/tracking_url", crate::text::Lines::One);
        let is_url = url.len() <= 2000 && (url.starts_with("https://") || url.starts_with("http://"));
        invalid.check(is_url, "/tracking_url", "invalid_url", "must be an http or https URL");
    }
    invalid.into_result()
}

impl Orders {
    /// Puts items into a parcel. Goods that had been put back into stock when an earlier parcel came back are taken from
    /// there once more.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] unless the order is confirmed,
    /// [`OrderError::OutOfStock`] if goods that had been put back aren't there any more.
    pub fn fulfil(&self, id: OrderId, fulfilment: NewFulfilment) -> Write<Fulfilled, OrderError> {
        let engine = self.scope.engine.clone();
        self.scope.write(EditWrite {
            name: "orders.fulfil",
            input: format!("{id} {fulfilment:?}"),
            orders: self.clone(),
            admission: Admission::Staff(Permission::ManageOrders, id),
            checked: fulfilment.check(),
            rule: Box::new(move |order, effects, now| {
                fulfil_rule(order, FulfilmentId(engine.uuid()), &fulfilment, effects, now)
            }),
            answer: |order, id| Ok(Fulfilled { fulfilment: child_of(&order.fulfilments, &id)?, order }),
        })
    }

    /// Moves a parcel on (shipped, delivered, cancelled, returned to sender), or corrects its carrier and tracking. The customer
    /// hears of it when it has left. The goods of a parcel that nobody took can be shipped again, or cancelled.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of parcels doesn't have the move.
    pub fn update_fulfilment(&self, id: FulfilmentId, update: impl Into<FulfilmentUpdate>) -> Write<Order, OrderError> {
        let update = update.into();
        self.scope.write(EditWrite {
            name: "orders.update_fulfilment",
            input: format!("{id} {update:?}"),
            orders: self.clone(),
            admission: Admission::StaffByChild(Permission::ManageOrders, OrderChild::Fulfilment(id), "fulfilment"),
            checked: update.check(),
            rule: Box::new(move |order, effects, now| update_rule(order, id, &update, effects, now)),
            answer: |order, ()| Ok(order),
        })
    }
}

fn fulfil_rule(
    order: &mut Order,
    id: FulfilmentId,
    fulfilment: &NewFulfilment,
    effects: &mut Effects,
    now: Timestamp,
) -> Result<FulfilmentId, OrderError> {
    let NewFulfilment { items, carrier, tracking_number, tracking_url } = fulfilment.clone();
    let again = order.create_fulfilment(NewParcel { id, items, carrier, tracking_number, tracking_url }, now)?;
    effects.stock.extend(again.into_iter().map(|i| (i.variant_id, -i64::from(i.quantity), MovementKind::Sale)));
    effects.events.push(DomainEvent::FulfilmentCreated { order: order.id, fulfilment: id });
    Ok(id)
}

pub(super) fn update_rule(
    order: &mut Order,
    id: FulfilmentId,
    update: &FulfilmentUpdate,
    effects: &mut Effects,
    now: Timestamp,
) -> Result<(), OrderError> {
    let parcel = order.fulfilments.iter_mut().find(|parcel| parcel.id == id);
    let parcel = parcel.ok_or(CommonError::NotFound("fulfilment"))?;
    let has_left = parcel.shipped_at.is_some();
    if update.correct(parcel) && has_left {
        let (carrier, tracking_number) = (parcel.carrier.clone(), parcel.tracking_number.clone());
        let (order, fulfilment) = (order.id, id);
        effects.events.push(DomainEvent::FulfilmentCorrected { order, fulfilment, carrier, tracking_number });
    }
    let Some(to) = update.status else { return Ok(()) };
    let was = order.status;
    if let Some(goods) = order.move_parcel(id, to, !update.keep_apart, now)? {
        effects.parcel_moved(order, id, to);
        effects.withdrawn(order, was, goods, MovementKind::Return, "returned to sender");
    }
    Ok(())
}

impl Effects {
    fn parcel_moved(&mut self, order: &Order, id: FulfilmentId, to: FulfilmentStatus) {
        let Some(parcel) = order.fulfilments.iter().find(|parcel| parcel.id == id) else { return };
        let (order, fulfilment) = (order.id, id);
        self.events.extend(match to {
            FulfilmentStatus::Shipped => {
                self.notices.push(Notice::OrderShipped { order, fulfilment });
                Some(DomainEvent::FulfilmentShipped {
                    order,
                    fulfilment,
                    carrier: parcel.carrier.clone(),
                    tracking_number: parcel.tracking_number.clone(),
                })
            }
            FulfilmentStatus::Delivered => Some(DomainEvent::FulfilmentDelivered { order, fulfilment }),
            FulfilmentStatus::Cancelled => Some(DomainEvent::FulfilmentCancelled { order, fulfilment }),
            FulfilmentStatus::ReturnedToSender => Some(DomainEvent::FulfilmentReturnedToSender { order, fulfilment }),
            FulfilmentStatus::Pending => None,
        });
    }
}
