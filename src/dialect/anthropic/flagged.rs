//! Members of a request that belong to a beta. Without its flag each is refused ("Extra inputs are not permitted"), so
//! where a host does not take the flag they go with it.

use memchr::memmem;

use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};

const SPEED: &str = "speed";
const DIAGNOSTICS: &str = "diagnostics";
const SCOPE: &str = "cache_control.scope";

/// What a flag begins with, the member that belongs to it, and how that stands in a body.
const MEMBERS: [(&str, &str, &[u8]); 3] = [
    ("fast-mode-", SPEED, b"\"speed\""),
    ("cache-diagnosis-", DIAGNOSTICS, b"\"diagnostics\""),
    ("prompt-caching-scope-", SCOPE, b"\"scope\""),
];

/// Members on the way to cache marks. What tools take and are given is the caller's own.
const WAY: [&str; 4] = ["system", "tools", "messages", "content"];

/// The body without what belongs to these flags, and what that was, by name; `None` where nothing of it is there.
pub fn without(body: &[u8], flags: &[&str]) -> Option<(Vec<u8>, Vec<&'static str>)> {
    let is_gone = |begin: &str| flags.iter().any(|flag| flag.starts_with(begin));
    let may_be_there = |member: &[u8]| memmem::find(body, member).is_some();
    let goes = MEMBERS.iter().filter(|(begin, _, member)| is_gone(begin) && may_be_there(member));
    let mut lessening = Lessening { goes: goes.map(|(_, name, _)| *name).collect(), found: Vec::new() };
    if lessening.goes.is_empty() {
        return None;
    }
    let root = tree::request(body).ok()?;
    let mut out = Vec::with_capacity(body.len());
    write::object(&mut out, |o| {
        for (key, value) in root.members() {
            match lessening.goes.iter().find(|name| **name == &**key) {
                Some(name) => lessening.found.push(name),
                None => lessening.member(key, value, o),
            }
        }
    });
    // By the table's order, which is nobody's.
    let found = lessening.goes.iter().filter(|name| lessening.found.contains(name));
    let found: Vec<_> = found.copied().collect();
    (!found.is_empty()).then_some((out, found))
}

struct Lessening {
    goes: Vec<&'static str>,
    found: Vec<&'static str>,
}

impl Lessening {
    fn member(&mut self, key: &str, value: &Node<'_>, o: &mut Object<'_>) {
        if key == "cache_control" && self.goes.contains(&SCOPE) && value.at("scope").is_some() {
            self.found.push(SCOPE);
            o.object(key, |o| {
                for (name, value) in value.members().iter().filter(|(name, _)| name != "scope") {
                    o.raw(name, value.raw());
                }
            });
        } else if WAY.contains(&key) && value.is_array() {
            o.array(key, |a| {
                for element in value.elements() {
                    if element.is_object() {
                        a.object(|o| {
                            for (key, value) in element.members() {
                                self.member(key, value, o);
                            }
                        });
                    } else {
                        a.raw(element.raw());
                    }
                }
            });
        } else {
            o.raw(key, value.raw());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, flags: &[&str], expected: Option<(&str, &[&str])>) {
        let found = without(body.as_bytes(), flags);
        let found = found.map(|(body, names)| (String::from_utf8(body).expect("text"), names));
        let expected = expected.map(|(body, names)| (body.to_owned(), names.to_vec()));
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn what_belongs_to_a_flag_goes_with_it_and_nothing_else() {
        let flags = ["fast-mode-2026-02-01", "prompt-caching-scope-2026-01-05"];
        check(
            r#"{"cache_control": {"type":"ephemeral", "scope":"global"}, "speed":"fast", "temperature": 1.0, "messages":[{"content":[{"type":"tool_result","content":[{"cache_control":{"scope":"a"}}]}]},"x"]}"#,
            &flags,
            Some((
                r#"{"cache_control":{"type":"ephemeral"},"temperature":1.0,"messages":[{"content":[{"type":"tool_result","content":[{"cache_control":{}}]}]},"x"]}"#,
                &["speed", "cache_control.scope"],
            )),
        );
        for same in [
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"speed":"fast","cache_control":{"scope":1}}}]}]}"#,
            r#"{"messages":[{"content":"\"speed\" \"scope\""}],"diagnostics":{}}"#,
            r#"{"speed""#,
            "[]",
            "{}",
        ] {
            check(same, &flags, None);
        }
        check(r#"{"speed":"fast"}"#, &["context-1m-2025-08-07"], None);
        check(r#"{"speed":"fast"}"#, &[], None);
    }
}
