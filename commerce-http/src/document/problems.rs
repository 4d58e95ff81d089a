//! Which problems each operation answers, and how they look.

#![allow(clippy::enum_glob_use, reason = "a table of codes")]

use std::collections::{BTreeMap, BTreeSet};

use poem_openapi::{
    registry::Registry,
    types::{Example, Type},
};
use serde_json::{Map, Value, json};

use super::schemas;
use crate::{
    cart::OutOfStock,
    checkout::PriceChanged,
    errors::VersionMismatch,
    inventory::BelowReserved,
    order::problems::{
        CaptureExceedsOwed, Declined, PaymentHeld, QuantityExceeded, RefundExceedsCaptured, UnpayableAmount,
    },
    problem::{
        ApiError,
        Code::{self, *},
        Members,
    },
};

/// What can be wrong with a text.
const TEXT: &[Code] = &[Required, TooLong, CardNumber];
/// What can be wrong with somebody's names and phone number.
const PERSON: &[Code] = &[Required, TooLong, CardNumber, InvalidPhone];
/// What can be wrong with a postal address.
const ADDRESS: &[Code] = &[Required, TooLong, CardNumber, InvalidPhone, InvalidCountry];
/// What can be wrong with an amount of money.
const MONEY: &[Code] = &[CurrencyMismatch, InvalidAmount, OutOfRange];
/// What can be wrong with items of an order.
const ITEMS: &[Code] = &[Required, OutOfRange, UnknownItem, QuantityExceeded];
/// What can be wrong with a password that is chosen.
const PASSWORD: &[Code] = &[WeakPassword, TooLong];
/// What can be wrong with a product.
const PRODUCT: &[Code] = &[InvalidSlug, SlugTaken, UnknownCategory, InvalidUrl, TooMany, Duplicate];
/// What can be wrong with a variant.
const VARIANT: &[Code] = &[SkuTaken, TooMany, Duplicate];
/// What can be wrong with a category.
const CATEGORY: &[Code] = &[InvalidSlug, SlugTaken, UnknownCategory, TooDeep, OutOfRange];

/// What each operation answers besides what follows from its shape: see [`of`].
const OF: &[(&str, &[&[Code]])] = &[
    ("register", &[PERSON, PASSWORD, &[EmailTaken, InvalidEmail, RateLimited]]),
    ("login", &[&[InvalidCredentials, RateLimited]]),
    ("refresh", &[&[TokenReused, SessionExpired]]),
    ("confirm_email", &[&[InvalidMailToken]]),
    ("resend_confirmation", &[&[RateLimited]]),
    ("forgot_password", &[&[RateLimited]]),
    ("reset_password", &[PASSWORD, &[InvalidMailToken]]),
    ("update_me", &[PERSON]),
    ("erase_me", &[&[LastAdmin]]),
    ("change_password", &[PASSWORD, &[InvalidCredentials, RateLimited]]),
    ("change_email", &[&[InvalidCredentials, InvalidEmail, Unchanged, RateLimited]]),
    ("confirm_email_change", &[&[EmailTaken, InvalidMailToken]]),
    ("add_my_address", &[ADDRESS, &[TooMany]]),
    ("update_my_address", &[ADDRESS]),
    ("admin_update_user", &[&[LastAdmin]]),
    ("create_review", &[TEXT, &[AlreadyReviewed, OutOfRange]]),
    ("update_review", &[TEXT, &[OutOfRange]]),
    ("add_cart_item", &[&[NotFound, OutOfStock, OutOfRange, CartFull]]),
    ("set_cart_item", &[&[OutOfStock, OutOfRange]]),
    ("merge_cart", &[&[Required]]),
    ("quote_checkout", &[ADDRESS, &[UnknownShippingMethod, NoShippingMethod]]),
    (
        "checkout",
        &[
            ADDRESS,
            MONEY,
            &[InvalidEmail, UnknownPaymentMethod, UnknownShippingMethod, NoShippingMethod, AmountNotPayable],
            &[CartEmpty, OutOfStock, PriceChanged, PaymentDeclined, GatewayUnavailable],
        ],
    ),
    (
        "pay_order",
        &[
            &[UnknownPaymentMethod, OutOfRange, CardNumber, AmountNotPayable],
            &[Forbidden, NotPayable, PaymentBusy, PaymentDeclined, GatewayUnavailable],
        ],
    ),
    ("lookup_order", &[&[NotFound, RateLimited]]),
    ("cancel_order", &[&[Forbidden, AlreadyShipped, InvalidState, PaymentBusy]]),
    ("confirm_payment", &[&[PaymentDeclined, GatewayUnavailable]]),
    ("request_return", &[TEXT, ITEMS, &[Forbidden]]),
    ("payment_webhook", &[&[InvalidSignature, MalformedWebhook]]),
    ("admin_create_product", &[TEXT, MONEY, PRODUCT, VARIANT]),
    ("admin_update_product", &[TEXT, PRODUCT]),
    ("admin_add_variant", &[TEXT, MONEY, VARIANT]),
    ("admin_update_variant", &[TEXT, MONEY, VARIANT]),
    ("admin_delete_variant", &[&[LastVariant]]),
    ("admin_create_category", &[TEXT, CATEGORY]),
    ("admin_update_category", &[TEXT, CATEGORY, &[CategoryCycle]]),
    ("admin_delete_category", &[&[CategoryInUse]]),
    ("admin_set_stock", &[&[BelowReserved, OutOfRange]]),
    ("admin_adjust_stock", &[TEXT, &[BelowReserved, OutOfRange]]),
    ("admin_create_fulfilment", &[TEXT, ITEMS, &[InvalidUrl, InvalidState, OutOfStock]]),
    ("admin_update_fulfilment", &[TEXT, &[InvalidUrl, NotApplicable, InvalidState]]),
    ("admin_cancel_order", &[TEXT, ITEMS, &[AlreadyShipped, InvalidState, PaymentBusy]]),
    (
        "admin_capture_order",
        &[
            MONEY,
            &[NothingToCapture, CaptureExceedsOwed, AmountNotPayable, PaymentBusy, GatewayRefused, GatewayUnavailable],
        ],
    ),
    ("admin_refund_order", &[TEXT, ITEMS, MONEY, &[Ambiguous, NothingCharged, RefundExceedsCaptured]]),
    ("admin_decide_return", &[MONEY, &[NotApplicable, InvalidState, RefundExceedsCaptured, PaymentBusy]]),
    ("admin_resolve_payment", &[&[PaymentBusy, PaymentHeld, InvalidState, GatewayRefused, GatewayUnavailable]]),
    ("admin_receive_payment", &[&[NotAwaited]]),
];

/// POST requests that change nothing, or nothing in the store.
const READS: &[&str] = &["quote_checkout", "test_gateway_authenticate"];

/// The problems that an operation may answer: those that follow from its shape, and those of its own.
pub fn of(method: &str, path: &str, operation: &Value, schemas: &Value) -> BTreeSet<Code> {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let own = OF.iter().find(|(listed, _)| *listed == id).map_or(&[][..], |(_, codes)| codes);
    let mut codes: BTreeSet<Code> = own.iter().copied().flatten().copied().collect();
    // Tokens, headers and the query are looked at wherever they are sent, needed or not.
    codes.extend([InvalidToken, InvalidParameter, InternalError, Unavailable, Timeout]);
    if method != "get" && !READS.contains(&id) {
        codes.extend([Contended, UnknownOutcome]);
    }
    if needs_login(operation) {
        codes.insert(Unauthenticated);
    }
    if path.starts_with("/v1/admin") {
        codes.insert(Forbidden);
    }
    if path.contains('{') {
        codes.insert(NotFound);
    }
    if operation["requestBody"].is_object() {
        codes.extend([IncompleteBody, MalformedEncoding, RequestTimeout, PayloadTooLarge, UnsupportedContentEncoding]);
    }
    if let Some(schema) = &schemas::of_body(operation, schemas) {
        codes.extend([MalformedJson, UnsupportedMediaType, InvalidCharacter, InvalidType, UnknownField]);
        if schema["required"].as_array().is_some_and(|required| !required.is_empty()) {
            codes.insert(Required);
        }
        if holds_values(schema, schemas) {
            codes.insert(InvalidValue);
        }
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        match parameter["name"].as_str() {
            Some("cursor") => codes.extend([InvalidCursor]),
            Some("Idempotency-Key") => {
                codes.extend([InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused]);
            }
            Some("If-Match") => codes.extend([VersionMismatch]),
            _ => {}
        }
    }
    codes
}

fn needs_login(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(|ways| {
        !ways.is_empty() && ways.iter().all(|way| way.as_object().is_some_and(|way| !way.is_empty()))
    })
}

/// Whether a body has a field whose type is right and whose value isn't: an id, a number, a word of a list.
fn holds_values(schema: &Value, schemas: &Value) -> bool {
    let referred = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    if let Some(name) = referred {
        return holds_values(&schemas[name], schemas);
    }
    schema["format"] == "uuid"
        || schema["type"] == "integer"
        || schema["enum"].is_array()
        || schema.get("items").is_some_and(|items| holds_values(items, schemas))
        || schema["properties"].as_object().into_iter().flatten().any(|(_, field)| holds_values(field, schemas))
        || ["allOf", "oneOf"]
            .iter()
            .flat_map(|of| schema[of].as_array().into_iter().flatten())
            .any(|part| holds_values(part, schemas))
}

/// The operations that problems are listed for.
#[cfg(test)]
pub fn operations() -> impl Iterator<Item = &'static str> {
    OF.iter().map(|(id, _)| *id)
}

/// A code whose problems have members of their own.
struct Extended {
    name: String,
    schema: Value,
    example: Value,
}

fn extended<M: Members + Type + Example>(registry: &mut Registry, all: &mut BTreeMap<Code, Extended>) {
    M::register(registry);
    let name = M::name().into_owned();
    let own = registry.schemas.get(&name).and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default();
    let mut required = vec![json!("code")];
    required.extend(own["required"].as_array().cloned().unwrap_or_default());
    let mut properties = Map::new();
    properties.insert("code".to_owned(), json!({ "type": "string", "enum": [M::CODE.word()] }));
    properties.extend(own["properties"].as_object().cloned().unwrap_or_default());
    let schema = json!({
        "description": own["description"],
        "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "type": "object", "required": required, "properties": properties },
        ],
    });
    let example = serde_json::to_value(M::example()).unwrap_or_default();
    all.insert(M::CODE, Extended { name, schema, example });
}

/// The schemas and examples of all problems.
pub struct Problems(BTreeMap<Code, Extended>);

impl Problems {
    pub fn new() -> Self {
        let (mut registry, mut all) = (Registry::new(), BTreeMap::new());
        extended::<OutOfStock>(&mut registry, &mut all);
        extended::<PriceChanged>(&mut registry, &mut all);
        extended::<Declined>(&mut registry, &mut all);
        extended::<UnpayableAmount>(&mut registry, &mut all);
        extended::<VersionMismatch>(&mut registry, &mut all);
        extended::<BelowReserved>(&mut registry, &mut all);
        extended::<QuantityExceeded>(&mut registry, &mut all);
        extended::<RefundExceedsCaptured>(&mut registry, &mut all);
        extended::<CaptureExceedsOwed>(&mut registry, &mut all);
        extended::<PaymentHeld>(&mut registry, &mut all);
        Self(all)
    }

    /// The schemas by name: of a problem, and of those with members of their own.
    pub fn schemas(&self) -> impl Iterator<Item = (String, Value)> {
        let extended = self.0.values().map(|extended| (extended.name.clone(), extended.schema.clone()));
        [("Problem".to_owned(), problem_schema())].into_iter().chain(extended)
    }

    /// The schema of an answer with one of these codes.
    pub fn schema(&self, codes: &[Code]) -> Value {
        let (extended, plain): (Vec<Code>, Vec<Code>) =
            codes.iter().copied().partition(|code| self.0.contains_key(code));
        let mut ways: Vec<Value> =
            extended.iter().filter_map(|code| Some(reference(&self.0.get(code)?.name))).collect();
        if !plain.is_empty() {
            ways.push(with_codes(&plain));
        }
        if ways.len() == 1 { ways.remove(0) } else { json!({ "oneOf": ways }) }
    }

    /// A problem with this code.
    pub fn example(&self, code: Code) -> Value {
        let detail = match code.pointer() {
            Some(pointer) => format!("{pointer}: {}", code.detail()),
            None => code.detail().to_owned(),
        };
        let mut document = ApiError::new(code, detail).document(REQUEST_ID);
        document["errors"] = match (code, code.pointer()) {
            (_, Some(pointer)) => json!([{ "pointer": pointer, "code": code.word(), "detail": code.detail() }]),
            (InvalidParameter, _) => {
                json!([{ "parameter": "limit", "code": "out_of_range", "detail": "must be a number from 1 to 100" }])
            }
            (InvalidCursor, _) => json!([{ "parameter": "cursor", "code": code.word(), "detail": code.detail() }]),
            (InvalidIdempotencyKey, _) => {
                let detail = "must have 1 to 255 printable ASCII characters";
                json!([{ "parameter": "Idempotency-Key", "code": "invalid_value", "detail": detail }])
            }
            _ => json!([]),
        };
        if let (Some(members), Some(extended)) = (document.as_object_mut(), self.0.get(&code)) {
            members.extend(extended.example.as_object().cloned().unwrap_or_default());
        }
        json!({ "value": document })
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// A problem with one of these codes.
fn with_codes(codes: &[Code]) -> Value {
    let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
    json!({ "allOf": [reference("Problem"), { "properties": { "code": { "enum": words } } }] })
}

const REQUEST_ID: &str = "019ab8e26a107c319d530f2a6b1c4d01";

fn problem_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). The problems of some codes have further members.",
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
        "properties": {
            "type": text("Always `about:blank`: `code` tells."),
            "title": text("The status in words."),
            "status": { "type": "integer", "format": "int32", "minimum": 400, "maximum": 599, "description": "The status." },
            "detail": text("A sentence for people."),
            "code": text("A stable word to switch on."),
            "request_id": text("For support."),
            "errors": {
                "type": "array",
                "description": "What is at fault: fields of the body, or parameters.",
                "items": { "$ref": "#/components/schemas/Fault" },
            },
        },
    })
}

/// The schema of one thing that is at fault.
pub fn fault_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "One thing that is wrong, and where: it has a `pointer` or a `parameter`.",
        "required": ["code", "detail"],
        "properties": {
            "pointer": text("A JSON Pointer to the field of the body."),
            "parameter": text("The name of the parameter in the query, path or header."),
            "code": text("A stable word."),
            "detail": text("A sentence for people."),
        },
        "example": { "pointer": "/items/0/quantity", "code": "out_of_range", "detail": "must be at least 1" },
    })
}
