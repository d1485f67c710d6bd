//! Money: whole nano-USD.
//!
//! A nano-dollar is a thousandth of what one token of the cheapest models costs, and `u64` of it is 18 billion
//! dollars. Prices are finer (`catalog::price`, femto-USD); what an attempt cost is rounded once, as a whole.

use std::fmt;
use std::iter::Sum;

/// An amount in whole nano-USD (10⁻⁹ USD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// Femto-USD in a nano-USD.
const FEMTO: u128 = 1_000_000;
/// Nano-USD in a dollar.
const DOLLAR: u64 = 1_000_000_000;

impl Money {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);

    pub const fn nano_usd(nano_usd: u64) -> Self {
        Self(nano_usd)
    }

    /// The nearest whole nano-USD; half of one counts as one.
    pub const fn of_femto(femto_usd: u128) -> Self {
        let nano = (femto_usd + FEMTO / 2) / FEMTO;
        if nano > u64::MAX as u128 { Self::MAX } else { Self(nano as u64) }
    }

    pub const fn as_nano_usd(self) -> u64 {
        self.0
    }

    /// For people and metrics; sums are made of the whole number.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of it, or nothing.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads dollars, `12` or `0.0005`. `None` for what is no such number, is negative, is more than there is of
    /// it or has more than nine decimals.
    pub fn parse(dollars: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, part) = dollars.split_once('.').unwrap_or((dollars, "0"));
        if !digits(whole) || !digits(part) || part.len() > 9 {
            return None;
        }
        let part: u64 = format!("{part:0<9}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(DOLLAR)?.checked_add(part).map(Self)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::plus)
    }
}

/// `$0.0123`: dollars, with all decimals that there are and two at least.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:09}", self.0 % DOLLAR);
        let said = part.trim_end_matches('0').len().max(2);
        write!(f, "${}.{}", self.0 / DOLLAR, part.get(..said).unwrap_or(&part))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn femto_dollars_are_rounded_to_the_nearest() {
        for (femto, nano) in [(0, 0), (499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)] {
            assert_eq!(Money::of_femto(femto), Money(nano), "{femto}");
        }
        assert_eq!(Money::of_femto(u128::from(u64::MAX) * FEMTO * 2), Money::MAX);
    }

    #[test]
    fn what_is_no_amount_is_not_read() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999999", "1,5"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
        assert_eq!(Money::parse("0.0005"), Some(Money(500_000)));
    }

    proptest! {
        #[test]
        fn what_is_said_is_read_again(nano in 0_u64..u64::MAX / 2) {
            let said = Money(nano).to_string();
            prop_assert_eq!(Money::parse(said.trim_start_matches('$')), Some(Money(nano)));
        }
    }
}
