//! What is not remembered, or no longer, and what callers hear of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::vendors::{Vendor, WAYS, Way};
use super::{Scene, ask, id};
use crate::lab::Answer;

async fn answered(scene: &Scene, way: Way, input: &str) -> Value {
    scene.scribe("anthropic").say(Vendor::named("anthropic").text(way, "hello"));
    scene.turn(way, json!({"model": "anthropic", "input": input})).await
}

async fn go_on(scene: &Scene, response: &Value) -> Answer {
    scene.scribe("anthropic").say(Vendor::named("anthropic").text(Way::Whole, "hello"));
    let body = json!({"model": "anthropic", "previous_response_id": id(response), "input": "and?"});
    scene.lab.send(&ask(Way::Whole, body)).await
}

fn assert_forgotten(answer: &Answer) {
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "previous_response_not_found");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_stored_is_not() {
    for way in WAYS {
        let scene = Scene::new();
        scene.scribe("anthropic").say(Vendor::named("anthropic").text(way, "hello"));
        let body = json!({"model": "anthropic", "input": "hello", "store": false});
        let response = scene.turn(way, body).await;
        assert_eq!(response["store"], false);
        assert_eq!(scene.lab.gateway.remembered().responses, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_told_to_remember_nothing_does_not() {
    for way in WAYS {
        let scene = Scene::with("server: {responses: {memory: 0}}");
        let response = answered(&scene, way, "hello").await;
        assert_eq!((&response["store"], id(&response)), (&json!(false), "resp_msg_01"));
        let held = scene.lab.gateway.remembered();
        assert_eq!((held.responses, held.bytes), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_unused_makes_room_and_its_caller_is_told() {
    let scene = Scene::with("server: {responses: {memory: 64KiB}}");
    let (first, second) =
        (answered(&scene, Way::Whole, "one").await, answered(&scene, Way::Streamed, "two").await);
    for n in 0..40 {
        answered(&scene, Way::Whole, &"x".repeat(1_000 + n)).await;
        assert!(scene.lab.gateway.remembered().bytes <= 64 * 1024);
        if n % 4 == 0 {
            assert_eq!(go_on(&scene, &first).await.status.as_u16(), 200, "it is in use");
        }
    }
    assert_forgotten(&go_on(&scene, &second).await);
    assert_eq!(scene.lab.metric("mainstay_responses_recalled_total{result=\"miss\"}"), 1.0);

    // An item of it is gone as well.
    let reference = json!([{"type": "item_reference", "id": second["output"][0]["id"]}]);
    let answer = scene.lab.send(&ask(Way::Whole, json!({"model": "anthropic", "input": reference}))).await;
    assert_eq!(answer.status.as_u16(), 400);
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Item with id 'msg_kept") && message.contains("store: false"), "{message}");
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn time_makes_forget_and_so_does_a_reload_that_leaves_no_room() {
    let scene = Scene::with("server: {responses: {ttl: 10m}}");
    let response = answered(&scene, Way::Whole, "hello").await;
    tokio::time::sleep(Duration::from_mins(9)).await;
    assert_eq!(go_on(&scene, &response).await.status.as_u16(), 200);
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_forgotten(&go_on(&scene, &response).await);
    assert_eq!(scene.lab.gateway.remembered().bytes, 0);

    let response = answered(&scene, Way::Whole, "hello").await;
    scene.lab.reload(&Scene::yaml("server: {responses: {memory: 0}}"));
    assert_eq!(scene.lab.gateway.remembered().bytes, 0);
    assert_forgotten(&go_on(&scene, &response).await);
}

#[tokio::test(start_paused = true)]
async fn one_conversation_too_large_for_its_share_is_answered_and_not_remembered() {
    let scene = Scene::with("server: {responses: {memory: 64KiB}}");
    let kept = answered(&scene, Way::Whole, "hello").await;
    for way in WAYS {
        let response = answered(&scene, way, &"x".repeat(8 * 1024)).await;
        assert_forgotten(&go_on(&scene, &response).await);
    }
    assert_eq!(go_on(&scene, &kept).await.status.as_u16(), 200, "it did not drive out others");
}

#[tokio::test(start_paused = true)]
async fn ids_of_answers_have_nothing_in_common() {
    let scene = Scene::new();
    let one = answered(&scene, Way::Whole, "hello").await;
    let two = answered(&scene, Way::Whole, "hello").await;
    let digits = |response: &Value| id(response).trim_start_matches("resp_kept").to_owned();
    assert_eq!((digits(&one).len(), digits(&two).len()), (32, 32));
    let same = digits(&one).chars().zip(digits(&two).chars()).filter(|(a, b)| a == b).count();
    assert!(same < 16, "{same} of 32 digits are the same");
    assert!(!id(&one).contains("msg_01"), "the upstream's id is not part of it");
}
