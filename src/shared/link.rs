//! The one connection to Redis or Valkey, and its health.
//!
//! Commands of all users share the connection. Three in a row that nobody answers in time, or a broken
//! transport, end it: from then on nothing is sent until a new connection has answered a PING in time, so a
//! black hole costs nobody anything but the one task that knocks. That task waits 100 ms to 5 s between two
//! tries. Commands are never queued while nobody is there, and never sent twice.
//!
//! A server may be there and not be the one: a primary that was demoted, one that loads its data. By the same
//! name, or behind the same address, another one serves by now or soon, so its connection is given up like a
//! broken one. Those after it are used, and count as good when they have proven to be.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError,
    ServerErrorKind,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::waited::Waited;
use crate::algo::dice::Dice;
use crate::config;
use crate::telemetry::{SharedAnswer, SharedHandles, SharedOperation};

/// For Redis to compile the scripts; it has no other to do for us meanwhile.
const TEACHING: Duration = Duration::from_secs(1);
/// For a name, a connection, its TLS and its greeting, all told: nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Unanswered commands in a row that end a connection.
const SILENCES: u32 = 3;
/// Answers after which a connection counts as a sound one.
const SOUND: u32 = 10;
/// Between two tries to connect: this at first, doubling, and never longer than the other.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Codes of what is refused at the first write of a script, or before it is run, and never later: full memory, a disk
/// that fails, too few replicas, a script that does not end. (Redis's `scriptVerifyOOM` and
/// `scriptVerifyWriteCommandAllow`, the same in Valkey.)
const UNTAKEN: [&str; 4] = ["OOM", "MISCONF", "NOREPLICAS", "BUSY"];
/// What was refused longer ago may be granted by now: some things are asked for once a day.
const RECENT: Duration = Duration::from_mins(1);

/// The connection, or the lack of it.
pub struct Link {
    settings: config::Redis,
    handles: SharedHandles,
    open: Mutex<Option<Open>>,
    /// `None` before the first try has ended.
    standing: Mutex<Option<Standing>>,
    trust: Mutex<Trust>,
    /// Scripts that will be run by their digests.
    scripts: Mutex<Vec<&'static str>>,
    /// What was refused last, by operation, until it is granted: so it is said once, and known meanwhile.
    refusals: Mutex<Vec<Refusal>>,
}

struct Refusal {
    of: SharedOperation,
    why: String,
    /// When it was refused last.
    at: Instant,
}

/// Whether a new connection counts as one at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As soon as it has answered a PING.
    AtOnce,
    /// When it has answered [`SOUND`] commands: the one before had answered, and was of no use.
    Earned,
}

/// A connection that has answered.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    health: Arc<Health>,
}

#[derive(Default)]
struct Health {
    /// In all.
    answers: AtomicU32,
    /// In a row.
    silences: AtomicU32,
    /// Why the server at its other end is not the one that is wanted.
    unfit: OnceLock<&'static str>,
    /// It is of no use any more, and nobody is asked on it.
    is_over: AtomicBool,
    /// Rung then.
    broken: Notify,
}

impl Health {
    fn ends(&self) {
        self.is_over.store(true, Relaxed);
        self.broken.notify_one();
    }
}

/// How it is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Connected,
    /// It answers, and does not do what it is asked: it is full, or a right is missing.
    Refuses {
        why: String,
    },
    Away {
        why: String,
    },
}

/// Why there is no answer. Whoever asked goes on without.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Nobody was asked: there is no connection, or the request has no time left for it.
    #[error("nobody is there")]
    Away,
    #[error("no answer in time")]
    Late,
    #[error("the connection broke")]
    Broken,
    #[error("refused: {0}")]
    Refused(String),
    /// Refused before anything was written: it is full, or takes no writes just now.
    #[error("refused: {0}")]
    Untaken(String),
    #[error("not the server to ask: {0}")]
    Unfit(&'static str),
    /// The script that was asked for by its digest has to be sent whole.
    #[error("the script is not known there")]
    Unread,
}

impl Silence {
    /// Whether it is certain that a script has written nothing. Of one that broke it may be all up to where it did.
    pub fn wrote_nothing(&self) -> bool {
        match self {
            Self::Away | Self::Untaken(_) | Self::Unfit(_) | Self::Unread => true,
            Self::Late | Self::Broken | Self::Refused(_) => false,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits are measured on the clock of tokio's timers, which end them"
)]
fn now() -> Instant {
    Instant::now()
}

impl Link {
    pub fn new(settings: config::Redis, handles: SharedHandles) -> Arc<Self> {
        handles.connected.set(0.0);
        Arc::new(Self {
            settings,
            handles,
            open: Mutex::new(None),
            standing: Mutex::default(),
            trust: Mutex::new(Trust::AtOnce),
            scripts: Mutex::default(),
            refusals: Mutex::default(),
        })
    }

    pub fn settings(&self) -> &config::Redis {
        &self.settings
    }

    pub fn standing(&self) -> Standing {
        let known = self.standing.lock().clone();
        match known {
            None => Standing::Away { why: "the first try has not ended yet".to_owned() },
            Some(Standing::Connected) => {
                match self.refusals.lock().iter().find(|refusal| refusal.at.elapsed() < RECENT) {
                    Some(refusal) => Standing::Refuses { why: refusal.why.clone() },
                    None => Standing::Connected,
                }
            }
            Some(known) => known,
        }
    }

    /// Has Redis know a script from the next connection on.
    pub fn teach(&self, script: &'static str) {
        self.scripts.lock().push(script);
    }

    /// One round trip.
    pub async fn ask<T: FromRedisValue>(
        &self,
        operation: SharedOperation,
        commands: &Pipeline,
    ) -> Result<T, Silence> {
        self.ask_within(operation, commands, &mut Waited::default()).await
    }

    /// The same for a request that has `waited` for other answers already, within what is left of its time.
    pub async fn ask_within<T: FromRedisValue>(
        &self,
        operation: SharedOperation,
        commands: &Pipeline,
        waited: &mut Waited,
    ) -> Result<T, Silence> {
        let Some(limit) = waited.left_of(self.settings.timeout) else { return Err(Silence::Away) };
        let begun = now();
        let result = self.wait(operation, commands, limit).await;
        waited.add(begun.elapsed());
        if result.is_ok() {
            self.refusals.lock().retain(|refusal| refusal.of != operation);
        }
        result
    }

    /// As [`Link::ask`], for what comes before the gist of an operation: that it is answered says nothing of
    /// whether the rest is granted.
    pub async fn begin<T: FromRedisValue>(
        &self,
        operation: SharedOperation,
        commands: &Pipeline,
    ) -> Result<T, Silence> {
        self.wait(operation, commands, self.settings.timeout).await
    }

    async fn wait<T: FromRedisValue>(
        &self,
        operation: SharedOperation,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<T, Silence> {
        let open = self.open.lock().clone();
        // What is put on a connection that ends might have been sent, or not.
        let open = open.filter(|open| !open.health.is_over.load(Relaxed));
        let Some(Open { mut connection, health }) = open else { return Err(Silence::Away) };
        let begun = now();
        let answer = timeout(limit, commands.query_async(&mut connection)).await;
        let (counted, result) = match answer {
            Ok(Ok(value)) => (SharedAnswer::Ok, Ok(value)),
            Ok(Err(error)) => match meaning(&error) {
                Meaning::Refused => (SharedAnswer::Refused, Err(Silence::Refused(error.to_string()))),
                Meaning::Untaken => (SharedAnswer::Refused, Err(Silence::Untaken(error.to_string()))),
                Meaning::Unfit(why) => (SharedAnswer::Refused, Err(Silence::Unfit(why))),
                Meaning::Unread => (SharedAnswer::Ok, Err(Silence::Unread)),
                Meaning::Broken => (SharedAnswer::Failed, Err(Silence::Broken)),
            },
            Err(_) => (SharedAnswer::Timeout, Err(Silence::Late)),
        };
        self.handles.count(operation, counted, begun.elapsed());
        match &result {
            Ok(_) | Err(Silence::Refused(_) | Silence::Untaken(_) | Silence::Unread) => {
                health.silences.store(0, Relaxed);
                if health.answers.fetch_add(1, Relaxed) + 1 == SOUND && health.unfit.get().is_none() {
                    self.proven();
                }
            }
            Err(Silence::Unfit(why)) => {
                // Of several that were asked at the same time the first says it.
                let _ = health.unfit.set(why);
                health.ends();
            }
            Err(Silence::Broken) => health.ends(),
            // A shorter time than anybody is granted says nothing of it.
            Err(Silence::Late) if limit < self.settings.timeout => {}
            Err(Silence::Late) => {
                if health.silences.fetch_add(1, Relaxed) + 1 >= SILENCES {
                    health.ends();
                }
            }
            Err(Silence::Away) => {}
        }
        if let Err(Silence::Refused(why) | Silence::Untaken(why)) = &result {
            self.note_refusal(operation, why);
        }
        result
    }

    /// Keeps a connection, for as long as the process lives. `dial` opens the byte stream, TLS included, or
    /// says why it cannot.
    pub async fn hold<S, F>(self: Arc<Self>, dial: impl Fn() -> F, mut dice: Dice)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = Result<S, String>>,
    {
        let (first, longest) = PAUSE;
        let mut pause = first;
        let introduction = introduction(&self.settings);
        loop {
            let opened = timeout(PATIENCE, async { greet(dial().await?, &introduction).await }).await;
            let why = match opened {
                Ok(Ok((connection, driver))) => {
                    let health = Arc::<Health>::default();
                    let why = self.keep(connection, driver, &health).await;
                    if health.unfit.get().is_some() {
                        *self.trust.lock() = Trust::Earned;
                    }
                    // One that comes and goes is waited for like one that stays away.
                    if health.answers.load(Relaxed) >= SOUND {
                        pause = first;
                    }
                    why
                }
                Ok(Err(why)) => why,
                Err(_) => format!("not connected within {} s", PATIENCE.as_secs()),
            };
            self.away(&why);
            sleep(dice.jitter(pause, 0.5)).await;
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    /// Serves a connection until it ends, and says why it did.
    async fn keep(
        &self,
        connection: MultiplexedConnection,
        driver: impl Future<Output = ()>,
        health: &Arc<Health>,
    ) -> String {
        let limit = self.settings.timeout;
        let used = async {
            let mut asked = connection.clone();
            let ping = redis::cmd("PING");
            match timeout(limit, ping.query_async::<String>(&mut asked)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("a PING was not answered within {} ms", limit.as_millis()),
            }
            self.load_scripts(&mut asked).await;
            self.here(Open { connection, health: Arc::clone(health) });
            health.broken.notified().await;
            if let Some(why) = health.unfit.get() {
                (*why).to_owned()
            } else if health.silences.load(Relaxed) >= SILENCES {
                format!("{SILENCES} commands in a row were not answered within {} ms", limit.as_millis())
            } else {
                "the connection broke".to_owned()
            }
        };
        tokio::select! {
            () = driver => "the connection was closed".to_owned(),
            why = used => why,
        }
    }

    /// Before anybody asks, so that nobody waits for it. Where that is not granted, or takes longer than [`TEACHING`],
    /// scripts are sent whole when they are needed.
    async fn load_scripts(&self, connection: &mut MultiplexedConnection) {
        let mut commands = redis::pipe();
        for script in self.scripts.lock().iter() {
            commands.cmd("SCRIPT").arg("LOAD").arg(script).ignore();
        }
        if !commands.is_empty() {
            let _ = timeout(TEACHING, commands.query_async::<()>(connection)).await;
        }
    }

    /// It can be asked.
    fn here(&self, open: Open) {
        *self.open.lock() = Some(open);
        let trust = *self.trust.lock();
        match trust {
            Trust::AtOnce => self.connected(),
            Trust::Earned => {}
        }
    }

    /// The connection that is open has answered often enough.
    fn proven(&self) {
        let before = std::mem::replace(&mut *self.trust.lock(), Trust::AtOnce);
        if before == Trust::Earned {
            self.connected();
        }
    }

    fn connected(&self) {
        *self.standing.lock() = Some(Standing::Connected);
        self.handles.connected.set(1.0);
        tracing::info!(redis = self.settings.shown(), "connected: replicas share cooldowns and limits");
    }

    /// Said once for each change.
    fn away(&self, why: &str) {
        *self.open.lock() = None;
        self.handles.connected.set(0.0);
        let before = self.standing.lock().replace(Standing::Away { why: why.to_owned() });
        if !matches!(before, Some(Standing::Away { .. })) {
            let redis = self.settings.shown();
            tracing::warn!(redis, why, "not connected: replicas learn, and limit, each for themselves");
        }
    }

    fn note_refusal(&self, operation: SharedOperation, why: &str) {
        let mut refusals = self.refusals.lock();
        if let Some(refusal) = refusals.iter_mut().find(|refusal| refusal.of == operation) {
            refusal.at = now();
        } else {
            refusals.push(Refusal { of: operation, why: why.to_owned(), at: now() });
            let operation = operation.name();
            tracing::warn!(redis = self.settings.shown(), operation, why, "a command was refused");
        }
    }
}

/// Who we are, and which database is meant.
fn introduction(settings: &config::Redis) -> RedisConnectionInfo {
    let config::Redis { database, username, password, .. } = settings;
    let mut info = RedisConnectionInfo::default().set_db(i64::from(*database)).set_skip_set_lib_name();
    if let Some(username) = username {
        info = info.set_username(username);
    }
    if let Some(password) = password {
        info = info.set_password(password.expose());
    }
    info
}

/// The connection, and what has to be polled for it to work.
async fn greet<S>(
    stream: S,
    introduction: &RedisConnectionInfo,
) -> Result<(MultiplexedConnection, impl Future<Output = ()> + use<'_, S>), String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // The time limit is `ask`'s.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let opened = MultiplexedConnection::new_with_config(introduction, stream, config).await;
    opened.map_err(|error| error.to_string())
}

/// What an error says of the connection that it came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The server has answered: the connection is good.
    Refused,
    /// The same, and nothing of it was done.
    Untaken,
    /// The server has answered that it is not the one, or not yet.
    Unfit(&'static str),
    Unread,
    Broken,
}

fn meaning(error: &RedisError) -> Meaning {
    use ServerErrorKind::{BusyLoading, MasterDown, NoScript, ReadOnly};
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Meaning::Broken,
        ErrorKind::Server(ReadOnly) => Meaning::Unfit("it is a replica by now (READONLY)"),
        ErrorKind::Server(BusyLoading) => Meaning::Unfit("it still loads its data (LOADING)"),
        ErrorKind::Server(MasterDown) => {
            Meaning::Unfit("it is a replica that has lost its primary (MASTERDOWN)")
        }
        ErrorKind::Server(NoScript) => Meaning::Unread,
        ErrorKind::Extension if is_untaken(error) => Meaning::Untaken,
        // The library's list, which is open.
        _ => Meaning::Refused,
    }
}

/// Whether it was refused by one of [`UNTAKEN`].
fn is_untaken(error: &RedisError) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|all| all.first().is_some_and(|(_, first)| UNTAKEN.contains(&first.code())))
}

#[cfg(test)]
mod tests;
