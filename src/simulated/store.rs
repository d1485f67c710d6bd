//! Files and batches that callers left here, each with the credential it was left with.
//!
//! A batch is answered when somebody looks at it for the first time, so that one can be cancelled before. What is
//! kept is bounded, and gone with the upstream: this is no store to rely on.

use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::ask::{Ask, Dialect, Operation, Place, credential};
use super::server::Core;
use super::speech::{Answer, JSON, Speech};

/// Things that are kept; more than any test leaves.
const MOST: usize = 512;
/// Bytes of all files together; the oldest things go first.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// When everything of Anthropic's was made: nothing depends on it.
const LONG_AGO: &str = "2026-11-01T00:00:00Z";

#[derive(Debug, Default)]
pub(super) struct Store(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    serial: u64,
    things: VecDeque<Thing>,
}

#[derive(Debug)]
struct Thing {
    id: String,
    owner: String,
    dialect: Dialect,
    /// As it is shown.
    shown: Value,
    content: Bytes,
    /// Of a batch that nobody has looked at: what is asked in it.
    requests: Option<Bytes>,
}

/// What is wrong with a request for something that is kept.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) status: http::StatusCode,
    pub(super) body: String,
}

impl Store {
    pub(super) fn answer(
        &self,
        core: &Core,
        place: &Place,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Speech, Wrong> {
        let mut shelf = self.0.lock();
        let visit = Visit { core, place, head, owner: credential(head).unwrap_or_default() };
        let said = visit.serve(&mut shelf, body);
        shelf.tidy();
        said
    }
}

impl Shelf {
    fn tidy(&mut self) {
        let mut bytes: usize = self.things.iter().map(|thing| thing.content.len()).sum();
        while self.things.len() > MOST || bytes > MOST_BYTES {
            let Some(oldest) = self.things.pop_front() else { return };
            bytes -= oldest.content.len();
        }
    }

    fn next_id(&mut self, prefix: &str, core: &Core) -> String {
        self.serial += 1;
        let name: String = core.name.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{prefix}{name}{:06}", self.serial)
    }
}

/// One request.
struct Visit<'v> {
    core: &'v Core,
    place: &'v Place,
    head: &'v Parts,
    owner: &'v str,
}

impl Visit<'_> {
    fn serve(&self, shelf: &mut Shelf, body: &Bytes) -> Result<Speech, Wrong> {
        let is_batch = self.place.operation == Operation::Batches;
        let collection = if is_batch { "batches" } else { "files" };
        let path = self.head.uri.path();
        let rest = path.split_once(collection).map_or("", |(_, rest)| rest).trim_start_matches('/');
        let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
        match (&self.head.method, id, verb) {
            (&Method::POST, "", _) if is_batch => self.begin(shelf, body),
            (&Method::POST, "", _) => self.upload(shelf, body),
            (_, "", _) => Ok(self.list(shelf)),
            (&Method::POST, id, _) => self.cancel(shelf, id),
            (&Method::DELETE, id, _) => {
                let at = self.find(shelf, id)?;
                shelf.things.remove(at);
                let kind = if is_batch { "message_batch_deleted" } else { "file_deleted" };
                Ok(Speech::json(&match self.place.dialect {
                    Dialect::Anthropic => json!({"id": id, "type": kind}),
                    _ => json!({"id": id, "object": "file", "deleted": true}),
                }))
            }
            (_, id, verb) => {
                let at = self.find(shelf, id)?;
                if let Some(requests) = shelf.things[at].requests.take() {
                    self.complete(shelf, at, &requests);
                }
                let thing = &shelf.things[at];
                Ok(if verb.is_empty() {
                    Speech::json(&thing.shown)
                } else {
                    Speech::Whole { content_type: "application/octet-stream", body: thing.content.clone() }
                })
            }
        }
    }

    fn find(&self, shelf: &Shelf, id: &str) -> Result<usize, Wrong> {
        let mine = |thing: &Thing| {
            thing.id == id && thing.owner == self.owner && thing.dialect == self.place.dialect
        };
        shelf
            .things
            .iter()
            .position(mine)
            .ok_or_else(|| self.wrong(http::StatusCode::NOT_FOUND, &format!("No such object: {id}")))
    }

    fn wrong(&self, status: http::StatusCode, message: &str) -> Wrong {
        let kind =
            if status == http::StatusCode::NOT_FOUND { "not_found_error" } else { "invalid_request_error" };
        let body = match self.place.dialect {
            Dialect::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_store"})
            }
            _ => {
                json!({"error": {"message": message, "type": "invalid_request_error", "param": "id", "code": null}})
            }
        };
        Wrong { status, body: body.to_string() }
    }

    fn keep(&self, shelf: &mut Shelf, id: String, shown: Value, content: Bytes, requests: Option<Bytes>) {
        let (owner, dialect) = (self.owner.to_owned(), self.place.dialect);
        shelf.things.push_back(Thing { id, owner, dialect, shown, content, requests });
    }

    fn upload(&self, shelf: &mut Shelf, body: &Bytes) -> Result<Speech, Wrong> {
        let Some(part) = FilePart::find(&self.head.headers, body) else {
            return Err(self.wrong(http::StatusCode::BAD_REQUEST, "the form has no `file`"));
        };
        let prefix = if self.place.dialect == Dialect::Anthropic { "file_" } else { "file-" };
        let id = shelf.next_id(prefix, self.core);
        let content = body.slice(part.content.clone());
        let shown = self.file(&id, &part.name, "user_data", content.len());
        self.keep(shelf, id, shown.clone(), content, None);
        Ok(Speech::json(&shown))
    }

    fn file(&self, id: &str, name: &str, purpose: &str, size: usize) -> Value {
        match self.place.dialect {
            Dialect::Anthropic => {
                json!({"id": id, "type": "file", "filename": name, "mime_type": "text/plain",
                "size_bytes": size, "created_at": LONG_AGO, "downloadable": true})
            }
            _ => json!({"id": id, "object": "file", "bytes": size, "created_at": 1, "filename": name,
                "purpose": purpose, "status": "processed"}),
        }
    }

    fn list(&self, shelf: &Shelf) -> Speech {
        let is_batch = self.place.operation == Operation::Batches;
        let mine = |thing: &&Thing| {
            let batch = thing.shown["object"] == "batch" || thing.shown["type"] == "message_batch";
            thing.owner == self.owner && thing.dialect == self.place.dialect && batch == is_batch
        };
        let data: Vec<&Value> = shelf.things.iter().rev().filter(mine).map(|thing| &thing.shown).collect();
        let id = |thing: Option<&&Value>| thing.map(|thing| thing["id"].clone());
        Speech::json(&json!({"object": "list", "data": data, "has_more": false,
            "first_id": id(data.first()), "last_id": id(data.last())}))
    }

    fn begin(&self, shelf: &mut Shelf, body: &Bytes) -> Result<Speech, Wrong> {
        let asked: Value = serde_json::from_slice(body)
            .map_err(|_| self.wrong(http::StatusCode::BAD_REQUEST, "the body is not JSON"))?;
        let (id, shown, requests) = if self.place.dialect == Dialect::Anthropic {
            let id = shelf.next_id("msgbatch_", self.core);
            let count = asked["requests"].as_array().map_or(0, Vec::len);
            let shown = json!({"id": id, "type": "message_batch", "processing_status": "in_progress",
                "request_counts": {"processing": count, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
                "created_at": LONG_AGO, "expires_at": LONG_AGO, "ended_at": null, "archived_at": null,
                "cancel_initiated_at": null, "results_url": null});
            (id, shown, Bytes::from(asked["requests"].to_string()))
        } else {
            let input = asked["input_file_id"].as_str().unwrap_or_default();
            let requests = shelf.things[self.find(shelf, input)?].content.clone();
            let id = shelf.next_id("batch_", self.core);
            let shown = json!({"id": id, "object": "batch", "endpoint": asked["endpoint"], "input_file_id": input,
                "completion_window": asked["completion_window"], "status": "validating", "created_at": 1,
                "output_file_id": null, "error_file_id": null, "metadata": asked["metadata"],
                "request_counts": {"total": 0, "completed": 0, "failed": 0}});
            (id, shown, requests)
        };
        self.keep(shelf, id, shown.clone(), Bytes::new(), Some(requests));
        Ok(Speech::json(&shown))
    }

    fn cancel(&self, shelf: &mut Shelf, id: &str) -> Result<Speech, Wrong> {
        let at = self.find(shelf, id)?;
        let thing = &mut shelf.things[at];
        if thing.requests.take().is_none() {
            return Err(self.wrong(http::StatusCode::BAD_REQUEST, "the batch has ended"));
        }
        if self.place.dialect == Dialect::Anthropic {
            thing.shown["processing_status"] = json!("canceling");
            thing.shown["cancel_initiated_at"] = json!(LONG_AGO);
        } else {
            thing.shown["status"] = json!("cancelling");
        }
        Ok(Speech::json(&thing.shown))
    }

    /// Answers all that a batch asks.
    fn complete(&self, shelf: &mut Shelf, at: usize, requests: &Bytes) {
        let anthropic = self.place.dialect == Dialect::Anthropic;
        let lines: Vec<Value> = if anthropic {
            serde_json::from_slice(requests).unwrap_or_default()
        } else {
            requests
                .split(|byte| *byte == b'\n')
                .filter_map(|line| serde_json::from_slice(line).ok())
                .collect()
        };
        let count = lines.len();
        let mut results = String::new();
        for (number, line) in lines.iter().enumerate() {
            let result = if anthropic {
                let message = self.reply("/v1/messages", &line["params"], number);
                json!({"custom_id": line["custom_id"], "result": {"type": "succeeded", "message": message}})
            } else {
                let url = line["url"].as_str().unwrap_or("/v1/chat/completions");
                let response = json!({"status_code": 200, "request_id": format!("req_{number}"),
                    "body": self.reply(url, &line["body"], number)});
                json!({"id": format!("batch_req_{number}"), "custom_id": line["custom_id"],
                    "response": response, "error": null})
            };
            results.push_str(&result.to_string());
            results.push('\n');
        }
        if anthropic {
            let thing = &mut shelf.things[at];
            thing.shown["processing_status"] = json!("ended");
            thing.shown["ended_at"] = json!(LONG_AGO);
            thing.shown["request_counts"]["processing"] = json!(0);
            thing.shown["request_counts"]["succeeded"] = json!(count);
            let id = &thing.id;
            // As the vendor has it: an address of his own.
            let url = format!("https://api.anthropic.com/v1/messages/batches/{id}/results");
            thing.shown["results_url"] = json!(url);
            thing.content = results.into();
            return;
        }
        let output = shelf.next_id("file-", self.core);
        let shown = self.file(&output, "output.jsonl", "batch_output", results.len());
        self.keep(shelf, output.clone(), shown, results.into(), None);
        let thing = &mut shelf.things[at];
        thing.shown["status"] = json!("completed");
        thing.shown["completed_at"] = json!(1);
        thing.shown["output_file_id"] = json!(output);
        thing.shown["request_counts"] = json!({"total": count, "completed": count, "failed": 0});
    }

    /// What this upstream would answer to one request.
    fn reply(&self, url: &str, body: &Value, number: usize) -> Value {
        let text = body.to_string();
        let request = Request::builder().method(Method::POST).uri(url).body(());
        let Ok((head, ())) = request.map(Request::into_parts) else { return Value::Null };
        let Ok(ask) = Ask::read(Place::find(&head), Some(JSON), text.as_bytes()) else { return Value::Null };
        let settings = &self.core.settings;
        let answer = Answer::new(&self.core.name, settings.words, settings.seed, number as u64, 0, &ask);
        match Speech::of(&ask, &answer) {
            Speech::Whole { body, .. } => serde_json::from_slice(&body).unwrap_or_default(),
            Speech::Stream { .. } => Value::Null,
        }
    }
}

/// The file of a form.
struct FilePart {
    name: String,
    content: std::ops::Range<usize>,
}

impl FilePart {
    fn find(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let boundary = kind.split("boundary=").nth(1)?.split(';').next()?.trim_matches('"');
        let at = memchr::memmem::find(body, b"name=\"file\"")?;
        let begin = at + memchr::memmem::find(body.get(at..)?, b"\r\n\r\n")? + 4;
        let line = String::from_utf8_lossy(body.get(at..begin)?).into_owned();
        let name = line.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next());
        let end = memchr::memmem::find(body.get(begin..)?, format!("\r\n--{boundary}").as_bytes())?;
        Some(Self { name: name.unwrap_or("file").to_owned(), content: begin..begin + end })
    }
}
