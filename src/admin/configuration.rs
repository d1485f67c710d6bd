//! The configuration: what is in force, what another text would change, and putting one in force.

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::editing::{Compared, NotTaken, Past, Written};
use super::form::{Answer, Body, Content, Form, Need, of};
use super::trail::Note;
use super::{Operator, Reloaded, Seen, problem};
use crate::config::{FILE_MAX, Problem, Severity};

/// Longest body: a file, and what JSON makes of it.
pub(super) const LONGEST: usize = 2 * FILE_MAX;

const YAML: Body = Body {
    media: "application/yaml",
    shape: of::<String>,
    need: Need::Required,
    doc: "a whole routing.yaml; `REDACTED-…` stands for what the file has there",
};
const INVALID: Answer =
    Answer { status: 422, content: Content::Json(of::<Problems>), doc: "it cannot be used, and why" };
const UNWRITABLE: (u16, &str) = (409, "the file cannot be written, and why");
const STALE: (u16, &str) = (412, "another revision is in force than `If-Match` names");

pub(super) const SHOW: Form =
    Form::json::<Written>("as it is written, but for its secrets; `ETag` is its revision");
pub(super) const HISTORY: Form = Form::json::<History>("the last 32, the oldest first");
pub(super) const VALIDATE: Form =
    Form::json::<Problems>("it can be used; `warnings` are what may surprise").body(YAML).others(&[INVALID]);
pub(super) const DIFF: Form = Form::json::<Compared>("what would be otherwise").body(YAML).others(&[INVALID]);
pub(super) const PUT: Form = Form::json::<Reloaded>("it is written and in force")
    .body(YAML)
    .others(&[INVALID])
    .refuses(&[UNWRITABLE, STALE])
    .does("config.put");
pub(super) const ROLLBACK: Form = Form::json::<Reloaded>("it is written and in force again")
    .takes::<Wanted>(Need::Required, "which of the history's revisions")
    .others(&[INVALID])
    .refuses(&[
        (400, "the body names no revision"),
        (404, "the history has no such revision"),
        UNWRITABLE,
        STALE,
    ])
    .does("config.rollback");

#[derive(Serialize, JsonSchema)]
struct History {
    history: Vec<Past>,
}

/// What there is to say of a text.
#[derive(Serialize, JsonSchema)]
pub(super) struct Problems {
    /// Why it cannot be used; empty where it can.
    problems: Vec<ProblemStatus>,
    warnings: Vec<ProblemStatus>,
}

/// Something that is wrong, or may surprise.
#[derive(Serialize, JsonSchema)]
struct ProblemStatus {
    severity: &'static str,
    /// The file that it is in, where that is not routing.yaml.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// `routes[0].channels[1].weight`; empty for the file as a whole.
    path: String,
    /// Both from 1; 0 where there is no place.
    line: usize,
    column: usize,
    message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The name that was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<String>,
}

/// One of the history.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    revision: String,
}

pub(super) async fn show(State(running): Seen) -> Response {
    let written = running.editing().written();
    let tag = HeaderValue::try_from(format!("\"{}\"", written.revision));
    let mut response = Json(written).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

pub(super) async fn history(State(running): Seen) -> Response {
    Json(History { history: running.editing().history() }).into_response()
}

pub(super) async fn validate(State(running): Seen, text: String) -> Response {
    match running.editing().check(text).await {
        Ok(warnings) => Json(Problems::of(warnings)).into_response(),
        Err(problems) => invalid(problems),
    }
}

pub(super) async fn diff(State(running): Seen, text: String) -> Response {
    match running.editing().compare(text).await {
        Ok(compared) => Json(compared).into_response(),
        Err(problems) => invalid(problems),
    }
}

pub(super) async fn put(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    text: String,
) -> Response {
    let editing = running.editing();
    let Written { revision: before, source, .. } = editing.written();
    let expected = expected(&headers);
    let result = editing.put(text, expected.as_deref(), &operator.0).await;
    concluded(result, &before, &source)
}

pub(super) async fn roll_back(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let wanted: Wanted = match serde_json::from_str(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            let why = format!("the body says {{\"revision\": …}}, one of GET /admin/config/history: {error}");
            return problem(StatusCode::BAD_REQUEST, why);
        }
    };
    let editing = running.editing();
    let Written { revision: before, source, .. } = editing.written();
    let expected = expected(&headers);
    let result = editing.roll_back(&wanted.revision, expected.as_deref(), &operator.0).await;
    concluded(result, &before, &source)
}

/// The revision that has to be in force, where there is one (RFC 9110, section 13.1.1).
fn expected(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(IF_MATCH)?.to_str().unwrap_or_default().trim();
    (said != "*").then(|| said.trim_matches('"').to_owned())
}

fn concluded(result: Result<Reloaded, NotTaken>, before: &str, source: &str) -> Response {
    let note = |detail| Note::new(detail).about(source);
    match result {
        Ok(reloaded) => {
            let (Reloaded::Applied { revision } | Reloaded::Unchanged { revision }) = &reloaded;
            note(json!({ "before": before, "after": revision })).on(Json(reloaded))
        }
        Err(not_taken) => note(json!({ "before": before, "result": "refused" })).on(match not_taken {
            NotTaken::Stale { revision } => {
                let why = format!("revision {revision} is in force by now; look at it, and send yours again");
                problem(StatusCode::PRECONDITION_FAILED, why)
            }
            NotTaken::Problems(problems) => invalid(problems),
            NotTaken::Unknown => {
                let why = "the history has no such revision; GET /admin/config/history lists those it has";
                problem(StatusCode::NOT_FOUND, why)
            }
            NotTaken::Unwritable(why) => problem(StatusCode::CONFLICT, why),
        }),
    }
}

fn invalid(problems: Vec<Problem>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(Problems::of(problems))).into_response()
}

impl Problems {
    pub fn of(all: Vec<Problem>) -> Self {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|problem| problem.severity == Severity::Error);
        let shown = |problems: Vec<Problem>| problems.into_iter().map(ProblemStatus::of).collect();
        Self { problems: shown(errors), warnings: shown(warnings) }
    }
}

impl ProblemStatus {
    fn of(problem: Problem) -> Self {
        let nearest = problem.nearest().map(str::to_owned);
        let Problem { severity, file, path, line, column, message, hint, .. } = problem;
        Self { severity: severity.name(), file, path, line, column, message, hint, nearest }
    }
}
