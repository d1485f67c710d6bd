//! What an operator puts on a provider's prices, or takes off them.

/// In thousandths of the price: 200 is 20 % more, -100 a discount of 10 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Markup(i32);

impl Markup {
    /// A price may become eleven times what it was.
    const MOST: i32 = 10_000;

    /// Reads `20%`, `-12.5%`. `None` for what is none of these, takes off all or more, or puts on more than 1000 %.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end();
        let (sign, digits) = number.strip_prefix('-').map_or((1, number), |digits| (-1, digits));
        let (whole, tenths) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(tenths) || tenths.len() != 1 {
            return None;
        }
        let thousandths =
            whole.parse::<i32>().ok()?.checked_mul(10)?.checked_add(tenths.parse().ok()?)? * sign;
        (thousandths > -1_000 && thousandths <= Self::MOST).then_some(Self(thousandths))
    }

    /// The price with it, in femto-USD, to the nearest.
    pub const fn on(self, femto_usd: u64) -> u64 {
        let marked = (femto_usd as u128 * (1_000 + self.0) as u128 + 500) / 1_000;
        if marked > u64::MAX as u128 { u64::MAX } else { marked as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_markup_is_a_percentage_with_one_decimal() {
        let check = |text: &str, of_a_thousand: Option<u64>| {
            assert_eq!(Markup::parse(text).map(|markup| markup.on(1_000)), of_a_thousand, "{text}");
        };
        check("20%", Some(1_200));
        check("-10%", Some(900));
        check("-12.5 %", Some(875));
        check("0%", Some(1_000));
        check("1000%", Some(11_000));
        check("-99.9%", Some(1));
        for text in
            ["20", "0.2", "-100%", "1000.1%", "%", "-%", "1.25%", "--1%", "+5%", "1e2%", "99999999999%"]
        {
            check(text, None);
        }
    }

    #[test]
    fn nothing_put_on_changes_nothing_and_no_price_grows_beyond_bounds() {
        for femto in [0, 1, 499, u64::MAX] {
            assert_eq!(Markup::default().on(femto), femto);
        }
        assert_eq!(Markup::parse("1000%").expect("the most").on(u64::MAX), u64::MAX);
    }
}
