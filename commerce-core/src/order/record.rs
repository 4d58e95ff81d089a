//! Writing down what follows from a change of an order.

use super::{Effects, Order, OrderStatus};
use crate::{
    aggregate::AggregateId,
    event::DomainEvent,
    id::IdGenerator,
    payment::processor::send,
    store::{ChangeSet, StockDelta},
};

impl Effects {
    /// Writes down what follows from a change of an order, which the set holds already: stock, events and messages.
    pub fn write(&mut self, set: &mut ChangeSet, ids: &dyn IdGenerator, before: &Order, after: &Order) {
        let id = after.id;
        if after.status == OrderStatus::Completed && before.status != OrderStatus::Completed {
            self.events.push(DomainEvent::OrderCompleted { order: id });
        }
        for (variant, units, kind) in self.stock.drain(..) {
            let delta = StockDelta { on_hand: units, ..StockDelta::default() };
            set.move_stock(variant, delta, Some((kind, Some(id), None)));
        }
        for event in self.events.drain(..) {
            set.event(ids, AggregateId::Order(id), after.version, event);
        }
        for notice in self.notices.drain(..) {
            send(set, ids, notice);
        }
    }
}
