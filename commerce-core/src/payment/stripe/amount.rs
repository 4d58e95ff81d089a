//! Stripe's amounts. They are ISO 4217 minor units, as ours are, but for three currencies.
//!
//! - `ISK` and `UGX` have no minor unit, but Stripe counts them in hundredths, for old times' sake.
//! - `MGA` has one (of a fifth, written with two digits); Stripe counts whole ariary.
//!
//! Further rules are Stripe's to enforce: the last digit of three-decimal currencies (BHD, JOD, KWD, OMR, TND) must be 0,
//! amounts have minima and maxima. `HUF` and `TWD` are whole in payouts only, not in charges.

use crate::{
    money::{Currency, Money},
    payment::gateway::GatewayError,
};

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
    amount.ok_or_else(|| GatewayError::Rejected(format!("{money} {} is no amount that Stripe knows", money.currency)))
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
    fn what_cannot_be_said_is_refused() {
        assert!(to_stripe(Money::new(501, "MGA".parse().unwrap())).is_err());
        assert!(to_stripe(Money::new(i64::MAX, "ISK".parse().unwrap())).is_err());
        assert_eq!(from_stripe(501, "isk"), None);
        assert_eq!(from_stripe(1, "nix"), None);
    }
}
