//! What a request asks for: path and headers to a place in the API, body to the few fields that matter.
//!
//! This room does not use `dialect`: an upstream that shared the gateway's reading of the wire would
//! agree with its mistakes. Of the body only names, flags and counts are read, no words.

use std::borrow::Cow;

use http::{HeaderMap, Method, request::Parts};
use serde::Deserialize;
use serde_json::Value;

/// A wire language that this upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    /// Anything else is echoed.
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    Completions,
    Embeddings,
    Responses,
    InputTokens,
    Moderations,
    Images,
    Speech,
    Transcription,
    Messages,
    CountTokens,
    Generate,
    StreamGenerate,
    EmbedContent,
    BatchEmbed,
    Models,
    Model,
    Files,
    Batches,
    /// A response that was answered before; conversations are not kept.
    Stored,
    Echo,
}

/// How a streamed answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Sse,
    /// Gemini without `alt=sse`.
    JsonArray,
}

/// Where a request goes, as far as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dialect: Dialect,
    pub(super) operation: Operation,
    /// A model named in the path.
    pub(super) model: Option<String>,
    pub(super) framing: Framing,
}

/// A whole request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) place: Place,
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    /// `stream_options.include_usage`.
    pub(super) include_usage: bool,
    pub(super) keeping: Keeping,
    pub(super) embedding: Embedding,
    pub(super) body_bytes: u64,
}

/// Whether an answer of the Responses API is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    No,
    Yes,
    /// And is made in the background.
    Background,
}

/// What embeddings depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Embedding {
    pub(super) inputs: usize,
    pub(super) dimensions: usize,
    pub(super) base64: bool,
}

/// Dimensions of a vector when nobody asks; small enough to read in a terminal.
const DIMENSIONS: usize = 8;

/// Most that OpenAI's largest embedding model gives is 3072; no test needs more.
const DIMENSIONS_MAX: usize = 4096;

/// The model when a request names none and its endpoint does not need one.
pub(super) const DEFAULT_MODEL: &str = "simulated-1";

impl Place {
    pub(super) fn find(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default();
        let path = percent_decoded(head.uri.path());
        let framing =
            if query.split('&').any(|pair| pair == "alt=sse") { Framing::Sse } else { Framing::JsonArray };
        let place = |dialect, operation, model: Option<&str>| Self {
            dialect,
            operation,
            model: model.map(str::to_owned),
            framing,
        };
        match operation(&head.method, &path, &head.headers) {
            Some((dialect, operation, model)) => place(dialect, operation, model),
            None => place(Dialect::Http, Operation::Echo, None),
        }
    }
}

fn operation<'a>(
    method: &Method,
    path: &'a str,
    headers: &HeaderMap,
) -> Option<(Dialect, Operation, Option<&'a str>)> {
    let (mount, rest) = mounted(path);
    let (version, rest) = versioned(rest);
    let below =
        |name: &str| rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("messages/batches") {
        return Some((Dialect::Anthropic, Operation::Batches, None));
    }
    if below("batches") {
        return Some((Dialect::OpenAi, Operation::Batches, None));
    }
    if below("files") && version != "v1beta" {
        return Some((list_dialect(mount, version, headers), Operation::Files, None));
    }
    let posted = method == Method::POST && matches!(rest, "responses/input_tokens" | "responses/compact");
    if below("conversations") || rest.starts_with("responses/") && !posted {
        return Some((Dialect::Responses, Operation::Stored, None));
    }
    if method == Method::GET {
        let dialect = list_dialect(mount, version, headers);
        return match rest.strip_prefix("models")? {
            "" => Some((dialect, Operation::Models, None)),
            model => Some((dialect, Operation::Model, Some(model.strip_prefix('/')?))),
        };
    }
    if method != Method::POST {
        return None;
    }
    if let Some((model, verb)) = rest.strip_prefix("models/").and_then(|rest| rest.rsplit_once(':')) {
        let operation = match verb {
            "generateContent" => Operation::Generate,
            "streamGenerateContent" => Operation::StreamGenerate,
            "countTokens" => Operation::CountTokens,
            "embedContent" => Operation::EmbedContent,
            "batchEmbedContents" => Operation::BatchEmbed,
            _ => return None,
        };
        return Some((Dialect::Gemini, operation, Some(model)));
    }
    let (dialect, operation) = match rest {
        "chat/completions" => (Dialect::OpenAi, Operation::Chat),
        "completions" => (Dialect::OpenAi, Operation::Completions),
        "embeddings" => (Dialect::OpenAi, Operation::Embeddings),
        "moderations" => (Dialect::OpenAi, Operation::Moderations),
        "images/generations" | "images/edits" | "images/variations" => (Dialect::OpenAi, Operation::Images),
        "audio/speech" => (Dialect::OpenAi, Operation::Speech),
        "audio/transcriptions" | "audio/translations" => (Dialect::OpenAi, Operation::Transcription),
        "responses" => (Dialect::Responses, Operation::Responses),
        "responses/input_tokens" => (Dialect::Responses, Operation::InputTokens),
        "messages" => (Dialect::Anthropic, Operation::Messages),
        "messages/count_tokens" => (Dialect::Anthropic, Operation::CountTokens),
        _ => return None,
    };
    Some((dialect, operation, None))
}

/// An optional first segment that names the dialect, as the gateway's own ways in have it.
fn mounted(path: &str) -> (Option<Dialect>, &str) {
    let mounts =
        [("/openai/", Dialect::OpenAi), ("/anthropic/", Dialect::Anthropic), ("/gemini/", Dialect::Gemini)];
    for (mount, dialect) in mounts {
        if let Some(rest) = path.strip_prefix(mount) {
            return (Some(dialect), rest);
        }
    }
    (None, path.strip_prefix('/').unwrap_or(path))
}

fn versioned(path: &str) -> (&str, &str) {
    match path.split_once('/') {
        Some((version @ ("v1" | "v1beta" | "v1alpha"), rest)) => (version, rest),
        _ => ("", path),
    }
}

/// Listing models is the one endpoint that dialects share; the headers tell whose it is.
fn list_dialect(mount: Option<Dialect>, version: &str, headers: &HeaderMap) -> Dialect {
    if let Some(dialect) = mount {
        return dialect;
    }
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") || version.starts_with("v1b") || version == "v1alpha" {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

fn percent_decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut rest = path.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        let pair = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = pair {
            decoded.push((high * 16 + low) as u8);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// The fields of a JSON body that an answer depends on. All else is skipped unread.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    store: Option<bool>,
    background: Option<bool>,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
    #[serde(rename = "outputDimensionality")]
    output_dimensionality: Option<usize>,
    /// Parsed only where it is counted.
    input: Option<Box<serde_json::value::RawValue>>,
    requests: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Ask {
    /// Fails with a sentence for the caller.
    pub(super) fn read(place: Place, content_type: Option<&str>, bytes: &[u8]) -> Result<Self, String> {
        let body = match place.operation {
            Operation::Echo
            | Operation::Models
            | Operation::Model
            | Operation::Files
            | Operation::Batches
            | Operation::Stored => Body::default(),
            _ if content_type.is_some_and(|kind| kind.starts_with("multipart/")) => Body {
                model: multipart_field(bytes, "model"),
                stream: multipart_field(bytes, "stream").map(|value| value == "true"),
                ..Body::default()
            },
            _ => serde_json::from_slice(bytes)
                .map_err(|error| format!("We could not parse the JSON body of your request: {error}"))?,
        };
        let model = place.model.clone().or(body.model);
        let optional = matches!(
            place.operation,
            Operation::Echo
                | Operation::Models
                | Operation::Files
                | Operation::Batches
                | Operation::Stored
                | Operation::Moderations
                | Operation::Images
                | Operation::InputTokens
        );
        if model.is_none() && !optional {
            return Err("you must provide a model parameter".to_owned());
        }
        let inputs = match place.operation {
            Operation::Embeddings => body.input.as_deref().map_or(1, |raw| count_inputs(raw.get())),
            Operation::BatchEmbed => body.requests.map_or(1, |requests| requests.len()),
            _ => 1,
        };
        let dimensions = body.dimensions.or(body.output_dimensionality).unwrap_or(DIMENSIONS);
        let stream = place.operation == Operation::StreamGenerate || body.stream.unwrap_or(false);
        Ok(Self {
            place,
            model,
            stream,
            include_usage: body.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            keeping: match (body.store, body.background) {
                (Some(false), _) => Keeping::No,
                (_, Some(true)) => Keeping::Background,
                (_, Some(false) | None) => Keeping::Yes,
            },
            embedding: Embedding {
                inputs,
                dimensions: dimensions.min(DIMENSIONS_MAX),
                base64: body.encoding_format.as_deref() == Some("base64"),
            },
            body_bytes: bytes.len() as u64,
        })
    }
}

/// A string or one array of token ids is one input; an array of either is as many as it has.
fn count_inputs(raw: &str) -> usize {
    match serde_json::from_str(raw) {
        Ok(Value::Array(items)) if !items.first().is_some_and(Value::is_number) => items.len(),
        _ => 1,
    }
}

/// The text of one field of a multipart form, when it is there and is text.
fn multipart_field(bytes: &[u8], name: &str) -> Option<String> {
    let mark = format!("name=\"{name}\"");
    let after_mark = bytes.get(memchr::memmem::find(bytes, mark.as_bytes())? + mark.len()..)?;
    let value = after_mark.get(memchr::memmem::find(after_mark, b"\r\n\r\n")? + 4..)?;
    let end = memchr::memmem::find(value, b"\r\n")?;
    std::str::from_utf8(value.get(..end)?).ok().map(str::to_owned)
}

/// The credential of a request, in whichever header its dialect has it.
pub(super) fn credential(head: &Parts) -> Option<&str> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    let bearer = header("authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
    let in_query = || head.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="));
    bearer
        .or_else(|| header("x-api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(|| header("api-key"))
        .or_else(in_query)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn check(method: &str, uri: &str, headers: &[(&str, &str)], dialect: Dialect, operation: Operation) {
        let place = Place::find(&head(method, uri, headers));
        assert_eq!((place.dialect, place.operation), (dialect, operation), "{method} {uri}");
    }

    #[test]
    fn paths_lead_to_operations() {
        check("POST", "/v1/chat/completions", &[], Dialect::OpenAi, Operation::Chat);
        check("POST", "/chat/completions", &[], Dialect::OpenAi, Operation::Chat);
        check("POST", "/v1/responses/input_tokens", &[], Dialect::Responses, Operation::InputTokens);
        check("POST", "/v1/messages?beta=true", &[], Dialect::Anthropic, Operation::Messages);
        check("POST", "/anthropic/v1/messages/count_tokens", &[], Dialect::Anthropic, Operation::CountTokens);
        check("POST", "/v1beta/models/m:embedContent", &[], Dialect::Gemini, Operation::EmbedContent);
        check("GET", "/v1/models", &[], Dialect::OpenAi, Operation::Models);
        check(
            "GET",
            "/v1/models",
            &[("anthropic-version", "2023-06-01")],
            Dialect::Anthropic,
            Operation::Models,
        );
        check("GET", "/v1/models", &[("x-goog-api-key", "k")], Dialect::Gemini, Operation::Models);
        check("GET", "/v1beta/models/m", &[], Dialect::Gemini, Operation::Model);
        check("GET", "/v1/modelsque", &[], Dialect::Http, Operation::Echo);
        check("DELETE", "/v1/chat/completions", &[], Dialect::Http, Operation::Echo);
        check("POST", "/orders/7", &[], Dialect::Http, Operation::Echo);
    }

    #[test]
    fn a_gemini_model_comes_decoded_out_of_the_path() {
        let place = Place::find(&head("POST", "/v1/models/org%2Fm%3A7:streamGenerateContent?alt=sse", &[]));
        assert_eq!(place.model.as_deref(), Some("org/m:7"));
        assert_eq!((place.operation, place.framing), (Operation::StreamGenerate, Framing::Sse));
        let odd = Place::find(&head("POST", "/v1/models/m%zz%:generateContent", &[]));
        assert_eq!(odd.model.as_deref(), Some("m%zz%"));
    }

    fn read(path: &str, body: &str) -> Result<Ask, String> {
        Ask::read(Place::find(&head("POST", path, &[])), Some("application/json"), body.as_bytes())
    }

    #[test]
    fn bodies_are_read_for_what_matters() {
        let chat = r#"{"messages":[],"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        let ask = read("/v1/chat/completions", chat).unwrap();
        assert_eq!((ask.model.as_deref(), ask.stream, ask.include_usage), (Some("m"), true, true));
        let inputs = |input: &str| {
            let body = format!(r#"{{"model":"m","input":{input},"encoding_format":"base64"}}"#);
            read("/v1/embeddings", &body).unwrap().embedding.inputs
        };
        assert_eq!(
            [inputs(r#""a""#), inputs("[1,2,3]"), inputs(r#"["a","b"]"#), inputs("[[1],[2],[3]]")],
            [1, 1, 2, 3]
        );
        assert!(read("/v1/chat/completions", r#"{"messages":[]}"#).unwrap_err().contains("model"));
        assert!(read("/v1/chat/completions", "{").unwrap_err().contains("JSON"));
    }

    #[test]
    fn a_multipart_form_names_its_model() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x--\r\n";
        let place = Place::find(&head("POST", "/v1/audio/transcriptions", &[]));
        let ask = Ask::read(place, Some("multipart/form-data; boundary=x"), form.as_bytes()).unwrap();
        assert_eq!(ask.model.as_deref(), Some("whisper-1"));
    }

    #[test]
    fn credentials_are_found_where_clients_put_them() {
        let found =
            |uri: &str, headers: &[(&str, &str)]| credential(&head("POST", uri, headers)).map(str::to_owned);
        assert_eq!(found("/", &[("authorization", "Bearer sk-1")]).as_deref(), Some("sk-1"));
        assert_eq!(found("/", &[("x-api-key", "sk-2")]).as_deref(), Some("sk-2"));
        assert_eq!(found("/?alt=sse&key=sk-3", &[]).as_deref(), Some("sk-3"));
        assert_eq!(found("/", &[]), None);
    }
}
