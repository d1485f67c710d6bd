//! OpenAI's ways below other base URLs than `/v1`: those of vendors that speak its dialect, whose callers change the host
//! and nothing else, and the bare host. Likewise what is asked of Gemini's and Claude's models at Vertex AI, and of
//! Claude's by Bedrock's invoke.
//!
//! Sources: Azure's "Azure OpenAI REST API reference" (`/openai/deployments/{deployment}/…?api-version=…`) and its v1;
//! Groq's, OpenRouter's and Google's ("OpenAI compatibility") base URLs; LiteLLM's proxy takes all of them without `/v1`;
//! Vertex AI's reference (`publishers.models.generateContent`, `rawPredict`), whose newer form names no project;
//! Anthropic's SDKs (`AnthropicVertex`), whose base URL has the version; Bedrock's (`InvokeModel`).

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use super::left::is_openais;
use super::path::params;
use super::ways::WAYS;
use super::{decode, told, without_verb};
use crate::dialect::Dialect;
use crate::dialect::provider::Delivery;

/// None begins with a later one, but for the bare host, which is the last.
const BASES: [&str; 6] = ["/openai/v1", "/openai", "/v1beta/openai", "/gemini/v1beta/openai", "/api/v1", ""];

/// Azure's name of a model stands here in its older paths, and counts for more than the body's.
const DEPLOYMENTS: &str = "/openai/deployments/";

/// Whose Gemini's models are at Vertex AI.
const PUBLISHER: &str = "publishers/google/models/";

/// Whose Claude is there.
const CLAUDES: &str = "publishers/anthropic/models/";

/// Where its tokens are counted there, whichever the model.
const COUNTING: &str = "count-tokens";

/// A path as it is below a base of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    pub uri: Uri,
    /// The model that the path named.
    pub deployment: Option<String>,
    pub wrapping: Option<Wrapping>,
}

/// How a cloud has Anthropic's Messages, where it differs from their own API. The body has members for what is a header
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// All else is as Anthropic has it.
    Vertex,
    /// The path says as well how the answer is delivered, of which a stream is of Amazon's messages. So are errors Amazon's,
    /// and callers may sign.
    Bedrock(Delivery),
}

/// What a path means that is another vendor's; `None` for all others, and for what is below our base already.
pub fn ours(uri: &Uri) -> Option<Ours> {
    let path = uri.path();
    let googles = path.strip_prefix("/gemini").unwrap_or(path);
    let mut wrapping = None;
    let (said, deployment) = if let Some((said, model)) = claude_at_vertex(path) {
        wrapping = Some(Wrapping::Vertex);
        (said.to_owned(), model)
    } else if let Some((model, delivery)) = claude_at_bedrock(path) {
        wrapping = Some(Wrapping::Bedrock(delivery));
        ("/v1/messages".to_owned(), Some(model))
    } else if googles.starts_with("/v1/") || googles.starts_with("/v1beta1/") {
        (format!("/v1beta/models/{}", at_vertex(googles)?), None)
    } else {
        let (rest, deployment) = deployed(path).or_else(|| Some((below_another(path)?, None)))?;
        (format!("/v1{rest}"), deployment)
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(with_query(said, uri.query())).ok()?);
    Some(Ours { uri: Uri::from_parts(parts).ok()?, deployment: deployment.map(Cow::into_owned), wrapping })
}

fn with_query(mut said: String, query: Option<&str>) -> String {
    // The version is Azure's own, and says nothing of what is asked.
    let kept = query.into_iter().flat_map(params).filter(|param| !param.starts_with("api-version="));
    for (place, param) in kept.enumerate() {
        said.push(if place == 0 { '?' } else { '&' });
        said.push_str(param);
    }
    said
}

/// `{model}:{verb}`, below a project and a location or below none.
fn at_vertex(path: &str) -> Option<&str> {
    // Most paths are shorter than what is looked for, which takes longer.
    let (scope, named) =
        if path.len() > PUBLISHER.len() { path.split_once(PUBLISHER)? } else { return None };
    let parts: Vec<&str> = scope.split('/').skip(2).collect();
    let is_whole = matches!(parts[..], [""] | ["projects", _, "locations", _, ""]);
    (is_whole && told(named).is_some()).then_some(named)
}

/// What Claude's callers mean there, and the model, where the path names it.
fn claude_at_vertex(path: &str) -> Option<(&'static str, Option<Cow<'_, str>>)> {
    // Nearly no other path ends like it.
    let path = path.strip_prefix("/anthropic").unwrap_or(path);
    let raw = without_verb(path, ":rawPredict").or_else(|| without_verb(path, ":streamRawPredict"))?;
    let (scope, named) = raw.split_once(CLAUDES)?;
    let mut parts: Vec<&str> = scope.split('/').skip(1).collect();
    if parts.first().is_some_and(|first| ["v1", "v1beta1"].contains(first)) {
        parts.remove(0);
    }
    if !matches!(parts[..], [""] | ["projects", _, "locations", _, ""]) {
        return None;
    }
    if named == COUNTING {
        return Some(("/v1/messages/count_tokens", None));
    }
    Some(("/v1/messages", Some(decode(named)?)))
}

fn claude_at_bedrock(path: &str) -> Option<(Cow<'_, str>, Delivery)> {
    let named = path.strip_prefix("/bedrock").unwrap_or(path).strip_prefix("/model/")?;
    let (raw, delivery) = match named.strip_suffix("/invoke") {
        Some(raw) => (raw, Delivery::Whole),
        None => (named.strip_suffix("/invoke-with-response-stream")?, Delivery::Streamed),
    };
    Some((decode(raw)?, delivery))
}

fn below_another(path: &str) -> Option<&str> {
    BASES.iter().find_map(|base| path.strip_prefix(base).filter(|rest| is_below_v1(rest)))
}

fn deployed(path: &str) -> Option<(&str, Option<Cow<'_, str>>)> {
    let named = path.strip_prefix(DEPLOYMENTS)?;
    let (deployment, _) = named.split_once('/')?;
    let rest = named.get(deployment.len()..).filter(|rest| is_way(rest))?;
    Some((rest, Some(decode(deployment)?)))
}

/// Whether OpenAI has this path below `/v1`.
fn is_below_v1(rest: &str) -> bool {
    rest == "/models" || rest.starts_with("/models/") || is_way(rest) || is_openais(rest)
}

fn is_way(rest: &str) -> bool {
    let is_openais = |dialect| matches!(dialect, Dialect::OpenAi | Dialect::Responses);
    WAYS.iter().any(|way| is_openais(way.dialect) && way.path.strip_prefix("/v1") == Some(rest))
}

/// The path that somebody may have meant who asked for one that there is not: mostly a version too many or none in a
/// base URL.
pub fn meant(path: &str) -> Option<String> {
    let ends = |way: &&str| {
        let below = way.strip_prefix("/v1").or_else(|| way.strip_prefix("/cohere/v2"));
        below.is_some_and(|below| path.ends_with(below))
    };
    let fixed = WAYS.iter().map(|way| way.path).filter(ends).max_by_key(|way| way.len());
    fixed.map(str::to_owned).or_else(|| {
        let (_, named) = path.split_once("/models/")?;
        told(named).map(|_| format!("/v1beta/models/{named}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, expected: &str) {
        let said = ours(&asked.parse().expect("a path")).map_or_else(
            || "-".to_owned(),
            |Ours { uri, deployment, wrapping }| {
                let named = deployment.map(|deployment| format!(" as {deployment}")).unwrap_or_default();
                let wrapped = wrapping.map(|wrapping| format!(" of {wrapping:?}")).unwrap_or_default();
                format!("{uri}{named}{wrapped}")
            },
        );
        assert_eq!(said, expected, "{asked}");
    }

    #[test]
    fn azures_paths_are_those_below_v1() {
        let version = "?api-version=2024-10-21";
        let deployed = format!("/openai/deployments/prod-4o/chat/completions{version}");
        check(&deployed, "/v1/chat/completions as prod-4o");
        check("/openai/deployments/a%2Fb/embeddings?x=1&api-version=1&y", "/v1/embeddings?x=1&y as a/b");
        check(&format!("/openai/responses{version}"), "/v1/responses");
        check(&format!("/openai/responses/resp_1/input_items{version}"), "/v1/responses/resp_1/input_items");
        check("/openai/v1/responses?api-version=preview", "/v1/responses");
        check(&format!("/openai/models{version}"), "/v1/models");
        check("/openai/files/f-1?limit=2", "/v1/files/f-1?limit=2");
        check("/openai/deployments/a/nothing", "-");
        check("/openai/deployments/../chat/completions", "-");
        check("/openai/deployments", "-");
    }

    #[test]
    fn other_vendors_base_urls_and_the_bare_host_mean_the_same() {
        for base in ["/openai/v1", "/openai", "/v1beta/openai", "/gemini/v1beta/openai", "/api/v1", ""] {
            for below in ["/chat/completions", "/responses", "/models/a/b", "/batches/b-1", "/audio/speech"] {
                check(&format!("{base}{below}"), &format!("/v1{below}"));
            }
            check(&format!("{base}/orders"), "-");
            check(&format!("{base}/chat/completions/7"), "-");
        }
        check("http://gateway/chat/completions?a=b", "http://gateway/v1/chat/completions?a=b");
    }

    #[test]
    fn geminis_models_are_at_vertex_what_they_are_at_google() {
        let scope = "/v1beta1/projects/p-1/locations/europe-west4";
        let named = "publishers/google/models/gemini-3:streamGenerateContent?alt=sse";
        check(&format!("{scope}/{named}"), "/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
        check(&format!("/gemini{scope}/{named}"), "/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
        check(&format!("/v1/{named}"), "/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
        check("/v1beta1/publishers/google/models/g:predict", "-");
        check(&format!("/v1/projects/p/q/locations/l/{named}"), "-");
        check(&format!("/v1/x/{named}"), "-");
    }

    #[test]
    fn claude_is_at_vertex_what_it_is_at_anthropic() {
        let scope = "projects/p-1/locations/us-east5/publishers/anthropic/models";
        let model = "claude-sonnet-4-5@20250929";
        let messages = format!("/v1/messages as {model} of Vertex");
        for base in ["", "/v1", "/v1beta1", "/anthropic", "/anthropic/v1"] {
            check(&format!("{base}/{scope}/{model}:rawPredict"), &messages);
            check(&format!("{base}/{scope}/{model}%3AstreamRawPredict"), &messages);
            let count = "/v1/messages/count_tokens of Vertex";
            check(&format!("{base}/{scope}/count-tokens:rawPredict"), count);
            check(&format!("{base}/{scope}/{model}:predict"), "-");
        }
        check(&format!("/v1/publishers/anthropic/models/{model}:rawPredict"), &messages);
        check(&format!("/v1/{scope}/a%2Fb%3Bc:rawPredict?x=1"), "/v1/messages?x=1 as a/b;c of Vertex");
        for other in ["/v2", "/v1/v1", "/v1/projects/p", "/gemini/v1"] {
            check(&format!("{other}/{scope}/{model}:rawPredict"), "-");
        }
        check(&format!("/v1/{scope}/..%2Fc:rawPredict"), "-");
        check(&format!("/v1/{scope}/:rawPredict"), "-");
        check("/v1/projects/p/locations/l/publishers/google/models/c:rawPredict", "-");
    }

    #[test]
    fn claude_is_invoked_at_bedrock_as_it_is_asked_at_anthropic() {
        let model = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0";
        for base in ["", "/bedrock"] {
            for name in
                [model.replace('/', "%2F"), model.replace('/', "%2f").replace(':', "%3A"), model.to_owned()]
            {
                let path = format!("{base}/model/{name}/invoke");
                check(&path, &format!("/v1/messages as {model} of Bedrock(Whole)"));
                let path = format!("{path}-with-response-stream");
                check(&path, &format!("/v1/messages as {model} of Bedrock(Streamed)"));
            }
            for other in [
                "/model//invoke",
                "/model/invoke",
                "/model/../x/invoke",
                "/model/x/invoke/y",
                "/model/x/converse",
            ] {
                check(&format!("{base}{other}"), "-");
            }
        }
    }

    #[test]
    fn what_is_served_as_it_is_stays_as_it_is() {
        for way in WAYS {
            check(way.path, "-");
        }
        check("/v1/openai/chat/completions", "-");
        check("/v1beta/models/g:generateContent", "-");
        check("/gemini/v1beta/models", "-");
        check("/anthropic/v1/models", "-");
        check("/", "-");
    }

    #[test]
    fn a_base_url_with_a_mistake_tells_what_was_meant() {
        for (asked, expected) in [
            ("/v1/v1/messages", "/v1/messages"),
            ("/anthropic/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"),
            ("/v1/v1/chat/completions", "/v1/chat/completions"),
            ("/cohere/chat", "/cohere/v2/chat"),
            ("/gemini/models/g-2.5:generateContent", "/v1beta/models/g-2.5:generateContent"),
        ] {
            assert_eq!(meant(asked).as_deref(), Some(expected), "{asked}");
        }
        assert_eq!(meant("/orders/7"), None);
        assert_eq!(meant("/models/g:dance"), None);
    }
}
