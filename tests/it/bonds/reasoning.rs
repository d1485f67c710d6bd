//! Encrypted reasoning goes back to the account whose model made it, or is left out.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Lab, Said, Scribe};

const TWO: &str = "
version: 1
upstreams:
  one: {provider: custom, dialect: responses, base_url: 'http://one', credentials: ['${LAB_ONE}']}
  two: {provider: custom, dialect: responses, base_url: 'http://two', credentials: ['${LAB_TWO}']}
routes:
  - {model: m, channels: [{upstream: one}, {upstream: two}]}
";

/// What an upstream answers whose model thought `thought`.
fn body(thought: &str) -> Value {
    let text = json!({"type": "output_text", "text": "so", "annotations": [], "logprobs": []});
    json!({"id": "resp_68af", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": thought},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}})
}

fn whole(thought: &str) -> Said {
    Said::json(200, body(thought).to_string())
}

fn streamed(thought: &str) -> Said {
    let event = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let body = body(thought);
    let begun = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAhalf"});
    let events = [
        event(
            "response.created",
            json!({"sequence_number": 0, "response": {"id": "resp_68af", "output": []}}),
        ),
        event("response.output_item.added", json!({"sequence_number": 1, "output_index": 0, "item": begun})),
        event(
            "response.output_item.done",
            json!({"sequence_number": 2, "output_index": 0, "item": body["output"][0]}),
        ),
        event(
            "response.output_text.delta",
            json!({"sequence_number": 3, "item_id": "msg_1", "output_index": 1, "content_index": 0, "delta": "so"}),
        ),
        event("response.completed", json!({"sequence_number": 4, "response": body})),
    ];
    Said::status(200).header("content-type", "text/event-stream").data(events.concat())
}

fn refusal() -> Said {
    Said::json(
        400,
        r#"{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error","code":"invalid_encrypted_content"}}"#,
    )
}

/// The next turn of a conversation in which the model thought `thoughts`.
fn turn(thoughts: &[&str]) -> Ask {
    Ask::post("/v1/responses", next_turn(thoughts).to_string())
}

fn streamed_turn(thoughts: &[&str]) -> Ask {
    let mut body = next_turn(thoughts);
    body["stream"] = json!(true);
    Ask::post("/v1/responses", body.to_string())
}

fn next_turn(thoughts: &[&str]) -> Value {
    let mut input = vec![json!({"role": "user", "content": "why?"})];
    for thought in thoughts {
        input.push(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": thought}));
        input.push(json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "so", "annotations": []}]}));
    }
    json!({"model": "m", "store": false, "include": ["reasoning.encrypted_content"], "input": input})
}

fn channel(answer: &Answer) -> &str {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    answer.headers["x-mainstay-channel"].to_str().unwrap()
}

fn counted(lab: &Lab, result: &str) -> f64 {
    lab.metric(&format!("mainstay_encrypted_reasoning_total{{result=\"{result}\"}}"))
}

/// Two upstreams of two accounts, and their scribes.
struct Scene {
    lab: Lab,
    one: Arc<Scribe>,
    two: Arc<Scribe>,
}

impl Scene {
    fn new(yaml: &str) -> Self {
        let (one, two) = (Scribe::saying(whole("gAAAone")), Scribe::saying(whole("gAAAtwo")));
        let lab = Lab::beside(yaml, &[("one", &one), ("two", &two)]);
        Self { lab, one, two }
    }

    /// Asks until each has answered a first turn once.
    async fn both_have_thought(&self) {
        self.both_have_thought_of(&turn(&[])).await;
    }

    async fn both_have_thought_of(&self, ask: &Ask) {
        for _ in 0..2 {
            channel(&self.lab.send(ask).await);
        }
        assert_eq!((self.one.only().whole, self.two.only().whole), (true, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_thought_goes_back_to_whoever_made_it_and_byte_for_byte() {
    type Way = (fn(&str) -> Said, fn(&[&str]) -> Ask);
    for (said, turn) in [(whole, turn), (streamed, streamed_turn)] as [Way; 2] {
        let scene = Scene::new(TWO);
        scene.one.say(said("gAAAone"));
        scene.two.say(said("gAAAtwo"));
        scene.both_have_thought_of(&turn(&[])).await;
        for _ in 0..4 {
            for (thought, scribe, name) in
                [("gAAAtwo", &scene.two, "two/m"), ("gAAAone", &scene.one, "one/m")]
            {
                let ask = turn(&[thought]);
                let answer = scene.lab.send(&ask).await;
                assert_eq!(channel(&answer), name);
                assert!(!answer.headers.contains_key("x-mainstay-dropped"));
                assert_eq!(scribe.only().body, ask.body);
            }
        }
        assert_eq!((counted(&scene.lab, "kept"), counted(&scene.lab, "unknown")), (8.0, 0.0));
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn among_the_keys_of_an_upstream_it_goes_to_those_of_its_account() {
    let yaml = |group: &str| {
        format!(
            "
version: 1
upstreams:
  one:
    provider: custom
    dialect: responses
    base_url: 'http://one'
    credentials: [{{key: '${{LAB_A}}'{group}}}, {{key: '${{LAB_B}}'{group}}}]
routes:
  - {{model: m, channels: [{{upstream: one}}]}}
"
        )
    };
    for (group, keys_used) in [("", 1), (", quota_group: ours", 2)] {
        let one = Scribe::saying(whole("gAAAone"));
        let lab = Lab::beside(&yaml(group), &[("one", &one)]);
        channel(&lab.send(&turn(&[])).await);
        let first = one.only().header("authorization").to_owned();
        for _ in 0..4 {
            channel(&lab.send(&turn(&["gAAAone"])).await);
        }
        let mut keys: Vec<String> =
            one.heard().iter().map(|heard| heard.header("authorization").to_owned()).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), keys_used, "{group}");
        assert!(keys.contains(&first));
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_its_account_is_out_the_request_goes_on_without_the_thought() {
    let scene = Scene::new(TWO);
    scene.both_have_thought().await;
    scene.one.say(Said::status(503));
    let answer = scene.lab.send(&turn(&["gAAAone"])).await;
    assert_eq!(channel(&answer), "two/m");
    assert_eq!(answer.headers["x-mainstay-dropped"], "reasoning.encrypted_content");
    let heard: Value = serde_json::from_slice(&scene.two.only().body).unwrap();
    assert_eq!(
        heard["input"],
        json!([{"role": "user", "content": "why?"}, {"type": "message", "role": "assistant",
            "status": "completed", "content": [{"type": "output_text", "text": "so", "annotations": []}]}])
    );
    assert_eq!(counted(&scene.lab, "left_out"), 1.0);
    // The conversation goes on there, and only what that one made goes along.
    let answer = scene.lab.send(&turn(&["gAAAone", "gAAAtwo"])).await;
    assert_eq!(channel(&answer), "two/m");
    let heard = scene.two.only();
    assert!(!heard.body.windows(7).any(|text| text == b"gAAAone"));
    assert!(heard.body.windows(7).any(|text| text == b"gAAAtwo"));
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_left_out_it_waits_for_its_account() {
    let strict = TWO.replace("{model: m,", "{model: m, unsupported: reject,");
    let scene = Scene::new(&strict);
    scene.both_have_thought().await;
    scene.one.say(Said::status(429).header("retry-after", "30"));
    let answer = scene.lab.send(&turn(&["gAAAone"])).await;
    assert_eq!(answer.status.as_u16(), 429);
    scene.one.only();
    // The key rests; nobody is asked, and the caller is told for how long.
    let answer = scene.lab.send(&turn(&["gAAAone"])).await;
    assert_eq!(answer.status.as_u16(), 429);
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((25..=45).contains(&wait), "{wait}");
    assert_eq!((scene.one.heard().len(), scene.two.heard().len()), (0, 0));
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_compaction_goes_nowhere_else() {
    let scene = Scene::new(TWO);
    let compacted = |thought: &str| {
        let mut body = body(thought);
        body["output"][0]["type"] = json!("compaction");
        Said::json(200, body.to_string())
    };
    scene.one.say(compacted("gAAAone"));
    scene.two.say(compacted("gAAAtwo"));
    scene.both_have_thought().await;
    scene.one.say(Said::status(503));
    let input = json!([{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAone"}]);
    let ask = Ask::post("/v1/responses", json!({"model": "m", "store": false, "input": input}).to_string());
    let answer = scene.lab.send(&ask).await;
    assert!(answer.status.is_server_error(), "{}", answer.text());
    assert!(scene.two.heard().is_empty());
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_blindly_chosen_account_cannot_read_is_left_out_once_and_for_all() {
    let scene = Scene::new(TWO);
    for scribe in [&scene.one, &scene.two] {
        scribe.refusing(b"gAAAlost", refusal());
    }
    let answer = scene.lab.send(&turn(&["gAAAlost"])).await;
    channel(&answer);
    assert_eq!(answer.headers["x-mainstay-attempts"], "2");
    assert_eq!(answer.headers["x-mainstay-dropped"], "reasoning.encrypted_content");
    let heard = [scene.one.heard(), scene.two.heard()].concat();
    assert_eq!(heard.len(), 2);
    assert_eq!(counted(&scene.lab, "refused"), 1.0);
    assert_eq!(scene.lab.metric_sum("mainstay_retries_total", &[]), 0.0);
    let answer = scene.lab.send(&turn(&["gAAAlost"])).await;
    channel(&answer);
    assert_eq!(answer.headers["x-mainstay-attempts"], "1");
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_may_be_left_out_the_upstreams_refusal_is_the_callers_to_hear() {
    let strict = TWO.replace("{model: m,", "{model: m, unsupported: reject,");
    let scene = Scene::new(&strict);
    for scribe in [&scene.one, &scene.two] {
        scribe.refusing(b"gAAAlost", refusal());
    }
    let answer = scene.lab.send(&turn(&["gAAAlost"])).await;
    assert_eq!(answer.status.as_u16(), 400);
    assert_eq!(answer.json()["error"]["code"], "invalid_encrypted_content");
    assert_eq!(answer.headers["x-mainstay-attempts"], "1");
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn through_a_caller_of_another_dialect_it_finds_its_way_as_well() {
    // OpenAI's own: whose reasoning it is has to be known.
    let scene = Scene::new(&TWO.replace("provider: custom, dialect: responses", "provider: openai"));
    let ask = |content: &Value| {
        let mut messages = vec![json!({"role": "user", "content": "why?"})];
        if !content.is_null() {
            messages.push(json!({"role": "assistant", "content": content}));
            messages.push(json!({"role": "user", "content": "and then?"}));
        }
        let body = json!({"model": "m", "max_tokens": 4096,
            "thinking": {"type": "enabled", "budget_tokens": 2048}, "messages": messages});
        Ask::post("/anthropic/v1/messages", body.to_string())
    };
    let first = scene.lab.send(&ask(&Value::Null)).await;
    let made_at = channel(&first).to_owned();
    let content = first.json()["content"].clone();
    for _ in 0..4 {
        let answer = scene.lab.send(&ask(&content)).await;
        assert_eq!(channel(&answer), made_at);
    }
    let maker = if made_at == "one/m" { &scene.one } else { &scene.two };
    let last = maker.heard().pop().unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("\"encrypted_content\":\"gAAA"));
    maker.say(Said::status(503));
    let answer = scene.lab.send(&ask(&content)).await;
    assert_ne!(channel(&answer), made_at);
    assert_eq!(answer.headers["x-mainstay-dropped"], "reasoning.encrypted_content");
    scene.lab.assert_quiet().await;
}

/// What OpenAI's SDK sends unless it is told otherwise is stored; a response that nobody refers to does no harm.
#[tokio::test(start_paused = true)]
async fn a_response_that_would_be_stored_fails_over_and_a_conversation_is_changed_once() {
    for (beside, heard, status) in [
        (r#""store":true"#, 1, 200),
        (r#""previous_response_id":null"#, 1, 200),
        (r#""conversation":"conv_1""#, 0, 503),
        (r#""background":true,"stream":true"#, 0, 503),
    ] {
        let scene = Scene::new(TWO);
        scene.one.say(Said::json(503, r#"{"error":{"message":"down"}}"#));
        let (asked_of_one, mut answers) = (|| scene.one.heard().len(), Vec::new());
        // Whoever has the turn: one of the two is asked first.
        for _ in 0..2 {
            let body = format!(r#"{{"model":"m","input":"hi",{beside}}}"#);
            answers.push(scene.lab.send(&Ask::post("/v1/responses", body)).await.status.as_u16());
            if asked_of_one() > 0 {
                break;
            }
        }
        assert_eq!(answers.last(), Some(&status), "{beside}");
        let others = scene.two.heard().len() - (answers.len() - 1);
        assert_eq!(others, heard, "{beside}");
        scene.lab.assert_quiet().await;
    }
}
