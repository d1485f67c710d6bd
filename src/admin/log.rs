//! What the process logs, changed for a while without a restart.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::form::{Form, Need};
use super::operate::span;
use super::trail::Note;
use super::{Running, Seen, problem};
use crate::telemetry::logs::{self, Unturned};

/// How long it lasts where nobody says.
const USUAL: Duration = Duration::from_mins(10);
/// Longest time: what is to be logged for longer is for `telemetry.log`.
const LONGEST: Duration = Duration::from_hours(24);

pub(super) const SHOW: Form = Form::json::<Logged>("what is logged").refuses(&[ELSEWHERE]);
pub(super) const SET: Form = Form::json::<Logged>("what is logged from now on")
    .takes::<Asked>(Need::Required, "what is to be logged, and for how long")
    .refuses(&[(400, "what is no filter, or no time"), ELSEWHERE])
    .does("log.set");
const ELSEWHERE: (u16, &str) = (409, "this process has not set up its log itself");

/// What is to be logged.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// As in `info,mainstay::request=debug`; without it, the usual again.
    filter: Option<String>,
    /// As `10m`, which is what it is where nobody says; a day at most.
    #[serde(rename = "for")]
    lasting: Option<String>,
}

/// What is logged.
#[derive(Serialize, JsonSchema)]
struct Logged {
    filter: String,
    /// What `telemetry.log` and, before it, `MAINSTAY_LOG` say, to which it goes back by itself.
    usual: String,
    /// When it does: Unix time in seconds, and in how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_seconds: Option<f64>,
}

pub(super) async fn show(State(running): Seen) -> Response {
    shown(&*running)
}

pub(super) async fn set(State(running): Seen, body: String) -> Response {
    let asked: Asked = match serde_json::from_str(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let why = format!("the body says {{\"filter\": …, \"for\": \"10m\"}}: {error}");
            return problem(StatusCode::BAD_REQUEST, why);
        }
    };
    let lasting = match asked.lasting.as_deref().map(span).transpose() {
        Ok(lasting) => lasting.unwrap_or(USUAL),
        Err(why) => return problem(StatusCode::BAD_REQUEST, why),
    };
    if lasting > LONGEST {
        return problem(StatusCode::BAD_REQUEST, "`for` is a day at most; set telemetry.log for what lasts");
    }
    let turned = match &asked.filter {
        Some(filter) => logs::turn(filter, lasting, running.table().live.now()),
        None => logs::turn_back(),
    };
    match turned {
        Ok(()) => {
            let for_seconds = asked.filter.is_some().then_some(lasting.as_secs_f64());
            let detail = json!({ "filter": asked.filter, "for_seconds": for_seconds });
            Note::new(detail).about("log").on(shown(&*running))
        }
        Err(unturned) => refused(&unturned),
    }
}

fn shown(running: &dyn Running) -> Response {
    let Some(standing) = logs::standing() else { return refused(&Unturned::Elsewhere) };
    let live = &running.table().live;
    let left = standing.turned.as_ref().map(|turned| turned.until.since(live.now()));
    Json(Logged {
        filter: standing.turned.map_or_else(|| standing.usual.clone(), |turned| turned.filter),
        usual: standing.usual,
        until: left.map(|left| (live.clock.unix_now() + left).as_secs_f64()),
        for_seconds: left.map(|left| left.as_secs_f64()),
    })
    .into_response()
}

fn refused(unturned: &Unturned) -> Response {
    let status = match unturned {
        Unturned::Wrong(_) => StatusCode::BAD_REQUEST,
        Unturned::Elsewhere => StatusCode::CONFLICT,
    };
    problem(status, unturned.to_string())
}
