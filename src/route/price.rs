//! What a request can cost at most, before anybody is asked: its prompt and the longest answer that it allows, at the
//! prices of a channel.
//!
//! The longest answer is the request's own limit, else the model's, else [`UNKNOWN_ANSWER`]. Of several answers at once
//! (`n`) each may be that long. Where it wants parts of its prompt kept in a cache, all of it counts as written there.
//! What is not known beforehand (pictures or sound of an answer that is charged in tokens, searches beyond the one that
//! ranks documents) is not in here; it is booked once it is known.

use http::HeaderName;
use smallvec::SmallVec;

use super::need::{Need, USUAL_ANSWER};
use crate::catalog::Date;
use crate::config::{self, Lineage, Unpriced};
use crate::dialect::Operation;
use crate::dialect::billed::Wish;
use crate::state::{Channel, Table};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

/// By which a caller says what his request may cost, in US dollars.
pub const MAX_COST: HeaderName = HeaderName::from_static("x-mainstay-max-cost");

/// Tokens of the longest answer of a model of which nothing is known: most of these are served by their operators
/// themselves, whose servers end an answer at 4096 tokens or fewer unless they are told otherwise.
pub const UNKNOWN_ANSWER: u64 = 8 * USUAL_ANSWER;

/// What a request may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub operation: Operation,
    pub prompt_tokens: u64,
    /// As the request limits it. `Some(0)` where no text is made.
    pub most_output: Option<u64>,
    pub wish: Wish,
    pub written: Written,
    /// Whether a price that may not be the one that is charged is good enough.
    pub unpriced: Unpriced,
}

/// How much of its prompt a request wants kept in a cache, where that costs more than reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Written {
    #[default]
    Nothing,
    FiveMinutes,
    Hour,
}

/// A bound of what a request may cost, and what is needed to hold a channel against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MostCost {
    pub most: Money,
    /// Whether a channel of which nobody knows it may be asked.
    pub unknown: Unpriced,
    pub wish: Wish,
    pub written: Written,
}

/// What a request may cost at the channels that it may come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub cheapest: Option<Money>,
    pub dearest: Option<Money>,
    /// Of how many channels nobody knows it.
    pub unpriced: usize,
}

impl Extent {
    /// `None` where no channel has a price for it.
    pub fn at(&self, route: &config::Route, channel: &Channel, asked: &str) -> Option<Money> {
        let model = channel.model_name(route, asked).unwrap_or(asked);
        self.on(channel.upstream.live.clock.today(), route, (channel, model), asked)
    }

    /// The same on a day, for the model that the channel would serve.
    fn on(
        &self,
        day: Date,
        route: &config::Route,
        (channel, model): (&Channel, &str),
        asked: &str,
    ) -> Option<Money> {
        let longest = || channel.facts(route, asked).max_output.unwrap_or(UNKNOWN_ANSWER);
        let answers = u64::from(self.wish.answers.max(1));
        // Words that nobody here knows, of which some cost more.
        if self.unpriced == Unpriced::Refuse && self.wish.tier == Some(Tier::Other) {
            return None;
        }
        let searches = u32::from(self.operation == Operation::Rerank);
        let told = Usage {
            input: self.prompt_tokens,
            output: self.most_output.unwrap_or_else(longest).saturating_mul(answers),
            other: Other { searches, ..Other::default() },
            ..Usage::default()
        };
        let told = match self.written {
            Written::Nothing => told,
            Written::FiveMinutes => Usage { cache_write: told.input, ..told },
            Written::Hour => Usage { cache_write_1h: told.input, ..told },
        };
        // With pictures and characters that it asks for.
        let complete = |usage| self.wish.complete(self.operation, Some(usage)).unwrap_or(usage);
        let charge = |usage: Usage| channel.charge_on(model, &usage, day).map(|cost| cost.money);
        let uncached = |usage: Usage| Usage { cache_write: 0, cache_write_1h: 0, ..usage };
        let price = |usage: Usage| match self.unpriced {
            // A tier that has no price of its own may be served, and charged, as the usual one.
            Unpriced::Allow => {
                let plainly = Usage { tier: Some(Tier::Standard), ..usage };
                charge(usage).or_else(|| charge(plainly)).or_else(|| charge(uncached(plainly)))
            }
            Unpriced::Refuse => charge(usage).or_else(|| charge(uncached(usage))),
        };
        // Who sells pictures, characters or searches may not sell tokens.
        let by_piece = || {
            let pieces = complete(Usage { input: 0, output: 0, ..uncached(told) });
            (pieces.other != Other::default()).then(|| price(pieces)).flatten()
        };
        price(complete(told)).or_else(by_piece)
    }

    /// At all channels that may have the request: those of its route and of its fallbacks that the caller reaches.
    pub fn range(&self, table: &Table, index: usize, asked: &str, lineage: Option<&Lineage>) -> Range {
        let mut range = Range::default();
        let mut routes: SmallVec<[usize; 4]> = SmallVec::from_slice(&[index]);
        let mut at = 0;
        let today = table.live.clock.today();
        // Channels of a route are often one model at one provider, which is one price.
        let mut last: Option<((&str, &str), Option<Money>)> = None;
        while let Some(&index) = routes.get(at) {
            at += 1;
            let route = &table.routes[index];
            for next in &route.config.fallback {
                if !routes.contains(next) {
                    routes.push(*next);
                }
            }
            let within = |channel: &&Channel| {
                let upstream = &channel.upstream;
                upstream.is_configured()
                    && lineage.is_none_or(|lineage| lineage.bars_upstream(&upstream.config).is_none())
            };
            for channel in route.channels.iter().map(|channel| &**channel).filter(within) {
                let model = channel.model_name(&route.config, asked).unwrap_or(asked);
                let whose = (channel.upstream.config.provider.name, model);
                let known = last.filter(|(of, _)| *of == whose).map(|(_, money)| money);
                let money = known.unwrap_or_else(|| self.on(today, &route.config, (channel, model), asked));
                last = Some((whose, money));
                match money {
                    Some(money) => {
                        range.cheapest = Some(range.cheapest.map_or(money, |least| least.min(money)));
                        range.dearest = range.dearest.max(Some(money));
                    }
                    None => range.unpriced += 1,
                }
            }
        }
        range
    }
}

/// The smallest of what anybody says that one request may cost: the key and all above it, the route, the caller.
pub fn bound(lineage: Option<&Lineage>, route: &config::Route, asked: Option<Money>) -> Option<Money> {
    let members = lineage.map(Lineage::members).unwrap_or_default().iter();
    members.filter_map(|member| member.max_cost).chain(route.max_cost).chain(asked).min()
}

/// Whether the channel could charge more for the request than anybody allows. Where nobody
/// knows, it is not held against it unless a budget says so.
pub fn is_too_dear(route: &config::Route, channel: &Channel, need: &Need<'_>) -> bool {
    need.most_cost.is_some_and(|bound| {
        let extent = Extent {
            operation: need.operation,
            prompt_tokens: need.prompt_tokens,
            most_output: need.most_output,
            wish: bound.wish,
            written: bound.written,
            unpriced: bound.unknown,
        };
        match extent.at(route, channel, need.model) {
            Some(money) => money > bound.most,
            None => bound.unknown == Unpriced::Refuse,
        }
    })
}

impl MostCost {
    /// For a question about a request that nobody has sent.
    pub fn plain(most: Money) -> Self {
        Self { most, unknown: Unpriced::Allow, wish: Wish::default(), written: Written::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{self, Env};
    use crate::state::{Live, Registry};

    struct NoWorld;

    impl Env for NoWorld {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("no files".to_owned())
        }
    }

    const FILE: &str = "
version: 1
upstreams:
  openai: {provider: openai, credentials: [k]}
  claude: {provider: anthropic, credentials: [k]}
  own: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:1/v1'}
routes:
  - {model: smart, max_cost: 2, channels: [{upstream: openai, model: gpt-5.4}, {upstream: own, model: x}], fallback: [other]}
  - {model: other, channels: [{upstream: claude, model: claude-sonnet-4-6}]}
";

    fn table() -> Table {
        let blueprint = config::load(FILE, &NoWorld).expect("a good file").blueprint;
        Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(1)))
    }

    fn extent(most_output: Option<u64>) -> Extent {
        Extent {
            operation: Operation::Chat,
            prompt_tokens: 1000,
            most_output,
            wish: Wish::default(),
            written: Written::Nothing,
            unpriced: Unpriced::Allow,
        }
    }

    #[test]
    fn a_request_may_cost_what_the_dearest_channel_of_its_route_and_fallbacks_asks() {
        let table = table();
        let range = extent(Some(100)).range(&table, 0, "smart", None);
        // 1000 x 2.5 + 100 x 15 at OpenAI's, 1000 x 3 + 100 x 15 at Anthropic's, a million.
        assert_eq!(range.cheapest, Some(Money::nano_usd(4_000_000)));
        assert_eq!(range.dearest, Some(Money::nano_usd(4_500_000)));
        assert_eq!(range.unpriced, 1);
        let alone = extent(Some(100)).range(&table, 1, "other", None);
        assert_eq!((alone.cheapest, alone.unpriced), (alone.dearest, 0));
    }

    #[test]
    fn without_a_limit_of_its_own_an_answer_is_as_long_as_the_model_can_make_it() {
        let table = table();
        let range = extent(None).range(&table, 0, "smart", None);
        // gpt-5.4 answers with up to 128,000 tokens.
        assert!(range.dearest >= Some(Money::nano_usd(1000 * 2_500 + 128_000 * 15_000)), "{range:?}");
    }

    #[test]
    fn each_of_several_answers_may_be_as_long_as_one() {
        let table = table();
        let at = |answers| {
            let wish = Wish { answers, ..Wish::default() };
            Extent { wish, ..extent(Some(100)) }.range(&table, 1, "other", None).dearest
        };
        // 1000 x 3, and 100 x 15 for each.
        assert_eq!((at(0), at(1)), (at(1), Some(Money::nano_usd(4_500_000))));
        assert_eq!(at(8), Some(Money::nano_usd(15_000_000)));
        assert!(at(u32::MAX) > at(8));
    }

    fn priced_by_piece() -> Table {
        const FILE: &str = "
version: 1
upstreams:
  openai: {provider: openai, credentials: [k]}
  cohere: {provider: cohere, credentials: [k]}
routes:
  - {model: pic, channels: [{upstream: openai, model: 1024-x-1024/gpt-image-1.5}]}
  - {model: voice, channels: [{upstream: openai, model: tts-1}]}
  - {model: rank, channels: [{upstream: cohere, model: rerank-v3.5}]}
";
        let blueprint = config::load(FILE, &NoWorld).expect("a good file").blueprint;
        Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(1)))
    }

    #[test]
    fn what_is_sold_by_the_piece_costs_that_and_not_nothing() {
        let table = priced_by_piece();
        let at = |operation, route: usize, wish, unpriced| {
            let extent = Extent { operation, wish, unpriced, ..extent(Some(0)) };
            extent.range(&table, route, "x", None).dearest
        };
        let wish = Wish { images: 3, characters: 110, ..Wish::default() };
        for unpriced in [Unpriced::Allow, Unpriced::Refuse] {
            let picture = at(Operation::Images, 0, Wish { images: 1, ..wish }, unpriced);
            let one = picture.expect("a price").as_nano_usd();
            assert!(one > 0);
            assert_eq!(at(Operation::Images, 0, wish, unpriced), Some(Money::nano_usd(3 * one)));
            // 110 characters at 15 USD a million.
            assert_eq!(at(Operation::Speech, 1, wish, unpriced), Some(Money::nano_usd(1_650_000)));
            assert_eq!(at(Operation::Rerank, 2, wish, unpriced), Some(Money::nano_usd(2_000_000)));
        }
    }

    #[test]
    fn a_price_that_may_be_another_is_none_where_that_matters() {
        let table = table();
        let at = |tier, unpriced| {
            let wish = Wish { tier: Some(tier), ..Wish::default() };
            Extent { wish, unpriced, ..extent(Some(100)) }.range(&table, 1, "other", None).dearest
        };
        let usual = at(Tier::Standard, Unpriced::Refuse);
        assert_eq!(usual, Some(Money::nano_usd(4_500_000)));
        for tier in [Tier::Other, Tier::Flex] {
            assert_eq!((at(tier, Unpriced::Allow), at(tier, Unpriced::Refuse)), (usual, None), "{tier:?}");
        }
    }

    #[test]
    fn what_is_to_be_kept_in_a_cache_counts_as_written_there() {
        let table = table();
        let at = |written| Extent { written, ..extent(Some(0)) }.range(&table, 1, "other", None).dearest;
        assert_eq!(at(Written::Nothing), Some(Money::nano_usd(3_000_000)));
        assert_eq!(at(Written::FiveMinutes), Some(Money::nano_usd(3_750_000)));
        assert_eq!(at(Written::Hour), Some(Money::nano_usd(6_000_000)));
    }

    #[test]
    fn the_smallest_bound_holds() {
        let table = table();
        let route = &table.routes[0].config;
        let usd = |dollars: &str| Money::parse(dollars);
        assert_eq!(bound(None, route, None), usd("2"));
        assert_eq!(bound(None, route, usd("0.05")), usd("0.05"));
        assert_eq!(bound(None, route, usd("3")), usd("2"));
        assert_eq!(bound(None, &table.routes[1].config, None), None);
    }
}
