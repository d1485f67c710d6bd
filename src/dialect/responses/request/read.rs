//! A request's own members, read.

use super::{INSTRUCTIONS, STATEFUL, items, tools};
use crate::dialect::Dialect;
use crate::dialect::hub::{
    Ask, Effort, Extras, Format, Logprobs, Mode, Part, Role, Summary, Text, Tier, Turn,
};
use crate::dialect::tree::{Node, Wrong};

/// Members that are read one by one.
const KNOWN: &[&str] = &[
    "background",
    "client_metadata",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Members that mean nothing elsewhere, whatever they say (`None`), or when they say this.
const ASIDE: &[(&str, Option<&str>)] = &[
    ("background", Some("false")),
    ("client_metadata", None),
    ("store", Some("false")),
    ("stream_options", None),
    ("truncation", Some("\"disabled\"")),
];

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    body.object()?;
    let mut ask = Ask::new(Dialect::Responses);
    ask.extras = extras(body);
    if let Some(model) = body.at("model") {
        ask.model = model.string()?;
    }
    if body.at("stream").map(Node::boolean).transpose()? == Some(true) {
        ask.mode = Mode::Stream { usage: true };
    }
    if let Some(instructions) = body.at("instructions") {
        let mut turn = Turn::new(Role::System, vec![Part::text(instructions.string()?)]);
        turn.extras.keep_aside(INSTRUCTIONS, "true");
        ask.turns.push(turn);
    }
    input(body, &mut ask)?;
    tools::read(body, &mut ask)?;
    steering(body, &mut ask)?;
    whose(body, &mut ask)?;
    Ok(ask)
}

fn extras<'a>(body: &Node<'a>) -> Extras<'a> {
    let mut extras = Extras::of(body, KNOWN);
    for (key, only) in ASIDE {
        match body.at(key).map(Node::raw) {
            Some(raw) if only.is_none_or(|only| only == raw) => extras.keep_aside(*key, raw),
            Some(raw) => extras.keep(*key, raw),
            None => {}
        }
    }
    extras
}

/// The conversation. It may be empty only where something at the vendor stands for it.
fn input<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let history = if STATEFUL.iter().any(|name| body.at(name).is_some_and(|value| value.raw() != "false")) {
        items::History::Elsewhere
    } else {
        items::History::Here
    };
    let input = match (body.at("input"), history) {
        (Some(input), _) => input,
        (None, items::History::Elsewhere) => return Ok(()),
        (None, items::History::Here) => body.need("input")?,
    };
    if let Some(text) = input.text() {
        ask.turns.push(Turn::new(Role::User, vec![Part::text(text)]));
        return Ok(());
    }
    items::read(input, history, ask)
}

/// How the answer is to be made.
fn steering<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    ask.max_tokens = body.at("max_output_tokens").map(Node::integer).transpose()?;
    ask.temperature = body.at("temperature").map(Node::number).transpose()?;
    ask.top_p = body.at("top_p").map(Node::number).transpose()?;
    ask.parallel_tools = body.at("parallel_tool_calls").map(Node::boolean).transpose()?;
    if let Some(top) = body.at("top_logprobs").map(Node::integer).transpose()? {
        ask.logprobs = Some(Logprobs { top });
    }
    if let Some(text) = body.at("text") {
        for (key, value) in text.object()?.members().iter().filter(|(_, value)| !value.is_null()) {
            if key == "format" {
                format(value, ask)?;
            } else {
                ask.extras.keep(format!("text.{key}"), value.raw());
            }
        }
    }
    if let Some(reasoning) = body.at("reasoning") {
        for (key, value) in reasoning.object()?.members().iter().filter(|(_, value)| !value.is_null()) {
            thinking(key, value, ask)?;
        }
    }
    body.at("include").map_or(Ok(()), |include| including(include, ask))
}

fn format<'a>(format: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let kind = format.need("type")?;
    match &*kind.string()? {
        "text" => {}
        "json_object" => ask.format = Some(Format::Json),
        "json_schema" => {
            ask.format = Some(Format::Schema {
                name: format.at("name").map(Node::string).transpose()?,
                description: format.at("description").map(Node::string).transpose()?,
                schema: Text::Borrowed(format.need("schema")?.object()?.raw()),
                strict: format.at("strict").map(Node::boolean).transpose()?,
            });
        }
        _ => ask.extras.keep("text.format", format.raw()),
    }
    Ok(())
}

fn thinking<'a>(key: &str, value: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    match key {
        "effort" => match Effort::parse(&value.string()?) {
            Some(effort) => ask.reasoning.effort = Some(effort),
            None => ask.extras.keep("reasoning.effort", value.raw()),
        },
        "summary" => {
            ask.reasoning.summary = match &*value.string()? {
                "auto" => Some(Summary::Auto),
                "concise" => Some(Summary::Concise),
                "detailed" => Some(Summary::Detailed),
                _ => {
                    ask.extras.keep("reasoning.summary", value.raw());
                    None
                }
            };
        }
        _ => ask.extras.keep(format!("reasoning.{key}"), value.raw()),
    }
    Ok(())
}

/// What else the answer is to hold. Kept as it is; reported only where it asks for what no other
/// dialect gives.
fn including<'a>(include: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let mut others = false;
    for item in include.items()? {
        match &*item.string()? {
            "reasoning.encrypted_content" => ask.reasoning.encrypted = true,
            "message.output_text.logprobs" => {
                ask.logprobs = Some(ask.logprobs.unwrap_or(Logprobs { top: 0 }));
            }
            _ => others = true,
        }
    }
    if others {
        ask.extras.keep("include", include.raw());
    } else {
        ask.extras.keep_aside("include", include.raw());
    }
    Ok(())
}

/// Who asks, and on which terms of service.
fn whose<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    ask.cache_key = body.at("prompt_cache_key").map(Node::string).transpose()?;
    let (newer, older) = (body.at("safety_identifier"), body.at("user"));
    ask.user = newer.or(older).map(Node::string).transpose()?;
    if let (Some(_), Some(older)) = (newer, older) {
        ask.extras.keep("user", older.raw());
    }
    if let Some(tier) = body.at("service_tier") {
        ask.tier = match &*tier.string()? {
            "auto" => Some(Tier::Auto),
            "default" => Some(Tier::Standard),
            "flex" => Some(Tier::Flex),
            // The newer name; answers say `priority` for both.
            "priority" | "fast" => Some(Tier::Priority),
            "scale" => Some(Tier::Scale),
            _ => {
                ask.extras.keep("service_tier", tier.raw());
                None
            }
        };
    }
    Ok(())
}
