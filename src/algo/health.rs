//! Active health: what background probes say, when to send the next one, and how their word is weighed
//! against the breaker's (RESILIENCE 4.6). Nothing here sends a probe.

mod kept;

use std::time::Duration;

pub use self::kept::Kept;
use super::breaker::Admissible;
use super::dice::Dice;
use super::ring::Counts;
use super::tick::Tick;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Between probes of an upstream that is up.
    pub interval: Duration,
    /// Between probes while a change is in the air.
    pub fast_interval: Duration,
    /// After the first probe of an upstream that is down; grows by `down_factor` to `down_max`.
    pub down_interval: Duration,
    pub down_factor: f64,
    pub down_max: Duration,
    /// For one probe.
    pub timeout: Duration,
    /// Passes in a row that bring an upstream up; 0 is taken as 1.
    pub rise: u32,
    /// Failures in a row that bring it down; 0 is taken as 1.
    pub fall: u32,
    /// 0.2 is ±20 %.
    pub jitter: f64,
    /// Between probes of an upstream that is up and that nobody uses.
    pub no_traffic_interval: Duration,
    /// Leave out probes of an upstream that answers its callers.
    pub suppress_when_traffic: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            fast_interval: Duration::from_secs(2),
            down_interval: Duration::from_secs(5),
            down_factor: 1.5,
            // RESILIENCE §4.6 says 60 s; measured, a pause that has grown so far is most of the time to recovery, and
            // a probe every ten seconds is nothing to an upstream that is down.
            down_max: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            // HAProxy's rise and fall.
            rise: 2,
            fall: 3,
            jitter: 0.2,
            // Envoy's default.
            no_traffic_interval: Duration::from_mins(1),
            suppress_when_traffic: true,
        }
    }
}

/// What one probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No probe has said anything yet, or not often enough.
    Unknown,
    Up,
    Down,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What callers did with the upstream since the last probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    None,
    /// Some, without a success.
    Failing,
    /// At least one success.
    Succeeding,
}

/// The active health of one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    settings: Settings,
    stage: Stage,
    /// When the state last changed.
    since: Tick,
}

/// The state, with the results in a row that speak against it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Unknown { fails: u32 },
    Up { fails: u32 },
    Down { passes: u32, probes: u32 },
}

impl Health {
    pub const fn new(settings: Settings) -> Self {
        Self { settings, stage: Stage::Unknown { fails: 0 }, since: Tick::ZERO }
    }

    pub const fn state(&self) -> State {
        match self.stage {
            Stage::Unknown { .. } => State::Unknown,
            Stage::Up { .. } => State::Up,
            Stage::Down { .. } => State::Down,
        }
    }

    /// When the state last changed.
    pub const fn since(&self) -> Tick {
        self.since
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// New numbers; what the probes said stays.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes in a probe's verdict; the change of state, if any. The first pass ever brings an upstream
    /// up at once, as nothing spoke against it.
    pub fn record(&mut self, verdict: Verdict, now: Tick) -> Option<(State, State)> {
        let from = self.state();
        let (rise, fall) = (self.settings.rise.max(1), self.settings.fall.max(1));
        self.stage = match (self.stage, verdict) {
            (Stage::Unknown { .. } | Stage::Up { .. }, Verdict::Pass) => Stage::Up { fails: 0 },
            (Stage::Unknown { fails } | Stage::Up { fails }, Verdict::Fail) if fails + 1 >= fall => {
                Stage::Down { passes: 0, probes: 0 }
            }
            (Stage::Unknown { fails }, Verdict::Fail) => Stage::Unknown { fails: fails + 1 },
            (Stage::Up { fails }, Verdict::Fail) => Stage::Up { fails: fails + 1 },
            (Stage::Down { passes, .. }, Verdict::Pass) if passes + 1 >= rise => Stage::Up { fails: 0 },
            (Stage::Down { passes, probes }, Verdict::Pass) => Stage::Down { passes: passes + 1, probes },
            (Stage::Down { probes, .. }, Verdict::Fail) => {
                Stage::Down { passes: 0, probes: probes.saturating_add(1) }
            }
        };
        let to = self.state();
        (from != to).then(|| {
            self.since = now;
            (from, to)
        })
    }

    /// How long to wait before the next probe.
    pub fn next_gap(&self, traffic: Traffic, dice: &mut Dice) -> Duration {
        dice.jitter(self.interval(traffic), self.settings.jitter)
    }

    /// Before the first probe: spread over one interval, so that a start or a reload is no volley.
    pub fn initial_gap(&self, dice: &mut Dice) -> Duration {
        dice.jitter(self.settings.interval / 2, 1.0)
    }

    /// Whether callers already prove what the next probe would ask.
    pub const fn is_suppressed(&self, traffic: Traffic) -> bool {
        match (self.stage, traffic) {
            (Stage::Up { fails: 0 }, Traffic::Succeeding) => self.settings.suppress_when_traffic,
            (Stage::Unknown { .. } | Stage::Up { .. } | Stage::Down { .. }, _) => false,
        }
    }

    /// The gap before jitter.
    fn interval(&self, traffic: Traffic) -> Duration {
        let settings = &self.settings;
        match (self.stage, traffic) {
            (Stage::Up { fails: 0 }, Traffic::None) => settings.no_traffic_interval,
            (Stage::Up { fails: 0 }, Traffic::Failing | Traffic::Succeeding) => settings.interval,
            (Stage::Down { passes: 0, probes }, _) => {
                let power = i32::try_from(probes).unwrap_or(i32::MAX);
                let wanted = settings.down_interval.as_secs_f64() * settings.down_factor.powi(power);
                Duration::try_from_secs_f64(wanted)
                    .map_or(settings.down_max, |gap| gap.min(settings.down_max))
            }
            (Stage::Unknown { .. } | Stage::Up { .. } | Stage::Down { .. }, _) => settings.fast_interval,
        }
    }
}

/// Successes in the fast window that outweigh probes which say down (S23: a wrong health path).
const VETO_SUCCESSES: u32 = 20;
/// And the share of bad calls it must stay below.
const VETO_BAD_RATE: f64 = 0.1;

/// What probes and breaker together allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Eligible,
    /// Probes say down, callers prove otherwise: worth a warning.
    EligibleByVeto,
    TrialOnly,
    Ineligible(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Probes say down.
    Down,
    /// The breaker refuses; `until` as far as it is known.
    Refused { until: Option<Tick> },
}

/// The lattice of RESILIENCE 4.6. Probes alone never make eligible what the breaker refuses.
pub fn combine(health: State, breaker: Admissible, fast: Counts) -> Standing {
    match (health, breaker) {
        (State::Up | State::Unknown, Admissible::Normal) => Standing::Eligible,
        (State::Up | State::Unknown, Admissible::Trial) => Standing::TrialOnly,
        (State::Up | State::Unknown, Admissible::Refused { until }) => {
            Standing::Ineligible(Why::Refused { until })
        }
        (State::Down, Admissible::Normal)
            if fast.good() >= VETO_SUCCESSES && fast.bad_rate() < VETO_BAD_RATE =>
        {
            Standing::EligibleByVeto
        }
        (State::Down, Admissible::Normal | Admissible::Trial | Admissible::Refused { .. }) => {
            Standing::Ineligible(Why::Down)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(script: &str, expected: &str) {
        let mut health = Health::new(Settings::default());
        let said: Vec<&str> = script
            .chars()
            .map(|probe| {
                let verdict = if probe == '+' { Verdict::Pass } else { Verdict::Fail };
                health.record(verdict, Tick::ZERO);
                health.state().name()
            })
            .collect();
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn one_pass_brings_it_up_at_first_and_rise_of_them_later() {
        check("+---+-++", "up up up down down down down up");
        check("---++", "unknown unknown down down up");
        check("--+--+---", "unknown unknown up up up up up up down");
    }

    proptest! {
        #[test]
        fn p_h01_02_a_flip_needs_exactly_as_many_results_in_a_row(results in prop::collection::vec(any::<bool>(), 1..80)) {
            let mut health = Health::new(Settings::default());
            prop_assert_eq!(health.state(), State::Unknown);
            let mut row = (true, 0);
            for pass in results {
                row = (pass, if row.0 == pass { row.1 + 1 } else { 1 });
                let from = health.state();
                let change = health.record(if pass { Verdict::Pass } else { Verdict::Fail }, Tick::ZERO);
                let to = match (from, row) {
                    (State::Unknown, (true, _)) | (State::Down, (true, 2..)) => State::Up,
                    (State::Unknown | State::Up, (false, 3..)) => State::Down,
                    (same, _) => same,
                };
                prop_assert_eq!(health.state(), to);
                prop_assert_eq!(change, (from != to).then_some((from, to)));
            }
        }

        #[test]
        fn p_h03_gaps_stay_within_their_jitter(
            results in prop::collection::vec(any::<bool>(), 0..200), seed in any::<u64>(), jitter in 0.0..1.0_f64,
        ) {
            let (mut health, mut dice) =
                (Health::new(Settings { jitter, ..Settings::default() }), Dice::seeded(seed));
            prop_assert!(health.initial_gap(&mut dice) < Duration::from_secs(10));
            for pass in results {
                health.record(if pass { Verdict::Pass } else { Verdict::Fail }, Tick::ZERO);
                let interval = health.interval(Traffic::Succeeding).as_secs_f64();
                prop_assert!((2.0..=60.0).contains(&interval));
                let gap = health.next_gap(Traffic::Succeeding, &mut dice).as_secs_f64();
                prop_assert!(gap >= interval * (1.0 - jitter) - 1e-6 && gap <= interval * (1.0 + jitter) + 1e-6);
            }
        }
    }

    #[test]
    fn the_gap_follows_state_and_traffic() {
        let mut health = Health::new(Settings::default());
        let gap = |health: &Health, traffic| health.interval(traffic).as_secs_f64();
        assert_eq!(gap(&health, Traffic::None), 2.0, "nothing is known");
        health.record(Verdict::Pass, Tick::ZERO);
        assert_eq!((gap(&health, Traffic::Failing), gap(&health, Traffic::None)), (10.0, 60.0));
        health.record(Verdict::Fail, Tick::ZERO);
        assert_eq!(gap(&health, Traffic::None), 2.0, "a change is in the air");
        let mut downs = vec![];
        for _ in 0..8 {
            health.record(Verdict::Fail, Tick::ZERO);
            downs.push(gap(&health, Traffic::Failing).round());
        }
        assert_eq!(downs, [2.0, 5.0, 8.0, 10.0, 10.0, 10.0, 10.0, 10.0]);
        health.record(Verdict::Pass, Tick::ZERO);
        assert_eq!(gap(&health, Traffic::Failing), 2.0);
    }

    #[test]
    fn first_probes_are_spread_over_one_interval() {
        let (health, mut dice) = (Health::new(Settings::default()), Dice::seeded(1));
        let gaps: Vec<Duration> = (0..1_000).map(|_| health.initial_gap(&mut dice)).collect();
        for second in 0..10 {
            let within = gaps.iter().filter(|gap| gap.as_secs() == second).count();
            assert!((60..140).contains(&within), "{within} in second {second}");
        }
    }

    #[test]
    fn new_numbers_hold_at_once_and_what_probes_said_stays() {
        let mut health = Health::new(Settings::default());
        health.record(Verdict::Pass, Tick::ZERO);
        health.record(Verdict::Fail, Tick::ZERO);
        health.reconfigure(Settings { fall: 2, ..Settings::default() });
        assert_eq!(health.settings().fall, 2);
        assert_eq!(health.record(Verdict::Fail, Tick::ZERO), Some((State::Up, State::Down)));
    }

    #[test]
    fn only_an_upstream_that_is_up_and_answers_callers_is_spared_its_probe() {
        let mut health = Health::new(Settings::default());
        assert!(!health.is_suppressed(Traffic::Succeeding));
        health.record(Verdict::Pass, Tick::ZERO);
        assert!(health.is_suppressed(Traffic::Succeeding) && !health.is_suppressed(Traffic::Failing));
        health.record(Verdict::Fail, Tick::ZERO);
        assert!(!health.is_suppressed(Traffic::Succeeding));
    }

    #[test]
    fn the_lattice() {
        let refused = Admissible::Refused { until: Some(Tick::MAX) };
        let no = Standing::Ineligible;
        let (none, until) = (Counts::default(), Some(Tick::MAX));
        for state in [State::Up, State::Unknown] {
            assert_eq!(combine(state, Admissible::Normal, none), Standing::Eligible);
            assert_eq!(combine(state, Admissible::Trial, none), Standing::TrialOnly);
            assert_eq!(combine(state, refused, none), no(Why::Refused { until }));
        }
        let well = Counts { ok: 20, fail: 2, ..none };
        assert_eq!(combine(State::Down, Admissible::Normal, well), Standing::EligibleByVeto);
        for (breaker, fast) in [
            (Admissible::Normal, Counts { ok: 19, ..none }),
            (Admissible::Normal, Counts { ok: 27, fail: 3, ..none }),
            (Admissible::Trial, well),
            (refused, well),
        ] {
            assert_eq!(combine(State::Down, breaker, fast), no(Why::Down));
        }
    }
}
