//! Who may call, and with which keys.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::budgets::{self, Budget};
use super::upstream::Upstream;
use crate::algo::limit::Allowance;
use crate::config::Cidr;
use crate::dialect::Operation;
use crate::vocab::{Money, Priority, Privacy, Secret};

/// Whom requests are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    #[default]
    Open,
    /// Who proves to hold a key.
    Keys,
}

/// One entry of `keys:` that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKey {
    /// Its name in the file: a metric label, and the access key id of callers who sign.
    pub name: Arc<str>,
    /// One, or two while one replaces the other; no secret is anybody else's as well.
    pub secrets: Vec<Secret>,
    /// The key, and all above it.
    pub lineage: Lineage,
    pub urgency: Urgency,
}

/// How much a key's requests matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Urgency {
    /// Whatever the route says.
    pub own: Option<Priority>,
    /// The most that it may ask for; what they have by themselves where it is not said.
    pub most: Option<Priority>,
    /// What nobody above it lets it exceed, in whatever way.
    pub cap: Option<Priority>,
}

impl Urgency {
    /// The same of the last of `lineage`, with what those above him say.
    #[must_use]
    pub fn below(self, lineage: &Lineage) -> Self {
        let caps = lineage.0.iter().filter_map(|member| member.most);
        Self { cap: caps.min(), ..self }
    }

    /// What a request comes to that asks for this; `usual` is what its route says.
    pub fn of(self, usual: Priority, asked: Option<Priority>) -> Priority {
        let own = self.own.unwrap_or(usual);
        let priority = asked.map_or(own, |asked| asked.min(self.most.unwrap_or(own)));
        self.cap.map_or(priority, |cap| priority.min(cap))
    }
}

/// The floors of the tree that keys belong to, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Organisation,
    Team,
    User,
    Key,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Organisation, Self::Team, Self::User, Self::Key];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Team => "team",
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

/// An organisation, a team, a user or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub level: Level,
    /// Unique on its level.
    pub name: Arc<str>,
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    pub reach: Reach,
    /// What it and all below it may use together.
    pub limits: Allowance,
    /// The most that requests of all below it may matter; a key has its own in [`Urgency`].
    pub most: Option<Priority>,
    /// What may be spent on their requests.
    pub budgets: Arc<[Budget]>,
    /// What one of their requests may cost at most.
    pub max_cost: Option<Money>,
    /// Whether they may ask why their requests went where they went.
    pub explain: bool,
    /// Whether nothing that they send or get is written down.
    pub zero_log: bool,
    /// The first moment at which it does not hold any more, since the Unix epoch.
    pub expires: Option<Duration>,
}

/// A member of the tree with all above it: from the top down to itself. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage(Arc<[Arc<Member>]>);

/// What a member, and whoever is below it, may ask for. `None` is anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub models: Option<Vec<Names>>,
    /// By their names.
    pub routes: Option<Vec<Arc<str>>>,
    pub endpoints: Option<Vec<Operation>>,
    pub networks: Option<Vec<Cidr>>,
    pub upstreams: Option<Vec<Arc<str>>>,
    pub providers: Option<Vec<Arc<str>>>,
    pub regions: Option<Vec<Arc<str>>>,
}

/// A name, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    One(Arc<str>),
    Beginning(Arc<str>),
}

impl Names {
    /// Reads `gpt-5.4` or `gpt-*`.
    pub fn parse(text: &str) -> Self {
        text.strip_suffix('*').map_or_else(|| Self::One(text.into()), |begin| Self::Beginning(begin.into()))
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(own) => **own == *name,
            Self::Beginning(begin) => name.starts_with(&**begin),
        }
    }
}

impl Reach {
    fn has_upstream(&self, upstream: &Upstream) -> bool {
        let region = upstream.region.as_deref();
        allows(self.upstreams.as_deref(), |name| **name == *upstream.name)
            && allows(self.providers.as_deref(), |name| **name == *upstream.provider.name)
            && allows(self.regions.as_deref(), |name| region == Some(&**name))
    }

    fn narrows_upstreams(&self) -> bool {
        self.upstreams.is_some() || self.providers.is_some() || self.regions.is_some()
    }
}

fn allows<T>(listed: Option<&[T]>, fits: impl Fn(&T) -> bool) -> bool {
    listed.is_none_or(|listed| listed.iter().any(fits))
}

impl Lineage {
    /// `member` below `above`.
    pub fn below(above: Option<&Self>, member: Member) -> Self {
        let above = above.map(|above| above.0.iter().cloned()).into_iter().flatten();
        Self(above.chain([Arc::new(member)]).collect())
    }

    /// The same, its own end at `expires`.
    #[must_use]
    pub fn ending(mut self, expires: Option<Duration>) -> Self {
        if let Some(own) = Arc::make_mut(&mut self.0).last_mut() {
            Arc::make_mut(own).expires = expires;
        }
        self
    }

    /// From the top.
    pub fn members(&self) -> &[Arc<Member>] {
        &self.0
    }

    /// Who is on this level.
    pub fn at(&self, level: Level) -> Option<&Arc<Member>> {
        self.0.iter().find(|member| member.level == level)
    }

    /// Everybody's labels; where two have one of the same name, the lower one's.
    pub fn tags(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut tags: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (name, value) in self.0.iter().flat_map(|member| &member.tags) {
            match tags.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = Arc::clone(value),
                None => tags.push((Arc::clone(name), Arc::clone(value))),
            }
        }
        tags
    }

    /// Whether its requests may ask why they went where they went: one that says so is enough.
    pub fn may_explain(&self) -> bool {
        self.0.iter().any(|member| member.explain)
    }

    /// What may be kept of its requests: one that says `zero_log` is enough.
    pub fn privacy(&self) -> Privacy {
        if self.0.iter().any(|member| member.zero_log) { Privacy::ZeroLog } else { Privacy::Usual }
    }

    /// What its own end is called where nobody is to know whom an issuer means: `issuer:*`, or the name of a key.
    pub fn public_name(&self) -> Arc<str> {
        let Some(own) = self.0.last() else { return "".into() };
        let issuer = own.name.split_once(':').filter(|_| own.level == Level::Key);
        issuer.map_or_else(|| Arc::clone(&own.name), |(issuer, _)| format!("{issuer}:*").into())
    }

    /// The same, its own end by that name.
    #[must_use]
    pub fn unnamed(mut self) -> Self {
        let name = self.public_name();
        // Who has nothing to hide is not copied.
        if self.0.last().is_some_and(|own| own.name != name)
            && let Some(own) = Arc::make_mut(&mut self.0).last_mut()
        {
            Arc::make_mut(own).name = name;
        }
        self
    }

    /// The topmost whose time is over.
    pub fn expired(&self, now: Duration) -> Option<&Member> {
        self.first(|member| member.expires.is_none_or(|expires| now < expires))
    }

    /// The topmost who does not allow the model of this name.
    pub fn bars_model(&self, model: &str) -> Option<&Member> {
        self.first(|member| allows(member.reach.models.as_deref(), |names| names.has(model)))
    }

    /// The topmost who does not allow the route of this name, or what has no route.
    pub fn bars_route(&self, route: Option<&str>) -> Option<&Member> {
        self.first(|member| allows(member.reach.routes.as_deref(), |name| Some(&**name) == route))
    }

    /// The topmost who does not allow this kind of request.
    pub fn bars_endpoint(&self, asked: Operation) -> Option<&Member> {
        self.first(|member| {
            allows(member.reach.endpoints.as_deref(), |endpoint| *endpoint == asked.endpoint())
        })
    }

    /// The topmost who does not allow callers from there. Nowhere is in no network.
    pub fn bars_address(&self, address: Option<IpAddr>) -> Option<&Member> {
        let from = |network: &Cidr| address.is_some_and(|address| network.contains(address));
        self.first(|member| allows(member.reach.networks.as_deref(), from))
    }

    /// The topmost who does not allow this upstream.
    pub fn bars_upstream(&self, upstream: &Upstream) -> Option<&Member> {
        self.first(|member| member.reach.has_upstream(upstream))
    }

    /// The topmost who allows some models, routes or kinds of requests only, and the field that says so.
    pub fn narrows_asking(&self) -> Option<(&Member, &'static str)> {
        let field = |reach: &Reach| {
            let models = reach.models.is_some().then_some("models");
            let routes = reach.routes.is_some().then_some("routes");
            models.or(routes).or(reach.endpoints.is_some().then_some("endpoints"))
        };
        self.0.iter().find_map(|member| field(&member.reach).map(|field| (&**member, field)))
    }

    /// The topmost to whom it matters what requests cost or how many tokens they have, and the field that says so.
    pub fn measures(&self) -> Option<(&Member, &'static str)> {
        let field = |member: &Member| budgets::measures(&member.budgets, member.max_cost, &member.limits);
        self.0.iter().find_map(|member| field(member).map(|field| (&**member, field)))
    }

    /// The topmost who allows some upstreams only.
    pub fn narrows_upstreams(&self) -> Option<&Member> {
        self.first(|member| !member.reach.narrows_upstreams())
    }

    fn first(&self, is_fine: impl Fn(&Member) -> bool) -> Option<&Member> {
        self.0.iter().map(|member| &**member).find(|member| !is_fine(member))
    }
}
