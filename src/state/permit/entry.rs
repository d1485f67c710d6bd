//! What the books hear of an attempt: its place there, what it has used as far as anybody says, and how it ended.
//! What that costs is theirs to say.

use std::sync::Arc;

use super::Permit;
use crate::algo::tick::Tick;
use crate::state::books::{self, Attempt, Books, Heard, Metering, Prompt, Verdict};
use crate::vocab::{Part, Stage, Usage};

/// A place in the books that nobody has closed.
#[derive(Debug)]
pub(super) struct Entry {
    books: Arc<dyn Books>,
    place: u32,
    part: Part,
    pub(super) heard: Heard,
    detail: Option<Box<str>>,
    account: books::Account,
    prompt: Option<Arc<dyn Prompt>>,
}

impl Permit {
    /// `books` hear how it ends.
    pub fn book_in(&mut self, books: Arc<dyn Books>, part: Part, metering: Metering) {
        let account = books::Account { metering, ..books::Account::default() };
        let place = books.begins();
        let heard = Heard::default();
        self.entry = Some(Box::new(Entry { books, place, part, heard, detail: None, account, prompt: None }));
    }

    /// Its place among the attempts of its request, where it is booked.
    pub fn place(&self) -> Option<u32> {
        self.entry.as_ref().map(|entry| entry.place)
    }

    /// Its request began to leave at `at`.
    pub fn left(&mut self, at: Option<Tick>) {
        if let Some(entry) = &mut self.entry {
            entry.heard.sent = at;
        }
    }

    /// The head of an answer is here.
    pub fn headed(&mut self, at: Tick, status: u16) {
        if let Some(entry) = &mut self.entry {
            entry.heard.headed = Some((at, status));
        }
    }

    /// What goes wrong, in words that hold nothing of a request or an answer.
    pub fn complains(&mut self, detail: &str) {
        if let Some(entry) = &mut self.entry {
            entry.detail = Some(detail.into());
        }
    }

    /// Whom to ask for the tokens of its prompt, should nobody have said them at its end.
    pub fn ask_for_prompt(&mut self, prompt: Arc<dyn Prompt>) {
        if let Some(entry) = &mut self.entry {
            entry.prompt = Some(prompt);
        }
    }

    /// This is what it has used, as far as it has come: its key's quota pays that and no estimate.
    pub fn used(&mut self, usage: &Usage) {
        self.charged(usage);
        self.correct(usage);
    }

    fn charged(&mut self, usage: &Usage) {
        self.channel.handles.used(&self.live().metrics, usage);
        if let Some(entry) = &mut self.entry {
            entry.account.told = Some(*usage);
        }
    }

    /// Nobody says what it has used, but it answered in about so many tokens.
    pub fn answered_in(&mut self, tokens: u64) {
        if let Some(entry) = &mut self.entry {
            entry.account.events = tokens;
        }
    }

    /// The same of an attempt that failed while its answer was held back, of which so many content events had come.
    pub fn used_in_vain(&mut self, usage: Option<&Usage>, events: u64) {
        self.answered_in(events);
        if let Some(usage) = usage {
            self.charged(usage);
        }
    }

    /// What it has used is all that it will: its stream has said its last.
    pub fn has_told_all(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.account.is_whole = true;
        }
    }

    /// Its answer was ended here before it was told all: what it has said of its usage was no end.
    pub fn was_stopped(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.account.is_stopped = true;
        }
    }

    /// Says how it ended, once.
    pub(super) fn book(&mut self, verdict: Verdict, stage: Stage) {
        let Some(entry) = self.entry.take() else { return };
        let Entry { books, place, part, heard, detail, mut account, prompt } = *entry;
        account.events = account.events.max(self.events);
        if let Some(prompt) = prompt {
            account.ask(&*prompt, verdict, stage);
        }
        books.ended(&Attempt {
            place,
            part,
            channel: &self.channel,
            model: &self.model.name,
            credential: self.credential.as_ref(),
            payer: self.payer,
            begun: self.begun,
            ended: self.live().now(),
            heard,
            verdict,
            stage,
            used: account.used(verdict, stage),
            detail,
        });
    }
}
