//! Tools in namespaces, which only OpenAI's responses have: others hear one name, and the caller both parts.

use serde_json::{Value, json};

use super::streams::{frames, messages, translated_for};
use super::{MODEL, generation, golden, read, reply, terms, write};
use crate::dialect::hub::samples::{self, manner};
use crate::dialect::hub::{Losses, Manner, Mode, Renamed};
use crate::dialect::translate::GENERATING;
use crate::dialect::{Dialect, tree};

/// What the samples call the tool.
pub const KNOWN: &str = "get_weather";

pub fn elsewhere() -> impl Iterator<Item = Dialect> {
    GENERATING.into_iter().filter(|to| *to != Dialect::Responses)
}

/// As Codex sends it: two servers with a tool of the same name, and a plain one; and one with a tool for free text.
fn asked() -> Value {
    let tool = json!({"type": "function", "name": "find", "description": "finds it", "strict": false,
        "parameters": {"type": "object", "properties": {}}});
    let space = |name: &str| json!({"type": "namespace", "name": name, "description": "d", "tools": [tool]});
    let shop = json!({"type": "namespace", "name": "shop", "tools": [{"type": "custom", "name": "order"}]});
    json!({"model": "m", "tools": [space("mcp__depot"), tool, space("mcp__attic"), shop], "input": [
        {"type": "message", "role": "user", "content": "where is it?"},
        {"type": "function_call", "call_id": "c", "name": "find", "namespace": "mcp__depot", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "on shelf 7"}]})
}

pub fn sent(to: Dialect, body: &Value) -> (Value, Renamed, Losses) {
    let operation = generation(Dialect::Responses, Mode::Whole).expect("it generates");
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let mut ask = read(Dialect::Responses, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    (serde_json::from_slice(&written.body).expect("JSON"), written.renamed, written.losses)
}

/// Each name that is said of a tool of this server.
fn names(body: &Value, server: &str) -> Vec<String> {
    let (text, begin) = (body.to_string(), format!("\"{server}"));
    let said = text.match_indices(&begin).filter_map(|(at, _)| text[at + 1..].split('"').next());
    said.map(str::to_owned).collect()
}

#[test]
fn an_upstream_hears_one_name_for_a_tool_in_a_namespace() {
    for to in elsewhere() {
        let (body, _, losses) = sent(to, &asked());
        assert!(!losses.names().iter().any(|name| name.contains("namespace")), "{to}: {:?}", losses.names());
        let depot = names(&body, "mcp__depot");
        assert!(depot.len() > 1 && depot.iter().all(|name| *name == depot[0]), "{to}: {body}");
        assert!(depot[0].contains("find"), "{to}: {depot:?}");
        let attic = names(&body, "mcp__attic");
        assert!(attic.len() == 1 && attic[0].contains("find"), "{to}: {body}");
        assert!(body.to_string().contains(r#""find""#), "the plain one, to {to}: {body}");
    }
}

/// `said` of a call of the tool that an upstream knows by another name.
fn check(from: Dialect, told: &str, parts: &str, manner: impl Fn() -> Manner) {
    let mut met = 0;
    let mut look = |said: &[u8], sample: &str| {
        met += 1;
        let said = String::from_utf8_lossy(said);
        assert!(said.contains(parts) && !said.contains(told), "{sample} of {from}: {said}");
    };
    for (sample, _) in samples::replies() {
        let Some(body) = golden(sample, &format!("reply.{from}.json")) else { continue };
        let known = String::from_utf8(body).expect("text");
        if known.contains(KNOWN) {
            let known = known.replace(KNOWN, told);
            look(&reply(from, Dialect::Responses, known.as_bytes(), &manner()).expect("an answer"), sample);
        }
    }
    for (sample, _) in samples::streams() {
        let Some(lines) = golden(sample, &format!("stream.{from}.txt")) else { continue };
        let known = String::from_utf8(lines).expect("text");
        if known.contains(KNOWN) {
            let known = known.replace(KNOWN, told);
            let wire = if from == Dialect::Bedrock { messages(&known) } else { known.into_bytes() };
            look(&translated_for(from, Dialect::Responses, &frames(from, [&*wire]), manner()), sample);
        }
    }
    assert!(met > 1, "{from}");
}

#[test]
fn a_caller_is_told_the_namespace_of_what_is_called() {
    for from in elsewhere() {
        let (body, renamed, _) = sent(from, &asked());
        let manner = || Manner { renamed: renamed.clone(), ..manner() };
        let attic = names(&body, "mcp__attic").remove(0);
        check(from, &attic, r#""name":"find","namespace":"mcp__attic""#, manner);
        let shop = ["shop", "mainstay_custom_shop"].iter().find_map(|begin| names(&body, begin).pop());
        check(from, &shop.expect("a name"), r#""name":"order","namespace":"shop""#, manner);
    }
}

#[test]
fn who_knows_namespaces_gets_them_as_they_were() {
    let (body, renamed, _) = sent(Dialect::Responses, &asked());
    assert_eq!((&body["tools"], &body["input"][1]), (&asked()["tools"], &asked()["input"][1]));
    assert!(renamed.is_empty());
}
