//! What a request's attempts are metered by, and the labels that its row has: what the ledger is told beside what
//! `settle` knows.

use std::sync::Arc;

use http::HeaderMap;

use crate::dialect::Operation;
use crate::state::books::Metering;

/// Longest value of a label, in bytes.
const LONGEST_TAG: usize = 64;

/// By what kind of request it is; its prompt has about so many tokens.
pub const fn of(operation: Operation, prompt_tokens: u64) -> Metering {
    match operation {
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Responses
        | Operation::ResponsesCompact
        | Operation::Messages
        | Operation::Generate
        | Operation::StreamGenerate
        | Operation::EmbedContent
        | Operation::BatchEmbed
        | Operation::CohereChat
        | Operation::CohereEmbed
        | Operation::Converse
        | Operation::ConverseStream
        | Operation::OllamaChat
        | Operation::OllamaEmbed
        | Operation::VertexPredict => Metering::Tokens(prompt_tokens),
        Operation::Images
        | Operation::ImageEdits
        | Operation::ImageVariations
        | Operation::Speech
        | Operation::Transcriptions
        | Operation::Translations
        | Operation::Rerank => Metering::Told,
        // What is left in a batch is charged when it is done, to nobody who is still here.
        Operation::ResponsesInputTokens
        | Operation::Moderations
        | Operation::Models
        | Operation::Model
        | Operation::CountTokens
        | Operation::GeminiCountTokens
        | Operation::BedrockCountTokens
        | Operation::Files
        | Operation::Batches
        | Operation::StoredResponses
        | Operation::Conversations
        | Operation::Opaque => Metering::Free,
    }
}

/// The values of those headers that the operator allowed, in his order, as far as they are short and can be read.
pub fn tags(allowed: &[Arc<str>], headers: &HeaderMap) -> Vec<(Arc<str>, Box<str>)> {
    let value = |name: &Arc<str>| {
        let text = std::str::from_utf8(headers.get(&**name)?.as_bytes()).ok()?;
        let is_fit = (1..=LONGEST_TAG).contains(&text.len()) && !text.contains(char::is_control);
        is_fit.then(|| (Arc::clone(name), text.into()))
    };
    allowed.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_allowed_headers_that_are_short_and_visible_become_labels() {
        let mut headers = HeaderMap::new();
        let values: [(&str, &[u8]); 8] = [
            ("x-customer", b"acme inc"),
            ("x-empty", b""),
            ("x-long", &[b'x'; LONGEST_TAG + 1]),
            ("x-name", "café".as_bytes()),
            ("x-raw", b"caf\xe9"),
            ("x-tab", b"a\tb"),
            ("x-other", b"not asked for"),
            ("x-just", &[b'y'; LONGEST_TAG]),
        ];
        for (name, value) in values {
            headers.insert(name, HeaderValue::from_bytes(value).expect("it is a value"));
        }
        let allowed = ["x-just", "x-long", "x-raw", "x-tab", "x-name", "x-none", "x-empty", "x-customer"]
            .map(Arc::from);
        let tags = tags(&allowed, &headers);
        let tags: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (&**name, &**value)).collect();
        let just = "y".repeat(LONGEST_TAG);
        assert_eq!(tags, [("x-just", &*just), ("x-name", "café"), ("x-customer", "acme inc")]);
    }
}
