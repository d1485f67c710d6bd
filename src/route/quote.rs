//! What something would cost, before anybody sends it: so many tokens at models by their names, or a request's body at
//! every channel of its route.
//!
//! Nobody is asked: prices are the catalog's, and no live state is looked at. What an answer will have is not
//! guessed; the most that it may have is said.

use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Serialize;

use super::closest;
use super::price::{Extent, Written};
use crate::catalog::{Catalog, Date, Entry, Line, cost};
use crate::config::Unpriced;
use crate::dialect::entry;
use crate::dialect::tokens::{self, Vocabulary};
use crate::dialect::{scan, translate, tree};
use crate::state::Table;
use crate::vocab::{Money, Tier, Usage};

/// A usage at one model.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Quote {
    pub provider: String,
    /// As the catalog calls it.
    pub model: String,
    pub tier: &'static str,
    /// `None` where a price is missing that the usage needs.
    pub cost_nano_usd: Option<u64>,
    pub lines: Vec<Part>,
}

/// One unit of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Part {
    pub unit: &'static str,
    /// `1200 x 2.5/M`: dollars for a million, or for one.
    pub price: String,
    pub cost_nano_usd: u64,
}

/// A request at the channels of its route.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Estimate {
    pub route: String,
    /// As the caller names it.
    pub model: String,
    pub tier: &'static str,
    pub channels: Vec<ChannelQuote>,
}

/// A request at one channel.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChannelQuote {
    pub channel: String,
    pub prompt_tokens: u64,
    /// `tokenizer`: texts in the vendor's own vocabulary, to within a few tokens a message; `estimate`: rather more than
    /// fewer.
    pub counted: &'static str,
    /// What the prompt costs if nothing of it is cached.
    pub prompt_nano_usd: Option<u64>,
    /// The request's own limit on the answer, or else the model's.
    pub most_output: Option<u64>,
    /// What it all costs with an answer of that length.
    pub most_nano_usd: Option<u64>,
}

/// Why there is no quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unquoted {
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Unknown(String),
}

/// How a word of a question sets a count.
type Count = fn(&mut Usage, u64);

/// What can be asked for. Cached and written tokens are part of `input`, reasoning is part of `output`.
pub const COUNTS: [(&str, Count); 10] = [
    ("input", |usage, count| usage.input = count),
    ("output", |usage, count| usage.output = count),
    ("cached", |usage, count| usage.cache_read = count),
    ("cache_write", |usage, count| usage.cache_write = count),
    ("cache_write_1h", |usage, count| usage.cache_write_1h = count),
    ("reasoning", |usage, count| usage.reasoning = count),
    ("images", |usage, count| usage.other.images = small(count)),
    ("searches", |usage, count| usage.other.searches = small(count)),
    ("characters", |usage, count| usage.other.characters = small(count)),
    ("seconds", |usage, count| usage.other.audio_millis = small(count.saturating_mul(1000))),
];

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What `usage` costs at each of `models` on a day (UTC), the cheapest first and unknown ones last. A model is `provider/model`, or a
/// name, which means all providers that have it.
pub fn quotes(
    catalog: &Catalog,
    models: &[String],
    tier: Tier,
    usage: &Usage,
    on: Date,
) -> Result<Vec<Quote>, Unquoted> {
    if usage.cache_read.saturating_add(usage.cache_write).saturating_add(usage.cache_write_1h) > usage.input {
        return Err(Unquoted::Wrong(
            "cached and written tokens are part of input: make it larger".to_owned(),
        ));
    }
    if usage.reasoning > usage.output {
        return Err(Unquoted::Wrong("reasoning is part of output: make it larger".to_owned()));
    }
    let mut all = Vec::new();
    for name in models {
        let found = named(catalog, name)?;
        all.extend(found.into_iter().map(|(provider, entry)| quote(provider, &entry, tier, usage, on)));
    }
    all.sort_by_key(|quote| quote.cost_nano_usd.unwrap_or(u64::MAX));
    Ok(all)
}

/// What the catalog has under a name: `provider/model`, or the model alone at every provider that has it.
pub fn named<'c>(catalog: &'c Catalog, name: &str) -> Result<Vec<(&'c str, Entry<'c>)>, Unquoted> {
    let providers = catalog.providers();
    if let Some((provider, model)) = name.split_once('/')
        && let Some(provider) = providers.iter().find(|known| **known == provider)
        && let Some(entry) = catalog.find(provider, model)
    {
        return Ok(vec![(provider, entry)]);
    }
    let everywhere = providers.into_iter();
    let found: Vec<_> =
        everywhere.filter_map(|provider| Some((provider, catalog.find(provider, name)?))).collect();
    if found.is_empty() { Err(unknown(catalog, name)) } else { Ok(found) }
}

fn unknown(catalog: &Catalog, name: &str) -> Unquoted {
    let providers = catalog.providers();
    let names: Vec<String> = providers
        .iter()
        .flat_map(|provider| catalog.models_of(provider).map(move |(model, _)| format!("{provider}/{model}")))
        .collect();
    let near = closest(name, names.iter().map(String::as_str));
    let near = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    Unquoted::Unknown(format!("the catalog has no {name}; write provider/model, as in openai/gpt-5.4{near}"))
}

fn quote(provider: &str, entry: &Entry<'_>, tier: Tier, usage: &Usage, on: Date) -> Quote {
    let found = cost(&entry.prices(on), tier, usage);
    let part = |line: &Line| Part {
        unit: line.unit.word(),
        price: format!("{} x {}", line.counted(), cost::rate(line.unit, line.price)),
        cost_nano_usd: line.money().as_nano_usd(),
    };
    Quote {
        provider: provider.to_owned(),
        model: entry.name().to_owned(),
        tier: tier.name(),
        cost_nano_usd: found.as_ref().map(|cost| cost.money.as_nano_usd()),
        lines: found.iter().flat_map(|cost| &cost.lines).map(part).collect(),
    }
}

/// What the request that would be posted to `path` costs at each channel that it could go to. Counting takes a while for
/// a long prompt: it belongs on a thread that may block.
pub fn estimate(table: &Table, path: &str, body: &[u8]) -> Result<Estimate, Unquoted> {
    let entry = entry::find(&Method::POST, path, None, &HeaderMap::new())
        .map_err(|_| Unquoted::Wrong(format!("{path} is no path that requests for models are posted to")))?;
    let scan = scan::scan(&entry, None, body).map_err(|error| Unquoted::Wrong(error.to_string()))?;
    let Some(index) = table.route_of_model(&scan.model) else {
        let near = closest(&scan.model, table.model_names());
        let near = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
        return Err(Unquoted::Unknown(format!("no route takes {}{near}", scan.model)));
    };
    let root = tree::request(body).ok();
    let ask = root
        .as_ref()
        .and_then(|root| translate::read(entry.dialect, entry.operation, &scan.model, root).ok());
    let most = scan.max_output_tokens.or(ask.as_ref().and_then(|ask| ask.max_tokens));
    let tier = scan.wish.tier.unwrap_or(Tier::Standard);
    let makes_text = translate::generates(entry.operation);
    let route = &table.routes[index];
    let mut counts = [None; 2];
    let channels = route.channels.iter().map(|channel| {
        let model = channel.model_name(&route.config, &scan.model).unwrap_or(&scan.model);
        let vocabulary = Vocabulary::of(model);
        let (place, counted) = match vocabulary {
            Vocabulary::O200k if ask.is_some() => (0, "tokenizer"),
            Vocabulary::O200k | Vocabulary::Unknown => (1, "estimate"),
        };
        let count = || ask.as_ref().map_or(scan.prompt_tokens, |ask| tokens::estimate(ask, vocabulary));
        let prompt_tokens = *counts[place].get_or_insert_with(count);
        let longest = || most.or(channel.facts(&route.config, &scan.model).max_output);
        let most_output = if makes_text { longest() } else { Some(0) };
        let prompt = Usage { input: prompt_tokens, tier: scan.wish.tier, ..Usage::default() };
        let prompt = channel.charge_on(model, &prompt, table.live.clock.today());
        let most_cost = most_output.and_then(|most_output| {
            let extent = Extent {
                operation: entry.operation,
                prompt_tokens,
                most_output: Some(most_output),
                wish: scan.wish,
                written: Written::Nothing,
                unpriced: Unpriced::Refuse,
            };
            extent.at(&route.config, channel, &scan.model)
        });
        ChannelQuote {
            channel: channel.label.to_string(),
            prompt_tokens,
            counted,
            prompt_nano_usd: prompt.map(|cost| cost.money.as_nano_usd()),
            most_output,
            most_nano_usd: most_cost.map(Money::as_nano_usd),
        }
    });
    let channels = channels.collect();
    Ok(Estimate {
        route: route.config.name.to_string(),
        model: scan.model.clone(),
        tier: tier.name(),
        channels,
    })
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

    fn ask(model: &str, usage: Usage) -> Result<Vec<Quote>, Unquoted> {
        let catalog = Catalog::embedded();
        quotes(&catalog, &[model.to_owned()], Tier::Standard, &usage, catalog.as_of())
    }

    #[test]
    fn a_name_means_everybody_who_sells_it_and_the_cheapest_comes_first() {
        let usage = Usage { input: 1200, cache_read: 200, output: 300, ..Usage::default() };
        let all = ask("gpt-5.4", usage).expect("known");
        assert!(all.iter().any(|quote| quote.provider == "openai"));
        assert!(all.iter().any(|quote| quote.provider == "azure"));
        assert!(all.windows(2).all(|pair| {
            pair[0].cost_nano_usd.unwrap_or(u64::MAX) <= pair[1].cost_nano_usd.unwrap_or(u64::MAX)
        }));
        let one = ask("openai/gpt-5.4", usage).expect("known");
        // 1000 x 2.5 + 200 x 0.25 + 300 x 15 = 7,050 USD a million.
        assert_eq!((one.len(), one[0].cost_nano_usd), (1, Some(7_050_000)));
        let parts: Vec<_> = one[0].lines.iter().map(|part| (part.unit, &*part.price)).collect();
        assert_eq!(
            parts,
            [("input", "1000 x 2.5/M"), ("cache_read", "200 x 0.25/M"), ("output", "300 x 15/M")]
        );
        assert_eq!(one[0].lines.iter().map(|part| part.cost_nano_usd).sum::<u64>(), 7_050_000);
    }

    #[test]
    fn what_makes_no_sense_or_nobody_sells_is_said() {
        let wrong = ask("openai/gpt-5.4", Usage { input: 1, cache_read: 2, ..Usage::default() });
        assert!(matches!(wrong, Err(Unquoted::Wrong(why)) if why.contains("part of input")));
        let wrong = ask("openai/gpt-5.4", Usage { output: 1, reasoning: 2, ..Usage::default() });
        assert!(matches!(wrong, Err(Unquoted::Wrong(_))));
        let unknown = ask("openai/gpt-5.44", Usage::default()).expect_err("unknown");
        assert!(unknown.to_string().contains("openai/gpt-5.4"), "{unknown}");
        // Known, but not for sale by the token.
        let quote = ask("openai/whisper-1", Usage { input: 5, ..Usage::default() }).expect("known");
        assert_eq!(quote[0].cost_nano_usd, None);
    }

    #[test]
    fn every_count_has_its_word() {
        let mut usage = Usage::default();
        for (_, set) in COUNTS {
            set(&mut usage, 3);
        }
        assert_eq!((usage.input, usage.output, usage.cache_read, usage.reasoning), (3, 3, 3, 3));
        assert_eq!((usage.other.images, usage.other.audio_millis, usage.other.searches), (3, 3000, 3));
    }

    const FILE: &str = "
version: 1
upstreams:
  openai: {provider: openai, credentials: [k]}
  claude: {provider: anthropic, credentials: [k]}
  own: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:1/v1'}
routes:
  - model: smart
    channels: [{upstream: openai, model: gpt-5.4}, {upstream: claude, model: claude-sonnet-4-6}, {upstream: own, model: x}]
";

    fn table() -> Table {
        let blueprint = config::load(FILE, &NoWorld).expect("a good file").blueprint;
        Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(1)))
    }

    #[test]
    fn a_request_is_counted_and_priced_at_every_channel() {
        let body = br#"{"model":"smart","max_tokens":1000,"messages":[{"role":"user","content":"one two three four"}]}"#;
        let found = estimate(&table(), "/v1/chat/completions", body).expect("an estimate");
        assert_eq!((&*found.route, found.tier), ("smart", "standard"));
        let [openai, claude, own] = &found.channels[..] else { panic!("{found:?}") };
        // Four tokens, four of the message, eight of the request.
        assert_eq!((openai.counted, openai.prompt_tokens), ("tokenizer", 16));
        assert_eq!(openai.prompt_nano_usd, Some(16 * 2_500));
        assert_eq!(openai.most_nano_usd, Some(16 * 2_500 + 1000 * 15_000));
        assert_eq!((claude.counted, claude.prompt_tokens), ("estimate", 18));
        assert_eq!(claude.most_nano_usd, Some(18 * 3_000 + 1000 * 15_000));
        assert_eq!((own.prompt_nano_usd, own.most_nano_usd), (None, None));
    }

    #[test]
    fn as_many_answers_as_are_asked_for_and_pictures_count() {
        let found = |path, body: &str| estimate(&table(), path, body.as_bytes()).expect("an estimate");
        let most = |several: &str| {
            let body = format!(
                r#"{{"model":"smart",{several}"max_tokens":1000,"messages":[{{"role":"user","content":"one two three four"}}]}}"#
            );
            found("/v1/chat/completions", &body).channels[0].most_nano_usd
        };
        assert_eq!(most(""), Some(16 * 2_500 + 1000 * 15_000));
        assert_eq!(most(r#""n":10,"#), Some(16 * 2_500 + 10 * 1000 * 15_000));
        // Nobody writes an answer to it.
        let embedded = found("/v1/embeddings", r#"{"model":"smart","input":"one two three four"}"#);
        assert_eq!(embedded.channels[0].most_output, Some(0));
        assert_eq!(embedded.channels[0].most_nano_usd, embedded.channels[0].prompt_nano_usd);
    }

    #[test]
    fn a_tier_counts_and_without_a_limit_the_models_own_holds() {
        let body = br#"{"model":"smart","service_tier":"flex","input":"one two three four"}"#;
        let found = estimate(&table(), "/v1/responses", body).expect("an estimate");
        assert_eq!(found.tier, "flex");
        assert_eq!(found.channels[0].prompt_nano_usd, Some(16 * 1_250));
        assert_eq!(found.channels[0].most_output, Some(128_000));
        // Anthropic has no such tier.
        assert_eq!(found.channels[1].prompt_nano_usd, None);
    }

    #[test]
    fn what_is_no_request_is_said() {
        let refused =
            |path, body: &str| estimate(&table(), path, body.as_bytes()).expect_err(path).to_string();
        assert!(refused("/nowhere", "{}").contains("/nowhere"));
        assert!(refused("/v1/chat/completions", "[").contains("JSON"));
        assert!(refused("/v1/chat/completions", r#"{"model":"smarty"}"#).contains("near it: smart"));
    }
}
