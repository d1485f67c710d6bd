//! The items of an answer, and the response object around them, as callers get them.
//!
//! Shared by answers in one piece and streams. What the SDKs require is all there (types of openai 3.52):
//! ids, statuses, empty `annotations` and `logprobs`, `usage` with both of its details.

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, CallKind, Keeping, Manner, Stop, namespace, object_of};
use crate::dialect::responses::request;
use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};
use crate::vocab::Usage;

/// Whether an item, or the answer, is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// How an answer ended, in this dialect's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub status: Status,
    /// Of an incomplete one.
    pub reason: Option<&'static str>,
}

/// Whether the answer holds a refusal in the model's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Said,
    Unsaid,
}

impl Ending {
    pub fn of(stop: &Stop<'_>, refusal: Refusal) -> Self {
        let incomplete = |reason| Self { status: Status::Incomplete, reason: Some(reason) };
        match stop {
            // A turn that its vendor has paused is not whole, and there is no other word for that.
            Stop::Length | Stop::Window | Stop::Pause => incomplete("max_output_tokens"),
            Stop::Filter => incomplete("content_filter"),
            // Nobody would notice a refusal of which nothing is said.
            Stop::Refusal if refusal == Refusal::Unsaid => incomplete("content_filter"),
            Stop::End | Stop::Sequence(_) | Stop::Calls | Stop::Refusal => {
                Self { status: Status::Completed, reason: None }
            }
            Stop::Failed => Self { status: Status::Failed, reason: None },
        }
    }

    /// The status of the item that was being written when the answer ended.
    pub fn last_item(self) -> Status {
        match self.status {
            Status::Completed | Status::InProgress => Status::Completed,
            Status::Incomplete | Status::Failed => Status::Incomplete,
        }
    }
}

/// What a response object says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub id: String,
    pub model: String,
    pub created: u64,
    /// The tier that was used.
    pub tier: &'static str,
    /// What it repeats of the request.
    pub echo: String,
}

impl Head {
    pub fn new(id: &str, model: &str, created: u64, manner: &Manner) -> Self {
        let id = match id {
            // What the upstream calls it, others may guess.
            _ if manner.keeping == Keeping::Kept => format!("resp_{}", manner.nonce),
            "" => format!("resp_{}", manner.nonce),
            id if id.starts_with("resp_") => id.to_owned(),
            id => format!("resp_{id}"),
        };
        let model = if model.is_empty() { &manner.model } else { model };
        let created = if created == 0 { manner.now } else { created };
        let echo = match &*manner.echo {
            "" => request::echo(&Ask::new(Dialect::Responses)),
            echo => echo.to_owned(),
        };
        Self { id, model: model.to_owned(), created, tier: "default", echo }
    }

    /// The response object; `output` is its items, JSON.
    pub fn response(&self, ending: Ending, output: &str, usage: Option<Usage>) -> String {
        let mut said = write::text(|out| {
            write::object(out, |o| {
                o.str("id", &self.id).str("object", "response").number("created_at", self.created);
                o.str("status", ending.status.name()).str("model", &self.model);
                trouble(ending, o);
                o.raw("output", output).str("service_tier", self.tier);
                match usage {
                    Some(usage) => write_usage(usage, o),
                    // Vercel's SDK takes no ended response without it.
                    None if ending.status != Status::InProgress => write_usage(Usage::default(), o),
                    None => {
                        o.null("usage");
                    }
                }
            });
        });
        said.pop();
        said.push(',');
        said.push_str(&self.echo);
        said.push('}');
        said
    }
}

fn trouble(ending: Ending, o: &mut Object<'_>) {
    if ending.status == Status::Failed {
        o.object("error", |o| {
            o.str("code", "server_error").str("message", "the model failed to produce a valid answer");
        });
    } else {
        o.null("error");
    }
    match ending.reason {
        Some(reason) => o.object("incomplete_details", |o| {
            o.str("reason", reason);
        }),
        None => o.null("incomplete_details"),
    };
}

fn write_usage(usage: Usage, o: &mut Object<'_>) {
    o.object("usage", |o| {
        o.number("input_tokens", usage.input);
        o.object("input_tokens_details", |o| {
            o.number("cached_tokens", usage.cache_read);
            o.number("cache_write_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
        });
        o.number("output_tokens", usage.output);
        o.object("output_tokens_details", |o| {
            o.number("reasoning_tokens", usage.reasoning);
        });
        o.number("total_tokens", usage.input.saturating_add(usage.output));
    });
}

/// A message's members; `content` is its parts, JSON.
pub fn message(o: &mut Object<'_>, id: &str, status: Status, content: &str) {
    o.str("id", id).str("type", "message").str("status", status.name());
    o.str("role", "assistant").raw("content", content);
}

/// The members of a text in a message. `annotations` and `logprobs` are items of arrays, JSON.
pub fn text(o: &mut Object<'_>, text: &str, annotations: &str, logprobs: &str) {
    o.str("type", "output_text").str("text", text);
    array_of(o, "annotations", annotations);
    array_of(o, "logprobs", logprobs);
}

pub fn refusal(o: &mut Object<'_>, text: &str) {
    o.str("type", "refusal").str("refusal", text);
}

/// An array of `items`, JSON.
pub fn array_of(o: &mut Object<'_>, key: &str, items: &str) {
    o.array(key, |array| {
        if !items.is_empty() {
            array.raw(items);
        }
    });
}

/// The members of a reasoning item: summaries, and the reasoning itself where it is shown.
pub fn reasoning(o: &mut Object<'_>, id: &str, summary: &[&str], content: &[&str], encrypted: Option<&str>) {
    o.str("id", id).str("type", "reasoning");
    texts(o, "summary", "summary_text", summary);
    if !content.is_empty() {
        texts(o, "content", "reasoning_text", content);
    }
    o.str_if("encrypted_content", encrypted);
}

fn texts(o: &mut Object<'_>, key: &str, kind: &str, texts: &[&str]) {
    o.array(key, |array| {
        for text in texts {
            array.object(|o| {
                o.str("type", kind).str("text", text);
            });
        }
    });
}

/// A call, whatever its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'c> {
    /// The item's.
    pub id: &'c str,
    /// The call's, which its result names.
    pub called: &'c str,
    pub name: &'c str,
    pub kind: CallKind,
    pub arguments: &'c str,
}

impl Call<'_> {
    pub fn write(&self, o: &mut Object<'_>, status: Status) {
        if self.name == namespace::TOOL_SEARCH {
            self.write_search(o, status);
            return;
        }
        o.str("id", self.id).str("type", self.kind_name()).str("status", status.name());
        let (space, name) = namespace::divide(self.name);
        o.str("call_id", self.called).str("name", name).str_if("namespace", space);
        o.str(
            match self.kind {
                CallKind::Function => "arguments",
                CallKind::Custom => "input",
            },
            self.arguments,
        );
    }

    /// A search for tools that the caller makes.
    fn write_search(&self, o: &mut Object<'_>, status: Status) {
        o.str("id", self.id).str("type", "tool_search_call").str("status", status.name());
        o.str("call_id", self.called).str("execution", "client");
        match object_of(self.arguments) {
            Some(arguments) => o.raw("arguments", arguments),
            None => o.str("arguments", self.arguments),
        };
    }

    const fn kind_name(&self) -> &'static str {
        match self.kind {
            CallKind::Function => "function_call",
            CallKind::Custom => "custom_tool_call",
        }
    }
}

/// A picture that the model made.
pub fn image(o: &mut Object<'_>, id: &str, data: &str, mime: Option<&str>) {
    let format = mime.and_then(|mime| mime.strip_prefix("image/")).unwrap_or("png");
    o.str("id", id).str("type", "image_generation_call").str("status", Status::Completed.name());
    o.str("output_format", format).str("result", data);
}

/// Appends to the items of an array, JSON.
pub fn join(items: &mut String, more: &str) {
    if !items.is_empty() && !more.is_empty() {
        items.push(',');
    }
    items.push_str(more);
}

/// Chat's form of `logprobs` -> the items of ours.
pub fn tokens(logprobs: &str) -> String {
    let root = tree::parse(logprobs.as_bytes()).ok();
    let content = root.as_ref().and_then(|root| root.at("content")).map(Node::elements).unwrap_or_default();
    content.iter().map(Node::raw).collect::<Vec<_>>().join(",")
}

/// A citation in this dialect's words: as it is if it was said in them. Chat has one level more; others
/// do not say where it begins: it has this place then. `None` without a URL.
pub fn annotation(url: Option<&str>, title: Option<&str>, raw: &str, place: (u64, u64)) -> Option<String> {
    let root = tree::parse(raw.as_bytes()).ok();
    let nested = root.as_ref().and_then(|root| root.at("url_citation")).or(root.as_ref());
    if root.as_ref().is_some_and(is_ours) {
        return Some(raw.to_owned());
    }
    let number = |key: &str| nested.and_then(|nested| nested.at(key)?.as_integer());
    let text = |key: &str| nested.and_then(|nested| nested.at(key)?.as_str());
    let url = url.or_else(|| text("url"))?;
    let (start, end) = (number("start_index").unwrap_or(place.0), number("end_index").unwrap_or(place.1));
    Some(write::text(|out| {
        write::object(out, |o| {
            o.str("type", "url_citation").number("start_index", start).number("end_index", end);
            o.str("url", url).str("title", title.or_else(|| text("title")).unwrap_or(url));
        });
    }))
}

fn is_ours(annotation: &Node<'_>) -> bool {
    let place = match annotation.at("type").and_then(Node::as_str) {
        Some("url_citation" | "container_file_citation") => "start_index",
        Some("file_citation" | "file_path") => "index",
        _ => return false,
    };
    annotation.at(place).is_some()
}

/// What the id of a call's item begins with.
pub fn call_prefix(name: &str, kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function if name == namespace::TOOL_SEARCH => "tsc_",
        CallKind::Function => "fc_",
        CallKind::Custom => "ctc_",
    }
}

/// The ids of items that are made up here: the kind's prefix, the request's nonce, the item's place.
pub fn id(kind: &str, nonce: &str, index: usize) -> String {
    format!("{kind}{nonce}_{index}")
}

/// A function's arguments, which callers parse: no text stands for none.
pub fn arguments(kind: CallKind, text: &str) -> &str {
    if kind == CallKind::Function && text.trim().is_empty() { "{}" } else { text }
}
