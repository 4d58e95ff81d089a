//! Money: whole minor units of one ISO 4217 currency. Arithmetic is checked; currencies never mix.

use std::{fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(iso_currency::Currency::EUR);
    /// The US dollar.
    pub const USD: Self = Self(iso_currency::Currency::USD);
    /// The yen, which has no minor unit.
    pub const JPY: Self = Self(iso_currency::Currency::JPY);

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal digits an amount has: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// Zero of this currency.
    #[must_use]
    pub fn zero(self) -> Money {
        Money::new(0, self)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code).map(Self).ok_or_else(|| MoneyError::UnknownCurrency(code.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What can go wrong with money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies met in one sum.
    #[error("{0} and {1} can't be added: this shop has one currency")]
    CurrencyMismatch(Currency, Currency),
    /// The result doesn't fit.
    #[error("the amount is too large")]
    Overflow,
    /// Not an ISO 4217 code.
    #[error("'{0}' is not an ISO 4217 currency code")]
    UnknownCurrency(String),
    /// Not a decimal number with exactly the currency's minor digits.
    #[error("'{text}' is not an amount of {currency}: write it with exactly {} decimal digits", currency.digits())]
    Malformed {
        /// What was given.
        text: String,
        /// The currency it was read in.
        currency: Currency,
    },
}

/// An amount of money in minor units (cents) of a currency. May be negative, where a difference is meant.
///
/// ```
/// use commerce_core::{Currency, Money};
/// let price = Money::parse("19.90", Currency::EUR)?;
/// assert_eq!(price.times(3)?, Money::new(5970, Currency::EUR));
/// assert_eq!(price.to_string(), "19.90");
/// assert_eq!(format!("{price:#}"), "19.90 EUR");
/// # Ok::<(), commerce_core::MoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for EUR, yen for JPY.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// So many minor units of a currency.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads a plain decimal string with exactly the currency's minor digits: `19.90`, not `19.9` or `1e3`.
    ///
    /// # Errors
    /// [`MoneyError::Malformed`] for anything else, [`MoneyError::Overflow`] beyond 64 bits.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let malformed = || MoneyError::Malformed { text: text.to_owned(), currency };
        let digits = currency.digits() as usize;
        let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let has_point = unsigned.contains('.');
        if whole.is_empty()
            || has_point != (digits > 0)
            || fraction.len() != digits
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return Err(malformed());
        }
        let minor: i64 = format!("{whole}{fraction}").parse().map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(sign * minor, currency))
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// If the currencies differ or the sum overflows.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.minor.checked_add(other.minor).map(|m| Self::new(m, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// The difference, which may be negative.
    ///
    /// # Errors
    /// If the currencies differ or the difference overflows.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.minor.checked_sub(other.minor).map(|m| Self::new(m, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// This amount `n` times.
    ///
    /// # Errors
    /// If the product overflows.
    pub fn times(self, n: i64) -> Result<Self, MoneyError> {
        self.minor.checked_mul(n).map(|m| Self::new(m, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// `part` per `whole` of this amount, rounded half away from zero to whole minor units (commercial rounding).
    ///
    /// # Errors
    /// If the result overflows, or `whole` is zero.
    pub fn fraction(self, part: Decimal, whole: Decimal) -> Result<Self, MoneyError> {
        let product = Decimal::from(self.minor).checked_mul(part);
        let exact = product.and_then(|product| product.checked_div(whole)).ok_or(MoneyError::Overflow)?;
        let minor = exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).to_i64();
        minor.map(|m| Self::new(m, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// The share of this amount that falls to the first `part` of `whole` equal units, rounded down.
    /// Shares taken as differences of cumulative shares always add up to the whole.
    #[must_use]
    pub fn cumulative_share(self, part: u32, whole: u32) -> Self {
        if whole == 0 {
            return self.currency.zero();
        }
        let share = i128::from(self.minor) * i128::from(part.min(whole)) / i128::from(whole);
        Self::new(i64::try_from(share).unwrap_or(self.minor), self.currency)
    }

    /// Adds up any number of amounts of one currency.
    ///
    /// # Errors
    /// If the currencies differ or the sum overflows.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(currency.zero(), Self::plus)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }
}

/// The amount; with its currency in the alternate form, `{:#}`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        match self.currency.digits() {
            0 => write!(f, "{sign}{minor}")?,
            digits => {
                let unit = 10u64.pow(digits);
                write!(f, "{sign}{}.{:0width$}", minor / unit, minor % unit, width = digits as usize)?;
            }
        }
        if f.alternate() { write!(f, " {}", self.currency) } else { Ok(()) }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_decimal_strings_are_amounts() {
        for (text, currency, minor) in [
            ("19.90", Currency::EUR, 1990),
            ("0.00", Currency::EUR, 0),
            ("-3.05", Currency::EUR, -305),
            ("500", Currency::JPY, 500),
        ] {
            let money = Money::parse(text, currency).unwrap();
            assert_eq!((money.minor, money.to_string().as_str()), (minor, text));
        }
        for text in ["", ".", "19", "19.9", "19.900", "1e3", "+1.00", " 1.00", "1.-1", ".50", "--1.00", "٣.00"] {
            assert!(Money::parse(text, Currency::EUR).is_err(), "{text}");
        }
        assert!(Money::parse("5.", Currency::JPY).is_err());
        assert_eq!(Money::parse("99999999999999999999.00", Currency::EUR), Err(MoneyError::Overflow));
    }

    #[test]
    fn sums_are_checked() {
        let max = Money::new(i64::MAX, Currency::EUR);
        assert_eq!(max.plus(Money::new(1, Currency::EUR)), Err(MoneyError::Overflow));
        assert_eq!(max.times(2), Err(MoneyError::Overflow));
        assert!(matches!(max.plus(Money::new(1, Currency::USD)), Err(MoneyError::CurrencyMismatch(..))));
    }

    #[test]
    fn half_a_cent_rounds_away_from_zero() {
        let cents = Money::new(50, Currency::EUR);
        let (five, hundred) = (Decimal::from(5), Decimal::ONE_HUNDRED);
        assert_eq!(cents.fraction(five, hundred).unwrap().minor, 3);
        assert_eq!(Money::new(-50, Currency::EUR).fraction(five, hundred).unwrap().minor, -3);
        assert_eq!(Money::new(3, Currency::EUR).fraction(Decimal::from(20), Decimal::from(120)).unwrap().minor, 1);
    }
}
