//! What goes wrong when, and where: made of a number beforehand, so that a run can be repeated.
//!
//! Time goes in cycles. For [`ROUGH`] two of the three upstreams have faults of every kind, one after
//! another, and the third is sound; for [`MILD`] there are only faults that a stream which has begun does not
//! feel. A stream may be continued twice, by upstreams that have not broken it, and a request makes three attempts, of
//! which two may end with a timeout: so whoever has met two faults finds the sound one, and finds it sound until he is
//! through. Which one is sound changes with every cycle.

use std::time::Duration;

use http::StatusCode;
use mainstay::algo::dice::Dice;
use mainstay::simulated::{Fault, How, InBand, Rule};

const ROUGH: Duration = Duration::from_secs(16);
const MILD: Duration = Duration::from_secs(11);
pub const CYCLE: Duration = Duration::from_secs(ROUGH.as_secs() + MILD.as_secs());

/// Two timeouts, and as much again for a slow machine: for so long the sound one stays so when it gets milder.
const AFTER_TWO: Duration = Duration::from_secs(8);

/// A stream that a fault is to break has said at most so many words by then: half of them.
const BREAKS_BY: u32 = super::WORDS / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL, and a new process in the same place.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Hang,
    Cut,
    Stall,
    InBand,
    RateLimited,
    Overloaded,
    Slow,
}

pub const KINDS: [Kind; 8] = [
    Kind::Kill,
    Kind::Hang,
    Kind::Cut,
    Kind::Stall,
    Kind::InBand,
    Kind::RateLimited,
    Kind::Overloaded,
    Kind::Slow,
];

/// What is over, for a stream, once it has begun.
const MILD_KINDS: [Kind; 3] = [Kind::RateLimited, Kind::Overloaded, Kind::Slow];

/// One fault of one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    pub from: Duration,
    pub until: Duration,
    /// Which of the three.
    pub upstream: usize,
    pub kind: Kind,
    /// What is done to requests meanwhile; none where the process itself is struck.
    pub rule: Option<Rule>,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Hang => "stopped",
            Self::Cut => "cut",
            Self::Stall => "stalled",
            Self::InBand => "error inside a 200",
            Self::RateLimited => "429",
            Self::Overloaded => "529",
            Self::Slow => "slow",
        }
    }

    /// How long it lasts, in milliseconds, at least and at most. One who hangs does so for longer than
    /// anybody waits.
    const fn lasts(self) -> (u64, u64) {
        match self {
            Self::Kill => (300, 1500),
            Self::Hang => (2500, 3500),
            Self::Cut | Self::Stall | Self::InBand | Self::RateLimited | Self::Overloaded | Self::Slow => {
                (1500, 2500)
            }
        }
    }

    fn rule(self, dice: &mut Dice) -> Option<Rule> {
        let after_events = between(dice, 1, u64::from(BREAKS_BY)) as u32;
        let fault = match self {
            Self::Kill | Self::Hang => return None,
            Self::Cut => {
                let how = [How::Rst, How::Fin, How::ChunkedEof, How::CloseDelimited];
                Fault::Cut { after_events, how: how[dice.next_u64() as usize % how.len()] }
            }
            Self::Stall => Fault::Stall { after_events },
            Self::InBand => {
                let errors = [InBand::Overloaded, InBand::ServerError, InBand::RateLimited];
                Fault::InBandError { after_events, error: errors[dice.next_u64() as usize % errors.len()] }
            }
            Self::RateLimited => Fault::RateLimited { retry_after: Some(Duration::from_secs(1)) },
            Self::Overloaded => Fault::status(StatusCode::from_u16(529).expect("a status")),
            Self::Slow => Fault::Slow { ttft: Duration::from_secs(6) },
        };
        Some(Rule::new(fault).share(0.8))
    }
}

/// All that goes wrong within `lasting`, in the order of its begin.
pub fn schedule(seed: u64, lasting: Duration) -> Vec<Episode> {
    let mut dice = Dice::seeded(seed);
    let mut episodes = Vec::new();
    let mut sound = dice.next_u64() as usize % 3;
    let mut begin = Duration::ZERO;
    while begin < lasting {
        let ill = [(sound + 1) % 3, (sound + 2) % 3];
        let (calm, end) = ((begin + ROUGH).min(lasting), (begin + CYCLE).min(lasting));
        lanes(&mut dice, ill.map(|upstream| (upstream, begin)), calm, &KINDS, &mut episodes);
        let still = dice.next_u64() as usize % 2;
        let mild = [(ill[still], calm), (sound, calm + AFTER_TWO)];
        lanes(&mut dice, mild, end, &MILD_KINDS, &mut episodes);
        // The one that was well just now.
        sound = ill[1 - still];
        begin += CYCLE;
    }
    episodes.sort_by_key(|episode| episode.from);
    episodes
}

/// Two upstreams' faults, one after another for each from its begin, every kind before any comes again.
fn lanes(
    dice: &mut Dice,
    upstreams: [(usize, Duration); 2],
    end: Duration,
    kinds: &[Kind],
    episodes: &mut Vec<Episode>,
) {
    let mut deck = Vec::new();
    let mut at = upstreams.map(|(_, begin)| begin);
    loop {
        let lane = usize::from(at[1] < at[0]);
        let from = at[lane] + Duration::from_millis(between(dice, 50, 300));
        if deck.is_empty() {
            deck = shuffled(dice, kinds);
        }
        let Some(kind) = deck.pop() else { return };
        let (least, most) = kind.lasts();
        let until = from + Duration::from_millis(between(dice, least, most));
        let rule = kind.rule(dice);
        if until > end {
            return;
        }
        episodes.push(Episode { from, until, upstream: upstreams[lane].0, kind, rule });
        at[lane] = until;
    }
}

fn shuffled(dice: &mut Dice, kinds: &[Kind]) -> Vec<Kind> {
    let mut deck = kinds.to_vec();
    for last in (1..deck.len()).rev() {
        deck.swap(last, dice.next_u64() as usize % (last + 1));
    }
    deck
}

fn between(dice: &mut Dice, least: u64, most: u64) -> u64 {
    least + dice.next_u64() % (most - least + 1)
}

#[test]
fn a_schedule_repeats_from_its_seed_and_leaves_streams_a_way_through() {
    for seed in 0..200 {
        let lasting = CYCLE * 4;
        let episodes = schedule(seed, lasting);
        assert_eq!(episodes, schedule(seed, lasting));
        assert_ne!(episodes, schedule(seed + 1, lasting));
        for episode in &episodes {
            let meets = |other: &&Episode| other.from < episode.until && episode.from < other.until;
            let at_once: Vec<usize> = episodes.iter().filter(meets).map(|other| other.upstream).collect();
            let ill = (0..3).filter(|upstream| at_once.contains(upstream)).count();
            assert!(ill <= 2, "seed {seed}: {episode:?}");
            let own = episodes.iter().filter(meets).filter(|other| other.upstream == episode.upstream);
            assert_eq!(own.count(), 1, "seed {seed}: one thing at a time: {episode:?}");
            assert!(episode.until <= lasting && episode.from < episode.until);
        }
        for cycle in 0..4 {
            let begin = CYCLE * cycle;
            let of = |kind: Kind, end: Duration| {
                let within = move |episode: &&Episode| (begin..end).contains(&episode.from);
                episodes.iter().filter(within).filter(move |episode| episode.kind == kind)
            };
            for kind in KINDS {
                assert!(of(kind, begin + ROUGH).count() > 0, "seed {seed}: {} in every cycle", kind.name());
                let breaks = !MILD_KINDS.contains(&kind);
                let late = of(kind, begin + CYCLE).filter(|episode| episode.until > begin + ROUGH);
                assert!(!breaks || late.count() == 0, "seed {seed}: {} while it is mild", kind.name());
            }
            let begun = |from: Duration, until: Duration, upstream: usize| {
                let within = |it: &&Episode| it.from < until && it.until > from && it.upstream == upstream;
                episodes.iter().filter(within).count() > 0
            };
            let before = begin.saturating_sub(MILD);
            let sound = (0..3).filter(|upstream| !begun(before, begin + ROUGH + AFTER_TWO, *upstream));
            assert!(sound.count() > 0, "seed {seed}: one is sound, from before it gets rough until after");
        }
    }
}
