//! Answers in one piece: `{id, message, finish_reason, usage, logprobs}`.
//!
//! They name no model and sign no reasoning; a signature has no place here and is left out, as is
//! whatever else cannot be read as text.

use crate::dialect::Dialect;
use crate::dialect::cohere::request::{call, extras_of, joined, thought};
use crate::dialect::cohere::usage;
use crate::dialect::hub::{Call, Choice, Citation, Content, Extras, Manner, Part, Reply, Stop, Text};
use crate::dialect::json::Walker;
use crate::dialect::tree::{self, Node, Wrong};
use crate::dialect::write::{self, Array, Object};

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let message = body.need("message")?.object()?;
    let mut parts = Vec::new();
    for item in message.at("content").map_or(Ok(&[][..]), content)? {
        parts.extend(part(item)?);
    }
    parts.extend(message.at("content").and_then(Node::text).map(Part::text));
    Part::cite(&mut parts, message.at("citations").map_or(&[][..], Node::elements).iter().map(cite));
    let plan = message.at("tool_plan").and_then(Node::text).filter(|plan| !plan.is_empty());
    parts.extend(plan.map(Part::text));
    let calls = message.at("tool_calls").map_or(Ok(&[][..]), Node::items)?;
    for node in calls {
        parts.push(call(node)?.1);
    }
    let reason = body.at("finish_reason").and_then(Node::text);
    let mut choice = Choice::new(parts, stop(reason.as_deref(), calls.len()));
    choice.logprobs = body.at("logprobs").map(logprobs);
    // Citations among them.
    choice.extras = extras_of(message, &["role", "content", "tool_plan", "tool_calls"]);
    Ok(Reply {
        dialect: Dialect::Cohere,
        id: body.at("id").and_then(Node::text).unwrap_or_default(),
        model: Text::Borrowed(""),
        created: None,
        choices: vec![choice],
        usage: body.at("usage").and_then(|node| usage::read(&mut Walker::new(node.raw().as_bytes())).ok()?),
        tier: None,
        extras: extras_of(body, &["id", "message", "finish_reason", "usage", "logprobs"]),
    })
}

/// One of `citations`: the first document of its sources.
pub fn cite<'a>(citation: &Node<'a>) -> Citation<'a> {
    let sources = citation.at("sources").map_or(&[][..], Node::elements);
    let document = sources.iter().find_map(|source| source.at("document"));
    let text = |key| document.and_then(|document| document.at(key)).and_then(Node::text);
    Citation { url: text("url"), title: text("title"), place: None, raw: citation.raw() }
}

/// Says another vendor's, as far as it tells: a source, and no place in the text.
pub fn write_citation(url: Option<&str>, title: Option<&str>, object: &mut Object<'_>) {
    object.array("sources", |a| {
        a.object(|o| {
            o.str("type", "document").str_if("id", url);
            o.object("document", |o| {
                o.str_if("title", title).str_if("url", url);
            });
        });
    });
    object.str("type", "TEXT_CONTENT");
}

/// The items; a bare string is read apart.
fn content<'n, 'a>(node: &'n Node<'a>) -> Result<&'n [Node<'a>], Wrong> {
    if node.is_string() { Ok(&[]) } else { node.items() }
}

fn part<'a>(item: &Node<'a>) -> Result<Option<Part<'a>>, Wrong> {
    let kind = item.need("type")?.string()?;
    Ok(Some(Part::new(match &*kind {
        "text" => Content::Text(item.need("text")?.string()?),
        "thinking" => thought(item.need("thinking")?.string()?),
        _ => Content::Vendor { kind, raw: item.raw() },
    })))
}

/// What a reason means; one that is new to us tells no more than the calls do.
pub fn stop(reason: Option<&str>, calls: usize) -> Stop<'static> {
    match reason {
        Some("STOP_SEQUENCE") => Stop::Sequence(None),
        Some("MAX_TOKENS") => Stop::Length,
        Some("TOOL_CALL") => Stop::Calls,
        Some("ERROR_TOXIC") => Stop::Filter,
        Some("ERROR_LIMIT") => Stop::Window,
        Some("ERROR" | "TIMEOUT") => Stop::Failed,
        _ if calls > 0 => Stop::Calls,
        _ => Stop::End,
    }
}

/// The reason that says it.
pub fn reason(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::End => "COMPLETE",
        Stop::Sequence(_) => "STOP_SEQUENCE",
        Stop::Length | Stop::Window | Stop::Pause => "MAX_TOKENS",
        Stop::Calls => "TOOL_CALL",
        Stop::Filter | Stop::Refusal => "ERROR_TOXIC",
        Stop::Failed => "ERROR",
    }
}

/// `[{text, token_ids, logprobs}]` in OpenAI's form. An item may be several tokens, whose own texts are
/// not told; their probabilities multiply. A stream's delta has one item.
pub fn logprobs<'a>(said: &Node<'a>) -> Text<'a> {
    let items = if said.is_object() { std::slice::from_ref(said) } else { said.elements() };
    Text::Owned(write::text(|out| {
        write::object(out, |o| {
            o.array("content", |a| {
                for item in items {
                    let sum = item
                        .at("logprobs")
                        .map_or(0.0, |list| list.elements().iter().filter_map(Node::as_number).sum::<f64>());
                    let text = item.at("text").and_then(Node::as_str).unwrap_or_default();
                    a.object(|o| {
                        o.str("token", text)
                            .number("logprob", sum)
                            .null("bytes")
                            .array("top_logprobs", |_| {});
                    });
                }
            });
        });
    }))
}

/// The answer that says the same.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let choice = reply.choices.first();
    write::object(out, |o| {
        o.str("id", &id(&reply.id, manner));
        o.object("message", |o| {
            o.str("role", "assistant");
            if let Some(choice) = choice {
                write_message(choice, reply.dialect, manner, o);
            } else {
                o.array("content", |_| {});
            }
        });
        o.str("finish_reason", choice.map_or("COMPLETE", |choice| reason(&choice.stop)));
        usage::write(reply.usage, o);
        if let Some(logprobs) = choice.and_then(|choice| choice.logprobs.as_deref())
            && let Ok(root) = tree::parse(logprobs.as_bytes())
        {
            o.array("logprobs", |a| each_logprob(&root, |text, value| logprob(text, value, a)));
        }
        if reply.dialect == Dialect::Cohere {
            reply.extras.write(o);
        }
    });
}

/// Cohere's ids are UUIDs, and an answer has to have one.
pub fn id<'i>(id: &'i str, manner: &Manner) -> Text<'i> {
    if id.is_empty() { Text::Owned(format!("chat-{}", manner.nonce)) } else { Text::Borrowed(id) }
}

fn write_message(choice: &Choice<'_>, from: Dialect, manner: &Manner, object: &mut Object<'_>) {
    let calls: Vec<(&Call<'_>, &Extras<'_>)> = choice
        .parts
        .iter()
        .filter_map(
            |part| if let Content::Call(call) = &part.content { Some((call, &part.extras)) } else { None },
        )
        .collect();
    let (plan, content): (Vec<&Part<'_>>, Vec<&Part<'_>>) = choice.parts.iter().partition(|part| {
        !calls.is_empty() && matches!(part.content, Content::Text(_) | Content::Refusal(_))
    });
    let readable = content.iter().any(|part| is_readable(part));
    if readable || calls.is_empty() {
        object.array("content", |a| content.iter().for_each(|part| write_part(part, a)));
    }
    if !plan.is_empty() {
        object.str("tool_plan", &joined(&plan));
    }
    if !calls.is_empty() {
        object.array("tool_calls", |a| {
            for (index, (call, _)) in calls.iter().enumerate() {
                a.object(|o| {
                    o.str("id", &call_id(&call.id, index, manner)).str("type", "function");
                    o.object("function", |o| {
                        o.str("name", &call.name).str("arguments", &call.arguments);
                    });
                });
            }
        });
    }
    if from == Dialect::Cohere {
        choice.extras.write(object);
        return;
    }
    let all = || choice.parts.iter().flat_map(|part| &part.citations);
    let citations = || all().filter(|said| said.url.is_some() || said.title.is_some());
    if citations().next().is_some() {
        object.array("citations", |a| {
            for Citation { url, title, .. } in citations() {
                a.object(|o| write_citation(url.as_deref(), title.as_deref(), o));
            }
        });
    }
}

/// The call's own id, or one of its place in the answer.
pub fn call_id<'i>(id: &'i str, index: usize, manner: &Manner) -> Text<'i> {
    if id.is_empty() { Text::Owned(format!("call_{}_{index}", manner.nonce)) } else { Text::Borrowed(id) }
}

fn is_readable(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(_) | Content::Refusal(_) => true,
        Content::Thought(thought) => !thought.text.is_empty(),
        Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => false,
    }
}

fn write_part(part: &Part<'_>, list: &mut Array<'_>) {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            list.object(|o| {
                o.str("type", "text").str("text", text);
            });
        }
        Content::Thought(thought) if !thought.text.is_empty() => {
            list.object(|o| {
                o.str("type", "thinking").str("thinking", &thought.text);
            });
        }
        Content::Thought(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::Video(_)
        | Content::File(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => {}
    }
}

/// The tokens of OpenAI's form.
pub fn each_logprob(root: &Node<'_>, mut tell: impl FnMut(&str, f64)) {
    for token in root.at("content").map_or(&[][..], Node::elements) {
        let text = token.at("token").and_then(Node::as_str).unwrap_or_default();
        tell(text, token.at("logprob").and_then(Node::as_number).unwrap_or_default());
    }
}

fn logprob(text: &str, value: f64, list: &mut Array<'_>) {
    list.object(|o| write_logprob(text, value, o));
}

/// One of Cohere's items. The ids of tokens are the model's own secret; the member has to be there.
pub fn write_logprob(text: &str, value: f64, object: &mut Object<'_>) {
    object.str("text", text).array("token_ids", |_| {}).array("logprobs", |a| {
        a.number(value);
    });
}
