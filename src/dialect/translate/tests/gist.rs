//! What a request or an answer says, whatever its dialect: what a translation has to keep.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dialect::hub::{
    Ask, Block, Content, Delta, Event, Format, Media, Mode, Part, Reply, Role, Source, Stop, ToolChoice,
    ToolKind,
};
use crate::vocab::Usage;

/// Members by OpenAI's names, which losses have as well; absent is what was not said.
pub type Gist = BTreeMap<&'static str, Value>;

// ---- requests --------------------------------------------------------------------------------

pub fn of_ask(ask: &Ask<'_>) -> Gist {
    let mut gist = Gist::from([("messages", turns(ask))]);
    let mut add = |key, value: Option<Value>| drop(value.map(|value| gist.insert(key, value)));
    let tools: Vec<Value> = ask.tools.iter().map(|tool| function(&tool.kind)).collect();
    add("tools", (!tools.is_empty()).then(|| json!(tools)));
    // `auto` is what everybody does who is told nothing.
    let choice = ask.tool_choice.as_ref().filter(|choice| **choice != ToolChoice::Auto);
    add("tool_choice", choice.map(|choice| json!(format!("{choice:?}"))));
    add("parallel_tool_calls", ask.parallel_tools.map(Value::from));
    add("response_format", ask.format.as_ref().map(format));
    add("reasoning_effort", ask.reasoning.as_effort().map(|effort| json!(effort.name())));
    add("max_tokens", ask.max_tokens.map(Value::from));
    add("temperature", ask.temperature.map(Value::from));
    add("top_p", ask.top_p.map(Value::from));
    add("top_k", ask.top_k.map(Value::from));
    add("stop", (!ask.stop.is_empty()).then(|| json!(ask.stop)));
    add("n", ask.n.map(Value::from));
    add("seed", ask.seed.map(Value::from));
    add("presence_penalty", ask.presence_penalty.map(Value::from));
    add("frequency_penalty", ask.frequency_penalty.map(Value::from));
    add("logit_bias", ask.logit_bias.map(parsed));
    add("logprobs", ask.logprobs.map(|logprobs| json!(logprobs.top)));
    add("service_tier", ask.tier.map(|tier| json!(format!("{tier:?}"))));
    add("user", ask.user.as_deref().map(Value::from));
    add("prompt_cache_key", ask.cache_key.as_deref().map(Value::from));
    add("cache_control", Some(marks(ask)).filter(|marks| *marks > 0).map(Value::from));
    add("stream", (ask.mode != Mode::Whole).then_some(Value::Bool(true)));
    gist
}

/// Who said what, neighbours of one role as one.
fn turns(ask: &Ask<'_>) -> Value {
    let mut said: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut calls = Vec::new();
    for turn in &ask.turns {
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let parts: Vec<Value> = turn.parts.iter().map(|part| of_part(part, &mut calls)).collect();
        match said.last_mut() {
            Some((last, before)) if *last == role => before.extend(parts),
            _ => said.push((role, parts)),
        }
    }
    json!(said)
}

/// `calls` holds the ids of the calls so far: a result is told by the place of its call.
fn of_part(part: &Part<'_>, calls: &mut Vec<String>) -> Value {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => json!({ "text": text }),
        Content::Image(media) => json!({ "image": of_media(media) }),
        Content::Audio(media) => json!({ "audio": of_media(media) }),
        Content::Video(media) => json!({ "video": of_media(media) }),
        Content::File(media) => json!({ "file": of_media(media) }),
        Content::Thought(thought) => json!({ "thought": thought.text }),
        Content::Call(call) => {
            calls.push(call.id.to_string());
            json!({ "call": call.name, "arguments": parsed(&call.arguments) })
        }
        Content::Outcome(outcome) => {
            let place = calls.iter().position(|id| *id == outcome.call_id);
            let texts = outcome.content.iter().filter_map(|part| part.as_text().map(|text| &**text));
            let mut text = texts.collect::<String>();
            // Half of the dialects can say it in words only.
            if outcome.is_error == Some(true) && !text.to_ascii_lowercase().contains("error") {
                text.insert_str(0, "Error: ");
            }
            json!({ "result": outcome.name, "of": place, "text": parsed(&text) })
        }
        Content::Vendor { kind, .. } => json!({ "vendor": kind }),
    }
}

/// JSON as what it says, anything else as the text that it is.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn of_media(media: &Media<'_>) -> Value {
    match &media.source {
        Source::Base64(text) | Source::Url(text) | Source::FileId(text) | Source::Text(text) => json!(text),
    }
}

fn function(tool: &ToolKind<'_>) -> Value {
    match tool {
        ToolKind::Function { name, description, parameters, .. } => {
            json!([name, description, parameters.as_deref().map(parsed)])
        }
        ToolKind::Custom { name, .. } | ToolKind::Vendor { name, .. } => json!([name]),
        ToolKind::WebSearch { .. } => json!(["web search"]),
    }
}

fn format(format: &Format<'_>) -> Value {
    match format {
        Format::Json => json!("json"),
        Format::Schema { schema, .. } => parsed(schema),
    }
}

fn marks(ask: &Ask<'_>) -> usize {
    let parts = ask.turns.iter().flat_map(|turn| &turn.parts).filter(|part| part.cache.is_some()).count();
    parts + ask.tools.iter().filter(|tool| tool.cache.is_some()).count() + usize::from(ask.cache.is_some())
}

// ---- answers ---------------------------------------------------------------------------------

pub fn of_reply(reply: &Reply<'_>) -> Gist {
    let mut gist = Gist::new();
    for choice in reply.choices.iter().filter(|choice| choice.index == 0) {
        for part in &choice.parts {
            match &part.content {
                Content::Text(text) | Content::Refusal(text) => more(&mut gist, "text", text),
                Content::Thought(thought) => more(&mut gist, "thought", &thought.text),
                Content::Call(call) => called(&mut gist, &call.name, &call.arguments),
                other => panic!("{other:?} is in no sample"),
            }
        }
        gist.insert("stop", stop_word(&choice.stop));
    }
    usage(&mut gist, reply.usage);
    gist
}

/// A streamed answer, event by event.
#[derive(Default)]
pub struct Heard {
    /// Blocks of the first choice, in the order of opening: what they are, and all that was said in them.
    blocks: Vec<(Kind, String, Open)>,
    stop: Option<Value>,
    usage: Option<Usage>,
    started: bool,
    pub ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
}

enum Kind {
    Text,
    Thought,
    Call(String),
}

impl Heard {
    /// Takes the next event, which has to keep the rules of `hub::event`.
    pub fn hear(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "{event:?} after the end");
        let starts = matches!(event, Event::Start { .. });
        assert_eq!(starts, !self.started, "a start comes first and once: {event:?}");
        self.started = true;
        match event {
            Event::Open { choice: 0, block, kind } => {
                assert_eq!(*block as usize, self.blocks.len(), "blocks count up");
                let kind = match kind {
                    Block::Text | Block::Refusal => Kind::Text,
                    Block::Thought { .. } => Kind::Thought,
                    Block::Call { name, .. } => Kind::Call(name.to_string()),
                };
                self.blocks.push((kind, String::new(), Open::Yes));
            }
            Event::Delta { choice: 0, block, delta } => {
                let (_, said, open) = &mut self.blocks[*block as usize];
                assert!(*open == Open::Yes, "a delta of a block that is closed");
                match delta {
                    Delta::Text(text) | Delta::Arguments(text) => said.push_str(text),
                    Delta::Signature(_) | Delta::Citation { .. } | Delta::Logprobs(_) => {}
                    Delta::Media(media) => panic!("{media:?} is in no sample"),
                }
            }
            Event::Close { choice: 0, block } => {
                let was = std::mem::replace(&mut self.blocks[*block as usize].2, Open::No);
                assert!(was == Open::Yes, "a block closes once");
            }
            Event::Finish { choice: 0, stop } => {
                assert!(self.blocks.iter().all(|(.., open)| *open == Open::No), "finished with open blocks");
                assert_eq!(self.stop.replace(stop_word(stop)), None, "finished twice");
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.ended = true,
            Event::Start { .. }
            | Event::Vendor { .. }
            | Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Finish { .. } => {}
        }
    }

    pub fn gist(self) -> Gist {
        let mut gist = Gist::new();
        for (kind, said, _) in self.blocks {
            match kind {
                Kind::Text => more(&mut gist, "text", &said),
                Kind::Thought => more(&mut gist, "thought", &said),
                Kind::Call(name) => called(&mut gist, &name, &said),
            }
        }
        if let Some(stop) = self.stop {
            gist.insert("stop", stop);
        }
        usage(&mut gist, self.usage);
        gist
    }
}

fn more(gist: &mut Gist, key: &'static str, text: &str) {
    let before = gist.get(key).and_then(Value::as_str).unwrap_or_default();
    let all = format!("{before}{text}");
    if !all.is_empty() {
        gist.insert(key, json!(all));
    }
}

fn called(gist: &mut Gist, name: &str, arguments: &str) {
    let calls = gist.entry("calls").or_insert_with(|| json!([]));
    calls.as_array_mut().expect("a list").push(json!([name, parsed(arguments)]));
}

fn stop_word(stop: &Stop<'_>) -> Value {
    json!(format!("{stop:?}"))
}

/// Totals and cached tokens; how many of them went into thoughts stands apart, as not all dialects count it.
fn usage(gist: &mut Gist, usage: Option<Usage>) {
    let Some(usage) = usage else { return };
    let cached = (usage.cache_read, usage.cache_write + usage.cache_write_1h);
    gist.insert("usage", json!([usage.input, usage.output, cached.0, cached.1]));
    if usage.reasoning > 0 {
        gist.insert("reasoning_tokens", json!(usage.reasoning));
    }
}

/// Where two of them differ: the member, and both sides.
pub fn differences(before: &Gist, after: &Gist) -> Vec<(&'static str, String)> {
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let differing = keys.filter(|key| before.get(*key) != after.get(*key));
    let said = |gist: &Gist, key| gist.get(key).map_or("nothing".to_owned(), Value::to_string);
    differing.map(|key| (*key, format!("{} became {}", said(before, key), said(after, key)))).collect()
}
