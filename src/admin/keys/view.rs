//! Keys, for people. Nothing in it helps anybody to call, but the secret of a key that has just been made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::access::Key;
use crate::algo::limit::Allowance;
use crate::config::Level;
use crate::store::KeyRow;
use crate::vocab::{Money, Secret};

/// All of them.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin) struct Listed {
    pub(super) keys: Vec<Shown>,
    /// When the store was last heard, in Unix time; null where there is none, or was not yet.
    pub(super) store_heard_at: Option<f64>,
}

/// A key that has just got a secret.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin) struct Made {
    #[serde(flatten)]
    key: Shown,
    /// What callers prove themselves with. It is said here and never again.
    secret: String,
}

/// One key.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub(in crate::admin) enum Shown {
    /// Of routing.yaml.
    File(Box<FileKey>),
    /// Made here.
    Store(Box<StoreKey>),
}

#[derive(Serialize, JsonSchema)]
pub(in crate::admin) struct FileKey {
    name: String,
    organisation: Option<String>,
    team: Option<String>,
    user: Option<String>,
    tags: BTreeMap<String, String>,
    /// Whether it may be told why its requests went where they went.
    explain: bool,
    /// Whether nothing that stands in its requests is written down, by its own settings or those of anybody above it.
    zero_log: bool,
    /// Its own; those above it have theirs.
    limits: FileLimits,
    /// What one of its requests may cost at most, in nano-USD, by its own setting.
    max_cost_nano_usd: Option<u64>,
    /// Unix time.
    expires: Option<f64>,
}

/// What is not there is not limited.
#[derive(Serialize, JsonSchema)]
struct FileLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    rpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpd: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
}

/// Times are Unix times. What else is said of it (`tags`, `allow`, `limits`, …) stands beside these as it was said.
#[derive(Serialize, JsonSchema)]
pub(in crate::admin) struct StoreKey {
    name: String,
    id: String,
    /// How its secret began when it was made.
    begins: String,
    organisation: Option<String>,
    team: Option<String>,
    user: Option<String>,
    disabled_at: Option<f64>,
    deleted_at: Option<f64>,
    expires: Option<f64>,
    created_at: f64,
    created_by: String,
    secrets: Vec<SecretTimes>,
    #[serde(flatten)]
    terms: Map<String, Value>,
}

/// From when and until when a secret is good.
#[derive(Serialize, JsonSchema)]
struct SecretTimes {
    from: f64,
    to: Option<f64>,
}

impl Made {
    pub(super) fn new(row: &KeyRow, secret: &Secret) -> Self {
        Self { key: row.into(), secret: secret.expose().to_owned() }
    }
}

impl From<&Key> for Shown {
    fn from(key: &Key) -> Self {
        let at = |level| key.lineage.at(level).map(|member| member.name.to_string());
        let own = key.lineage.at(Level::Key);
        let tags = key.lineage.tags().into_iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self::File(Box::new(FileKey {
            name: key.name.to_string(),
            organisation: at(Level::Organisation),
            team: at(Level::Team),
            user: at(Level::User),
            tags: tags.collect(),
            explain: key.lineage.may_explain(),
            zero_log: key.lineage.privacy().is_zero_log(),
            limits: own.map(|own| own.limits).unwrap_or_default().into(),
            max_cost_nano_usd: own.and_then(|own| own.max_cost).map(Money::as_nano_usd),
            expires: own.and_then(|own| own.expires).map(|expires| expires.as_secs_f64()),
        }))
    }
}

impl From<Allowance> for FileLimits {
    fn from(Allowance { rpm, rpd, tpm, tpd, concurrency }: Allowance) -> Self {
        Self { rpm, rpd, tpm, tpd, concurrency }
    }
}

impl From<&KeyRow> for Shown {
    fn from(row: &KeyRow) -> Self {
        let seconds = |micros: i64| micros as f64 / 1e6;
        let secrets = row
            .digests
            .iter()
            .map(|digest| SecretTimes { from: seconds(digest.valid_from), to: digest.valid_to.map(seconds) });
        Self::Store(Box::new(StoreKey {
            name: row.name.to_string(),
            id: row.id.to_string(),
            begins: format!("ms-{}", row.prefix),
            organisation: row.organisation.as_deref().map(str::to_owned),
            team: row.team.as_deref().map(str::to_owned),
            user: row.user.as_deref().map(str::to_owned),
            disabled_at: row.disabled_at.map(seconds),
            deleted_at: row.deleted_at.map(seconds),
            expires: row.expires_at.map(seconds),
            created_at: seconds(row.created_at),
            created_by: row.created_by.clone(),
            secrets: secrets.collect(),
            terms: serde_json::from_str(&row.terms).unwrap_or_default(),
        }))
    }
}
