//! What one process leaves to the next: health, breakers, cooldowns, quotas, latencies.
//!
//! The clock of the next process goes on where this one's would be by then ([`Clock::resume`]), so that a
//! pause is nothing but time without requests, and every rule about time holds by itself. What is found
//! again is found by names and fingerprints; a secret is in none of it. Whether a file is fit to be
//! believed is judged here; who reads and writes it is `server::keeper`'s business.
//!
//! [`Clock::resume`]: super::Clock::resume

mod fit;
mod forms;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

pub use fit::{Encoded, LeftOut};
pub use forms::{Breaker, Cooldown, Health, Model, Override, Quota, Upstream};

use super::registry::Transport;
use super::table::{Table, quota_cell};
use crate::algo::cooldown;
use crate::algo::tick::Tick;

/// The version of the file's form.
const VERSION: u32 = 1;
/// A file older than this says nothing that could be relied on.
pub const OLDEST: Duration = Duration::from_hours(1);
/// Latencies and probes' words older than this are as good as unknown.
const RECENT: Duration = Duration::from_mins(15);
/// Largest file.
pub const MOST_BYTES: usize = 16 << 20;
/// How every file begins, of whatever version.
pub const BEGIN: &str = "{\"mainstay_state\":";

/// As many bytes of a file as tell its version.
pub const BEGIN_BYTES: usize = BEGIN.len() + 10;

/// The version of a file that begins so, where it is newer than this program's.
pub fn newer(begin: &[u8]) -> Option<u32> {
    let rest = std::str::from_utf8(begin.strip_prefix(BEGIN.as_bytes())?).ok()?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|version| *version > VERSION)
}

/// All of it, at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memoir {
    /// Nanoseconds since the Unix epoch.
    pub saved: u64,
    /// The same moment on the clock of that process.
    tick: u64,
    upstreams: Vec<Upstream>,
    /// Where files and batches are, as the proxy has it, the oldest first. Believed however old the file is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<[u64; 4]>,
    /// What operators have said of upstreams. Believed however old the file is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<Override>,
}

/// What of a file does not grow old.
#[derive(Debug, Default, PartialEq)]
pub struct Lasting {
    /// Where files and batches are.
    pub left: Vec<[u64; 4]>,
    /// What operators have said.
    pub overrides: Vec<Override>,
}

impl Lasting {
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && self.overrides.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    mainstay_state: u32,
    /// SHA-256 of `body`, byte for byte.
    sha256: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Why a file is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is no state file of Mainstay's, or only part of one")]
    Foreign,
    #[error("it has version {0}, this program writes {VERSION}")]
    Version(u32),
    #[error("its checksum is wrong: it was changed or cut short")]
    Checksum,
    #[error("it is from the future: the clock has been set back")]
    Future,
    #[error("it is {} minutes old, and an hour is the most", .0.as_secs() / 60)]
    Old(Duration),
    #[error("it is larger than {MOST_BYTES} bytes")]
    Large,
}

impl Memoir {
    /// What is known now; `unix` is the time since the epoch.
    pub fn of(table: &Table, unix: Duration) -> Self {
        let now = table.live.now();
        let upstreams = table.upstreams.iter().map(|upstream| {
            let settings = &upstream.config;
            let keys = settings.credentials.iter().zip(&upstream.credentials);
            let mut cells = Vec::new();
            let mut add = |key: String, kept: Option<cooldown::Kept>| {
                if let Some(kept) = kept.filter(|_| cells.iter().all(|(known, _)| *known != key)) {
                    cells.push((key, Cooldown::from(&kept)));
                }
            };
            for (configured, key) in keys {
                add(configured.fingerprint.clone(), key.own.keep());
                if let Some(group) = &configured.quota_group {
                    add(quota_cell(group), key.quota.keep());
                }
            }
            let transport = Transport::of(settings).fingerprint(settings);
            Upstream { transport, cells, ..upstream.memory.keep(now) }
        });
        Self {
            saved: nanos(unix),
            tick: now.nanos(),
            upstreams: upstreams.collect(),
            left: Vec::new(),
            overrides: table.live.overrides.keep(now),
        }
    }

    /// Whether it says anything else than `other`, but for the time.
    pub fn differs(&self, other: &Self) -> bool {
        let told = |upstream: &Upstream| {
            let mut told = upstream.clone();
            if let Some(health) = &mut told.health {
                health.asked = 0;
            }
            told
        };
        self.left != other.left
            || self.overrides != other.overrides
            || self.upstreams.len() != other.upstreams.len()
            || self.upstreams.iter().zip(&other.upstreams).any(|(ours, theirs)| told(ours) != told(theirs))
    }

    /// The file's text, without what there is no room for in a file of [`MOST_BYTES`].
    pub fn encode(&self) -> Result<Encoded, String> {
        fit::encode(self, MOST_BYTES)
    }

    /// All of it.
    fn text(&self) -> Result<String, String> {
        let body = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let raw = RawValue::from_string(body).map_err(|error| error.to_string())?;
        let envelope = Envelope { mainstay_state: VERSION, sha256: sha256(raw.get()), body: &raw };
        serde_json::to_string(&envelope).map_err(|error| error.to_string())
    }

    /// What a file of this text says, if it may be believed at this time since the epoch.
    pub fn decode(text: &str, unix: Duration) -> Result<Self, Unfit> {
        let memoir = Self::read(text)?;
        let age = nanos(unix).checked_sub(memoir.saved).map(Duration::from_nanos).ok_or(Unfit::Future)?;
        if age > OLDEST { Err(Unfit::Old(age)) } else { Ok(memoir) }
    }

    /// What a file says that does not grow old.
    pub fn lasting(text: &str) -> Lasting {
        let read = Self::read(text).ok();
        read.map(|Self { left, overrides, .. }| Lasting { left, overrides }).unwrap_or_default()
    }

    fn read(text: &str) -> Result<Self, Unfit> {
        #[derive(Deserialize)]
        struct Versioned {
            mainstay_state: u32,
        }
        if text.len() > MOST_BYTES {
            return Err(Unfit::Large);
        }
        let Versioned { mainstay_state: version } = serde_json::from_str(text).map_err(|_| Unfit::Foreign)?;
        if version != VERSION {
            return Err(Unfit::Version(version));
        }
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| Unfit::Foreign)?;
        if envelope.sha256 != sha256(envelope.body.get()) {
            return Err(Unfit::Checksum);
        }
        serde_json::from_str(envelope.body.get()).map_err(|_| Unfit::Foreign)
    }

    /// Where the clock of the process that wrote it would be at this time since the epoch.
    pub fn resumes_at(&self, unix: Duration) -> Tick {
        Tick::from_nanos(self.tick) + Duration::from_nanos(nanos(unix).saturating_sub(self.saved))
    }
}

/// Whether what was known at `at` is still worth something.
pub(super) fn is_recent(at: u64, now: Tick) -> bool {
    now.since(Tick::from_nanos(at)) <= RECENT
}

/// How what stands for a name that somebody made up begins.
pub(super) const HASHED: &str = "sha256:";

/// Stands for a name that somebody made up.
pub(super) fn hashed(name: &str) -> String {
    format!("{HASHED}{}", hash12(name))
}

/// First 12 hex digits of the SHA-256.
pub(super) fn hash12(text: &str) -> String {
    let mut hash = sha256(text);
    hash.truncate(12);
    hash
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A memoir, by the names that the first table asks for.
#[derive(Default)]
pub(super) struct Recall {
    upstreams: HashMap<String, Upstream>,
    cells: HashMap<(String, String), Cooldown>,
}

impl Recall {
    pub(super) fn of(memoir: Memoir) -> Self {
        let mut recall = Self::default();
        for mut upstream in memoir.upstreams {
            for (key, cell) in std::mem::take(&mut upstream.cells) {
                recall.cells.insert((upstream.name.clone(), key), cell);
            }
            recall.upstreams.insert(upstream.name.clone(), upstream);
        }
        recall
    }

    /// What is known of an upstream of this transport.
    pub(super) fn upstream(&mut self, name: &str, transport: &str) -> Option<Upstream> {
        self.upstreams.remove(name).filter(|kept| kept.transport == transport)
    }

    pub(super) fn cell(&mut self, upstream: &Arc<str>, key: &str) -> Option<cooldown::Kept> {
        let cell = self.cells.remove(&(upstream.to_string(), key.to_owned()))?;
        Some((&cell).into())
    }
}
