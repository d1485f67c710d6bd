//! How many tokens a prompt has by its models' own vocabulary, where an estimate of its bytes will not do: for callers
//! whom it would refuse, and for rows of attempts of which nobody said what they used.
//!
//! Counting takes a millisecond for some ten kilobytes. It is done where it decides something, and nowhere else: before
//! a refusal on a thread that may block, for short bodies, a few at a time; at an attempt's end at once, for bodies
//! that take less than a millisecond, and so many in a second. Whoever cannot be counted stays estimated, as are models
//! whose vocabulary is not public. What is kept of a prompt goes with its request.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Snapshot;
use super::intake::{Guest, Load};
use crate::algo::tick::Tick;
use crate::dialect::tokens::{self, Vocabulary};
use crate::dialect::{Dialect, Operation, translate, tree};
use crate::state::Live;
use crate::state::books;
use crate::state::route::Route;

/// Longest body that is counted before a refusal, in bytes: a hundredth of a second or so.
const LONGEST: usize = 128 * 1024;
/// At the same moment.
const AT_ONCE: usize = 2;
/// The first one brings the vocabulary in.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest body that is kept and counted at the end. Of longer ones the bytes say enough: little of them is no text.
const SHORT: usize = 8 * 1024;
/// Bytes that are counted in one second at the end of attempts: a whole provider's streams may break off together.
const IN_A_SECOND: usize = 256 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// Counts prompts, a few at a time.
pub struct Reckoner {
    live: Arc<Live>,
    turns: Arc<Semaphore>,
    /// Somebody unpacks the vocabulary, or has.
    unpacking: AtomicBool,
    /// When the second began, and how many bytes were counted in it.
    counted: Mutex<(Tick, usize)>,
}

/// What a request asks to have read, which may have to be counted.
pub struct Prompt {
    reckoner: Arc<Reckoner>,
    dialect: Dialect,
    operation: Operation,
    model: Box<str>,
    body: Bytes,
    counted: OnceLock<Option<u64>>,
}

impl Reckoner {
    pub fn new(live: &Arc<Live>) -> Self {
        Self {
            live: Arc::clone(live),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            unpacking: AtomicBool::new(false),
            counted: Mutex::new((live.now(), 0)),
        }
    }

    /// The tokens of a prompt, if every model that it may go to counts them alike, those of fallbacks as well, and it
    /// can be counted now.
    pub async fn prompt(&self, snapshot: &Snapshot, guest: &Guest) -> Option<u64> {
        let Load::Ask { body, scan } = &guest.load else { return None };
        let is_worth_it = body.len() <= LONGEST
            && translate::generates(guest.operation)
            && snapshot.table.is_counted(guest.route, &scan.model);
        if !is_worth_it {
            return None;
        }
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        let (dialect, operation, body, model) =
            (guest.dialect, guest.operation, body.clone(), scan.model.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let counted = count(dialect, operation, &model, &body);
            drop(turn);
            counted
        });
        timeout(PATIENCE, counting).await.ok()?.ok()?
    }

    /// Keeps a prompt for as long as its request lasts, if it is a short one for models of OpenAI's on this route. What
    /// a fallback counts otherwise is not asked of it (`Settle::book`).
    pub fn remember(
        self: &Arc<Self>,
        route: &Route,
        (dialect, operation, model): (Dialect, Operation, &str),
        body: &Bytes,
    ) -> Option<Arc<Prompt>> {
        let is_worth_it = body.len() <= SHORT && translate::generates(operation) && route.is_counted(model);
        if !is_worth_it {
            return None;
        }
        if !self.unpacking.swap(true, Relaxed) {
            drop(tokio::task::spawn_blocking(tokens::unpack));
        }
        Some(Arc::new(Prompt {
            reckoner: Arc::clone(self),
            dialect,
            operation,
            model: model.into(),
            body: body.clone(),
            counted: OnceLock::new(),
        }))
    }

    /// Whether so many bytes may be counted at once.
    fn has_room(&self, bytes: usize) -> bool {
        let now = self.live.now();
        let mut counted = self.counted.lock();
        if now.since(counted.0) >= SECOND {
            *counted = (now, 0);
        }
        counted.1 = counted.1.saturating_add(bytes);
        counted.1 <= IN_A_SECOND
    }
}

impl books::Prompt for Prompt {
    fn tokens(&self) -> Option<u64> {
        if let Some(counted) = self.counted.get() {
            return *counted;
        }
        let may = tokens::are_at_hand() && self.reckoner.has_room(self.body.len());
        may.then(|| {
            *self.counted.get_or_init(|| count(self.dialect, self.operation, &self.model, &self.body))
        })?
    }
}

/// Without a word of it.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Whether prompts can be counted as this model counts them.
pub fn is_counted(model: &str) -> bool {
    Vocabulary::of(model) == Vocabulary::O200k
}

/// As many as OpenAI would count; `None` for what is no request of the dialect.
fn count(dialect: Dialect, operation: Operation, model: &str, body: &[u8]) -> Option<u64> {
    let root = tree::request(body).ok()?;
    let ask = translate::read(dialect, operation, model, &root).ok()?;
    Some(tokens::count_as_openai(&ask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_counted_in_every_dialect_and_what_is_none_is_not() {
        let text = "Mainstay stands between callers and providers. ".repeat(100);
        for (dialect, operation, body) in [
            (
                Dialect::OpenAi,
                Operation::Chat,
                format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#),
            ),
            (Dialect::Responses, Operation::Responses, format!(r#"{{"input":"{text}"}}"#)),
            (
                Dialect::Anthropic,
                Operation::Messages,
                format!(r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"{text}"}}]}}"#),
            ),
            (
                Dialect::Gemini,
                Operation::Generate,
                format!(r#"{{"contents":[{{"parts":[{{"text":"{text}"}}]}}]}}"#),
            ),
        ] {
            let counted = count(dialect, operation, "gpt-5.4", body.as_bytes()).expect("it is a request");
            assert!((800..1000).contains(&counted), "{dialect:?}: {counted}");
        }
        // OpenAI's cookbook: three for a message, one for its role, three for the answer's beginning.
        let hello = br#"{"model":"gpt-5.4","stream":true,"messages":[{"role":"user","content":"hello hello hello"}]}"#;
        assert_eq!(count(Dialect::OpenAi, Operation::Chat, "gpt-5.4", hello), Some(3 + 7));
        for body in [&b"[]"[..], b"{", b"", br#"{"messages":7}"#] {
            assert_eq!(count(Dialect::OpenAi, Operation::Chat, "gpt-5.4", body), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_much_is_counted_in_a_second_and_no_more() {
        let reckoner = Reckoner::new(&Arc::new(Live::seeded(1)));
        for _ in 0..IN_A_SECOND / SHORT {
            assert!(reckoner.has_room(SHORT));
        }
        assert!(!reckoner.has_room(1));
        tokio::time::advance(SECOND).await;
        assert!(reckoner.has_room(SHORT));
    }

    #[test]
    fn a_prompt_shows_nothing_of_itself() {
        let prompt = Prompt {
            reckoner: Arc::new(Reckoner::new(&Arc::new(Live::seeded(1)))),
            dialect: Dialect::OpenAi,
            operation: Operation::Chat,
            model: "gpt-5.4".into(),
            body: Bytes::from_static(b"a secret of somebody's"),
            counted: OnceLock::new(),
        };
        assert_eq!(format!("{prompt:?}"), "Prompt { bytes: 22, .. }");
    }
}
