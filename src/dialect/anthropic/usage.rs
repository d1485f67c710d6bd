//! `usage` of a message. Cached tokens stand beside `input_tokens`, not inside.

use crate::dialect::json::{Walked, Walker};
use crate::dialect::tier;
use crate::dialect::tree::Node;
use crate::dialect::write::Object;
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

/// The counts as Anthropic names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    creation: Option<Creation>,
    details: Option<Details>,
    searches: Option<u64>,
    tier: Option<Tier>,
    /// A relay's sum.
    said: Option<Money>,
    /// What it is hurried by, or where it has to run, at a price that nobody publishes with the others.
    surcharged: bool,
}

/// The object `cache_creation`.
#[derive(Clone, Copy, Debug, Default)]
struct Creation {
    one_hour: Option<u64>,
    five_minutes: Option<u64>,
}

/// The object `output_tokens_details`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Details {
    thinking: Option<u64>,
}

/// Where a usage is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A message's own, which says all counts.
    Message,
    /// A `message_delta`'s: counts of nothing are left out.
    Delta,
}

/// Says the counts. What is not known is zero: SDKs' types want the numbers.
pub fn write(usage: Option<Usage>, place: Place, object: &mut Object<'_>) {
    let usage = usage.unwrap_or_default();
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let cached = usage.cache_read.saturating_add(written);
    object.number("input_tokens", usage.input.saturating_sub(cached));
    if place == Place::Message || cached > 0 {
        object.number("cache_creation_input_tokens", written);
        object.number("cache_read_input_tokens", usage.cache_read);
    }
    if written > 0 {
        object.object("cache_creation", |creation| {
            creation.number("ephemeral_5m_input_tokens", usage.cache_write);
            creation.number("ephemeral_1h_input_tokens", usage.cache_write_1h);
        });
    }
    object.number("output_tokens", usage.output);
    if usage.reasoning > 0 {
        object.object("output_tokens_details", |details| {
            details.number("thinking_tokens", usage.reasoning);
        });
    }
}

impl Counts {
    /// Those of a `usage` object; none if it is none.
    pub fn of(usage: Option<&Node<'_>>) -> Self {
        let read = usage.and_then(|usage| Self::read(&mut Walker::new(usage.raw().as_bytes())).ok());
        read.unwrap_or_default()
    }

    pub fn read(walker: &mut Walker<'_>) -> Walked<Self> {
        let mut counts = Self::default();
        walker.object(|walker, key| {
            let count = match &*key.bytes() {
                b"input_tokens" => &mut counts.input,
                b"output_tokens" => &mut counts.output,
                b"cache_read_input_tokens" => &mut counts.cache_read,
                b"cache_creation_input_tokens" => &mut counts.cache_creation,
                b"cache_creation" => {
                    counts.creation = Creation::read(walker)?;
                    return Ok(());
                }
                b"output_tokens_details" => {
                    counts.details = Details::read(walker)?;
                    return Ok(());
                }
                b"server_tool_use" => {
                    counts.searches = searches(walker)?;
                    return Ok(());
                }
                b"service_tier" => {
                    counts.tier = tier::read(walker)?;
                    return Ok(());
                }
                b"cost" => {
                    let (_, span) = walker.value()?;
                    counts.said = std::str::from_utf8(walker.slice(span)).ok().and_then(Money::of_number);
                    return Ok(());
                }
                b"speed" => {
                    let (_, span) = walker.value()?;
                    counts.surcharged |= walker.slice(span) == b"\"fast\"";
                    return Ok(());
                }
                b"inference_geo" => {
                    let (_, span) = walker.value()?;
                    counts.surcharged |= walker.slice(span) == b"\"us\"";
                    return Ok(());
                }
                _ => return walker.skip().map(drop),
            };
            *count = walker.count()?;
            Ok(())
        })?;
        Ok(counts)
    }

    /// A stream says its usage at both ends, and all of it is cumulative. So a smaller count takes nothing back: relays
    /// write 0 for what they do not know. Only input may turn out to have been cached, and then it is no plain input.
    pub fn then(self, later: Self) -> Self {
        let found = later.cached().saturating_sub(self.cached());
        let plain = self.input.map(|input| input.saturating_sub(later.input.map_or(0, |_| found)));
        Self {
            input: plain.max(later.input),
            output: self.output.max(later.output),
            cache_read: self.cache_read.max(later.cache_read),
            cache_creation: self.cache_creation.max(later.cache_creation),
            creation: Creation::larger(self.creation, later.creation),
            details: self.details.max(later.details),
            searches: self.searches.max(later.searches),
            tier: later.tier.or(self.tier),
            said: self.said.max(later.said),
            surcharged: later.surcharged || self.surcharged,
        }
    }

    fn cached(self) -> u64 {
        self.cache_read.unwrap_or(0).saturating_add(self.written())
    }

    /// Tokens written to a cache: as their sum says, or as its parts do.
    fn written(self) -> u64 {
        let creation = self.creation.unwrap_or_default();
        let parts = creation.one_hour.unwrap_or(0).saturating_add(creation.five_minutes.unwrap_or(0));
        self.cache_creation.unwrap_or(0).max(parts)
    }

    pub fn sum(self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.cached() == 0 {
            return None;
        }
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write_1h = self.creation.unwrap_or_default().one_hour.unwrap_or(0);
        let written = self.written();
        Some(Usage {
            input: self.input.unwrap_or(0).saturating_add(cache_read).saturating_add(written),
            cache_read,
            cache_write: written.saturating_sub(cache_write_1h),
            cache_write_1h,
            output: self.output.unwrap_or(0),
            reasoning: self.details.unwrap_or_default().thinking.unwrap_or(0),
            other: Other {
                searches: self.searches.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
                ..Other::default()
            },
            said: self.said,
            tier: if self.surcharged { Some(Tier::Other) } else { self.tier },
            ..Usage::default()
        })
    }
}

/// The object `server_tool_use`.
fn searches(walker: &mut Walker<'_>) -> Walked<Option<u64>> {
    let mut searches = None;
    walker.if_object(|walker, key| {
        if !key.is("web_search_requests") {
            return walker.skip().map(drop);
        }
        searches = walker.count()?;
        Ok(())
    })?;
    Ok(searches)
}

impl Creation {
    fn larger(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        Some(Self {
            one_hour: one.one_hour.max(other.one_hour),
            five_minutes: one.five_minutes.max(other.five_minutes),
        })
    }

    fn read(walker: &mut Walker<'_>) -> Walked<Option<Self>> {
        let mut creation = Self::default();
        let is_there = walker.if_object(|walker, key| {
            let count = match &*key.bytes() {
                b"ephemeral_1h_input_tokens" => &mut creation.one_hour,
                b"ephemeral_5m_input_tokens" => &mut creation.five_minutes,
                _ => return walker.skip().map(drop),
            };
            *count = walker.count()?;
            Ok(())
        })?;
        Ok(is_there.then_some(creation))
    }
}

impl Details {
    fn read(walker: &mut Walker<'_>) -> Walked<Option<Self>> {
        let mut details = Self::default();
        let is_there = walker.if_object(|walker, key| {
            if !key.is("thinking_tokens") {
                return walker.skip().map(drop);
            }
            details.thinking = walker.count()?;
            Ok(())
        })?;
        Ok(is_there.then_some(details))
    }
}
