//! What fires now, and what is to be told of it.
//!
//! Whatever begins or ends waits for [`GROUPING`], so that what happens together is told together, and what is over
//! before anybody was told is not told at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::algo::tick::Tick;
use crate::vocab::{Alert, AlertKind, AlertState};

/// From the first to the message.
const GROUPING: Duration = Duration::from_secs(10);
/// What still fires is told again.
pub const REMINDER: Duration = Duration::from_hours(4);
/// Most of a kind that fire at once.
const MOST: usize = 1024;
/// The same of those that callers bring about, of whom there may be any number.
const MOST_OF_CALLERS: usize = 512;
/// Of what was, for people.
const PAST: usize = 100;
/// Longest subject or text that is kept, in characters.
const LONGEST: usize = 1000;

/// Why there is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    Begun,
    Reminder,
    Over,
    /// Somebody wants to see one.
    Test,
}

/// One thing that a message tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub subject: Box<str>,
    pub text: Box<str>,
    /// Unix time of its beginning.
    pub since: Duration,
}

/// What a message tells: things of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub kind: AlertKind,
    pub occasion: Occasion,
    /// One or more.
    pub items: Vec<Item>,
}

/// Something that began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: AlertKind,
    pub state: AlertState,
    pub subject: Box<str>,
    pub text: Box<str>,
    /// Unix time.
    pub at: Duration,
}

/// When somebody was told, if anybody was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    No,
    At(Tick),
}

#[derive(Clone, Debug)]
struct Fire {
    text: Box<str>,
    since: Duration,
    told: Told,
}

type Subject = (AlertKind, Box<str>);

#[derive(Debug, Default)]
pub struct Board {
    fires: BTreeMap<Subject, Fire>,
    /// Over, and nobody knows yet; with when they were told of.
    over: BTreeMap<Subject, (Item, Tick)>,
    /// When what waits is told.
    due: BTreeMap<(AlertKind, Occasion), Tick>,
    past: VecDeque<Event>,
}

/// There is no room for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Board {
    pub fn hear(&mut self, alert: Alert, now: Tick, unix: Duration) -> Result<(), Full> {
        let Alert { kind, subject, text, state } = alert;
        let (subject, text) = (cut(&subject), cut(&text));
        let key = (kind, subject.clone());
        let event = Event { kind, state, subject: subject.clone(), text: text.clone(), at: unix };
        match state {
            AlertState::Firing => {
                if let Some(fire) = self.fires.get_mut(&key) {
                    fire.text = text;
                    return Ok(());
                }
                if self.count(kind) >= most(kind) {
                    return Err(Full);
                }
                // Whoever was told of it and not yet that it is over needs to know nothing.
                let fire = match self.over.remove(&key) {
                    Some((item, told)) => Fire { text, since: item.since, told: Told::At(told) },
                    None => Fire { text, since: unix, told: Told::No },
                };
                if fire.told == Told::No {
                    self.due.entry((kind, Occasion::Begun)).or_insert(now + GROUPING);
                }
                self.fires.insert(key, fire);
            }
            AlertState::Resolved => {
                let Some(fire) = self.fires.remove(&key) else { return Ok(()) };
                if let Told::At(told) = fire.told {
                    self.due.entry((kind, Occasion::Over)).or_insert(now + GROUPING);
                    self.over.insert(key, (Item { subject, text, since: fire.since }, told));
                }
            }
        }
        if self.past.len() == PAST {
            self.past.pop_front();
        }
        self.past.push_back(event);
        Ok(())
    }

    /// What is to be told now.
    pub fn ready(&mut self, now: Tick) -> Vec<News> {
        let mut all = Vec::new();
        let due = self.due.extract_if(.., |_, at| *at <= now);
        for (kind, occasion) in due.map(|(what, _)| what).collect::<Vec<_>>() {
            let items: Vec<Item> = match occasion {
                Occasion::Begun => self.tell(kind, now, |told| told == Told::No),
                Occasion::Reminder => {
                    self.tell(kind, now, |told| matches!(told, Told::At(at) if now.since(at) >= REMINDER))
                }
                Occasion::Over => {
                    let over = self.over.extract_if(.., |(of, _), _| *of == kind);
                    over.map(|(_, (item, _))| item).collect()
                }
                Occasion::Test => Vec::new(),
            };
            if !items.is_empty() {
                all.push(News { kind, occasion, items });
            }
            self.remind(kind);
        }
        all
    }

    /// Those of a kind that are to be told of, which they are then.
    fn tell(&mut self, kind: AlertKind, now: Tick, wants: impl Fn(Told) -> bool) -> Vec<Item> {
        let of_kind = self.fires.iter_mut().filter(|((of, _), fire)| *of == kind && wants(fire.told));
        let told = of_kind.map(|((_, subject), fire)| {
            fire.told = Told::At(now);
            Item { subject: subject.clone(), text: fire.text.clone(), since: fire.since }
        });
        told.collect()
    }

    fn remind(&mut self, kind: AlertKind) {
        let told =
            self.fires.iter().filter(|((of, _), _)| *of == kind).filter_map(|(_, fire)| match fire.told {
                Told::At(at) => Some(at),
                Told::No => None,
            });
        match told.min() {
            Some(first) => self.due.insert((kind, Occasion::Reminder), first + REMINDER),
            None => self.due.remove(&(kind, Occasion::Reminder)),
        };
    }

    /// When there may be something to tell.
    pub fn next(&self) -> Option<Tick> {
        self.due.values().min().copied()
    }

    pub fn count(&self, kind: AlertKind) -> usize {
        self.fires.keys().filter(|(of, _)| *of == kind).count()
    }

    pub fn firing(&self) -> impl Iterator<Item = (AlertKind, Item)> {
        self.fires.iter().map(|((kind, subject), fire)| {
            (*kind, Item { subject: subject.clone(), text: fire.text.clone(), since: fire.since })
        })
    }

    /// The latest first.
    pub fn past(&self) -> impl Iterator<Item = &Event> {
        self.past.iter().rev()
    }
}

/// No kind takes the room of another one.
const fn most(kind: AlertKind) -> usize {
    match kind {
        AlertKind::Budget | AlertKind::SpendSpike => MOST_OF_CALLERS,
        AlertKind::ErrorSpike | AlertKind::ChannelDown | AlertKind::CredentialDead | AlertKind::StoreAway => {
            MOST
        }
    }
}

fn cut(text: &str) -> Box<str> {
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(seconds)
    }

    fn alert(subject: &str, state: AlertState) -> Alert {
        Alert { kind: AlertKind::ChannelDown, subject: subject.into(), text: format!("{subject}!"), state }
    }

    impl Board {
        fn at(&mut self, second: u64, subject: &str, state: AlertState) {
            self.hear(alert(subject, state), at(second), Duration::from_secs(second)).expect("room");
        }
    }

    fn subjects(news: &[News]) -> Vec<(Occasion, Vec<&str>)> {
        news.iter()
            .map(|news| (news.occasion, news.items.iter().map(|item| &*item.subject).collect()))
            .collect()
    }

    #[test]
    fn what_begins_together_is_one_message_and_so_is_its_end() {
        let mut board = Board::default();
        for (second, subject) in [(0, "b"), (1, "a"), (1, "a"), (9, "c")] {
            board.at(second, subject, AlertState::Firing);
        }
        assert_eq!((board.next(), board.ready(at(9))), (Some(at(10)), Vec::new()));
        assert_eq!(subjects(&board.ready(at(10))), [(Occasion::Begun, vec!["a", "b", "c"])]);
        board.at(20, "a", AlertState::Firing);
        assert_eq!(board.ready(at(40)), []);
        board.at(50, "c", AlertState::Resolved);
        board.at(55, "b", AlertState::Resolved);
        assert_eq!(subjects(&board.ready(at(60))), [(Occasion::Over, vec!["b", "c"])]);
        assert_eq!((board.count(AlertKind::ChannelDown), board.past().count()), (1, 5));
    }

    #[test]
    fn what_is_over_or_back_before_anybody_hears_of_it_is_no_message() {
        let mut board = Board::default();
        board.at(0, "a", AlertState::Firing);
        board.at(5, "a", AlertState::Resolved);
        assert_eq!(board.ready(at(60)), []);
        board.at(70, "a", AlertState::Firing);
        assert_eq!(board.ready(at(80)).len(), 1);
        board.at(90, "a", AlertState::Resolved);
        board.at(95, "a", AlertState::Firing);
        assert_eq!(board.ready(at(200)), []);
        assert_eq!(
            board.firing().next().map(|(_, item)| item.since),
            Some(Duration::from_secs(70)),
            "one that goes on"
        );
        board.at(300, "nobody", AlertState::Resolved);
        assert_eq!(board.ready(at(400)), []);
    }

    #[test]
    fn what_goes_on_is_told_again_after_four_hours() {
        let mut board = Board::default();
        board.at(0, "a", AlertState::Firing);
        board.ready(at(10));
        let four = 4 * 3600;
        assert_eq!(board.next(), Some(at(10 + four)));
        assert_eq!(board.ready(at(9 + four)), []);
        assert_eq!(subjects(&board.ready(at(10 + four))), [(Occasion::Reminder, vec!["a"])]);
        assert_eq!(subjects(&board.ready(at(10 + 2 * four))), [(Occasion::Reminder, vec!["a"])]);
        board.at(10 + 2 * four, "a", AlertState::Resolved);
        assert_eq!(subjects(&board.ready(at(60 + 3 * four))), [(Occasion::Over, vec!["a"])]);
        assert_eq!(board.next(), None);
    }

    #[test]
    fn there_is_a_bound_for_everything() {
        let mut board = Board::default();
        for number in 0..MOST {
            board.at(0, &number.to_string(), AlertState::Firing);
        }
        assert_eq!(board.hear(alert("more", AlertState::Firing), at(0), Duration::ZERO), Err(Full));
        assert_eq!(board.past().count(), PAST);
        for kind in AlertKind::ALL.into_iter().filter(|kind| *kind != AlertKind::ChannelDown) {
            let alert = Alert { kind, ..alert("one", AlertState::Firing) };
            assert_eq!(board.hear(alert, at(0), Duration::ZERO), Ok(()), "{kind:?} has room of its own");
        }
        let mut board = Board::default();
        let spent = |number: usize| Alert {
            kind: AlertKind::Budget,
            ..alert(&number.to_string(), AlertState::Firing)
        };
        for number in 0..MOST_OF_CALLERS {
            board.hear(spent(number), at(0), Duration::ZERO).expect("room");
        }
        assert_eq!(board.hear(spent(MOST_OF_CALLERS), at(0), Duration::ZERO), Err(Full));
        let mut board = Board::default();
        board.at(0, &"ä".repeat(5000), AlertState::Firing);
        assert_eq!(board.firing().next().map(|(_, item)| item.subject.chars().count()), Some(LONGEST));
    }

    proptest! {
        /// Whoever believes the messages knows what fires, once nothing waits.
        #[test]
        fn messages_say_the_truth_and_nothing_twice(
            steps in prop::collection::vec((0_u64..30, 0_usize..4, any::<bool>()), 1..120),
        ) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let (mut board, mut second) = (Board::default(), 0);
            let (mut truth, mut believed) = (BTreeSet::new(), BTreeSet::new());
            let believe = |believed: &mut BTreeSet<String>, all: Vec<News>| {
                for News { occasion, items, .. } in all {
                    for item in items {
                        let is_news = match occasion {
                            Occasion::Begun => believed.insert(item.subject.to_string()),
                            Occasion::Over => believed.remove(&*item.subject),
                            Occasion::Reminder | Occasion::Test => false,
                        };
                        assert!(is_news, "{occasion:?} {}", item.subject);
                    }
                }
            };
            for (gap, name, fires) in steps {
                second += gap;
                believe(&mut believed, board.ready(at(second)));
                let state = if fires { AlertState::Firing } else { AlertState::Resolved };
                board.at(second, NAMES[name], state);
                if fires { truth.insert(NAMES[name].to_owned()) } else { truth.remove(NAMES[name]) };
            }
            believe(&mut believed, board.ready(at(second + 10)));
            prop_assert_eq!(believed, truth);
        }
    }
}
