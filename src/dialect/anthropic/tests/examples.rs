//! Decisions, by example: what a request becomes, and what is lost on the way.

mod answers;
mod messages;
mod reading;
mod thinking;
mod tools;

use serde_json::Value;

use super::terms;
use crate::dialect::Dialect;
use crate::dialect::anthropic::request;
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Extras, Losses, Outcome, Part, Role, Terms, Tool, ToolKind, Turn,
};
use crate::vocab::{Ability, Facts};

fn ask(turns: Vec<Turn<'static>>) -> Ask<'static> {
    Ask { turns, ..Ask::new(Dialect::OpenAi) }
}

fn say(role: Role, text: &'static str) -> Turn<'static> {
    Turn::new(role, vec![Part::text(text)])
}

fn hello() -> Ask<'static> {
    ask(vec![say(Role::User, "Hello")])
}

fn call(id: &'static str, name: &'static str) -> Part<'static> {
    let (id, name, arguments) = (id.into(), name.into(), "{}".into());
    Part::new(Content::Call(Call { id, name, arguments, kind: CallKind::Function, signature: None }))
}

fn result(id: &'static str, name: &'static str) -> Part<'static> {
    let content = vec![Part::text("done")];
    let (call_id, name) = (id.into(), Some(name.into()));
    Part::new(Content::Outcome(Outcome { call_id, name, content, is_error: None, kind: CallKind::Function }))
}

fn function(name: &'static str) -> Tool<'static> {
    let kind =
        ToolKind::Function { name: name.into(), description: None, parameters: None, strict: Some(true) };
    Tool { kind, cache: None, extras: Extras::default() }
}

fn written(ask: &Ask<'_>, terms: &Terms<'_>) -> (Value, String) {
    let (mut losses, mut body) = (Losses::default(), Vec::new());
    request::write(ask, terms, &mut losses, &mut body);
    let lost = match losses.fatal() {
        Some(loss) => format!("! {}", loss.message),
        None => losses.names().join(" "),
    };
    (serde_json::from_slice(&body).expect("JSON"), lost)
}

/// What stands at these places of the request, and what is lost.
fn check(ask: &Ask<'_>, terms: &Terms<'_>, expected: &[(&str, Value)], lost: &str) {
    let (body, losses) = written(ask, terms);
    for (place, value) in expected {
        assert_eq!(body.pointer(place).unwrap_or(&Value::Null), value, "{place} of {body}");
    }
    assert_eq!(losses, lost, "{body}");
}

fn knowing<'t>(model: &'t str, has: &[Ability], lacks: &[Ability]) -> Terms<'t> {
    let mut facts = Facts::default();
    for ability in has {
        facts.learn(*ability, true);
    }
    for ability in lacks {
        facts.learn(*ability, false);
    }
    Terms { facts, ..terms(model) }
}
