//! Reasoning that only whoever encrypted it can read: where it stands in requests and answers, by the hash of
//! its text, and requests without some of it.
//!
//! Texts and numbers only: who encrypted what is remembered by the proxy.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use crate::algo::name;
use crate::dialect::hub::{Ask, Content, Family, Signature, Text};
use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::tree::{self, Node};
use crate::dialect::{Dialect, Operation, translate, write};

const MEMBER: &[u8] = b"\"encrypted_content\"";
/// Looked for in every request and answer, so they are made ready once.
static IN_RESPONSES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MEMBER));
static IN_CHATS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"reasoning_details\""));

/// More of them in one request are not told apart: they go wherever the request goes.
const MOST: usize = 256;

/// Something encrypted in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// The hash of its text.
    pub name: u64,
    pub worth: Worth,
}

/// What a request is without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The same request: a thought that went before.
    Context,
    /// Another one: all that was said before, in short (`compaction`).
    Everything,
}

/// What is encrypted in a request, in its order. Of a body that cannot be read, nothing.
pub fn of_request(dialect: Dialect, operation: Operation, model: &str, body: &[u8]) -> Vec<Encrypted> {
    if dialect == Dialect::Responses {
        return if IN_RESPONSES.find(body).is_some() { of_input(body) } else { Vec::new() };
    }
    let carried = match dialect {
        Dialect::OpenAi => IN_CHATS.find(body).is_some(),
        Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock => Signature::may_be_ours(dialect, body),
        Dialect::Responses | Dialect::Cohere | Dialect::Ollama | Dialect::Http => false,
    };
    if !carried || !translate::generates(operation) {
        return Vec::new();
    }
    let Ok(root) = tree::request(body) else { return Vec::new() };
    let Ok(mut ask) = translate::read(dialect, operation, model, &root) else { return Vec::new() };
    let mut found = Vec::new();
    each_signature(&mut ask, |signature| {
        found.extend(name_of(signature).map(|name| Encrypted { name, worth: Worth::Context }));
        Fate::Stays
    });
    found.truncate(MOST);
    found
}

fn of_input(body: &[u8]) -> Vec<Encrypted> {
    let mut found = Vec::new();
    // What cannot be read is refused by whoever reads it.
    let _ = Walker::new(body).object(|walker, key| {
        if key.is("input") && walker.kind()? == Kind::Array {
            walker.array(|walker| item(walker, &mut found))
        } else {
            walker.skip().map(drop)
        }
    });
    found.truncate(MOST);
    found
}

/// What is encrypted in a whole answer.
pub fn of_answer(body: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    if IN_RESPONSES.find(body).is_some() {
        let _ = response(&mut Walker::new(body), &mut found);
    }
    found.into_iter().map(|encrypted| encrypted.name).collect()
}

/// The same of an event of a stream. Of an item that is only begun, nothing: its text still changes.
pub fn of_event(json: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    if IN_RESPONSES.find(json).is_some() && memmem::find(json, b"output_item.added").is_none() {
        let _ = Walker::new(json).object(|walker, key| match () {
            () if key.is("item") => item(walker, &mut found),
            () if key.is("response") => response(walker, &mut found),
            () => walker.skip().map(drop),
        });
    }
    found.into_iter().map(|encrypted| encrypted.name).collect()
}

fn response(walker: &mut Walker<'_>, found: &mut Vec<Encrypted>) -> Walked {
    walker
        .if_object(|walker, key| {
            if key.is("output") && walker.kind()? == Kind::Array {
                walker.array(|walker| item(walker, found))
            } else {
                walker.skip().map(drop)
            }
        })
        .map(drop)
}

fn item(walker: &mut Walker<'_>, found: &mut Vec<Encrypted>) -> Walked {
    let (mut name, mut worth) = (None, Worth::Everything);
    walker.if_object(|walker, key| {
        if key.is("encrypted_content") && walker.kind()? == Kind::String {
            name = walker
                .string()?
                .decode()
                .and_then(|text| name_of(&Signature::unseal(Text::Owned(text.into_owned()), Family::OpenAi)));
        } else if key.is("type") && walker.kind()? == Kind::String {
            worth = if walker.string()?.is("reasoning") { Worth::Context } else { Worth::Everything };
        } else {
            walker.skip()?;
        }
        Ok(())
    })?;
    found.extend(name.map(|name| Encrypted { name, worth }));
    Ok(())
}

/// `None` for what is no thought itself, and for an empty one.
fn name_of(signature: &Signature<'_>) -> Option<u64> {
    (signature.family.encrypts() && !signature.value.is_empty())
        .then(|| name::number(signature.value.as_bytes()))
}

/// Whether a request keeps something encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Stays,
    Goes,
}

/// A request of responses without the thoughts of these names. What was said with them loses its id: an id
/// that is known together with its reasoning is refused without it. `None` where nothing had to go.
pub fn without(body: &[u8], goes: &[u64]) -> Option<Vec<u8>> {
    if goes.is_empty() {
        return None;
    }
    let root = tree::request(body).ok()?;
    let input = root.at("input").filter(|input| input.is_array())?;
    let is_gone = |item: &Node<'_>| {
        let is_thought = item.at("type").and_then(Node::as_str) == Some("reasoning");
        let text = item.at("encrypted_content").filter(|_| is_thought).and_then(Node::text);
        let name = text.and_then(|text| name_of(&Signature::unseal(text, Family::OpenAi)));
        name.is_some_and(|name| goes.contains(&name))
    };
    if !input.elements().iter().any(is_gone) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    write::object(&mut out, |o| {
        for (key, value) in root.members() {
            if &**key != "input" {
                o.raw(key, value.raw());
            }
        }
        o.array("input", |array| {
            for item in input.elements().iter().filter(|item| !is_gone(item)) {
                if !may_lose_its_id(item) {
                    array.raw(item.raw());
                    continue;
                }
                array.object(|o| {
                    for (key, value) in item.members() {
                        if &**key != "id" {
                            o.raw(key, value.raw());
                        }
                    }
                });
            }
        });
    });
    Some(out)
}

/// What a model says and calls: there an id is optional, and other items are nothing without theirs.
fn may_lose_its_id(item: &Node<'_>) -> bool {
    let kind = item.at("type").and_then(Node::as_str);
    let by_model = item.at("role").and_then(Node::as_str) == Some("assistant");
    item.at("id").is_some()
        && (matches!(kind, Some("function_call" | "custom_tool_call" | "tool_search_call"))
            || (by_model && matches!(kind, Some("message") | None)))
}

/// Takes the thoughts of these names out of a request that is said anew. Whether there were any.
pub fn take_out(ask: &mut Ask<'_>, goes: &[u64]) -> bool {
    let mut any = false;
    each_signature(ask, |signature| {
        let is_gone = name_of(signature).is_some_and(|name| goes.contains(&name));
        any |= is_gone;
        if is_gone { Fate::Goes } else { Fate::Stays }
    });
    any
}

fn each_signature(ask: &mut Ask<'_>, mut fate: impl FnMut(&Signature<'_>) -> Fate) {
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let Content::Thought(thought) = &mut part.content else { continue };
        if thought.signature.as_ref().is_some_and(|signature| fate(signature) == Fate::Goes) {
            thought.signature = None;
            thought.id = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const BODY: &str = r#"{"model":"m","input":[{"role":"user","content":"q"},
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA\u0031"},
        {"type":"message","role":"assistant","id":"msg_1","content":[]},
        {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAA2"},
        {"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},
        {"type":"tool_search_call","id":"tsc_1","call_id":"d","execution":"client","arguments":{}},
        {"type":"web_search_call","id":"ws_1","status":"completed"},
        {"type":"compaction","id":"cmp_1","encrypted_content":"gAAA3"}],"store":false}"#;

    fn names(body: &str) -> Vec<Encrypted> {
        of_request(Dialect::Responses, Operation::Responses, "m", body.as_bytes())
    }

    #[test]
    fn what_an_answer_encrypts_is_known_again_in_a_request() {
        let answer = br#"{"id":"r","output":[{"type":"reasoning","encrypted_content":"gAAA1"},
            {"type":"message"},{"type":"compaction","encrypted_content":"gAAA3"}]}"#;
        let found = names(BODY);
        assert_eq!(of_answer(answer), [found[0].name, found[2].name]);
        assert_eq!(
            found.iter().map(|it| it.worth).collect::<Vec<_>>(),
            [Worth::Context, Worth::Context, Worth::Everything]
        );
        let done = br#"{"type":"response.output_item.done","item":{"type":"reasoning","encrypted_content":"gAAA2"}}"#;
        assert_eq!(of_event(done), [found[1].name]);
        let begun =
            br#"{"type":"response.output_item.added","item":{"type":"reasoning","encrypted_content":"gA"}}"#;
        assert!(of_event(begun).is_empty());
    }

    #[test]
    fn a_request_without_a_thought_is_the_same_request_else() {
        let found = names(BODY);
        assert_eq!(without(BODY.as_bytes(), &[7]), None);
        let lessened = without(BODY.as_bytes(), &[found[0].name, found[2].name]).expect("one goes");
        let lessened: Value = serde_json::from_slice(&lessened).expect("JSON");
        assert_eq!(
            lessened,
            json!({"model": "m", "store": false, "input": [{"role": "user", "content": "q"},
                {"type": "message", "role": "assistant", "content": []},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA2"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "tool_search_call", "call_id": "d", "execution": "client", "arguments": {}},
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA3"}]})
        );
    }

    #[test]
    fn a_thought_is_the_same_in_whatever_dialect_it_comes_back() {
        let signature = Signature { family: Family::OpenAi, value: "gAAA1".into() };
        let sealed = signature.seal(Family::Anthropic).into_owned();
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": sealed},
                {"type": "text", "text": "a"}]}, {"role": "user", "content": "r"}]})
        .to_string();
        let found = of_request(Dialect::Anthropic, Operation::Messages, "m", body.as_bytes());
        assert_eq!(found, [names(BODY)[0]]);
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let mut ask = translate::read(Dialect::Anthropic, Operation::Messages, "m", &root).expect("read");
        assert!(take_out(&mut ask, &[found[0].name]) && !take_out(&mut ask, &[found[0].name]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut body = MEMBER.to_vec();
            body.extend(bytes);
            let _ = (of_input(&body), of_answer(&body), of_event(&body), without(&body, &[1]));
        }
    }
}
