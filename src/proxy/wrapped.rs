//! What is told to a caller who has Anthropic's Messages as a cloud has them: all of it is Anthropic's own up to here.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::Gateway;
use super::refuse::REQUEST_ID;
use super::reply::{Reply, Wrapped};
use crate::algo::tick::Tick;
use crate::dialect::entry::Wrapping;
use crate::dialect::{Dialect, trouble};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Of what is in a stream's chunks.
const TYPE_OF_CHUNKS: HeaderName = HeaderName::from_static("x-amzn-bedrock-content-type");
const INPUT: HeaderName = HeaderName::from_static("x-amzn-bedrock-input-token-count");
const OUTPUT: HeaderName = HeaderName::from_static("x-amzn-bedrock-output-token-count");

/// In whose words a caller is told of an error who is told in `dialect` else.
pub fn told_in(wrapping: Option<Wrapping>, dialect: Dialect) -> Dialect {
    match wrapping {
        Some(Wrapping::Bedrock(_)) => Dialect::Bedrock,
        Some(Wrapping::Vertex) | None => dialect,
    }
}

/// The answer to a request that came at `begun`, as its caller reads it.
pub fn on(
    gateway: &Gateway,
    wrapping: Option<Wrapping>,
    begun: Tick,
    response: Response<Reply>,
) -> Response<Reply> {
    match wrapping {
        Some(Wrapping::Bedrock(_)) => at_bedrock(gateway, begun, response),
        Some(Wrapping::Vertex) | None => response,
    }
}

fn at_bedrock(gateway: &Gateway, begun: Tick, response: Response<Reply>) -> Response<Reply> {
    let (mut head, reply) = response.into_parts();
    let fields = &mut head.headers;
    if let (Some(id), Some(theirs)) =
        (fields.get(REQUEST_ID).cloned(), trouble::request_id_header(Dialect::Bedrock))
    {
        fields.entry(theirs).or_insert(id);
    }
    if head.status.is_success() {
        if !is_events(fields) {
            count(fields, &reply);
            return Response::from_parts(head, reply);
        }
        fields.remove(CONTENT_LENGTH);
        fields.insert(CONTENT_TYPE, EVENT_STREAM);
        fields.insert(TYPE_OF_CHUNKS, JSON);
        let stream = Wrapped::stream(reply, Arc::clone(&gateway.live), begun);
        return Response::from_parts(head, Reply::wrapped(stream));
    }
    let kind = trouble::told(head.status, b"").kind;
    let Some((name, value)) = trouble::kind_header(kind, Dialect::Bedrock) else {
        return Response::from_parts(head, reply);
    };
    // Our own refusals are in its words by now.
    if fields.contains_key(name) {
        return Response::from_parts(head, reply);
    }
    for gone in [CONTENT_LENGTH, CONTENT_ENCODING] {
        fields.remove(gone);
    }
    fields.insert(CONTENT_TYPE, JSON);
    fields.insert(name, HeaderValue::from_static(value));
    let error = Wrapped::error(reply, head.status);
    head.status = trouble::status(kind, Dialect::Bedrock);
    Response::from_parts(head, Reply::wrapped(error))
}

fn is_events(fields: &HeaderMap) -> bool {
    fields.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"))
}

/// Says the tokens of a whole answer, as far as they are known; those of caches apart, as in its body.
fn count(fields: &mut HeaderMap, reply: &Reply) {
    let Some(usage) = reply.usage() else { return };
    let cached = usage.cache_read + usage.cache_write + usage.cache_write_1h;
    fields.insert(INPUT, HeaderValue::from(usage.input.saturating_sub(cached)));
    fields.insert(OUTPUT, HeaderValue::from(usage.output));
}
