//! Conditions of one kind, by what they are about.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::algo::alarm::lasting::Patience;
use crate::algo::alarm::{Lasting, Turn};
use crate::algo::tick::Tick;
use crate::state::alerts::Alerts;
use crate::vocab::{Alert, AlertKind, AlertState};

/// What was found of one subject.
#[derive(Clone, Debug)]
pub struct Found {
    pub subject: Box<str>,
    pub is: Is,
    pub patience: Patience,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    Well,
    /// Neither well nor amiss: as it was, so it stays.
    Unsure,
    /// And this is what people should read.
    Amiss(String),
}

/// No patience, one way or the other.
pub const AT_ONCE: Duration = Duration::ZERO;

#[derive(Debug)]
pub struct Conditions {
    kind: AlertKind,
    known: BTreeMap<Box<str>, Lasting>,
}

impl Conditions {
    pub const fn of(kind: AlertKind) -> Self {
        Self { kind, known: BTreeMap::new() }
    }

    /// Raises what has turned. What was not found is not there any more, and so nothing is amiss with it.
    pub fn look(&mut self, found: impl IntoIterator<Item = Found>, alerts: &Alerts, now: Tick) {
        let mut before = std::mem::take(&mut self.known);
        for Found { subject, is, patience } in found {
            let mut lasting = before.remove(&subject).unwrap_or_default();
            let turn = match &is {
                Is::Unsure => None,
                Is::Well => lasting.look(false, patience, now),
                Is::Amiss(_) => lasting.look(true, patience, now),
            };
            match (turn, is) {
                (Some(Turn::Begun), Is::Amiss(text)) => {
                    self.raise(alerts, &subject, text, AlertState::Firing);
                }
                (Some(_), _) => {
                    let text = format!("{subject} is well again.");
                    self.raise(alerts, &subject, text, AlertState::Resolved);
                }
                (None, _) => {}
            }
            self.known.insert(subject, lasting);
        }
        for (subject, _) in before.into_iter().filter(|(_, lasting)| lasting.is_on()) {
            let text = format!("{subject} is not there any more.");
            self.raise(alerts, &subject, text, AlertState::Resolved);
        }
    }

    fn raise(&self, alerts: &Alerts, subject: &str, text: String, state: AlertState) {
        alerts.raise(Alert { kind: self.kind, subject: subject.into(), text, state });
    }
}
