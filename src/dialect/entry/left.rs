//! The ways to files and batches: what callers leave at an upstream, and come back for.
//!
//! One table of collections; what may be done with one, and with a thing in it, is the same in each but for a
//! few words. Of OpenAI's and Anthropic's dialects only. Sources: their API references, "Files" and "Batches".

use http::{HeaderMap, Method};

use super::{Entry, Miss, ModelAt, Tail};
use crate::dialect::{Dialect, Operation};

/// What is wanted of files or batches.
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
    /// A file's bytes, a batch's results.
    Content,
    Cancel,
}

struct Collection {
    path: &'static str,
    operation: Operation,
    /// Whose it is; a path that two dialects share is the other one's without Anthropic's headers.
    dialect: Dialect,
    ours: &'static str,
    /// What stands behind an id for its content.
    content: Option<&'static str>,
    deletes: bool,
}

const COLLECTIONS: &[Collection] = &[
    batches("/anthropic/v1/messages/batches", "/anthropic"),
    batches("/v1/messages/batches", ""),
    files("/anthropic/v1/files", Dialect::Anthropic, "/anthropic"),
    files("/v1/files", Dialect::OpenAi, "/v1"),
    Collection {
        path: "/v1/batches",
        operation: Operation::Batches,
        dialect: Dialect::OpenAi,
        ours: "/v1",
        content: None,
        deletes: false,
    },
];

const fn batches(path: &'static str, ours: &'static str) -> Collection {
    let (operation, dialect) = (Operation::Batches, Dialect::Anthropic);
    Collection { path, operation, dialect, ours, content: Some("results"), deletes: true }
}

const fn files(path: &'static str, dialect: Dialect, ours: &'static str) -> Collection {
    Collection { path, operation: Operation::Files, dialect, ours, content: Some("content"), deletes: true }
}

/// Longest id that is looked at.
const LONGEST_ID: usize = 256;

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
    Some(wanted(method, collection, rest).map_or_else(
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
fn wanted<'a>(
    method: &Method,
    collection: &Collection,
    rest: &'a str,
) -> Result<Left<'a>, Option<&'static str>> {
    let Some(named) = rest.strip_prefix('/') else {
        return match *method {
            Method::POST => Ok(Left { want: Want::Create, id: None }),
            Method::GET => Ok(Left { want: Want::List, id: None }),
            _ => Err(Some("GET, POST")),
        };
    };
    let (id, verb) = named.split_once('/').map_or((named, None), |(id, verb)| (id, Some(verb)));
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(sound) {
        return Err(None);
    }
    let want = match (method.as_str(), verb) {
        ("GET", None) => Want::Look,
        ("DELETE", None) if collection.deletes => Want::Delete,
        (_, None) => return Err(Some(if collection.deletes { "DELETE, GET" } else { "GET" })),
        ("GET", Some(verb)) if collection.content == Some(verb) => Want::Content,
        (_, Some(verb)) if collection.content == Some(verb) => return Err(Some("GET")),
        ("POST", Some("cancel")) if collection.operation == Operation::Batches => Want::Cancel,
        (_, Some("cancel")) if collection.operation == Operation::Batches => return Err(Some("POST")),
        (_, Some(_)) => return Err(None),
    };
    Ok(Left { want, id: Some(id) })
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
        check("GET", "/v1/filesystem", false, "-");
        check("POST", "/v1/messages", false, "-");
    }
}
