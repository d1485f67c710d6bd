//! The path and query that an upstream gets.

use std::fmt::Write;

use super::ways::{COHERE_VERSIONS, GEMINI_VERSIONS};
use super::{Entry, ModelAt};
use crate::dialect::{Dialect, Operation};

impl Entry<'_> {
    /// Path and query at an upstream with this base path, `model` in place of the caller's where the
    /// path names one. The caller's own `key` parameter is ours and never goes on.
    pub fn upstream_path(&self, base_path: &str, model: Option<&str>, query: Option<&str>) -> String {
        let base = below(self.dialect, self.tail.before, base_path);
        let mut path = String::with_capacity(
            base.len() + self.tail.before.len() + self.tail.model.len() + self.tail.after.len() + 64,
        );
        path.push_str(base);
        path.push_str(self.tail.before);
        // A caller's name with a slash may have looked like a resource; the upstream's may be a plain one.
        let plain = model.is_some_and(|model| !model.contains('/'));
        if self.dialect == Dialect::Gemini && self.tail.is_resource() && plain {
            path.push_str("models/");
        }
        match (&self.model, model) {
            (ModelAt::Path(asked), Some(model)) if asked != model => encode(&mut path, model, self.dialect),
            _ => path.push_str(self.tail.model),
        }
        path.push_str(self.tail.after);
        if path.is_empty() {
            path.push('/');
        }
        // A service's query is its own affair, to the last `&`.
        if let (Dialect::Http, Some(query)) = (self.dialect, query) {
            path.push('?');
            path.push_str(query);
            return path;
        }
        let mut separator = '?';
        for param in query.into_iter().flat_map(params).filter(|param| !is_key(param)) {
            path.push(separator);
            path.push_str(param);
            separator = '&';
        }
        path
    }
}

/// Path and query of an operation that we ask ourselves, at an upstream with this base path. `None` for
/// what is never translated.
pub fn own_path(dialect: Dialect, operation: Operation, base_path: &str, model: &str) -> Option<String> {
    let (before, after) = match operation {
        Operation::Chat => ("/chat/completions", None),
        Operation::Responses => ("/responses", None),
        Operation::Messages => ("/v1/messages", None),
        Operation::Generate => ("/v1beta/models/", Some(":generateContent")),
        Operation::StreamGenerate => ("/v1beta/models/", Some(":streamGenerateContent?alt=sse")),
        Operation::CohereChat => ("/v2/chat", None),
        Operation::Converse => ("/model/", Some("/converse")),
        Operation::ConverseStream => ("/model/", Some("/converse-stream")),
        Operation::OllamaChat => ("/api/chat", None),
        Operation::Embeddings => ("/embeddings", None),
        Operation::EmbedContent => ("/v1beta/models/", Some(":embedContent")),
        Operation::BatchEmbed => ("/v1beta/models/", Some(":batchEmbedContents")),
        Operation::CohereEmbed => ("/v2/embed", None),
        Operation::OllamaEmbed => ("/api/embed", None),
        Operation::Rerank if dialect == Dialect::Cohere => ("/v2/rerank", None),
        Operation::Rerank => ("/rerank", None),
        Operation::CountTokens => ("/v1/messages/count_tokens", None),
        Operation::GeminiCountTokens => ("/v1beta/models/", Some(":countTokens")),
        Operation::ResponsesInputTokens => ("/responses/input_tokens", None),
        Operation::BedrockCountTokens => ("/model/", Some("/count-tokens")),
        _ => return None,
    };
    let mut path = below(dialect, before, base_path).to_owned();
    path.push_str(before);
    if let Some(after) = after {
        encode(&mut path, model, dialect);
        path.push_str(after);
    }
    Some(path)
}

/// The base path without its slash, and without a version that the tail brings itself: people write
/// `https://api.anthropic.com/v1` as often as the bare host.
pub fn below<'b>(dialect: Dialect, tail: &str, base_path: &'b str) -> &'b str {
    let versions: &[&str] = match dialect {
        Dialect::Http => &[],
        Dialect::Cohere => &COHERE_VERSIONS,
        _ => &GEMINI_VERSIONS,
    };
    let base = base_path.trim_end_matches('/');
    let versioned = tail.split('/').nth(1).is_some_and(|segment| versions.contains(&segment));
    match base.rsplit_once('/') {
        Some((shorter, last)) if versioned && versions.contains(&last) => shorter,
        _ => base,
    }
}

/// Percent-encodes all but what may stand in a path segment, and the slash; at Bedrock, whose models may
/// be ARNs in one segment, the slash and the colon as well.
fn encode(path: &mut String, model: &str, dialect: Dialect) {
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            b'/' | b':' | b'@' if dialect != Dialect::Bedrock => path.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(path, "%{other:02X}")),
        }
    }
}

pub fn params(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|param| !param.is_empty())
}

pub fn is_key(param: &str) -> bool {
    param.split('=').next() == Some("key")
}
