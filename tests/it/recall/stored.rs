//! The addresses of stored responses: what is ours is answered here, and nothing else is.

use http::Method;
use serde_json::{Value, json};

use super::vendors::{Vendor, WAYS, Way};
use super::{Scene, ask, id, item, weather};
use crate::lab::{Answer, Ask, Said};

impl Scene {
    async fn at(&self, method: Method, path: &str) -> Answer {
        self.lab.send(&Ask { method, ..Ask::get(&format!("/v1/responses/{path}")) }).await
    }
}

async fn conversation(scene: &Scene, way: Way) -> (Value, Value) {
    let call = Vendor::named("anthropic").call(way);
    scene.scribe("anthropic").say(call);
    let first =
        scene.turn(way, json!({"model": "anthropic", "input": "like what?", "tools": weather()})).await;
    let result = json!({"type": "function_call_output", "call_id": item(&first, "function_call")["call_id"], "output": "rain"});
    scene.scribe("anthropic").say(Vendor::named("anthropic").text(way, "an umbrella"));
    let body = json!({"model": "anthropic", "previous_response_id": id(&first), "input": [result], "tools": weather()});
    let second = scene.turn(way, body).await;
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_response_is_read_again_as_it_was_given_and_its_input_in_pages() {
    for way in WAYS {
        let scene = Scene::new();
        let (first, second) = conversation(&scene, way).await;
        for response in [&first, &second] {
            let again = scene.at(Method::GET, id(response)).await;
            assert_eq!((again.status.as_u16(), again.header("content-type")), (200, "application/json"));
            assert_eq!(&again.json(), response, "{way:?}");
        }
        let all = scene.at(Method::GET, &format!("{}/input_items?order=asc", id(&second))).await.json();
        let items = all["data"].as_array().unwrap();
        assert_eq!(items.len(), 3, "{all}");
        assert_eq!(items[0]["content"], json!([{"type": "input_text", "text": "like what?"}]));
        assert_eq!(&items[1], item(&first, "function_call"));
        assert_eq!(items[2]["output"], "rain");
        assert!(items.iter().all(|item| item["id"].is_string() && item["type"].is_string()), "{all}");
        assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
        let page = scene.at(Method::GET, &format!("{}/input_items?limit=1", id(&second))).await.json();
        assert_eq!((&page["data"][0], &page["has_more"]), (&items[2], &json!(true)));
        let wrong = scene.at(Method::GET, &format!("{}/input_items?limit=0", id(&second))).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json()["error"]["param"]), (400, &json!("limit")));
        let streamed = scene.at(Method::GET, &format!("{}?stream=true", id(&second))).await;
        assert_eq!(streamed.status.as_u16(), 400);
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_gone_for_everybody() {
    let scene = Scene::new();
    let (first, second) = conversation(&scene, Way::Streamed).await;
    let gone = scene.at(Method::DELETE, id(&second)).await;
    assert_eq!(gone.json(), json!({"id": id(&second), "object": "response", "deleted": true}));
    for (method, path) in [
        (Method::GET, id(&second).to_owned()),
        (Method::DELETE, id(&second).to_owned()),
        (Method::GET, format!("{}/input_items", id(&second))),
        (Method::POST, format!("{}/cancel", id(&second))),
    ] {
        let answer = scene.at(method, &path).await;
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status.as_u16(), &error["type"]),
            (404, &json!("invalid_request_error")),
            "{error}"
        );
        assert!(error["message"].as_str().unwrap().contains("not found"), "{error}");
    }
    let body = json!({"model": "anthropic", "previous_response_id": id(&second), "input": "and?"});
    let answer = scene.lab.send(&ask(Way::Whole, body)).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status.as_u16(), &error["code"]), (400, &json!("previous_response_not_found")));
    assert_eq!(error["param"], "previous_response_id");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("Previous response with id '{}' not found", id(&second))),
        "{message}"
    );
    assert!(
        message.contains("Send the whole conversation in `input`") && message.contains("store: false"),
        "{message}"
    );
    // The response before it stays.
    assert_eq!(scene.at(Method::GET, id(&first)).await.status.as_u16(), 200);
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_whole_cannot_be_cancelled() {
    let scene = Scene::new();
    let (_, second) = conversation(&scene, Way::Whole).await;
    let answer = scene.at(Method::POST, &format!("{}/cancel", id(&second))).await;
    assert_eq!(answer.status.as_u16(), 400);
    let wrong = scene.at(Method::PUT, id(&second)).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "DELETE, GET"));
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_not_ours_are_asked_for_where_responses_are_stored_or_where_a_path_leads() {
    let scene = Scene::new();
    let missing = r#"{"error":{"message":"Response with id 'resp_68af4030592c8193' not found.","type":"invalid_request_error","param":null,"code":null}}"#;
    scene.scribe("responses").say(Said::json(404, missing));
    let answer = scene.at(Method::GET, "resp_68af4030592c8193").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (404, missing));
    assert_eq!(scene.scribe("responses").only().uri.path(), "/responses/resp_68af4030592c8193");
    scene.scribe("responses").say(Vendor::named("responses").text(Way::Whole, "hello"));

    let (_, second) = conversation(&scene, Way::Whole).await;
    let path = "  - {path: /v1/responses/, channels: [{upstream: responses}]}\n";
    let http = Scene::yaml("").replace("dialect: responses", "dialect: http") + path;
    let without = http.replace("  - {model: responses, channels: [{upstream: responses}]}\n", "");
    scene.lab.reload(&without);
    let elsewhere = scene.at(Method::GET, "resp_68af4030592c8193").await;
    assert_eq!(elsewhere.status.as_u16(), 200, "{}", elsewhere.text());
    assert_eq!(scene.scribe("responses").only().uri.path(), "/v1/responses/resp_68af4030592c8193");
    let ours = scene.at(Method::GET, id(&second)).await;
    assert_eq!(ours.json()["id"], second["id"]);
    assert!(scene.scribe("responses").heard().is_empty());
}
