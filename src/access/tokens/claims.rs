//! Whether a token is meant for here and now, and whose place in the tree it names. Its signature has been checked
//! before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Unfit;
use crate::config::{Issuer, Level, Lineage, Member, Urgency};

/// How far the clocks of issuers may be from ours.
pub const LEEWAY: Duration = Duration::from_mins(1);
/// Longest `sub` (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;
/// Values of one claim that are looked up.
const MOST_VALUES: usize = 512;

/// Until when a token that is meant for here holds, since the Unix epoch.
pub fn until(claims: &Map<String, Value>, issuer: &Issuer, now: Duration) -> Result<Duration, Unfit> {
    let moment = |name: &str| claims.get(name).map(|value| value.as_f64().and_then(seconds));
    let until = moment("exp").flatten().ok_or(Unfit::Nameless)?.saturating_add(LEEWAY);
    if now >= until {
        return Err(Unfit::Expired);
    }
    match moment("nbf") {
        Some(None) => return Err(Unfit::Nameless),
        Some(Some(from)) if now.saturating_add(LEEWAY) < from => return Err(Unfit::Early),
        Some(Some(_)) | None => {}
    }
    let is_meant = |named: &Value| {
        named.as_str().is_some_and(|named| issuer.audiences.iter().any(|own| **own == *named))
    };
    let meant = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_meant),
        Some(audience) => is_meant(audience),
        None => false,
    };
    if meant { Ok(until) } else { Err(Unfit::Elsewhere) }
}

/// A NumericDate (RFC 7519 §2).
fn seconds(said: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(said).ok()
}

/// Who there is, by level and name.
#[derive(Default)]
pub struct Tree([HashMap<Arc<str>, Lineage>; Level::ALL.len()]);

impl Tree {
    pub fn new(members: &[Lineage]) -> Self {
        let mut tree = Self::default();
        for lineage in members {
            if let Some(own) = lineage.members().last() {
                tree.0[own.level as usize].insert(Arc::clone(&own.name), lineage.clone());
            }
        }
        tree
    }

    fn find(&self, level: Level, name: &str) -> Option<&Lineage> {
        self.0[level as usize].get(name)
    }

    /// The caller below whoever his claims name, and how much his requests matter.
    pub fn place(&self, claims: &Map<String, Value>, issuer: &Issuer) -> Result<(Lineage, Urgency), Unfit> {
        let subject = claims.get("sub").and_then(Value::as_str).filter(|sub| is_subject(sub));
        let subject = subject.ok_or(Unfit::Nameless)?;
        if issuer.refuse.iter().any(|refused| **refused == *subject) {
            return Err(Unfit::Barred);
        }
        let named = issuer.claims.iter().find_map(|(level, claim)| {
            let values = claim_of(claims, claim)?;
            let mut names = values.iter().take(MOST_VALUES).filter_map(Value::as_str);
            names.find_map(|name| self.find(*level, name))
        });
        let above = named.or(issuer.otherwise.as_ref());
        if above.is_none() && !issuer.claims.is_empty() {
            return Err(Unfit::Unplaced);
        }
        let own = Member { name: format!("{}:{subject}", issuer.name).into(), ..issuer.own.clone() };
        let lineage = Lineage::below(above, own);
        let urgency = issuer.urgency.below(&lineage);
        Ok((lineage, urgency))
    }
}

fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len()) && !text.contains(char::is_control)
}

/// What a claim says, as a list: the one of this whole name, or else `b` within `a` for `a.b`.
fn claim_of<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c [Value]> {
    let within = || {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |within, part| within.get(part))
    };
    match claims.get(name).or_else(within)? {
        Value::Array(values) => Some(values),
        value => Some(std::slice::from_ref(value)),
    }
}
