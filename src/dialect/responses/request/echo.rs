//! What an answer repeats of its request.

use super::write::{Origin, instructions};
use super::{KEPT, tools};
use crate::dialect::hub::{Ask, Effort, Family, Format, Losses, Summary, Terms};
use crate::dialect::quirks::Quirks;
use crate::dialect::write::{self, Object};
use crate::vocab::Facts;

/// Members whose JSON text is repeated as it is, and what the API says when they are absent.
const AS_THEY_ARE: &[(&str, &str)] = &[
    ("background", "false"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("previous_response_id", "null"),
    ("prompt_cache_retention", "null"),
    ("truncation", "\"disabled\""),
];

/// The members of a response object that repeat the request, with the API's defaults where it said
/// nothing; without braces. Not among them: `service_tier`, which an answer says by itself.
pub fn echo(ask: &Ask<'_>) -> String {
    let said = write::text(|out| write::object(out, |o| members(ask, o)));
    said.strip_prefix('{').and_then(|said| said.strip_suffix('}')).unwrap_or_default().to_owned()
}

fn members(ask: &Ask<'_>, o: &mut Object<'_>) {
    let terms = Terms {
        model: "",
        like: None,
        facts: Facts::default(),
        family: Family::OpenAi,
        quirks: &Quirks::OPENAI,
        ask_usage: false,
        nonce: "",
    };
    let losses = &mut Losses::default();
    str_or_null(o, "instructions", instructions(ask, Origin::Here, &terms, losses));
    number_or_null(o, "max_output_tokens", ask.max_tokens);
    for (key, default) in AS_THEY_ARE {
        o.raw(key, ask.extras.find(key).unwrap_or(default));
    }
    o.bool("parallel_tool_calls", ask.parallel_tools.unwrap_or(true));
    str_or_null(o, "prompt_cache_key", ask.cache_key.as_deref());
    o.object("reasoning", |o| {
        str_or_null(o, "effort", ask.reasoning.effort.map(Effort::name));
        let summary = ask.reasoning.summary.map(|summary| match summary {
            Summary::Omitted | Summary::Auto => "auto",
            Summary::Concise => "concise",
            Summary::Detailed => "detailed",
        });
        str_or_null(o, "summary", summary);
    });
    str_or_null(o, "safety_identifier", ask.user.as_deref());
    // Whatever was asked: what is not remembered lies nowhere.
    o.bool("store", ask.extras.find(KEPT).is_some());
    o.number("temperature", ask.temperature.unwrap_or(1.0));
    text(ask, o);
    match (&ask.tool_choice, ask.extras.find("tool_choice")) {
        (_, Some(raw)) => {
            o.raw("tool_choice", raw);
        }
        (Some(_), None) => tools::write_choice(ask, o),
        (None, None) => {
            o.str("tool_choice", "auto");
        }
    }
    o.array("tools", |array| {
        for tool in &ask.tools {
            tools::write_tool(tool, Origin::Here, &terms, losses, array);
        }
    });
    o.number("top_logprobs", ask.logprobs.map_or(0, |logprobs| logprobs.top));
    o.number("top_p", ask.top_p.unwrap_or(1.0));
    o.raw("user", ask.extras.find("user").unwrap_or("null"));
}

fn text(ask: &Ask<'_>, o: &mut Object<'_>) {
    o.object("text", |o| {
        o.object("format", |o| match &ask.format {
            None => {
                o.str("type", "text");
            }
            Some(Format::Json) => {
                o.str("type", "json_object");
            }
            Some(Format::Schema { name, description, schema, strict }) => {
                o.str("type", "json_schema").str_if("name", name.as_deref());
                o.str_if("description", description.as_deref()).raw("schema", schema);
                o.bool("strict", strict.unwrap_or(false));
            }
        });
        o.raw("verbosity", ask.extras.find("text.verbosity").unwrap_or("\"medium\""));
    });
}

fn str_or_null(o: &mut Object<'_>, key: &str, value: Option<&str>) {
    match value {
        Some(value) => o.str(key, value),
        None => o.null(key),
    };
}

fn number_or_null(o: &mut Object<'_>, key: &str, value: Option<u64>) {
    match value {
        Some(value) => o.number(key, value),
        None => o.null(key),
    };
}
