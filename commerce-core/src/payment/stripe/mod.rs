//! [`StripeGateway`]: cards by Stripe's `PaymentIntents` (feature `stripe`).
//!
//! An intent is created and confirmed in one call. Every call that does something carries our id as its idempotency key,
//! and every object our ids in its metadata, so that it is found again when an answer was lost.

mod amount;
mod client;
mod config;
mod object;
mod transport;
mod webhook;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use self::{
    amount::{payable, to_stripe},
    client::{Client, Failure, Reply},
    object::{Intent, List, RefundObject},
};
pub use self::{
    config::{RetryPolicy, StripeConfig, StripeConfigError},
    transport::{HttpRequest, HttpResponse, HttpTransport, Method, ReqwestTransport, TransportError},
    webhook::signature,
};
use super::{
    PayableAmounts,
    gateway::{
        AuthorizeRequest, CaptureRequest, GatewayAccount, GatewayError, GatewayEvent, GatewayPayment, GatewayRefund,
        GatewayState, PaymentGateway, PaymentMethod, RefundRequest, VoidRequest, WebhookError, WebhookRequest,
    },
};
use crate::{
    clock::{Clock as _, SystemClock},
    id::{PaymentId, RefundId},
    money::Currency,
};

/// How many pages of a hundred are looked through for a lost payment before giving up (which isn't "not there").
const PAGES: usize = 100;
/// How far Stripe's clock and the one that made our ids may differ when a lost payment is looked for.
const SKEW: Duration = Duration::from_hours(1);

/// Takes cards through Stripe, method `stripe`.
///
/// Refunds are looked up before they are made, so that they are made once however late a call is repeated. A key that Stripe
/// refuses (401, 403) is `Unavailable`, not `Rejected`: no order or refund fails for a mistyped setting.
pub struct StripeGateway {
    client: Client,
    config: StripeConfig,
}

impl StripeGateway {
    /// A gateway to Stripe.
    ///
    /// # Errors
    /// [`StripeConfigError::Client`] if TLS can't be set up.
    pub fn new(config: StripeConfig) -> Result<Self, StripeConfigError> {
        let transport = ReqwestTransport::new(&config)?;
        Ok(Self::with_transport(config, transport))
    }

    /// A gateway over another HTTP client, or none.
    #[must_use]
    pub fn with_transport(config: StripeConfig, transport: impl HttpTransport) -> Self {
        Self { client: Client { transport: Box::new(transport), retry: config.retry }, config }
    }

    /// The intent as it stands now, if the answer may be an old one.
    async fn present(&self, intent: Intent, replayed: bool) -> Result<Intent, GatewayError> {
        if !replayed {
            return Ok(intent);
        }
        match self.read::<Intent>("payment_intents", &intent.id).await {
            Ok(present) => Ok(present.unwrap_or(intent)),
            // What was true once is better than nothing where the key may not look.
            Err(Failure::Forbidden(_)) => Ok(intent),
            Err(failure) => Err(in_doubt(failure.into())),
        }
    }

    async fn present_payment(&self, reply: &Reply) -> Result<GatewayPayment, GatewayError> {
        payment(self.present(reply.read()?, reply.replayed).await?)
    }

    async fn fetch<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, GatewayError> {
        self.read(kind, id).await.map_err(Into::into)
    }

    async fn read<T: DeserializeOwned>(&self, kind: &str, id: &str) -> Result<Option<T>, Failure> {
        let path = format!("/v1/{kind}/{}", segment(id).map_err(|error| Failure::Rejected(error.to_string()))?);
        match self.client.get(path).await {
            Ok(reply) => reply.read().map(Some).map_err(|error| Failure::Unknown(error.to_string())),
            Err(Failure::Missing(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Looks a payment up by our id. Stripe's search lags behind; its lists don't.
    async fn find_payment(&self, id: PaymentId) -> Result<Option<Intent>, GatewayError> {
        let path = format!("/v1/payment_intents?limit=100{}", self.window(id));
        self.find(&path, |intent: &Intent| intent.payment_id() == Some(id), |intent| &intent.id).await
    }

    /// Looks a refund of ours up, so that it is made once however late the call is repeated. Where the key may not look, the
    /// call itself is exact for as long as Stripe remembers it.
    async fn find_refund(&self, reference: &str, id: RefundId) -> Result<Option<RefundObject>, GatewayError> {
        let path = format!("/v1/refunds?limit=100&payment_intent={}", segment(reference)?);
        let found =
            self.search(&path, |refund: &RefundObject| refund.refund_id() == Some(id), |refund| &refund.id).await;
        match found {
            Err(Failure::Forbidden(_)) if self.is_remembered(id) => Ok(None),
            found => found.map_err(Into::into),
        }
    }

    /// Whether Stripe still knows the key of a refund that was first asked for no earlier than its id was made.
    fn is_remembered(&self, id: RefundId) -> bool {
        let Some(made) = id.0.get_timestamp() else { return false };
        let age = SystemClock.now().as_secs() - i64::try_from(made.to_unix().0).unwrap_or(0);
        u64::try_from(age).unwrap_or(0) < self.key_horizon().saturating_sub(SKEW).as_secs()
    }

    /// Looks through a list, page by page.
    async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        is_it: impl FnMut(&T) -> bool + Send,
        id: impl Fn(&T) -> &String + Send,
    ) -> Result<Option<T>, GatewayError> {
        self.search(path, is_it, id).await.map_err(Into::into)
    }

    async fn search<T: DeserializeOwned>(
        &self,
        path: &str,
        mut is_it: impl FnMut(&T) -> bool + Send,
        id: impl Fn(&T) -> &String + Send,
    ) -> Result<Option<T>, Failure> {
        let mut page = path.to_owned();
        for _ in 0..PAGES {
            let List { data, has_more } =
                self.client.get(page).await?.read().map_err(|error| Failure::Unknown(error.to_string()))?;
            let Some(last) = data.last().map(|last| id(last).clone()) else { return Ok(None) };
            if let Some(found) = data.into_iter().find(&mut is_it) {
                return Ok(Some(found));
            }
            if !has_more {
                return Ok(None);
            }
            page = format!("{path}&starting_after={last}");
        }
        Err(Failure::Unavailable(format!("more than {PAGES} pages of {path}")))
    }

    /// When a payment can have been created, if our id of it tells the time.
    fn window(&self, id: PaymentId) -> String {
        let Some(made) = id.0.get_timestamp() else { return String::new() };
        let (made, _) = made.to_unix();
        let (from, to) = (made.saturating_sub(SKEW.as_secs()), made + self.key_horizon().as_secs() + SKEW.as_secs());
        format!("&created[gte]={from}&created[lte]={to}")
    }

    /// How a payment stands of which Stripe refused a call: what the call asked for may be so already.
    async fn stands(&self, reference: &str, refused: Failure) -> Result<(GatewayPayment, GatewayError), GatewayError> {
        let settles = matches!(refused, Failure::Rejected(_) | Failure::KeyReused(_) | Failure::Declined { .. });
        let refused = match refused {
            Failure::KeyReused(why) => GatewayError::Rejected(why),
            refused => refused.into(),
        };
        if !settles {
            return Err(refused);
        }
        match self.fetch("payment_intents", reference).await.map_err(in_doubt)? {
            Some(intent) => Ok((payment(intent)?, refused)),
            None => Err(refused),
        }
    }
}

impl fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeGateway").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    fn code(&self) -> &'static str {
        "stripe"
    }

    fn methods(&self) -> Vec<PaymentMethod> {
        vec![PaymentMethod::new("stripe", &self.config.title, "stripe")]
    }

    fn amounts(&self, currency: Currency) -> PayableAmounts {
        payable(currency)
    }

    async fn authorize(&self, request: &AuthorizeRequest) -> Result<GatewayPayment, GatewayError> {
        let form = authorize_form(request, &self.config)?;
        self.amounts(request.amount.currency).check_payment(request.amount)?;
        let key = request.payment_id.to_string();
        let declined = |reference: String, code: String| GatewayPayment {
            reference,
            state: GatewayState::Declined(code),
            amount: request.amount,
            captured: request.amount.currency.zero(),
        };
        match self.client.post("/v1/payment_intents".to_owned(), &form, key).await {
            Ok(reply) => self.present_payment(&reply).await,
            Err(Failure::Declined { mut problem, replayed }) => match problem.payment_intent.take() {
                Some(intent) if replayed => payment(self.present(*intent, replayed).await?),
                Some(intent) => Ok(declined(intent.id, problem.decline())),
                None => Ok(declined(String::new(), problem.decline())),
            },
            // The settings have changed since the first call, which may have had its effect.
            Err(Failure::KeyReused(why)) => match self.find_payment(request.payment_id).await.map_err(in_doubt)? {
                Some(intent) => payment(intent),
                None => Err(GatewayError::Unknown(why)),
            },
            Err(Failure::Rejected(why)) if why.contains("amount_too_large") => Err(GatewayError::AmountNotPayable(why)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Money that was taken already is answered as taken, whatever its amount.
    async fn capture(&self, request: &CaptureRequest) -> Result<GatewayPayment, GatewayError> {
        let path = format!("/v1/payment_intents/{}/capture", segment(&request.reference)?);
        let form = [("amount_to_capture", to_stripe(request.amount)?.to_string())];
        match self.client.post(path, &form, format!("{}-capture", request.payment_id)).await {
            Ok(reply) => self.present_payment(&reply).await,
            Err(refused) => match self.stands(&request.reference, refused).await? {
                (payment, _) if payment.state == GatewayState::Captured => Ok(payment),
                (_, refused) => Err(refused),
            },
        }
    }

    async fn void(&self, request: &VoidRequest) -> Result<GatewayPayment, GatewayError> {
        let reference = match request.reference.as_deref().filter(|reference| !reference.is_empty()) {
            Some(reference) => reference.to_owned(),
            None => match self.find_payment(request.payment_id).await? {
                Some(intent) => intent.id,
                None => return Err(GatewayError::Rejected(format!("no such payment: {}", request.payment_id))),
            },
        };
        let path = format!("/v1/payment_intents/{}/cancel", segment(&reference)?);
        match self.client.post(path, &[], format!("{}-void", request.payment_id)).await {
            Ok(reply) => self.present_payment(&reply).await,
            Err(refused) => match self.stands(&reference, refused).await? {
                (payment, _) if matches!(payment.state, GatewayState::Captured | GatewayState::Voided) => Ok(payment),
                (_, refused) => Err(refused),
            },
        }
    }

    async fn refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        if let Some(made) = self.find_refund(&request.reference, request.refund_id).await? {
            return refund(made);
        }
        let form = [
            ("payment_intent", request.reference.clone()),
            ("amount", to_stripe(request.amount)?.to_string()),
            ("metadata[refund_id]", request.refund_id.to_string()),
            ("metadata[payment_id]", request.payment_id.to_string()),
        ];
        let reply = self.client.post("/v1/refunds".to_owned(), &form, request.refund_id.to_string()).await?;
        let made: RefundObject = reply.read()?;
        if !reply.replayed {
            return refund(made);
        }
        match self.read("refunds", &made.id).await {
            Ok(present) => refund(present.unwrap_or(made)),
            Err(Failure::Forbidden(_)) => refund(made),
            Err(failure) => Err(in_doubt(failure.into())),
        }
    }

    async fn retrieve(&self, id: PaymentId, reference: Option<&str>) -> Result<Option<GatewayPayment>, GatewayError> {
        let intent = match reference.filter(|reference| !reference.is_empty()) {
            Some(reference) => self.fetch("payment_intents", reference).await?,
            None => self.find_payment(id).await?,
        };
        intent.map(payment).transpose()
    }

    async fn account(&self, id: PaymentId, reference: Option<&str>) -> Result<Option<GatewayAccount>, GatewayError> {
        let payment = self.retrieve(id, reference).await?;
        let mut refunds = Vec::new();
        if let Some(payment) = payment.as_ref().filter(|payment| !payment.captured.is_zero()) {
            let path = format!("/v1/refunds?limit=100&payment_intent={}", segment(&payment.reference)?);
            let add = |refund: &RefundObject| {
                refunds.extend(refund.report());
                false
            };
            self.find(&path, add, |refund| &refund.id).await?;
        }
        Ok(Some(GatewayAccount { payment, refunds }))
    }

    fn webhook(&self, request: &WebhookRequest<'_>) -> Result<GatewayEvent, WebhookError> {
        if self.config.webhook_secrets.is_empty() {
            return Err(WebhookError::Unsupported);
        }
        webhook::verify(&self.config.webhook_secrets, request)?;
        webhook::event(request.body)
    }
}

fn authorize_form(
    request: &AuthorizeRequest,
    config: &StripeConfig,
) -> Result<Vec<(&'static str, String)>, GatewayError> {
    let token = request.token.as_deref().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| GatewayError::Rejected("a payment-method token is needed".to_owned()))?;
    let mut form = vec![
        ("amount", to_stripe(request.amount)?.to_string()),
        ("currency", request.amount.currency.code().to_ascii_lowercase()),
        ("payment_method", token.to_owned()),
        ("payment_method_types[]", "card".to_owned()),
        ("capture_method", if request.capture { "automatic" } else { "manual" }.to_owned()),
        ("confirm", "true".to_owned()),
        ("metadata[order_id]", request.order_id.to_string()),
        ("metadata[order_number]", request.order_number.clone()),
        ("metadata[payment_id]", request.payment_id.to_string()),
    ];
    form.extend(config.return_url.as_ref().map(|url| ("return_url", url.to_string())));
    Ok(form)
}

/// A look at what was done already can fail without effect; what was done has had its effect.
fn in_doubt(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Unavailable(why) => GatewayError::Unknown(why),
        error => error,
    }
}

/// An id as part of a path or query: nothing that could make it another.
fn segment(id: &str) -> Result<&str, GatewayError> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { Ok(id) } else { Err(GatewayError::Rejected(format!("'{id}' is none of Stripe's ids"))) }
}

fn payment(intent: Intent) -> Result<GatewayPayment, GatewayError> {
    let id = intent.id.clone();
    intent.into_payment().ok_or_else(|| GatewayError::Unknown(format!("{id} is in a currency that isn't ours")))
}

fn refund(refund: RefundObject) -> Result<GatewayRefund, GatewayError> {
    let id = refund.id.clone();
    refund.into_refund().ok_or_else(|| GatewayError::Unknown(format!("{id} is in a currency that isn't ours")))
}

#[cfg(test)]
mod tests;
