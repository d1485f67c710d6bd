//! Two turns and more: by `previous_response_id`, by `item_reference`, and after a failover.

use serde_json::{Value, json};

use super::vendors::{VENDORS, Vendor, WAYS, Way};
use super::{Scene, ask, id, item, weather};
use crate::lab::Said;

/// The strings anywhere in a body, in their order.
fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(members) => members.values().for_each(|value| strings(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The conversation as an upstream heard it: what it holds of the words that the test uses, in order.
fn words(heard: &Value) -> Vec<String> {
    const KNOWN: [&str; 8] = [
        "what is it like in Oslo?",
        "Oslo",
        "it rains",
        "take an umbrella",
        "and now?",
        "be brief",
        "hello",
        "and tomorrow?",
    ];
    let said = ["messages", "contents", "input"].into_iter().find_map(|key| heard.get(key)).unwrap();
    let mut all = Vec::new();
    strings(said, &mut all);
    let known = |text: String| {
        if text.contains("\"city\"") {
            Some("Oslo".to_owned())
        } else {
            Some(text).filter(|text| KNOWN.contains(&text.as_str()))
        }
    };
    all.into_iter().filter_map(known).collect()
}

fn result_of(call: &Value) -> Value {
    json!({"type": "function_call_output", "call_id": call["call_id"], "output": "it rains"})
}

/// The first turn's question, the call that answers it, and what that brought.
const WHOLE: [&str; 3] = ["what is it like in Oslo?", "Oslo", "it rains"];

#[tokio::test(start_paused = true)]
async fn a_tools_result_needs_only_the_id_of_the_response_that_asked_for_it() {
    for vendor in VENDORS.iter().filter(|vendor| vendor.name != "responses") {
        for way in WAYS {
            let what = format!("{} {way:?}", vendor.name);
            let scene = Scene::new();
            let name = vendor.name;
            scene.scribe(name).say(vendor.call(way));
            let first = scene
                .turn(
                    way,
                    json!({"model": name, "instructions": "be brief", "input": WHOLE[0], "tools": weather()}),
                )
                .await;
            assert!(id(&first).starts_with("resp_kept"), "{what}: {first}");
            assert_eq!(
                (&first["store"], &first["previous_response_id"]),
                (&json!(true), &Value::Null),
                "{what}"
            );
            let before = scene.heard(name);
            assert!(before.to_string().contains("be brief"), "{what}");

            scene.scribe(name).say(vendor.text(way, "take an umbrella"));
            let input = json!([result_of(item(&first, "function_call"))]);
            let second = scene
                .turn(way, json!({"model": name, "previous_response_id": id(&first), "input": input, "tools": weather()}))
                .await;
            assert_eq!(second["previous_response_id"], first["id"], "{what}");
            let heard = scene.heard(name);
            assert_eq!(words(&heard), WHOLE, "{what}: {heard}");
            assert!(!heard.to_string().contains("be brief"), "{what}: instructions are not carried on");
            assert!(!heard.to_string().contains("previous_response_id"), "{what}");
            if name == "gemini" {
                assert!(
                    heard.to_string().contains("c2lnbmF0dXJl"),
                    "{what}: the signature goes back: {heard}"
                );
            }

            // A third turn has all of it, and an answer in one piece goes on from a stream as well.
            scene.scribe(name).say(vendor.text(Way::Whole, "hello"));
            scene
                .turn(Way::Whole, json!({"model": name, "previous_response_id": id(&second), "input": "and now?", "tools": weather()}))
                .await;
            let expected: Vec<&str> = WHOLE.into_iter().chain(["take an umbrella", "and now?"]).collect();
            assert_eq!(words(&scene.heard(name)), expected, "{what}");
            assert_eq!(scene.lab.metric("mainstay_responses_recalled_total{result=\"hit\"}"), 2.0);
            scene.lab.assert_quiet().await;
        }
    }
}

/// Vercel's SDK sends its own items again as references, unless it is told not to store.
#[tokio::test(start_paused = true)]
async fn items_may_be_sent_as_references() {
    for vendor in VENDORS.iter().filter(|vendor| vendor.name != "responses") {
        for way in WAYS {
            let what = format!("{} {way:?}", vendor.name);
            let scene = Scene::new();
            let name = vendor.name;
            let user = json!({"role": "user", "content": [{"type": "input_text", "text": WHOLE[0]}]});
            scene.scribe(name).say(vendor.call(way));
            let first = scene.turn(way, json!({"model": name, "input": [user], "tools": weather()})).await;
            scene.heard(name);
            let mut input = vec![user];
            let references = first["output"].as_array().unwrap().iter().enumerate();
            input.extend(references.map(|(at, item)| match at {
                0 => json!({"type": "item_reference", "id": item["id"]}),
                _ => json!({"id": item["id"]}),
            }));
            input.push(result_of(item(&first, "function_call")));
            scene.scribe(name).say(vendor.text(way, "take an umbrella"));
            let second = scene.turn(way, json!({"model": name, "input": input, "tools": weather()})).await;
            assert_eq!(words(&scene.heard(name)), WHOLE, "{what}");
            assert_eq!(second["previous_response_id"], Value::Null, "{what}");

            // One that the earlier response brings with it is not said twice.
            let twice = json!([{"type": "item_reference", "id": second["output"][0]["id"]},
                {"role": "user", "content": "and now?"}]);
            scene.scribe(name).say(vendor.text(way, "hello"));
            scene
                .turn(way, json!({"model": name, "previous_response_id": id(&second), "input": twice, "tools": weather()}))
                .await;
            let expected: Vec<&str> = WHOLE.into_iter().chain(["take an umbrella", "and now?"]).collect();
            assert_eq!(words(&scene.heard(name)), expected, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_at_another_vendor_when_its_own_is_down() {
    for way in WAYS {
        let scene = Scene::new();
        scene.scribe("anthropic").say(Vendor::named("anthropic").call(way));
        let first = scene.turn(way, json!({"model": "any", "input": WHOLE[0], "tools": weather()})).await;
        scene.heard("anthropic");

        scene.scribe("anthropic").say(Said::status(503));
        scene.scribe("gemini").say(Vendor::named("gemini").text(way, "take an umbrella"));
        let input = json!([result_of(item(&first, "function_call"))]);
        let second = scene
            .turn(way, json!({"model": "any", "previous_response_id": id(&first), "input": input, "tools": weather()}))
            .await;
        assert_eq!(words(&scene.heard("anthropic")), WHOLE);
        assert_eq!(words(&scene.heard("gemini")), WHOLE);

        // And back, on another route, with what the other vendor said.
        scene.scribe("anthropic").say(Vendor::named("anthropic").text(way, "hello"));
        scene
            .turn(way, json!({"model": "anthropic", "previous_response_id": id(&second), "input": "and now?", "tools": weather()}))
            .await;
        let expected: Vec<&str> = WHOLE.into_iter().chain(["take an umbrella", "and now?"]).collect();
        assert_eq!(words(&scene.heard("anthropic")), expected);
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_of_responses_gets_the_whole_conversation_instead_of_an_id_that_it_cannot_know() {
    for way in WAYS {
        let scene = Scene::new();
        scene.scribe("anthropic").say(Vendor::named("anthropic").text(way, "hello"));
        let first = scene.turn(way, json!({"model": "anthropic", "input": "and now?"})).await;
        scene.scribe("responses").say(Vendor::named("responses").text(way, "take an umbrella"));
        let second = scene
            .turn(way, json!({"model": "responses", "previous_response_id": id(&first), "input": "and tomorrow?", "top_p": 0.50}))
            .await;
        let heard = scene.heard("responses");
        assert_eq!(words(&heard), ["and now?", "hello", "and tomorrow?"]);
        assert!(heard.get("previous_response_id").is_none(), "{heard}");
        assert_eq!(id(&second), "resp_68af4030592c8193", "what passes is the upstream's");
        assert_eq!(scene.lab.gateway.remembered().responses, 1, "and is not remembered here");

        // The upstream's own id is the upstream's affair.
        let third = json!({"model": "responses", "previous_response_id": id(&second), "input": "and now?"});
        scene.turn(way, third).await;
        assert_eq!(scene.heard("responses")["previous_response_id"], second["id"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_of_somebody_elses_is_refused_where_nobody_can_know_it() {
    let scene = Scene::new();
    for body in [
        json!({"model": "anthropic", "previous_response_id": "resp_68af4030592c8193", "input": "hello"}),
        json!({"model": "anthropic", "input": [{"type": "item_reference", "id": "msg_68af"}]}),
    ] {
        let answer = scene.lab.send(&ask(Way::Whole, body)).await;
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status.as_u16(), 400);
        assert!(
            error["message"].as_str().unwrap().contains("send the whole conversation in `input`"),
            "{error}"
        );
    }
    assert!(scene.scribe("anthropic").heard().is_empty());
    assert_eq!(scene.lab.metric_sum("mainstay_responses_recalled_total", &[]), 0.0, "nothing was ever ours");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_or_is_left_is_not_remembered() {
    let scene = Scene::new();
    let half = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hel\"}}\n\n";
    let broken = Said::status(200).header("content-type", "text/event-stream").data(half);
    scene.scribe("anthropic").say(broken.clone());
    let answer = scene.lab.send(&ask(Way::Streamed, json!({"model": "anthropic", "input": "hello"}))).await;
    assert_eq!(answer.end, crate::lab::End::Cut);
    assert_eq!(scene.lab.gateway.remembered().responses, 0);

    scene.scribe("anthropic").say(broken.step(crate::lab::Step::Hang));
    let mut kept = scene.lab.open(&ask(Way::Streamed, json!({"model": "anthropic", "input": "hello"}))).await;
    assert!(kept.next().await.is_some());
    kept.hang_up();
    scene.lab.assert_quiet().await;
    assert_eq!(scene.lab.gateway.remembered().responses, 0);
}
