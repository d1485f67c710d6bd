//! Sends a request as a caller would, from the console: to see what becomes of one while something is broken.
//!
//! It goes the whole way of a caller's request, is counted and priced as one, and needs a key where callers do.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::form::{Form, Need};
use super::{Seen, problem};

pub(super) const ATTEMPT: Form = Form::json::<Came>("what came of it")
    .takes::<Asked>(Need::Required, "a model, a prompt, and a caller's key where callers need one")
    .refuses(&[(502, "it came to no answer at all")]);

/// Longest answer's text that is shown, in characters.
const SHOWN: usize = 300;
/// What the gateway says of an answer stands in headers that begin so.
const OWN_HEADERS: &str = "x-mainstay-";

/// What the console asks. No `Debug`: it has a prompt, and perhaps a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    model: String,
    prompt: String,
    key: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Came {
    status: u16,
    took_ms: f64,
    /// The gateway's own headers, by their names without the beginning.
    said: BTreeMap<String, String>,
    text: String,
}

pub(super) async fn attempt(State(running): Seen, body: Bytes) -> Response {
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let message = format!(
                "the body should be {{\"model\": …, \"prompt\": …}}, with a \"key\" if need be: {error}"
            );
            return problem(StatusCode::BAD_REQUEST, message);
        }
    };
    let Ok(request) = request(&asked) else {
        return problem(StatusCode::BAD_REQUEST, "`key` has characters that no header can have");
    };
    let clock = running.table();
    let begun = clock.live.now();
    match running.call(request).await {
        Ok(answer) => Json(came(&answer, clock.live.now().since(begun))).into_response(),
        Err(error) => problem(StatusCode::BAD_GATEWAY, format!("the request came to no answer: {error}")),
    }
}

fn request(asked: &Asked) -> Result<Request<Bytes>, http::Error> {
    let body = json!({ "model": asked.model, "messages": [{ "role": "user", "content": asked.prompt }] });
    let request = Request::post("/v1/chat/completions")
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json");
    let request = match &asked.key {
        Some(key) => {
            let mut proof = HeaderValue::try_from(format!("Bearer {key}"))?;
            proof.set_sensitive(true);
            request.header(AUTHORIZATION, proof)
        }
        None => request,
    };
    request.body(body.to_string().into())
}

fn came(answer: &Response<Bytes>, took: Duration) -> Came {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = ["/choices/0/message/content", "/error/message"]
        .into_iter()
        .find_map(|place| body.pointer(place).and_then(Value::as_str))
        .unwrap_or("(nothing that can be shown)");
    Came {
        status: answer.status().as_u16(),
        took_ms: took.as_secs_f64() * 1e3,
        said: said(answer.headers()),
        text: text.chars().take(SHOWN).collect(),
    }
}

fn said(headers: &HeaderMap) -> BTreeMap<String, String> {
    let own = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(OWN_HEADERS)?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    });
    own.collect()
}
