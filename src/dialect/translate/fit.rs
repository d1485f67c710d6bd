//! What a caller's own words ask of a model that is known not to take it.
//!
//! A failover within one dialect may lead to another model than the caller had in mind, whose API refuses what that one
//! takes: more tokens of an answer than it has, a temperature, a way to think. Then, and only as far as the catalog or
//! the model's name tells, the request asks for the nearest that it takes, and what was changed is named.

use memchr::memmem;

use crate::dialect::hub::{Ask, Effort, Losses, Reasoning, Terms};
use crate::dialect::{Dialect, anthropic, gemini};
use crate::vocab::{Ability, Facts};

/// Members that say how long an answer may be.
const LIMITS: [&str; 4] =
    ["\"max_tokens\"", "\"max_completion_tokens\"", "\"max_output_tokens\"", "\"maxOutputTokens\""];
const SAMPLING: [&str; 5] = ["\"temperature\"", "\"top_p\"", "\"top_k\"", "\"topP\"", "\"topK\""];

/// May there be something to change? Looks for names only; the request may be the same when it is said anew.
pub fn is_wanted(dialect: Dialect, body: &[u8], terms: &Terms<'_>) -> bool {
    let facts = &terms.facts;
    let has = |name: &&str| memmem::find(body, name.as_bytes()).is_some();
    let exceeds = |most: u64| LIMITS.iter().any(|name| numbers(body, name).any(|limit| limit > most));
    let is_too_long = facts.max_output.is_some_and(exceeds);
    let is_sampled = facts.lacks(Ability::Sampling) && SAMPLING.iter().any(has);
    let thinks_otherwise = match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            lacks_efforts(facts) && ["\"reasoning_effort\"", "\"reasoning\""].iter().any(has)
        }
        Dialect::Anthropic => anthropic::request::fit::is_wanted(terms, has),
        Dialect::Gemini => gemini::request::tells_levels_in_vain(terms.kind()) && has(&"\"thinkingLevel\""),
        Dialect::Cohere | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => false,
    };
    is_too_long || is_sampled || thinks_otherwise
}

/// The numbers behind each member of this name.
fn numbers<'b>(body: &'b [u8], name: &'b str) -> impl Iterator<Item = u64> + 'b {
    memmem::find_iter(body, name.as_bytes()).filter_map(move |at| {
        let value = body.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
    })
}

/// Changes what the model does not take.
pub fn fit(ask: &mut Ask<'_>, terms: &Terms<'_>, losses: &mut Losses) {
    let facts = &terms.facts;
    if let (Some(wanted), Some(most)) = (ask.max_tokens, facts.max_output)
        && wanted > most
    {
        ask.max_tokens = Some(most);
        losses.drop("max_tokens");
    }
    if facts.lacks(Ability::Sampling) {
        // 1 is what they do anyway.
        losses.drop_if(ask.temperature.take().filter(|value| *value != 1.0).as_ref(), "temperature");
        losses.drop_if(ask.top_p.take().filter(|value| *value != 1.0).as_ref(), "top_p");
        losses.drop_if(ask.top_k.take().as_ref(), "top_k");
    }
    match ask.dialect {
        Dialect::OpenAi | Dialect::Responses => ask.reasoning = efforts(ask.reasoning, facts, losses),
        Dialect::Anthropic => anthropic::request::fit::fit(ask, terms, losses),
        // Gemini's writer heeds the model's way to think, and Bedrock's models have each their own.
        Dialect::Gemini | Dialect::Cohere | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => {}
    }
}

const EFFORTS: [Ability; 6] = [
    Ability::Reasoning,
    Ability::EffortNone,
    Ability::EffortMinimal,
    Ability::EffortLow,
    Ability::EffortXhigh,
    Ability::EffortMax,
];

fn lacks_efforts(facts: &Facts) -> bool {
    EFFORTS.iter().any(|ability| facts.lacks(*ability))
}

/// The nearest effort that the model takes; none where it does not reason.
fn efforts(said: Reasoning, facts: &Facts, losses: &mut Losses) -> Reasoning {
    if facts.lacks(Ability::Reasoning) {
        if said.as_effort().is_some() || said.adaptive || said.summary.is_some() {
            losses.drop("reasoning_effort");
        }
        return Reasoning { encrypted: said.encrypted, ..Reasoning::default() };
    }
    let effort = said.effort.map(|effort| nearest(effort, facts));
    if effort != said.effort {
        losses.drop("reasoning_effort");
    }
    Reasoning { effort, ..said }
}

fn nearest(effort: Effort, facts: &Facts) -> Effort {
    match effort {
        Effort::Max if facts.lacks(Ability::EffortMax) => nearest(Effort::Xhigh, facts),
        Effort::Xhigh if facts.lacks(Ability::EffortXhigh) => Effort::High,
        Effort::None if facts.lacks(Ability::EffortNone) => nearest(Effort::Minimal, facts),
        Effort::Minimal if facts.lacks(Ability::EffortMinimal) => nearest(Effort::Low, facts),
        Effort::Low if facts.lacks(Ability::EffortLow) => Effort::Medium,
        taken => taken,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::hub::{Family, samples};
    use crate::dialect::quirks::Quirks;
    use crate::dialect::{Operation, translate, tree};

    fn facts(lacks: &[Ability], max_output: Option<u64>) -> Facts {
        let mut facts = Facts::default();
        facts.max_output = max_output;
        for ability in lacks {
            facts.learn(*ability, false);
        }
        facts
    }

    /// The request as the model gets it, where that is another one.
    fn check(dialect: Dialect, terms: &Terms<'_>, body: &Value, expected: Option<&Value>, lost: &[&str]) {
        let text = body.to_string();
        assert_eq!(is_wanted(dialect, text.as_bytes(), terms), expected.is_some(), "{text}");
        let operation = match dialect {
            Dialect::OpenAi => Operation::Chat,
            Dialect::Responses => Operation::Responses,
            Dialect::Gemini => Operation::Generate,
            _ => Operation::Messages,
        };
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let mut ask = translate::read(dialect, operation, "m", &root).expect("sound");
        let written = translate::write(&mut ask, dialect, terms).expect("askable");
        let said: Value = serde_json::from_slice(&written.body).expect("JSON");
        let expected = expected.unwrap_or(body);
        let is_setting = |key: &&String| !["messages", "input", "contents"].contains(&&***key);
        for key in expected.as_object().expect("an object").keys().filter(is_setting) {
            let value = &expected[key];
            assert_eq!(said.get(key).unwrap_or(&Value::Null), value, "{key} of {said}");
        }
        assert_eq!(written.losses.names(), lost, "{text}");
    }

    #[test]
    fn chats_ask_a_model_for_what_it_takes() {
        let messages = json!([{"role": "user", "content": "x"}]);
        let body = json!({"messages": messages, "reasoning_effort": "medium", "max_tokens": 100_000});
        let terms = samples::terms(Family::OpenAi, &Quirks::COMPATIBLE);
        check(Dialect::OpenAi, &terms, &body, None, &[]);
        let older = Terms { facts: facts(&[Ability::Reasoning], Some(32_768)), ..terms };
        let fitted = json!({"messages": messages, "reasoning_effort": null, "max_tokens": 32_768});
        check(Dialect::OpenAi, &older, &body, Some(&fitted), &["max_tokens", "reasoning_effort"]);
        let body = json!({"input": "x", "reasoning": {"effort": "minimal"}, "temperature": 0.5});
        let newer =
            Terms { facts: facts(&[Ability::EffortMinimal, Ability::Sampling], Some(128_000)), ..terms };
        let fitted = json!({"reasoning": {"effort": "low"}, "temperature": null});
        check(Dialect::Responses, &newer, &body, Some(&fitted), &["temperature", "reasoning_effort"]);
        let tools = json!({"input": "x", "max_output_tokens": 128_000});
        check(Dialect::Responses, &newer, &tools, None, &[]);
    }

    #[test]
    fn a_claude_thinks_in_its_own_way() {
        let messages = json!([{"role": "user", "content": "x"}]);
        let terms = |model| Terms { model, ..samples::terms(Family::Anthropic, &Quirks::COMPATIBLE) };
        let adaptive = json!({"max_tokens": 32_000, "messages": messages, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}});
        check(Dialect::Anthropic, &terms("claude-opus-4-7"), &adaptive, None, &[]);
        check(Dialect::Anthropic, &terms("kimi-k3"), &adaptive, None, &[]);
        let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 16_384}, "output_config": null});
        let lost = ["output_config.effort", "thinking"];
        check(Dialect::Anthropic, &terms("claude-sonnet-4-5"), &adaptive, Some(&budget), &lost);
        let none = json!({"thinking": null, "output_config": null});
        check(Dialect::Anthropic, &terms("claude-3-5-haiku"), &adaptive, Some(&none), &lost);
        let enabled = json!({"max_tokens": 32_000, "messages": messages, "thinking": {"type": "enabled", "budget_tokens": 2_000}});
        let decides = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}});
        check(Dialect::Anthropic, &terms("claude-opus-4-7"), &enabled, Some(&decides), &["thinking"]);
        check(Dialect::Anthropic, &terms("claude-sonnet-4-5"), &enabled, None, &[]);
    }

    #[test]
    fn an_older_gemini_is_told_tokens_and_no_level() {
        let terms = |model| Terms { model, ..samples::terms(Family::Gemini, &Quirks::COMPATIBLE) };
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}});
        check(Dialect::Gemini, &terms("gemini-3-pro"), &body, None, &[]);
        let tokens = json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 2_048}}});
        check(Dialect::Gemini, &terms("gemini-2.5-pro"), &body, Some(&tokens), &["thinkingLevel"]);
    }
}
