//! Listeners of a gateway whose traffic is made up.

use http_body_util::BodyExt;

use super::*;
use crate::admin::tests::still;
use crate::telemetry::RequestOutcome::{Failed, Ok as Well};

/// The data of the next event of this name.
async fn next(body: &mut Body, name: &str) -> serde_json::Value {
    loop {
        let frame = body.frame().await.expect("there is more").expect("nothing breaks");
        let text = String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text");
        let (event, data) = text.split_once('\n').expect("an event has two lines");
        if event == format!("event: {name}") {
            let data = data.strip_prefix("data: ").expect("data").trim_end();
            return serde_json::from_str(data).expect("JSON");
        }
    }
}

async fn listen(running: &Arc<dyn Running>) -> Response {
    live(State(Arc::clone(running))).await
}

#[tokio::test(start_paused = true)]
async fn a_beat_says_what_has_come_since_the_last_one() {
    let running: Arc<dyn Running> = still();
    let table = running.table();
    let outcomes = &table.routes[0].memory.outcomes;
    running.pulse().beat(&table);
    for _ in 0..3 {
        outcomes.add(Well);
    }
    outcomes.save();
    running.pulse().beat(&table);
    let mut body = listen(&running).await.into_body();
    let history = next(&mut body, "history").await;
    let ok: Vec<_> =
        history["seconds"].as_array().expect("a list").iter().map(|second| &second["ok"]).collect();
    assert_eq!(ok, [0, 3], "the page begins with what was before it");
    let beat = next(&mut body, "beat").await;
    assert_eq!((&beat["now"]["ok"], &beat["now"]["saved"]), (&3.into(), &1.into()), "{beat}");
    assert_eq!(beat["routes"][0]["per_second"], 3.0);
    outcomes.add(Failed);
    running.pulse().beat(&table);
    let beat = next(&mut body, "beat").await;
    assert_eq!((&beat["now"]["ok"], &beat["now"]["failed"]), (&0.into(), &1.into()));
    assert_eq!(
        (&beat["routes"][0]["per_second"], &beat["routes"][0]["failed_per_second"]),
        (&2.0.into(), &0.5.into())
    );
    for _ in 0..10 {
        running.pulse().beat(&table);
    }
    let mut last = beat;
    for _ in 0..2 {
        tokio::task::yield_now().await;
        running.pulse().beat(&table);
        last = next(&mut body, "beat").await;
    }
    assert_eq!(last["routes"], serde_json::json!([]), "nothing is said of a route without traffic");
}

#[tokio::test(start_paused = true)]
async fn as_many_listen_as_may_and_whoever_leaves_makes_room() {
    let running: Arc<dyn Running> = still();
    let mut listeners = Vec::new();
    for _ in 0..MOST {
        let response = listen(&running).await;
        assert_eq!(response.status(), StatusCode::OK);
        listeners.push(response.into_body());
    }
    assert_eq!(listen(&running).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    next(&mut listeners[0], "beat").await;
    listeners.clear();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(listen(&running).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_gateway_is_the_end_of_every_stream() {
    let running: Arc<dyn Running> = still();
    let mut body = listen(&running).await.into_body();
    next(&mut body, "beat").await;
    running.pulse().end();
    // What was on its way may still come.
    while let Some(frame) = body.frame().await {
        frame.expect("it ends well");
    }
}
