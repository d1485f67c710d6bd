//! The ways to what callers leave at an upstream, and come back for: files, batches, stored responses, conversations.
//!
//! One table of collections, each with what may be done with it and with a thing in it. Of OpenAI's and Anthropic's
//! dialects only. Sources: their API references, "Files", "Batches", "Responses" and "Conversations".

use http::{HeaderMap, Method};

use super::{Entry, Miss, ModelAt, Tail};
use crate::dialect::{Dialect, Operation};

/// What is wanted of such things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left<'a> {
    pub want: Want,
    /// Of which one; `None` for a new one, and for all.
    pub id: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Create,
    List,
    Look,
    Delete,
    /// What is in it: a file's bytes, a batch's results, a response's input, a conversation's items.
    Content,
    /// Puts something into it or takes something out, and says something else of it.
    Change,
    Cancel,
}

struct Collection {
    path: &'static str,
    operation: Operation,
    /// Whose it is; a path that two dialects share is the other one's without Anthropic's headers.
    dialect: Dialect,
    ours: &'static str,
    ways: &'static [Way],
}

/// A method, and the path below the collection's that takes it; `*` is an id.
type Way = (Method, &'static str, Want);

const FILES: &[Way] = &[
    (Method::POST, "", Want::Create),
    (Method::GET, "", Want::List),
    (Method::GET, "/*", Want::Look),
    (Method::DELETE, "/*", Want::Delete),
    (Method::GET, "/*/content", Want::Content),
];
const BATCHES: &[Way] = &[
    (Method::POST, "", Want::Create),
    (Method::GET, "", Want::List),
    (Method::GET, "/*", Want::Look),
    (Method::POST, "/*/cancel", Want::Cancel),
];
const MESSAGE_BATCHES: &[Way] = &[
    (Method::POST, "", Want::Create),
    (Method::GET, "", Want::List),
    (Method::GET, "/*", Want::Look),
    (Method::DELETE, "/*", Want::Delete),
    (Method::GET, "/*/results", Want::Content),
    (Method::POST, "/*/cancel", Want::Cancel),
];
const RESPONSES: &[Way] = &[
    (Method::GET, "/*", Want::Look),
    (Method::DELETE, "/*", Want::Delete),
    (Method::GET, "/*/input_items", Want::Content),
    (Method::POST, "/*/cancel", Want::Cancel),
];
const CONVERSATIONS: &[Way] = &[
    (Method::POST, "", Want::Create),
    (Method::GET, "/*", Want::Look),
    (Method::POST, "/*", Want::Change),
    (Method::DELETE, "/*", Want::Delete),
    (Method::GET, "/*/items", Want::Content),
    (Method::POST, "/*/items", Want::Change),
    (Method::GET, "/*/items/*", Want::Content),
    (Method::DELETE, "/*/items/*", Want::Change),
];

const fn openai(
    path: &'static str,
    operation: Operation,
    dialect: Dialect,
    ways: &'static [Way],
) -> Collection {
    Collection { path, operation, dialect, ours: "/v1", ways }
}

const fn anthropic(
    path: &'static str,
    operation: Operation,
    ours: &'static str,
    ways: &'static [Way],
) -> Collection {
    Collection { path, operation, dialect: Dialect::Anthropic, ours, ways }
}

const COLLECTIONS: &[Collection] = &[
    anthropic("/anthropic/v1/messages/batches", Operation::Batches, "/anthropic", MESSAGE_BATCHES),
    anthropic("/v1/messages/batches", Operation::Batches, "", MESSAGE_BATCHES),
    anthropic("/anthropic/v1/files", Operation::Files, "/anthropic", FILES),
    openai("/v1/files", Operation::Files, Dialect::OpenAi, FILES),
    openai("/v1/batches", Operation::Batches, Dialect::OpenAi, BATCHES),
    openai("/v1/responses", Operation::StoredResponses, Dialect::Responses, RESPONSES),
    openai("/v1/conversations", Operation::Conversations, Dialect::Responses, CONVERSATIONS),
];

/// Longest id that is looked at.
const LONGEST_ID: usize = 256;

/// Whether OpenAI has a collection at this path below `/v1`, or something in one.
pub fn is_openais(rest: &str) -> bool {
    COLLECTIONS.iter().any(|collection| {
        let below = collection.path.strip_prefix("/v1").filter(|_| collection.dialect != Dialect::Anthropic);
        below
            .and_then(|below| rest.strip_prefix(below))
            .is_some_and(|id| id.is_empty() || id.starts_with('/'))
    })
}

/// `None` for paths of other things.
pub fn find<'a>(method: &Method, path: &'a str, headers: &HeaderMap) -> Option<Result<Entry<'a>, Miss>> {
    let (collection, rest) = COLLECTIONS.iter().find_map(|collection| {
        let rest = path.strip_prefix(collection.path)?;
        (rest.is_empty() || rest.starts_with('/')).then_some((collection, rest))
    })?;
    let mut dialect = collection.dialect;
    let mut ours = collection.ours;
    let anthropics = headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
    if dialect == Dialect::OpenAi && collection.operation == Operation::Files && anthropics {
        // Its base URL has no version.
        (dialect, ours) = (Dialect::Anthropic, "");
    }
    Some(wanted(method, collection.ways, rest).map_or_else(
        |allow| {
            Err(match allow {
                Some(allow) => Miss::MethodNotAllowed { dialect, allow },
                None => Miss::NotFound { dialect },
            })
        },
        |left| {
            let before = path.strip_prefix(ours).unwrap_or(path);
            Ok(Entry {
                dialect,
                operation: collection.operation,
                model: ModelAt::Left(left),
                tail: Tail { before, model: "", after: "" },
            })
        },
    ))
}

/// The methods that the path takes instead, or `None` where nothing is there.
fn wanted<'a>(method: &Method, ways: &[Way], rest: &'a str) -> Result<Left<'a>, Option<&'static str>> {
    let here = || ways.iter().filter(|(_, below, _)| is_at(below, rest));
    let taken = |method: &Method| here().any(|(taken, _, _)| taken == method);
    if let Some((_, _, want)) = here().find(|(taken, _, _)| taken == method) {
        let id = rest.strip_prefix('/').map(|named| named.split_once('/').map_or(named, |(id, _)| id));
        return Ok(Left { want: *want, id });
    }
    Err(match (taken(&Method::DELETE), taken(&Method::GET), taken(&Method::POST)) {
        (false, false, false) => None,
        (false, false, true) => Some("POST"),
        (false, true, false) => Some("GET"),
        (false, true, true) => Some("GET, POST"),
        (true, false, false) => Some("DELETE"),
        (true, false, true) => Some("DELETE, POST"),
        (true, true, false) => Some("DELETE, GET"),
        (true, true, true) => Some("DELETE, GET, POST"),
    })
}

/// Whether a path is what a way says.
fn is_at(below: &str, rest: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_id = |part: &str| (1..=LONGEST_ID).contains(&part.len()) && part.bytes().all(sound);
    let mut parts = rest.split('/');
    let fits = |said: &str, part: &str| if said == "*" { is_id(part) } else { said == part };
    below.split('/').all(|said| parts.next().is_some_and(|part| fits(said, part))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, anthropics: bool, expected: &str) {
        let mut headers = HeaderMap::new();
        if anthropics {
            headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
        }
        let found = find(&method.parse().expect("a method"), path, &headers);
        let said = match found {
            None => "-".to_owned(),
            Some(Err(Miss::NotFound { .. })) => "nothing".to_owned(),
            Some(Err(Miss::MethodNotAllowed { allow, .. })) => format!("takes {allow}"),
            Some(Ok(entry)) => {
                let target = entry.upstream_path("/v1", None, Some("key=k&limit=2"));
                let ModelAt::Left(Left { want, id }) = entry.model else { panic!("left") };
                let (dialect, operation) = (entry.dialect.name(), entry.operation.name());
                format!("{dialect} {operation} {want:?} {} {target}", id.unwrap_or("-"))
            }
        };
        assert_eq!(said, expected, "{method} {path}");
    }

    #[test]
    fn the_ways_to_responses_and_conversations() {
        let one = "/v1/responses/resp_1";
        check("GET", one, false, "responses stored_responses Look resp_1 /v1/responses/resp_1?limit=2");
        check("DELETE", one, false, "responses stored_responses Delete resp_1 /v1/responses/resp_1?limit=2");
        check(
            "GET",
            "/v1/responses/resp_1/input_items",
            false,
            "responses stored_responses Content resp_1 /v1/responses/resp_1/input_items?limit=2",
        );
        check(
            "POST",
            "/v1/responses/resp_1/cancel",
            false,
            "responses stored_responses Cancel resp_1 /v1/responses/resp_1/cancel?limit=2",
        );
        check("PUT", one, false, "takes DELETE, GET");
        check("GET", "/v1/responses/resp_1/cancel", false, "takes POST");
        for path in ["/v1/responses", "/v1/responses/", "/v1/responses/x/y", "/v1/responses//cancel"] {
            check("GET", path, false, "nothing");
        }
        check(
            "POST",
            "/v1/conversations",
            false,
            "responses conversations Create - /v1/conversations?limit=2",
        );
        check("GET", "/v1/conversations", false, "takes POST");
        check("PATCH", "/v1/conversations/conv_1", false, "takes DELETE, GET, POST");
        check(
            "DELETE",
            "/v1/conversations/conv_1/items/msg_1",
            false,
            "responses conversations Change conv_1 /v1/conversations/conv_1/items/msg_1?limit=2",
        );
        check("PUT", "/v1/conversations/conv_1/items", false, "takes GET, POST");
    }

    #[test]
    fn the_ways_to_files_and_batches() {
        check("POST", "/v1/files", false, "openai files Create - /v1/files?limit=2");
        check("POST", "/v1/files", true, "anthropic files Create - /v1/files?limit=2");
        check(
            "GET",
            "/v1/files/file-1/content",
            false,
            "openai files Content file-1 /v1/files/file-1/content?limit=2",
        );
        check("DELETE", "/anthropic/v1/files/f_1", false, "anthropic files Delete f_1 /v1/files/f_1?limit=2");
        check(
            "POST",
            "/v1/batches/b_1/cancel",
            false,
            "openai batches Cancel b_1 /v1/batches/b_1/cancel?limit=2",
        );
        check("GET", "/v1/messages/batches", false, "anthropic batches List - /v1/messages/batches?limit=2");
        check(
            "GET",
            "/v1/messages/batches/m_1/results",
            false,
            "anthropic batches Content m_1 /v1/messages/batches/m_1/results?limit=2",
        );
        check("PUT", "/v1/files", false, "takes GET, POST");
        check("DELETE", "/v1/batches/b_1", false, "takes GET");
        check("GET", "/v1/batches/b_1/cancel", false, "takes POST");
        check("GET", "/v1/batches/b_1/content", false, "nothing");
        check("GET", "/v1/files/..%2fmodels", false, "nothing");
        check("GET", "/v1/files/", false, "nothing");
        check("GET", "/v1/files/*", false, "nothing");
        check("GET", "/v1/filesystem", false, "-");
        check("POST", "/v1/messages", false, "-");
    }
}
