//! One webhook's messages: in their order, one at a time, and again where a try failed.
//!
//! A try that fails is followed by four more within fifteen minutes or so, or later where the receiver asks for that;
//! then the message is given up. One who asks for less waits all the same: whatever is in front of him may say so for
//! minutes, and four tries would be over before it ends. A receiver who says 410 is left alone until the configuration
//! changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::board::News;
use super::message::signature;
use crate::algo::backoff::full_jitter;
use crate::algo::dice::Dice;
use crate::algo::tick::Tick;
use crate::config::{MessageForm, Webhook};
use crate::telemetry::{Metrics, Posted, WebhookHandles};

/// Messages that may wait.
const MOST: usize = 64;
/// Of one message.
const TRIES: u32 = 5;
/// Ceilings of the waits between them: 1, 2, 4 and 8 minutes.
const FIRST_WAIT: Duration = Duration::from_mins(1);
const LONGEST_WAIT: Duration = Duration::from_mins(8);
/// What a receiver may ask for.
const MOST_ASKED: Duration = Duration::from_hours(1);

/// What a receiver said, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        code: u16,
        wait: Option<Duration>,
    },
    /// Nothing that could be read, and why.
    None(String),
}

/// A message on its way. Holds a secret place and a signature, so that it is not shown.
pub struct Letter {
    pub webhook: Arc<Webhook>,
    pub id: Arc<str>,
    /// Unix time in seconds.
    pub timestamp: u64,
    pub body: String,
    /// `None` where the receiver looks for none.
    pub signature: Option<String>,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter")
            .field("webhook", &self.webhook.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What came of the last try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub result: Posted,
    pub answer: Answer,
    /// Unix time.
    pub at: Duration,
}

pub struct Outbox {
    webhook: Arc<Webhook>,
    handles: WebhookHandles,
    waiting: VecDeque<(Arc<str>, Arc<News>)>,
    /// The first is being posted.
    under_way: bool,
    /// Tries of the first that have failed.
    failed: u32,
    not_before: Tick,
    gone: bool,
    last: Option<Tried>,
}

impl Outbox {
    pub fn new(webhook: Webhook, metrics: &Metrics) -> Self {
        Self {
            handles: WebhookHandles::new(metrics, &webhook.name),
            webhook: Arc::new(webhook),
            waiting: VecDeque::new(),
            under_way: false,
            failed: 0,
            not_before: Tick::ZERO,
            gone: false,
            last: None,
        }
    }

    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Another configuration is in force: what waits goes on waiting, and whoever wanted nothing is asked again.
    pub fn reconfigure(&mut self, webhook: Webhook) {
        self.gone = false;
        if *self.webhook != webhook {
            self.webhook = Arc::new(webhook);
            self.failed = 0;
            self.not_before = Tick::ZERO;
        }
    }

    pub fn put(&mut self, id: &Arc<str>, news: &Arc<News>) {
        if self.gone {
            self.handles.gone.increment(1);
            return;
        }
        if self.waiting.len() == MOST {
            // Nobody can take back what is on its way.
            let oldest = usize::from(self.under_way);
            self.waiting.remove(oldest);
            if oldest == 0 {
                self.failed = 0;
                self.not_before = Tick::ZERO;
            }
            self.handles.queue_full.increment(1);
        }
        self.waiting.push_back((Arc::clone(id), Arc::clone(news)));
    }

    /// What is to be posted now. Whoever takes it says what came of it.
    pub fn take(&mut self, now: Tick, unix: Duration) -> Option<Letter> {
        if self.under_way || now < self.not_before {
            return None;
        }
        let (id, news) = self.waiting.front()?;
        self.under_way = true;
        let timestamp = unix.as_secs();
        let (body, signature) = match &self.webhook.form {
            MessageForm::Slack => (news.as_slack(), None),
            MessageForm::Signed(secret) => {
                let body = news.as_json(id);
                let signed = signature(secret, id, timestamp, &body);
                (body, Some(signed))
            }
        };
        Some(Letter { webhook: Arc::clone(&self.webhook), id: Arc::clone(id), timestamp, body, signature })
    }

    /// Whether the message of this id is on its way from here.
    pub fn is_posting(&self, id: &str) -> bool {
        self.under_way && self.waiting.front().is_some_and(|(first, _)| **first == *id)
    }

    /// The first has been posted.
    pub fn posted(&mut self, answer: Answer, now: Tick, unix: Duration, dice: &mut Dice) -> Posted {
        self.under_way = false;
        let (mut result, asked) = judged(&answer);
        if result == Posted::Failed {
            let wait = full_jitter(self.failed, FIRST_WAIT, LONGEST_WAIT, dice);
            self.failed += 1;
            if self.failed < TRIES {
                self.not_before = now + wait.max(asked.unwrap_or_default().min(MOST_ASKED));
            } else {
                result = Posted::GivenUp;
            }
        }
        self.handles.posted(result);
        match result {
            Posted::Failed => {}
            Posted::Delivered | Posted::GivenUp | Posted::Refused => self.pop(),
            Posted::Gone => {
                self.gone = true;
                self.handles.gone.increment(self.waiting.len() as u64);
                self.waiting.clear();
                self.pop();
            }
        }
        self.last = Some(Tried { result, answer, at: unix });
        result
    }

    fn pop(&mut self) {
        self.waiting.pop_front();
        self.failed = 0;
        self.not_before = Tick::ZERO;
    }

    /// When the next try is, if something waits that nobody posts.
    pub fn next(&self) -> Option<Tick> {
        (!self.under_way && !self.waiting.is_empty()).then_some(self.not_before)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// `ready`, `retrying` or `gone`.
    pub const fn state(&self) -> &'static str {
        match (self.gone, self.failed) {
            (true, _) => "gone",
            (false, 0) => "ready",
            (false, _) => "retrying",
        }
    }

    pub const fn last(&self) -> Option<&Tried> {
        self.last.as_ref()
    }
}

/// What an answer means, and the wait that it asks for.
fn judged(answer: &Answer) -> (Posted, Option<Duration>) {
    match answer {
        Answer::None(_) => (Posted::Failed, None),
        Answer::Status { code, wait } => match code {
            200..=299 => (Posted::Delivered, None),
            410 => (Posted::Gone, None),
            408 | 425 | 429 | 500..=599 => (Posted::Failed, *wait),
            _ => (Posted::Refused, None),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::board::{Item, Occasion};
    use super::*;
    use crate::config::BaseUrl;
    use crate::vocab::{AlertKind, Secret};

    const UNIX: Duration = Duration::from_hours(500_000);

    fn webhook() -> Webhook {
        let host = BaseUrl { https: true, host: "hooks".into(), port: 443, path: String::new() };
        let form = MessageForm::Signed(Secret::new("a-word-of-24-characters."));
        Webhook { name: "ops".into(), host, path: Secret::new("/a"), kinds: AlertKind::ALL.to_vec(), form }
    }

    fn outbox() -> Outbox {
        Outbox::new(webhook(), &Metrics::new())
    }

    fn news() -> Arc<News> {
        let item = Item { subject: "a".into(), text: "b".into(), since: UNIX };
        Arc::new(News { kind: AlertKind::Budget, occasion: Occasion::Begun, items: vec![item] })
    }

    fn put(outbox: &mut Outbox, number: usize) {
        outbox.put(&number.to_string().into(), &news());
    }

    fn status(code: u16) -> Answer {
        Answer::Status { code, wait: None }
    }

    /// Posts the first with one answer after the other; when each try was, in seconds.
    fn tries(outbox: &mut Outbox, answers: &[Answer]) -> Vec<u64> {
        let (mut dice, mut now) = (Dice::seeded(1), Tick::ZERO);
        let mut times = Vec::new();
        for answer in answers {
            let Some(at) = outbox.next() else { break };
            now = now.max(at);
            outbox.take(now, UNIX).expect("it is time");
            times.push(now.since(Tick::ZERO).as_secs());
            outbox.posted(answer.clone(), now, UNIX, &mut dice);
        }
        times
    }

    #[test]
    fn a_message_is_tried_five_times_within_a_quarter_of_an_hour() {
        let mut outbox = outbox();
        put(&mut outbox, 0);
        let times = tries(&mut outbox, &vec![status(503); 9]);
        assert_eq!(times.len(), 5, "{times:?}");
        assert!(times.is_sorted() && *times.last().expect("five") <= 15 * 60, "{times:?}");
        assert_eq!((outbox.waiting(), outbox.state()), (0, "ready"));
        assert_eq!(outbox.last().map(|tried| tried.result), Some(Posted::GivenUp));
    }

    #[test]
    fn the_second_try_says_the_same_with_another_time() {
        let mut outbox = outbox();
        put(&mut outbox, 0);
        let first = outbox.take(Tick::ZERO, UNIX).expect("one");
        assert!(outbox.take(Tick::ZERO, UNIX).is_none(), "one at a time");
        outbox.posted(Answer::None("refused".into()), Tick::ZERO, UNIX, &mut Dice::seeded(1));
        let second = outbox.take(Tick::MAX, UNIX + FIRST_WAIT).expect("again");
        assert_eq!((&first.id, &first.body), (&second.id, &second.body));
        assert_ne!((first.timestamp, first.signature), (second.timestamp, second.signature));
    }

    #[test]
    fn a_receiver_is_left_alone_for_as_long_as_he_asks_but_not_for_ever() {
        let asked = |seconds| Answer::Status { code: 429, wait: Some(Duration::from_secs(seconds)) };
        let mut outbox = outbox();
        put(&mut outbox, 0);
        assert_eq!(tries(&mut outbox, &[asked(600), asked(1_000_000), status(204)])[1..], [600, 4200]);
    }

    #[test]
    fn what_is_not_wanted_is_not_tried_again_and_who_is_gone_gets_nothing() {
        let mut outbox = outbox();
        (0..4).for_each(|number| put(&mut outbox, number));
        assert_eq!(tries(&mut outbox, &[status(400), status(302), status(410), status(200)]).len(), 3);
        assert_eq!((outbox.waiting(), outbox.state()), (0, "gone"));
        put(&mut outbox, 5);
        assert_eq!(outbox.next(), None);
        outbox.reconfigure(webhook());
        put(&mut outbox, 6);
        assert_eq!(tries(&mut outbox, &[status(200)]).len(), 1);
    }

    #[test]
    fn the_oldest_go_where_too_many_wait_but_not_from_under_the_post() {
        let mut outbox = outbox();
        (0..MOST).for_each(|number| put(&mut outbox, number));
        let first = outbox.take(Tick::ZERO, UNIX).expect("one");
        put(&mut outbox, MOST);
        outbox.posted(status(200), Tick::ZERO, UNIX, &mut Dice::seeded(1));
        let second = outbox.take(Tick::ZERO, UNIX).expect("another");
        assert_eq!((&*first.id, &*second.id, outbox.waiting()), ("0", "2", MOST - 1));
    }

    #[test]
    fn a_letter_shows_neither_its_place_nor_its_signature() {
        let mut outbox = outbox();
        put(&mut outbox, 0);
        let letter = outbox.take(Tick::ZERO, UNIX).expect("one");
        let shown = format!("{letter:?}");
        assert!(!shown.contains("v1,") && !shown.contains("/a"), "{shown}");
    }

    proptest! {
        #[test]
        fn whatever_receivers_say_the_queue_has_a_bound_and_every_message_an_end(
            answers in prop::collection::vec((prop_oneof![Just(200_u16), Just(410), Just(404), Just(500), 100..600_u16], 0_usize..20), 1..80),
        ) {
            let mut outbox = outbox();
            let (mut dice, mut now, mut number) = (Dice::seeded(3), Tick::ZERO, 0);
            for (code, more) in answers {
                for _ in 0..more {
                    put(&mut outbox, number);
                    number += 1;
                }
                prop_assert!(outbox.waiting() <= MOST);
                let Some(at) = outbox.next() else { continue };
                now = now.max(at);
                let before = outbox.waiting();
                prop_assert!(outbox.take(now, UNIX).is_some());
                let result = outbox.posted(status(code), now, UNIX, &mut dice);
                let left = match result {
                    Posted::Failed => before,
                    Posted::Gone => 0,
                    Posted::Delivered | Posted::GivenUp | Posted::Refused => before - 1,
                };
                prop_assert_eq!(outbox.waiting(), left);
            }
            prop_assert!(tries(&mut outbox, &vec![status(500); MOST * 5 + 1]).len() <= MOST * 5);
        }
    }
}
