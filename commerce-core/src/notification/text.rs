//! The words of each message: pure functions from what it is about to a subject and a text.

use std::fmt::Write as _;

use crate::{
    alert::{Alert, AlertKind},
    clock::Timestamp,
    language::sentence,
    order::{Fulfilment, LineQuantity, Order},
    payment::{Refund, RefundStatus},
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
    /// Whether prices include tax.
    pub gross: bool,
}

impl EmailContext<'_> {
    fn letter(&self, subject: &str, body: &str) -> EmailTemplate {
        let greeting = if self.name.is_empty() { "Hello".to_owned() } else { format!("Hello {}", self.name) };
        let text = format!("{greeting},\n\n{}\n\n{}\n{}\n", body.trim_end(), self.shop, self.url);
        EmailTemplate { subject: format!("{}: {subject}", self.shop), text }
    }

    pub fn confirm_email(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "Please confirm your e-mail address by opening this link:\n\n{}/confirm-email?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             The link and the code are valid until {}. If you did not register with us, you can ignore this message.",
            self.url,
            time(until),
        );
        self.letter("Please confirm your e-mail address", &body)
    }

    pub fn reset_password(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "Somebody, most likely you, asked for a new password for your account. Set it by opening this link:\n\n\
             {}/reset-password?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             The link and the code can be used once, until {}. If this was not you, you can ignore this message. Your \
             password stays as it is.",
            self.url,
            time(until),
        );
        self.letter("Set a new password", &body)
    }

    pub fn change_email(&self, token: &str, until: Timestamp) -> EmailTemplate {
        let body = format!(
            "Please confirm that this is the new e-mail address of your account by opening this link while you are \
             signed in:\n\n{}/confirm-new-email?token={token}\n\n\
             Or enter this code:\n\n{token}\n\n\
             The link and the code can be used once, until {}. If you have no account with us, you can ignore this message.",
            self.url,
            time(until),
        );
        self.letter("Please confirm your new e-mail address", &body)
    }

    pub fn email_change_requested(&self) -> EmailTemplate {
        let body = "Somebody, most likely you, asked for a new e-mail address for your account. Once the new address is \
                    confirmed, this one no longer belongs to your account. If this was you, there is nothing to do.\n\n\
                    If this was not you, ask for a new password at once. Setting one signs out everybody who uses your \
                    account, and cancels the change.";
        self.letter("A new e-mail address was asked for", body)
    }

    pub fn password_changed(&self) -> EmailTemplate {
        let body = "The password of your account was changed. If this was you, there is nothing to do.\n\n\
                    If this was not you, ask for a new password at once. Setting one signs out everybody who uses your \
                    account.";
        self.letter("Your password was changed", body)
    }

    pub fn order_confirmed(&self, order: &Order) -> EmailTemplate {
        let mut body = format!("Thank you for your order {}.\n\n", order.number);
        for line in &order.lines {
            let _ = writeln!(body, "{} x {} ({}): {:#}", line.quantity, line.title, line.sku, line.total);
        }
        let totals = &order.totals;
        let _ = writeln!(body, "\nSubtotal: {:#}", totals.subtotal);
        if !totals.discount.is_zero() {
            let _ = writeln!(body, "Discount: -{:#}", totals.discount);
        }
        let _ = writeln!(body, "Shipping ({}): {:#}", order.shipping_method.title, totals.shipping);
        let taxed = !totals.tax.is_zero();
        if taxed && !self.gross {
            let _ = writeln!(body, "Tax: {:#}", totals.tax);
        }
        let _ = write!(body, "Total: {:#}", totals.grand_total);
        if taxed && self.gross {
            let _ = write!(body, " (incl. tax: {:#})", totals.tax);
        }
        body.push_str("\n\nDelivery address:\n");
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
            let _ = writeln!(body, "{}", line.trim());
        }
        if let Some(instructions) = order.payments.last().and_then(|payment| payment.instructions.as_ref()) {
            let _ = write!(body, "\nHow to pay:\n{instructions}\n");
        }
        self.letter(&format!("Order {}", order.number), &body)
    }

    pub fn order_shipped(&self, order: &Order, parcel: &Fulfilment) -> EmailTemplate {
        let mut body = format!("A parcel of your order {} is on its way. It contains:\n\n", order.number);
        write_items(&mut body, order, &parcel.items);
        let _ = write!(body, "\nCarrier: {}\nTracking number: {}\n", parcel.carrier, parcel.tracking_number);
        if let Some(url) = &parcel.tracking_url {
            let _ = writeln!(body, "Follow it here: {url}");
        }
        self.letter(&format!("Order {} has been shipped", order.number), &body)
    }

    pub fn order_cancelled(&self, order: &Order) -> EmailTemplate {
        let mut body = format!("Your order {} was cancelled.", order.number);
        if let Some(reason) = &order.cancel_reason {
            let _ = write!(body, "\n\nReason: {reason}");
        }
        body.push_str("\n\nIf you have paid for it already, the money goes back to you the way you paid.");
        self.letter(&format!("Order {} was cancelled", order.number), &body)
    }

    pub fn order_refunded(&self, order: &Order, refund: &Refund) -> EmailTemplate {
        let state = match refund.status {
            RefundStatus::Settled => "was sent back to you, the way you paid",
            RefundStatus::Pending | RefundStatus::Failed => "is on its way back to you",
        };
        let mut body = format!("A refund of {:#} for your order {} {state}.\n\n", refund.amount, order.number);
        if !refund.items.is_empty() {
            body.push_str("It is for:\n\n");
            write_items(&mut body, order, &refund.items);
        }
        self.letter(&format!("Refund for order {}", order.number), &body)
    }

    pub fn alert(&self, alert: &Alert) -> EmailTemplate {
        let kind = match alert.kind {
            AlertKind::LowStock => "Low stock",
            AlertKind::PaymentMismatch => "A payment does not match its order",
            AlertKind::LatePayment => "A payment came too late",
            AlertKind::PaymentDisputed => "A payment is disputed",
            AlertKind::RefundFailed => "A refund failed",
            AlertKind::PaymentStuck => "A payment can't be settled",
        };
        let body = format!("{}\n\nRaised at {}.", sentence(&alert.detail), time(alert.raised_at));
        self.letter(kind, &body)
    }
}

fn write_items(body: &mut String, order: &Order, items: &[LineQuantity]) {
    for item in items {
        if let Some(line) = order.lines.iter().find(|line| line.variant_id == item.variant_id) {
            let _ = writeln!(body, "{} x {} ({})", item.quantity, line.title, line.sku);
        }
    }
}

fn time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
