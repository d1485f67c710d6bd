//! Turns -> `messages`.
//!
//! Each result of a tool is a message of its own and has to follow the call at once; what else the user
//! says in the same turn comes after. Neighbouring turns of the assistant are one message, for all its
//! calls have to stand in one.

use std::borrow::Cow;

use super::ids::Ids;
use super::{Origin, Vendor, Way, parts};
use crate::dialect::hub::{
    Call, CallKind, Content, Family, Losses, NOTHING, Outcome, Part, Role, Signature, Thought, Turn,
};
use crate::dialect::openai::{calls, thoughts};
use crate::dialect::quirks::{ReasoningBack, SystemRole};
use crate::dialect::write::{self, Array, Object};
use crate::vocab::Ability;

pub fn write(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    object.array("messages", |array| {
        let mut ids = Ids::default();
        let mut turns = way.ask.turns.as_slice();
        while let Some((first, rest)) = turns.split_first() {
            let count = match first.role {
                Role::Assistant => run(rest, way.origin, |turn| turn.role == Role::Assistant),
                Role::System | Role::Developer | Role::User => {
                    run(rest, Origin::Foreign, |turn| turn.role != Role::Assistant)
                }
            };
            let (group, rest) = turns.split_at(count + 1);
            turns = rest;
            if first.role == Role::Assistant {
                assistant(way, group, &mut ids, losses, array);
            } else {
                others(way, group, &mut ids, losses, array);
            }
        }
    });
}

/// How many of the turns go with the one before them. A caller of this dialect has his own messages.
fn run(turns: &[Turn<'_>], origin: Origin, goes_with: impl Fn(&Turn<'_>) -> bool) -> usize {
    match origin {
        Origin::Own => 0,
        Origin::Foreign => turns.iter().take_while(|turn| goes_with(turn)).count(),
    }
}

/// All turns until the assistant's next: results first.
fn others(way: Way<'_, '_>, turns: &[Turn<'_>], ids: &mut Ids, losses: &mut Losses, array: &mut Array<'_>) {
    let mut moved = Vec::new();
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        if let Content::Outcome(outcome) = &part.content {
            array.object(|object| moved.extend(tool(way, part, outcome, ids, losses, object)));
        }
    }
    if !moved.is_empty() {
        array.object(|object| {
            object.str("role", "user");
            parts::write(way, Role::User, &moved, losses, object);
        });
    }
    let mut is_silent = !turns.iter().any(|turn| turn.parts.iter().any(is_outcome));
    for turn in turns {
        let rest = turn.parts.iter().filter(|part| !is_outcome(part) && is_sayable(way, part, losses));
        let rest: Vec<_> = rest.collect();
        if rest.is_empty() && !turn.parts.is_empty() {
            continue;
        }
        is_silent = false;
        array.object(|object| {
            object.str("role", role(way, turn.role));
            parts::write(way, turn.role, &rest, losses, object);
            write_rest(way, turn, object);
        });
    }
    if is_silent {
        array.object(|object| {
            object.str("role", "user").str("content", NOTHING);
        });
    }
}

fn is_outcome(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Outcome(_))
}

/// What only another dialect knows is left out before a message is made of it: empty ones are refused.
fn is_sayable(way: Way<'_, '_>, part: &Part<'_>, losses: &mut Losses) -> bool {
    match &part.content {
        Content::Vendor { kind, .. } if !way.is_own() => {
            losses.drop(kind.to_string());
            false
        }
        _ => true,
    }
}

fn role(way: Way<'_, '_>, role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer if way.lacks(Ability::SystemMessages) => "user",
        Role::Developer if way.terms.quirks.system == SystemRole::Developer => "developer",
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn write_rest(way: Way<'_, '_>, turn: &Turn<'_>, object: &mut Object<'_>) {
    object.str_if("name", turn.name.as_deref());
    if way.is_own() && !way.refuses_strangers() {
        turn.extras.write(object);
    } else if way.is_own() {
        // Not what an answer told beside what it said.
        for (key, raw) in turn.extras.iter() {
            object.raw(key, raw);
        }
    }
}

/// One result. What a tool's message cannot hold is given back, for a message of the user.
fn tool<'p, 'a>(
    way: Way<'_, '_>,
    part: &Part<'_>,
    outcome: &'p Outcome<'a>,
    ids: &mut Ids,
    losses: &mut Losses,
    object: &mut Object<'_>,
) -> Vec<&'p Part<'a>> {
    object.str("role", "tool");
    object.str("tool_call_id", &ids.outcome(&outcome.call_id, outcome.name.as_deref(), way));
    let is_text = |part: &Part<'_>| way.is_own() || part.as_text().is_some();
    let (kept, moved): (Vec<_>, Vec<_>) = outcome.content.iter().partition(|part| is_text(part));
    if kept.is_empty() && !moved.is_empty() {
        object.str("content", "The result is in the next message.");
    } else {
        parts::write_result(way, &kept, part.cache, losses, object);
    }
    if way.is_own() {
        part.extras.write(object);
    }
    moved
}

/// One message for all of them. Written even if it is empty where the caller wrote it himself.
fn assistant(
    way: Way<'_, '_>,
    turns: &[Turn<'_>],
    ids: &mut Ids,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let all = || turns.iter().flat_map(|turn| &turn.parts);
    let past: Vec<_> = all().filter_map(as_thought).collect();
    let called: Vec<_> = all().filter_map(|part| as_call(part, ids, way)).collect();
    let said: Vec<_> = all().filter(|part| is_said(way, part, losses)).collect();
    let refusal = refusal(way, turns);
    let is_silent = said.is_empty() && called.is_empty() && refusal.is_none();
    if is_silent && !way.is_own() {
        return;
    }
    array.object(|object| {
        object.str("role", "assistant");
        if said.is_empty() && !is_silent {
            // Absent would do at OpenAI, an empty text at others; null is what OpenAI's own answers say.
            object.null("content");
        } else {
            parts::write(way, Role::Assistant, &said, losses, object);
        }
        write_thoughts(way, &past, &called, object);
        object.str_if("refusal", refusal.as_deref());
        if !called.is_empty() {
            object.array("tool_calls", |array| {
                for called in &called {
                    losses.drop_if(called.part.cache.as_ref(), "cache_control");
                    array.object(|object| write_call(way, called, object));
                }
            });
        }
        for turn in turns {
            write_rest(way, turn, object);
        }
    });
}

/// A call with the id that it has upstream.
struct Called<'p, 'a> {
    part: &'p Part<'a>,
    call: &'p Call<'a>,
    id: Cow<'p, str>,
}

fn as_thought<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Thought<'a>> {
    if let Content::Thought(thought) = &part.content { Some(thought) } else { None }
}

fn as_call<'p, 'a>(part: &'p Part<'a>, ids: &mut Ids, way: Way<'_, '_>) -> Option<Called<'p, 'a>> {
    let Content::Call(call) = &part.content else { return None };
    Some(Called { part, call, id: ids.call(&call.id, &call.name, way) })
}

/// What stands in the content.
fn is_said(way: Way<'_, '_>, part: &Part<'_>, losses: &mut Losses) -> bool {
    // Only users show and play something. What a model made before has no place.
    if let Some(name) = parts::media_name(&part.content).filter(|_| !way.is_own()) {
        losses.drop(name);
        return false;
    }
    match &part.content {
        Content::Text(_) | Content::Image(_) | Content::Audio(_) | Content::Video(_) | Content::File(_) => {
            true
        }
        Content::Vendor { .. } => is_sayable(way, part, losses),
        // Mistral's place for it.
        Content::Thought(_) => way.vendor == Vendor::Mistral && sends_thoughts(way),
        // `refusal` is OpenAI's; to others it is what the assistant said.
        Content::Refusal(_) => !knows_refusals(way),
        Content::Call(_) | Content::Outcome(_) => false,
    }
}

fn sends_thoughts(way: Way<'_, '_>) -> bool {
    way.terms.quirks.reasoning_back != ReasoningBack::Omitted
}

fn knows_refusals(way: Way<'_, '_>) -> bool {
    way.vendor == Vendor::OpenAi || (way.is_own() && !way.refuses_strangers())
}

fn refusal(way: Way<'_, '_>, turns: &[Turn<'_>]) -> Option<String> {
    let mut all: Option<String> = None;
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        if let Content::Refusal(text) = &part.content
            && knows_refusals(way)
        {
            all.get_or_insert_default().push_str(text);
        }
    }
    all
}

/// Past reasoning, to vendors who want it back. Signatures go to their own family only.
fn write_thoughts(
    way: Way<'_, '_>,
    past: &[&Thought<'_>],
    called: &[Called<'_, '_>],
    object: &mut Object<'_>,
) {
    match way.terms.quirks.reasoning_back {
        ReasoningBack::Omitted => {}
        ReasoningBack::Content if way.vendor == Vendor::Mistral => {}
        ReasoningBack::Content => {
            let text = thoughts::joined(past.iter().copied());
            // Moonshot refuses calls without the thought that led to them, and takes an empty one for
            // none. History from elsewhere has no such thought.
            let is_wanted = !way.is_own() && !called.is_empty() && !way.ask.reasoning.is_off();
            object.str_if("reasoning_content", text.as_deref().or(is_wanted.then_some(" ")));
        }
        ReasoningBack::Plain => {
            object.str_if("reasoning", thoughts::joined(past.iter().copied()).as_deref());
        }
        ReasoningBack::Details => write_details(way, past, called, object),
    }
}

/// OpenRouter's details: the thoughts, and the signatures of Gemini's calls under the calls' ids.
fn write_details(
    way: Way<'_, '_>,
    past: &[&Thought<'_>],
    called: &[Called<'_, '_>],
    object: &mut Object<'_>,
) {
    let signed = |signature: &&Signature<'_>| is_for(way, signature);
    let past: Vec<_> =
        past.iter().map(|thought| (thought, thought.signature.as_ref().filter(signed))).collect();
    let is_shown =
        |thought: &Thought<'_>, signature: Option<_>| !thought.text.is_empty() || signature.is_some();
    let of_calls: Vec<_> = called
        .iter()
        .filter_map(|called| Some((called, called.call.signature.as_ref().filter(signed)?)))
        .collect();
    if !past.iter().any(|(thought, signature)| is_shown(thought, *signature)) && of_calls.is_empty() {
        return;
    }
    object.array("reasoning_details", |array| {
        let mut index = 0;
        for (thought, signature) in past {
            thoughts::write(thought, signature, &mut index, array);
        }
        for (called, signature) in of_calls {
            array.object(|entry| thoughts::write_encrypted(signature, Some(&called.id), index, entry));
            index += 1;
        }
    });
}

/// A relay knows whose signature it is by its format, and what came from its own caller goes back to it.
fn is_for(way: Way<'_, '_>, signature: &Signature<'_>) -> bool {
    signature.for_family(way.terms.family).is_some() || (way.is_own() && signature.family == Family::Other)
}

fn write_call(way: Way<'_, '_>, called: &Called<'_, '_>, object: &mut Object<'_>) {
    let Called { part, call, id } = called;
    let in_details = way.terms.quirks.reasoning_back == ReasoningBack::Details;
    let is_geminis = way.terms.family == Family::Gemini && !in_details;
    let signature = call.signature.as_ref().filter(|_| is_geminis);
    let signature = signature.and_then(|signature| signature.for_family(Family::Gemini));
    if call.kind == CallKind::Custom && way.vendor != Vendor::OpenAi && !way.is_own() {
        // Its tool cannot be said to this vendor; what was called still can.
        let arguments = write::text(|out| {
            write::object(out, |object| {
                object.str("input", &call.arguments);
            });
        });
        let call = Call { arguments: arguments.into(), kind: CallKind::Function, ..(*call).clone() };
        calls::write(&call, id, signature, object);
    } else {
        calls::write(call, id, signature, object);
    }
    if way.is_own() {
        part.extras.write(object);
    }
}
