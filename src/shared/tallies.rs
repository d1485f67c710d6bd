//! What callers have used of their limits, counted for all replicas together.
//!
//! A request is held against all of its limits in one script, which Redis runs as one: it is granted by all of them and
//! counted, or by none and nothing is. The clock is Redis's own. Windows are those of `algo::limit`: a hash of slots,
//! with their sum. How many requests run is said by each replica of itself, and believed for as long as it is alive.
//!
//! No amount is sent twice: what got no answer in time may have been counted or not, and stays as it is. How many
//! requests run is said until it is heard, for it means the same however often it is said.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use redis::{FromRedisValue, Pipeline};

use super::link::{Link, Silence};
use super::waited::Waited;
use crate::algo::limit::SLOTS;
use crate::telemetry::SharedOperation;

/// A replica that was not heard of for this long is gone, and with it what runs there.
const LAPSE: Duration = Duration::from_secs(5);
/// How long what was counted outlasts the last replica: longer than any limit's length.
const AGE: Duration = Duration::from_hours(26);

const TAKE: &str = include_str!("take.lua");
const TELL: &str = include_str!("tell.lua");
const BEAT: &str = include_str!("beat.lua");

pub struct Tallies {
    link: Arc<Link>,
    /// How all keys begin, with the version of what is behind them.
    prefix: String,
    replica: String,
    take: Script,
    tell: Script,
    beat: Script,
}

/// One limit that a request is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose limit of what, the same for all replicas.
    pub key: String,
    pub limit: u64,
    pub takes: Takes,
}

/// What is held against a limit, or put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// So much, which counts for so long.
    Amount { amount: u64, length: Duration },
    /// So many run here, this one included; what is said with a later turn holds.
    Running { count: u32, turn: u64 },
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The request included, where it is granted.
    pub used: u64,
    pub wait: Wait,
}

/// For how long a limit would have the request wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Nothing,
    /// Until another one ends.
    Freed,
    For(Duration),
    Forever,
}

/// What came of a request. It is granted where no row has it wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Microseconds of Redis's own clock.
    pub now: u64,
    /// In the order of the rows.
    pub rows: Vec<Stand>,
}

/// Something to be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    pub what: Correction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// What was used at some time (microseconds of Redis's own clock) was more than counted, or less.
    Amount { at: u64, more: i64, length: Duration },
    /// So many run here.
    Running { count: u32, turn: u64 },
}

/// What a sign of life is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Microseconds of Redis's own clock.
    pub now: u64,
    /// This one included.
    pub replicas: u32,
    /// Another one than before means that all that was counted is gone.
    pub age: String,
}

impl Tallies {
    /// `replica` is nobody else's name.
    pub fn new(link: Arc<Link>, replica: u64) -> Self {
        let prefix = format!("{}:limits:1", link.settings().prefix);
        let [take, tell, beat] = [TAKE, TELL, BEAT].map(|text| Script::taught(&link, text));
        Self { link, prefix, replica: format!("{replica:016x}"), take, tell, beat }
    }

    /// How many replicas there are, as far as the configuration says.
    pub fn expected(&self) -> u32 {
        self.link.settings().replicas
    }

    /// Counts a request, if all `rows` grant it. `None`: another `age` has begun.
    ///
    /// # Errors
    /// Nobody has said whether they do.
    pub async fn take(&self, age: &str, rows: &[Row], waited: &mut Waited) -> Result<Option<Taken>, Silence> {
        let keys = rows.iter().map(|row| self.key(&row.key)).chain([self.replicas(), self.age()]);
        let mut words = Words::new(keys);
        words.add(&self.replica).add(&LAPSE.as_millis()).add(age);
        for Row { limit, takes, .. } in rows {
            match takes {
                Takes::Amount { amount, length } => {
                    words.add("w").add(limit).add(amount).add(&width(*length));
                }
                Takes::Running { count, turn } => {
                    words.add("r").add(limit).add(count).add(turn);
                }
            }
        }
        let answer: Vec<i64> = run(&self.link, SharedOperation::Take, &self.take, &words, waited).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        let taken = Taken::read(&answer, rows.len());
        taken.map(Some).ok_or_else(|| Silence::Refused("an answer of another form".to_owned()))
    }

    /// Puts right what was counted, unless another `age` has begun.
    ///
    /// # Errors
    /// It was not done, or not all of it: [`Silence::wrote_nothing`] tells. What is said of requests that run may be
    /// said again in any case.
    pub async fn tell(&self, age: &str, changes: &[Change]) -> Result<(), Silence> {
        let mut words = Words::new(changes.iter().map(|change| self.key(&change.key)).chain([self.age()]));
        words.add(&self.replica).add(age);
        for Change { what, .. } in changes {
            match what {
                Correction::Amount { at, more, length } => {
                    words.add("w").add(at).add(more).add(&width(*length));
                }
                Correction::Running { count, turn } => {
                    words.add("r").add(&0).add(count).add(turn);
                }
            }
        }
        self.run::<i64>(SharedOperation::Tell, &self.tell, &words).await.map(drop)
    }

    /// Says that this replica is there.
    ///
    /// # Errors
    /// Nobody has heard it.
    pub async fn beat(&self, word: u64) -> Result<Beat, Silence> {
        let mut words = Words::new([self.replicas(), self.age()]);
        words.add(&self.replica).add(&LAPSE.as_millis()).add(&format!("{word:016x}")).add(&AGE.as_millis());
        let (now, replicas, age) = self.run(SharedOperation::Beat, &self.beat, &words).await?;
        Ok(Beat { now, replicas, age })
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    fn replicas(&self) -> String {
        self.key("replicas")
    }

    fn age(&self) -> String {
        self.key("age")
    }

    async fn run<T: FromRedisValue>(
        &self,
        operation: SharedOperation,
        script: &Script,
        words: &Words,
    ) -> Result<T, Silence> {
        run(&self.link, operation, script, words, &mut Waited::default()).await
    }
}

/// Has Redis run a script.
pub(super) async fn run<T: FromRedisValue>(
    link: &Link,
    operation: SharedOperation,
    script: &Script,
    words: &Words,
    waited: &mut Waited,
) -> Result<T, Silence> {
    let known = link.ask_within(operation, &words.put("EVALSHA", &script.digest), waited).await;
    match known {
        // Whoever made Redis forget its scripts has not made it forget the connection on which it was taught them.
        Err(Silence::Unread) => link.ask_within(operation, &words.put("EVAL", script.text), waited).await,
        answer => answer,
    }
    .map(|(answer,)| answer)
}

pub(super) struct Script {
    text: &'static str,
    /// By which Redis knows it.
    digest: String,
}

impl Script {
    /// Redis learns it with every connection, so that no request has to bring it along.
    pub(super) fn taught(link: &Link, text: &'static str) -> Self {
        link.teach(text);
        Self::new(text)
    }

    fn new(text: &'static str) -> Self {
        let mut digest = String::new();
        for byte in digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref() {
            // Writing to a text cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { text, digest }
    }
}

/// What a script is given.
pub(super) struct Words {
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl Words {
    pub(super) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self { keys: keys.into_iter().collect(), arguments: Vec::new() }
    }

    pub(super) fn add(&mut self, word: &(impl ToString + ?Sized)) -> &mut Self {
        self.arguments.push(word.to_string());
        self
    }

    fn put(&self, command: &str, script: &str) -> Pipeline {
        let mut commands = redis::pipe();
        commands.cmd(command).arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        commands
    }
}

impl Taken {
    fn read(answer: &[i64], rows: usize) -> Option<Self> {
        let (now, stands) = answer.split_first().filter(|(_, stands)| stands.len() == rows * 2)?;
        let stands = stands.chunks_exact(2).map(|stand| {
            let [used, wait] = <[i64; 2]>::try_from(stand).ok()?;
            let wait = match wait {
                0 => Wait::Nothing,
                -1 => Wait::Freed,
                wait => {
                    u64::try_from(wait).map_or(Wait::Forever, |wait| Wait::For(Duration::from_micros(wait)))
                }
            };
            Some(Stand { used: u64::try_from(used).unwrap_or_default(), wait })
        });
        let rows = stands.collect::<Option<_>>()?;
        Some(Self { now: u64::try_from(*now).unwrap_or_default(), rows })
    }

    pub fn is_granted(&self) -> bool {
        self.rows.iter().all(|row| row.wait == Wait::Nothing)
    }
}

/// Microseconds of a slot.
fn width(length: Duration) -> u64 {
    (u64::try_from(length.as_micros()).unwrap_or(u64::MAX) / SLOTS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_count_in_the_slots_of_the_algorithm() {
        for script in [TAKE, TELL] {
            assert!(script.contains(&format!("\nlocal SLOTS = {SLOTS}\n")), "{script}");
        }
        assert_eq!(width(Duration::from_mins(1)), 500_000);
    }

    #[test]
    fn an_answer_says_of_every_row_how_it_stands() {
        let taken = Taken::read(&[7, 3, 0, 9, 1_500_000, 1, -1, 5, -2], 4).expect("four rows");
        let waits = [Wait::Nothing, Wait::For(Duration::from_millis(1500)), Wait::Freed, Wait::Forever];
        assert_eq!(taken.rows.iter().map(|row| row.wait).collect::<Vec<_>>(), waits);
        assert_eq!((taken.now, taken.rows[1].used, taken.is_granted()), (7, 9, false));
        for wrong in [&[][..], &[7], &[7, 1], &[7, 1, 0, 2]] {
            assert_eq!(Taken::read(wrong, 1), None, "{wrong:?}");
        }
        assert!(Taken::read(&[7, 1, 0], 1).expect("one row").is_granted());
    }

    #[test]
    fn redis_knows_a_script_by_its_sha1() {
        assert_eq!(Script::new("return 1").digest, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
