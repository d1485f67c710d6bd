//! Which conversation a request belongs to, for the sake of prompt caches.
//!
//! Said by the caller, in a header or in the body; else the same conversation is the one that began in
//! the same way: with this system prompt and this first message of the user's. The answer is a number
//! that means nothing by itself, so nothing of a prompt is kept. A wrong guess costs a cache, no more.

use http::HeaderMap;

use super::json::{Kind, Text, Walked, Walker};
use crate::algo::name::{self, Parts};

/// Headers that name a conversation: ours first, then Claude Code's, Codex's and what others have settled on.
const HEADERS: [&str; 6] = [
    "x-mainstay-session",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "x-session-id",
    "x-session-affinity",
];

/// Members that come before the messages and are part of what a cache would hold.
const PREAMBLE: [&str; 4] = ["system", "systemInstruction", "system_instruction", "instructions"];

/// Members that hold the messages.
const MESSAGES: [&str; 3] = ["messages", "contents", "input"];

/// The conversation, as the caller names it or as it began; `None` when neither can be told.
pub fn session(headers: &HeaderMap, body: &[u8]) -> Option<u64> {
    let named = HEADERS.iter().find_map(|name| headers.get(*name).filter(|value| !value.is_empty()));
    if let Some(value) = named {
        return Some(name::number(value.as_bytes()));
    }
    let mut seen = Seen::default();
    let mut walker = Walker::new(body);
    // A body that is no JSON was refused before, or is a form and no conversation.
    walker.object(|walker, key| seen.member(walker, key)).ok()?;
    seen.named.or_else(|| seen.user_spoke.then(|| seen.opening.number()))
}

#[derive(Default)]
struct Seen {
    named: Option<u64>,
    opening: Parts,
    user_spoke: bool,
}

impl Seen {
    fn member(&mut self, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked {
        if key.is("prompt_cache_key") || key.is("conversation") {
            let (kind, span) = walker.value()?;
            if matches!(kind, Kind::String | Kind::Object) {
                self.named = Some(name::number(walker.slice(span)));
            }
        } else if key.is("metadata") {
            self.metadata(walker)?;
        } else if PREAMBLE.iter().any(|name| key.is(name)) {
            let (_, span) = walker.value()?;
            self.opening.add(walker.slice(span));
        } else if MESSAGES.iter().any(|name| key.is(name)) {
            self.messages(walker)?;
        } else {
            walker.skip()?;
        }
        Ok(())
    }

    /// Claude Code writes its session into Anthropic's `metadata.user_id`; a plain user's id is no
    /// conversation.
    fn metadata(&mut self, walker: &mut Walker<'_>) -> Walked {
        let mut named = None;
        let is_object = walker.if_object(|walker, key| {
            let (_, span) = walker.value()?;
            let value = walker.slice(span);
            if key.is("user_id") && memchr::memmem::find(value, b"session").is_some() {
                named = Some(name::number(value));
            }
            Ok(())
        })?;
        if is_object {
            self.named = self.named.or(named);
        }
        Ok(())
    }

    /// What comes before the user's first message, and that.
    fn messages(&mut self, walker: &mut Walker<'_>) -> Walked {
        if walker.kind()? != Kind::Array {
            let (kind, span) = walker.value()?;
            self.user_spoke |= kind == Kind::String;
            self.opening.add(walker.slice(span));
            return Ok(());
        }
        walker.array(|walker| {
            if self.user_spoke {
                walker.skip()?;
                return Ok(());
            }
            let begin = walker.offset();
            // Gemini's callers may leave it out.
            let mut role_is_user = true;
            walker.if_object(|walker, key| {
                let (_, span) = walker.value()?;
                if key.is("role") {
                    role_is_user = walker.slice(span) == b"\"user\"";
                }
                Ok(())
            })?;
            let end = walker.position();
            self.opening.add(walker.slice(begin..end));
            self.user_spoke = role_is_user;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Option<u64> {
        session(&HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn a_conversation_is_the_one_that_began_alike() {
        let check = |one: &str, other: &str, same: bool| {
            let (one, other) = (of(one), of(other));
            assert!(one.is_some() && other.is_some());
            assert_eq!(one == other, same);
        };
        let chat = |rest: &str| {
            format!(
                r#"{{"messages":[{{"role":"system","content":"be kind"}},{{"role":"user","content":"hi"}}{rest}],"model":"m"}}"#
            )
        };
        let later = chat(r#",{"role":"assistant","content":"hello"},{"role":"user","content":"more"}"#);
        check(&chat(""), &later, true);
        check(&chat(""), &later.replace("be kind", "be brief"), false);
        check(&chat(""), &later.replace("\"hi\"", "\"ho\""), false);
        check(
            r#"{"system":"s","messages":[{"role":"user","content":"a"}]}"#,
            r#"{"system":"s","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
            true,
        );
        check(
            r#"{"systemInstruction":{"parts":[]},"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#,
            r#"{"systemInstruction":{"parts":[{}]},"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#,
            false,
        );
        check(r#"{"input":"a"}"#, r#"{"input":"b"}"#, false);
    }

    #[test]
    fn what_the_caller_says_goes_before_how_it_began() {
        let with = |name: &'static str, value: &'static str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            session(&headers, body.as_bytes())
        };
        let (one, other) = (r#"{"input":"a"}"#, r#"{"input":"b"}"#);
        assert_eq!(with("session_id", "1", one), with("session_id", "1", other));
        assert_ne!(with("session_id", "1", one), with("session_id", "2", one));
        assert_eq!(with("x-session-id", "", one), of(one));
        assert_eq!(
            of(r#"{"prompt_cache_key":"k","input":"a"}"#),
            of(r#"{"input":"b","prompt_cache_key":"k"}"#)
        );
        let user = |id: &str, text: &str| {
            of(&format!(
                r#"{{"metadata":{{"user_id":"{id}"}},"messages":[{{"role":"user","content":"{text}"}}]}}"#
            ))
        };
        assert_eq!(user("user_1_session_2", "a"), user("user_1_session_2", "b"));
        assert_ne!(user("user_1", "a"), user("user_1", "b"));
    }

    #[test]
    fn what_is_no_conversation_belongs_to_none() {
        for body in
            ["", "[]", "{}", r#"{"messages":[]}"#, r#"{"messages":[{"role":"system"}]}"#, "{\"input\":"]
        {
            assert_eq!(of(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = session(&HeaderMap::new(), &body);
        }
    }
}
