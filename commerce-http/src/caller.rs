//! Who calls: the first extractor of every operation, so that 401 and 403 go before everything else.

use std::{marker::PhantomData, ops::Deref, sync::Arc};

use commerce_core::{
    context::{AccessError, Actor, Idempotency, Origin, Permission, RequestContext},
    token::{AccessToken, CartToken, OrderToken},
};
use poem::{
    Request, RequestBody,
    http::{Method, StatusCode},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    conditional::IdempotencyKey,
    header::{bearer, header_parameter},
    param::check_query,
    payload::Input,
    problem::ApiError,
    stack::RequestInfo,
};

/// Who may call an operation, and how they show who they are.
pub trait Who: Send + Sync + 'static {
    /// The names of the security schemes that open it.
    const SCHEMES: &'static [&'static str];
    /// Whether it opens without any.
    const OPEN: bool;

    /// Refuses whom it doesn't open for.
    fn admit(actor: &Actor) -> Result<(), AccessError>;
}

/// Everybody.
pub struct Public;
/// Customers and guests with a cart, or about to get one.
pub struct Shopper;
/// Customers and guests with an order.
pub struct Buyer;
/// Customers and staff, signed in.
pub struct SignedIn;

impl Who for Public {
    const SCHEMES: &'static [&'static str] = &[];
    const OPEN: bool = true;
    fn admit(_actor: &Actor) -> Result<(), AccessError> {
        Ok(())
    }
}

impl Who for Shopper {
    const SCHEMES: &'static [&'static str] = &["bearer", "cart_token"];
    const OPEN: bool = true;
    fn admit(_actor: &Actor) -> Result<(), AccessError> {
        Ok(())
    }
}

impl Who for Buyer {
    const SCHEMES: &'static [&'static str] = &["bearer", "order_token"];
    const OPEN: bool = false;
    fn admit(actor: &Actor) -> Result<(), AccessError> {
        match actor {
            Actor::Guest { order: None, .. } => Err(AccessError::Unauthenticated),
            _ => Ok(()),
        }
    }
}

impl Who for SignedIn {
    const SCHEMES: &'static [&'static str] = &["bearer"];
    const OPEN: bool = false;
    fn admit(actor: &Actor) -> Result<(), AccessError> {
        actor.identity().map(|_| ())
    }
}

/// Staff with one right each.
pub mod staff {
    use super::{AccessError, Actor, Permission, Who};

    macro_rules! staff {
        ($($permission:ident),+) => {$(
            /// Staff with the right of this name.
            pub struct $permission;

            impl Who for $permission {
                const SCHEMES: &'static [&'static str] = &["bearer"];
                const OPEN: bool = false;
                fn admit(actor: &Actor) -> Result<(), AccessError> {
                    actor.require(Permission::$permission)
                }
            }
        )+};
    }

    staff!(EditCatalog, EditStock, ViewOrders, ManageOrders, Refund, ModerateReviews, ViewAlerts, ViewUsers, EditUsers);
}

/// Somebody who may call the operation.
pub struct Caller<W> {
    context: Context,
    who: PhantomData<fn() -> W>,
}

impl<W> Deref for Caller<W> {
    type Target = Context;
    fn deref(&self) -> &Context {
        &self.context
    }
}

/// A caller with the circumstances of the request.
pub struct Context {
    pub actor: Actor,
    pub info: Arc<RequestInfo>,
    user_agent: Option<String>,
    operation: String,
}

impl Context {
    fn new(actor: Actor, info: Arc<RequestInfo>, request: &Request) -> Self {
        let user_agent = request.header("user-agent").map(|agent| agent.chars().take(255).collect());
        Self { actor, info, user_agent, operation: operation(request) }
    }

    /// The call to core.
    pub fn call(&self) -> RequestContext {
        let origin = Origin {
            ip: self.info.ip.map(|ip| ip.to_string()),
            user_agent: self.user_agent.clone(),
            request_id: Some(self.info.request_id.clone()),
            arrived: Some(self.info.arrived),
        };
        RequestContext { actor: self.actor.clone(), origin, idempotency: None }
    }

    /// The shop as the caller uses it.
    pub fn shop(&self) -> commerce_core::Caller {
        self.info.shared.commerce.acting_as(self.call())
    }

    /// The shop as the caller uses it, for a write that takes effect once by the client's key.
    pub fn shop_once<T: DeserializeOwned, const REQUIRED: bool>(
        &self,
        key: &IdempotencyKey,
        body: &Input<T, REQUIRED>,
    ) -> commerce_core::Caller {
        self.info.shared.commerce.acting_as(self.once(key, body))
    }

    /// The call to core, at most once by the client's key, if it is known whose key that is.
    pub fn once<T: DeserializeOwned, const REQUIRED: bool>(
        &self,
        key: &IdempotencyKey,
        body: &Input<T, REQUIRED>,
    ) -> RequestContext {
        let call = self.call();
        match key.0.as_ref().zip(self.scope()) {
            None => call,
            Some((key, scope)) => call.once(Idempotency::new(&scope, key, &body.meaning())),
        }
    }

    /// Caller, method and path. A guest is known by a token that this shop issued. Guests without one can't be told apart, and
    /// must never see each other's answers: their keys have no effect, so that each of their calls stands for itself. All that
    /// such a guest can repeat is to begin a cart: the repeated call begins another, which holds the item once, and nobody has
    /// the token of the first.
    fn scope(&self) -> Option<String> {
        let commerce = &self.info.shared.commerce;
        let caller = match &self.actor {
            Actor::User(identity) => format!("user {}", identity.user),
            Actor::System => "system".to_owned(),
            Actor::Guest { cart: Some(token), .. } if commerce.as_guest().carts().issued(token) => {
                format!("cart {}", token.0)
            }
            Actor::Guest { order: Some(token), .. } if commerce.as_guest().orders().opened_by(token).is_some() => {
                format!("order {}", token.0)
            }
            Actor::Guest { .. } => return None,
        };
        Some(format!("{caller} {}", self.operation))
    }
}

/// Method and path; ids in the path are the same however they are written.
fn operation(request: &Request) -> String {
    let name = |part: &str| Uuid::try_parse(part).map_or_else(|_| part.to_owned(), |id| id.to_string());
    let path: Vec<String> = request.uri().path().split('/').map(name).collect();
    format!("{} {}", request.method(), path.join("/"))
}

async fn actor(request: &Request, info: &RequestInfo) -> Result<Actor, ApiError> {
    if let Some(token) = bearer(request)? {
        return Ok(info.shared.commerce.authenticate(&AccessToken::from(token)).await?.actor().clone());
    }
    Ok(Actor::Guest {
        cart: token(request, "X-Cart-Token")?.map(CartToken),
        order: token(request, "X-Order-Token")?.map(OrderToken),
    })
}

/// The scheme of operations on one order, which is the `id` of their path.
const ORDER: &str = "order_token";

/// A session doesn't take away what an order's token opens.
async fn with_order_token(actor: Actor, request: &Request, info: &RequestInfo) -> Result<Actor, ApiError> {
    let token = request.header("x-order-token").filter(|_| actor.user().is_some());
    // The router knows the path's parameters by other names than the document.
    let order = request.uri().path().strip_prefix("/v1/orders/");
    let order = order.and_then(|rest| rest.split('/').next()).and_then(|id| id.parse().ok());
    match token.zip(order) {
        Some((token, order)) => {
            Ok(info.shared.commerce.acting_as(actor).orders().holder(OrderToken(token.to_owned()), order).await?)
        }
        None => Ok(actor),
    }
}

/// A token in a header, which is printable ASCII: anything else was mangled on its way, and isn't taken for none.
fn token(request: &Request, name: &str) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get(name) else { return Ok(None) };
    let token = value.to_str().ok().filter(|token| token.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    match token {
        Some(token) => Ok(Some(token.to_owned())),
        None => Err(ApiError::invalid_parameter(name, "invalid_character", "must be printable ASCII characters")),
    }
}

/// Whether everybody is shown the same.
fn is_for_everybody<W: Who>(request: &Request) -> bool {
    request.method() == Method::GET && W::OPEN && W::SCHEMES.is_empty()
}

impl<'a, W: Who> ApiExtractor<'a> for Caller<W> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        for name in W::SCHEMES {
            registry.create_security_scheme(name, security_scheme(name));
        }
    }

    fn security_schemes() -> Vec<&'static str> {
        W::SCHEMES.to_vec()
    }

    fn has_security_fallback() -> bool {
        W::OPEN && !W::SCHEMES.is_empty()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Some(info) = request.data::<Arc<RequestInfo>>() else { return Err(ApiError::internal().into()) };
        let mut actor = match actor(request, info).await {
            // While sessions can't be looked up, whoever it is may see what everybody may.
            Err(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE && is_for_everybody::<W>(request) => {
                Actor::guest()
            }
            other => other?,
        };
        if W::SCHEMES.contains(&ORDER) {
            actor = with_order_token(actor, request, info).await?;
        }
        W::admit(&actor).map_err(ApiError::from)?;
        check_query(request)?;
        Ok(Self { context: Context::new(actor, info.clone(), request), who: PhantomData })
    }
}

fn security_scheme(name: &str) -> MetaSecurityScheme {
    let header = |name, description| MetaSecurityScheme {
        ty: "apiKey",
        description: Some(description),
        name: Some(name),
        key_in: Some("header"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    match name {
        "cart_token" => header("X-Cart-Token", "Opens a guest's cart; handed out with the first item put into it."),
        "order_token" => header("X-Order-Token", "Opens one order; handed out with a guest's order."),
        _ => MetaSecurityScheme {
            ty: "http",
            description: Some("The `access_token` that login answers."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        },
    }
}

/// The cart token of somebody who signs in: their guest cart is merged.
pub struct CartTokenHeader(pub Option<CartToken>);

header_parameter!(CartTokenHeader, |request| Ok(Self(token(request, "X-Cart-Token")?.map(CartToken))));
