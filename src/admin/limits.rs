//! What callers have used of their limits, as JSON: of all who have asked for anything since the start, and are not
//! forgotten by now. Where replicas count together, each shows what came through itself.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::Seen;
use super::form::Form;
use crate::access::limits;

pub(super) const LIMITS: Form = Form::json::<Limits>("everybody who has asked for something lately");

#[derive(Serialize, JsonSchema)]
pub(super) struct Limits {
    /// That count together, as far as this one knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<u32>,
    holders: Vec<HolderLimits>,
}

#[derive(Serialize, JsonSchema)]
struct HolderLimits {
    level: &'static str,
    name: String,
    limits: Vec<LimitStatus>,
}

#[derive(Serialize, JsonSchema)]
struct LimitStatus {
    limit: &'static str,
    allowed: u64,
    used: u64,
    /// Until nothing counts any more of what does now.
    whole_in_seconds: f64,
}

pub(super) async fn limits(State(running): Seen) -> Json<Limits> {
    let (replicas, seen) = running.limits();
    let holders = seen.into_iter().map(|limits::Seen { holder, name, rows }| HolderLimits {
        level: holder.name(),
        name: name.to_string(),
        limits: rows
            .into_iter()
            .map(|limits::Row { unit, limit, used, whole_in }| LimitStatus {
                limit: unit.name(),
                allowed: limit,
                used,
                whole_in_seconds: whole_in.as_secs_f64(),
            })
            .collect(),
    });
    Json(Limits { replicas, holders: holders.collect() })
}
