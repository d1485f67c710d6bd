//! `issuers:`: whose signed tokens callers may send in place of a key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Allow;
use super::budgets::Budget;
use super::limits::Allowance;
use super::names::PriorityName;
use crate::config::dollars::Dollars;

/// Somebody who says in signed tokens (JWT) who a caller is: an OpenID provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "audience"]))]
pub struct Issuer {
    /// What its tokens have as `iss`, to the letter: `https://login.example.com/`.
    #[serde(rename = "issuer")]
    #[schemars(length(min = 1))]
    pub iss: Option<String>,
    /// What its tokens for this gateway have as `aud`: one name, or several of which one will do.
    pub audience: Option<Audiences>,
    /// Where its public keys are (where `.well-known/openid-configuration` below `issuer` says).
    #[schemars(length(min = 1))]
    pub jwks_url: Option<String>,
    /// The signatures that are taken (all of them).
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<AlgorithmName>>,
    pub claims: Claims,
    /// Whose those are whose claims name nobody of the tree (they are refused).
    pub otherwise: Parent,
    /// What is in `sub` of those whose tokens are not taken, though they hold.
    pub refuse: Vec<String>,
    /// Labels of its callers' requests.
    pub tags: BTreeMap<String, String>,
    pub allow: Allow,
    /// What each of its callers may use (`defaults.key_limits`, or no limits).
    pub limits: Allowance,
    /// What each of its callers may spend (anything).
    #[schemars(length(max = 8))]
    pub budgets: Vec<Budget>,
    /// What one of their requests may cost at most, in US dollars (anything).
    pub max_cost: Option<Dollars>,
    /// How much its callers' requests matter (the route's).
    pub priority: Option<PriorityName>,
    /// The most that they may ask for with the header `x-mainstay-priority` (their own, so that they may only ask for less).
    pub max_priority: Option<PriorityName>,
    /// Whether its callers may ask with `x-mainstay-explain` why their requests went where they went (what those above them say).
    pub explain: Option<bool>,
    /// Whether nothing that stands in its callers' requests, or in their answers, is written down anywhere (what those above
    /// them say).
    pub zero_log: Option<bool>,
    /// PEM file with the roots that are trusted when its keys are fetched (the system's).
    #[schemars(length(min = 1))]
    pub ca_file: Option<String>,
}

/// Which claims name whose somebody is; a text, or a list of which the first that is known holds. The nearest that
/// names somebody of the tree decides, and the tree says who is above him.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// A claim with a name under `users`; `a.b` is `b` within `a`, where no claim has that whole name.
    #[schemars(length(min = 1))]
    pub user: Option<String>,
    /// A claim with a name under `teams`.
    #[schemars(length(min = 1))]
    pub team: Option<String>,
    /// A claim with a name under `organisations`.
    #[schemars(length(min = 1))]
    pub organisation: Option<String>,
}

/// Somebody of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parent {
    /// A name under `users`.
    pub user: Option<String>,
    /// A name under `teams`.
    pub team: Option<String>,
    /// A name under `organisations`.
    pub organisation: Option<String>,
}

/// One name, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Audiences {
    One(String),
    Several(#[schemars(length(min = 1))] Vec<String>),
}

/// How a token is signed (RFC 7518): with a private key, whose public one anybody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-what" = "signature"))]
pub enum AlgorithmName {
    RS256,
    PS256,
    ES256,
    ES384,
    EdDSA,
}
