//! Hears of everything, keeps the board, and fills the outboxes. Shared by the task that posts and by the console.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use super::board::{Board, Full, Item, News, Occasion};
use super::outbox::{Answer, Letter, Outbox};
use crate::algo::tick::Tick;
use crate::config;
use crate::state::Live;
use crate::telemetry::{AlertHandles, Posted};
use crate::vocab::{Alert, AlertKind};

pub struct Herald {
    live: Arc<Live>,
    handles: AlertHandles,
    desk: Mutex<Desk>,
    woken: Notify,
}

struct Desk {
    board: Board,
    outboxes: Vec<Outbox>,
    /// Of the configuration that they are of.
    revision: String,
}

/// How everything stands, for people.
#[derive(Debug, Serialize)]
pub struct Standing {
    pub firing: Vec<FiringNow>,
    pub webhooks: Vec<WebhookNow>,
    /// The latest first.
    pub history: Vec<Happened>,
}

#[derive(Debug, Serialize)]
pub struct FiringNow {
    pub kind: &'static str,
    pub subject: Box<str>,
    pub text: Box<str>,
    /// Unix time.
    pub since: f64,
}

#[derive(Debug, Serialize)]
pub struct Happened {
    pub at: f64,
    pub kind: &'static str,
    pub state: &'static str,
    pub subject: Box<str>,
    pub text: Box<str>,
}

#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
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
        let desk = Desk { board: Board::default(), outboxes: Vec::new(), revision: String::new() };
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

    /// What is to be posted now; whoever takes it says what came of it.
    pub fn letters(&self) -> Vec<Letter> {
        let (now, unix) = self.now();
        let mut desk = self.desk.lock();
        let news = desk.board.ready(now);
        for news in news {
            self.put(&mut desk, news, unix, None);
        }
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
        let sent = self.put(&mut self.desk.lock(), news, unix, only);
        self.woken.notify_one();
        sent
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

    fn put(&self, desk: &mut Desk, news: News, unix: Duration, only: Option<&str>) -> Vec<String> {
        let mut dice = self.live.dice();
        // Its like is never seen again, whoever restarts or has replicas.
        let id: Arc<str> =
            format!("msg_{:016x}{:016x}{:016x}", unix.as_nanos(), dice.next_u64(), dice.next_u64()).into();
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
