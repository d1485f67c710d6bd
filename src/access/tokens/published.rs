//! What is known of issuers' public keys, over reloads; and when to ask for them again.
//!
//! The last that was heard holds, however long an issuer is away. Who asks is `server::issuers`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::sync::Notify;

use super::Unfit;
use super::jwk::{Found, KeySet, Unreadable};
use super::jws::Token;
use crate::algo::name;
use crate::config::{Algorithm, Issuer, KeysAt};

/// Keys are fetched anew this often.
const REFRESH: Duration = Duration::from_mins(10);
/// And for a token that names one that is not known no oftener than this: anybody can make one up, and a key that was
/// published since has to wait for no longer.
const PAUSE: Duration = Duration::from_secs(10);
/// Keys that are not known and are remembered as asked for; who names another one is told to come again.
const MOST_ASKED: usize = 256;
/// Between tries while an issuer does not answer: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));

/// The keys of one issuer.
pub struct Published {
    pub name: Arc<str>,
    pub iss: Arc<str>,
    pub at: KeysAt,
    /// What is trusted there; the system's roots where nothing is said.
    pub roots: ArcSwapOption<ClientConfig>,
    keys: ArcSwapOption<KeySet>,
    /// How often they were others.
    generation: AtomicU64,
    look: Mutex<Look>,
    bell: Arc<Notify>,
}

/// When its keys were asked for, and with what success. Since the Unix epoch.
#[derive(Debug, Default)]
struct Look {
    /// When they came last.
    heard: Option<Duration>,
    /// When they were last asked for, well or in vain.
    tried: Option<Duration>,
    /// Tries in vain since they came last.
    failures: u32,
    /// A token names one that is not known.
    wanted: bool,
    /// When one last did so that they were asked for.
    wanted_at: Option<Duration>,
    /// By what numbers tokens have named keys that are not known, since the keys were asked for last and before that.
    asked: HashSet<u64>,
    absent: HashSet<u64>,
    /// What came last, to tell whether they are others.
    text: Vec<u8>,
}

impl Published {
    fn new(issuer: &Issuer, bell: &Arc<Notify>) -> Self {
        Self {
            name: Arc::clone(&issuer.name),
            iss: Arc::clone(&issuer.iss),
            at: issuer.keys.clone(),
            roots: ArcSwapOption::empty(),
            keys: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            look: Mutex::default(),
            bell: Arc::clone(bell),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Whether one of the keys that are known made this token's signature. If it may be one that is not known yet, it
    /// will be asked for.
    pub(super) fn verify(&self, token: &Token<'_>, taken: &[Algorithm], now: Duration) -> Result<(), Unfit> {
        let keys = self.keys.load();
        match keys.as_ref().map(|keys| keys.verify(token, taken)) {
            Some(Found::Holds) => Ok(()),
            Some(Found::Fails) => Err(Unfit::Unproven),
            Some(Found::NoKey) | None => {
                let name = token.key_id.as_deref().unwrap_or_default();
                Err(self.want(name::number(name.as_bytes()), now))
            }
        }
    }

    /// What is to be said of a token that names a key of this number, which is not known.
    fn want(&self, key: u64, now: Duration) -> Unfit {
        let mut look = self.look.lock();
        // A clock that was set back says nothing.
        let is_soon =
            look.wanted_at.and_then(|then| now.checked_sub(then)).is_some_and(|since| since < PAUSE);
        let is_settled = look.heard.is_some() && look.failures == 0 && !look.wanted;
        if is_settled && is_soon && look.absent.contains(&key) {
            return Unfit::Unproven;
        }
        if look.asked.len() < MOST_ASKED {
            look.asked.insert(key);
        }
        // It may have been published since they were asked for.
        if !is_settled || is_soon {
            return Unfit::Unknown;
        }
        look.wanted = true;
        look.wanted_at = Some(now);
        self.bell.notify_one();
        Unfit::Unknown
    }

    /// Whether it is time to ask for its keys.
    pub fn is_due(&self, now: Duration) -> bool {
        let look = self.look.lock();
        let Some(tried) = look.tried else { return true };
        let pause = match look.failures {
            0 => REFRESH,
            failures => RETRY.0.saturating_mul(1 << failures.min(6).saturating_sub(1)).min(RETRY.1),
        };
        look.wanted || now.checked_sub(tried).is_none_or(|since| since >= pause)
    }

    /// They came. What cannot be read leaves what was known; a set without keys ends every token.
    pub fn came(&self, text: Vec<u8>, now: Duration) -> Result<(), Unreadable> {
        let read = if self.look.lock().text == text { Ok(None) } else { KeySet::read(&text).map(Some) };
        let read = match read {
            // Nothing is taken back: it has not begun to publish, and is asked again soon.
            Ok(Some(keys)) if keys.is_empty() && self.keys.load().is_none() => Err(Unreadable::NoKey),
            read => read,
        };
        let mut look = self.look.lock();
        look.tried = Some(now);
        look.wanted = false;
        match read {
            Ok(others) => {
                look.absent = std::mem::take(&mut look.asked);
                // Those that were taken back are as well known to be none.
                if let (Some(before), Some(_)) = (self.keys.load().as_ref(), &others) {
                    look.absent.extend(before.names().map(|name| name::number(name.as_bytes())));
                }
                look.heard = Some(now);
                look.failures = 0;
                if let Some(keys) = others {
                    if keys.is_empty() {
                        tracing::warn!(
                            target: "mainstay::access",
                            issuer = &*self.name,
                            "an issuer publishes no key that a signature could be checked with; no token of its is taken"
                        );
                    }
                    look.text = text;
                    self.keys.store(Some(Arc::new(keys)));
                    // Behind the keys: whoever sees this sees them too.
                    self.generation.fetch_add(1, Release);
                }
                Ok(())
            }
            Err(why) => {
                look.failures = look.failures.saturating_add(1);
                Err(why)
            }
        }
    }

    /// They did not come.
    pub fn failed(&self, now: Duration) {
        let mut look = self.look.lock();
        look.tried = Some(now);
        look.wanted = false;
        look.failures = look.failures.saturating_add(1);
    }

    /// Tries in vain since they came last.
    pub fn failures(&self) -> u32 {
        self.look.lock().failures
    }

    /// Whether they were asked for at all.
    pub fn was_asked(&self) -> bool {
        self.look.lock().tried.is_some()
    }

    /// When its keys came last, since the Unix epoch.
    pub fn heard(&self) -> Option<Duration> {
        self.look.lock().heard
    }
}

/// The keys of all issuers.
#[derive(Default)]
pub struct Publishers {
    known: Mutex<Vec<Arc<Published>>>,
    /// Rung when somebody's keys are to be asked for.
    bell: Arc<Notify>,
}

impl Publishers {
    /// The keys of this one, known from before a reload or not yet.
    pub(super) fn of(&self, issuer: &Issuer) -> Arc<Published> {
        let mut known = self.known.lock();
        if let Some(published) = known.iter().find(|published| is(issuer, published)) {
            return Arc::clone(published);
        }
        let published = Arc::new(Published::new(issuer, &self.bell));
        known.push(Arc::clone(&published));
        self.bell.notify_one();
        published
    }

    /// Forgets all but these, and tells what is trusted where they publish.
    pub fn keep<'i>(&self, issuers: &'i [Issuer], roots: impl Fn(&'i Issuer) -> Option<Arc<ClientConfig>>) {
        self.known.lock().retain(|published| {
            let own = issuers.iter().find(|issuer| is(issuer, published));
            if let Some(issuer) = own {
                published.roots.store(roots(issuer));
            }
            own.is_some()
        });
    }

    pub fn all(&self) -> Vec<Arc<Published>> {
        self.known.lock().clone()
    }

    /// Until somebody's keys are to be asked for.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// Whether these are the keys of this one.
fn is(issuer: &Issuer, published: &Published) -> bool {
    issuer.name == published.name && issuer.iss == published.iss && issuer.keys == published.at
}
