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
pub(super) struct Letter {
    pub subject: String,
    pub text: String,
}

/// A letter from a shop to somebody.
pub(super) struct Letterhead<'a> {
    pub shop: &'a str,
    pub url: &'a str,
    pub name: &'a str,
}

impl Letterhead<'_> {
    fn letter(&self, subject: String, body: &str) -> Letter {
        let greeting = if self.name.is_empty() { "Hello".to_owned() } else { format!("Hello {}", self.name) };
        Letter { subject, text: format!("{greeting},\n\n{}\n\n{}\n{}\n", body.trim_end(), self.shop, self.url) }
    }

    pub fn confirm_email(&self, token: &str, until: Timestamp) -> Letter {
        let body = format!(
            "please confirm your e-mail address by opening this link:\n\n{}/confirm-email?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             It is good until {}. If you didn't register here, you can ignore this message.",
            self.url,
            time(until),
        );
        self.letter(format!("{}: please confirm your e-mail address", self.shop), &body)
    }

    pub fn reset_password(&self, token: &str, until: Timestamp) -> Letter {
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

    pub fn password_changed(&self) -> Letter {
        let body = "your password was changed. If it was you, there is nothing to do.\n\n\
                    If it wasn't, ask for a new password at once: that signs out everybody who uses your account.";
        self.letter(format!("{}: your password was changed", self.shop), body)
    }

    pub fn order_confirmed(&self, order: &Order) -> Letter {
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
        let lines =
            [Some(&to.name), Some(&to.line1), to.line2.as_ref(), Some(&town), to.region.as_ref(), Some(&to.country)];
        for line in lines.into_iter().flatten() {
            let _ = writeln!(body, "{line}");
        }
        self.letter(format!("{}: order {}", self.shop, order.number), &body)
    }

    pub fn order_shipped(&self, order: &Order, parcel: &Fulfilment) -> Letter {
        let mut body = format!("a parcel of your order {} is on its way.\n\n", order.number);
        write_items(&mut body, order, &parcel.items);
        let _ = write!(body, "\nCarrier: {}\nTracking number: {}\n", parcel.carrier, parcel.tracking_number);
        if let Some(url) = &parcel.tracking_url {
            let _ = writeln!(body, "Follow it here: {url}");
        }
        self.letter(format!("{}: order {} has been shipped", self.shop, order.number), &body)
    }

    pub fn order_cancelled(&self, order: &Order) -> Letter {
        let mut body = format!("your order {} was cancelled.", order.number);
        if let Some(reason) = &order.cancel_reason {
            let _ = write!(body, "\n\nReason: {reason}");
        }
        body.push_str("\n\nWhat you have paid for it, if anything, goes back the way you paid.");
        self.letter(format!("{}: order {} was cancelled", self.shop, order.number), &body)
    }

    pub fn order_refunded(&self, order: &Order, refund: &Refund) -> Letter {
        let amount = money(refund.amount);
        let settled = refund.status == RefundStatus::Settled;
        let state = if settled { "was sent back to you, the way you paid" } else { "is on its way back to you" };
        let mut body = format!("{amount} of your order {} {state}.\n\n", order.number);
        write_items(&mut body, order, &refund.items);
        self.letter(format!("{}: refund for order {}", self.shop, order.number), &body)
    }

    pub fn alert(&self, alert: &Alert) -> Letter {
        let kind = match alert.kind {
            AlertKind::LowStock => "low stock",
            AlertKind::PaymentMismatch => "a payment doesn't match its order",
            AlertKind::LatePayment => "a payment came too late",
            AlertKind::PaymentDisputed => "a payment is disputed",
            AlertKind::RefundFailed => "a refund failed",
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
