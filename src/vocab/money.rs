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

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `0.012300000`: dollars with nine decimals, for machines.
    pub fn fixed(self) -> String {
        format!("{}.{:09}", self.0 / DOLLAR, self.0 % DOLLAR)
    }

    /// What is left of it, or nothing.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads a number of dollars as JSON writes it, `0.000112` or `2.85e-05`, to the nearest nano-USD. `None` for what
    /// is negative, no number or more than there is.
    pub fn of_number(dollars: &str) -> Option<Self> {
        /// More digits than this say nothing of a nano-USD, nor does a longer exponent.
        const MOST: usize = 30;
        let (number, exponent) = dollars.split_once(['e', 'E']).unwrap_or((dollars, "0"));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let part = part.get(..part.len().min(MOST))?;
        let digits = [whole, part].concat();
        if whole.is_empty() || digits.len() > MOST + 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        let shift =
            exponent.parse::<i32>().ok()?.checked_add(9)?.checked_sub(i32::try_from(part.len()).ok()?)?;
        // One digit more than whole nano-dollars, for rounding.
        let kept = i64::try_from(digits.len()).ok()? + i64::from(shift) + 1;
        let kept = usize::try_from(kept.max(0)).ok().filter(|kept| *kept <= 21)?;
        let tenths: u128 = format!("{:0<kept$}", digits.get(..digits.len().min(kept))?)
            .parse()
            .ok()
            .or((kept == 0).then_some(0))?;
        u64::try_from((tenths + 5) / 10).ok().map(Self)
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

    #[test]
    fn a_number_of_json_is_dollars() {
        for (text, nano) in [
            ("0", Some(0)),
            ("12", Some(12_000_000_000)),
            ("0.000112", Some(112_000)),
            ("2.85e-05", Some(28_500)),
            ("1.8e-07", Some(180)),
            ("0.0076370290000000004", Some(7_637_029)),
            ("4.9e-10", Some(0)),
            ("5e-10", Some(1)),
            ("1e-400", Some(0)),
            ("1.5E3", Some(1_500_000_000_000)),
            ("18446744073", Some(18_446_744_073_000_000_000)),
            ("18446744074", None),
            ("1e99", None),
            ("-1", None),
            ("", None),
            (".5", None),
            ("1e", None),
            ("nan", None),
        ] {
            assert_eq!(Money::of_number(text), nano.map(Money), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_number_upsets_the_reader(text in "[0-9]{0,40}(\\.[0-9]{0,40})?(e-?[0-9]{0,12})?") {
            let _ = Money::of_number(&text);
        }

        #[test]
        fn a_number_is_the_nearest_nano_dollar(nano in 0_u64..1 << 50) {
            let text = format!("{}.{:09}4e0", nano / DOLLAR, nano % DOLLAR);
            prop_assert_eq!(Money::of_number(&text), Some(Money(nano)));
            prop_assert_eq!(Money::of_number(&format!("{nano}e-9")), Some(Money(nano)));
        }

        #[test]
        fn what_is_said_is_read_again(nano in 0_u64..u64::MAX / 2) {
            let said = Money(nano).to_string();
            prop_assert_eq!(Money::parse(said.trim_start_matches('$')), Some(Money(nano)));
            prop_assert_eq!(Money::parse(&Money(nano).fixed()), Some(Money(nano)));
        }
    }
}
