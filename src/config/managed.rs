//! Keys that the store has and not the file: what is said of one means here what it means under `keys:`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::blueprint::{Level, Lineage, Urgency};
use super::check::reach::Known;
use super::check::tree::{self, Parents, Said};
use super::dollars::Dollars;
use super::file;
use super::file::access::Allow;
use super::file::names::PriorityName;
use super::moment;
use super::path::Path;
use super::problem::{Findings, Severity};
use super::settle;
use crate::algo::limit::{Allowance, Unit};

/// A managed key as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct ManagedKey<'a> {
    pub name: &'a str,
    pub organisation: Option<&'a str>,
    pub team: Option<&'a str>,
    pub user: Option<&'a str>,
    /// JSON with `tags`, `allow`, `limits`, `budgets`, `max_cost`, `priority`, `max_priority`, `explain` and
    /// `zero_log`, as under `keys:`.
    pub terms: &'a str,
    /// Since the Unix epoch.
    pub expires: Option<Duration>,
    /// What it may use, where its terms do not say.
    pub limits: Allowance,
}

/// What is said of a managed key beside its place, name and end, as under `keys:`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    tags: BTreeMap<String, String>,
    allow: Allow,
    limits: file::limits::Allowance,
    budgets: Vec<file::budgets::Budget>,
    max_cost: Option<Dollars>,
    priority: Option<PriorityName>,
    max_priority: Option<PriorityName>,
    explain: Option<bool>,
    zero_log: Option<bool>,
}

/// Which names in an `allow` have to mean something.
#[derive(Clone, Copy)]
pub enum Naming<'a, 'k> {
    /// Those of a new key do: `known` is what there is.
    Strict(&'a Known<'k>),
    /// What was there when a key was made may be gone; then nothing is left that the name could allow.
    Lenient,
}

/// The place of a key below `members`, and how much its requests matter.
///
/// # Errors
/// Everything that is wrong with what is said of it.
pub fn managed(
    said: ManagedKey<'_>,
    members: &[Lineage],
    naming: Naming<'_, '_>,
) -> Result<(Lineage, Urgency), Vec<String>> {
    let terms: Terms = serde_json::from_str(said.terms).map_err(|error| vec![error.to_string()])?;
    let anything = Known::anything();
    let known = match naming {
        Naming::Strict(known) => known,
        Naming::Lenient => &anything,
    };
    let parents = Parents { organisation: said.organisation, team: said.team, user: said.user };
    let limits = settle::allowance(&terms.limits);
    if let Some(unit) = Unit::ALL.into_iter().find(|unit| limits.limit(*unit) == Some(0)) {
        return Err(vec![format!("limits.{}: 0 is not allowed (disable the key instead)", unit.name())]);
    }
    let limits = limits.over(said.limits);
    let own = Said {
        tags: &terms.tags,
        allow: &terms.allow,
        limits,
        budgets: &terms.budgets,
        max_cost: terms.max_cost,
        explain: terms.explain,
        zero_log: terms.zero_log,
        most: None,
        expires: None,
    };
    let mut findings = Findings::default();
    let key = (Level::Key, said.name);
    let lineage = tree::child(key, parents, own, members, &Path::root(), known, &mut findings);
    let problems: Vec<String> = findings
        .into_vec()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| {
            let place = finding.path.to_string();
            let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
            let hint = finding.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{place}{}{hint}", finding.message)
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let (own, most) = (terms.priority.map(settle::priority), terms.max_priority.map(settle::priority));
    let urgency = Urgency { own, most, cap: None }.below(&lineage);
    Ok((lineage.ending(said.expires), urgency))
}

/// When `text` is: `2027-01-31`, or with its time (RFC 3339). Since the Unix epoch.
pub fn moment(text: &str) -> Option<Duration> {
    moment::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::vocab::Money;

    #[test]
    fn a_managed_key_has_its_own_limits_over_the_usual_ones() {
        let usual = Allowance { rpm: Some(60), tpm: Some(7000), ..Allowance::default() };
        let limits = |terms: &str| {
            let said = ManagedKey {
                name: "till",
                organisation: None,
                team: None,
                user: None,
                terms,
                expires: None,
                limits: usual,
            };
            managed(said, &[], Naming::Lenient).map(|(lineage, _)| lineage.members()[0].limits)
        };
        assert_eq!(limits("{}"), Ok(usual));
        let own = Allowance { rpm: Some(5), concurrency: Some(2), ..usual };
        assert_eq!(limits(r#"{"limits": {"rpm": 5, "concurrency": 2}}"#), Ok(own));
        let nothing = "limits.tpd: 0 is not allowed (disable the key instead)";
        assert_eq!(limits(r#"{"limits": {"tpd": 0}}"#), Err(vec![nothing.to_owned()]));
        assert!(limits(r#"{"limits": {"rps": 1}}"#).is_err());
    }

    #[test]
    fn a_managed_key_is_told_whose_alias_it_names() {
        let file = "version: 1\nupstreams: {a: {provider: simulated}}\nroutes: [{model: m, aliases: [smart], channels: [{upstream: a}]}]\n";
        let blueprint = crate::config::load(file, &Given::default()).expect("it is well").blueprint;
        let known = Known::now(blueprint.upstreams.iter(), blueprint.routes.iter());
        let refused = |terms: &str| {
            let (organisation, team, user, expires) = (None, None, None, None);
            let limits = Allowance::default();
            let said = ManagedKey { name: "till", organisation, team, user, terms, expires, limits };
            managed(said, &[], Naming::Strict(&known)).map(drop).err().unwrap_or_default().join("; ")
        };
        assert_eq!(refused(r#"{"allow": {"routes": ["m"]}}"#), "");
        let told = "no route is called `smart` (it is an alias: write `m`)";
        assert_eq!(refused(r#"{"allow": {"routes": ["smart"]}}"#), format!("allow.routes[0]: {told}"));
        let terms = r#"{"budgets": [{"per": "day", "limit": 3, "downgrade_to": "smart"}]}"#;
        assert_eq!(refused(terms), format!("budgets[0].downgrade_to: {told}"));
    }

    #[test]
    fn a_managed_key_has_budgets_as_one_of_the_file_has() {
        let read = |terms: &str| {
            let (organisation, team, user, expires) = (None, None, None, None);
            let said = ManagedKey {
                name: "till",
                organisation,
                team,
                user,
                terms,
                expires,
                limits: Allowance::default(),
            };
            managed(said, &[], Naming::Lenient).map(|(lineage, _)| lineage.members()[0].as_ref().clone())
        };
        let terms = r#"{"max_cost": 0.1, "budgets": [{"per": "month", "limit": 30.5}, {"per": "day", "limit": "2 USD", "soft": "50%"}]}"#;
        let key = read(terms).expect("good terms");
        let usd = |dollars: &str| Money::parse(dollars).expect("an amount");
        assert_eq!(key.max_cost, Some(usd("0.1")));
        assert_eq!(
            key.budgets.iter().map(|budget| budget.limit).collect::<Vec<_>>(),
            [usd("30.5"), usd("2")]
        );
        let missing = read(r#"{"budgets": [{"limit": 3}]}"#).expect_err("nobody knows for how long");
        assert!(missing[0].starts_with("budgets[0]: `per` is missing"), "{missing:?}");
        assert!(read(r#"{"budgets": [{"per": "day", "limit": 0}]}"#).is_err());
    }
}
