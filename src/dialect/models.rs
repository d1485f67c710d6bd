//! Lists of models as each dialect's clients read them (WIRE §3.7), page by page where theirs are paged.
//!
//! Sources: the types of the official SDKs and each vendor's reference. What is not known of a model is
//! `null` or left out; of Anthropic's capabilities, which have no third value, it is `false`.
//!
//! Codex asks for `/v1/models?client_version=…` and wants `models`, whose entries carry the instructions and
//! tools that it then works with instead of its own (openai/codex, `protocol/src/openai_models.rs`). Those
//! are not ours to give: it gets an empty `models` beside the list, and stays with what it brings.

mod page;

use serde_json::{Value, json};

use super::Dialect;
use crate::vocab::{Ability, Facts, Mode};
use page::Codex;

pub use page::{BadPage, Cut, Page};

/// A model that can be asked for.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    pub id: &'a str,
    pub owner: &'a str,
    pub facts: Facts,
    /// The day on which its provider turns it off (RFC 3339, no time).
    pub retires_on: Option<String>,
}

/// When a model was made is not known here, and the shapes demand a date: the epoch says so.
const CREATED: i64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

/// The cards of one page, as a whole answer.
pub fn list(dialect: Dialect, cards: &[Card<'_>], page: &Page, cut: &Cut) -> String {
    let each: Vec<Value> = cards.iter().map(|card| shape(dialect, card)).collect();
    let ends = |card: Option<&Card<'_>>| card.map(|card| card.id.to_owned());
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => {
            match page.codex {
                Codex::Asks => json!({"object": "list", "data": each, "models": []}),
                Codex::Silent => json!({"object": "list", "data": each}),
            }
        }
        Dialect::Anthropic => json!({
            "data": each,
            "has_more": cut.has_more,
            "first_id": ends(cards.first()),
            "last_id": ends(cards.last()),
        }),
        Dialect::Gemini => match ends(cards.last()).filter(|_| cut.has_more) {
            Some(next) => json!({"models": each, "nextPageToken": next}),
            None => json!({"models": each}),
        },
        Dialect::Cohere => match ends(cards.last()).filter(|_| cut.has_more) {
            Some(next) => json!({"models": each, "next_page_token": next}),
            None => json!({"models": each}),
        },
    }
    .to_string()
}

/// One model.
pub fn one(dialect: Dialect, card: &Card<'_>) -> String {
    shape(dialect, card).to_string()
}

fn shape(dialect: Dialect, card: &Card<'_>) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => {
            json!({"id": card.id, "object": "model", "created": CREATED, "owned_by": card.owner})
        }
        Dialect::Anthropic => anthropic(card),
        Dialect::Gemini => gemini(card),
        Dialect::Cohere => cohere(card),
    }
}

fn anthropic(card: &Card<'_>) -> Value {
    json!({
        "type": "model",
        "id": card.id,
        "display_name": card.id,
        "created_at": CREATED_AT,
        "max_input_tokens": card.facts.context,
        "max_tokens": card.facts.max_output,
        "capabilities": (!card.facts.is_unknown()).then(|| capabilities(&card.facts)),
        "lifecycle": if card.retires_on.is_some() { "deprecated" } else { "active" },
        "retires_at": card.retires_on.as_ref().map(|day| format!("{day}T00:00:00Z")),
    })
}

fn capabilities(facts: &Facts) -> Value {
    let supported = |able: bool| json!({"supported": able});
    let has = |ability| supported(facts.has(ability));
    let effort = facts.has(Ability::OutputConfig);
    let thinking = facts.has(Ability::Reasoning);
    json!({
        // The gateway has no batches.
        "batch": supported(false),
        "citations": supported(false),
        "code_execution": supported(false),
        "context_management": {"supported": false},
        "effort": {
            "supported": effort,
            "low": supported(effort && !facts.lacks(Ability::EffortLow)),
            "medium": supported(effort),
            "high": supported(effort),
            "xhigh": supported(effort && facts.has(Ability::EffortXhigh)),
            "max": supported(effort && facts.has(Ability::EffortMax)),
        },
        "image_input": has(Ability::Vision),
        "pdf_input": has(Ability::Pdf),
        "server_tools": {"supported": facts.has(Ability::WebSearch), "web_search": has(Ability::WebSearch)},
        "structured_outputs": has(Ability::StructuredOutput),
        "thinking": {
            "supported": thinking,
            "types": {
                "adaptive": has(Ability::AdaptiveThinking),
                "between_tools": supported(false),
                "disabled": supported(true),
                "enabled": has(Ability::BudgetThinking),
            },
        },
    })
}

fn gemini(card: &Card<'_>) -> Value {
    let methods: &[&str] = match card.facts.mode {
        Some(Mode::Embedding) => &["embedContent", "batchEmbedContents", "countTokens"],
        None
        | Some(
            Mode::Chat
            | Mode::Responses
            | Mode::Completion
            | Mode::Image
            | Mode::Speech
            | Mode::Transcription
            | Mode::Moderation
            | Mode::Rerank
            | Mode::Other,
        ) => &["generateContent", "streamGenerateContent", "countTokens"],
    };
    let mut model = json!({
        "name": format!("models/{}", card.id),
        "displayName": card.id,
        "supportedGenerationMethods": methods,
    });
    let limits = [("inputTokenLimit", card.facts.context), ("outputTokenLimit", card.facts.max_output)];
    for (key, limit) in limits {
        // Protobuf's JSON leaves out what is not known.
        if let Some(limit) = limit {
            model[key] = limit.into();
        }
    }
    if card.facts.has(Ability::Reasoning) {
        model["thinking"] = true.into();
    }
    model
}

fn cohere(card: &Card<'_>) -> Value {
    let mut model = json!({
        "name": card.id,
        "is_deprecated": card.retires_on.is_some(),
        "endpoints": endpoints(card.facts.mode),
        "finetuned": false,
        "default_endpoints": [],
    });
    if let Some(context) = card.facts.context {
        model["context_length"] = context.into();
    }
    model
}

/// Which of Cohere's endpoints here serve such a model. One of which nothing is known most likely chats.
fn endpoints(mode: Option<Mode>) -> &'static [&'static str] {
    match mode {
        None | Some(Mode::Chat | Mode::Responses) => &["chat"],
        Some(Mode::Embedding) => &["embed"],
        Some(Mode::Rerank) => &["rerank"],
        Some(
            Mode::Completion
            | Mode::Image
            | Mode::Speech
            | Mode::Transcription
            | Mode::Moderation
            | Mode::Other,
        ) => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(id: &str) -> Card<'_> {
        Card { id, owner: "openai", facts: Facts::default(), retires_on: None }
    }

    fn known() -> Facts {
        let mut facts = Facts::default();
        facts.context = Some(1000);
        facts.max_output = Some(10);
        facts.mode = Some(Mode::Chat);
        facts.learn(Ability::Vision, true);
        facts.learn(Ability::Reasoning, true);
        facts
    }

    fn read(dialect: Dialect, cards: &[Card<'_>], query: &str) -> Value {
        let page = Page::parse(dialect, Some(query)).expect("a page");
        let ids: Vec<&str> = cards.iter().map(|card| card.id).collect();
        let cut = page.cut(&ids).expect("a page of the list");
        serde_json::from_str(&list(dialect, &cards[cut.places.clone()], &page, &cut)).expect("JSON")
    }

    #[test]
    fn each_dialect_gets_its_own_list() {
        let cards = [card("demo"), Card { facts: known(), ..card("b") }];
        assert_eq!(read(Dialect::OpenAi, &cards, "")["data"][0]["owned_by"], "openai");
        assert_eq!(read(Dialect::OpenAi, &cards, "").get("models"), None);
        let anthropic = read(Dialect::Anthropic, &cards, "");
        assert_eq!((&anthropic["last_id"], &anthropic["has_more"]), (&json!("b"), &json!(false)));
        assert_eq!(anthropic["data"][0]["max_input_tokens"], Value::Null);
        assert_eq!(anthropic["data"][0]["capabilities"], Value::Null);
        let b = &anthropic["data"][1];
        assert_eq!((&b["max_input_tokens"], &b["max_tokens"]), (&json!(1000), &json!(10)));
        assert_eq!(b["capabilities"]["image_input"]["supported"], true);
        assert_eq!(b["capabilities"]["pdf_input"]["supported"], false);
        let gemini = read(Dialect::Gemini, &cards, "");
        assert_eq!(gemini["models"][0]["name"], "models/demo");
        assert_eq!(gemini["models"][0].get("inputTokenLimit"), None);
        assert_eq!(gemini["models"][1]["inputTokenLimit"], 1000);
        assert_eq!(gemini["models"][1]["thinking"], true);
    }

    #[test]
    fn coheres_callers_learn_what_a_model_is_for() {
        let of = |mode| {
            let mut facts = Facts::default();
            facts.mode = mode;
            Card { facts, ..card("m") }
        };
        for (mode, endpoints) in [
            (None, json!(["chat"])),
            (Some(Mode::Responses), json!(["chat"])),
            (Some(Mode::Embedding), json!(["embed"])),
            (Some(Mode::Rerank), json!(["rerank"])),
            (Some(Mode::Speech), json!([])),
        ] {
            let shown: Value = serde_json::from_str(&one(Dialect::Cohere, &of(mode))).expect("JSON");
            assert_eq!(shown["endpoints"], endpoints, "{mode:?}");
            let page = Page::parse(Dialect::Cohere, Some("endpoint=embed")).expect("a page");
            assert_eq!(page.wants(|| of(mode).facts), mode == Some(Mode::Embedding));
        }
        let shown = read(Dialect::Cohere, &[Card { facts: known(), ..card("b") }], "");
        assert_eq!(shown["models"][0]["name"], "b");
        assert_eq!(
            (&shown["models"][0]["context_length"], shown.get("next_page_token")),
            (&json!(1000), None)
        );
        assert_eq!(read(Dialect::Cohere, &[card("a")], "")["models"][0].get("context_length"), None);
        assert!(Page::parse(Dialect::OpenAi, Some("endpoint=embed")).expect("a page").wants(known));
    }

    #[test]
    fn codex_finds_the_field_that_it_insists_on() {
        let answer = read(Dialect::OpenAi, &[card("a")], "client_version=0.155.1");
        assert_eq!((&answer["models"], &answer["data"][0]["id"]), (&json!([]), &json!("a")));
    }

    #[test]
    fn a_model_that_ends_says_when() {
        let card = Card { retires_on: Some("2027-01-31".to_owned()), ..card("a") };
        let shown: Value = serde_json::from_str(&one(Dialect::Anthropic, &card)).expect("JSON");
        assert_eq!(
            (&shown["lifecycle"], &shown["retires_at"]),
            (&json!("deprecated"), &json!("2027-01-31T00:00:00Z"))
        );
    }

    proptest! {
        /// Whoever follows the pages, forwards or backwards, sees every model once and in order.
        #[test]
        fn pages_are_the_list(count in 1_usize..120, size in 1_usize..50) {
            let ids: Vec<String> = (0..count).map(|number| format!("vendor/m {number}%")).collect();
            let cards: Vec<Card<'_>> = ids.iter().map(|id| card(id)).collect();
            let escaped = |id: &Value| id.as_str().unwrap().replace('%', "%25").replace('/', "%2F").replace(' ', "+");
            let mut seen: Vec<String> = Vec::new();
            let mut query = format!("limit={size}");
            loop {
                let answer = read(Dialect::Anthropic, &cards, &query);
                let page = answer["data"].as_array().unwrap();
                seen.extend(page.iter().map(|model| model["id"].as_str().unwrap().to_owned()));
                if answer["has_more"] == false { break }
                query = format!("limit={size}&after_id={}", escaped(&answer["last_id"]));
            }
            prop_assert_eq!(&seen, &ids);
            seen.clear();
            let mut query = format!("limit={size}&before_id={}", escaped(&json!(ids[count - 1])));
            loop {
                let answer = read(Dialect::Anthropic, &cards, &query);
                let page = answer["data"].as_array().unwrap();
                seen.extend(page.iter().rev().map(|model| model["id"].as_str().unwrap().to_owned()));
                if answer["has_more"] == false { break }
                query = format!("limit={size}&before_id={}", escaped(&answer["first_id"]));
            }
            seen.reverse();
            prop_assert_eq!(&seen, &ids[..count - 1]);
            seen.clear();
            let mut query = format!("pageSize={size}");
            loop {
                let answer = read(Dialect::Gemini, &cards, &query);
                let page = answer["models"].as_array().unwrap();
                seen.extend(page.iter().map(|model| model["displayName"].as_str().unwrap().to_owned()));
                let Some(next) = answer.get("nextPageToken") else { break };
                query = format!("pageSize={size}&pageToken={}", escaped(next));
            }
            prop_assert_eq!(&seen, &ids);
            seen.clear();
            let mut query = format!("page_size={size}");
            loop {
                let answer = read(Dialect::Cohere, &cards, &query);
                let page = answer["models"].as_array().unwrap();
                seen.extend(page.iter().map(|model| model["name"].as_str().unwrap().to_owned()));
                let Some(next) = answer.get("next_page_token") else { break };
                query = format!("page_size={size}&page_token={}", escaped(next));
            }
            prop_assert_eq!(&seen, &ids);
        }

        #[test]
        fn no_query_upsets_the_reader(query in "\\PC*", name in "limit|after_id|pageSize|pageToken|page_size|page_token|endpoint") {
            for dialect in Dialect::ALL {
                let page = Page::parse(dialect, Some(&format!("{name}={query}")));
                let _ = page.and_then(|page| page.cut(&["a", "b"]));
            }
        }
    }
}
