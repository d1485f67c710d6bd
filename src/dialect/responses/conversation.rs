//! What a request refers to, and what is to be remembered of an answer: the members that hold items.
//!
//! Texts only; nothing is looked up here, and nothing kept. Items are passed on as they were written.

use std::borrow::Cow;
use std::fmt::Write;

use super::request::KEPT;
use crate::dialect::hub::{Ask, Keeping, Text};
use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};

/// What begins the varying part of an id that was made here for an answer that is remembered. No vendor's
/// has it there: theirs go on in hexadecimal digits.
const OURS: &str = "kept";

/// Digits behind that: 128 bits that nobody can guess.
const DIGITS: usize = 32;

/// The varying part of the ids of one answer.
pub fn nonce(random: [u8; 16]) -> String {
    random.iter().fold(OURS.to_owned(), |mut nonce, byte| {
        // Writing to a String cannot fail.
        let _ = write!(nonce, "{byte:02x}");
        nonce
    })
}

/// Whether a response or an item of this id was made here, and could be remembered.
pub fn is_ours(id: &str) -> bool {
    let digits = |rest: &str| {
        rest.get(..DIGITS).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    id.match_indices(OURS).any(|(at, _)| id.get(at + OURS.len()..).is_some_and(digits))
}

/// Whether a body may refer to anything by its id. What this passes over refers to nothing of ours.
pub fn may_refer(body: &[u8]) -> bool {
    ["previous_response_id", "item_reference", "_kept"]
        .iter()
        .any(|mark| memchr::memmem::find(body, mark.as_bytes()).is_some())
}

/// The response that the request goes on from.
pub fn previous<'n>(request: &'n Node<'_>) -> Option<&'n str> {
    request.at("previous_response_id").and_then(Node::as_str)
}

/// The id of the item that this one stands for; `None` for one that is there itself.
pub fn reference<'n>(item: &'n Node<'_>) -> Option<&'n str> {
    let stands_for = match item.at("type") {
        Some(kind) => kind.as_str() == Some("item_reference"),
        None => item.at("role").is_none(),
    };
    item.at("id").filter(|_| stands_for).and_then(Node::as_str)
}

/// The items of a request's input; a text is a message of the user's.
pub fn input<'n, 'a>(request: &'n Node<'a>) -> Vec<(Option<&'n Node<'a>>, Cow<'a, str>)> {
    let Some(input) = request.at("input") else { return Vec::new() };
    if !input.is_string() {
        return input.elements().iter().map(|item| (Some(item), Cow::Borrowed(item.raw()))).collect();
    }
    let message = write::text(|out| {
        write::object(out, |o| {
            o.str("type", "message").str("role", "user").raw("content", input.raw());
        });
    });
    vec![(None, Cow::Owned(message))]
}

/// What becomes of `previous_response_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// Its items are in the input now.
    SaidAgain,
    /// It is its vendor's.
    Kept,
}

/// The request with other items.
pub fn with_input<'i>(
    request: &Node<'_>,
    previous: Previous,
    items: impl Iterator<Item = &'i str>,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(request.raw().len() + 1024);
    write::object(&mut body, |o| {
        for (key, value) in request.members() {
            let replaced = match &**key {
                "input" => true,
                "previous_response_id" => previous == Previous::SaidAgain,
                _ => false,
            };
            if !replaced {
                o.raw(key, value.raw());
            }
        }
        o.array("input", |array| {
            for item in items {
                array.raw(item);
            }
        });
    });
    body
}

/// Lets the answer repeat what the request said before it was expanded, and whether it is remembered.
pub fn repeat<'a>(ask: &mut Ask<'a>, keeping: Keeping, previous: Option<&'a str>) {
    if keeping == Keeping::Kept {
        ask.extras.keep_aside(KEPT, "true");
    }
    if let Some(previous) = previous {
        ask.extras.keep_aside("previous_response_id", previous);
    }
}

/// A response object, taken apart at its output.
#[derive(Debug)]
pub struct Apart<'r> {
    pub id: String,
    /// The text before the output, and behind it.
    pub head: &'r str,
    pub tail: &'r str,
    /// The items, JSON, with their ids.
    pub output: Vec<(Option<String>, &'r str)>,
}

/// `None` for what is no response object.
pub fn apart(response: &str) -> Option<Apart<'_>> {
    let root = tree::parse(response.as_bytes()).ok()?;
    let output = root.at("output").filter(|output| output.is_array())?;
    let begin = (output.raw().as_ptr() as usize).checked_sub(response.as_ptr() as usize)?;
    Some(Apart {
        id: root.at("id")?.as_str()?.to_owned(),
        head: response.get(..begin)?,
        tail: response.get(begin + output.raw().len()..)?,
        output: output.elements().iter().map(|item| (id(item), item.raw())).collect(),
    })
}

/// An item's own id.
pub fn id(item: &Node<'_>) -> Option<String> {
    item.at("id").and_then(Node::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// An item of the input as it is listed: with an id, and a message's text as a part.
pub fn listed(item: &str, made_up: &str) -> String {
    let Ok(root) = tree::parse(item.as_bytes()) else { return item.to_owned() };
    let kind = root.at("type").and_then(Node::text).unwrap_or(Text::Borrowed("message"));
    write::text(|out| {
        write::object(out, |o| {
            o.str("id", root.at("id").and_then(Node::as_str).unwrap_or(made_up)).str("type", &kind);
            for (key, value) in root.members() {
                match &**key {
                    "id" | "type" => {}
                    "content" if kind == "message" && value.is_string() => content(&root, value, o),
                    key => {
                        o.raw(key, value.raw());
                    }
                }
            }
        });
    })
}

fn content(message: &Node<'_>, text: &Node<'_>, o: &mut Object<'_>) {
    let by_model = message.at("role").and_then(Node::as_str) == Some("assistant");
    o.array("content", |array| {
        array.object(|o| {
            o.str("type", if by_model { "output_text" } else { "input_text" }).raw("text", text.raw());
            if by_model {
                o.raw("annotations", "[]");
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn only_ids_that_were_made_here_are_ours() {
        let nonce = nonce([0xa7; 16]);
        assert_eq!(nonce.len(), OURS.len() + DIGITS);
        for prefix in ["resp_", "msg_", "rs_made_", "fc_"] {
            assert!(is_ours(&format!("{prefix}{nonce}")) && is_ours(&format!("{prefix}{nonce}_12")));
        }
        for id in
            ["", "resp_", "resp_kept", "resp_kept12", "resp_68af4030592c81938ec0a5fbab4a3e9f", "msg_kept_é"]
        {
            assert!(!is_ours(id), "{id}");
        }
    }

    #[test]
    fn a_reference_may_leave_out_its_type() {
        let check = |item: Value, expected: Option<&str>| {
            let text = item.to_string();
            assert_eq!(reference(&tree::parse(text.as_bytes()).expect("JSON")), expected, "{item}");
        };
        check(json!({"type": "item_reference", "id": "msg_1"}), Some("msg_1"));
        check(json!({"id": "msg_1"}), Some("msg_1"));
        check(json!({"id": "msg_1", "role": "user", "content": "x"}), None);
        check(json!({"type": "function_call", "id": "fc_1"}), None);
        check(json!("text"), None);
    }

    #[test]
    fn a_request_with_other_items_is_the_same_request_else() {
        let text = r#"{"model":"m","input":"a\n\u00e9","previous_response_id":"resp_1","tools":[ ]}"#;
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let own = input(&root);
        let items: Vec<&str> =
            std::iter::once("{\"id\":1}").chain(own.iter().map(|(_, text)| &**text)).collect();
        let body = |previous| {
            let body = with_input(&root, previous, items.iter().copied());
            read(std::str::from_utf8(&body).expect("text"))
        };
        let expected = json!({"model": "m", "tools": [], "input": [{"id": 1},
            {"type": "message", "role": "user", "content": "a\né"}]});
        assert_eq!(body(Previous::SaidAgain), expected);
        assert_eq!(body(Previous::Kept)["previous_response_id"], "resp_1");
    }

    #[test]
    fn a_response_is_taken_apart_and_whole_again() {
        let text = r#"{"id":"resp_1","output":[{"id":"msg_1","x":1},{"y":[]}],"tools":[]}"#;
        let apart = apart(text).expect("a response");
        let output: Vec<&str> = apart.output.iter().map(|(_, item)| *item).collect();
        assert_eq!([apart.head, "[", &output.join(","), "]", apart.tail].concat(), text);
        assert_eq!(apart.output[0].0.as_deref(), Some("msg_1"));
        assert_eq!((apart.output[1].0.as_deref(), &*apart.id), (None, "resp_1"));
        assert!(super::apart("{}").is_none() && super::apart("nonsense").is_none());
    }

    #[test]
    fn listed_items_have_ids_and_parts() {
        let item = |text: &str| read(&listed(text, "msg_in_0"));
        assert_eq!(
            item(r#"{"role":"user","content":"hi"}"#),
            json!({"id": "msg_in_0", "type": "message", "role": "user",
                "content": [{"type": "input_text", "text": "hi"}]})
        );
        let call =
            json!({"id": "fc_1", "type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"});
        assert_eq!(item(&call.to_string()), call);
    }
}
