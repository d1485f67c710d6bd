//! What callers have spent, as all replicas say it of themselves.
//!
//! A request is held against all of its budgets in one script, which Redis runs as one: it is let in by all of them and
//! reserved, or by none. Each replica says all that it has spent and reserved in a window, under its own name, and what
//! it says with a later turn holds: what is told twice, or never answered, counts once. Its reserves are believed for
//! as long as it is alive, what it has spent for good: of a name that was not heard of for a day it is added to what
//! all those who are gone have spent, so that restarts leave nothing behind that grows. Whoever comes back later takes
//! another name.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::link::{Link, Silence};
use super::tallies::{Script, Words, run};
use super::waited::Waited;
use crate::algo::spend::LARGEST_SHARED;
use crate::telemetry::SharedOperation;

/// A replica that was not heard of for this long is gone, and with it what it has reserved.
const LAPSE: Duration = Duration::from_secs(5);
/// A name that nothing was said under for so long is nobody's any more.
const GONE: Duration = Duration::from_hours(24);
/// What is known of a window is kept for so long after its end, in seconds.
const AFTER: u64 = 3600;
const SPEND: &str = include_str!("spend.lua");

pub struct Purses {
    link: Arc<Link>,
    /// How all keys begin, with the version of what is behind them.
    prefix: String,
    replica: String,
    spend: Script,
}

/// A window, what was spent and is reserved there by this replica, and what a request wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Whose, and which one; the same for all replicas.
    pub key: String,
    /// Which of this replica's: nobody speaks anew under the name of one that was forgotten.
    pub life: u64,
    /// In seconds since the Unix epoch.
    pub ends: Option<u64>,
    pub turn: u64,
    pub own: u64,
    /// The request included.
    pub reserved: u64,
    /// What everybody has spent, as far as this replica knows.
    pub known: u64,
    /// What the request reserves.
    pub amount: u64,
    pub last: Last,
    /// That the request is held against.
    pub limits: SmallVec<[u64; 2]>,
}

/// Whether a request that did not fit is under way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    No,
    UnderWay,
}

/// What came of it. The request is reserved where every limit lets it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// That have said something lately, of whatever window, this one included.
    pub replicas: u32,
    /// In the order of the rows.
    pub purses: Vec<Others>,
}

/// What others have said of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Others {
    pub spent: u64,
    pub reserved: u64,
    /// In the order of the limits.
    pub verdicts: SmallVec<[Verdict; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Nothing,
    Fits,
    /// It does not fit, and something is left.
    Last,
}

impl Purses {
    /// `replica` is nobody else's name.
    pub fn new(link: Arc<Link>, replica: u64) -> Self {
        let prefix = format!("{}:budgets:1", link.settings().prefix);
        Self { prefix, replica: format!("{replica:016x}"), spend: Script::taught(&link, SPEND), link }
    }

    /// How many replicas there are, as far as the configuration says.
    pub fn expected(&self) -> u32 {
        self.link.settings().replicas
    }

    /// Says how things stand here, and reserves a request if all limits let it in. Without windows it says only that
    /// this replica is there.
    ///
    /// # Errors
    /// Nobody has said whether they do.
    pub async fn spend(&self, purses: &[Purse], waited: &mut Waited) -> Result<Weighed, Silence> {
        let keys = purses.iter().map(|purse| format!("{}:{}", self.prefix, purse.key));
        let mut words = Words::new(keys.chain([format!("{}:replicas", self.prefix)]));
        words.add(&self.replica).add(&LAPSE.as_millis()).add(&GONE.as_millis());
        for Purse { life, ends, turn, own, reserved, known, amount, last, limits, .. } in purses {
            let over = ends.map_or(0, |ends| ends.saturating_add(AFTER));
            words.add(&format!("{}.{life}", self.replica));
            words.add(turn).add(own.min(&LARGEST_SHARED)).add(reserved.min(&LARGEST_SHARED)).add(&over);
            words.add(known.min(&LARGEST_SHARED)).add(amount.min(&LARGEST_SHARED));
            words.add(match last {
                Last::No => "0",
                Last::UnderWay => "1",
            });
            words.add(&limits.len());
            for limit in limits {
                words.add(limit.min(&LARGEST_SHARED));
            }
        }
        let answer: Vec<i64> = run(&self.link, SharedOperation::Spend, &self.spend, &words, waited).await?;
        read(&answer, purses).ok_or_else(|| Silence::Refused("an answer of another form".to_owned()))
    }
}

fn read(answer: &[i64], purses: &[Purse]) -> Option<Weighed> {
    let mut numbers = answer.iter().map(|number| u64::try_from(*number).unwrap_or_default());
    let replicas = u32::try_from(numbers.next()?).unwrap_or(u32::MAX);
    let mut others = Vec::with_capacity(purses.len());
    for purse in purses {
        let (spent, reserved) = (numbers.next()?, numbers.next()?);
        let mut verdicts = SmallVec::new();
        for _ in &purse.limits {
            verdicts.push(match numbers.next()? {
                0 => Verdict::Nothing,
                1 => Verdict::Fits,
                _ => Verdict::Last,
            });
        }
        others.push(Others { spent, reserved, verdicts });
    }
    numbers.next().is_none().then_some(Weighed { replicas, purses: others })
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn purse(limits: &[u64]) -> Purse {
        Purse {
            key: "k".to_owned(),
            life: 1,
            ends: None,
            turn: 1,
            own: 0,
            reserved: 0,
            known: 0,
            amount: 0,
            last: Last::No,
            limits: limits.into(),
        }
    }

    #[test]
    fn an_answer_says_of_every_limit_how_it_stands() {
        let purses = [purse(&[5, 6]), purse(&[])];
        let weighed = read(&[3, 10, 20, 1, 2, 30, 0], &purses).expect("two windows");
        assert_eq!(weighed.replicas, 3);
        assert_eq!(
            weighed.purses,
            [
                Others { spent: 10, reserved: 20, verdicts: smallvec![Verdict::Fits, Verdict::Last] },
                Others { spent: 30, reserved: 0, verdicts: smallvec![] },
            ]
        );
        for wrong in [&[][..], &[1], &[3, 10, 20, 1, 2, 30], &[3, 10, 20, 1, 2, 30, 0, 0]] {
            assert_eq!(read(wrong, &purses), None, "{wrong:?}");
        }
    }
}
