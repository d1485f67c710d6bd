//! What is looked for among the last requests.

use std::time::Duration;

use crate::config::Level;
use crate::ledger::record::{Entry, Record};

/// All that is said has to fit.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: Option<String>,
    pub team: Option<String>,
    /// As the caller named it, or as an upstream that was asked does.
    pub model: Option<String>,
    /// The one that served it, or the one that it came to.
    pub route: Option<String>,
    /// One that was asked, as `upstream/model` or by its upstream's name alone.
    pub channel: Option<String>,
    pub outcome: Option<String>,
    /// Of one of its attempts.
    pub verdict: Option<String>,
    /// Of its answer; of 5 all from 500 to 599.
    pub status: Option<u16>,
    /// Those that came since then, since the Unix epoch.
    pub from: Option<Duration>,
    /// Those that came before.
    pub to: Option<Duration>,
    /// Those that took so long, or longer.
    pub slower_than: Option<Duration>,
    /// Of those that ended earlier than the one of this number.
    pub before: Option<u64>,
    /// How many.
    pub most: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            key: None,
            team: None,
            model: None,
            route: None,
            channel: None,
            outcome: None,
            verdict: None,
            status: None,
            from: None,
            to: None,
            slower_than: None,
            before: None,
            most: 100,
        }
    }
}

impl Wanted {
    pub(super) fn fits(&self, record: &Record) -> bool {
        let Some(request) = &record.request else { return false };
        let is = |wanted: &Option<String>, fits: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(fits);
        let any = |fits: &dyn Fn(&Entry) -> bool| record.attempts.iter().any(fits);
        let at = |level, name: &str| {
            let lineage = request.lineage.as_ref();
            lineage.and_then(|lineage| lineage.at(level)).is_some_and(|who| &*who.name == name)
        };
        self.from.is_none_or(|from| request.at >= from)
            && self.to.is_none_or(|to| request.at < to)
            && self.slower_than.is_none_or(|least| request.took >= least)
            && self.status.is_none_or(|status| request.status == status || request.status / 100 == status)
            && is(&self.outcome, &|outcome| record.outcome() == outcome)
            && is(&self.key, &|name| at(Level::Key, name))
            && is(&self.team, &|name| at(Level::Team, name))
            && is(&self.route, &|name| {
                &*request.route == name || request.asked_route.as_deref() == Some(name)
            })
            && is(&self.model, &|name| &*request.model == name || any(&|entry| &*entry.model == name))
            && is(&self.verdict, &|name| any(&|entry| entry.verdict.name() == name))
            && is(&self.channel, &|name| {
                any(&|entry| &*entry.channel.label == name || &*entry.channel.upstream.config.name == name)
            })
    }
}
