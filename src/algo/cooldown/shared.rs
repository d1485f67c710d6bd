//! What replicas tell each other of one credential, so that what one has found out spares the others a
//! request each.
//!
//! Told are the waits that an upstream named, exhausted quotas and refused keys; never a wait that we chose
//! ourselves. What is heard is taken over like one's own experience: the later deadline holds, none comes
//! nearer, and none is longer than this replica would have believed itself. It is spread upwards, so that
//! the first to try again afterwards is one replica and not all of them. How the news travels, and whose
//! clock dates it on the way, is no business of this file.

use std::time::Duration;

use super::{Cooldown, Dice, Kind, Settings, Stage, Tick, Wait};

/// Less than this is neither worth telling nor worth hearing. Wider than what a date may be off by after it
/// went over two clocks and a network, or replicas would lengthen each other's waits by their errors.
const WORTH: Duration = Duration::from_secs(1);
/// Share of what is left, and at most how much of it, by which waits that were heard of are spread.
const SPREAD: f64 = 0.1;
const SPREAD_MAX: Duration = Duration::from_mins(1);
/// Longer runs of throttles or exhausted quotas make no longer waits.
const LEVEL_MAX: u32 = 8;

/// What others with the same credential should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It rests until then, after `level` such troubles in a row. [`Kind::Auth`]: it is refused, and nobody
    /// need ask before then whether it still is.
    Rests { kind: Kind, until: Tick, level: u32 },
    /// It was refused, and since then it has worked.
    Healed { at: Tick },
}

/// What came of hearing something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was known, or it is of no use here, or not yet.
    Nothing,
    /// The credential rests because of it, or for longer.
    Rests(Kind),
    /// A refused key is to be asked about at once.
    Healed,
}

impl Cooldown {
    /// What the others do not know yet.
    pub fn news(&self, now: Tick) -> Option<News> {
        let (kind, until, level) = match self.stage {
            Stage::Ready if self.refusal_known => return Some(News::Healed { at: now }),
            // Nobody has said that it has to rest; the others may well be served.
            Stage::Ready | Stage::Trickle { .. } | Stage::Cooling { wait: Wait::Guess, .. } => return None,
            Stage::Cooling { until, wait: Wait::Short } => (Kind::Short, until, self.throttles),
            Stage::Cooling { until, wait: Wait::Long } => (Kind::Long, until, self.quotas),
            Stage::Disabled { recheck_at, .. } => (Kind::Auth, recheck_at, 0),
        };
        let worth = until > now + WORTH && until > self.known + WORTH;
        worth.then_some(News::Rests { kind, until, level: level.min(LEVEL_MAX) })
    }

    /// They know it now.
    pub fn told(&mut self, news: News) {
        match news {
            News::Rests { kind, until, .. } => {
                self.known = self.known.max(until);
                self.refusal_known |= kind == Kind::Auth;
            }
            News::Healed { .. } => (self.known, self.refusal_known) = (Tick::ZERO, false),
        }
    }

    /// Another replica says so. The same may be said any number of times.
    pub fn hear(&mut self, news: News, now: Tick, dice: &mut Dice) -> Heard {
        match news {
            News::Rests { kind, until, level } => self.hear_of_rest(kind, until, level, now, dice),
            News::Healed { at } => self.hear_of_recovery(at, now),
        }
    }

    fn hear_of_rest(&mut self, kind: Kind, said: Tick, level: u32, now: Tick, dice: &mut Dice) -> Heard {
        let own = match (self.stage, kind) {
            (Stage::Ready | Stage::Trickle { .. }, _) => now,
            (Stage::Cooling { until, .. }, Kind::Short | Kind::Long) => until.max(now),
            (Stage::Cooling { until, .. }, Kind::Auth) if until <= now => now,
            (Stage::Disabled { recheck_at, .. }, Kind::Auth) => recheck_at.max(now),
            // As with one's own: it will be found out after the wait, and who is refused has no quota.
            (Stage::Cooling { .. }, Kind::Auth) | (Stage::Disabled { .. }, Kind::Short | Kind::Long) => {
                return Heard::Nothing;
            }
        };
        let until = said.min(now + self.settings.longest(kind));
        // What was known once is not taken over again: what happened here since is fresher.
        if said <= self.known + WORTH || until <= own + WORTH {
            return Heard::Nothing;
        }
        let spread = until.since(now).mul_f64(SPREAD).min(SPREAD_MAX);
        let until = until + spread.mul_f64(dice.unit());
        self.known = said.max(until);
        self.heard = until;
        let level = level.min(LEVEL_MAX);
        match kind {
            Kind::Short => {
                self.throttles = self.throttles.max(level);
                self.cool(Wait::Short, until);
            }
            Kind::Long => {
                self.quotas = self.quotas.max(level);
                self.cool(Wait::Long, until);
            }
            Kind::Auth => {
                self.before = self.before.max(self.in_flight);
                self.refusal_known = true;
                self.enter(Stage::Disabled { recheck_at: until, since: now });
            }
        }
        Heard::Rests(kind)
    }

    /// Whether it rests because another replica has said that it must. What was found out here since, and
    /// lasts longer, is one's own.
    pub fn rests_on_hearsay(&self, now: Tick) -> bool {
        match self.stage {
            Stage::Cooling { until, .. } => until == self.heard && now < until,
            Stage::Disabled { recheck_at, .. } => recheck_at == self.heard,
            Stage::Ready | Stage::Trickle { .. } => false,
        }
    }

    /// Not believed but asked about, at no cost: the key may have been refused again after that.
    fn hear_of_recovery(&mut self, at: Tick, now: Tick) -> Heard {
        match self.stage {
            Stage::Disabled { recheck_at, since } if since < at && recheck_at > now => {
                self.stage = Stage::Disabled { recheck_at: now, since };
                (self.known, self.refusal_known) = (Tick::ZERO, false);
                Heard::Healed
            }
            Stage::Ready | Stage::Trickle { .. } | Stage::Cooling { .. } | Stage::Disabled { .. } => {
                Heard::Nothing
            }
        }
    }
}

impl Settings {
    /// The longest wait of this kind that can come of our own experience.
    fn longest(&self, kind: Kind) -> Duration {
        let most = match kind {
            Kind::Short => self.max.max(self.short_max),
            Kind::Long => {
                self.long_steps.iter().fold(self.quota_max.max(self.max), |most, step| most.max(*step))
            }
            Kind::Auth => self.recheck,
        };
        most.saturating_add(most.mul_f64(self.jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Change, Readiness, Recheck, Signal, State};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tick(secs: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(secs)
    }

    fn exact() -> Cooldown {
        Cooldown::new(Settings { jitter: 0.0, ..Settings::default() })
    }

    fn hit(cooldown: &mut Cooldown, signal: Signal, now: Tick) {
        if let Ok(lease) = cooldown.admit(now) {
            let _: Option<Change> = cooldown.settle(lease, signal, now, &mut Dice::seeded(1));
        }
    }

    /// All that they have to say to each other, until nobody has anything to say any more; how many rounds.
    fn talk(replicas: &mut [Cooldown], now: Tick, dice: &mut Dice) -> usize {
        for round in 0..100 {
            let mut said = Vec::new();
            for replica in replicas.iter_mut() {
                if let Some(news) = replica.news(now) {
                    replica.told(news);
                    said.push(news);
                }
            }
            if said.is_empty() {
                return round;
            }
            for replica in replicas.iter_mut() {
                for news in &said {
                    replica.hear(*news, now, dice);
                }
            }
        }
        panic!("they never stop talking");
    }

    fn deadline(cooldown: &Cooldown, now: Tick) -> Tick {
        match cooldown.readiness(now) {
            Readiness::Cooling { until, .. } | Readiness::Disabled { recheck_at: until } => until,
            Readiness::Ready | Readiness::Trickle => now,
        }
    }

    #[test]
    fn what_an_upstream_said_is_told_and_what_we_guessed_is_not() {
        let told = |signal| {
            let mut cooldown = exact();
            hit(&mut cooldown, signal, tick(10));
            cooldown.news(tick(10))
        };
        let rests = |kind, until, level| Some(News::Rests { kind, until: tick(until), level });
        let throttled = |secs| Signal::Throttled { retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(told(Signal::Throttled { retry_after: None }), None);
        assert_eq!(told(throttled(20)), rests(Kind::Short, 30, 1));
        assert_eq!(told(throttled(1)), None, "over before anybody has heard of it");
        assert_eq!(told(throttled(600)), rests(Kind::Long, 610, 0));
        assert_eq!(told(Signal::Quota { reset: None }), rests(Kind::Long, 910, 1));
        assert_eq!(told(Signal::Auth), rests(Kind::Auth, 910, 0));
        assert_eq!(told(Signal::Ok), None);
    }

    #[test]
    fn a_wait_is_the_upstreams_word_unless_ours_is_longer() {
        let mut cooldown = exact();
        let asked = Some(Duration::from_secs(2));
        let news = [0, 10, 20].map(|secs| {
            hit(&mut cooldown, Signal::Throttled { retry_after: asked }, tick(secs));
            cooldown.news(tick(secs))
        });
        let rests = |until, level| Some(News::Rests { kind: Kind::Short, until: tick(until), level });
        // We would wait for 1, 2 and 4 seconds.
        assert_eq!(news, [rests(2, 1), rests(12, 2), None]);
    }

    #[test]
    fn a_replica_that_hears_of_a_rest_rests_and_the_next_quota_lasts_longer() {
        let mut cooldown = exact();
        let news = News::Rests { kind: Kind::Long, until: tick(900), level: 1 };
        assert_eq!(cooldown.hear(news, tick(0), &mut Dice::seeded(1)), Heard::Rests(Kind::Long));
        assert!((tick(900)..=tick(960)).contains(&deadline(&cooldown, tick(0))));
        hit(&mut cooldown, Signal::Quota { reset: None }, tick(970));
        assert_eq!(deadline(&cooldown, tick(970)), tick(970 + 3_600), "the second in a row");
    }

    #[test]
    fn a_refused_key_that_works_again_elsewhere_is_asked_about_at_once_and_once() {
        let dice = &mut Dice::seeded(1);
        let (mut one, mut other) = (exact(), exact());
        hit(&mut one, Signal::Auth, tick(0));
        let refused = one.news(tick(0)).expect("worth telling");
        one.told(refused);
        assert_eq!(other.hear(refused, tick(1), dice), Heard::Rests(Kind::Auth));
        // An operator has mended it, and `one` has found that out by itself.
        one.rechecked(Recheck::Accepted, tick(100), dice);
        assert_eq!(one.hear(refused, tick(101), dice), Heard::Nothing, "its own experience is fresher");
        assert_eq!(one.news(tick(101)), None, "not proven yet");
        hit(&mut one, Signal::Ok, tick(102));
        let healed = one.news(tick(103)).expect("worth telling");
        assert_eq!(healed, News::Healed { at: tick(103) });
        one.told(healed);
        assert_eq!(one.news(tick(104)), None);
        assert_eq!(other.hear(healed, tick(104), dice), Heard::Healed);
        assert!(other.wants_recheck(tick(104)));
        other.rechecked(Recheck::Refused, tick(105), dice);
        assert_eq!(other.hear(healed, tick(106), dice), Heard::Nothing, "it was refused after that");
        assert_eq!(
            other.news(tick(106)),
            Some(News::Rests { kind: Kind::Auth, until: tick(1_005), level: 0 })
        );
        assert_eq!(one.hear(healed, tick(106), dice), Heard::Nothing);
    }

    #[test]
    fn a_refused_key_that_is_due_to_be_asked_about_needs_no_news_of_its_recovery() {
        let mut cooldown = exact();
        hit(&mut cooldown, Signal::Auth, tick(0));
        assert!(cooldown.wants_recheck(tick(900)));
        let healed = News::Healed { at: tick(100) };
        assert_eq!(cooldown.hear(healed, tick(900), &mut Dice::seeded(1)), Heard::Nothing);
        assert_eq!(cooldown.hear(healed, tick(899), &mut Dice::seeded(1)), Heard::Healed);
    }

    #[test]
    fn no_replica_can_bench_a_key_for_longer_than_one_would_oneself() {
        for (kind, most) in [(Kind::Short, 3_600), (Kind::Long, 25 * 3_600), (Kind::Auth, 900)] {
            let mut cooldown = exact();
            let news = News::Rests { kind, until: Tick::MAX, level: u32::MAX };
            cooldown.hear(news, tick(0), &mut Dice::seeded(1));
            assert!(deadline(&cooldown, tick(0)) <= tick(most) + SPREAD_MAX, "{kind:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Hit(usize, Signal),
        Recheck(usize, Recheck),
        Wait(u64),
        Talk,
    }

    fn step() -> impl Strategy<Value = Step> {
        let secs = || prop::option::of(0..9_000_u64).prop_map(|secs| secs.map(Duration::from_secs));
        let signal = prop_oneof![
            3 => Just(Signal::Ok),
            2 => secs().prop_map(|retry_after| Signal::Throttled { retry_after }),
            1 => secs().prop_map(|reset| Signal::Quota { reset }),
            1 => Just(Signal::Auth),
            1 => Just(Signal::Neutral),
        ];
        let recheck = prop_oneof![Just(Recheck::Accepted), Just(Recheck::Refused)];
        prop_oneof![
            6 => (0..3_usize, signal).prop_map(|(who, signal)| Step::Hit(who, signal)),
            1 => (0..3_usize, recheck).prop_map(|(who, recheck)| Step::Recheck(who, recheck)),
            2 => (0..2_000_u64).prop_map(Step::Wait),
            3 => Just(Step::Talk),
        ]
    }

    proptest! {
        #[test]
        fn replicas_stop_talking_and_a_deadline_comes_nearer_only_where_a_key_has_healed(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let (mut replicas, mut now, dice) = (vec![Cooldown::new(Settings::default()); 3], tick(1), &mut Dice::seeded(3));
            for step in steps {
                match step {
                    Step::Hit(who, signal) => hit(&mut replicas[who], signal, now),
                    Step::Recheck(who, recheck) => drop(replicas[who].rechecked(recheck, now, dice)),
                    Step::Wait(secs) => now = now + SECOND * u32::try_from(secs).expect("small"),
                    Step::Talk => {
                        let before: Vec<_> = replicas.iter().map(|r| (r.state(), deadline(r, now))).collect();
                        prop_assert!(talk(&mut replicas, now, dice) <= 3);
                        for (replica, (state, until)) in replicas.iter().zip(before) {
                            let nearer = deadline(replica, now) < until;
                            prop_assert!(!nearer || state == State::Cooling(Kind::Auth), "{replica:?}");
                        }
                    }
                }
            }
        }

        #[test]
        fn an_echo_changes_nothing(
            steps in prop::collection::vec((step(), 0..200_u64), 1..40), off in -900..900_i64,
        ) {
            let (mut cooldown, mut now, dice) = (Cooldown::new(Settings::default()), tick(10), &mut Dice::seeded(3));
            let mut said: Vec<News> = Vec::new();
            for (step, pause) in steps {
                if let Step::Hit(_, signal) = step {
                    hit(&mut cooldown, signal, now);
                }
                if let Some(news) = cooldown.news(now) {
                    cooldown.told(news);
                    said.push(news);
                }
                let before = cooldown.clone();
                for news in &said {
                    // The way there and back goes over another clock.
                    let moved = |at: Tick| Tick::from_nanos(at.nanos().saturating_add_signed(off * 1_000_000));
                    let echo = match *news {
                        News::Rests { kind, until, level } => News::Rests { kind, until: moved(until), level },
                        News::Healed { at } => News::Healed { at },
                    };
                    prop_assert_eq!(cooldown.hear(echo, now, dice), Heard::Nothing);
                }
                prop_assert_eq!(&cooldown, &before);
                now = now + Duration::from_secs(pause);
            }
        }
    }
}
