//! Callers' keys: shown, made, changed, rotated, ended. What is in routing.yaml is shown and not touched.

mod said;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use said::Overlap;
pub(super) use said::{CHANGE, CREATE, DELETE, DISABLE, ENABLE, LIST, ROTATE, SHOW};
use view::{Listed, Made, Shown};

use super::trail::Note;
use super::{Operator, Running, Seen, problem};
use crate::access::{Access, Desk, Maker, OVERLAP, Refused};
use crate::config::{self, Known};
use crate::state::Table;
use crate::store::{Error, KeyRow};

/// Longest time that a replaced secret goes on.
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 90);

pub(super) async fn list(State(running): Seen) -> Response {
    let written = running.access().written();
    let mut keys: Vec<Shown> = written.iter().map(|key| Shown::from(&**key)).collect();
    let desk = running.desk();
    if let Some(desk) = &desk {
        keys.extend(desk.managed().rows().iter().map(|row| Shown::from(&**row)));
    }
    let heard = desk.and_then(|desk| desk.managed().heard());
    Json(Listed { keys, store_heard_at: heard.map(|heard| heard.as_secs_f64()) }).into_response()
}

pub(super) async fn show(State(running): Seen, Path(name): Path<String>) -> Response {
    let managed = running.desk().and_then(|desk| desk.managed().row(&name));
    if let Some(row) = managed {
        return Json(Shown::from(&*row)).into_response();
    }
    let written = running.access().written();
    let found = written.iter().find(|key| *key.name == *name);
    found.map_or_else(|| missing(&name), |key| Json(Shown::from(&**key)).into_response())
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
            let note = Note::new(json!({ "after": Shown::from(&row) })).about(name);
            note.on((StatusCode::CREATED, Json(Made::new(&row, &secret))))
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
    let desk = match managed(&running) {
        Ok(desk) => desk,
        Err(refusal) => return *refusal,
    };
    let body = if body.trim().is_empty() { "{}" } else { &body };
    let said = serde_json::from_str(body).ok().and_then(|Overlap { overlap }| match overlap {
        None => Some(OVERLAP),
        Some(overlap) => config::duration(&overlap).ok().filter(|overlap| *overlap <= LONGEST_OVERLAP),
    });
    let Some(overlap) = said else {
        return problem(
            StatusCode::BAD_REQUEST,
            "`overlap` is how long the old secret goes on: a duration of 90d at most, as {\"overlap\": \"24h\"}; 0s ends it now",
        );
    };
    match desk.rotate(&name, overlap, now(&running)).await {
        Ok((row, secret)) => {
            running.stock();
            let after = Shown::from(&row);
            let note = Note::new(json!({ "overlap_seconds": overlap.as_secs_f64(), "after": after }));
            note.on(Json(Made::new(&row, &secret)))
        }
        Err(refused) => refusal(&refused, &name),
    }
}

fn done(running: &Arc<dyn Running>, name: &str, result: Result<(KeyRow, KeyRow), Refused>) -> Response {
    match result {
        Ok((before, after)) => {
            running.stock();
            let (before, after) = (Shown::from(&before), Shown::from(&after));
            Note::new(json!({ "before": before, "after": &after })).on(Json(after))
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
