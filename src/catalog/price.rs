//! Prices: whole femto-USD (10⁻¹⁵ USD) for one of a unit.
//!
//! Providers publish dollars per million tokens with up to six decimals of a nano-dollar per token; a
//! femto-dollar keeps every one of them exact. `u64` of it is 18,446 USD, far above any single unit's
//! price; sums belong in `u128`.

use std::collections::BTreeMap;

use super::markup::Markup;
use super::unit::{Per, Unit};
use crate::vocab::Tier;

/// What one of a unit costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meter {
    pub unit: Unit,
    pub tier: Tier,
    /// For requests whose prompt has more tokens than so many thousand; 0 for every request.
    pub above: u32,
}

/// The prices of one model.
#[derive(Clone, Copy, Debug)]
pub struct Prices<'a> {
    /// Whose they are; empty for a model that only the operator knows.
    provider: &'static str,
    row: &'static str,
    own: Option<&'a BTreeMap<Meter, Price>>,
    /// Instead of both, where they have been read before, with the markup in them.
    read: &'a [(Meter, Price)],
    markup: Markup,
}

impl Price {
    /// Femto-USD for one.
    pub const fn new(femto_usd: u64) -> Self {
        Self(femto_usd)
    }

    pub const fn femto_usd(self) -> u64 {
        self.0
    }

    /// Femto-USD for `count`.
    pub const fn times(self, count: u64) -> u128 {
        self.0 as u128 * count as u128
    }

    /// Reads `2.5` as dollars for one or for a million. `None` for what is no such number, is negative or
    /// has more digits than a femto-dollar holds.
    pub fn parse(dollars: &str, per: Per) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
        if whole.is_empty() || !digits(whole) || !digits(part) || dollars.ends_with('.') {
            return None;
        }
        let decimals: u32 = match per {
            Per::Million => 9,
            Per::One => 15,
        };
        let part = part.trim_end_matches('0');
        let missing = decimals.checked_sub(u32::try_from(part.len()).ok()?)?;
        let part: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
        let whole = whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(decimals))?;
        Some(Self(whole.checked_add(part.checked_mul(10_u64.pow(missing))?)?))
    }
}

/// Its letter in the embedded text.
const fn letter(tier: Tier) -> &'static str {
    match tier {
        Tier::Standard => "",
        Tier::Batch => "b",
        Tier::Flex => "f",
        Tier::Priority => "p",
        Tier::Ultrafast => "u",
        Tier::Decisions => "d",
        Tier::Other => "x",
    }
}

impl Meter {
    /// Reads the letters of the embedded text: `i`, `i@b`, `i>272`, `i>272@b`.
    fn by_code(text: &str) -> Option<Self> {
        let (rest, letter) = text.split_once('@').unwrap_or((text, ""));
        let (code, above) = rest.split_once('>').unwrap_or((rest, "0"));
        let tier = Tier::ALL.into_iter().find(|tier| self::letter(*tier) == letter)?;
        Some(Self { unit: Unit::by_code(code)?, tier, above: above.parse().ok()? })
    }

    /// Reads the words of an operator's file: `input`, `input_batch`, `input_above_272k`,
    /// `input_above_272k_batch`.
    pub fn by_word(text: &str) -> Option<Self> {
        let of_tier = |tier: Tier| Some((text.strip_suffix(tier.name())?.strip_suffix('_')?, tier));
        let (rest, tier) = Tier::ALL.into_iter().find_map(of_tier).unwrap_or((text, Tier::Standard));
        let above = rest.rsplit_once("_above_").and_then(|(word, above)| {
            let above: u32 = above.strip_suffix('k')?.parse().ok()?;
            (above > 0).then_some((word, above))
        });
        let (word, above) = above.unwrap_or((rest, 0));
        Some(Self { unit: Unit::by_word(word)?, tier, above })
    }
}

impl<'a> Prices<'a> {
    pub(super) fn new(
        provider: &'static str,
        row: &'static str,
        own: Option<&'a BTreeMap<Meter, Price>>,
        markup: Markup,
    ) -> Self {
        Self { provider, row, own, read: &[], markup }
    }

    pub(super) const fn read(provider: &'static str, read: &'a [(Meter, Price)], markup: Markup) -> Self {
        Self { provider, row: "", own: None, read, markup }
    }

    pub(super) const fn markup(&self) -> Markup {
        self.markup
    }

    /// A price that stands in no list.
    pub(super) const fn marked(&self, price: Price) -> Price {
        Price(self.markup.on(price.0))
    }

    pub(super) fn provider(&self) -> &'static str {
        self.provider
    }

    /// What one of `unit` costs on `tier` in a request whose prompt has `prompt_tokens`: the price of the
    /// highest threshold below them. `None` where the tier has no price of its own; whether the standard one
    /// holds then is for whoever bills to decide.
    pub fn of(&self, unit: Unit, tier: Tier, prompt_tokens: u64) -> Option<Price> {
        self.step(unit, tier, prompt_tokens).map(|(_, price)| price)
    }

    /// The same with its threshold, in thousands of tokens.
    pub(super) fn step(&self, unit: Unit, tier: Tier, prompt_tokens: u64) -> Option<(u32, Price)> {
        let holds = |meter: &Meter| {
            let is_passed = || meter.above == 0 || prompt_tokens > u64::from(meter.above) * 1000;
            meter.unit == unit && meter.tier == tier && is_passed()
        };
        let step = |(meter, price): (Meter, Price)| (meter.above, price);
        if self.row.is_empty() && self.own.is_none() {
            let read = self.read.iter().filter(|(meter, _)| holds(meter));
            return read.copied().map(step).max_by_key(|(above, _)| *above);
        }
        self.all().filter(|(meter, _)| holds(meter)).map(step).max_by_key(|(above, _)| *above)
    }

    /// Every price, the operator's first.
    pub fn all(&self) -> impl Iterator<Item = (Meter, Price)> + use<'a> {
        let Self { own, markup, .. } = *self;
        let marked = move |(meter, price): (Meter, Price)| (meter, Price(markup.on(price.0)));
        let said = own.into_iter().flatten().map(|(meter, price)| (*meter, *price));
        let row = self.row.split(' ').filter_map(parse);
        let row = row.filter(move |(meter, _)| own.is_none_or(|own| !own.contains_key(meter)));
        said.chain(row).map(marked).chain(self.read.iter().copied())
    }

    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}

/// `i>272=5e9`
fn parse(text: &str) -> Option<(Meter, Price)> {
    let (meter, price) = text.split_once('=')?;
    let (digits, zeros) = price.split_once('e').unwrap_or((price, "0"));
    let femto: u64 = digits.parse().ok()?;
    Some((Meter::by_code(meter)?, Price(femto.checked_mul(10_u64.checked_pow(zeros.parse().ok()?)?)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICES: &str = "i=25e8 i>272=5e9 i@b=125e7 o=15e9 w1=1e10";

    #[test]
    fn a_price_is_that_of_its_tier_and_of_the_highest_threshold_below_the_prompt() {
        let prices = Prices::new("openai", PRICES, None, Markup::default());
        let check = |unit, tier, tokens: u64, femto: Option<u64>| {
            assert_eq!(
                prices.of(unit, tier, tokens).map(Price::femto_usd),
                femto,
                "{unit:?} {tier:?} {tokens}"
            );
        };
        check(Unit::Input, Tier::Standard, 0, Some(2_500_000_000));
        check(Unit::Input, Tier::Standard, 272_000, Some(2_500_000_000));
        check(Unit::Input, Tier::Standard, 272_001, Some(5_000_000_000));
        check(Unit::Input, Tier::Batch, 300_000, Some(1_250_000_000));
        check(Unit::Output, Tier::Standard, 300_000, Some(15_000_000_000));
        check(Unit::CacheWriteHour, Tier::Standard, 1, Some(10_000_000_000));
        check(Unit::Input, Tier::Flex, 1, None);
        check(Unit::CacheRead, Tier::Standard, 1, None);
    }

    #[test]
    fn an_operators_price_hides_the_same_one_and_no_other() {
        let own = BTreeMap::from([(Meter::by_word("input").unwrap(), Price::new(7))]);
        let prices = Prices::new("openai", PRICES, Some(&own), Markup::default());
        assert_eq!(prices.of(Unit::Input, Tier::Standard, 0), Some(Price(7)));
        assert_eq!(prices.of(Unit::Input, Tier::Standard, 300_000), Some(Price(5_000_000_000)));
        assert_eq!(prices.all().count(), 5);
    }

    #[test]
    fn an_operators_words_name_every_meter() {
        let check = |word: &str, unit, tier, above| {
            assert_eq!(Meter::by_word(word), Some(Meter { unit, tier, above }), "{word}");
        };
        check("input", Unit::Input, Tier::Standard, 0);
        check("cache_write_1h_batch", Unit::CacheWriteHour, Tier::Batch, 0);
        check("output_above_272k", Unit::Output, Tier::Standard, 272);
        check("cache_read_above_200k_priority", Unit::CacheRead, Tier::Priority, 200);
        for word in ["", "batch", "inputs", "input_above_k", "input_above_0k", "input_batch_above_272k"] {
            assert_eq!(Meter::by_word(word), None, "{word}");
        }
    }

    #[test]
    fn dollars_become_whole_femto_dollars_or_nothing() {
        let check = |text: &str, per, femto: Option<u64>| {
            assert_eq!(Price::parse(text, per).map(Price::femto_usd), femto, "{text}");
        };
        check("2.5", Per::Million, Some(2_500_000_000));
        check("0.000000001", Per::Million, Some(1));
        check("0.0000000001", Per::Million, None);
        check("0.04", Per::One, Some(40_000_000_000_000));
        check("0.5000000000000000000000000", Per::One, Some(500_000_000_000_000));
        check("18446", Per::One, Some(18_446_000_000_000_000_000));
        check("18447", Per::One, None);
        for text in ["", ".", "-1", "1.", ".5", "1e3", "free", "99999999999999999999"] {
            check(text, Per::One, None);
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_readers(text in "\\PC*") {
            let _ = (parse(&text), Meter::by_word(&text), Price::parse(&text, Per::Million));
        }
    }
}
