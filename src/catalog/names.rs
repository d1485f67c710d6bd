//! Under which other names a model's row may stand.
//!
//! Only what says the same model in another spelling, from the most to the least exact: likeness is no reason. Sources:
//! the providers' own naming rules (Bedrock: "Supported foundation models" and "Cross-region inference profiles";
//! OpenAI, Anthropic and Vertex: dated snapshots; OpenAI: tuned models; OpenRouter: its list of models, which writes
//! `anthropic/claude-opus-4.6` for Anthropic's `claude-opus-4-6`).

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

/// Where a Bedrock inference profile may run.
const REGIONS: [&str; 9] = ["us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.", "sa."];

/// How relays spell the vendors that are called otherwise here.
const VENDORS: [(&str, &str); 7] = [
    ("google", "gemini"),
    ("mistralai", "mistral"),
    ("moonshotai", "moonshot"),
    ("qwen", "dashscope"),
    ("x-ai", "xai"),
    ("z-ai", "zai"),
    ("zai-org", "zai"),
];

/// The names to look for, the most exact first.
pub fn of<'a>(provider: &str, model: &'a str) -> SmallVec<[&'a str; 5]> {
    let mut names: SmallVec<[&'a str; 5]> = smallvec![model];
    let mut name = model;
    let mut then = |shorter: Option<&'a str>| {
        if let Some(shorter) = shorter.filter(|shorter| !shorter.is_empty()) {
            names.push(shorter);
            name = shorter;
        }
        name
    };
    let mut name = then(model.strip_prefix("models/"));
    if provider == "bedrock" {
        name = then(REGIONS.iter().find_map(|region| name.strip_prefix(region)));
        name = then(without_version(name));
    }
    name = then(tuned_from(name));
    then(without_date(name));
    names
}

/// Whose model `vendor/name` is, and how that vendor calls it.
pub fn at_vendor(model: &str) -> Option<(&str, Cow<'_, str>)> {
    let (vendor, name) = model.split_once('/')?;
    let vendor = VENDORS.iter().find(|(theirs, _)| *theirs == vendor).map_or(vendor, |(_, ours)| ours);
    let name = if vendor == "anthropic" && name.contains('.') {
        Cow::Owned(name.replace('.', "-"))
    } else {
        Cow::Borrowed(name)
    };
    Some((vendor, name))
}

/// The name that all providers' spellings of one model have in common: without vendor, region, version, date.
pub fn base(provider: &str, model: &str) -> String {
    let own = of(provider, at_vendor(model).map_or(model, |_| model.rsplit('/').next().unwrap_or(model)));
    let name = own.last().copied().unwrap_or(model);
    // Bedrock: the maker stands before a dot.
    let makers =
        ["anthropic.", "amazon.", "meta.", "mistral.", "cohere.", "openai.", "qwen.", "deepseek.", "ai21."];
    let name = makers.iter().find_map(|maker| name.strip_prefix(maker)).unwrap_or(name);
    let name = without_date(name).unwrap_or(name);
    if name.starts_with("claude") { name.replace('.', "-") } else { name.to_owned() }
}

/// `ft:gpt-4.1-2025-04-14` of `ft:gpt-4.1-2025-04-14:my-org::id`.
fn tuned_from(name: &str) -> Option<&str> {
    let base = name.strip_prefix("ft:")?.split_once(':')?.0;
    name.get(.."ft:".len() + base.len())
}

/// `…-v1:0` and `…-v2`.
fn without_version(name: &str) -> Option<&str> {
    let (before, version) = name.rsplit_once("-v")?;
    let mut numbers = version.split(':');
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits =
        numbers.next().is_some_and(number) && numbers.next().is_none_or(number) && numbers.next().is_none();
    fits.then_some(before)
}

/// `…-2026-03-05`, `…-20260305` and `…@20260305`.
fn without_date(name: &str) -> Option<&str> {
    let at = |from_end: usize| name.len().checked_sub(from_end).and_then(|at| name.split_at_checked(at));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let year = |text: &str| text.starts_with("20");
    if let Some((before, date)) = at(9)
        && date.starts_with(['-', '@'])
        && digits(&date[1..])
        && year(&date[1..])
    {
        return Some(before);
    }
    let (before, date) = at(11)?;
    let mut parts = date.strip_prefix('-')?.split('-');
    let mut part = |length: usize| parts.next().is_some_and(|part| part.len() == length && digits(part));
    (part(4) && part(2) && part(2) && year(&date[1..])).then_some(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_the_shorter_names_of_the_same_model() {
        let check = |provider: &str, model: &str, names: &[&str]| {
            assert_eq!(of(provider, model).as_slice(), names, "{provider} {model}");
        };
        check("openai", "gpt-5.4", &["gpt-5.4"]);
        check("openai", "gpt-5.4-2026-03-05", &["gpt-5.4-2026-03-05", "gpt-5.4"]);
        check("anthropic", "claude-x-20260305", &["claude-x-20260305", "claude-x"]);
        check("vertex", "claude-x@20260305", &["claude-x@20260305", "claude-x"]);
        check("gemini", "models/gemini-x", &["models/gemini-x", "gemini-x"]);
        check(
            "bedrock",
            "us.anthropic.claude-x-20260305-v1:0",
            &[
                "us.anthropic.claude-x-20260305-v1:0",
                "anthropic.claude-x-20260305-v1:0",
                "anthropic.claude-x-20260305",
                "anthropic.claude-x",
            ],
        );
        check("openai", "us.x-v1:0", &["us.x-v1:0"]);
        check(
            "openai",
            "ft:gpt-x-2025-04-14:org::id",
            &["ft:gpt-x-2025-04-14:org::id", "ft:gpt-x-2025-04-14", "ft:gpt-x"],
        );
        // Neither a date nor a version.
        for name in ["gpt-5.4-20260", "x-1999-01-01", "x-2026-3-05", "model-v", "20260305", "x-2026-03-0é"] {
            check("bedrock", name, &[name]);
        }
    }

    #[test]
    fn a_relays_name_is_its_vendors() {
        let check = |model: &str, vendor: &str, name: &str| {
            assert_eq!(at_vendor(model), Some((vendor, Cow::Borrowed(name))), "{model}");
        };
        check("anthropic/claude-opus-4.6", "anthropic", "claude-opus-4-6");
        check("openai/gpt-5.4", "openai", "gpt-5.4");
        check("google/gemini-3-pro", "gemini", "gemini-3-pro");
        assert_eq!(at_vendor("gpt-5.4"), None);
    }

    proptest! {
        #[test]
        fn every_name_is_part_of_the_model_and_none_is_longer(provider in "bedrock|openai", model in "\\PC*") {
            let names = of(&provider, &model);
            prop_assert!(names.iter().all(|name| model.contains(name)));
            prop_assert!(names.windows(2).all(|pair| pair[0].len() > pair[1].len()));
        }
    }
}
