//! Hears of everything, keeps the board, and fills the outboxes. Shared by the task that posts and by the console.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::board::{Board, Full, Item, News, Occasion, REMINDER};
use super::outbox::{Answer, Letter, Outbox};
use crate::algo::tick::Tick;
use crate::config;
use crate::state::Live;
use crate::telemetry::{AlertHandles, Posted};
use crate::vocab::{Alert, AlertKind};

/// Messages that are remembered, so that two of them are never called the same.
const MOST_TOLD: usize = 256;
/// What replicas notice within the same of these is the same to them.
const MOMENT: u64 = 60;

pub struct Herald {
    live: Arc<Live>,
    handles: AlertHandles,
    desk: Mutex<Desk>,
    woken: Notify,
}

struct Desk {
    board: Board,
    outboxes: Vec<Outbox>,
    /// What the latest messages told, by its hash.
    told: VecDeque<u128>,
    /// Of the configuration that they are of.
    revision: String,
}

/// How everything stands, for people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Standing {
    pub firing: Vec<FiringNow>,
    pub webhooks: Vec<WebhookNow>,
    /// The latest first.
    pub history: Vec<Happened>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct FiringNow {
    pub kind: &'static str,
    pub subject: Box<str>,
    pub text: Box<str>,
    /// Unix time.
    pub since: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Happened {
    pub at: f64,
    pub kind: &'static str,
    pub state: &'static str,
    pub subject: Box<str>,
    pub text: Box<str>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookNow {
    pub name: Box<str>,
    /// Whoever knows more of its address can write there.
    pub host: Box<str>,
    pub format: &'static str,
    pub kinds: Vec<&'static str>,
    pub state: &'static str,
    /// Messages.
    pub waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_in_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<TriedNow>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TriedNow {
    pub at: f64,
    pub result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Herald {
    pub fn new(live: &Arc<Live>) -> Arc<Self> {
        let desk = Desk {
            board: Board::default(),
            outboxes: Vec::new(),
            told: VecDeque::new(),
            revision: String::new(),
        };
        let handles = AlertHandles::new(&live.metrics);
        let herald = Self { live: Arc::clone(live), handles, desk: Mutex::new(desk), woken: Notify::new() };
        herald.show(&herald.desk.lock().board);
        Arc::new(herald)
    }

    /// Another configuration is in force. What waits for webhooks that are still there goes on waiting.
    pub fn follow(&self, webhooks: &[config::Webhook], revision: &str) {
        let mut desk = self.desk.lock();
        if desk.revision == revision {
            return;
        }
        revision.clone_into(&mut desk.revision);
        let mut before = std::mem::take(&mut desk.outboxes);
        let mut outbox = |webhook: &config::Webhook| {
            let known = before.iter().position(|outbox| outbox.webhook().name == webhook.name);
            match known.map(|at| before.swap_remove(at)) {
                Some(mut outbox) => {
                    outbox.reconfigure(webhook.clone());
                    outbox
                }
                None => Outbox::new(webhook.clone(), &self.live.metrics),
            }
        };
        desk.outboxes = webhooks.iter().map(&mut outbox).collect();
        drop(desk);
        self.woken.notify_one();
    }

    pub fn hear(&self, alert: Alert) {
        let (now, unix) = self.now();
        let lost = self.live.alerts.dropped();
        let mut desk = self.desk.lock();
        let heard = desk.board.hear(alert, now, unix);
        self.handles.overflow.increment(lost + u64::from(heard == Err(Full)));
        self.show(&desk.board);
    }

    /// What is to be told now, as far as anybody wants to hear it. Whoever takes it has it told.
    pub fn news(&self) -> Vec<News> {
        let mut desk = self.desk.lock();
        let mut news = desk.board.ready(self.live.now());
        news.retain(|news| desk.outboxes.iter().any(|outbox| outbox.webhook().kinds.contains(&news.kind)));
        news
    }

    /// Puts this into the outboxes of all who want to hear it.
    pub fn tell(&self, news: News) {
        if !news.items.is_empty() {
            let (_, unix) = self.now();
            Self::put(&mut self.desk.lock(), news, unix, None);
        }
    }

    /// What is to be posted now; whoever takes it says what came of it.
    pub fn letters(&self) -> Vec<Letter> {
        let (now, unix) = self.now();
        let mut desk = self.desk.lock();
        desk.outboxes.iter_mut().filter_map(|outbox| outbox.take(now, unix)).collect()
    }

    pub fn posted(&self, letter: &Letter, answer: Answer) {
        let (now, unix) = self.now();
        let webhook = &letter.webhook.name;
        let mut desk = self.desk.lock();
        // It may have been taken out of the configuration meanwhile.
        let mut named = desk.outboxes.iter_mut().filter(|outbox| outbox.webhook().name == *webhook);
        let Some(outbox) = named.find(|outbox| outbox.is_posting(&letter.id)) else { return };
        let said = match &answer {
            Answer::Status { code, .. } => format!("it answered {code}"),
            Answer::None(why) => why.clone(),
        };
        let result = outbox.posted(answer, now, unix, &mut self.live.dice());
        drop(desk);
        let (webhook, message, result) = (&**webhook, &*letter.id, (result, result.name()));
        match result {
            (Posted::Delivered, _) => tracing::debug!(webhook, message, "alert delivered"),
            (Posted::Failed, _) => {
                tracing::warn!(webhook, message, said, "alert not delivered; it is tried again");
            }
            (Posted::GivenUp | Posted::Refused | Posted::Gone, result) => {
                tracing::error!(webhook, message, said, result, "alert not delivered");
            }
        }
    }

    /// When there may be something to post.
    pub fn next(&self) -> Option<Tick> {
        let desk = self.desk.lock();
        desk.outboxes.iter().filter_map(Outbox::next).chain(desk.board.next()).min()
    }

    /// Something may be there to post that nobody could foresee.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Sends a message to the webhook of this name, or to all, that says so; who gets it.
    pub fn test(&self, only: Option<&str>) -> Vec<String> {
        let (_, unix) = self.now();
        let text = "This is a test: somebody has asked for it at the admin side. Nothing is wrong.";
        let item = Item { subject: "test".into(), text: text.into(), since: unix };
        let news = News { kind: AlertKind::ChannelDown, occasion: Occasion::Test, items: vec![item] };
        let sent = Self::put(&mut self.desk.lock(), news, unix, only);
        self.woken.notify_one();
        sent
    }

    /// How many alerts fire.
    pub fn firing(&self) -> usize {
        let desk = self.desk.lock();
        AlertKind::ALL.into_iter().map(|kind| desk.board.count(kind)).sum()
    }

    pub fn standing(&self) -> Standing {
        let (now, _) = self.now();
        let desk = self.desk.lock();
        let firing = desk.board.firing().map(|(kind, item)| FiringNow {
            kind: kind.name(),
            subject: item.subject,
            text: item.text,
            since: item.since.as_secs_f64(),
        });
        let history = desk.board.past().map(|event| Happened {
            at: event.at.as_secs_f64(),
            kind: event.kind.name(),
            state: event.state.name(),
            subject: event.subject.clone(),
            text: event.text.clone(),
        });
        Standing {
            firing: firing.collect(),
            webhooks: desk.outboxes.iter().map(|outbox| of_webhook(outbox, now)).collect(),
            history: history.collect(),
        }
    }

    fn put(desk: &mut Desk, news: News, unix: Duration, only: Option<&str>) -> Vec<String> {
        let id = name(&mut desk.told, &news, unix);
        let news = Arc::new(news);
        let wants = |webhook: &config::Webhook| match (news.occasion, only) {
            (Occasion::Test, Some(name)) => *webhook.name == *name,
            (Occasion::Test, None) => true,
            (Occasion::Begun | Occasion::Reminder | Occasion::Over, _) => webhook.kinds.contains(&news.kind),
        };
        let mut told = Vec::new();
        for outbox in desk.outboxes.iter_mut().filter(|outbox| wants(outbox.webhook())) {
            outbox.put(&id, &news);
            told.push(outbox.webhook().name.to_string());
        }
        told
    }

    fn show(&self, board: &Board) {
        for kind in AlertKind::ALL {
            self.handles.firing(kind, board.count(kind));
        }
    }

    fn now(&self) -> (Tick, Duration) {
        (self.live.now(), self.live.clock.unix_now())
    }
}

/// What a message is called: the same by every replica that tells the same, so that receivers hear it once. Whatever else
/// is told of the same subjects, be it a moment later, is called something else.
fn name(told: &mut VecDeque<u128>, news: &News, unix: Duration) -> Arc<str> {
    let mut hash = Sha256::new().chain_update(news.kind.name()).chain_update([news.occasion as u8]);
    for Item { subject, since, .. } in &news.items {
        // When it is for the first, the second, the third time, told again.
        let turn = match news.occasion {
            Occasion::Begun | Occasion::Over => 0,
            Occasion::Reminder => unix.saturating_sub(*since).as_secs() / REMINDER.as_secs(),
            Occasion::Test => unix.as_nanos() as u64,
        };
        hash.update((subject.len() as u64).to_be_bytes());
        hash.update(&**subject);
        hash.update((since.as_secs() / MOMENT).to_be_bytes());
        hash.update(turn.to_be_bytes());
    }
    let hash = hash.finalize().iter().take(16).fold(0_u128, |all, byte| (all << 8) | u128::from(*byte));
    let before = told.iter().filter(|other| **other == hash).count();
    if told.len() == MOST_TOLD {
        told.pop_front();
    }
    told.push_back(hash);
    if before == 0 { format!("msg_{hash:032x}") } else { format!("msg_{hash:032x}-{before}") }.into()
}

fn of_webhook(outbox: &Outbox, now: Tick) -> WebhookNow {
    let webhook = outbox.webhook();
    WebhookNow {
        name: (*webhook.name).into(),
        host: (*webhook.host.host).into(),
        format: webhook.form.name(),
        kinds: webhook.kinds.iter().map(|kind| kind.name()).collect(),
        state: outbox.state(),
        waiting: outbox.waiting(),
        next_try_in_seconds: outbox.next().map(|at| at.since(now).as_secs_f64()),
        last: outbox.last().map(|tried| {
            let (status, why) = match &tried.answer {
                Answer::Status { code, .. } => (Some(*code), None),
                Answer::None(why) => (None, Some(why.clone())),
            };
            TriedNow { at: tried.at.as_secs_f64(), result: tried.result.name(), status, why }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Duration = Duration::from_hours(500_000);

    fn news(occasion: Occasion, subjects: &[&str], since: Duration) -> News {
        let item = |subject: &&str| Item { subject: (*subject).into(), text: "it is so".into(), since };
        News { kind: AlertKind::ChannelDown, occasion, items: subjects.iter().map(item).collect() }
    }

    #[test]
    fn replicas_that_tell_the_same_call_it_the_same_and_nothing_else_is_called_so() {
        let second = Duration::from_secs(1);
        let hour = Duration::from_hours(1);
        let (mut one, mut other) = (VecDeque::new(), VecDeque::new());
        let mut names = Vec::new();
        let mut both = |occasion, subjects: &[&str], since, unix: Duration| {
            let first = name(&mut one, &news(occasion, subjects, since), unix);
            // It has noticed a little later, and words it another way.
            let mut same = news(occasion, subjects, since + second * 3);
            same.items.iter_mut().for_each(|item| item.text = "so it is".into());
            assert_eq!(first, name(&mut other, &same, unix + second * 4));
            assert!(
                first.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{first}"
            );
            names.push(first);
        };
        both(Occasion::Begun, &["a"], BEGUN, BEGUN + second * 10);
        both(Occasion::Over, &["a"], BEGUN, BEGUN + second * 20);
        // It wavers: the same again within the minute, twice.
        both(Occasion::Begun, &["a"], BEGUN + second * 30, BEGUN + second * 40);
        both(Occasion::Begun, &["a"], BEGUN + second * 50, BEGUN + second * 59);
        both(Occasion::Begun, &["b"], BEGUN, BEGUN + second * 10);
        both(Occasion::Begun, &["a", "b"], BEGUN, BEGUN + second * 10);
        both(Occasion::Begun, &["ab"], BEGUN, BEGUN + second * 10);
        for turn in 1..4 {
            both(Occasion::Reminder, &["a"], BEGUN, BEGUN + REMINDER * turn + second * 10);
        }
        both(Occasion::Begun, &["a"], BEGUN + hour, BEGUN + hour + second * 10);
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut told = VecDeque::new();
        for minute in 0..1000 {
            let since = BEGUN + Duration::from_mins(minute);
            assert_eq!(name(&mut told, &news(Occasion::Begun, &["a"], since), since).len(), 36);
        }
        assert_eq!(told.len(), MOST_TOLD);
    }
}
