//! The ways in: which dialect and operation a method and a path mean, and where the model is named.
//!
//! One table (`WAYS`) for what has a fixed path, one rule for `…/models…`, which three dialects
//! share. Says nothing about routes: a path that is no way in may still belong to an `http` route.
//! Source: DESIGN §2 "Ways in", WIRE §2.1 and §3.7.

use std::borrow::Cow;
use std::fmt::Write;

use http::{HeaderMap, Method};

use super::{Dialect, Operation};

/// What a request asks for, as far as its first line and headers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub dialect: Dialect,
    pub operation: Operation,
    pub model: ModelAt<'a>,
    tail: Tail<'a>,
}

/// Where a request names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelAt<'a> {
    /// In the JSON body.
    Body,
    /// In a form's part, or in the JSON body when the request has one.
    Multipart,
    /// In the path; decoded.
    Path(Cow<'a, str>),
    Nowhere,
}

impl Tail<'_> {
    /// Gemini's path of something that need not be a model.
    fn is_resource(&self) -> bool {
        !self.model.is_empty() && self.after.starts_with(':') && !self.before.ends_with("models/")
    }
}

/// No way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    NotFound { dialect: Dialect },
    MethodNotAllowed { dialect: Dialect, allow: &'static str },
}

/// What is appended to an upstream's base path. `model` is as the caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tail<'a> {
    before: &'a str,
    model: &'a str,
    after: &'a str,
}

/// One fixed path.
struct Way {
    path: &'static str,
    operation: Operation,
    dialect: Dialect,
    model: Named,
    /// How much of `path` is ours and not the upstream's.
    ours: &'static str,
}

#[derive(Clone, Copy)]
enum Named {
    Json,
    Form,
}

const fn openai(path: &'static str, operation: Operation, model: Named) -> Way {
    Way { path, operation, dialect: Dialect::OpenAi, model, ours: "/v1" }
}

const fn responses(path: &'static str, operation: Operation) -> Way {
    Way { path, operation, dialect: Dialect::Responses, model: Named::Json, ours: "/v1" }
}

const fn anthropic(path: &'static str, operation: Operation, ours: &'static str) -> Way {
    Way { path, operation, dialect: Dialect::Anthropic, model: Named::Json, ours }
}

const fn cohere(path: &'static str, operation: Operation) -> Way {
    Way { path, operation, dialect: Dialect::Cohere, model: Named::Json, ours: "/cohere" }
}

/// Every fixed path; all are `POST`. An OpenAI base URL contains `/v1`, the others are bare hosts.
const WAYS: &[Way] = &[
    openai("/v1/chat/completions", Operation::Chat, Named::Json),
    openai("/v1/completions", Operation::Completions, Named::Json),
    openai("/v1/embeddings", Operation::Embeddings, Named::Json),
    openai("/v1/moderations", Operation::Moderations, Named::Json),
    openai("/v1/images/generations", Operation::Images, Named::Json),
    openai("/v1/images/edits", Operation::ImageEdits, Named::Form),
    openai("/v1/images/variations", Operation::ImageVariations, Named::Form),
    openai("/v1/audio/speech", Operation::Speech, Named::Json),
    openai("/v1/audio/transcriptions", Operation::Transcriptions, Named::Form),
    openai("/v1/audio/translations", Operation::Translations, Named::Form),
    responses("/v1/responses", Operation::Responses),
    responses("/v1/responses/compact", Operation::ResponsesCompact),
    responses("/v1/responses/input_tokens", Operation::ResponsesInputTokens),
    anthropic("/anthropic/v1/messages", Operation::Messages, "/anthropic"),
    anthropic("/anthropic/v1/messages/count_tokens", Operation::CountTokens, "/anthropic"),
    // Claude Code and others append only this to a bare host.
    anthropic("/v1/messages", Operation::Messages, ""),
    anthropic("/v1/messages/count_tokens", Operation::CountTokens, ""),
    cohere("/cohere/v2/chat", Operation::CohereChat),
    cohere("/cohere/v2/embed", Operation::CohereEmbed),
    cohere("/cohere/v2/rerank", Operation::Rerank),
    // What Jina, Voyage and others share, and what Continue asks for.
    openai("/v1/rerank", Operation::Rerank, Named::Json),
];

/// What Gemini's callers write behind a model, all `POST`.
const VERBS: &[(&str, Operation)] = &[
    ("generateContent", Operation::Generate),
    ("streamGenerateContent", Operation::StreamGenerate),
    ("embedContent", Operation::EmbedContent),
    ("batchEmbedContents", Operation::BatchEmbed),
    ("countTokens", Operation::GeminiCountTokens),
];

/// What Bedrock's callers write behind a model, all `POST`.
const BEDROCK_VERBS: &[(&str, Operation)] = &[
    ("/converse", Operation::Converse),
    ("/converse-stream", Operation::ConverseStream),
    ("/count-tokens", Operation::BedrockCountTokens),
];

const GEMINI_VERSIONS: [&str; 3] = ["v1", "v1beta", "v1alpha"];

/// The dialect and operation of a request. `path` is raw: percent-encoded, without the query.
pub fn find<'a>(
    method: &Method,
    path: &'a str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Entry<'a>, Miss> {
    if let Some(way) = WAYS.iter().find(|way| way.path == path) {
        if method != Method::POST {
            return Err(Miss::MethodNotAllowed { dialect: way.dialect, allow: "POST" });
        }
        return Ok(Entry {
            dialect: way.dialect,
            operation: way.operation,
            model: match way.model {
                Named::Json => ModelAt::Body,
                Named::Form => ModelAt::Multipart,
            },
            tail: Tail { before: way.path.strip_prefix(way.ours).unwrap_or(way.path), model: "", after: "" },
        });
    }
    let (owner, rest) = owner(path);
    if owner == Some(Dialect::Bedrock) {
        return bedrock(method, rest);
    }
    let listing = rest
        .strip_prefix('/')
        .and_then(|rest| rest.split_once('/'))
        .filter(|(version, _)| GEMINI_VERSIONS.contains(version))
        .and_then(|(_, list)| list.strip_prefix("models"))
        .filter(|list| list.is_empty() || list.starts_with('/'));
    let dialect = owner.unwrap_or_else(|| asked_shape(query, headers));
    if let (Some(Dialect::Gemini), None, Some(entry)) = (owner, listing, resource(rest)) {
        return if method == Method::POST {
            Ok(entry)
        } else {
            Err(Miss::MethodNotAllowed { dialect, allow: "POST" })
        };
    }
    match listing {
        Some(list) => models(method, rest, list, owner, dialect),
        None if owner.is_none() && !rest.starts_with("/v1/") => {
            Err(Miss::NotFound { dialect: Dialect::Http })
        }
        None => Err(Miss::NotFound { dialect }),
    }
}

/// Whose path this is, where it says so, and the path without our own prefix.
fn owner(path: &str) -> (Option<Dialect>, &str) {
    const OWNERS: [(&str, Dialect); 4] = [
        ("/anthropic", Dialect::Anthropic),
        ("/gemini", Dialect::Gemini),
        ("/cohere", Dialect::Cohere),
        ("/bedrock", Dialect::Bedrock),
    ];
    for (prefix, dialect) in OWNERS {
        if let Some(rest) = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) {
            return (Some(dialect), rest);
        }
    }
    let google = path.starts_with("/v1beta/") || path.starts_with("/v1alpha/");
    (google.then_some(Dialect::Gemini), path)
}

/// `/v1/models` belongs to three dialects; only the headers tell them apart (WIRE §3.7).
fn asked_shape(query: Option<&str>, headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") || query.is_some_and(|q| params(q).any(is_key)) {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

/// `/{version}/{model}:{verb}`, where the model's name has a slash: some SDKs take it for a resource's path
/// (`tunedModels/x`) and leave `models/` out.
fn resource(rest: &str) -> Option<Entry<'_>> {
    let (version, named) = rest.strip_prefix('/')?.split_once('/')?;
    let (raw, verb) = named.rsplit_once(':').filter(|(raw, _)| raw.contains('/'))?;
    let (_, operation) = VERBS.iter().find(|(name, _)| *name == verb)?;
    let before = rest.get(..version.len() + 2).filter(|_| GEMINI_VERSIONS.contains(&version))?;
    let after = named.get(raw.len()..)?;
    let model = ModelAt::Path(decode(raw)?);
    Some(Entry {
        dialect: Dialect::Gemini,
        operation: *operation,
        model,
        tail: Tail { before, model: raw, after },
    })
}

/// `/model/{model}/{verb}`; the model is percent-encoded, as its ARN may have slashes.
fn bedrock<'a>(method: &Method, rest: &'a str) -> Result<Entry<'a>, Miss> {
    let dialect = Dialect::Bedrock;
    let not_found = Miss::NotFound { dialect };
    let named = rest.strip_prefix("/model/").ok_or(not_found)?;
    let split = BEDROCK_VERBS
        .iter()
        .find_map(|(verb, operation)| Some((named.strip_suffix(verb)?, *verb, *operation)));
    let (raw, after, operation) = split.filter(|(raw, _, _)| !raw.is_empty()).ok_or(not_found)?;
    if method != Method::POST {
        return Err(Miss::MethodNotAllowed { dialect, allow: "POST" });
    }
    let model = decode(raw).ok_or(not_found)?;
    Ok(Entry {
        dialect,
        operation,
        model: ModelAt::Path(model),
        tail: Tail { before: "/model/", model: raw, after },
    })
}

/// `…/models`, `…/models/{model}` and `…/models/{model}:{verb}`; `list` is what follows `models`.
fn models<'a>(
    method: &Method,
    rest: &'a str,
    list: &'a str,
    owner: Option<Dialect>,
    asked: Dialect,
) -> Result<Entry<'a>, Miss> {
    let named = list.strip_prefix('/').unwrap_or_default();
    let verb = named.rsplit_once(':').and_then(|(model, verb)| {
        let (_, operation) = VERBS.iter().find(|(name, _)| *name == verb)?;
        Some((model, *operation))
    });
    let may_be_gemini = matches!(owner, None | Some(Dialect::Gemini));
    let (dialect, operation, raw, right, allow) = match verb {
        Some((model, operation)) if may_be_gemini => {
            (Dialect::Gemini, operation, model, Method::POST, "POST")
        }
        _ if list.is_empty() => (asked, Operation::Models, "", Method::GET, "GET"),
        _ => (asked, Operation::Model, named, Method::GET, "GET"),
    };
    // A verb that we do not know is a missing page, not a wrong method.
    if dialect == Dialect::Gemini && operation == Operation::Model && named.contains(':') {
        return Err(Miss::NotFound { dialect });
    }
    if *method != right {
        return Err(Miss::MethodNotAllowed { dialect, allow });
    }
    let tail = match dialect {
        Dialect::OpenAi => rest.strip_prefix("/v1").unwrap_or(rest),
        Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => rest,
    };
    let not_found = Miss::NotFound { dialect };
    if operation == Operation::Models {
        let tail = Tail { before: tail, model: "", after: "" };
        return Ok(Entry { dialect, operation, model: ModelAt::Nowhere, tail });
    }
    let before = tail.strip_suffix(named).ok_or(not_found)?;
    let after = named.strip_prefix(raw).ok_or(not_found)?;
    let model = decode(raw).ok_or(not_found)?;
    Ok(Entry { dialect, operation, model: ModelAt::Path(model), tail: Tail { before, model: raw, after } })
}

/// A model's name out of a path; `None` for what no model is called and some server might misread.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let model = if raw.contains('%') {
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let high = char::from(rest.next()?).to_digit(16)?;
                    let low = char::from(rest.next()?).to_digit(16)?;
                    (high * 16 + low) as u8
                }
                other => other,
            });
        }
        Cow::Owned(String::from_utf8(bytes).ok()?)
    } else {
        Cow::Borrowed(raw)
    };
    let sound = model.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        && !model.contains(|c: char| c.is_control() || matches!(c, '?' | '#' | '\\'));
    sound.then_some(model)
}

impl<'a> Entry<'a> {
    /// A request of an `http` route: `path` is what is left of its path, raw.
    pub fn opaque(path: &'a str) -> Self {
        Self {
            dialect: Dialect::Http,
            operation: Operation::Opaque,
            model: ModelAt::Nowhere,
            tail: Tail { before: path, model: "", after: "" },
        }
    }

    /// Path and query at an upstream with this base path, `model` in place of the caller's where the
    /// path names one. The caller's own `key` parameter is ours and never goes on.
    pub fn upstream_path(&self, base_path: &str, model: Option<&str>, query: Option<&str>) -> String {
        let base = base(self.dialect, self.tail.before, base_path);
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
    let mut path = base(dialect, before, base_path).to_owned();
    path.push_str(before);
    if let Some(after) = after {
        encode(&mut path, model, dialect);
        path.push_str(after);
    }
    Some(path)
}

/// The base path without its slash, and without a version that the tail brings itself: people write
/// `https://api.anthropic.com/v1` as often as the bare host.
fn base<'b>(dialect: Dialect, tail: &str, base_path: &'b str) -> &'b str {
    let base = base_path.trim_end_matches('/');
    let versioned = tail.split('/').nth(1).is_some_and(|segment| GEMINI_VERSIONS.contains(&segment));
    match base.rsplit_once('/') {
        Some((shorter, last)) if dialect != Dialect::Http && GEMINI_VERSIONS.contains(&last) && versioned => {
            shorter
        }
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

fn params(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|param| !param.is_empty())
}

fn is_key(param: &str) -> bool {
    param.split('=').next() == Some("key")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| ((*name).parse().expect("a name"), "x".parse().expect("a value"))).collect()
    }

    /// `POST /path [header…]` -> `dialect operation model -> upstream path at base`.
    fn check(request: &str, base: &str, model: Option<&str>, expected: &str) {
        let mut words = request.split(' ');
        let method: Method = words.next().expect("a method").parse().expect("a method");
        let (path, query) = match words.next().expect("a path").split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (request.split(' ').nth(1).expect("a path").to_owned(), None),
        };
        let names: Vec<&'static str> = words.map(|word| &*word.to_owned().leak()).collect();
        let said = match find(&method, &path, query.as_deref(), &headers(&names)) {
            Ok(entry) => {
                let at = match &entry.model {
                    ModelAt::Body => "body",
                    ModelAt::Multipart => "form",
                    ModelAt::Path(model) => model,
                    ModelAt::Nowhere => "-",
                };
                let upstream = entry.upstream_path(base, model, query.as_deref());
                format!("{} {} {at} -> {upstream}", entry.dialect, entry.operation.name())
            }
            Err(Miss::NotFound { dialect }) => format!("{dialect} not found"),
            Err(Miss::MethodNotAllowed { dialect, allow }) => format!("{dialect} wants {allow}"),
        };
        assert_eq!(said, expected, "{request}");
    }

    #[test]
    fn openai_comes_in_under_v1() {
        check("POST /v1/chat/completions", "/v1", None, "openai chat body -> /v1/chat/completions");
        check(
            "POST /v1/chat/completions",
            "/openai/v1/",
            None,
            "openai chat body -> /openai/v1/chat/completions",
        );
        check("POST /v1/chat/completions", "", None, "openai chat body -> /chat/completions");
        check(
            "POST /v1/audio/transcriptions",
            "/v1",
            None,
            "openai transcriptions form -> /v1/audio/transcriptions",
        );
        check("POST /v1/responses?x=1", "/v1", None, "responses responses body -> /v1/responses?x=1");
        check(
            "POST /v1/responses/compact",
            "/v1",
            None,
            "responses responses_compact body -> /v1/responses/compact",
        );
        check("GET /v1/models", "/v1", None, "openai models - -> /v1/models");
        check(
            "GET /v1/models/openai/gpt-5",
            "/v1",
            None,
            "openai model openai/gpt-5 -> /v1/models/openai/gpt-5",
        );
    }

    #[test]
    fn anthropic_comes_in_under_its_prefix_and_at_the_root() {
        let expected = "anthropic messages body -> /v1/messages?beta=true";
        check("POST /anthropic/v1/messages?beta=true", "", None, expected);
        check("POST /v1/messages?beta=true", "/", None, expected);
        check("POST /v1/messages?beta=true", "/v1", None, expected);
        check(
            "POST /v1/messages/count_tokens",
            "/a",
            None,
            "anthropic count_tokens body -> /a/v1/messages/count_tokens",
        );
        check("GET /anthropic/v1/models/c", "", None, "anthropic model c -> /v1/models/c");
    }

    #[test]
    fn gemini_comes_in_under_three_versions_with_its_model_in_the_path() {
        let request = "POST /v1beta/models/gemini-2.5:streamGenerateContent?alt=sse&key=AIza";
        let expected =
            "gemini stream_generate gemini-2.5 -> /v1beta/models/gemini-2.5:streamGenerateContent?alt=sse";
        check(request, "", None, expected);
        check(request, "/v1beta", None, expected);
        check(request, "/v1", None, expected);
        check(
            "POST /gemini/v1/models/a%20b:countTokens",
            "/x",
            Some("tuned ü/m"),
            "gemini gemini_count_tokens a b -> /x/v1/models/tuned%20%C3%BC/m:countTokens",
        );
        check(
            "POST /v1/models/g:embedContent",
            "",
            Some("g"),
            "gemini embed_content g -> /v1/models/g:embedContent",
        );
        check("POST /v1alpha/models/g:dance", "", None, "gemini not found");
        check("GET /v1beta/models/g:generateContent", "", None, "gemini wants POST");
    }

    #[test]
    fn the_list_of_models_has_the_shape_that_the_headers_ask_for() {
        check("GET /v1/models x-api-key", "", None, "anthropic models - -> /v1/models");
        check("GET /v1/models anthropic-version", "", None, "anthropic models - -> /v1/models");
        check("GET /v1/models x-goog-api-key", "", None, "gemini models - -> /v1/models");
        check("GET /v1/models?key=k", "", None, "gemini models - -> /v1/models");
        check(
            "GET /gemini/v1beta/models?pageSize=5",
            "",
            None,
            "gemini models - -> /v1beta/models?pageSize=5",
        );
        check("POST /v1/models", "", None, "openai wants GET");
    }

    #[test]
    fn a_miss_names_the_dialect_to_answer_in() {
        check("GET /v1/chat/completions", "", None, "openai wants POST");
        check("POST /v1/nothing", "", None, "openai not found");
        check("POST /anthropic/v1/nothing", "", None, "anthropic not found");
        check("POST /orders/7", "", None, "http not found");
        check("POST /v1beta/models/..:generateContent", "", None, "gemini not found");
        check("POST /v1beta/models/a%2F..%2Fb:generateContent", "", None, "gemini not found");
        check("POST /v1beta/models/a%zz:generateContent", "", None, "gemini not found");
        check("POST /v1beta/models/:generateContent", "", None, "gemini not found");
        check("GET /v1/modelsX", "", None, "openai not found");
    }

    #[test]
    fn plain_http_keeps_its_query_whole() {
        assert_eq!(Entry::opaque("/7").upstream_path("/orders/", None, Some("key=1&b")), "/orders/7?key=1&b");
        assert_eq!(Entry::opaque("/7").upstream_path("", None, Some("&a&&b=&")), "/7?&a&&b=&");
        assert_eq!(Entry::opaque("/7").upstream_path("", None, Some("")), "/7?");
        assert_eq!(Entry::opaque("").upstream_path("", None, None), "/");
        assert_eq!(Entry::opaque("").upstream_path("", None, Some("a")), "/?a");
        assert_eq!(Entry::opaque("/v1/x").upstream_path("/v1", None, None), "/v1/v1/x");
    }

    proptest! {
        #[test]
        fn any_path_is_answered(path in "/?(v1|v1beta|gemini/v1|anthropic/v1)?/?(models/)?[ -~é%:/.]{0,24}") {
            if let Ok(entry) = find(&Method::POST, &path, None, &HeaderMap::new()) {
                let upstream = entry.upstream_path("", None, None);
                prop_assert!(path.ends_with(&upstream), "{} -> {}", path, upstream);
            }
        }
    }
}
