//! Rehearses an outage for the console, as `mainstay simulate` does: on what is in force, and on another configuration
//! beside it.
//!
//! One at a time, on a thread of its own that yields to all others, and not for long: requests go first. Whoever hangs
//! up ends it.

mod wish;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Extension, Json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::configuration::{LONGEST as LONGEST_BODY, Problems};
use super::form::{Answer, Content, Form, Need, of};
use super::{Running, Seen, problem};
use crate::config::Problem;
use crate::sim::told::Stop;
use wish::{Came, Subject, Wish};

pub(super) const SIMULATE: Form = Form::json::<Came>("what it came to")
    .takes::<Wish>(Need::Required, "what goes wrong, what callers ask for, and for how long")
    .example(r#"{"outages": ["provider-down=sim-a"], "rate": 1, "duration": "10m"}"#)
    .others(&[Answer {
        status: 422,
        content: Content::Json(of::<Problems>),
        doc: "it cannot be rehearsed, and why: `file` is the member that a problem is in, if it is a text",
    }])
    .refuses(&[(429, "another rehearsal runs"), (503, "the machine has no thread left")]);

/// Longest time that one may take, by the wall's clock.
const LONGEST: Duration = Duration::from_mins(1);
/// Who is told to wait does so for about this many seconds: few take longer.
const SOON: HeaderValue = HeaderValue::from_static("3");
/// By how much a rehearsal's thread stands back (nice(2)): it has a tenth of a core that others want whole.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Where a rehearsal runs: there is room for one.
type Stage = Arc<Semaphore>;

/// The endpoint, with its stage.
pub(super) fn endpoint() -> MethodRouter<Arc<dyn Running>> {
    let stage: Stage = Arc::new(Semaphore::new(1));
    let bounded: MethodRouter<Arc<dyn Running>> = post(simulate).layer(DefaultBodyLimit::max(LONGEST_BODY));
    bounded.layer(Extension(stage))
}

async fn simulate(State(running): Seen, Extension(stage): Extension<Stage>, body: Bytes) -> Response {
    let wish: Wish = match serde_json::from_slice(&body) {
        Ok(wish) => wish,
        Err(error) => {
            let why = format!(
                "the body should be {{\"outages\": [\"provider-down\"]}}, with \"script\", \"workload\", \"rate\", \
                 \"duration\", \"seed\", \"claims\" or \"compare\" if need be: {error}"
            );
            return problem(StatusCode::BAD_REQUEST, why);
        }
    };
    let Ok(place) = stage.try_acquire_owned() else {
        let why = "another rehearsal runs; ask again when it is over";
        let mut response = problem(StatusCode::TOO_MANY_REQUESTS, why);
        response.headers_mut().insert(RETRY_AFTER, SOON);
        return response;
    };
    match timeout(LONGEST, rehearsed(&*running, wish, place)).await {
        Ok(Ok(response)) => response,
        Ok(Err(problems)) => invalid(problems),
        Err(_) => invalid(vec![too_long()]),
    }
}

async fn rehearsed(
    running: &dyn Running,
    wish: Wish,
    place: OwnedSemaphorePermit,
) -> Result<Response, Vec<Problem>> {
    let mut subjects = vec![Subject::of("what is in force", running.editing().read(None).await?)];
    if let Some(text) = &wish.compare {
        let read = running.editing().read(Some(text.clone())).await;
        subjects.push(Subject::of("the other one", read.map_err(|problems| all_in("compare", problems))?));
    }
    let stop = Stop::default();
    let _waiting = stop.waiting();
    let (tell, told) = oneshot::channel();
    let work = move || {
        // On Linux this is for one thread alone; should it be forbidden, all have equal rights.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICE);
        let came = wish.rehearsed(subjects, &stop);
        // Whoever hears of it may ask for the next one at once.
        drop(place);
        let _ = tell.send(came);
    };
    if std::thread::Builder::new().name("rehearsal".to_owned()).spawn(work).is_err() {
        let why = "the machine has no thread left for a rehearsal; try again when it has less to do";
        return Ok(problem(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    match told.await {
        Ok(came) => Ok(([(CONTENT_TYPE, "application/json")], came?).into_response()),
        Err(_) => Ok(problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the rehearsal broke off; what was wrong is in the log",
        )),
    }
}

/// Says in which text problems are, where they do not say it themselves.
fn all_in(text: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    for problem in &mut problems {
        problem.file.get_or_insert_with(|| text.to_owned());
    }
    problems
}

fn too_long() -> Problem {
    let why = format!("it was not over after {} s, and has been given up", LONGEST.as_secs());
    Problem::error("", why).hinted("take a lower `rate`, or a shorter `duration`")
}

fn invalid(problems: Vec<Problem>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(Problems::of(problems))).into_response()
}
