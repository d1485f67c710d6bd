//! Callers' keys: shown, made, changed, rotated, ended. What is in routing.yaml is shown and not touched.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use super::form::{Body, Content, Form, Need, anything};
use super::trail::Note;
use super::{Operator, Running, Seen, problem};
use crate::access::{Access, Desk, Key, Maker, OVERLAP, Refused};
use crate::config::{self, Known, Level};
use crate::state::Table;
use crate::store::{Error, KeyRow};

/// Longest time that a replaced secret goes on.
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 90);

/// What may be said of any of them.
const NO_DESK: (u16, &str) =
    (409, "keys can be made once routing.yaml has a `store` and a `server.key_hash_secret`");
const MISSING: (u16, &str) = (404, "no managed key is called this");
const NO_JSON: (u16, &str) = (400, "the body is no JSON object, or says what it cannot");
const WRONG: (u16, &str) = (422, "what it says of the key is wrong, with all the reasons");
const AWAY: (u16, &str) = (503, "the store is away");

pub(super) const LIST: Form = Form::gives(Content::Json(anything), "all of them");
pub(super) const SHOW: Form =
    Form::gives(Content::Json(anything), "the key").refuses(&[(404, "no key is called this")]);
pub(super) const CREATE: Form =
    Form::gives(Content::Json(anything), "the key, and its secret for the only time")
        .status(201)
        .body(SAID)
        .refuses(&[NO_JSON, (409, "there is such a key, or nowhere to keep it"), WRONG, AWAY])
        .does("key.create");
pub(super) const CHANGE: Form = Form::gives(Content::Json(anything), "the key as it is now")
    .body(SAID)
    .refuses(&[NO_JSON, MISSING, NO_DESK, WRONG, AWAY])
    .does("key.change");
pub(super) const DELETE: Form = Form::gives(Content::Json(anything), "the key as it was")
    .refuses(&[MISSING, NO_DESK, AWAY])
    .does("key.delete");
pub(super) const ROTATE: Form =
    Form::gives(Content::Json(anything), "the key, and its new secret for the only time")
        .body(OVERLAPPING)
        .refuses(&[NO_JSON, MISSING, NO_DESK, AWAY])
        .does("key.rotate");
pub(super) const DISABLE: Form = Form::gives(Content::Json(anything), "the key as it is now")
    .refuses(&[MISSING, NO_DESK, AWAY])
    .does("key.disable");
pub(super) const ENABLE: Form = Form::gives(Content::Json(anything), "the key as it is now")
    .refuses(&[MISSING, NO_DESK, AWAY])
    .does("key.enable");

const SAID: Body = Body {
    media: "application/json",
    shape: anything,
    need: Need::Required,
    doc: "what is said of it: `name` (when it is made), `organisation`, `team`, `user`, `expires`, and what a key under           `keys:` may have: `tags`, `allow`, `limits`, `budgets`, `max_cost`, `priority`, `max_priority`",
};
const OVERLAPPING: Body = Body {
    media: "application/json",
    shape: anything,
    need: Need::Optional,
    doc: "{\"overlap\": \"24h\"}: how long the old secret goes on, 90d at most; 0s ends it now",
};

pub(super) async fn list(State(running): Seen) -> Response {
    let written = running.access().written();
    let mut keys: Vec<Value> = written.iter().map(|key| written_key(key)).collect();
    let desk = running.desk();
    if let Some(desk) = &desk {
        keys.extend(desk.managed().rows().iter().map(shown));
    }
    let heard = desk.and_then(|desk| desk.managed().heard());
    Json(json!({ "keys": keys, "store_heard_at": heard.map(|heard| heard.as_secs_f64()) })).into_response()
}

pub(super) async fn show(State(running): Seen, Path(name): Path<String>) -> Response {
    let managed = running.desk().and_then(|desk| desk.managed().row(&name));
    if let Some(row) = managed {
        return Json(shown(&row)).into_response();
    }
    let written = running.access().written();
    let found = written.iter().find(|key| *key.name == *name);
    found.map_or_else(|| missing(&name), |key| Json(written_key(key)).into_response())
}

pub(super) async fn create(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    body: String,
) -> Response {
    let (desk, said) = match (managed(&running), object(&body)) {
        (Ok(desk), Ok(said)) => (desk, said),
        (Err(refusal), _) | (_, Err(refusal)) => return *refusal,
    };
    let name = said.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if running.access().written().iter().any(|key| *key.name == *name) {
        return problem(StatusCode::CONFLICT, format!("routing.yaml has a key called {name}"));
    }
    let here = Here::of(&running);
    match desk.create(said, &here.maker(&operator)).await {
        Ok((row, secret)) => {
            running.stock();
            let note = Note::new(json!({ "after": shown(&row) })).about(name);
            let mut answer = shown(&row);
            answer["secret"] = secret.expose().into();
            note.on((StatusCode::CREATED, Json(answer)))
        }
        Err(refused) => refusal(&refused, &name),
    }
}

pub(super) async fn change(
    State(running): Seen,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
    body: String,
) -> Response {
    let (desk, said) = match (managed(&running), object(&body)) {
        (Ok(desk), Ok(said)) => (desk, said),
        (Err(refusal), _) | (_, Err(refusal)) => return *refusal,
    };
    if said.contains_key("name") {
        return problem(StatusCode::BAD_REQUEST, "a key keeps its name, by which bills know it");
    }
    let here = Here::of(&running);
    let result = desk.change(&name, said, &here.maker(&operator)).await;
    done(&running, &name, result)
}

/// What becomes of a key as a whole.
#[derive(Clone, Copy)]
enum Turn {
    Disable,
    Enable,
    Delete,
}

pub(super) async fn disable(State(running): Seen, Path(name): Path<String>) -> Response {
    turn(&running, &name, Turn::Disable).await
}

pub(super) async fn enable(State(running): Seen, Path(name): Path<String>) -> Response {
    turn(&running, &name, Turn::Enable).await
}

pub(super) async fn delete(State(running): Seen, Path(name): Path<String>) -> Response {
    turn(&running, &name, Turn::Delete).await
}

async fn turn(running: &Arc<dyn Running>, name: &str, turn: Turn) -> Response {
    let desk = match managed(running) {
        Ok(desk) => desk,
        Err(refusal) => return *refusal,
    };
    let now = now(running);
    let result = match turn {
        Turn::Disable => desk.disable(name, now).await,
        Turn::Enable => desk.enable(name, now).await,
        Turn::Delete => desk.delete(name, now).await,
    };
    done(running, name, result)
}

/// `{"overlap": "24h"}` or nothing.
pub(super) async fn rotate(State(running): Seen, Path(name): Path<String>, body: String) -> Response {
    let body = if body.trim().is_empty() { "{}" } else { &body };
    let (desk, said) = match (managed(&running), object(body)) {
        (Ok(desk), Ok(said)) => (desk, said),
        (Err(refusal), _) | (_, Err(refusal)) => return *refusal,
    };
    let overlap = match said.get("overlap").map(|overlap| overlap.as_str().map(config::duration)) {
        None => OVERLAP,
        Some(Some(Ok(overlap))) if overlap <= LONGEST_OVERLAP && said.len() == 1 => overlap,
        Some(_) => {
            return problem(
                StatusCode::BAD_REQUEST,
                "`overlap` is how long the old secret goes on: a duration of 90d at most, as \"24h\"; 0s ends it now",
            );
        }
    };
    match desk.rotate(&name, overlap, now(&running)).await {
        Ok((row, secret)) => {
            running.stock();
            let note = Note::new(json!({ "overlap_seconds": overlap.as_secs_f64(), "after": shown(&row) }));
            let mut answer = shown(&row);
            answer["secret"] = secret.expose().into();
            note.on(Json(answer))
        }
        Err(refused) => refusal(&refused, &name),
    }
}

fn done(running: &Arc<dyn Running>, name: &str, result: Result<(KeyRow, KeyRow), Refused>) -> Response {
    match result {
        Ok((before, after)) => {
            running.stock();
            let after = shown(&after);
            Note::new(json!({ "before": shown(&before), "after": after.clone() })).on(Json(after))
        }
        Err(refused) => refusal(&refused, name),
    }
}

/// What is in force at this moment.
struct Here {
    table: Arc<Table>,
    access: Arc<Access>,
}

impl Here {
    fn of(running: &Arc<dyn Running>) -> Self {
        Self { table: running.table(), access: running.access() }
    }

    fn maker<'a>(&'a self, operator: &'a Operator) -> Maker<'a> {
        let upstreams = self.table.upstreams.iter().map(|upstream| &upstream.config);
        let routes = self.table.routes.iter().map(|route| &route.config);
        let mut dice = self.table.live.dice();
        Maker {
            by: &operator.0,
            now: self.table.live.clock.unix_now(),
            chance: u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64()),
            members: self.access.members(),
            known: Known::now(upstreams, routes),
        }
    }
}

fn now(running: &Arc<dyn Running>) -> Duration {
    running.table().live.clock.unix_now()
}

fn managed(running: &Arc<dyn Running>) -> Result<Arc<Desk>, Box<Response>> {
    running.desk().ok_or_else(|| {
        Box::new(problem(
            StatusCode::CONFLICT,
            "keys can be made here once routing.yaml has a `store` and a `server.key_hash_secret`",
        ))
    })
}

fn object(body: &str) -> Result<Map<String, Value>, Box<Response>> {
    let refused = |why: String| Box::new(problem(StatusCode::BAD_REQUEST, why));
    match serde_json::from_str(body) {
        Ok(Value::Object(said)) => Ok(said),
        Ok(_) => Err(refused("the body is no JSON object".to_owned())),
        Err(error) => Err(refused(format!("the body is no JSON: {error}"))),
    }
}

fn missing(name: &str) -> Response {
    problem(StatusCode::NOT_FOUND, format!("no key is called {name}; GET /admin/keys lists them"))
}

fn refusal(refused: &Refused, name: &str) -> Response {
    match refused {
        Refused::Missing => problem(
            StatusCode::NOT_FOUND,
            format!("no managed key is called {name}; GET /admin/keys lists them"),
        ),
        Refused::Wrong(problems) => problem(StatusCode::UNPROCESSABLE_ENTITY, problems.join("; ")),
        Refused::Store(error @ (Error::Taken | Error::Changed)) => {
            problem(StatusCode::CONFLICT, format!("{name}: {error}"))
        }
        Refused::Store(error @ (Error::Away(_) | Error::Late | Error::Refused(_))) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        Refused::NoSecret => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "this machine gives no randomness to make a secret of")
        }
    }
}

/// A key of the file, for people.
fn written_key(key: &Key) -> Value {
    let at = |level| key.lineage.at(level).map(|member| member.name.to_string());
    let own = key.lineage.at(Level::Key);
    json!({
        "name": &*key.name,
        "source": "file",
        "organisation": at(Level::Organisation),
        "team": at(Level::Team),
        "user": at(Level::User),
        "tags": key.lineage.tags().iter().map(|(name, value)| (name.to_string(), value.to_string().into())).collect::<Map<_, _>>(),
        "expires": own.and_then(|own| own.expires).map(|expires| expires.as_secs_f64()),
    })
}

/// A managed key, for people; nothing in it helps anybody to call.
fn shown(row: &KeyRow) -> Value {
    let seconds = |micros: i64| micros as f64 / 1e6;
    let mut shown = json!({
        "name": &*row.name,
        "source": "store",
        "id": row.id.to_string(),
        "begins": format!("ms-{}", row.prefix),
        "organisation": row.organisation.as_deref(),
        "team": row.team.as_deref(),
        "user": row.user.as_deref(),
        "disabled_at": row.disabled_at.map(seconds),
        "deleted_at": row.deleted_at.map(seconds),
        "expires": row.expires_at.map(seconds),
        "created_at": seconds(row.created_at),
        "created_by": row.created_by,
        "secrets": row.digests.iter().map(|digest| json!({
            "from": seconds(digest.valid_from),
            "to": digest.valid_to.map(seconds),
        })).collect::<Vec<_>>(),
    });
    if let (Value::Object(shown), Ok(Value::Object(terms))) = (&mut shown, serde_json::from_str(&row.terms)) {
        shown.extend(terms);
    }
    shown
}
