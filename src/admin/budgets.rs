//! What everybody may spend, and has spent in the present day, week or month, as far as this replica knows.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::Seen;
use super::form::Form;
use crate::access::budgets;
use crate::config::Exceeded;

pub(super) const BUDGETS: Form = Form::json::<Budgets>("every budget, with what is left of it");

#[derive(Serialize, JsonSchema)]
pub(super) struct Budgets {
    budgets: Vec<BudgetStatus>,
}

#[derive(Serialize, JsonSchema)]
struct BudgetStatus {
    level: &'static str,
    name: String,
    per: &'static str,
    limit_nano_usd: u64,
    spent_nano_usd: u64,
    /// What requests under way may cost at most.
    reserved_nano_usd: u64,
    left_nano_usd: u64,
    /// In seconds since the Unix epoch.
    begins_at: u64,
    ends_at: Option<u64>,
    on_exceeded: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgrade_to: Option<String>,
    /// Shares of the limit at which operators are told.
    soft: Vec<String>,
}

pub(super) async fn budgets(State(running): Seen) -> Json<Budgets> {
    let budgets = running.budgets().into_iter().map(status).collect();
    Json(Budgets { budgets })
}

fn status(seen: budgets::Seen) -> BudgetStatus {
    let left = seen.left();
    let budgets::Seen { holder, name, budget, spent, reserved, begins, ends } = seen;
    let (on_exceeded, downgrade_to) = match budget.exceeded {
        Exceeded::Refuse => ("refuse", None),
        Exceeded::Alert => ("alert", None),
        Exceeded::Downgrade(to) => ("downgrade", Some(to.to_string())),
    };
    BudgetStatus {
        level: holder.name(),
        name: name.to_string(),
        per: budget.per.name(),
        limit_nano_usd: budget.limit.as_nano_usd(),
        spent_nano_usd: spent.as_nano_usd(),
        reserved_nano_usd: reserved.as_nano_usd(),
        left_nano_usd: left.as_nano_usd(),
        begins_at: begins,
        ends_at: ends,
        on_exceeded,
        downgrade_to,
        soft: budget.soft.iter().map(ToString::to_string).collect(),
    }
}
