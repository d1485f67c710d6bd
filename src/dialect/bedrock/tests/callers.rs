//! Requests of this dialect's own callers: what is kept, and what is wrong.

use serde_json::{Value, json};

use crate::dialect::bedrock::request;
use crate::dialect::hub::samples;
use crate::dialect::hub::{Content, Effort, Family, Losses, Source, Terms, ToolChoice};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;

const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn same(request: &Value) {
    let text = request.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let ask = request::read(&root).unwrap_or_else(|wrong| panic!("{}", wrong.place(&root)));
    let terms = Terms { model: MODEL, ..samples::terms(Family::Anthropic, &Quirks::COMPATIBLE) };
    let (mut losses, mut out) = (Losses::default(), Vec::new());
    request::write(&ask, &terms, &mut losses, &mut out);
    assert_eq!(serde_json::from_slice::<Value>(&out).expect("JSON"), *request);
    assert_eq!(losses, Losses::default());
}

#[test]
fn everything_that_the_service_knows_comes_out_as_it_went_in() {
    let messages = json!([{"role": "user", "content": [{"text": "?"}]}]);
    same(&json!({"messages": [
        {"role": "user", "content": [
            {"guardContent": {"text": {"text": "look", "qualifiers": ["query"]}}},
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "c"}]}},
            {"document": {"format": "txt", "name": "a b", "source": {"text": "t"}, "context": "c", "citations": {"enabled": true}}},
            {"document": {"format": "md", "name": "d", "source": {"content": [{"text": "t"}]}}},
            {"image": {"format": "heic", "source": {"s3Location": {"uri": "s3://a/b", "bucketOwner": "123456789012"}}}},
            {"audio": {"format": "x-aac", "source": {"bytes": "AAAA"}}}, {"video": {"format": "three_gp", "source": {"bytes": "AAAA"}}},
            {"cachePoint": {"type": "default", "ttl": "1h"}}]},
        {"role": "assistant", "content": [
            {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}},
            {"citationsContent": {"content": [{"text": "so"}], "citations": [{"title": "t"}]}},
            {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "s", "content": [{"json": {"a": 1}}], "type": "x"}},
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}, "type": "tool_use"}}]},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": "t", "content": [{"json": {"b": [1]}}, {"searchResult": {"source": "s"}}], "status": "success"}}]},
        {"role": "system", "content": [{"toolAddition": {"tool": {"name": "g"}}}]}
    ]}));
    same(&json!({
        "messages": messages,
        "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}, {"guardContent": {"text": {"text": "g"}}}],
        "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": [" "], "new": 1},
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "description": "", "inputSchema": {"json": {}}, "strict": false, "new": 1}},
            {"cachePoint": {"type": "default"}}, {"systemTool": {"name": "nova_grounding"}}, {"systemTool": {"name": "other"}}],
            "toolChoice": {"new": {}}},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{ }", "name": "n"}}}, "new": 1},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "low"},
            "top_k": 5, "tool_choice": {"type": "none"}, "anthropic_beta": ["b"]},
        "serviceTier": {"type": "reserved"}, "guardrailConfig": {"guardrailIdentifier": "g"}, "requestMetadata": {"a": "b"},
        "performanceConfig": {"latency": "optimized"}, "additionalModelResponseFieldPaths": ["/stop_sequence"]
    }));
    for thinking in [
        json!({"type": "adaptive", "display": "omitted"}),
        json!({"type": "disabled"}),
        json!({"type": "between_tools"}),
        json!({"type": "enabled", "budget_tokens": 7, "new": 1}),
    ] {
        same(&json!({"messages": messages, "additionalModelRequestFields": {"thinking": thinking}}));
    }
    same(&json!({"messages": messages, "serviceTier": {"type": "priority"}, "additionalModelRequestFields":
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": false}, "output_config": {"format": {}}}}));
}

#[test]
fn what_others_understand_of_it_is_the_hubs_own() {
    let body = json!({
        "messages": [{"role": "user", "content": [
            {"guardContent": {"text": {"text": "look"}}},
            {"document": {"format": "pdf", "name": "d", "source": {"bytes": "AAAA"}}}, {"cachePoint": {"type": "default"}}]}],
        "outputConfig": {"effort": "xhigh"},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 9}, "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}
    }).to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a request");
    assert_eq!(ask.turns[0].parts[0].as_text().map(|text| &**text), Some("look"));
    let Content::File(media) = &ask.turns[0].parts[1].content else { panic!("a file") };
    assert_eq!(
        (media.mime.as_deref(), &media.source),
        (Some("application/pdf"), &Source::Base64("AAAA".into()))
    );
    assert!(ask.turns[0].parts[1].cache.is_some());
    assert_eq!((ask.top_k, ask.tool_choice), (Some(9), Some(ToolChoice::Required)));
    assert_eq!((ask.reasoning.adaptive, ask.reasoning.effort), (true, Some(Effort::Xhigh)));
    let mut lost = Losses::default();
    lost.drop_extras(&ask.extras);
    assert!(lost.names().is_empty(), "nothing that is understood is kept as well");
}

#[test]
fn what_is_wrong_says_where() {
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [{"text": "a"}, block]}]});
    let hello = json!([{"role": "user", "content": [{"text": "hello"}]}]);
    for (request, expected) in [
        (json!({}), "messages: required, and missing"),
        (json!({"messages": []}), "messages: empty; give at least one message"),
        (
            json!({"messages": [{"role": "tool", "content": []}]}),
            "messages[0].role: expected user, assistant or system",
        ),
        (
            json!({"messages": [{"role": "user", "content": "hi"}]}),
            "messages[0].content: expected an array, found a string",
        ),
        (
            block(json!({})),
            "messages[0].content[1]: expected an object with one member, such as {\"text\": \"…\"}",
        ),
        (
            block(json!({"text": "a", "image": {}})),
            "messages[0].content[1]: expected an object with one member, such as {\"text\": \"…\"}",
        ),
        (
            block(json!({"image": {"format": "png", "source": {}}})),
            "messages[0].content[1].image.source: expected bytes or s3Location",
        ),
        (
            block(json!({"image": {"format": "png", "source": {"bytes": "%"}}})),
            "messages[0].content[1].image.source.bytes: not base64; it needs the standard alphabet and its padding",
        ),
        (
            block(json!({"toolResult": {"toolUseId": "x", "content": []}})),
            "messages[0].content[1].toolResult.toolUseId: no toolUse before it has this toolUseId",
        ),
        (
            block(json!({"toolUse": {"name": "f"}})),
            "messages[0].content[1].toolUse.toolUseId: required, and missing",
        ),
        (
            json!({"messages": hello, "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}),
            "toolConfig.tools[0].toolSpec.inputSchema: required, and missing",
        ),
        (
            json!({"messages": hello, "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}}),
            "outputConfig.textFormat.structure.jsonSchema.schema: not JSON; a JSON Schema is written here as a string",
        ),
        (
            json!({"messages": hello, "inferenceConfig": {"maxTokens": -1}}),
            "inferenceConfig.maxTokens: expected a whole number of at least 0, found a number",
        ),
    ] {
        let text = request.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let wrong = request::read(&root).expect_err(expected).place(&root);
        assert_eq!(wrong.to_string(), expected);
    }
}
