//! The words of each message: pure functions from what it is about to a subject and a text.

use std::fmt::Write as _;

use crate::{
    clock::Timestamp,
    inventory::{Alert, AlertKind},
    money::Money,
    order::{Fulfilment, Order},
    payment::{LineQuantity, Refund, RefundStatus},
};

/// A message's subject and text.
pub(super) struct EmailTemplate {
    pub subject: String,
    pub text: String,
}

/// A letter from a shop to somebody.
pub(super) struct EmailContext<'a> {
    pub shop: &'a str,
    pub url: &'a str,
    pub name: &'a str,
}

impl EmailContext<'_> {
    fn letter(&self, subject: String, body: &str) -> EmailTemplate {
        let greeting = if self.name.is_empty() { "Hello".to_owned() } else { format!("Hello {}", self.name) };
        EmailTemplate { subject, text: format!("{greeting},\n\n{}\n\n{}\n{}\n", body.trim_end(), self.shop, self.url) }
    }

    pub fn confirm_email(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "please confirm your e-mail address by opening this link:\n\n{}/confirm-email?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             It is good until {}. If you didn't register here, you can ignore this message.",
            self.url,
            time(until),
        );
        self.letter(format!("{}: please confirm your e-mail address", self.shop), &body)
    }

    pub fn reset_password(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "somebody, most likely you, asked for a new password. Set it by opening this link:\n\n\
             {}/reset-password?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             It is good once, until {}. If it wasn't you, you can ignore this message: your password stays as it is.",
            self.url,
            time(until),
        );
        self.letter(format!("{}: set a new password", self.shop), &body)
    }

    pub fn change_email(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "Please confirm that this is the new e-mail address of your account by opening this link while you are \
             signed in:\n\n{}/confirm-new-email?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             It is good once, until {}. If you have no account here, you can ignore this message.",
            self.url,
            time(until),
        );
        self.letter(format!("{}: please confirm your new e-mail address", self.shop), &body)
    }

    pub fn email_change_requested(&self) -> EmailTemplate {
        let body = "A new e-mail address was asked for, for your account. Once it is confirmed, this address no longer \
                    belongs to your account. If it was you, there is nothing to do here.\n\n\
                    If it wasn't, ask for a new password at once: that signs out everybody who uses your account, and voids \
                    the change.";
        self.letter(format!("{}: a new e-mail address was asked for", self.shop), body)
    }

    pub fn password_changed(&self) -> EmailTemplate {
        let body = "your password was changed. If it was you, there is nothing to do.\n\n\
                    If it wasn't, ask for a new password at once: that signs out everybody who uses your account.";
        self.letter(format!("{}: your password was changed", self.shop), body)
    }

    pub fn order_confirmed(&self, order: &Order) -> EmailTemplate {
        let mut body = format!("thank you for your order {}.\n\n", order.number);
        for line in &order.lines {
            let _ = writeln!(body, "{} x {} ({}): {}", line.quantity, line.title, line.sku, money(line.total));
        }
        let totals = &order.totals;
        let _ = writeln!(body, "\nSubtotal: {}", money(totals.subtotal));
        if !totals.discount.is_zero() {
            let _ = writeln!(body, "Discount: -{}", money(totals.discount));
        }
        let _ = writeln!(body, "Shipping ({}): {}", order.shipping_method.title, money(totals.shipping));
        if !totals.tax.is_zero() {
            let _ = writeln!(body, "Tax: {}", money(totals.tax));
        }
        let _ = writeln!(body, "Total: {}\n\nIt goes to:", money(totals.grand_total));
        let to = &order.shipping_address;
        let town = format!("{} {}", to.postal_code, to.city);
        let lines = [
            Some(&*to.name),
            to.company.as_deref(),
            Some(&*to.line1),
            to.line2.as_deref(),
            Some(town.trim()).filter(|town| !town.is_empty()),
            to.region.as_deref(),
            Some(&*to.country),
        ];
        for line in lines.into_iter().flatten() {
            let _ = writeln!(body, "{line}");
        }
        if let Some(instructions) = order.payments.last().and_then(|payment| payment.instructions.as_ref()) {
            let _ = write!(body, "\nHow to pay:\n{instructions}\n");
        }
        self.letter(format!("{}: order {}", self.shop, order.number), &body)
    }

    pub fn order_shipped(&self, order: &Order, parcel: &Fulfilment) -> EmailTemplate {
        let mut body = format!("a parcel of your order {} is on its way.\n\n", order.number);
        write_items(&mut body, order, &parcel.items);
        let _ = write!(body, "\nCarrier: {}\nTracking number: {}\n", parcel.carrier, parcel.tracking_number);
        if let Some(url) = &parcel.tracking_url {
            let _ = writeln!(body, "Follow it here: {url}");
        }
        self.letter(format!("{}: order {} has been shipped", self.shop, order.number), &body)
    }

    pub fn order_cancelled(&self, order: &Order) -> EmailTemplate {
        let mut body = format!("your order {} was cancelled.", order.number);
        if let Some(reason) = &order.cancel_reason {
            let _ = write!(body, "\n\nReason: {reason}");
        }
        body.push_str("\n\nWhat you have paid for it, if anything, goes back the way you paid.");
        self.letter(format!("{}: order {} was cancelled", self.shop, order.number), &body)
    }

    pub fn order_refunded(&self, order: &Order, refund: &Refund) -> EmailTemplate {
        let amount = money(refund.amount);
        let settled = refund.status == RefundStatus::Settled;
        let state = if settled { "was sent back to you, the way you paid" } else { "is on its way back to you" };
        let mut body = format!("{amount} of your order {} {state}.\n\n", order.number);
        write_items(&mut body, order, &refund.items);
        self.letter(format!("{}: refund for order {}", self.shop, order.number), &body)
    }

    pub fn alert(&self, alert: &Alert) -> EmailTemplate {
        let kind = match alert.kind {
            AlertKind::LowStock => "low stock",
            AlertKind::PaymentMismatch => "a payment doesn't match its order",
            AlertKind::LatePayment => "a payment came too late",
            AlertKind::PaymentDisputed => "a payment is disputed",
            AlertKind::RefundFailed => "a refund failed",
            AlertKind::PaymentStuck => "a payment can't be settled",
        };
        let body = format!("{}\n\nRaised at {}.", alert.detail, time(alert.raised_at));
        self.letter(format!("{}: {kind}", self.shop), &body)
    }
}

fn write_items(body: &mut String, order: &Order, items: &[LineQuantity]) {
    for item in items {
        if let Some(line) = order.lines.iter().find(|line| line.variant_id == item.variant_id) {
            let _ = writeln!(body, "{} x {} ({})", item.quantity, line.title, line.sku);
        }
    }
}

fn money(money: Money) -> String {
    format!("{money} {}", money.currency)
}

fn time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        Currency,
        account::PostalAddress,
        id::{AlertId, FulfilmentId, OrderId, PaymentId, ProductId, RefundId, VariantId},
        order::{FulfilmentState, FulfilmentStatus, OrderLine, OrderStatus, ShippingMethod},
        payment::PaymentStatus,
        pricing::Totals,
    };

    const AT: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const HEAD: EmailContext<'static> = EmailContext { shop: "Bookshop", url: "https://shop.example", name: "Ada" };

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

    fn says(letter: &EmailTemplate, words: &[&str]) {
        for word in words {
            assert!(letter.text.contains(word), "'{word}' isn't in:\n{}", letter.text);
        }
        assert!(
            letter.subject.starts_with("Bookshop: ") && letter.text.starts_with("Hello Ada,\n\n"),
            "{}",
            letter.text
        );
    }

    #[test]
    fn tokens_stand_alone_and_in_a_link() {
        let confirm = HEAD.confirm_email("t0ken", AT);
        says(&confirm, &["https://shop.example/confirm-email?token=t0ken\n", "\nt0ken\n", "2026-11-18 "]);
        says(&HEAD.reset_password("t0ken", AT), &["https://shop.example/reset-password?token=t0ken\n", "\nt0ken\n"]);
    }

    #[test]
    fn a_confirmation_shows_lines_and_totals() {
        let letter = HEAD.order_confirmed(&order());
        says(
            &letter,
            &["K7-1234", "2 x Sketch of the Analytical Engine (BOOK-1): 19.90 EUR", "Shipping (Post): 4.90 EUR"],
        );
        says(
            &letter,
            &["Tax: 1.62 EUR", "Total: 24.80 EUR", "Ada Lovelace\n12 St James's Square\nSW1Y 4JH London\nGB\n"],
        );
        assert!(!letter.text.contains("Discount"), "{}", letter.text);
    }

    #[test]
    fn an_address_shows_only_the_lines_it_has() {
        let mut order = order();
        order.shipping_address = PostalAddress::new("Lee", "1 Queen's Road", "", "", "HK");
        order.shipping_address.company = Some("Bank of Tea".into());
        says(&HEAD.order_confirmed(&order), &["It goes to:\nLee\nBank of Tea\n1 Queen's Road\nHK\n"]);
    }

    #[test]
    fn a_parcel_can_be_followed() {
        let parcel = Fulfilment {
            id: FulfilmentId(Uuid::nil()),
            status: FulfilmentStatus::Shipped,
            carrier: "Royal Mail".into(),
            tracking_number: "RM42".into(),
            tracking_url: Some("https://mail.example/RM42".into()),
            items: items(),
            created_at: AT,
            shipped_at: Some(AT),
            delivered_at: None,
        };
        let words = ["1 x Sketch", "Carrier: Royal Mail", "Tracking number: RM42", "https://mail.example/RM42"];
        says(&HEAD.order_shipped(&order(), &parcel), &words);
    }

    #[test]
    fn money_that_goes_back_is_named() {
        let mut refund = Refund {
            id: RefundId(Uuid::nil()),
            payment_id: PaymentId(Uuid::nil()),
            amount: eur(995),
            status: RefundStatus::Settled,
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
        };
        says(&HEAD.order_refunded(&order(), &refund), &["9.95 EUR of your order K7-1234 was sent back", "1 x Sketch"]);
        refund.status = RefundStatus::Pending;
        says(&HEAD.order_refunded(&order(), &refund), &["9.95 EUR of your order K7-1234 is on its way back"]);
        let cancelled = Order { cancel_reason: Some("sold out".into()), ..order() };
        says(&HEAD.order_cancelled(&cancelled), &["K7-1234 was cancelled", "Reason: sold out"]);
    }

    #[test]
    fn an_alert_says_what_happened() {
        let alert = Alert {
            id: AlertId(Uuid::nil()),
            kind: AlertKind::LowStock,
            variant_id: None,
            order_id: None,
            detail: "Only 2 of BOOK-1 are left.".into(),
            raised_at: AT,
            acknowledged_at: None,
            version: 1,
        };
        let letter = HEAD.alert(&alert);
        says(&letter, &["Only 2 of BOOK-1 are left."]);
        assert_eq!(letter.subject, "Bookshop: low stock");
    }
}
