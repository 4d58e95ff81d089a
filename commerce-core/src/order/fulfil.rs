//! Parcels.

use super::{Effects, Fulfilment, FulfilmentStatus, ItemSelection, NewParcel, Order, OrderChild, OrderError, Orders};
use crate::{
    clock::Timestamp,
    context::{Done, Permission, RequestContext},
    error::{CommonError, Invalid},
    event::{DomainEvent, Notice},
    id::{FulfilmentId, OrderId},
    store::MovementKind,
};

/// What staff put into a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulfilmentInput {
    /// What is in it: all that is left, or these units.
    pub items: ItemSelection,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// Where the customer can follow it.
    pub tracking_url: Option<String>,
}

impl FulfilmentInput {
    /// Everything that is left, without a link.
    #[must_use]
    pub fn new(carrier: impl Into<String>, tracking_number: impl Into<String>) -> Self {
        Self {
            items: ItemSelection::All,
            carrier: carrier.into(),
            tracking_number: tracking_number.into(),
            tracking_url: None,
        }
    }
}

/// What staff change about a parcel; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FulfilmentUpdate {
    /// Where it is now.
    pub status: Option<FulfilmentStatus>,
    /// Whether the goods of a parcel that is returned to sender don't go back into stock: they are kept to be shipped again.
    pub keep_apart: bool,
    /// Who carries it.
    pub carrier: Option<String>,
    /// The carrier's number.
    pub tracking_number: Option<String>,
    /// Where the customer can follow it; `Some(None)` removes the link.
    pub tracking_url: Option<Option<String>>,
}

impl From<FulfilmentStatus> for FulfilmentUpdate {
    fn from(status: FulfilmentStatus) -> Self {
        Self { status: Some(status), ..Self::default() }
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
    pub async fn fulfil(
        &self,
        call: &RequestContext,
        id: OrderId,
        input: FulfilmentInput,
    ) -> Result<Done<(Order, FulfilmentId)>, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        check_tracking(Some(&input.carrier), Some(&input.tracking_number), input.tracking_url.as_deref())?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let fulfilment = FulfilmentId(this.engine.uuid());
                let done = this.edit(&call, id, |order, effects, now| {
                    let FulfilmentInput { items, carrier, tracking_number, tracking_url } = input.clone();
                    let parcel = NewParcel { id: fulfilment, items, carrier, tracking_number, tracking_url };
                    let again = order.create_fulfilment(parcel, now)?;
                    effects
                        .stock
                        .extend(again.into_iter().map(|i| (i.variant_id, -i64::from(i.quantity), MovementKind::Sale)));
                    effects.events.push(DomainEvent::FulfilmentCreated { order: order.id, fulfilment });
                    Ok(fulfilment)
                });
                done.await
            })
            .await
    }

    /// Moves a parcel on (shipped, delivered, cancelled, returned to sender), or corrects its carrier and tracking. The customer
    /// hears of it when it has left. The goods of a parcel that nobody took can be shipped again, or cancelled.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of parcels doesn't have the move.
    pub async fn update_fulfilment(
        &self,
        call: &RequestContext,
        id: FulfilmentId,
        update: impl Into<FulfilmentUpdate>,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let update = update.into();
        update.check()?;
        let order = self.order_of(OrderChild::Fulfilment(id), "fulfilment").await?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| update_rule(order, id, &update, effects, now));
                edit.await.map(|done| done.value.0)
            })
            .await
    }
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
