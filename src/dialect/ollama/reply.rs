//! Answers in one piece: `{model, created_at, message, done_reason, …}`.

use crate::dialect::Dialect;
use crate::dialect::hub::{Call, CallKind, Choice, Content, Extras, Part, Reply, Stop, Text, Thought};
use crate::dialect::json::Walker;
use crate::dialect::ollama::usage;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write;

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let message = body.need("message")?.object()?;
    let mut parts = Vec::new();
    if let Some(text) = said(message, "thinking") {
        parts.push(Part::new(Content::Thought(Thought { text, ..Thought::default() })));
    }
    parts.extend(said(message, "content").map(Part::text));
    let calls = calls(message)?;
    let made = calls.len();
    parts.extend(calls.into_iter().map(|call| Part::new(Content::Call(call))));
    let reason = body.at("done_reason").and_then(Node::text);
    let mut choice = Choice::new(parts, stop(reason.as_deref(), made));
    choice.logprobs = body.at("logprobs").map(logprobs);
    Ok(Reply {
        dialect: Dialect::Ollama,
        id: Text::Borrowed(""),
        model: body.at("model").and_then(Node::text).unwrap_or_default(),
        created: Some(created(body)).filter(|at| *at > 0),
        choices: vec![choice],
        usage: usage::read(&mut Walker::new(body.raw().as_bytes())).ok().flatten(),
        tier: None,
        extras: Extras::default(),
    })
}

/// A text that is not empty.
pub fn said<'a>(message: &Node<'a>, key: &str) -> Option<Text<'a>> {
    message.at(key).and_then(Node::text).filter(|text| !text.is_empty())
}

/// Calls come whole, and older versions give them no ids.
pub fn calls<'a>(message: &Node<'a>) -> Result<Vec<Call<'a>>, Wrong> {
    let list = message.at("tool_calls").map_or(Ok(&[][..]), Node::items)?;
    list.iter()
        .map(|node| {
            let function = node.need("function")?;
            let arguments = match function.at("arguments") {
                None => Text::Borrowed("{}"),
                Some(text) => text.text().unwrap_or(Text::Borrowed(text.raw())),
            };
            Ok(Call {
                id: node.at("id").and_then(Node::text).unwrap_or_default(),
                name: function.need("name")?.string()?,
                arguments,
                kind: CallKind::Function,
                signature: None,
            })
        })
        .collect()
}

/// `stop` is said of calls as well.
pub fn stop(reason: Option<&str>, calls: usize) -> Stop<'static> {
    match reason {
        Some("length") => Stop::Length,
        _ if calls > 0 => Stop::Calls,
        _ => Stop::End,
    }
}

/// `[{token, logprob, bytes, top_logprobs}]`: OpenAI's items, without its name for the list.
pub fn logprobs<'a>(items: &Node<'a>) -> Text<'a> {
    Text::Owned(write::text(|out| {
        write::object(out, |o| {
            o.raw("content", items.raw());
        });
    }))
}

/// When it was made, in seconds since 1970; 0 when it does not say.
pub fn created(body: &Node<'_>) -> u64 {
    body.at("created_at").and_then(Node::as_str).and_then(seconds).unwrap_or(0)
}

/// RFC 3339 to the second, in UTC or with an offset: `2026-07-28T06:38:03.222822Z`.
fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let time = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.split_at_checked(1)? {
        ("Z", _) => 0,
        (sign, clock) => {
            let (hours, minutes) = clock.split_once(':')?;
            let ahead =
                i64::from(hours.parse::<u8>().ok()?) * 3_600 + i64::from(minutes.parse::<u8>().ok()?) * 60;
            if sign == "-" { -ahead } else { ahead }
        }
    };
    // Days since 1970 (Hinnant, "chrono-compatible low-level date algorithms"): years begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + time - offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_wherever_the_clock_stands() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2023-11-14T22:13:20.5Z", Some(1_700_000_000)),
            ("2023-11-14T23:13:20+01:00", Some(1_700_000_000)),
            ("2023-11-14T14:43:20.123456789-07:30", Some(1_700_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("1969-12-31T23:59:59Z", None),
            ("2023-11-14", None),
            ("yesterday", None),
            ("2023-11-14T22:13:20é", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
