//! Outages that people remember, ready-made; and what is rehearsed where nobody says.

use std::str::FromStr;
use std::time::Duration;

use crate::config::Blueprint;
use crate::config::rehearsal::{Call, Flapping, Onset, Outage, Script, Target, USUAL_RATE, Whom, Workload};
use crate::config::{Matcher, Origin, Pattern};
use crate::vocab::Fault;

/// A ready-made outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    ProviderDown,
    Storm,
    OutOfQuota,
    SlowCreep,
    Flapping,
}

/// One of them, and whom it befalls, as people say it: `storm`, `storm=openai`, `storm=fate:rack`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyMade {
    what: BuiltIn,
    /// `None` is the upstream with most weight.
    whom: Option<Whom>,
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// All of them begin when everything has been well for so long.
const BEGIN: Duration = minutes(5);
/// And are watched for so long afterwards.
pub const AFTERWARDS: Duration = minutes(15);
/// What is rehearsed when nothing goes wrong.
pub const QUIET: Duration = minutes(10);

impl BuiltIn {
    pub const ALL: [Self; 5] =
        [Self::ProviderDown, Self::Storm, Self::OutOfQuota, Self::SlowCreep, Self::Flapping];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ProviderDown => "provider-down",
            Self::Storm => "storm",
            Self::OutOfQuota => "out-of-quota",
            Self::SlowCreep => "slow-creep",
            Self::Flapping => "flapping",
        }
    }

    /// What happens, with its figures.
    pub const fn about(self) -> &'static str {
        match self {
            Self::ProviderDown => "refuses every connection from minute 5 for 4 hours",
            Self::Storm => "answers 529 for 3 s of every 30 s, from minute 5 for 30 minutes",
            Self::OutOfQuota => "its first key is out of quota from minute 5 for an hour",
            Self::SlowCreep => {
                "its first token comes later and later, up to 30 s, from minute 5 for 30 minutes"
            }
            Self::Flapping => "refuses connections for 20 s of every 60 s, from minute 5 for 30 minutes",
        }
    }

    /// When it is over.
    pub fn ends(self) -> Duration {
        self.outage(Whom::Upstream(String::new())).to
    }

    pub fn outage(self, whom: Whom) -> Outage {
        let of = |fault, lasting| Outage::befalling(whom, fault, BEGIN, BEGIN + lasting);
        let by_turns =
            |down, up| Some(Flapping { down: Duration::from_secs(down), up: Duration::from_secs(up) });
        match self {
            Self::ProviderDown => of(Some(Fault::Connect), minutes(240)),
            Self::Storm => Outage { flapping: by_turns(3, 27), ..of(Some(Fault::Overloaded), minutes(30)) },
            Self::OutOfQuota => Outage { key: Some(1), ..of(Some(Fault::QuotaExhausted), minutes(60)) },
            Self::SlowCreep => {
                let latency = Duration::from_secs(30);
                Outage { latency, onset: Onset::Creeping, ..of(None, minutes(30)) }
            }
            Self::Flapping => Outage { flapping: by_turns(20, 40), ..of(Some(Fault::Connect), minutes(30)) },
        }
    }
}

impl ReadyMade {
    /// When it is over.
    pub fn ends(&self) -> Duration {
        self.what.ends()
    }

    /// As an outage of `blueprint`, which people call `file`.
    ///
    /// # Errors
    /// Where it befalls nobody there; for people.
    pub fn outage(&self, blueprint: &Blueprint, workload: &Workload, file: &str) -> Result<Outage, String> {
        let name = self.what.name();
        let heaviest = || heaviest(blueprint, workload).map(Whom::Upstream);
        let Some(whom) = self.whom.clone().or_else(heaviest) else {
            return Err(format!("{name}: say of which upstream: {name}=NAME"));
        };
        if whom.among(blueprint).next().is_none() {
            let hint = whom.hint(blueprint);
            return Err(format!("{name}: there is no {whom} in {file}; {hint}"));
        }
        Ok(self.what.outage(whom))
    }
}

impl FromStr for ReadyMade {
    type Err = String;

    fn from_str(said: &str) -> Result<Self, String> {
        let (name, whom) =
            said.split_once('=').map_or((said, None), |(name, of)| (name, Some(Whom::read(of))));
        let found = BuiltIn::ALL.into_iter().find(|known| known.name() == name);
        found.map(|what| Self { what, whom }).ok_or_else(|| {
            let known: Vec<&str> = BuiltIn::ALL.into_iter().map(BuiltIn::name).collect();
            format!("ready-made outages are {}", known.join(", "))
        })
    }
}

/// The upstream with the most weight in the first tiers of the routes that `workload` uses.
pub fn heaviest(blueprint: &Blueprint, workload: &Workload) -> Option<String> {
    let mut weights = vec![0.0; blueprint.upstreams.len()];
    for call in &workload.mix {
        let Some(route) = blueprint.routes.iter().find(|route| takes(&route.matcher, &call.target)) else {
            continue;
        };
        let first = route.channels.iter().map(|channel| channel.tier).min();
        let in_use = || route.channels.iter().filter(|channel| Some(channel.tier) == first);
        let whole: u32 = in_use().map(|channel| channel.weight).sum();
        for channel in in_use() {
            weights[channel.upstream] += call.share * f64::from(channel.weight) / f64::from(whole.max(1));
        }
    }
    let most = weights.iter().copied().fold(0.0, f64::max);
    let found = weights.iter().position(|weight| *weight > 0.0 && *weight >= most)?;
    Some(blueprint.upstreams[found].name.to_string())
}

fn takes(matcher: &Matcher, target: &Target) -> bool {
    match (matcher, target) {
        (Matcher::Model { pattern }, Target::Model(name)) => pattern.rest(name).is_some(),
        (Matcher::Path { prefix, .. }, Target::Path(path)) => path.starts_with(prefix.as_str()),
        (Matcher::Model { .. }, Target::Path(_)) | (Matcher::Path { .. }, Target::Model(_)) => false,
    }
}

/// A request of a usual length for every model that a written route names, by turns; for every path, where
/// there is no such route. `None` where every route is a pattern.
pub fn usual_workload(blueprint: &Blueprint) -> Option<Workload> {
    let written = || blueprint.routes.iter().filter(|route| route.origin == Origin::Written);
    let model = |matcher: &Matcher| match matcher {
        Matcher::Model { pattern: Pattern::Exact(name) } => Some(Target::Model(name.clone())),
        Matcher::Model { pattern: Pattern::Prefix(_) | Pattern::Listed(_) } | Matcher::Path { .. } => None,
    };
    let path = |matcher: &Matcher| match matcher {
        Matcher::Path { prefix, .. } => Some(Target::Path(prefix.clone())),
        Matcher::Model { .. } => None,
    };
    let mut mix: Vec<Call> = written().filter_map(|route| model(&route.matcher)).map(Call::to).collect();
    if mix.is_empty() {
        mix = written().filter_map(|route| path(&route.matcher)).map(Call::to).collect();
    }
    (!mix.is_empty()).then(|| Workload::of(USUAL_RATE, mix))
}

/// Long enough to see the end of every outage, and what comes after it.
pub fn usual_duration(script: &Script) -> Duration {
    script.outages.iter().map(|outage| outage.to).max().map_or(QUIET, |end| end + AFTERWARDS)
}
