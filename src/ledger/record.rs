//! A request with all of its attempts, and the rows that it makes.
//!
//! What is summed is summed here, off the path of requests: the request's row says of its attempts' what they say
//! together, or that one of them does not know.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use smallvec::SmallVec;

use super::account::Request;
use crate::algo::tick::Tick;
use crate::catalog::Cost;
use crate::config::{Level, Lineage};
use crate::state::Channel;
use crate::state::books::{Attempt, Heard, Used, Verdict};
use crate::state::look::Look;
use crate::store::micros;
use crate::store::rows::{AttemptRow, CALLERS_OWN, MIRRORED, RequestRow, RowId, Who};
use crate::vocab::{Money, Part, Payer, Stage, Tier, Usage};

/// Stands for a model that only callers have a name for.
pub const OTHER: &str = "other";

/// What leaves a request.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// None as long as it has not ended.
    pub request: Option<Request>,
    /// In the order in which they ended; once all have, in that in which they began.
    pub attempts: SmallVec<[Entry; 1]>,
    /// In their order.
    pub looks: SmallVec<[Look; 1]>,
    pub whose: Whose,
    /// When it came by the wall, and what its name has of chance, where somebody else had to know that before.
    pub named: Option<(Duration, u128)>,
    /// Whose budgets its row is held against, where nothing else of the record says it.
    pub holder: Option<Arc<str>>,
}

/// Who an account is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Callers,
    /// A mirror of a caller's request, which ends when it likes.
    Mirrors,
    /// Of a request that came to no route. It makes no rows.
    Strangers,
}

/// An attempt that is over and priced.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub place: u32,
    pub part: Part,
    pub channel: Arc<Channel>,
    pub model: Arc<str>,
    pub credential: u16,
    pub begun: Tick,
    pub ended: Tick,
    pub heard: Heard,
    pub verdict: Verdict,
    pub stage: Stage,
    pub used: Used,
    pub detail: Option<Box<str>>,
    cost: Option<Cost>,
    tier: Tier,
}

impl Entry {
    /// Prices it, and counts what it cost.
    pub fn of(attempt: &Attempt<'_>) -> Self {
        let Attempt { place, part, channel, model, credential, begun, ended, payer, .. } = *attempt;
        let Attempt { heard, verdict, stage, used, ref detail, .. } = *attempt;
        let tier = used.usage.tier.unwrap_or(Tier::Standard);
        // Of what nobody knows there is no price.
        let cost = match payer {
            // Whatever his provider asks of him, it is not us who pays.
            Payer::Caller => channel.charge(model, &Usage::default(), begun),
            Payer::Gateway if used.is_unknown() => None,
            Payer::Gateway => channel.charge(model, &used.usage, begun),
        };
        channel.handles.cost(cost.as_ref().map(|cost| cost.money));
        // Who mirrors knows what he does: it is no spending that anybody has to be told of.
        if let Some(cost) = cost.as_ref().filter(|_| part != Part::Mirror) {
            channel.upstream.live.spent.fetch_add(cost.money.as_nano_usd(), Relaxed);
        }
        let same = |key: &Arc<_>| credential.is_some_and(|used| Arc::ptr_eq(used, key));
        let key = channel.upstream.credentials.iter().position(same);
        Self {
            place,
            part,
            channel: Arc::clone(channel),
            model: Arc::clone(model),
            credential: match payer {
                Payer::Caller => CALLERS_OWN,
                Payer::Gateway => key.map_or(0, |at| u16::try_from(at + 1).unwrap_or(CALLERS_OWN - 1)),
            },
            begun,
            ended,
            heard,
            verdict,
            stage,
            used,
            detail: detail.clone(),
            cost,
            tier,
        }
    }
}

impl Entry {
    pub fn money(&self) -> Option<Money> {
        self.cost.as_ref().map(|cost| cost.money)
    }
}

impl Record {
    pub fn new(whose: Whose) -> Self {
        Self {
            request: None,
            attempts: SmallVec::new(),
            looks: SmallVec::new(),
            whose,
            named: None,
            holder: None,
        }
    }

    /// Leaves out what others have written, where it is not to be kept: labels, callers' names for models, what an
    /// issuer calls a caller, and what upstreams said of their failures.
    pub fn hush(&mut self) {
        let Some(request) = self.request.as_mut().filter(|request| request.privacy.is_zero_log()) else {
            return;
        };
        request.tags.clear();
        if let Some(lineage) = request.lineage.take() {
            let own = lineage.at(Level::Key).filter(|own| !own.budgets.is_empty());
            self.holder = own.map(|own| Arc::clone(&own.name));
            request.lineage = Some(lineage.unnamed());
        }
        for entry in &mut self.attempts {
            entry.detail = None;
            if !entry.model.is_empty() && !entry.channel.knows(&entry.model) {
                entry.model = OTHER.into();
            }
        }
    }

    /// Whether a caller's request had this id.
    pub fn is_called(&self, request_id: &str) -> bool {
        self.request_id() == Some(request_id)
    }

    /// Of a request that has ended.
    pub fn request_id(&self) -> Option<&str> {
        self.request.as_ref().map(|request| &*request.request_id)
    }

    /// Whether nobody gets its answer.
    pub fn is_mirrors(&self) -> bool {
        self.whose == Whose::Mirrors
    }

    pub fn outcome(&self) -> &'static str {
        match (self.whose, &self.request) {
            (Whose::Mirrors, _) => MIRRORED,
            (Whose::Callers | Whose::Strangers, Some(request)) => request.outcome.name(),
            (Whose::Callers | Whose::Strangers, None) => "",
        }
    }

    fn who(&self) -> Who {
        let lineage = self.request.as_ref().and_then(|request| request.lineage.as_ref());
        let at = |level| lineage?.at(level).map(|member| Arc::clone(&member.name));
        Who {
            organisation: at(Level::Organisation),
            team: at(Level::Team),
            user: at(Level::User),
            key: self.holder.clone().or_else(|| at(Level::Key)),
        }
    }

    /// Its attempts but for a mirror's, which is booked apart: nobody asked for it but the operator.
    fn own(&self) -> impl Iterator<Item = &Entry> {
        self.attempts.iter().filter(|attempt| attempt.part != Part::Mirror)
    }

    /// What they have cost so far; `None` where nobody knows that of one of them.
    pub fn cost(&self) -> Option<Money> {
        self.own().map(Entry::money).sum()
    }

    /// How many rows it makes.
    pub fn rows(&self) -> usize {
        let own = match self.whose {
            Whose::Callers => 1,
            Whose::Mirrors | Whose::Strangers => 0,
        };
        own + self.attempts.len()
    }

    /// Its rows, once it has ended; `chance` is what its name has of it, where it has no name yet.
    pub fn rows_of(&self, chance: u128) -> Option<(RequestRow, impl Iterator<Item = AttemptRow>)> {
        let Self { request, attempts, whose, named, .. } = self;
        let request = request.as_ref()?;
        let id = RowId::new(request.at, named.map_or(chance, |(_, chance)| chance));
        let (outcome, first) = (self.outcome(), u32::from(*whose != Whose::Mirrors));
        let at_micros = micros(request.at);
        // What broke while it was held back was heard by nobody but us.
        let spoke = self
            .own()
            .filter(|attempt| attempt.heard.first_content.is_some() && attempt.stage == Stage::Committed);
        let row = RequestRow {
            id,
            request_id: request.request_id.clone(),
            at_micros,
            who: self.who(),
            tags: request.labels(),
            route: Arc::clone(&request.route),
            arm: request.arm.clone(),
            dialect: request.dialect,
            operation: request.operation,
            model: Arc::clone(&request.model),
            stream: request.stream,
            outcome,
            replayed: request.replayed,
            attempts: self.own().count() as u32,
            took: request.took,
            first_byte: request.first_byte,
            own: request.own,
            usage: spoke.fold(Usage::default(), |sum, attempt| sum.plus(&attempt.used.usage)),
            cost: self.cost(),
            estimated: self.own().any(|attempt| attempt.used.estimated),
        };
        let begun = request.begun;
        let rows = attempts.iter().zip(first..).map(move |(attempt, number)| AttemptRow {
            request: id,
            number,
            at_micros: at_micros.saturating_add(micros(attempt.begun.since(begun))),
            part: attempt.part,
            upstream: Arc::clone(&attempt.channel.upstream.config.name),
            provider: attempt.channel.upstream.config.provider.name.into(),
            model: Arc::clone(&attempt.model),
            credential: attempt.credential,
            verdict: attempt.verdict.name(),
            stage: attempt.stage.name(),
            took: attempt.ended.since(attempt.begun),
            first_byte: attempt.heard.first_content.map(|at| at.since(attempt.begun)),
            usage: attempt.used.usage,
            estimated: attempt.used.estimated,
            cost: attempt.money(),
            priced: attempt.cost.as_ref().map(priced).unwrap_or_default(),
            tier: attempt.tier.name(),
        });
        Some((row, rows))
    }
}

fn priced(cost: &Cost) -> Box<str> {
    let mut text = String::with_capacity(64);
    // A string takes everything.
    let _ = cost.write(&mut text);
    text.into()
}

impl Request {
    /// What the operator says of a key goes before what its holder says of himself.
    pub(super) fn labels(&self) -> Vec<(Arc<str>, Box<str>)> {
        if self.privacy.is_zero_log() {
            return Vec::new();
        }
        let own = self.lineage.as_ref().map(Lineage::tags).unwrap_or_default();
        let mut tags: Vec<(Arc<str>, Box<str>)> =
            own.into_iter().map(|(name, value)| (name, (&*value).into())).collect();
        for (name, value) in &self.tags {
            if tags.iter().all(|(known, _)| known != name) {
                tags.push((Arc::clone(name), value.clone()));
            }
        }
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::limit::Allowance;
    use crate::algo::spend::Per;
    use crate::config::{Budget, Exceeded, Member, Reach, Unpriced};
    use crate::vocab::Privacy;

    /// A request of somebody whom an issuer calls `ada`, with labels.
    fn of_ada(privacy: Privacy, budgets: &[Budget]) -> Record {
        let ada = Member {
            level: Level::Key,
            name: "okta:ada".into(),
            tags: vec![("floor".into(), "1".into())],
            reach: Reach::default(),
            limits: Allowance::default(),
            most: None,
            budgets: budgets.into(),
            max_cost: None,
            explain: false,
            zero_log: false,
            expires: None,
        };
        let request = Request {
            privacy,
            lineage: Some(Lineage::below(None, ada)),
            tags: vec![("x-customer".into(), "acme".into())],
            ..Request::bare("req_1".into(), "openai", Tick::ZERO, Duration::ZERO)
        };
        let mut record = Record { request: Some(request), ..Record::new(Whose::Callers) };
        record.hush();
        record
    }

    fn check(record: &Record, said: &str, booked: &str, labels: usize) {
        let request = record.request.as_ref().expect("it has ended");
        let own = request.lineage.as_ref().and_then(|lineage| lineage.at(Level::Key)).expect("a key");
        let (row, _) = record.rows_of(1).expect("it has ended");
        assert_eq!((&*own.name, row.who.key.as_deref()), (said, Some(booked)));
        assert_eq!((request.labels().len(), row.tags.len()), (labels, labels));
    }

    #[test]
    fn who_a_token_names_is_left_out_unless_his_row_is_held_against_a_budget_of_his() {
        check(&of_ada(Privacy::Usual, &[]), "okta:ada", "okta:ada", 2);
        check(&of_ada(Privacy::ZeroLog, &[]), "okta:*", "okta:*", 0);
        let budget = Budget {
            per: Per::Day,
            starts: None,
            limit: Money::nano_usd(1),
            soft: Vec::new(),
            exceeded: Exceeded::Refuse,
            unpriced: Unpriced::Allow,
        };
        check(&of_ada(Privacy::ZeroLog, &[budget]), "okta:*", "okta:ada", 0);
    }
}
