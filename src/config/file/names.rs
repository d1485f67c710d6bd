//! Words of the file that name something closed. Where another room owns the list of names, the
//! schema is made from that list.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::catalog;
use crate::config::rehearsal::FAULTS;
use crate::dialect::provider::PROVIDERS;
use crate::dialect::{Dialect, Operation};
use crate::strategy;
use crate::vocab::{AlertKind, OperatorScope};

/// Every dialect that an upstream can speak.
pub const DIALECTS: [Dialect; 8] = Dialect::ALL;

/// What a key may be restricted to: whatever callers can ask for, but lists of models, which show no more than what
/// the key may use, and what another name allows with it.
pub fn endpoints() -> impl Iterator<Item = Operation> {
    use Operation::{Model, Models, OllamaChat, OllamaEmbed, VertexPredict};
    let others = [Model, Models, OllamaChat, OllamaEmbed, VertexPredict];
    let may = move |operation: &Operation| !others.contains(operation) && operation.endpoint() == *operation;
    Operation::ALL.into_iter().filter(may)
}

/// Declares a word whose names come from a list of another room.
macro_rules! name {
    ($($(#[$meta:meta])* $name:ident, $what:literal, $about:literal, $names:expr;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let names: Vec<&str> = $names.collect();
                json_schema!({"type": "string", "enum": names, "x-what": $what, "description": $about})
            }
        }
    )+};
}

name! {
    /// A row of the provider table.
    ProviderName, "provider", "Who is at the other end; `http` for any HTTP service, `custom` for anything else that \
        speaks a known dialect, `simulated` for the built-in one.", PROVIDERS.iter().map(|row| row.name);
    /// A wire language.
    DialectName, "dialect", "A wire language.", DIALECTS.iter().map(|dialect| dialect.name());
    /// What a model is for.
    ModeName, "mode", "What the model is for.", catalog::MODES.iter().map(|(_, word, _)| *word);
    /// Something that some models can do.
    AbilityName, "known ability", "Something that some models can do.",
        catalog::ABILITIES.iter().map(|(_, word, _)| *word);
    /// A thing to ask for.
    EndpointName, "kind of request", "A kind of request.", endpoints().map(Operation::name);
    /// Something that operators are told of.
    AlertName, "kind of alert", "Something that operators are told of.", AlertKind::ALL.iter().map(|kind| kind.name());
    /// What an operator may do.
    OperatorScopeName, "scope", "What an operator may do.", OperatorScope::GIVEN.iter().map(|scope| scope.name());
    /// A fault that an upstream can commit.
    FaultName, "fault of upstreams", "How requests to an upstream fail.", FAULTS.iter().map(|fault| fault.name());
    /// A way to pick among channels.
    StrategyName, "strategy", "How a channel is picked among the eligible ones (weighted_round_robin).",
        strategy::Kind::ALL.iter().map(|kind| kind.name());
}

/// One dialect, or several.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dialects {
    One(DialectName),
    Several(Vec<DialectName>),
}

/// A refusal that is nobody's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "kind of refusal"))]
pub enum Refusal {
    /// The prompt does not fit the model's window.
    ContextOverflow,
    /// The provider refused the content.
    ContentPolicy,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "kind of probe"))]
pub enum ProbeKindName {
    /// Open a connection and close it.
    Tcp,
    /// Send one request and look at the status.
    Http,
    /// Ask for the list of models, with a credential.
    ListModels,
    /// Do not probe.
    Off,
}

/// Whether usage is asked for in streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum StreamUsageName {
    /// Ask the upstream for usage in streams, and keep the extra event from callers who did not.
    Ask,
    /// Leave the request alone.
    Leave,
}

/// What becomes of an upstream's answer whose caller hangs up, or which another attempt has overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum OnHangupName {
    /// It is ended at once, and what it has used is estimated (the default).
    Cancel,
    /// It is read to its end, for a minute at most, so that it says itself what it has used.
    Drain,
}

/// What happens to those parts of a request that a channel's dialect cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum UnsupportedName {
    /// Leave them out.
    Drop,
    /// Leave them out, and name them in the header `x-mainstay-dropped` (the default).
    Warn,
    /// Refuse the request, unless another channel can say them.
    Reject,
}

/// Whether a stream that breaks in the middle is continued by another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum ContinuationName {
    /// It ends with an error (the default).
    Off,
    /// By channels of the same tier that serve the same model.
    SameModel,
    /// By any channel of the route and its fallbacks.
    Any,
}

/// Whether callers may bring a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum ByokName {
    /// Who does is refused (the default).
    Off,
    /// Who does pays with it, everybody else with the gateway's.
    Allow,
    /// Who does not is refused.
    Require,
}

/// When the caller gets a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum DeliveryName {
    /// As it comes (the default).
    Streamed,
    /// When it is whole, so that whatever breaks is tried again elsewhere; late, and without a sign of life before.
    Buffered,
}

/// Which HTTP is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum Http2Name {
    /// What TLS settles; HTTP/1.1 without TLS.
    Auto,
    /// Always HTTP/1.1.
    Never,
    /// Always HTTP/2, even without TLS.
    PriorKnowledge,
}

/// Whether a generation is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "choice"))]
pub enum ReplayName {
    /// A generation without an answer is sent again, though it may be paid for twice.
    Allowed,
    /// Only what provably never left is sent again. Where all requests are like this, one of them tries a channel
    /// that may be back, after ten seconds in which nobody did.
    IfUnsent,
}

/// How much requests matter when not all can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "priority"))]
pub enum PriorityName {
    /// What must go through before everything else.
    CriticalPlus,
    /// Somebody waits.
    Critical,
    /// Batches that may wait for minutes.
    SheddablePlus,
    /// Nobody waits for it; it comes again another day.
    Sheddable,
}

/// What to do when no channel is eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-what" = "mode"))]
pub enum PanicModeName {
    /// Send as much as lately succeeded to the best of the bad ones.
    Throttle,
    /// Answer 503 at once.
    FailFast,
    /// Use all channels as if they were healthy.
    All,
}
