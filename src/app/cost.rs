//! `mainstay cost`: what something would cost by the file's catalog, without asking anybody.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Blueprint;
use crate::route::quote::{self, Estimate, Quote};
use crate::state::clock::Clock;
use crate::state::{Live, Registry, Table};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

/// What to price, as the command line says it.
#[derive(clap::Args, Clone, Debug)]
pub struct CostOf {
    /// A model, as `provider/model` or by its name alone, which means everybody who sells it; several may be given
    #[arg(long, value_name = "MODEL", value_delimiter = ',', required_unless_present = "request")]
    model: Vec<String>,
    /// Tokens of the prompt, cached ones included
    #[arg(long, default_value_t = 0)]
    input: u64,
    /// Tokens of the answer, reasoning included
    #[arg(long, default_value_t = 0)]
    output: u64,
    /// Tokens of the prompt that are read from a cache
    #[arg(long, default_value_t = 0)]
    cached: u64,
    /// Tokens of the prompt that are written to a cache
    #[arg(long, default_value_t = 0)]
    cache_write: u64,
    /// Tokens of the prompt that are written to a cache that lives an hour
    #[arg(long, default_value_t = 0)]
    cache_write_1h: u64,
    /// Tokens of the answer that are spent on reasoning
    #[arg(long, default_value_t = 0)]
    reasoning: u64,
    /// Pictures that are made
    #[arg(long, default_value_t = 0)]
    images: u32,
    /// Searches of a reranker, or of a tool of the provider's
    #[arg(long, default_value_t = 0)]
    searches: u32,
    /// Characters that are spoken
    #[arg(long, default_value_t = 0)]
    characters: u32,
    /// Seconds of sound that are heard
    #[arg(long, default_value_t = 0)]
    seconds: u32,
    /// How it is hurried: standard, batch, flex, priority
    #[arg(long, default_value = "standard", value_parser = tier)]
    tier: Tier,
    /// A request's body instead: what it would cost at every channel of its route
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "model", "input", "output", "cached", "cache_write", "cache_write_1h", "reasoning", "images", "searches",
        "characters", "seconds", "tier",
    ])]
    request: Option<PathBuf>,
    /// Where that request would be posted to
    #[arg(long, default_value = "/v1/chat/completions", requires = "request")]
    path: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn tier(name: &str) -> Result<Tier, String> {
    let known = || format!("no tier; there are {}", Tier::ALL.map(Tier::name).join(", "));
    Tier::parse(name).ok_or_else(known)
}

impl CostOf {
    /// Prices it by what `blueprint` knows.
    pub fn answer(&self, blueprint: &Blueprint) -> anyhow::Result<String> {
        if let Some(file) = &self.request {
            let body = std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
            let table = Table::compile(blueprint, &mut Registry::default(), &Arc::new(Live::default()));
            let estimate = quote::estimate(&table, &self.path, &body)?;
            return Ok(if self.json {
                serde_json::to_string_pretty(&estimate)?
            } else {
                channels(&estimate)
            });
        }
        let quotes =
            quote::quotes(&blueprint.catalog, &self.model, self.tier, &self.usage(), Clock::start().today())?;
        if self.json {
            return Ok(serde_json::to_string_pretty(&quotes)?);
        }
        Ok(format!("{}prices as of {}", models(&quotes), blueprint.catalog.as_of()))
    }

    fn usage(&self) -> Usage {
        Usage {
            input: self.input,
            cache_read: self.cached,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            output: self.output,
            reasoning: self.reasoning,
            other: Other {
                images: self.images,
                searches: self.searches,
                characters: self.characters,
                audio_millis: self.seconds.saturating_mul(1000),
            },
            ..Usage::default()
        }
    }
}

fn dollars(nano_usd: Option<u64>) -> String {
    nano_usd.map_or_else(|| "unknown".to_owned(), |nano| Money::nano_usd(nano).to_string())
}

fn models(quotes: &[Quote]) -> String {
    let name = |quote: &Quote| format!("{}/{}", quote.provider, quote.model);
    let width = quotes.iter().map(|quote| name(quote).len()).max().unwrap_or_default();
    let mut out = String::new();
    for quote in quotes {
        let parts: Vec<String> =
            quote.lines.iter().map(|part| format!("{} {}", part.unit, part.price)).collect();
        let made_of = match (&quote.cost_nano_usd, parts.is_empty()) {
            (None, _) => "a price is missing for what was asked".to_owned(),
            (Some(_), true) => "nothing is used".to_owned(),
            (Some(_), false) => parts.join(", "),
        };
        let cost = dollars(quote.cost_nano_usd);
        let _ = writeln!(out, "{:width$}  {:<9}  {cost:<14}  {made_of}", name(quote), quote.tier);
    }
    out
}

fn channels(estimate: &Estimate) -> String {
    let mut out = format!("route {} ({} tier)\n", estimate.route, estimate.tier);
    let width = estimate.channels.iter().map(|channel| channel.channel.len()).max().unwrap_or_default();
    for channel in &estimate.channels {
        let most = match channel.most_output {
            Some(most) => format!("{} with an answer of {most}", dollars(channel.most_nano_usd)),
            None => "no limit on its answer is known".to_owned(),
        };
        let how = if channel.counted == "estimate" { "about " } else { "" };
        let _ = writeln!(
            out,
            "{:width$}  prompt {how}{} tokens  {:<14}  {most}",
            channel.channel,
            channel.prompt_tokens,
            dollars(channel.prompt_nano_usd),
        );
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{self, Env};

    struct NoWorld;

    impl Env for NoWorld {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("no files".to_owned())
        }
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        of: CostOf,
    }

    const FILE: &str = "
version: 1
upstreams: {openai: {provider: openai, credentials: [k]}, sim: {provider: simulated}}
routes: [{model: smart, channels: [{upstream: openai, model: gpt-5.4}, {upstream: sim, model: demo}]}]
";

    fn answer(line: &str) -> anyhow::Result<String> {
        let blueprint = config::load(FILE, &NoWorld).expect("a good file").blueprint;
        let words = std::iter::once("cost").chain(line.split(' '));
        Line::try_parse_from(words)?.of.answer(&blueprint)
    }

    #[test]
    fn models_are_compared_line_by_line() {
        let said = answer("--model openai/gpt-5.4,anthropic/claude-sonnet-4-6 --input 1000 --output 100")
            .expect("known");
        let mut lines = said.lines();
        // 1000 x 2.5 + 100 x 15 = 4,000 USD a million; 1000 x 3 + 100 x 15 = 4,500.
        let first =
            "openai/gpt-5.4               standard   $0.004          input 1000 x 2.5/M, output 100 x 15/M";
        assert_eq!(lines.next(), Some(first), "{said}");
        assert!(lines.next().is_some_and(|line| line.contains("$0.0045 ")), "{said}");
        assert!(lines.next().is_some_and(|line| line.starts_with("prices as of 20")), "{said}");
        let batch = answer("--model openai/gpt-5.4 --input 1000 --tier batch").expect("known");
        assert!(batch.contains("$0.00125 "), "{batch}");
        let none = answer("--model openai/whisper-1 --input 5").expect("known");
        assert!(none.contains("unknown") && none.contains("a price is missing"), "{none}");
        assert!(answer("--model openai/whisper-1 --seconds 90").expect("known").contains("$0.009 "));
        assert!(answer("--model nonsense").is_err());
        assert!(answer("--input 5").is_err());
        assert!(answer("--model x --tier soon").is_err());
    }

    #[test]
    fn the_documents_show_what_is_printed() {
        let costs = include_str!("../../docs/costs.md");
        let (_, after) = costs.split_once("$ mainstay cost ").expect("an example");
        let (line, shown) = after.split_once('\n').expect("its answer");
        let said = answer(line).expect("known");
        assert!(shown.starts_with(&said), "{said}");
    }

    #[test]
    fn a_request_is_priced_at_its_channels() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ask.json");
        std::fs::write(
            &file,
            r#"{"model":"smart","max_tokens":100,"messages":[{"role":"user","content":"one two"}]}"#,
        )
        .expect("written");
        let said = answer(&format!("--request {}", file.display())).expect("an estimate");
        // Two tokens of text, four of the message, eight of the request: 14 x 2.5.
        assert!(said.contains("openai/gpt-5.4  prompt 14 tokens  $0.000035"), "{said}");
        assert!(said.contains("$0.001535 with an answer of 100"), "{said}");
        assert!(said.contains("sim/demo        prompt about 15 tokens  unknown"), "{said}");
        assert!(answer("--request /nowhere/at/all.json").is_err());
        let json = answer(&format!("--request {} --json", file.display())).expect("an estimate");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["channels"][0]["prompt_nano_usd"], 35_000);
    }
}
