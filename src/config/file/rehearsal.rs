//! What a rehearsal reads beside routing.yaml, as it is written: the script of outages and the workload.

use schemars::JsonSchema;
use serde::Deserialize;

use super::indexed::Named;
use super::names::{DialectName, FaultName, PriorityName};
use crate::config::units::Span;

/// What goes wrong, with whom and when.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "outage.yaml", extend("required" = ["outages"]))]
pub struct Script {
    /// How upstreams answer while nothing is wrong, by name.
    pub upstreams: Named<Habits>,
    /// Outages, in any order; they may overlap.
    pub outages: Vec<Outage>,
}

/// How an upstream answers while nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// Median time to the first token (500ms).
    pub ttft: Option<Span>,
    /// Between two tokens (15ms).
    pub pace: Option<Span>,
    /// Tokens of a prompt that it reads in a second: the first token comes the later the longer the prompt is (10000;
    /// 2000 for servers that one runs oneself, such as ollama and vllm; for simulated ones prompts take no time).
    #[schemars(range(min = 1))]
    pub prefill_tokens_per_second: Option<u32>,
    /// Requests that it serves at the same moment; those above get an overload (no limit).
    #[schemars(range(min = 1))]
    pub capacity: Option<u32>,
}

/// One thing that goes wrong for a while.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from", "to"]))]
pub struct Outage {
    /// The upstream of routing.yaml that it befalls.
    #[schemars(length(min = 1))]
    pub upstream: Option<String>,
    /// Or every upstream of this provider.
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// Or every upstream that shares this fate: what `fate:` says, or else the provider (`openai`), with its region
    /// where there is one (`bedrock/eu-west-3`).
    #[schemars(length(min = 1))]
    pub fate: Option<String>,
    /// Only this model, as the upstream names it.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// Only requests with this one of its keys, counted from 1 as in `openai#1`.
    #[schemars(range(min = 1))]
    pub key: Option<u32>,
    /// When it begins, from the start of the rehearsal.
    pub from: Option<Span>,
    /// When it is over, from the start of the rehearsal.
    pub to: Option<Span>,
    /// How requests fail.
    pub fault: Option<FaultName>,
    /// Share of the requests that fail or are slow (1).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: Option<f64>,
    /// What it asks callers to wait, with 429, 503 and 529.
    pub retry_after: Option<Span>,
    /// Whether it says `retry_after` as a date, by its own clock (false).
    pub dated: Option<bool>,
    /// Requests that it still serves at the same moment; those above get an overload.
    pub capacity: Option<u32>,
    /// What is added to the time to the first token.
    pub latency: Option<Span>,
    /// Whether `latency` grows from nothing to its full length over the outage (false).
    pub creeping: Option<bool>,
    /// It comes and goes.
    pub flapping: Option<Flapping>,
}

/// By turns down and up, down first.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["down", "up"]))]
pub struct Flapping {
    pub down: Option<Span>,
    pub up: Option<Span>,
}

/// What callers ask for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "workload.yaml", extend("required" = ["mix"]))]
pub struct Workload {
    /// Requests a second, at random moments (20).
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate: Option<f64>,
    /// Kinds of requests.
    #[schemars(length(min = 1))]
    pub mix: Vec<Call>,
}

/// One kind of requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Call {
    /// The model as callers name it.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// Or the path, for plain HTTP.
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// How many of all requests, relative to the others (1).
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub share: Option<f64>,
    /// In which dialect they ask (that of the route's first channel).
    pub dialect: Option<DialectName>,
    /// Whether the answer streams (true).
    pub stream: Option<bool>,
    /// Tokens of the prompt (1000).
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer (300).
    pub answer_tokens: Option<u64>,
    /// Share of the callers who hang up before their answer is whole (0).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub hang_up: Option<f64>,
    /// The name of the key with which they ask, as routing.yaml has it: it says how much they matter.
    #[schemars(length(min = 1))]
    pub key: Option<String>,
    /// The priority that they ask for with `x-mainstay-priority`.
    pub priority: Option<PriorityName>,
}
