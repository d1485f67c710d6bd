//! What a usage costs: counts times prices, summed in femto-USD and rounded once.
//!
//! What was used and has no price makes the whole cost unknown; it is never counted as nothing. A tier without a price
//! of its own is not charged as the standard one, save where the vendor says so ([`Bill::instead`]). Whatever a
//! provider bills beyond its usage object and does not say (storage of caches, hours of containers, free allowances,
//! discounts of a contract) is not here.

use std::fmt;

use smallvec::SmallVec;

use super::price::{Price, Prices};
use super::unit::{Per, Unit};
use super::{Catalog, Date};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

/// What an attempt cost, and how that is made up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub money: Money,
    /// One for each unit that was used, none where nothing was or the provider said the sum itself.
    pub lines: SmallVec<[Line; 3]>,
    pub by: By,
}

/// How [`Cost`] is written where the provider said the sum itself.
pub const SAID: &str = "as its provider says";

/// Whose sum it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Counts times prices.
    #[default]
    Prices,
    /// The provider's own, in its answer.
    Provider,
}

/// So many of a unit at a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub unit: Unit,
    /// How many; of seconds, thousandths.
    pub count: u64,
    /// For one.
    pub price: Price,
}

/// What Anthropic charges for a search, whatever the model and the tier ("Web search tool", usage and pricing:
/// 10 USD for 1,000, the same in batches).
const ANTHROPIC_SEARCH: Price = Price::new(10_000_000_000_000);

impl Catalog {
    /// What `usage` of `model` costs at `provider` on a day (UTC): what the provider itself says, or else its prices
    /// for the tier that served it. `None` where neither is known; what nothing was used for costs nothing anywhere.
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage, on: Date) -> Option<Cost> {
        charge(usage, || Some(self.find(provider, model)?.prices(on)))
    }
}

/// The same for a model with these prices.
pub fn charge<'p>(usage: &Usage, prices: impl FnOnce() -> Option<Prices<'p>>) -> Option<Cost> {
    if let Some(money) = usage.said {
        return Some(Cost { money, lines: SmallVec::new(), by: By::Provider });
    }
    if (Usage { tier: None, ..*usage }) == Usage::default() {
        return Some(Cost::default());
    }
    cost(&prices()?, usage.tier.unwrap_or(Tier::Standard), usage)
}

/// What `usage` costs on `tier`. `None` where a price is missing that it needs.
///
/// Cached tokens are part of the input and are charged once, reasoning is part of the output unless it has its own
/// price, and so are sound and pictures. Beyond a threshold the whole request has the higher price. What is counted in
/// tokens is charged in tokens; pictures, characters and seconds are charged where nobody counted tokens.
pub fn cost(prices: &Prices<'_>, tier: Tier, usage: &Usage) -> Option<Cost> {
    let Other { images, searches, characters, audio_millis } = usage.other;
    let other = [images, searches, characters, audio_millis].map(u64::from);
    let mut bill = Bill { prices, tier, prompt: usage.input, lines: SmallVec::new() };
    bill.make(usage, other, 1).ok()?;
    let femto = bill.lines.iter().map(Line::femto_usd).fold(0, u128::saturating_add);
    Some(Cost { money: Money::of_femto(femto.min(u128::MAX / 2)), lines: bill.lines, by: By::Prices })
}

/// What many attempts used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Together {
    pub attempts: u64,
    /// `other`, `tier` and `said` are not looked at.
    pub tokens: Usage,
    /// Pictures, searches, characters and milliseconds of sound.
    pub other: [u64; 4],
}

/// What all of them would cost on the standard tier, in femto-USD; as if each had the mean of their prompts, since a
/// sum does not know whose was longer than a threshold. `Err` names a unit that was used and has no price.
pub fn cost_together(prices: &Prices<'_>, used: &Together) -> Result<u128, Unit> {
    let prompt = used.tokens.input / used.attempts.max(1);
    let mut bill = Bill { prices, tier: Tier::Standard, prompt, lines: SmallVec::new() };
    bill.make(&used.tokens, used.other, used.attempts)?;
    Ok(bill.lines.iter().map(Line::femto_usd).fold(0, u128::saturating_add))
}

struct Bill<'p, 'a> {
    prices: &'p Prices<'a>,
    tier: Tier,
    /// Tokens that decide which threshold is passed.
    prompt: u64,
    lines: SmallVec<[Line; 3]>,
}

/// `Err` names the unit whose price is missing.
type Charged<T = ()> = Result<T, Unit>;

impl Bill<'_, '_> {
    fn make(&mut self, usage: &Usage, other: [u64; 4], requests: u64) -> Charged {
        let [images, searches, characters, heard] = other;
        if heard > 0 && (usage.input == 0 || self.price(Unit::Input).is_none()) {
            self.heard(heard)?;
        } else {
            self.prompt(usage)?;
            self.answer(usage)?;
        }
        self.others(usage, images, searches, characters)?;
        if !self.lines.is_empty()
            && let Some(price) = self.price(Unit::Request)
        {
            self.add(Unit::Request, requests, price);
        }
        Ok(())
    }

    fn prompt(&mut self, usage: &Usage) -> Charged {
        let cached_audio = usage.cache_read_audio.min(usage.input_audio).min(usage.cache_read);
        let written = usage.cache_write.saturating_add(usage.cache_write_1h);
        let mut plain = usage.input.saturating_sub(usage.cache_read.saturating_add(written));
        let audio = take(&mut plain, usage.input_audio - cached_audio);
        let images = take(&mut plain, usage.input_image);
        plain += self.part(Unit::InputAudio, Unit::Input, audio)?;
        plain += self.part(Unit::InputImageTokens, Unit::Input, images)?;
        self.charge(Unit::Input, plain)?;
        // Cached sound costs what cached text does only where sound itself costs what text does.
        let mut read = usage.cache_read - cached_audio;
        if cached_audio > 0 {
            match self.price(Unit::CacheReadAudio) {
                Some(price) => self.add(Unit::CacheReadAudio, cached_audio, price),
                None if self.has_own(Unit::InputAudio, Unit::Input) => return Err(Unit::CacheReadAudio),
                None => read += cached_audio,
            }
        }
        self.charge(Unit::CacheRead, read)?;
        self.charge(Unit::CacheWrite, usage.cache_write)?;
        self.charge(Unit::CacheWriteHour, usage.cache_write_1h)
    }

    fn answer(&mut self, usage: &Usage) -> Charged {
        let mut plain = usage.output;
        let audio = take(&mut plain, usage.output_audio);
        let images = take(&mut plain, usage.output_image);
        let reasoning = take(&mut plain, usage.reasoning);
        plain += self.part(Unit::OutputAudio, Unit::Output, audio)?;
        plain += self.part(Unit::OutputImageTokens, Unit::Output, images)?;
        plain += self.part(Unit::Reasoning, Unit::Output, reasoning)?;
        self.charge(Unit::Output, plain)
    }

    fn heard(&mut self, millis: u64) -> Charged {
        let unit =
            [Unit::InputSecond, Unit::InputAudioSecond].into_iter().find(|unit| self.price(*unit).is_some());
        self.charge(unit.unwrap_or(Unit::InputSecond), millis)
    }

    fn others(&mut self, usage: &Usage, images: u64, searches: u64, characters: u64) -> Charged {
        if usage.output == 0 {
            // Of models that take no pictures, the price of those they make stands under either word.
            let made =
                if self.price(Unit::OutputImage).is_some() { Unit::OutputImage } else { Unit::InputImage };
            self.charge(made, images)?;
        }
        if usage.input == 0 {
            self.charge(Unit::InputCharacter, characters)?;
        }
        self.charge(Unit::Query, searches)
    }

    /// A part of `whole` that may have a price of its own; what has none is given back, to be charged as the whole.
    fn part(&mut self, part: Unit, whole: Unit, count: u64) -> Charged<u64> {
        if count == 0 {
            return Ok(0);
        }
        match self.price(part) {
            Some(price) => self.add(part, count, price),
            None if self.has_own(part, whole) => return Err(part),
            None => return Ok(count),
        }
        Ok(0)
    }

    /// Whether `part` costs something else than `whole` on the standard tier.
    fn has_own(&self, part: Unit, whole: Unit) -> bool {
        let standard = |unit| self.prices.of(unit, Tier::Standard, self.prompt);
        standard(part).is_some_and(|price| standard(whole) != Some(price))
    }

    fn charge(&mut self, unit: Unit, count: u64) -> Charged {
        if count > 0 {
            let price = self.price(unit).or_else(|| self.instead(unit)).ok_or(unit)?;
            self.add(unit, count, price);
        }
        Ok(())
    }

    fn add(&mut self, unit: Unit, count: u64, price: Price) {
        self.lines.push(Line { unit, count, price });
    }

    /// The price of the request's tier. Where the standard one rises with the prompt and the tier's does not say that
    /// it does, nobody knows what the tier costs up there.
    fn price(&self, unit: Unit) -> Option<Price> {
        let (above, price) = self.prices.step(unit, self.tier, self.prompt)?;
        if self.tier == Tier::Standard {
            return Some(price);
        }
        let standard = self.prices.step(unit, Tier::Standard, self.prompt);
        standard.is_none_or(|(rises_above, _)| rises_above <= above).then_some(price)
    }

    /// What holds where the list has no price, by the vendors' own words.
    fn instead(&self, unit: Unit) -> Option<Price> {
        let provider = self.prices.provider();
        let standard = |unit| self.prices.of(unit, Tier::Standard, self.prompt);
        let documented = match unit {
            // DeepSeek's older name.
            Unit::CacheRead if self.tier == Tier::Standard => standard(Unit::CacheHit),
            // OpenAI's list of batch prices has a dash there: no discount.
            Unit::CacheRead if self.tier == Tier::Batch && provider == "openai" => self.price(Unit::Input),
            // OpenAI, "Prompt caching": writing costs nothing extra, save where the list has a price for it.
            Unit::CacheWrite if provider == "openai" && standard(unit).is_none() => self.price(Unit::Input),
            // Anthropic, "Prompt caching": what caches multiply the input's price by holds on top of the tier's
            // discount.
            Unit::CacheWriteHour if self.tier != Tier::Standard => {
                let (hour, plain) = (standard(unit)?, standard(Unit::Input)?.femto_usd());
                let femto = hour.times(self.price(Unit::Input)?.femto_usd()).checked_div(plain.into())?;
                u64::try_from(femto).ok().map(Price::new)
            }
            Unit::Query if provider == "anthropic" => Some(self.prices.marked(ANTHROPIC_SEARCH)),
            // Groq, "Flex processing": the same price as on demand.
            _ if self.tier == Tier::Flex && provider == "groq" => standard(unit),
            _ => None,
        };
        // Cached or not: where the prompt is free, it is free.
        let of_prompt = matches!(unit, Unit::CacheRead | Unit::CacheWrite | Unit::CacheWriteHour);
        let free = || self.price(Unit::Input).filter(|price| of_prompt && price.femto_usd() == 0);
        documented.or_else(free)
    }
}

/// Takes up to `count` of what is there.
fn take(there: &mut u64, count: u64) -> u64 {
    let taken = count.min(*there);
    *there -= taken;
    taken
}

impl Line {
    pub fn money(&self) -> Money {
        Money::of_femto(self.femto_usd().min(u128::MAX / 2))
    }

    /// What it comes to.
    pub fn femto_usd(&self) -> u128 {
        self.price.times(self.count) / u128::from(thousandths(self.unit).unwrap_or(1))
    }
}

/// How many of a line's count make one of its unit, where that is not one.
fn thousandths(unit: Unit) -> Option<u64> {
    matches!(unit, Unit::InputSecond | Unit::InputAudioSecond).then_some(1000)
}

/// `input 1200 x 2.5/M, output 30 x 10/M`, or `as its provider says`; empty where nothing was used.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Cost {
    /// The same, without the detour that a formatter is.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        if self.by == By::Provider {
            return to.write_str(SAID);
        }
        for (number, line) in self.lines.iter().enumerate() {
            if number > 0 {
                to.write_str(", ")?;
            }
            line.write(to)?;
        }
        Ok(())
    }
}

/// `input 1200 x 2.5/M`
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Line {
    fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str(self.unit.word())?;
        to.write_str(" ")?;
        self.decimal().write(to)?;
        to.write_str(" x ")?;
        Decimal::rate(self.unit, self.price).write(to)
    }

    /// How many, for people.
    pub fn counted(&self) -> impl fmt::Display {
        self.decimal()
    }

    fn decimal(&self) -> Decimal {
        Decimal { number: self.count, parts: thousandths(self.unit).unwrap_or(1), of: "" }
    }
}

/// Dollars for a million or for one: `2.5/M`, `0.04`.
pub fn rate(unit: Unit, price: Price) -> impl fmt::Display {
    Decimal::rate(unit, price)
}

/// `number / parts` with all the decimals that there are; `parts` is a power of ten.
struct Decimal {
    number: u64,
    parts: u64,
    of: &'static str,
}

impl Decimal {
    fn rate(unit: Unit, price: Price) -> Self {
        let (parts, of) = match unit.per() {
            Per::Million => (1_000_000_000, "/M"),
            Per::One => (1_000_000_000_000_000, ""),
        };
        Self { number: price.femto_usd(), parts, of }
    }

    fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let mut digits = itoa::Buffer::new();
        to.write_str(digits.format(self.number / self.parts))?;
        let decimals = self.number % self.parts;
        if decimals > 0 {
            to.write_str(".")?;
            // With its zeros in front, and none behind.
            to.write_str(digits.format(self.parts + decimals)[1..].trim_end_matches('0'))?;
        }
        to.write_str(self.of)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

#[cfg(test)]
mod tests;
