//! What lies between a process and the world: calls that get lost, and the process's own death.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use commerce_core::{
    id::{PaymentId, RefundId},
    payment::{
        PaymentGateway, PaymentMethod, TestGateway,
        gateway::{
            AuthorizeRequest, CaptureRequest, GatewayAccount, GatewayError, GatewayEvent, GatewayPayment,
            GatewayRefund, RefundRequest, VoidRequest, WebhookError, WebhookRequest,
        },
    },
};
use tokio::sync::Notify;

use super::{Chance, Coverage, lock};

/// What can happen to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Certainly not applied.
    Unavailable,
    /// Applied, but nobody says so.
    UnknownDone,
    /// Not applied, and nobody says so.
    UnknownNotDone,
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it.
    DiesAfter,
}

/// A process of the shop: mortal.
pub struct Process {
    chance: Chance,
    coverage: Coverage,
    /// How often things go wrong, in per mille; nothing does in a calm world.
    trouble: usize,
    dead: AtomicBool,
    died: Notify,
}

impl Process {
    /// A process to which things happen.
    #[must_use]
    pub fn new(chance: Chance, coverage: Coverage, trouble: usize) -> Arc<Self> {
        Arc::new(Self { chance, coverage, trouble, dead: AtomicBool::new(false), died: Notify::new() })
    }

    /// Where what happens is counted.
    #[must_use]
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Resolves when the process dies.
    pub async fn death(&self) {
        while !self.dead.load(Ordering::SeqCst) {
            self.died.notified().await;
        }
    }

    /// Lets others go first, now and then. Nothing goes on in a dead process.
    pub async fn step(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.trouble > 0 {
            for _ in 0..self.chance.below(3) {
                tokio::task::yield_now().await;
            }
        }
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// The process dies; whoever called this never hears an answer.
    pub async fn die(&self) -> ! {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        loop {
            std::future::pending::<()>().await;
        }
    }

    /// What happens to the next commit.
    #[must_use]
    pub fn commit_fault(&self) -> Option<CommitFault> {
        use CommitFault as F;
        if !self.chance.happens(self.trouble) {
            return None;
        }
        let of = [F::Unavailable, F::UnknownDone, F::UnknownDone, F::UnknownNotDone, F::DiesBefore, F::DiesAfter];
        let fault = self.chance.pick(&of)?;
        self.coverage.hit(format!("commit fault: {fault:?}"));
        Some(fault)
    }

    /// Whether the gateway refuses a refund for good.
    fn refuses(&self) -> bool {
        let refuses = self.chance.happens(self.trouble);
        if refuses {
            self.coverage.hit("gateway fault: Refuses");
        }
        refuses
    }

    fn call_fault(&self, delayable: bool) -> Option<CallFault> {
        use CallFault as F;
        if !self.chance.happens(3 * self.trouble) {
            return None;
        }
        let of = [F::Refused, F::LostBefore, F::LostAfter, F::DiesBefore, F::DiesAfter, F::Delayed, F::Delayed];
        let fault = self.chance.pick(&of[..if delayable { 7 } else { 5 }])?;
        self.coverage.hit(format!("gateway fault: {fault:?}"));
        Some(fault)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallFault {
    Refused,
    LostBefore,
    LostAfter,
    DiesBefore,
    DiesAfter,
    Delayed,
}

/// What outlives the processes at the gateway's side of the network.
#[derive(Clone, Default)]
pub struct Wire {
    /// The gateway.
    pub gateway: TestGateway,
    /// Calls on their way for too long, which will have their effect all the same.
    pub delayed: Arc<Mutex<Vec<AuthorizeRequest>>>,
    /// Which refunds the gateway refused.
    pub refused: Arc<Mutex<BTreeMap<RefundId, bool>>>,
    /// All that the gateway ever said, to be said again by webhooks.
    pub said: Arc<Mutex<Vec<GatewayEvent>>>,
    /// Refunds that the customers' banks sent back.
    pub bounced: Arc<Mutex<BTreeMap<RefundId, GatewayEvent>>>,
    /// Refunds that were made past the shop.
    pub past_us: Arc<Mutex<Vec<GatewayEvent>>>,
    /// Payments that succeeded after a decline.
    pub after_all: Arc<Mutex<Vec<GatewayEvent>>>,
}

impl Wire {
    /// Keeps what the gateway said of a payment.
    pub fn say(&self, payment_id: PaymentId, payment: &GatewayPayment) -> GatewayEvent {
        let (event_id, reference, payment) = (String::new(), payment.reference.clone(), payment.clone());
        let event = GatewayEvent::Payment { event_id, reference, payment_id: Some(payment_id), payment };
        lock(&self.said).push(event.clone());
        event
    }
}

/// The gateway as a process sees it.
pub struct SimGateway {
    /// What lies behind.
    pub wire: Wire,
    /// Whose calls these are.
    pub process: Arc<Process>,
}

impl SimGateway {
    async fn call<T, E>(&self, delay: Option<&AuthorizeRequest>, effect: E) -> Result<T, GatewayError>
    where
        E: Future<Output = Result<T, GatewayError>> + Send,
    {
        use CallFault as F;
        self.process.step().await;
        let fault = self.process.call_fault(delay.is_some());
        match fault {
            Some(F::Refused) => return Err(GatewayError::Unavailable("refused".to_owned())),
            Some(F::LostBefore) => return Err(GatewayError::Unknown("lost".to_owned())),
            Some(F::DiesBefore) => self.process.die().await,
            Some(F::Delayed) => {
                lock(&self.wire.delayed).extend(delay.cloned());
                return Err(GatewayError::Unknown("on its way".to_owned()));
            }
            _ => {}
        }
        let answer = effect.await;
        match fault {
            Some(F::LostAfter) if answer.is_ok() => return Err(GatewayError::Unknown("lost".to_owned())),
            Some(F::DiesAfter) => self.process.die().await,
            _ => {}
        }
        self.process.step().await;
        answer
    }
}

#[async_trait]
impl PaymentGateway for SimGateway {
    fn code(&self) -> &'static str {
        "test"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        self.wire.gateway.methods()
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        let effect = async {
            let report = self.wire.gateway.authorize(request).await?;
            self.wire.say(request.payment_id, &report);
            Ok(report)
        };
        self.call(Some(request), effect).await
    }

    async fn capture(&self, request: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        let effect = async {
            let report = self.wire.gateway.capture(request).await?;
            self.wire.say(request.payment_id, &report);
            Ok(report)
        };
        self.call(None, effect).await
    }

    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        let effect = async {
            let report = self.wire.gateway.void(request).await?;
            self.wire.say(request.payment_id, &report);
            Ok(report)
        };
        self.call(None, effect).await
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let effect = async {
            // What was refused once stays refused, and what was done once stays done.
            let refused = *lock(&self.wire.refused).entry(request.refund_id).or_insert_with(|| self.process.refuses());
            if refused {
                return Err(GatewayError::Rejected("the card is closed".to_owned()));
            }
            let report = self.wire.gateway.refund(request).await?;
            lock(&self.wire.said).push(GatewayEvent::Refund {
                event_id: String::new(),
                payment_reference: request.reference.clone(),
                refund_id: Some(request.refund_id),
                refund: report.clone(),
            });
            Ok(report)
        };
        self.call(None, effect).await
    }

    async fn retrieve(
        &self,
        payment: PaymentId,
        reference: Option<&str>,
    ) -> Result<Option<GatewayPayment>, GatewayError> {
        self.call(None, self.wire.gateway.retrieve(payment, reference)).await
    }

    async fn account(
        &self,
        payment: PaymentId,
        reference: Option<&str>,
    ) -> Result<Option<GatewayAccount>, GatewayError> {
        self.call(None, self.wire.gateway.account(payment, reference)).await
    }

    /// The body is the index of something that was said.
    fn webhook(&self, request: &WebhookRequest<'_>) -> Result<GatewayEvent, WebhookError> {
        let index = std::str::from_utf8(request.body).ok().and_then(|body| body.parse::<usize>().ok());
        lock(&self.wire.said).get(index.ok_or(WebhookError::Signature)?).cloned().ok_or(WebhookError::Signature)
    }
}
