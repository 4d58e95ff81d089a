//! Stripe's amounts. They are ISO 4217 minor units, as ours are, but for three currencies.
//!
//! - `ISK` and `UGX` have no minor unit, but Stripe counts them in hundredths, for old times' sake.
//! - `MGA` has one (of a fifth, written with two digits); Stripe counts whole ariary.
//!
//! Three-decimal currencies (BHD, JOD, KWD, OMR, TND) are moved in tens. Payments have a least and a greatest amount
//! ([`payable`]); the least is that of a shop whose Stripe balance is kept in the same currency. `HUF` and `TWD` are whole in
//! payouts only, not in charges.

use crate::{
    money::{Currency, Money},
    payment::{PayableAmounts, gateway::GatewayError},
};

/// The least that Stripe takes by one payment, as Stripe counts it; of other currencies it says so itself.
const LEAST: [(&str, i64); 25] = [
    ("AED", 200),
    ("AUD", 50),
    ("BGN", 100),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("CZK", 1500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17500),
    ("INR", 50),
    ("JPY", 50),
    ("MXN", 1000),
    ("MYR", 200),
    ("NOK", 300),
    ("NZD", 50),
    ("PLN", 200),
    ("RON", 200),
    ("SEK", 300),
    ("SGD", 50),
    ("THB", 1000),
    ("USD", 50),
    ("COP", 200_000),
];

/// The most that Stripe takes by one payment: eight digits, but for these.
const MOST: i64 = 99_999_999;
const MOST_OF: [(&str, i64); 6] = [
    ("COP", 9_999_999_999),
    ("HUF", 9_999_999_999),
    ("IDR", 999_999_999_999),
    ("INR", 999_999_999),
    ("JPY", 9_999_999_999),
    ("LBP", 999_999_999_999),
];

/// What Stripe can move, in our minor units.
pub(super) fn payable(currency: Currency) -> PayableAmounts {
    let (code, ours, theirs) = (currency.code(), currency.digits(), digits(currency));
    let of = |table: &[(&str, i64)]| table.iter().find(|(other, _)| *other == code).map(|(_, amount)| *amount);
    let (least, most) = (of(&LEAST).unwrap_or(1), of(&MOST_OF).unwrap_or(MOST));
    let scale = 10_i64.pow(ours.abs_diff(theirs));
    if theirs >= ours {
        let step = if theirs == 3 { 10 } else { 1 };
        PayableAmounts { step, least: least.div_euclid(scale).max(step), most: most / scale }
    } else {
        PayableAmounts { step: scale, least: least * scale, most: most * scale }
    }
}

/// How many decimal digits Stripe counts a currency in.
fn digits(currency: Currency) -> u32 {
    match currency.code() {
        "ISK" | "UGX" => 2,
        "MGA" => 0,
        _ => currency.digits(),
    }
}

/// An amount as Stripe counts it.
pub(super) fn to_stripe(money: Money) -> Result<i64, GatewayError> {
    let (ours, theirs) = (money.currency.digits(), digits(money.currency));
    let scale = 10_i64.pow(ours.abs_diff(theirs));
    let amount = if theirs >= ours {
        money.minor.checked_mul(scale)
    } else {
        Some(money.minor / scale).filter(|whole| whole * scale == money.minor)
    };
    let amount = amount.filter(|_| payable(money.currency).check_part(money).is_ok());
    amount.ok_or_else(|| {
        GatewayError::AmountNotPayable(format!("{money} {} is no amount that Stripe knows", money.currency))
    })
}

/// An amount of Stripe's; `None` if the currency is unknown or the amount isn't one of it.
pub(super) fn from_stripe(amount: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    let (ours, theirs) = (currency.digits(), digits(currency));
    let scale = 10_i64.pow(ours.abs_diff(theirs));
    let minor = if theirs >= ours {
        Some(amount / scale).filter(|whole| whole * scale == amount)
    } else {
        amount.checked_mul(scale)
    };
    minor.map(|minor| Money::new(minor, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_minor_units_but_for_three_currencies() {
        let cases = [
            ("EUR", 1990, 1990),
            ("JPY", 500, 500),
            ("KWD", 5120, 5120),
            ("HUF", 1045, 1045),
            ("ISK", 5, 500),
            ("UGX", 5, 500),
            ("MGA", 500, 5),
        ];
        for (code, ours, theirs) in cases {
            let money = Money::new(ours, code.parse().unwrap());
            assert_eq!(to_stripe(money).unwrap(), theirs, "{code}");
            assert_eq!(from_stripe(theirs, &code.to_lowercase()), Some(money), "{code}");
        }
    }

    #[test]
    fn what_stripe_can_move() {
        let cases = [
            ("EUR", 1, 50, 99_999_999),
            ("GBP", 1, 30, 99_999_999),
            ("JPY", 1, 50, 9_999_999_999),
            ("HUF", 1, 17500, 9_999_999_999),
            ("ISK", 1, 1, 999_999),
            ("UGX", 1, 1, 999_999),
            ("MGA", 100, 100, 9_999_999_900),
            ("BHD", 10, 10, 99_999_999),
            ("JOD", 10, 10, 99_999_999),
            ("KWD", 10, 10, 99_999_999),
            ("OMR", 10, 10, 99_999_999),
            ("TND", 10, 10, 99_999_999),
            ("TWD", 1, 1, 99_999_999),
        ];
        for (code, step, least, most) in cases {
            assert_eq!(payable(code.parse().unwrap()), PayableAmounts { step, least, most }, "{code}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        assert!(to_stripe(Money::new(501, "MGA".parse().unwrap())).is_err());
        assert!(to_stripe(Money::new(5124, "KWD".parse().unwrap())).is_err());
        assert!(to_stripe(Money::new(i64::MAX, "ISK".parse().unwrap())).is_err());
        assert_eq!(from_stripe(501, "isk"), None);
        assert_eq!(from_stripe(1, "nix"), None);
    }
}
