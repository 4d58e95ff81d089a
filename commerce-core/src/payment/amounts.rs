//! [`PayableAmounts`]: which amounts a gateway can move. Pure.

use crate::money::Money;

/// Which amounts of one currency a gateway can move, in the currency's minor units. Nothing is free of charge here: an order
/// of 0.00 never reaches a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayableAmounts {
    /// Every amount that is taken, captured or sent back is a multiple of this.
    pub step: i64,
    /// The least that can be taken by one payment.
    pub least: i64,
    /// The most that can be taken by one payment.
    pub most: i64,
}

impl Default for PayableAmounts {
    fn default() -> Self {
        Self { step: 1, least: 1, most: i64::MAX }
    }
}

/// An amount that a gateway can't move, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{amount} {} can't be paid this way: {reason}", amount.currency)]
pub struct AmountNotPayable {
    /// The amount.
    pub amount: Money,
    /// Why, as the rest of a sentence.
    pub reason: String,
}

impl PayableAmounts {
    /// Whether this much can be taken by one payment.
    ///
    /// # Errors
    /// [`AmountNotPayable`] says which limit it breaks.
    pub fn check_payment(&self, amount: Money) -> Result<(), AmountNotPayable> {
        let limit = |minor| format!("{} {}", Money::new(minor, amount.currency), amount.currency);
        if amount.minor < self.least {
            let reason = format!("the least that can be paid is {}", limit(self.least));
            return Err(AmountNotPayable { amount, reason });
        }
        if amount.minor > self.most {
            let reason = format!("the most that can be paid is {}", limit(self.most));
            return Err(AmountNotPayable { amount, reason });
        }
        self.check_part(amount)
    }

    /// Whether this much of a payment can be captured or sent back.
    ///
    /// # Errors
    /// [`AmountNotPayable`] if it isn't a multiple of the step.
    pub fn check_part(&self, amount: Money) -> Result<(), AmountNotPayable> {
        if self.step > 1 && amount.minor % self.step != 0 {
            let step = Money::new(self.step, amount.currency);
            let reason = format!("it must be a multiple of {step} {}", step.currency);
            return Err(AmountNotPayable { amount, reason });
        }
        Ok(())
    }

    /// The nearest amount below that can be captured or sent back.
    #[must_use]
    pub const fn round_down(&self, amount: Money) -> Money {
        if self.step > 1 { Money { minor: amount.minor - amount.minor % self.step, ..amount } } else { amount }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kwd(minor: i64) -> Money {
        Money::new(minor, "KWD".parse().unwrap())
    }

    #[test]
    fn limits_are_told_in_a_sentence() {
        let amounts = PayableAmounts { step: 10, least: 150, most: 10_000 };
        assert_eq!(amounts.check_payment(kwd(150)), Ok(()));
        assert_eq!(amounts.check_payment(kwd(10_000)), Ok(()));
        let told = |minor| amounts.check_payment(kwd(minor)).unwrap_err().to_string();
        assert_eq!(told(140), "0.140 KWD can't be paid this way: the least that can be paid is 0.150 KWD");
        assert_eq!(told(10_010), "10.010 KWD can't be paid this way: the most that can be paid is 10.000 KWD");
        assert_eq!(told(1995), "1.995 KWD can't be paid this way: it must be a multiple of 0.010 KWD");
        assert_eq!(amounts.check_part(kwd(10)), Ok(()), "a part may be less than the least payment");
    }

    proptest! {
        #[test]
        fn what_was_rounded_can_be_moved(step in 1_i64..1000, minor in 0_i64..1_000_000) {
            let amounts = PayableAmounts { step, ..PayableAmounts::default() };
            let rounded = amounts.round_down(kwd(minor));
            prop_assert_eq!(amounts.check_part(rounded), Ok(()));
            prop_assert!(rounded.minor <= minor && minor - rounded.minor < step);
            prop_assert_eq!(amounts.check_part(kwd(minor)).is_ok(), rounded.minor == minor);
        }
    }
}
