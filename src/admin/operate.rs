//! What an operator does to an upstream, or to one model of it, while the gateway runs. What is said here outlives
//! reloads and the process (`state::overrides`); the file is not touched.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::form::{Form, Need};
use super::overridden::OverrideStatus;
use super::status::{BreakerStatus, of_gate};
use super::trail::Note;
use super::upstreams::{near, unknown};
use super::{Operator, Probed, Running, Seen, problem};
use crate::config;
use crate::state::Table;
use crate::state::model::Model;
use crate::state::overrides::{Kind, Override, Subject};
use crate::state::upstream::Upstream;

/// How long a breaker is held closed where nobody says.
const RESTORED_FOR: Duration = Duration::from_mins(10);
/// Longest time that can be asked for; what is to last longer has no `for`.
const LONGEST: Duration = Duration::from_hours(24 * 365);
/// Characters of a reason.
const REASON_MAX: usize = 500;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Say(Kind),
    /// Take back what was said.
    Enable,
    Reset,
    Probe,
}

const fn form(deed: &'static str, doc: &'static str) -> Form {
    Form::json::<Acted>(doc)
        .takes::<Asked>(Need::Optional, "of which model, for how long, and why")
        .refuses(REFUSALS)
        .does(deed)
}

const REFUSALS: &[(u16, &str)] = &[
    (400, "what makes no sense of the body"),
    (404, "no upstream is called so, or it serves no model of this name"),
    (409, "operators have said something of too many upstreams and models"),
];

pub(super) const DISABLE: Form = form("upstream.disable", "no request goes there any more");
pub(super) const DRAIN: Form = form("upstream.drain", "nothing new goes there; `in_flight` is what is left");
pub(super) const TRIP: Form = form("upstream.trip", "its breaker is open, whatever the evidence");
pub(super) const RESTORE: Form = form("upstream.restore", "its breaker is closed, whatever the evidence");
pub(super) const ENABLE: Form = form("upstream.enable", "the gateway decides by itself again");
pub(super) const RESET: Form = form("upstream.reset", "what was held against it is forgotten");
pub(super) const PROBE: Form = form("upstream.probe", "what came of the probe is in `probe`");

/// The last word of the paths, and the handler, of an action.
macro_rules! actions {
    ($($name:ident = $action:expr;)*) => {
        $(pub(super) async fn $name(
            State(running): Seen,
            Extension(operator): Extension<Operator>,
            Path(upstream): Path<String>,
            body: String,
        ) -> Response {
            act(running, operator, stringify!($name), $action, upstream, body).await
        })*
    };
}

actions! {
    disable = Action::Say(Kind::Disabled);
    drain = Action::Say(Kind::Draining);
    trip = Action::Say(Kind::ForcedOpen);
    restore = Action::Say(Kind::ForcedClosed);
    enable = Action::Enable;
    reset = Action::Reset;
    probe = Action::Probe;
}

/// The body, all of which may be left out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// One model of it; else all of it.
    model: Option<String>,
    /// How long it holds, as `10m`; else until it is taken back.
    #[serde(rename = "for")]
    lasting: Option<String>,
    #[serde(default)]
    reason: String,
}

/// What is asked for, when it makes sense.
struct Order {
    action: Action,
    lasting: Option<Duration>,
    reason: String,
}

/// What was done.
#[derive(Serialize, JsonSchema)]
struct Acted {
    upstream: String,
    model: Option<String>,
    action: &'static str,
    /// What is said of it now.
    #[serde(rename = "override")]
    overridden: Option<OverrideStatus>,
    /// Attempts that are under way there: what is left of a drain.
    in_flight: u32,
    /// What probes say of the upstream.
    health: &'static str,
    /// Null where the model has none of its own.
    breaker: Option<BreakerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probed>,
}

async fn act(
    running: Arc<dyn Running>,
    operator: Operator,
    verb: &'static str,
    action: Action,
    name: String,
    body: String,
) -> Response {
    let table = running.table();
    let Some(upstream) = table.upstreams.iter().find(|known| *known.config.name == *name) else {
        return unknown(&table, &name);
    };
    let (order, model) = match read(&body, action) {
        Ok(read) => read,
        Err(why) => return problem(StatusCode::BAD_REQUEST, why),
    };
    let model = match model.map(|model| find(&table, upstream, &model)).transpose() {
        Ok(model) => model,
        Err(why) => return problem(StatusCode::NOT_FOUND, why),
    };
    if let Some(model) = &model
        && let Action::Say(Kind::ForcedOpen | Kind::ForcedClosed) = action
        && model.gate.is_none()
    {
        let why = format!("{} of {name} has no breaker of its own; leave `model` out", model.name);
        return problem(StatusCode::BAD_REQUEST, why);
    }
    carry_out(&*running, &operator, verb, &order, upstream, model).await
}

/// What the body says, and of which model.
fn read(body: &str, action: Action) -> Result<(Order, Option<String>), String> {
    let said = if body.trim().is_empty() { "{}" } else { body };
    let asked: Asked = serde_json::from_str(said)
        .map_err(|error| format!("the body may say {{\"model\", \"for\", \"reason\"}}: {error}"))?;
    let Asked { model, lasting, reason } = asked;
    if reason.chars().count() > REASON_MAX || reason.chars().any(char::is_control) {
        return Err(format!("`reason` is one line of at most {REASON_MAX} characters"));
    }
    let lasting = lasting.map(|text| span(&text)).transpose()?;
    let lasting = match action {
        Action::Say(Kind::ForcedClosed) => Some(lasting.unwrap_or(RESTORED_FOR)),
        Action::Say(Kind::Disabled | Kind::Draining | Kind::ForcedOpen) => lasting,
        Action::Enable | Action::Reset | Action::Probe if lasting.is_some() => {
            return Err("this is done at once; leave `for` out".to_owned());
        }
        Action::Enable | Action::Reset | Action::Probe => None,
    };
    if action == Action::Probe && model.is_some() {
        return Err("probes are of the upstream as a whole; leave `model` out".to_owned());
    }
    Ok((Order { action, lasting, reason }, model))
}

/// A time that something is to hold for.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span = config::duration(text).map_err(|why| format!("`for`: {why}"))?;
    if span < Duration::from_secs(1) || span > LONGEST {
        return Err(format!("`for` is 1s to {} days", LONGEST.as_secs() / 86_400));
    }
    Ok(span)
}

/// The memory of a model that requests to this upstream may name.
fn find(table: &Table, upstream: &Upstream, name: &str) -> Result<Arc<Model>, String> {
    let memory = &upstream.memory;
    if let Some(model) = memory.models.get(name).filter(|model| !model.name.is_empty()) {
        return Ok(Arc::clone(&model));
    }
    let channels = table.routes.iter().flat_map(|route| route.channels.iter());
    let channels: Vec<_> = channels.filter(|channel| Arc::ptr_eq(&channel.upstream.memory, memory)).collect();
    // Under a pattern callers may name it any time.
    if let Some(open) = channels.iter().find(|channel| !channel.has_own_model())
        && !name.is_empty()
    {
        return Ok(memory.model(name, Some(&open.config.breaker)));
    }
    let known: Vec<_> = channels.iter().filter_map(|channel| channel.own_model()).collect();
    let near = near(name, known.iter().map(|model| &*model.name));
    Err(format!("no channel serves {name} from {}{near}", upstream.config.name))
}

async fn carry_out(
    running: &dyn Running,
    operator: &Operator,
    verb: &'static str,
    order: &Order,
    upstream: &Upstream,
    model: Option<Arc<Model>>,
) -> Response {
    let table = running.table();
    let now = table.live.now();
    let name = &upstream.config.name;
    let subject =
        Subject { upstream: Arc::clone(name), model: model.as_ref().map(|model| Arc::clone(&model.name)) };
    let mut probed = None;
    match order.action {
        Action::Say(kind) => {
            let said = Override::new(kind, order.lasting, &order.reason, &operator.0, &table.live.clock);
            if let Err(error) = table.say(&subject, &said) {
                return problem(StatusCode::CONFLICT, error.to_string());
            }
        }
        Action::Enable => {
            table.unsay(&subject, &order.reason);
        }
        Action::Reset => match &model {
            None => upstream.reset(now),
            Some(model) => upstream.reset_model(model, now),
        },
        Action::Probe => match running.probe(name).await {
            Some(answer) => probed = Some(answer),
            None => return unknown(&running.table(), name),
        },
    }
    let now = table.live.now();
    let (gate, in_flight) = match &model {
        None => (Some(&upstream.memory.gate), upstream.memory.in_flight.load(Relaxed)),
        Some(model) => (model.gate.as_ref(), model.in_flight()),
    };
    let said = table.live.overrides.of(name, subject.model.as_deref(), now);
    let note = Note::new(json!({
        "for_seconds": order.lasting.map(|lasting| lasting.as_secs_f64()),
        "reason": order.reason,
        "in_flight": in_flight,
        "probe": probed.as_ref().map(|probed| probed.result),
    }));
    note.about(subject.to_string()).on(Json(Acted {
        upstream: name.to_string(),
        model: subject.model.as_deref().map(str::to_owned),
        action: verb,
        overridden: said.map(|said| OverrideStatus::of(&said, now)),
        in_flight,
        health: upstream.memory.health().name(),
        breaker: gate.map(|gate| of_gate(gate, now)),
        probe: probed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_a_word_why() {
        let drain = Action::Say(Kind::Draining);
        let refused = [
            (drain, "{", "the body may say"),
            (drain, r#"{"modle": "m"}"#, "unknown field `modle`"),
            (drain, r#"{"for": "soon"}"#, "`for`: "),
            (drain, r#"{"for": "0s"}"#, "`for` is 1s to 365 days"),
            (drain, r#"{"for": "400d"}"#, "`for`"),
            (drain, "{\"reason\": \"two\\nlines\"}", "one line"),
            (Action::Enable, r#"{"for": "10m"}"#, "leave `for` out"),
            (Action::Reset, r#"{"for": "10m"}"#, "leave `for` out"),
            (Action::Probe, r#"{"model": "m"}"#, "leave `model` out"),
        ];
        for (action, body, expected) in refused {
            let why = read(body, action).err().expect(body);
            assert!(why.contains(expected), "{body}: {why}");
        }
        let lasting = |action, body: &str| read(body, action).map(|(order, _)| order.lasting);
        assert_eq!(lasting(drain, ""), Ok(None));
        assert_eq!(
            lasting(drain, r#"{"for": "90s", "reason": "bad deploy"}"#),
            Ok(Some(Duration::from_secs(90)))
        );
        assert_eq!(lasting(Action::Say(Kind::ForcedClosed), "{}"), Ok(Some(RESTORED_FOR)));
    }
}
