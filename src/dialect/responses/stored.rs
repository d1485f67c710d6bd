//! The ways to what is stored of a response, and what is said there.
//!
//! `/v1/responses/{id}`, `…/input_items` and `…/cancel`. Which responses are stored, and what they are,
//! is told by whoever asks this file.

use std::borrow::Cow;

use http::Method;

use crate::dialect::write;

/// What somebody wants of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand<'p> {
    pub id: &'p str,
    pub want: Want,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Response,
    InputItems,
    Delete,
    Cancel,
}

/// What a path below the stored responses means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'p> {
    To(Errand<'p>),
    /// There is something, but not for this method.
    NotAllowed {
        id: &'p str,
        allow: &'static str,
    },
}

/// `None` for a path of anything else. `path` is raw.
pub fn find<'p>(method: &Method, path: &'p str) -> Option<Way<'p>> {
    let rest = path.strip_prefix("/v1/responses/")?;
    let (id, below) = rest.split_once('/').map_or((rest, None), |(id, below)| (id, Some(below)));
    let wants: &[(Method, Want)] = match below {
        None => &[(Method::GET, Want::Response), (Method::DELETE, Want::Delete)],
        Some("input_items") => &[(Method::GET, Want::InputItems)],
        Some("cancel") => &[(Method::POST, Want::Cancel)],
        Some(_) => return None,
    };
    if id.is_empty() {
        return None;
    }
    let want = wants.iter().find(|(of, _)| of == method).map(|(_, want)| *want);
    Some(match (want, below) {
        (Some(want), _) => Way::To(Errand { id, want }),
        (None, None) => Way::NotAllowed { id, allow: "GET, DELETE" },
        (None, Some("cancel")) => Way::NotAllowed { id, allow: "POST" },
        (None, Some(_)) => Way::NotAllowed { id, allow: "GET" },
    })
}

/// A part of a list of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'q> {
    limit: usize,
    newest_first: bool,
    after: Option<Cow<'q, str>>,
}

/// A query that asks for no part of a list; the words are for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPage {
    pub param: &'static str,
    pub message: &'static str,
}

impl<'q> Page<'q> {
    pub fn parse(query: Option<&'q str>) -> Result<Self, BadPage> {
        let mut page = Self { limit: 20, newest_first: true, after: None };
        for param in query.unwrap_or_default().split('&') {
            match param.split_once('=') {
                Some(("limit", number)) => {
                    let limit = number.parse().ok().filter(|limit| (1..=100).contains(limit));
                    page.limit = limit.ok_or(BadPage { param: "limit", message: "`limit` is 1 to 100" })?;
                }
                Some(("order", "asc")) => page.newest_first = false,
                Some(("order", "desc")) => page.newest_first = true,
                Some(("order", _)) => {
                    return Err(BadPage { param: "order", message: "`order` is asc or desc" });
                }
                Some(("after", id)) => page.after = Some(Cow::Borrowed(id)),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The list's page, JSON; `items` are ids and texts, the oldest first.
    pub fn list(&self, mut items: Vec<(String, String)>) -> Result<String, BadPage> {
        if self.newest_first {
            items.reverse();
        }
        let begin = match &self.after {
            None => 0,
            Some(after) => {
                let known = items.iter().position(|(id, _)| id == after);
                1 + known.ok_or(BadPage { param: "after", message: "`after` names no item of the input" })?
            }
        };
        let rest = items.get(begin..).unwrap_or_default();
        let shown = rest.get(..self.limit).unwrap_or(rest);
        Ok(write::text(|out| {
            write::object(out, |o| {
                o.str("object", "list");
                o.array("data", |array| {
                    for (_, item) in shown {
                        array.raw(item);
                    }
                });
                for (key, item) in [("first_id", shown.first()), ("last_id", shown.last())] {
                    match item {
                        Some((id, _)) => o.str(key, id),
                        None => o.null(key),
                    };
                }
                o.bool("has_more", shown.len() < rest.len());
            });
        }))
    }
}

/// What is said of a response that is gone.
pub fn deleted(id: &str) -> String {
    write::text(|out| {
        write::object(out, |o| {
            o.str("id", id).str("object", "response").bool("deleted", true);
        });
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_way_is_found_by_its_method() {
        let check = |method: Method, path: &str, expected: Option<Way<'_>>| {
            assert_eq!(find(&method, path), expected, "{method} {path}");
        };
        let to = |want| Some(Way::To(Errand { id: "resp_1", want }));
        check(Method::GET, "/v1/responses/resp_1", to(Want::Response));
        check(Method::DELETE, "/v1/responses/resp_1", to(Want::Delete));
        check(Method::GET, "/v1/responses/resp_1/input_items", to(Want::InputItems));
        check(Method::POST, "/v1/responses/resp_1/cancel", to(Want::Cancel));
        let wrong = |allow| Some(Way::NotAllowed { id: "resp_1", allow });
        check(Method::PUT, "/v1/responses/resp_1", wrong("GET, DELETE"));
        check(Method::GET, "/v1/responses/resp_1/cancel", wrong("POST"));
        for path in
            ["/v1/responses", "/v1/responses/", "/v1/responses/x/y", "/v1/responses//cancel", "/v1/x/y"]
        {
            check(Method::GET, path, None);
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let items: Vec<(String, String)> =
            (0..45).map(|n| (format!("i{n}"), format!("{{\"id\":\"i{n}\"}}"))).collect();
        for (order, first) in [("asc", "i0"), ("desc", "i44")] {
            let (mut seen, mut query) = (Vec::new(), format!("order={order}"));
            loop {
                let page = Page::parse(Some(&query)).expect("sound").list(items.clone()).expect("known");
                let page: Value = serde_json::from_str(&page).expect("JSON");
                let data = page["data"].as_array().expect("a list").clone();
                assert_eq!(
                    (&page["first_id"], &page["last_id"]),
                    (&data[0]["id"], &data[data.len() - 1]["id"])
                );
                seen.extend(data.into_iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
                if page["has_more"] == json!(false) {
                    break;
                }
                query = format!("order={order}&after={}", page["last_id"].as_str().expect("an id"));
            }
            assert_eq!((seen.len(), &*seen[0]), (45, first));
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 45);
        }
    }

    #[test]
    fn a_page_that_is_none_is_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert!(Page::parse(Some(query)).is_err(), "{query}");
        }
        let page = Page::parse(Some("after=nobody")).expect("sound");
        assert_eq!(page.list(Vec::new()).expect_err("unknown").param, "after");
    }
}
