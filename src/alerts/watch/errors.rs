//! Routes of which more requests fail than usual.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::algo::alarm::failures::Ended;
use crate::algo::alarm::{Failures, Turn};
use crate::algo::tick::Tick;
use crate::state::Table;
use crate::vocab::{Alert, AlertKind, AlertState};

#[derive(Debug, Default)]
pub struct Errors(BTreeMap<Arc<str>, Failures>);

impl Errors {
    pub fn look(&mut self, table: &Table, now: Tick) {
        let settings = &table.alerts.error_spike;
        let mut before = std::mem::take(&mut self.0);
        let raise = |name: &str, text, state| {
            let subject = format!("route {name}").into();
            table.live.alerts.raise(Alert { kind: AlertKind::ErrorSpike, subject, text, state });
        };
        for route in &table.routes {
            let name = &route.config.name;
            let mut failures = before.remove(name).unwrap_or_default();
            let counted = route.memory.outcomes.counted();
            let total = Ended { all: counted.judged(), failed: counted.failed() };
            if let Some(turn) = failures.look(total, settings, now) {
                let recent = failures.recent();
                let said = format!("{} of {} requests", recent.failed, recent.all);
                match turn {
                    Turn::Begun => {
                        let usual = failures.usual(settings.least).map_or_else(
                            || "what is usual is not known yet".to_owned(),
                            |usual| format!("usually it is {:.1}%", usual * 100.0),
                        );
                        let text = format!(
                            "{said} of route {name} failed in the last five minutes ({:.1}%; {usual}).",
                            recent.share() * 100.0
                        );
                        raise(name, text, AlertState::Firing);
                    }
                    Turn::Over => {
                        let text = format!(
                            "Route {name} fails no more than usual: {said} in the last five minutes."
                        );
                        raise(name, text, AlertState::Resolved);
                    }
                }
            }
            self.0.insert(Arc::clone(name), failures);
        }
        for (name, _) in before.into_iter().filter(|(_, failures)| failures.is_on()) {
            raise(&name, format!("Route {name} is not there any more."), AlertState::Resolved);
        }
    }
}
