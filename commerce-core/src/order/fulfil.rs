//! Parcels.

use super::{Effects, FulfilmentStatus, NewParcel, Order, OrderChild, OrderError, Orders};
use crate::{
    call::{Call, Done, Permission},
    error::Invalid,
    event::{DomainEvent, Notice},
    id::{FulfilmentId, OrderId},
    payment::LineQuantity,
};

/// What staff put into a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulfilmentInput {
    /// What; empty means all that is left.
    pub items: Vec<LineQuantity>,
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
        Self { items: vec![], carrier: carrier.into(), tracking_number: tracking_number.into(), tracking_url: None }
    }
}

impl Orders {
    /// Puts items into a parcel.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] unless the order is confirmed.
    pub async fn fulfil(
        &self,
        call: &Call,
        id: OrderId,
        input: FulfilmentInput,
    ) -> Result<Done<(Order, FulfilmentId)>, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let mut invalid = Invalid::default();
        invalid.check_text(&input.carrier, "/carrier", 1, 100);
        invalid.check_reference(&input.tracking_number, "/tracking_number", 1, 100);
        if let Some(url) = &input.tracking_url {
            invalid.check_characters(url, "/tracking_url", crate::text::Lines::One);
            let is_url = url.len() <= 2000 && (url.starts_with("https://") || url.starts_with("http://"));
            invalid.check(is_url, "/tracking_url", "invalid_url", "must be an http or https URL");
        }
        invalid.into_result()?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let fulfilment = FulfilmentId(this.engine.uuid());
                let done = this.edit(&call, id, |order, effects, now| {
                    let FulfilmentInput { items, carrier, tracking_number, tracking_url } = input.clone();
                    order.pack(NewParcel { id: fulfilment, items, carrier, tracking_number, tracking_url }, now)?;
                    effects.events.push(DomainEvent::FulfilmentCreated { order: order.id, fulfilment });
                    Ok(fulfilment)
                });
                done.await
            })
            .await
    }

    /// Moves a parcel on: shipped, delivered, cancelled. The customer hears of it when it has left.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of parcels doesn't have the move.
    pub async fn update_fulfilment(
        &self,
        call: &Call,
        id: FulfilmentId,
        to: FulfilmentStatus,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.order_of(OrderChild::Fulfilment(id), "fulfilment").await?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| {
                    if order.move_parcel(id, to, now)? {
                        effects.parcel_moved(order, id, to);
                    }
                    Ok(())
                });
                edit.await.map(|done| done.value.0)
            })
            .await
    }
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
            FulfilmentStatus::Pending => None,
        });
    }
}
