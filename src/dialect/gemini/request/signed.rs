//! Whether calls lack the signatures that Gemini 3 wants (see `signature`).
//!
//! A conversation that an older model began, or one that another gateway answered, has none. Whoever wrote one for each
//! first call passes without being parsed.

use memchr::memmem;

use super::thinking::Model;
use crate::dialect::gemini::names::member;
use crate::dialect::tree::{self, Node};

/// Has this model to be given a word that stands for a signature?
pub fn lacks_signatures(body: &[u8], model: &str) -> bool {
    let count = |names: [&str; 2]| -> usize {
        names.iter().map(|name| memmem::find_iter(body, name.as_bytes()).count()).sum()
    };
    Model::of(model).is_surely_three()
        && count(["\"functionCall\"", "\"function_call\""])
            > count(["\"thoughtSignature\"", "\"thought_signature\""])
        && tree::request(body).is_ok_and(|root| root.at("contents").is_some_and(is_unsigned))
}

/// Is the first call of a turn without one? `contents` may be one content.
fn is_unsigned(contents: &Node<'_>) -> bool {
    let turns = if contents.is_array() { contents.elements() } else { std::slice::from_ref(contents) };
    turns.iter().any(|turn| {
        let parts = turn.at("parts").map(Node::elements).unwrap_or_default();
        let first = parts.iter().find(|part| member(part, "functionCall").is_some());
        let signature = first.map(|part| member(part, "thoughtSignature").and_then(Node::as_str));
        signature.is_some_and(|signature| signature.is_none_or(str::is_empty))
    })
}
