//! A caller's stream, written.
//!
//! The events that end a part, an item and the answer repeat all of it, so the texts are kept: each once
//! while its block is open and once, as JSON, in its ended item. That is no more than about twice the
//! answer itself, which the upstream's own limit bounds.
//!
//! An item begins with the first that is said of it. A call's signature that comes before its arguments
//! goes before it, as a reasoning item of its own; `items` reads it back into the call.

use super::open::Open;
use super::output::Output;
use crate::dialect::hub::{Delta, Event, Keeping, Manner, Stop};
use crate::dialect::responses::begun::Begun;
use crate::dialect::responses::item::{Ending, Head, Refusal, Status};
use crate::vocab::Usage;

/// What the first responses say of an end that has not come.
const BEGUN: Ending = Ending { status: Status::InProgress, reason: None };

/// Writes a caller's stream. Of several answers the first.
#[derive(Debug)]
pub struct Writer {
    manner: Manner,
    pub(super) head: Option<Head>,
    pub(super) output: Output,
    pub(super) blocks: Vec<Open>,
    refusal: Refusal,
    stop: Stop<'static>,
    usage: Option<Usage>,
    /// The response object that ended the stream, where it is to be remembered.
    whole: Option<String>,
}

impl Writer {
    pub fn new(manner: Manner) -> Self {
        let output = Output::new(manner.nonce.clone());
        Self {
            manner,
            head: None,
            output,
            blocks: Vec::new(),
            refusal: Refusal::Unsaid,
            stop: Stop::End,
            usage: None,
            whole: None,
        }
    }

    /// The whole answer, once, after its end, where it is to be remembered.
    pub fn take_whole(&mut self) -> Option<String> {
        self.whole.take()
    }

    /// The response as the caller was told that it begins, once he was.
    pub fn begun(&self) -> Option<Begun> {
        let head = self.head.as_ref()?;
        Some(Begun::of(head.response(BEGUN, "[]", None).as_bytes()))
    }

    /// The `sequence_number` of the next event.
    pub fn next_sequence(&self) -> u64 {
        self.output.next_sequence
    }

    /// Says one event, appended to `out`.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::Open { choice: 0, block, kind } => self.blocks.push(Open::new(*block, kind)),
            Event::Delta { choice: 0, block, delta } => self.delta(*block, delta, out),
            Event::Close { choice: 0, block } => {
                if let Some(at) = self.blocks.iter().position(|open| open.block == *block) {
                    let open = self.blocks.swap_remove(at);
                    self.close(open, out);
                }
            }
            Event::Finish { choice: 0, stop } => self.stop = stop.clone().into_owned(),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.end(out),
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Finish { .. }
            | Event::Vendor { .. } => {}
        }
    }

    fn start(&mut self, id: &str, model: &str, created: u64, out: &mut Vec<u8>) {
        if self.head.is_some() {
            return;
        }
        let head = Head::new(id, model, created, &self.manner);
        let response = head.response(BEGUN, "[]", None);
        for name in ["response.created", "response.in_progress"] {
            self.output.event(out, name, |o| {
                o.raw("response", &response);
            });
        }
        self.head = Some(head);
    }

    fn delta(&mut self, block: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.blocks.iter_mut().find(|open| open.block == block) else { return };
        match delta {
            Delta::Text(text) | Delta::Arguments(text) => open.more(text, &mut self.output, out),
            Delta::Signature(signature) => open.sign(signature),
            Delta::Media(media) => self.output.picture(media, out),
            Delta::Citation { url, title, raw } => {
                open.cite((url.as_deref(), title.as_deref()), raw, &mut self.output, out);
            }
            Delta::Logprobs(raw) => open.weigh(raw, &mut self.output, out),
        }
    }

    fn close(&mut self, open: Open, out: &mut Vec<u8>) {
        if open.close(&mut self.output, out) == Refusal::Said {
            self.refusal = Refusal::Said;
        }
    }

    /// The answer is whole.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", "", 0, out);
        for open in std::mem::take(&mut self.blocks) {
            self.close(open, out);
        }
        let ending = Ending::of(&self.stop, self.refusal);
        let output = self.output.end(ending.last_item(), out);
        let name = match ending.status {
            Status::Completed | Status::InProgress => "response.completed",
            Status::Incomplete => "response.incomplete",
            Status::Failed => "response.failed",
        };
        let response = self.head.as_ref().map(|head| head.response(ending, &output, self.usage));
        self.output.event(out, name, |o| {
            o.raw_if("response", response.as_deref());
        });
        self.whole = response.filter(|_| self.manner.keeping == Keeping::Kept);
    }
}
