//! Whom an outage befalls: one upstream, or all of a provider's or of a fate group, as the configuration that is
//! rehearsed has them.
//!
//! A script outlives a configuration, and is held beside two of them. So what it names stays a name here, and each
//! configuration says for itself whom that means, or why it means nobody.

use std::fmt;

use crate::config::{Blueprint, Channel, Matcher, ModelName, Pattern, Route, Upstream, nearest};

use super::Outage;

/// Whom an outage befalls, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    Upstream(String),
    /// Every upstream of this provider.
    Provider(String),
    /// Every upstream of this fate group, be it written or told from provider and region.
    Fate(String),
}

impl Whom {
    /// As the command line has it: `NAME`, `provider:NAME`, `fate:NAME`. No upstream's name has a colon.
    pub fn read(said: &str) -> Self {
        match said.split_once(':') {
            Some(("provider", name)) => Self::Provider(name.to_owned()),
            Some(("fate", name)) => Self::Fate(name.to_owned()),
            Some(_) | None => Self::Upstream(said.to_owned()),
        }
    }

    pub fn includes(&self, upstream: &Upstream) -> bool {
        match self {
            Self::Upstream(name) => *upstream.name == **name,
            Self::Provider(name) => upstream.provider.name == name,
            Self::Fate(name) => upstream.fate_group().is_some_and(|group| *group == **name),
        }
    }

    /// The upstreams that it means here.
    pub fn among<'b>(&self, blueprint: &'b Blueprint) -> impl Iterator<Item = &'b Upstream> {
        blueprint.upstreams.iter().filter(|upstream| self.includes(upstream))
    }

    /// What else could have been meant, for people: names of the same kind.
    pub fn hint(&self, blueprint: &Blueprint) -> String {
        let all = &blueprint.upstreams;
        let (kind, word, mut known): (_, _, Vec<String>) = match self {
            Self::Upstream(name) => ("upstreams", name, all.iter().map(|one| one.name.to_string()).collect()),
            Self::Provider(name) => {
                ("providers", name, all.iter().map(|one| one.provider.name.to_owned()).collect())
            }
            Self::Fate(name) => (
                "fate groups",
                name,
                all.iter().filter_map(|one| Some(one.fate_group()?.to_string())).collect(),
            ),
        };
        known.sort_unstable();
        known.dedup();
        let names = || known.iter().map(String::as_str);
        if known.is_empty() {
            return format!("there are no {kind}");
        }
        format!("{}{kind}: {}", nearest::did_you_mean(word, names()), nearest::listed(names()))
    }
}

/// "upstream `x`", "upstream of provider `x`", "upstream of fate `x`".
impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(name) => write!(f, "upstream `{name}`"),
            Self::Provider(name) => write!(f, "upstream of provider `{name}`"),
            Self::Fate(name) => write!(f, "upstream of fate `{name}`"),
        }
    }
}

impl Outage {
    /// Why it befalls nobody of `blueprint`, if that is so: "has no upstream `x`".
    pub fn lacks(&self, blueprint: &Blueprint) -> Option<String> {
        let mut meant = self.whom.among(blueprint).peekable();
        if meant.peek().is_none() {
            return Some(format!("has no {}", self.whom));
        }
        if let Some(number) = self.key
            && !meant.any(|upstream| has_key(upstream, number))
        {
            return Some(format!("has no key {number} of {}", self.whom));
        }
        let model = self.model.as_deref()?;
        let may_ask = |route: &Route| {
            let of_ours = |channel: &&Channel| self.whom.includes(&blueprint.upstreams[channel.upstream]);
            route.channels.iter().filter(of_ours).any(|channel| may_be(channel, route, model))
        };
        let asked = blueprint.routes.iter().any(may_ask);
        (!asked).then(|| format!("asks no model `{model}` of {}", self.whom))
    }

    /// Whom it befalls in `blueprint`, for people: `near`, `fate rack (near, beside)`.
    pub fn befallen(&self, blueprint: &Blueprint) -> String {
        let of = |kind: &str, name: &str| {
            let names: Vec<&str> = self.whom.among(blueprint).map(|upstream| &*upstream.name).collect();
            format!("{kind} {name} ({})", nearest::listed(names))
        };
        match &self.whom {
            Whom::Upstream(name) => name.clone(),
            Whom::Provider(name) => of("provider", name),
            Whom::Fate(name) => of("fate", name),
        }
    }

    /// Whether it is about the key that people see as `alias`.
    pub fn is_of_key(&self, alias: Option<&str>) -> bool {
        self.key.is_none_or(|key| alias.is_some_and(|alias| number(alias) == Some(key)))
    }
}

fn has_key(upstream: &Upstream, key: u32) -> bool {
    upstream.credentials.iter().any(|credential| number(&credential.alias) == Some(key))
}

/// 1 of `openai#1`.
fn number(alias: &str) -> Option<u32> {
    alias.rsplit_once('#')?.1.parse().ok()
}

/// Whether this channel can ask its upstream for `model`.
fn may_be(channel: &Channel, route: &Route, model: &str) -> bool {
    match (&channel.model, &route.matcher) {
        (_, Matcher::Path { .. }) => false,
        (ModelName::Fixed(name), Matcher::Model { .. }) => **name == *model,
        (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Exact(name) }) => name == model,
        // Whatever callers make of it.
        (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Prefix(_) | Pattern::Listed(_) })
        | (ModelName::Suffix, Matcher::Model { .. }) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::load;
    use crate::config::testing::Given;
    use crate::vocab::Fault;

    const FILE: &str = "
version: 1
upstreams:
  plain: {provider: openai, credentials: [k1, k2]}
  again: {provider: openai, credentials: [k3]}
  abroad: {provider: openai, region: eu, credentials: [k4]}
  own: {provider: custom, dialect: openai, base_url: 'https://llm.example.com/v1', fate: rack}
  other: {provider: anthropic, fate: rack, credentials: [k5]}
  raw: {provider: http, base_url: 'https://raw.example.com'}
routes:
  - {model: exact, channels: [{upstream: plain}, {upstream: own, model: mine}]}
  - {model: 'wild-*', channels: [{upstream: again}, {upstream: other, model: fixed}]}
  - {path: /raw/, channels: [{upstream: raw}]}
";

    fn blueprint() -> Blueprint {
        load(FILE, &Given::default()).expect("a good file").blueprint
    }

    #[test]
    fn a_name_means_one_upstream_or_all_of_a_provider_or_a_fate() {
        let blueprint = blueprint();
        for (said, expected) in [
            ("plain", vec!["plain"]),
            ("openai", vec![]),
            ("provider:openai", vec!["plain", "again", "abroad"]),
            ("provider:custom", vec!["own"]),
            ("fate:openai", vec!["plain", "again"]),
            ("fate:openai/eu", vec!["abroad"]),
            ("fate:rack", vec!["own", "other"]),
            ("fate:anthropic", vec![]),
            ("vendor:openai", vec![]),
        ] {
            let whom = Whom::read(said);
            let names: Vec<&str> = whom.among(&blueprint).map(|upstream| &*upstream.name).collect();
            assert_eq!(names, expected, "{said}");
            let outage = Outage::befalling(whom, Some(Fault::Connect), Duration::ZERO, Duration::MAX);
            assert_eq!(outage.lacks(&blueprint).is_some(), expected.is_empty(), "{said}");
        }
        let hint = |said| Whom::read(said).hint(&blueprint);
        assert_eq!(hint("plian"), "did you mean `plain`? upstreams: abroad, again, other, own, plain, raw");
        assert_eq!(hint("provider:x"), "providers: anthropic, custom, http, openai");
        assert_eq!(hint("fate:rcak"), "did you mean `rack`? fate groups: openai, openai/eu, rack");
    }

    #[test]
    fn whoever_nobody_has_or_asks_for_is_named() {
        let blueprint = blueprint();
        let lacks = |whom: &str, model: Option<&str>, key| {
            let outage = Outage::befalling(Whom::read(whom), None, Duration::ZERO, Duration::MAX);
            Outage { model: model.map(str::to_owned), key, ..outage }.lacks(&blueprint)
        };
        for (whom, model, key, expected) in [
            ("gone", None, None, Some("has no upstream `gone`")),
            ("fate:gone", Some("exact"), Some(1), Some("has no upstream of fate `gone`")),
            ("plain", None, Some(2), None),
            ("plain", None, Some(3), Some("has no key 3 of upstream `plain`")),
            ("own", None, Some(1), Some("has no key 1 of upstream `own`")),
            ("provider:openai", None, Some(2), None),
            ("plain", Some("exact"), None, None),
            ("plain", Some("mine"), None, Some("asks no model `mine` of upstream `plain`")),
            ("own", Some("mine"), None, None),
            ("own", Some("exact"), None, Some("asks no model `exact` of upstream `own`")),
            ("again", Some("whatever"), None, None),
            ("other", Some("wild-1"), None, Some("asks no model `wild-1` of upstream `other`")),
            ("abroad", Some("exact"), None, Some("asks no model `exact` of upstream `abroad`")),
            ("raw", Some("exact"), None, Some("asks no model `exact` of upstream `raw`")),
            ("provider:openai", Some("exact"), Some(1), None),
        ] {
            assert_eq!(lacks(whom, model, key).as_deref(), expected, "{whom} {model:?} {key:?}");
        }
    }
}
