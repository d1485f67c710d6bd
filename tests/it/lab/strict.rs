//! A stream, read as strictly as its dialect can be: one start, one numbering, one end.

use serde_json::Value;

use super::{Answer, End};

/// What a well-formed stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub text: String,
    /// Tokens in and out, where they are told.
    pub usage: Option<(u64, u64)>,
}

/// Reads a stream of `dialect`; an error says what is wrong with it.
pub fn read(dialect: &str, answer: &Answer) -> Result<Whole, String> {
    if answer.status != http::StatusCode::OK || answer.end != End::Clean {
        return Err(format!("{}, {:?}: {}", answer.status, answer.end, answer.text()));
    }
    let events = events(answer)?;
    let read = match dialect {
        "openai" => openai(&events),
        "responses" => responses(&events),
        "anthropic" => anthropic(&events),
        "gemini" => gemini(&events),
        other => Err(format!("no reading of {other}")),
    };
    read.map_err(|why| format!("{dialect}: {why}\n{}", answer.text()))
}

/// Every event's name and payload. Anything but events and comments is an error.
fn events(answer: &Answer) -> Result<Vec<(Option<String>, Value)>, String> {
    let text = answer.text().replace("\r\n", "\n");
    if !text.ends_with("\n\n") {
        return Err(format!("it ends in the middle of an event: {text}"));
    }
    let mut events = Vec::new();
    for block in text.split_terminator("\n\n") {
        let (mut name, mut data) = (None, None);
        for line in block.lines().filter(|line| !line.starts_with(':')) {
            match line.split_once(": ") {
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", "[DONE]")) => data = Some(Value::from("[DONE]")),
                Some(("data", value)) if data.is_none() => {
                    data = Some(serde_json::from_str(value).map_err(|error| format!("{error}: {value}"))?);
                }
                _ => return Err(format!("no line of an event: {line:?}")),
            }
        }
        events.extend(data.map(|data| (name, data)));
    }
    Ok(events)
}

fn need(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn openai(events: &[(Option<String>, Value)]) -> Result<Whole, String> {
    let (last, chunks) = events.split_last().ok_or("it is empty")?;
    need(
        last.1 == "[DONE]" && chunks.iter().all(|(_, chunk)| *chunk != "[DONE]"),
        "[DONE] once, at the end",
    )?;
    let (mut text, mut usage, mut roles, mut finished) = (String::new(), None, 0, 0);
    for (_, chunk) in chunks {
        need(chunk.get("error").is_none(), "an error")?;
        for key in ["id", "model", "created", "object"] {
            need(chunk[key] == chunks[0].1[key], "id, model, created and object stay")?;
        }
        if let Some(told) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            need(
                usage.is_none() && chunk["choices"].as_array().is_some_and(Vec::is_empty),
                "usage once, alone",
            )?;
            usage = told["prompt_tokens"].as_u64().zip(told["completion_tokens"].as_u64());
            continue;
        }
        let choice = &chunk["choices"][0];
        need(
            usage.is_none() && finished == 0 && choice["index"] == 0,
            "nothing behind the finish, one choice",
        )?;
        roles += u32::from(choice["delta"].get("role").is_some());
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        finished += u32::from(!choice["finish_reason"].is_null());
    }
    need(roles == 1 && finished == 1, "one role, one finish reason")?;
    Ok(Whole { text, usage })
}

fn responses(events: &[(Option<String>, Value)]) -> Result<Whole, String> {
    let mut text = String::new();
    let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    for (number, (name, event)) in events.iter().enumerate() {
        need(event["sequence_number"] == number, "events are numbered")?;
        need(name.as_deref() == event["type"].as_str(), "names are types")?;
    }
    let order: Vec<String> = events.iter().map(|(_, event)| kind(event)).collect();
    let once = |name: &str| order.iter().filter(|kind| *kind == name).count() == 1;
    for name in [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ] {
        need(once(name), name)?;
    }
    need(order.first().is_some_and(|kind| kind == "response.created"), "created comes first")?;
    need(order.last().is_some_and(|kind| kind == "response.completed"), "completed comes last")?;
    let find = |name: &str| events.iter().map(|(_, event)| event).find(|event| event["type"] == name);
    let item =
        find("response.output_item.added").map(|event| event["item"]["id"].clone()).unwrap_or_default();
    need(item.is_string(), "an item has an id")?;
    for (_, event) in events {
        let kind = kind(event);
        if kind.starts_with("response.output_text") || kind.starts_with("response.content_part") {
            let place = event["output_index"] == 0 && event["content_index"] == 0;
            need(place && event["item_id"] == item, "one item, one part")?;
        }
        if kind == "response.output_text.delta" {
            text.push_str(event["delta"].as_str().unwrap_or_default());
        }
    }
    let (created, completed) = (&events[0].1["response"], &events[events.len() - 1].1["response"]);
    need(
        created["id"] == completed["id"] && created["created_at"] == completed["created_at"],
        "one response",
    )?;
    let output = completed["output"].as_array().cloned().unwrap_or_default();
    need(output.len() == 1 && output[0]["id"] == item, "its item")?;
    let done = find("response.output_text.done").map(|event| event["text"].clone()).unwrap_or_default();
    need(done == text && output[0]["content"][0]["text"] == text, "the last events repeat the text")?;
    let usage = &completed["usage"];
    Ok(Whole { text, usage: usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64()) })
}

fn anthropic(events: &[(Option<String>, Value)]) -> Result<Whole, String> {
    let (mut text, mut open, mut next, mut usage) = (String::new(), None, 0, None);
    let last = events.len().saturating_sub(1);
    for (number, (name, event)) in events.iter().enumerate() {
        need(name.as_deref() == event["type"].as_str(), "names are types")?;
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => need(number == 0, "one start")?,
            "ping" => {}
            "content_block_start" => {
                need(open.is_none() && index == Some(next) && usage.is_none(), "blocks are numbered")?;
                open = index;
                next += 1;
            }
            "content_block_delta" => {
                need(open.is_some() && open == index, "a delta of the open block")?;
                text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                need(open.is_some() && open == index, "the open block stops")?;
                open = None;
            }
            "message_delta" => {
                need(
                    open.is_none() && usage.is_none() && event["delta"]["stop_reason"].is_string(),
                    "one end",
                )?;
                usage = event["usage"]["input_tokens"].as_u64().zip(event["usage"]["output_tokens"].as_u64());
                need(usage.is_some(), "counts")?;
            }
            "message_stop" => need(number == last && usage.is_some(), "it stops at the end")?,
            other => return Err(format!("an event {other}")),
        }
    }
    need(events.last().is_some_and(|(_, event)| event["type"] == "message_stop"), "it stops")?;
    need(events.first().is_some_and(|(_, event)| event["type"] == "message_start"), "it starts")?;
    Ok(Whole { text, usage })
}

fn gemini(events: &[(Option<String>, Value)]) -> Result<Whole, String> {
    let (mut text, mut finished, mut usage) = (String::new(), 0, None);
    for (_, chunk) in events {
        need(chunk.get("error").is_none() && finished == 0, "nothing behind the finish")?;
        need(chunk["responseId"] == events[0].1["responseId"], "one response")?;
        let candidate = &chunk["candidates"][0];
        need(candidate["index"] == 0, "one candidate")?;
        for part in candidate["content"]["parts"].as_array().map_or(&[][..], Vec::as_slice) {
            text.push_str(part["text"].as_str().unwrap_or_default());
        }
        finished += u32::from(candidate["finishReason"].is_string());
        let told = &chunk["usageMetadata"];
        usage = told["promptTokenCount"].as_u64().zip(told["candidatesTokenCount"].as_u64()).or(usage);
    }
    need(finished == 1, "one finish reason")?;
    Ok(Whole { text, usage })
}
