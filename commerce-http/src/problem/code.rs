//! Every code that a problem can have: its status, its word, and what an example of it says.

use poem::http::StatusCode;

/// Names the field that the example of a broken rule is about.
type Pointer = &'static str;

macro_rules! codes {
    ($($variant:ident = $status:literal $word:literal $(at $pointer:literal)?, $detail:literal;)+) => {
        /// What went wrong, as clients tell it apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $detail] $variant,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number of the status that comes with it.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The stable word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What an example's `detail` says.
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$variant => $detail),+ }
            }

            /// The field that an example names, if the code is about a field.
            pub const fn pointer(self) -> Option<Pointer> {
                #[allow(unused_mut, unused_assignments)]
                match self {
                    $(Self::$variant => {
                        let mut pointer = None;
                        $(pointer = Some($pointer);)?
                        pointer
                    })+
                }
            }
        }
    };
}

codes! {
    BadRequest = 400 "bad_request", "the request can't be understood";
    IncompleteBody = 400 "incomplete_body", "the body broke off: connection closed before message completed";
    InvalidCursor = 400 "invalid_cursor", "this cursor belongs to another list, filter or order";
    InvalidIdempotencyKey = 400 "invalid_idempotency_key", "an Idempotency-Key has 1 to 255 printable ASCII characters";
    InvalidParameter = 400 "invalid_parameter", "limit: must be a number from 1 to 100";
    InvalidSignature = 400 "invalid_signature", "the signature doesn't match";
    MalformedEncoding = 400 "malformed_encoding", "the body can't be decoded as its Content-Encoding says: invalid gzip header";
    MalformedJson = 400 "malformed_json", "the body isn't JSON: expected value at line 1 column 1";
    MalformedWebhook = 400 "malformed_webhook", "the webhook can't be read: there is no event in it";

    InvalidCredentials = 401 "invalid_credentials", "e-mail address or password is wrong";
    InvalidToken = 401 "invalid_token", "the token isn't valid";
    SessionExpired = 401 "session_expired", "the session has ended; sign in again";
    TokenReused = 401 "token_reused", "this refresh token was used before; the session was ended, sign in again";
    Unauthenticated = 401 "unauthenticated", "sign in first: send an access token as Authorization: Bearer …";

    PaymentDeclined = 402 "payment_declined", "the payment was declined; nothing was charged";

    Forbidden = 403 "forbidden", "your role doesn't allow this";

    NotFound = 404 "not_found", "resource not found";

    MethodNotAllowed = 405 "method_not_allowed", "see the Allow header";

    RequestTimeout = 408 "request_timeout", "the body took too long to come";

    AlreadyReviewed = 409 "already_reviewed", "you have reviewed this product already";
    AlreadyShipped = 409 "already_shipped", "the order has been shipped: it can be returned, not cancelled";
    BelowReserved = 409 "below_reserved", "3 units are reserved for orders: no fewer can be on hand";
    CaptureExceedsOwed = 409 "capture_exceeds_owed", "only 24.80 EUR is owed for this order";
    CartEmpty = 409 "cart_empty", "the cart is empty";
    CategoryInUse = 409 "category_in_use", "other categories are below this one: move or delete them first";
    EmailTaken = 409 "email_taken", "an account with this e-mail address exists already";
    GatewayRefused = 409 "gateway_refused", "the payment gateway refused: the charge has been captured already";
    IdempotencyInProgress = 409 "idempotency_in_progress", "the first request with this Idempotency-Key is still running";
    InvalidState = 409 "invalid_state", "can't move from cancelled to shipped";
    LastAdmin = 409 "last_admin", "this is the last admin; make somebody else admin first";
    LastVariant = 409 "last_variant", "this is the product's last variant: delete the product instead";
    NotAwaited = 409 "not_awaited", "this payment isn't awaited";
    NotPayable = 409 "not_payable", "this order can't be paid (any more)";
    NothingToCapture = 409 "nothing_to_capture", "this order has no authorised payment to capture";
    OutOfStock = 409 "out_of_stock", "only 2 of this item are available";
    PaymentBusy = 409 "payment_busy", "another call on this order's payment is running; try again";
    PaymentHeld = 409 "payment_held", "the payment gateway holds 44.70 EUR for this payment: give it back there first";
    PriceChanged = 409 "price_changed", "the total has changed to 44.70 EUR";
    QuantityExceeded = 409 "quantity_exceeded", "only 1 units of this item are left for that";
    RefundExceedsCaptured = 409 "refund_exceeds_captured", "only 19.90 EUR of this order can be refunded";
    SkuTaken = 409 "sku_taken", "the SKU 'MUG-BLUE-L' belongs to another variant";
    SlugTaken = 409 "slug_taken", "the slug 'enamel-mug' is taken: choose another, or leave it out and one is made";

    VersionMismatch = 412 "version_mismatch", "this has been changed since you read it: it is at version 4 now";

    PayloadTooLarge = 413 "payload_too_large", "a body may have 1 MiB";

    UnsupportedContentEncoding = 415 "unsupported_content_encoding", "a body may be sent plainly or as gzip, deflate or br, not as zstd";
    UnsupportedMediaType = 415 "unsupported_media_type", "send JSON, with Content-Type: application/json";

    Ambiguous = 422 "ambiguous" at "/items", "give an amount or items, not both";
    AmountNotPayable = 422 "amount_not_payable" at "/payment/method", "this amount can't be paid by the chosen method; nothing was charged";
    CardNumber = 422 "card_number" at "/note", "looks like it holds a card number, which must never be sent here";
    CartFull = 422 "cart_full" at "/variant_id", "a cart holds at most 100 items";
    CategoryCycle = 422 "category_cycle" at "/parent_id", "a category can't be moved below itself";
    CurrencyMismatch = 422 "currency_mismatch" at "/price/currency", "this shop's currency is EUR";
    Duplicate = 422 "duplicate" at "/variants/1/sku", "another variant of this product has the same SKU";
    IdempotencyKeyReused = 422 "idempotency_key_reused", "this Idempotency-Key was used for another request";
    InvalidAmount = 422 "invalid_amount" at "/price/amount", "must be a decimal with 2 digits after the point";
    InvalidCharacter = 422 "invalid_character" at "/name", "must not contain the control character U+0000";
    InvalidCountry = 422 "invalid_country" at "/country", "must be a country's two letters (ISO 3166-1 alpha-2), like DE";
    InvalidEmail = 422 "invalid_email" at "/email", "is not an e-mail address";
    InvalidMailToken = 422 "invalid_token" at "/token", "the link or token is unknown, was used already, or is too old; ask for a new one";
    InvalidPhone = 422 "invalid_phone" at "/phone", "is not a phone number";
    InvalidSlug = 422 "invalid_slug" at "/slug", "must be lower-case letters and digits joined by single hyphens, and not look like an id";
    InvalidStatus = 422 "invalid_status" at "/status", "must be draft, active or archived";
    InvalidType = 422 "invalid_type" at "/quantity", "must be a whole number";
    InvalidUrl = 422 "invalid_url" at "/tracking_url", "must be an http or https URL";
    InvalidValue = 422 "invalid_value" at "/status", "must be one of published, hidden, not 'visible'";
    NoShippingMethod = 422 "no_shipping_method" at "/shipping_address/country", "nothing is shipped there";
    NotApplicable = 422 "not_applicable" at "/restock", "may be given only with the status received";
    NothingCharged = 422 "nothing_charged" at "/items", "nothing was charged for these items";
    OutOfRange = 422 "out_of_range" at "/quantity", "must be between 1 and 9999";
    Required = 422 "required" at "/name", "this field is required";
    TooDeep = 422 "too_deep" at "/parent_id", "the tree would become too deep";
    TooLong = 422 "too_long" at "/name", "must not be longer than 200 characters";
    TooMany = 422 "too_many" at "/images", "must not have more than 50 entries";
    Unchanged = 422 "unchanged" at "/email", "is your address already";
    UnknownCategory = 422 "unknown_category" at "/category_ids/0", "there is no such category";
    UnknownField = 422 "unknown_field" at "/colour", "there is no such field";
    UnknownItem = 422 "unknown_item" at "/items/0/variant_id", "the order has no line of this variant";
    UnknownPaymentMethod = 422 "unknown_payment_method" at "/payment/method", "'cheque' isn't a payment method of this shop";
    UnknownShippingMethod = 422 "unknown_shipping_method" at "/shipping_method", "'pigeon' isn't a shipping method of this shop";
    WeakPassword = 422 "weak_password" at "/password", "is too easy to guess; use several uncommon words, or let a password manager choose";

    RateLimited = 429 "rate_limited", "too many attempts: wait 30 s";

    InternalError = 500 "internal_error", "something went wrong on our side";

    Contended = 503 "contended", "too many changes at once; nothing was changed, try again";
    GatewayUnavailable = 503 "gateway_unavailable", "the payment gateway is unavailable; nothing was charged, try again";
    NotReady = 503 "not_ready", "the database can't be reached";
    Timeout = 503 "timeout", "this took too long; a write may still happen: repeat it with the same Idempotency-Key";
    Unavailable = 503 "unavailable", "the database can't be reached right now; nothing was changed";
    UnknownOutcome = 503 "unknown_outcome", "this may have been done: repeat it with the same Idempotency-Key";
}

impl Code {
    /// The status that comes with it.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code of a rule that a body breaks, by core's word for it.
    pub fn of_rule(word: &str) -> Self {
        let known = Self::ALL.iter().copied().find(|code| code.number() == 422 && code.word() == word);
        known.unwrap_or_else(|| {
            debug_assert!(false, "the rule '{word}' has no code");
            tracing::error!(word, "a broken rule has no code");
            Self::InvalidValue
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_told_by_status_and_word() {
        let told: BTreeSet<_> = Code::ALL.iter().map(|code| (code.number(), code.word())).collect();
        assert_eq!(told.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.status().as_u16(), code.number());
            let is_rule = code.number() == 422 && *code != Code::IdempotencyKeyReused;
            assert_eq!(code.pointer().is_some(), is_rule, "{code:?} names a field");
        }
        assert_eq!(Code::of_rule("invalid_token"), Code::InvalidMailToken);
    }
}
