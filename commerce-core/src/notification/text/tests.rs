//! Each letter as it is read, and what holds for all of them.

use uuid::Uuid;

use super::*;
use crate::{
    Currency, Money,
    address::PostalAddress,
    event::Notice,
    id::{AlertId, FulfilmentId, MailTokenId, OrderId, PaymentId, ProductId, RefundId, UserId, VariantId},
    order::{FulfilmentState, FulfilmentStatus, OrderLine, OrderStatus},
    payment::PaymentStatus,
    pricing::{ShippingMethod, Totals},
};

const AT: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const HEAD: EmailContext<'static> =
    EmailContext { shop: "Bookshop", url: "https://shop.example", name: "Charles", gross: true };

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn order() -> Order {
    let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
    let line = OrderLine {
        position: 0,
        variant_id: VariantId(Uuid::nil()),
        product_id: ProductId(Uuid::nil()),
        sku: "BOOK-1".into(),
        title: "Sketch of the Analytical Engine".into(),
        quantity: 2,
        unit_price: eur(995),
        total: eur(1990),
        charged: eur(1990),
        tax: eur(130),
        fulfilled: 0,
        cancelled: 0,
        refunded: 0,
        returned: 0,
        uncharged: 0,
        restocked: 0,
        written_off: 0,
    };
    Order {
        id: OrderId(Uuid::nil()),
        number: "K7-1234".into(),
        customer_id: None,
        email: "ada@example.com".into(),
        status: OrderStatus::Confirmed,
        payment_status: PaymentStatus::Paid,
        fulfilment_status: FulfilmentState::Unfulfilled,
        lines: vec![line],
        totals: Totals {
            subtotal: eur(1990),
            discount: eur(0),
            shipping: eur(490),
            tax: eur(162),
            grand_total: eur(2480),
        },
        shipping_address: address.clone(),
        billing_address: address,
        shipping_method: ShippingMethod { code: "post".into(), title: "Post".into(), price: eur(490) },
        payments: Vec::new(),
        refunds: Vec::new(),
        fulfilments: Vec::new(),
        returns: Vec::new(),
        cart_id: None,
        idempotency_key: None,
        note: None,
        cancel_reason: None,
        declined: false,
        placed_at: AT,
        updated_at: AT,
        version: 1,
    }
}

fn items() -> Vec<LineQuantity> {
    vec![LineQuantity { variant_id: VariantId(Uuid::nil()), quantity: 1 }]
}

fn parcel() -> Fulfilment {
    Fulfilment {
        id: FulfilmentId(Uuid::nil()),
        status: FulfilmentStatus::Shipped,
        carrier: "Royal Mail".into(),
        tracking_number: "RM42".into(),
        tracking_url: Some("https://mail.example/RM42".into()),
        items: items(),
        created_at: AT,
        shipped_at: Some(AT),
        delivered_at: None,
    }
}

fn refund(status: RefundStatus) -> Refund {
    Refund {
        id: RefundId(Uuid::nil()),
        payment_id: PaymentId(Uuid::nil()),
        amount: eur(995),
        status,
        origin: crate::payment::RefundOrigin::Shop,
        reason: "torn".into(),
        items: items(),
        restock: false,
        return_id: None,
        reference: None,
        failure: None,
        lease_until: None,
        created_at: AT,
        updated_at: AT,
    }
}

fn alert(kind: AlertKind) -> Alert {
    Alert {
        id: AlertId(Uuid::nil()),
        kind,
        variant_id: None,
        order_id: None,
        detail: "enamel mug (MUG-1): 2 left".into(),
        raised_at: AT,
        acknowledged_at: None,
        version: 1,
    }
}

/// The notice after this one in a walk over all of them: a new one doesn't compile until it has its place here.
fn next(notice: Option<&Notice>) -> Option<Notice> {
    let (user, token) = (UserId(Uuid::nil()), MailTokenId(Uuid::nil()));
    let (order, fulfilment, refund) = (OrderId(Uuid::nil()), FulfilmentId(Uuid::nil()), RefundId(Uuid::nil()));
    Some(match notice {
        None => Notice::ConfirmEmail { user, token },
        Some(Notice::ConfirmEmail { .. }) => Notice::ResetPassword { user, token },
        Some(Notice::ResetPassword { .. }) => Notice::PasswordChanged { user },
        Some(Notice::PasswordChanged { .. }) => Notice::ChangeEmail { user, token },
        Some(Notice::ChangeEmail { .. }) => Notice::EmailChangeRequested { user, token },
        Some(Notice::EmailChangeRequested { .. }) => Notice::OrderConfirmed { order },
        Some(Notice::OrderConfirmed { .. }) => Notice::OrderShipped { order, fulfilment },
        Some(Notice::OrderShipped { .. }) => Notice::OrderCancelled { order },
        Some(Notice::OrderCancelled { .. }) => Notice::OrderRefunded { order, refund },
        Some(Notice::OrderRefunded { .. }) => Notice::Alert { alert: AlertId(Uuid::nil()), to: user },
        Some(Notice::Alert { .. }) => return None,
    })
}

/// The letters of a notice, with a name for each.
fn letters_of(notice: &Notice) -> Vec<(&'static str, EmailTemplate)> {
    let net = EmailContext { gross: false, ..HEAD };
    let cancelled = Order { cancel_reason: Some("sold out".into()), ..order() };
    match notice {
        Notice::ConfirmEmail { .. } => vec![("confirm_email", HEAD.confirm_email("t0ken", AT))],
        Notice::ResetPassword { .. } => vec![("reset_password", HEAD.reset_password("t0ken", AT))],
        Notice::PasswordChanged { .. } => vec![("password_changed", HEAD.password_changed())],
        Notice::ChangeEmail { .. } => vec![("change_email", HEAD.change_email("t0ken", AT))],
        Notice::EmailChangeRequested { .. } => vec![("email_change_requested", HEAD.email_change_requested())],
        Notice::OrderConfirmed { .. } => {
            vec![
                ("order_confirmed", HEAD.order_confirmed(&order())),
                ("order_confirmed_net", net.order_confirmed(&order())),
            ]
        }
        Notice::OrderShipped { .. } => vec![("order_shipped", HEAD.order_shipped(&order(), &parcel()))],
        Notice::OrderCancelled { .. } => vec![
            ("order_cancelled", HEAD.order_cancelled(&order())),
            ("order_cancelled_why", HEAD.order_cancelled(&cancelled)),
        ],
        Notice::OrderRefunded { .. } => vec![
            ("refund_settled", HEAD.order_refunded(&order(), &refund(RefundStatus::Settled))),
            ("refund_pending", HEAD.order_refunded(&order(), &refund(RefundStatus::Pending))),
            (
                "refund_of_an_amount",
                HEAD.order_refunded(&order(), &Refund { items: Vec::new(), ..refund(RefundStatus::Settled) }),
            ),
        ],
        Notice::Alert { .. } => [
            ("alert_low_stock", AlertKind::LowStock),
            ("alert_payment_mismatch", AlertKind::PaymentMismatch),
            ("alert_late_payment", AlertKind::LatePayment),
            ("alert_payment_disputed", AlertKind::PaymentDisputed),
            ("alert_refund_failed", AlertKind::RefundFailed),
            ("alert_payment_stuck", AlertKind::PaymentStuck),
        ]
        .map(|(name, kind)| (name, HEAD.alert(&alert(kind))))
        .into(),
    }
}

fn letters() -> Vec<(&'static str, EmailTemplate)> {
    let notices = std::iter::successors(next(None), |notice| next(Some(notice)));
    notices.flat_map(|notice| letters_of(&notice)).collect()
}

#[test]
fn letters_read_well() {
    let texts = letters()
        .into_iter()
        .map(|(name, letter)| format!("=== {name} ===\nSubject: {}\n\n{}", letter.subject, letter.text));
    insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn all_letters_keep_the_rules() {
    for (name, EmailTemplate { subject, text }) in letters() {
        let about = subject.strip_prefix("Bookshop: ").unwrap_or_else(|| panic!("{name}: {subject}"));
        assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{name}: {subject}");
        let body = text.strip_prefix("Hello Charles,\n\n").unwrap_or_else(|| panic!("{name}: {text}"));
        let body =
            body.strip_suffix("\n\nBookshop\nhttps://shop.example\n").unwrap_or_else(|| panic!("{name}: {text}"));
        // A line begins with a capital or a number, unless it is a link or a code.
        for line in body.lines().filter(|line| !line.starts_with("https://") && *line != "t0ken") {
            assert!(!line.starts_with(char::is_lowercase) && line.trim() == line, "{name}: {line:?}");
            for sentence in line.replace("incl. tax", "").split(". ").skip(1) {
                assert!(sentence.starts_with(char::is_uppercase), "{name}: {sentence:?}");
            }
        }
        assert!(!body.contains("\n\n\n"), "{name}: {text}");
        // Neither Debug forms nor amounts without a currency.
        for wrong in ["{", "}", "Some(", "None", "minor", "  "] {
            assert!(!text.contains(wrong), "{name} has {wrong:?}: {text}");
        }
        let words: Vec<&str> = text.split([' ', '\n', '(', ')']).collect();
        for (n, word) in words.iter().enumerate() {
            let amount = word.trim_start_matches('-').split_once('.').is_some_and(|(whole, cents)| {
                cents.len() == 2 && [whole, cents].iter().all(|part| part.bytes().all(|digit| digit.is_ascii_digit()))
            });
            assert!(!amount || words.get(n + 1) == Some(&"EUR"), "{name}: {word}");
        }
    }
}

#[test]
fn tax_is_within_gross_totals_and_added_to_net_ones() {
    let text = |gross| EmailContext { gross, ..HEAD }.order_confirmed(&order()).text;
    assert!(text(true).contains("Total: 24.80 EUR (incl. tax: 1.62 EUR)\n") && !text(true).contains("\nTax: "));
    assert!(text(false).contains("\nTax: 1.62 EUR\nTotal: 24.80 EUR\n") && !text(false).contains("incl. tax"));
    let mut untaxed = order();
    untaxed.totals.tax = eur(0);
    let text = HEAD.order_confirmed(&untaxed).text;
    assert!(text.contains("Total: 24.80 EUR\n") && !text.to_lowercase().contains("tax"), "{text}");
}

#[test]
fn a_letter_to_nobody_in_particular_still_greets() {
    assert!(EmailContext { name: "", ..HEAD }.password_changed().text.starts_with("Hello,\n\nThe password"));
}
