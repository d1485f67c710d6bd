//! Lists of models as each dialect's clients read them (WIRE §3.7).

use serde_json::{Value, json};

use super::Dialect;

/// A model that can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Card<'a> {
    pub id: &'a str,
    pub owner: &'a str,
}

/// When a model was made is not known here, and the shapes demand a date: the epoch says so.
const CREATED: i64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

/// The whole list. There are never so many that paging would help, so it is one page.
pub fn list(dialect: Dialect, cards: &[Card<'_>]) -> String {
    let each: Vec<Value> = cards.iter().map(|card| shape(dialect, card)).collect();
    let ends = |card: Option<&Card<'_>>| card.map(|card| card.id.to_owned());
    match dialect {
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => json!({"object": "list", "data": each}),
        Dialect::Anthropic => json!({
            "data": each,
            "has_more": false,
            "first_id": ends(cards.first()),
            "last_id": ends(cards.last()),
        }),
        Dialect::Gemini => json!({"models": each}),
    }
    .to_string()
}

/// One model.
pub fn one(dialect: Dialect, card: &Card<'_>) -> String {
    shape(dialect, card).to_string()
}

fn shape(dialect: Dialect, card: &Card<'_>) -> Value {
    match dialect {
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => {
            json!({"id": card.id, "object": "model", "created": CREATED, "owned_by": card.owner})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": card.id, "display_name": card.id, "created_at": CREATED_AT})
        }
        Dialect::Gemini => json!({
            "name": format!("models/{}", card.id),
            "displayName": card.id,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_gets_its_own_list() {
        let cards = [Card { id: "demo", owner: "simulated" }, Card { id: "b", owner: "openai" }];
        let read = |dialect| serde_json::from_str::<Value>(&list(dialect, &cards)).expect("JSON");
        assert_eq!(read(Dialect::OpenAi)["data"][0]["owned_by"], "simulated");
        assert_eq!(read(Dialect::Anthropic)["last_id"], "b");
        assert_eq!(read(Dialect::Gemini)["models"][0]["name"], "models/demo");
    }
}
