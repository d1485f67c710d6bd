//! Where a request goes at a vendor: below which base, or at which path.
//!
//! A base URL is what the vendor's own SDK takes, and a dialect brings its own paths. The clouds have
//! paths of their own, and some vendors keep a second dialect at a second base; both are said here.
//! Sources: WIRE §3.8; learn.microsoft.com "Azure OpenAI reference"; cloud.google.com "Vertex AI,
//! publishers.models"; for seconds bases, the vendors' guides for Claude Code.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Provider, Rerank};
use crate::dialect::quirks::MaxTokens;
use crate::dialect::{Dialect, Operation, entry};

/// The api-version that Azure's older paths are asked with, where the operator names none: the newest
/// stable one, and for responses the first that has them all.
const AZURE_VERSION: &str = "2024-10-21";
const AZURE_RESPONSES_VERSION: &str = "2025-04-01-preview";
/// Versions before this day refuse them ("Responses API is enabled only for api-version 2025-03-01-preview and later").
const AZURE_RESPONSES_SINCE: &str = "2025-03-01";

/// Versions before this day refuse `max_completion_tokens` ("Unrecognized request argument supplied", seen with
/// 2024-08-01-preview), and serve no model that wants it.
const AZURE_COMPLETION_TOKENS_SINCE: &str = "2024-09-01";

/// How a vendor's paths come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Base URL and the dialect's own path.
    Dialect,
    /// The same, save that these dialects have a base of their own, beside the base URL's usual path.
    Bases(&'static [(Dialect, &'static str)]),
    /// `/openai/deployments/{model}/…?api-version=…`
    AzureLegacy,
    /// `/publishers/{publisher}/models/{model}:{verb}`
    Vertex,
}

/// What is asked of the vendor: the upstream's dialect and operation, after any translation.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub dialect: Dialect,
    pub operation: Operation,
    /// The name that the vendor knows it by.
    pub model: &'a str,
    pub delivery: Delivery,
    /// The caller's own query, where caller and upstream speak the same dialect.
    pub query: Option<&'a str>,
    /// The upstream's `api_version`.
    pub api_version: Option<&'a str>,
}

/// Whether the answer comes as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Whole,
    Streamed,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The dialect's own path, below this base path.
    Below(Cow<'a, str>),
    /// This path and query, from the host's root.
    At(String),
}

impl Provider {
    /// Where a call goes on an upstream with this base path.
    pub fn place<'a>(&self, base: &'a str, call: &Call<'_>) -> Place<'a> {
        if call.operation == Operation::Rerank
            && let Rerank::At(path) | Rerank::Voyage(path) = self.rerank
        {
            return Place::At(format!("{base}{path}"));
        }
        match self.paths {
            Paths::Dialect => Place::Below(Cow::Borrowed(base)),
            Paths::Bases(bases) => Place::Below(self.base_in(base, bases, call.dialect)),
            Paths::AzureLegacy if call.operation.is_of_responses() => {
                Place::Below(Cow::Owned(format!("{}/openai", azure_root(base))))
            }
            Paths::AzureLegacy => azure(base, call).map_or(Place::Below(Cow::Borrowed(base)), Place::At),
            Paths::Vertex => vertex(base, call).map_or(Place::Below(Cow::Borrowed(base)), Place::At),
        }
    }

    /// The api-version that has to go along with what is asked below a base.
    pub fn version_of<'c>(&self, call: &Call<'c>) -> Option<&'c str> {
        let is_wanted = self.paths == Paths::AzureLegacy && call.operation.is_of_responses();
        is_wanted.then(|| responses_version(call))
    }

    /// Whether it knows `max_completion_tokens`, asked with this api-version.
    pub fn knows_newer_limit(&self, api_version: Option<&str>) -> bool {
        let is_too_old = |version: &str| version < AZURE_COMPLETION_TOKENS_SINCE;
        self.quirks.max_tokens == MaxTokens::Completion
            && (self.paths != Paths::AzureLegacy || !api_version.is_some_and(is_too_old))
    }

    /// The path to ask for the list of models, with which an upstream is probed.
    pub fn models_path(&self, base: &str) -> Option<String> {
        let super::Probe::Models(path) = self.probe else { return None };
        let first = self.speaks.first().copied();
        let base = match (self.paths, first) {
            (Paths::Bases(bases), Some(first)) => self.base_in(base, bases, first),
            (Paths::Bases(_) | Paths::Dialect | Paths::AzureLegacy | Paths::Vertex, _) => Cow::Borrowed(base),
        };
        let base = first.map_or(&*base, |first| entry::below(first, path, &base));
        Some(format!("{base}{path}"))
    }

    /// The base path of `dialect`. Operators write any of the vendor's base URLs, and mean them all.
    fn base_in<'a>(
        &self,
        base: &'a str,
        bases: &'static [(Dialect, &'static str)],
        dialect: Dialect,
    ) -> Cow<'a, str> {
        let own = |(of, path): &(Dialect, &'static str)| (*of == dialect).then_some(*path);
        let wanted = bases.iter().find_map(own).unwrap_or(self.base_path);
        let known = bases.iter().map(|(_, path)| *path).chain([self.base_path]);
        let longest = known.filter(|path| base.ends_with(path)).max_by_key(|path| path.len()).unwrap_or("");
        let root = base.strip_suffix(longest).unwrap_or(base);
        if longest == wanted { Cow::Borrowed(base) } else { Cow::Owned(format!("{root}{wanted}")) }
    }
}

fn azure_root(base: &str) -> &str {
    base.strip_suffix("/openai").unwrap_or(base)
}

fn responses_version<'c>(call: &Call<'c>) -> &'c str {
    let knows = |version: &&str| *version >= AZURE_RESPONSES_SINCE;
    call.api_version.filter(knows).unwrap_or(AZURE_RESPONSES_VERSION)
}

/// `None` for what the older paths do not have.
fn azure(base: &str, call: &Call<'_>) -> Option<String> {
    let root = azure_root(base);
    let below = match call.operation {
        Operation::Chat => "/chat/completions",
        Operation::Completions => "/completions",
        Operation::Embeddings => "/embeddings",
        Operation::Images => "/images/generations",
        Operation::ImageEdits => "/images/edits",
        Operation::Speech => "/audio/speech",
        Operation::Transcriptions => "/audio/transcriptions",
        Operation::Translations => "/audio/translations",
        Operation::Responses => {
            return Some(format!("{root}/openai/responses?api-version={}", responses_version(call)));
        }
        Operation::Models => {
            let version = call.api_version.unwrap_or(AZURE_VERSION);
            return Some(format!("{root}/openai/models?api-version={version}"));
        }
        Operation::ResponsesInputTokens
        | Operation::ResponsesCompact
        | Operation::ImageVariations
        | Operation::Moderations
        | Operation::Model
        | Operation::Messages
        | Operation::CountTokens
        | Operation::Generate
        | Operation::StreamGenerate
        | Operation::EmbedContent
        | Operation::BatchEmbed
        | Operation::GeminiCountTokens
        | Operation::CohereChat
        | Operation::CohereEmbed
        | Operation::Rerank
        | Operation::Converse
        | Operation::ConverseStream
        | Operation::BedrockCountTokens
        | Operation::OllamaChat
        | Operation::OllamaEmbed
        | Operation::VertexPredict
        | Operation::Files
        | Operation::Batches
        | Operation::StoredResponses
        | Operation::Conversations
        | Operation::Opaque => return None,
    };
    let mut path = format!("{root}/openai/deployments/");
    segment(&mut path, call.model);
    path.push_str(below);
    path.push_str("?api-version=");
    path.push_str(call.api_version.unwrap_or(AZURE_VERSION));
    Some(path)
}

/// `None` for what Vertex does not have.
fn vertex(base: &str, call: &Call<'_>) -> Option<String> {
    let (publisher, verb) = match call.operation {
        Operation::Generate => ("google", "generateContent"),
        Operation::StreamGenerate => ("google", "streamGenerateContent"),
        Operation::GeminiCountTokens => ("google", "countTokens"),
        Operation::EmbedContent => ("google", "embedContent"),
        Operation::BatchEmbed => ("google", "batchEmbedContents"),
        Operation::VertexPredict => ("google", "predict"),
        Operation::Messages if call.delivery == Delivery::Streamed => ("anthropic", "streamRawPredict"),
        Operation::Messages => ("anthropic", "rawPredict"),
        // The model stays in the body.
        Operation::CountTokens => {
            return Some(format!("{base}/publishers/anthropic/models/count-tokens:rawPredict"));
        }
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Responses
        | Operation::ResponsesInputTokens
        | Operation::ResponsesCompact
        | Operation::Images
        | Operation::ImageEdits
        | Operation::ImageVariations
        | Operation::Speech
        | Operation::Transcriptions
        | Operation::Translations
        | Operation::Moderations
        | Operation::Models
        | Operation::Model
        | Operation::CohereChat
        | Operation::CohereEmbed
        | Operation::Rerank
        | Operation::Converse
        | Operation::ConverseStream
        | Operation::BedrockCountTokens
        | Operation::OllamaChat
        | Operation::OllamaEmbed
        | Operation::Files
        | Operation::Batches
        | Operation::StoredResponses
        | Operation::Conversations
        | Operation::Opaque => return None,
    };
    let model = call.model.strip_prefix("models/").unwrap_or(call.model);
    let mut path = format!("{base}/publishers/{publisher}/models/");
    segment(&mut path, model);
    path.push(':');
    path.push_str(verb);
    if publisher == "google" {
        let query = call.query.unwrap_or_default();
        let params = query.split('&').filter(|param| !param.is_empty() && !param.starts_with("key="));
        let asked = call.query.is_none() && call.operation == Operation::StreamGenerate;
        for (index, param) in params.chain(asked.then_some("alt=sse")).enumerate() {
            path.push(if index == 0 { '?' } else { '&' });
            path.push_str(param);
        }
    }
    Some(path)
}

/// A model's name as one segment of a path. `@` stands as it is: versions are written with it.
fn segment(path: &mut String, model: &str) {
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PROVIDERS, Probe, find};
    use super::*;
    use crate::dialect::entry::own_path;

    const PROJECT: &str = "/v1/projects/p/locations/l";

    fn call(dialect: Dialect, operation: Operation, model: &str) -> Call<'_> {
        Call { dialect, operation, model, delivery: Delivery::Whole, query: None, api_version: None }
    }

    fn at(provider: &str, base: &str, call: &Call<'_>) -> String {
        match find(provider).expect("a row").place(base, call) {
            Place::At(path) => path,
            Place::Below(base) => panic!("below {base}"),
        }
    }

    #[test]
    fn vertex_has_a_path_for_each_publisher() {
        let check = |call: Call<'_>, path: &str| {
            assert_eq!(at("vertex", PROJECT, &call), format!("{PROJECT}/publishers/{path}"));
        };
        let gemini = |operation| call(Dialect::Gemini, operation, "gemini-2.5-pro");
        check(gemini(Operation::Generate), "google/models/gemini-2.5-pro:generateContent");
        let stream = gemini(Operation::StreamGenerate);
        check(stream, "google/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
        let array = Call { query: Some("key=mine&a=1"), ..stream };
        check(array, "google/models/gemini-2.5-pro:streamGenerateContent?a=1");
        check(gemini(Operation::VertexPredict), "google/models/gemini-2.5-pro:predict");
        check(gemini(Operation::GeminiCountTokens), "google/models/gemini-2.5-pro:countTokens");
        let claude = |operation| call(Dialect::Anthropic, operation, "claude-sonnet-4-5@20250929");
        let messages = claude(Operation::Messages);
        check(messages, "anthropic/models/claude-sonnet-4-5@20250929:rawPredict");
        let stream = Call { delivery: Delivery::Streamed, query: Some("beta=true"), ..messages };
        check(stream, "anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict");
        check(claude(Operation::CountTokens), "anthropic/models/count-tokens:rawPredict");
        let odd = call(Dialect::Gemini, Operation::Generate, "a/../b:c");
        check(odd, "google/models/a%2F..%2Fb%3Ac:generateContent");
    }

    #[test]
    fn azures_older_paths_name_deployment_and_version() {
        let chat = call(Dialect::OpenAi, Operation::Chat, "my gpt");
        let path = "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
        assert_eq!(at("azure-legacy", "", &chat), path);
        assert_eq!(at("azure-legacy", "/openai", &chat), path);
        let dated = Call { api_version: Some("2025-01-01-preview"), ..chat };
        let path = "/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01-preview";
        assert_eq!(at("azure-legacy", "", &dated), path);
        let responses = call(Dialect::Responses, Operation::Responses, "gpt-5");
        let path = "/openai/responses?api-version=2025-04-01-preview";
        assert_eq!(at("azure-legacy", "", &responses), path);
        // What is older does not know them.
        for (version, asked) in [
            ("2024-10-21", "2025-04-01-preview"),
            ("2025-02-01-preview", "2025-04-01-preview"),
            ("2025-03-01-preview", "2025-03-01-preview"),
            ("preview", "preview"),
        ] {
            let dated = Call { api_version: Some(version), ..responses };
            let path = format!("/openai/responses?api-version={asked}");
            assert_eq!(at("azure-legacy", "", &dated), path, "{version}");
        }
    }

    #[test]
    fn any_base_of_a_vendor_leads_to_all_of_them() {
        let check = |provider: &str, base: &str, dialect, below: &str| {
            let call = call(dialect, Operation::Chat, "m");
            let place = find(provider).expect("a row").place(base, &call);
            assert_eq!(place, Place::Below(below.into()), "{provider} {base} {dialect}");
        };
        check("openai", "/v1", Dialect::OpenAi, "/v1");
        check("zai", "/api/paas/v4", Dialect::OpenAi, "/api/paas/v4");
        check("zai", "/api/paas/v4", Dialect::Anthropic, "/api/anthropic");
        check("zai", "/api/anthropic", Dialect::OpenAi, "/api/paas/v4");
        check("deepseek", "", Dialect::Anthropic, "/anthropic");
        check("deepseek", "/anthropic", Dialect::OpenAi, "");
        check("ollama", "/v1", Dialect::Ollama, "");
        check("ollama", "", Dialect::OpenAi, "/v1");
        check("ollama", "/behind/v1", Dialect::OpenAi, "/behind/v1");
        let ollama = find("ollama").expect("a row");
        assert_eq!(ollama.models_path("/behind/v1").as_deref(), Some("/behind/api/tags"));
        let deepseek = find("deepseek").expect("a row");
        assert_eq!(deepseek.models_path("/anthropic").as_deref(), Some("/models"));
    }

    #[test]
    fn probes_go_below_the_same_base_as_requests() {
        let listed = PROVIDERS.iter().filter_map(|row| match (row.probe, row.speaks.first()) {
            (Probe::Models(path), Some(first)) => Some((row, *first, path)),
            _ => None,
        });
        for (row, dialect, list) in listed {
            let (operation, tail) = match dialect {
                Dialect::Anthropic => (Operation::Messages, "/v1/messages"),
                Dialect::Gemini => (Operation::Generate, "/v1beta/models/m:generateContent"),
                Dialect::Cohere => (Operation::CohereChat, "/v2/chat"),
                Dialect::Ollama => (Operation::OllamaChat, "/api/chat"),
                _ => (Operation::Chat, "/chat/completions"),
            };
            for root in ["", "/behind"] {
                for version in ["", "/v1", "/v1beta", "/v1alpha", "/v2", "/v1/x", "/xv1"] {
                    let base = format!("{root}{version}");
                    let call = call(dialect, operation, "m");
                    let Place::Below(below) = row.place(&base, &call) else { panic!("{} {base}", row.name) };
                    let asked = own_path(dialect, operation, &below, "m").expect("a path");
                    let probed = row.models_path(&base).expect("a list of models");
                    let cut = |path: &str, tail: &str| path.strip_suffix(tail).map(str::to_owned);
                    assert_eq!(
                        cut(&probed, list),
                        cut(&asked, tail),
                        "{} {base}: {probed} {asked}",
                        row.name
                    );
                }
            }
        }
    }

    #[test]
    fn only_whoever_knows_the_limits_newer_name_hears_it() {
        let knows = |name, version| find(name).expect("a row").knows_newer_limit(version);
        for name in ["openai", "azure", "azure-legacy", "cerebras"] {
            assert!(knows(name, None), "{name}");
        }
        for name in ["custom", "groq", "mistral", "deepseek", "vllm", "openrouter"] {
            assert!(!knows(name, None), "{name}");
        }
        assert!(!knows("azure-legacy", Some("2024-08-01-preview")));
        assert!(knows("azure-legacy", Some("2024-09-01-preview")));
    }

    #[test]
    fn a_reranker_takes_coheres_question_at_its_own_path() {
        let rerank = call(Dialect::Cohere, Operation::Rerank, "rerank-2.5");
        assert_eq!(at("voyage", "/v1", &rerank), "/v1/rerank");
        let cohere = find("cohere").expect("a row");
        assert_eq!(cohere.place("", &rerank), Place::Below("".into()));
    }
}
