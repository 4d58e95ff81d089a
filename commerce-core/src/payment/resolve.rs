//! Asking a gateway how a payment stands: [`Payments::confirm`], [`Payments::resolve`], [`Payments::write_off`].

use async_trait::async_trait;

use super::{Payments, PlacementOutcome, processor::Progress, rules::WRITTEN_OFF, service::unreached};
use crate::{
    checkout::Placement,
    context::Permission,
    engine::Engine,
    event::Task,
    id::{OrderId, PaymentId},
    order::{Order, OrderChild, OrderError, OrderStatus},
    state::InvalidTransition,
    store::Aggregate,
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

impl Payments {
    /// After 3-D Secure: asks the gateway how the payment stands, and settles it.
    ///
    /// # Errors
    /// As [`Orders::get`](crate::order::Orders::get).
    pub fn confirm(&self, order: OrderId, payment: PaymentId) -> Write<Placement, OrderError> {
        let question = Question::ByBuyer { order, payment };
        let answer = |order: Order| {
            let outcome = PlacementOutcome::of(&order);
            Placement { order, order_token: None, outcome }
        };
        self.scope.write(AskWrite { payments: self.clone(), question, answer })
    }

    /// Asks the gateway how a payment stands and settles it by its word; refunds that were made at the gateway are booked. For
    /// staff who won't wait for recovery, or whom an alert has told that it is stuck.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::PaymentBusy`] while its gateway is being asked,
    /// [`OrderError::GatewayUnavailable`] if it can't be.
    pub fn resolve(&self, payment: PaymentId) -> Write<Order, OrderError> {
        let question = Question::ByStaff { payment, give_up: false };
        self.scope.write(AskWrite { payments: self.clone(), question, answer: |order| order })
    }

    /// As [`Self::resolve`]; a payment that stays open, of which the gateway holds no money (any more), is written off: its
    /// promise is given back, its order cancelled, its stock released.
    ///
    /// # Errors
    /// As [`Self::resolve`]; [`OrderError::PaymentHeld`] if the gateway holds money of the payment; [`OrderError::NotAllowed`]
    /// if the payment isn't open.
    pub fn write_off(&self, payment: PaymentId) -> Write<Order, OrderError> {
        let question = Question::ByStaff { payment, give_up: true };
        self.scope.write(AskWrite { payments: self.clone(), question, answer: |order| order })
    }

    async fn ask(&self, order: Order, id: PaymentId, give_up: bool) -> Result<Order, OrderError> {
        let processor = self.processor();
        let amount = order.payment(id)?.amount;
        let (order, report) = processor.ask(order, id).await?.map_err(|error| unreached(error, amount))?;
        let (order, progress) = Box::pin(processor.sync_refunds(order, id)).await?;
        match progress {
            Progress::Done => {}
            Progress::Waits(_) => return Err(OrderError::PaymentBusy),
            Progress::Refused(error) => return Err(unreached(error, amount)),
        }
        if !give_up || order.status == OrderStatus::Cancelled {
            return Ok(order);
        }
        if order.status != OrderStatus::Pending {
            let from = order.payment(id)?.status.as_str().to_owned();
            return Err(InvalidTransition { from, to: "given up".to_owned() }.into());
        }
        let held = processor.held_money(&order, id, report).await.map_err(|error| unreached(error, amount))?;
        if let Some(held) = held {
            return Err(OrderError::PaymentHeld { held });
        }
        let order = processor.write_off(order, id, WRITTEN_OFF).await?;
        Ok(processor.give_up_unpaid(order, id, WRITTEN_OFF).await?)
    }
}

/// Who asks how a payment stands.
#[derive(Clone, Copy, Debug)]
enum Question {
    /// The order's customer, who has finished 3-D Secure.
    ByBuyer { order: OrderId, payment: PaymentId },
    /// Staff.
    ByStaff { payment: PaymentId, give_up: bool },
}

/// A write that begins at the gateway: there is nothing to commit before that has answered, so that a prepared one leaves all
/// to the worker.
struct AskWrite<T> {
    payments: Payments,
    question: Question,
    answer: fn(Order) -> T,
}

impl<T> AskWrite<T> {
    /// The order, for whoever may ask.
    async fn admit(&self) -> Result<Order, OrderError> {
        match self.question {
            Question::ByBuyer { order, payment } => {
                let order = self.payments.orders().get(order).await?;
                order.payment(payment)?;
                Ok(order)
            }
            Question::ByStaff { payment, .. } => {
                self.payments.scope.actor().require(Permission::ManageOrders)?;
                let order = self.payments.orders().order_of(OrderChild::Payment(payment), "payment").await?;
                Ok(self.payments.processor().load(order).await?)
            }
        }
    }

    /// Staff don't ask while somebody else does.
    fn check_idle(&self, engine: &Engine, order: &Order) -> Result<(), OrderError> {
        let Question::ByStaff { payment, .. } = self.question else { return Ok(()) };
        let is_busy = order.payment(payment)?.lease_until.is_some_and(|until| until > engine.now());
        if is_busy { Err(OrderError::PaymentBusy) } else { Ok(()) }
    }

    async fn replayed(&self, engine: &Engine, write: &WriteContext, order: &Order) -> Result<Option<T>, OrderError> {
        let earlier = engine.replay::<()>(&write.call).await?;
        Ok(earlier.map(|()| (self.answer)(order.clone())))
    }
}

#[async_trait]
impl<T: Send + 'static> Operation<T, OrderError> for AskWrite<T> {
    fn describe(&self) -> (&'static str, String) {
        ("payments.ask", format!("{:?}", self.question))
    }

    async fn run(&self, engine: &Engine, write: &WriteContext) -> Result<Outcome<T>, OrderError> {
        let order = self.admit().await?;
        if let Some(answer) = self.replayed(engine, write, &order).await? {
            return Ok(Outcome::replayed(answer));
        }
        write.check_version(order.version)?;
        let _turn = engine.queues.turn(order.id).await;
        let order = match self.question {
            Question::ByBuyer { payment, .. } => Box::pin(self.payments.processor().resolve(order, payment)).await?.0,
            Question::ByStaff { payment, give_up } => {
                // It may have changed while others had their turn.
                let order = self.payments.processor().load(order.id).await?;
                self.check_idle(engine, &order)?;
                Box::pin(self.payments.ask(order, payment, give_up)).await?
            }
        };
        engine.remember(&write.call, &()).await?;
        Ok(Outcome::fresh((self.answer)(order)))
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<T>, OrderError> {
        let order = self.admit().await?;
        let mut changes = engine.set(write.actor());
        if let Some(output) = self.replayed(engine, write, &order).await? {
            return Ok(PreparedWrite { changes, output, replayed: true });
        }
        write.check_version(order.version)?;
        self.check_idle(engine, &order)?;
        let task = match self.question {
            Question::ByBuyer { order, payment } => Task::SettlePayment { order, payment },
            Question::ByStaff { payment, give_up } => Task::ResolvePayment { payment, give_up },
        };
        changes.assert(order.root(), order.version);
        let due = changes.at();
        changes.task(engine.ids(), due, task);
        engine.complete(&mut changes, &write.call, || serde_json::to_value(()))?;
        Ok(PreparedWrite { changes, output: (self.answer)(order), replayed: false })
    }
}
