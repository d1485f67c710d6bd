//! Requests of other dialects: each maker's own fields, and what Converse wants otherwise.

use serde_json::{Value, json};

use crate::dialect::bedrock::request;
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, CacheMark, Call, CallKind, Content, Effort, Extras, Family, Format, Losses, Media, Outcome, Part,
    Reasoning, Role, Signature, Source, Summary, Terms, Thought, Tool, ToolChoice, ToolKind, Turn,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::{Dialect, tree};
use crate::vocab::{Ability, Facts};

const CLAUDE_OLD: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-6";
const NEWEST: &str = "global.anthropic.claude-opus-5";
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
const GPT: &str = "openai.gpt-oss-120b-1:0";
const LLAMA: &str = "us.meta.llama4-maverick-17b-instruct-v1:0";

fn ask(turns: Vec<Turn<'static>>) -> Ask<'static> {
    Ask { turns, max_tokens: Some(4_000), ..Ask::new(Dialect::Http) }
}

fn user(text: &'static str) -> Turn<'static> {
    Turn::new(Role::User, vec![Part::text(text)])
}

fn written(ask: &Ask<'_>, model: &str, facts: Facts) -> (Value, Losses) {
    let family = if model.contains("anthropic") { Family::Anthropic } else { Family::Other };
    let terms = Terms { model, facts, ..samples::terms(family, &Quirks::COMPATIBLE) };
    let (mut losses, mut out) = (Losses::default(), Vec::new());
    request::write(ask, &terms, &mut losses, &mut out);
    let root = tree::parse(&out).expect("JSON");
    request::read(&root).expect("what is written can be read");
    (serde_json::from_slice(&out).expect("JSON"), losses)
}

/// The additional fields (or `null`), and what was lost.
fn check(ask: &Ask<'_>, model: &str, expected: impl Into<Value>, losses: &[&str]) {
    let (body, found) = written(ask, model, Facts::default());
    assert_eq!(body["additionalModelRequestFields"], expected.into(), "{model}");
    assert_eq!(found.names(), losses, "{model}");
    assert_eq!(found.fatal(), None);
}

#[test]
fn thinking_is_asked_for_in_each_makers_words() {
    let thinks = |reasoning| Ask { reasoning, ..ask(vec![user("?")]) };
    let effort = |effort| thinks(Reasoning { effort: Some(effort), ..Reasoning::default() });
    let budget = thinks(Reasoning { budget: Some(2_000), ..Reasoning::default() });
    let shown = Reasoning { summary: Some(Summary::Auto), ..Reasoning::default() };
    let adaptive =
        |effort: &str| json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}});
    let enabled = |tokens| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});

    check(&effort(Effort::Minimal), CLAUDE, adaptive("low"), &[]);
    check(&effort(Effort::Max), NEWEST, adaptive("max"), &[]);
    check(&budget, NEWEST, adaptive("low"), &[]);
    check(&thinks(shown), NEWEST, json!({"thinking": {"type": "adaptive", "display": "summarized"}}), &[]);
    check(&budget, CLAUDE_OLD, enabled(2_000), &[]);
    check(&effort(Effort::Minimal), CLAUDE_OLD, enabled(1_024), &[]);
    // Less than the whole answer.
    check(&effort(Effort::High), CLAUDE_OLD, enabled(3_000), &[]);
    let short = Ask { max_tokens: Some(500), ..budget.clone() };
    check(&short, CLAUDE_OLD, Value::Null, &["reasoning"]);
    check(
        &effort(Effort::High),
        "anthropic.claude-3-haiku-20240307-v1:0",
        Value::Null,
        &["reasoning_effort"],
    );
    check(
        &effort(Effort::Low),
        NOVA,
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        &[],
    );
    check(&effort(Effort::Xhigh), GPT, json!({"reasoning_effort": "high"}), &[]);
    check(&effort(Effort::Medium), "qwen.qwen3-32b-v1:0", json!({"reasoning_config": "medium"}), &[]);
    check(&effort(Effort::High), LLAMA, Value::Null, &["reasoning_effort"]);
    check(&effort(Effort::High), "amazon.nova-lite-v1:0", Value::Null, &["reasoning_effort"]);

    check(&effort(Effort::None), CLAUDE, Value::Null, &[]);
    check(&effort(Effort::None), NEWEST, json!({"thinking": {"type": "disabled"}}), &[]);
    check(&effort(Effort::None), "anthropic.claude-fable-5", Value::Null, &["reasoning_effort"]);
    check(&effort(Effort::None), GPT, Value::Null, &["reasoning_effort"]);
    check(&effort(Effort::None), LLAMA, Value::Null, &[]);

    let (body, losses) = written(&effort(Effort::High), NOVA, Facts::default());
    assert_eq!((&body["inferenceConfig"], losses.names()), (&Value::Null, &["max_tokens".into()][..]));
}

#[test]
fn thinking_gives_way_to_what_excludes_it() {
    let reasoning = Reasoning { effort: Some(Effort::Low), ..Reasoning::default() };
    let called = Turn::new(Role::Assistant, vec![Part::new(Content::Call(call("1", "f")))]);
    let answered = Turn::new(Role::User, vec![Part::new(Content::Outcome(outcome("1")))]);
    let turns = vec![user("?"), called, answered];
    let forced = Ask {
        reasoning,
        tools: vec![tool("f")],
        tool_choice: Some(ToolChoice::Required),
        ..ask(turns.clone())
    };
    check(&forced, CLAUDE, Value::Null, &["reasoning_effort"]);
    // With a budget, the model wants the thinking that led to the call.
    let free = Ask { tool_choice: None, ..forced };
    check(&free, CLAUDE_OLD, Value::Null, &["reasoning_effort"]);
    check(&free, CLAUDE, json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}), &[]);
    let sampled =
        Ask { temperature: Some(0.3), top_p: Some(0.99), top_k: Some(3), reasoning, ..ask(vec![user("?")]) };
    let (body, losses) = written(&sampled, CLAUDE, Facts::default());
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 4000, "topP": 0.99}));
    assert_eq!(losses.names(), ["temperature", "top_k"]);
}

#[test]
fn a_callers_own_budget_gives_way_to_another_models_calls() {
    let called = Turn::new(Role::Assistant, vec![Part::new(Content::Call(call("1", "f")))]);
    let answered = Turn::new(Role::User, vec![Part::new(Content::Outcome(outcome("1")))]);
    let reasoning = Reasoning { budget: Some(2_000), ..Reasoning::default() };
    let turns = vec![user("?"), called, answered];
    let own = Ask { dialect: Dialect::Bedrock, reasoning, ..ask(turns) };
    check(&own, CLAUDE_OLD, Value::Null, &["thinking"]);
    let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}});
    check(&Ask { turns: vec![user("?")], ..own }, CLAUDE_OLD, budget, &[]);
}

#[test]
fn claude_gets_the_betas_and_no_alternatives_at_the_root_of_a_tools_schema() {
    let parameters = Some(r#"{"anyOf":[{"properties":{"a":{}},"required":["a"]}]}"#.into());
    let kind = ToolKind::Function { name: "f".into(), description: None, parameters, strict: None };
    let tools = vec![Tool { kind, cache: None, extras: Extras::default() }];
    let asked = Ask { betas: vec!["context-1m-2025-08-07".into()], tools, ..ask(vec![user("?")]) };
    let schema = |body: &Value| body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"].clone();
    let (body, losses) = written(&asked, CLAUDE, Facts::default());
    assert_eq!(body["additionalModelRequestFields"], json!({"anthropic_beta": ["context-1m-2025-08-07"]}));
    assert_eq!((&schema(&body)["anyOf"], &schema(&body)["required"]), (&Value::Null, &json!(["a"])));
    assert_eq!(losses.names(), ["tools.parameters.anyOf"]);
    let (body, losses) = written(&Ask { betas: Vec::new(), ..asked }, NOVA, Facts::default());
    assert!(schema(&body)["anyOf"].is_array() && losses.names().is_empty());
}

#[test]
fn claude_gets_no_white_space_at_the_end_of_what_he_is_to_go_on_with() {
    let begun = ask(vec![user("?"), Turn::new(Role::Assistant, vec![Part::text("a"), Part::text("b \n")])]);
    let (body, _) = written(&begun, CLAUDE_OLD, Facts::default());
    assert_eq!(body["messages"][1]["content"], json!([{"text": "a"}, {"text": "b"}]));
}

#[test]
fn sampling_is_what_each_maker_takes() {
    let asked = Ask { temperature: Some(1.5), top_p: Some(0.9), top_k: Some(3), ..ask(vec![user("?")]) };
    let inference = |model, losses: &[&str]| {
        let (body, found) = written(&asked, model, Facts::default());
        assert_eq!(found.names(), losses, "{model}");
        (body["inferenceConfig"].clone(), body["additionalModelRequestFields"].clone())
    };
    assert_eq!(
        inference(CLAUDE, &["top_p", "temperature"]),
        (json!({"maxTokens": 4000, "temperature": 1}), json!({"top_k": 3}))
    );
    assert_eq!(
        inference(NEWEST, &["temperature", "top_p", "top_k"]),
        (json!({"maxTokens": 4000}), Value::Null)
    );
    assert_eq!(
        inference(NOVA, &["temperature"]),
        (json!({"maxTokens": 4000, "temperature": 1, "topP": 0.9}), json!({"inferenceConfig": {"topK": 3}}))
    );
    assert_eq!(
        inference(LLAMA, &["temperature", "top_k"]),
        (json!({"maxTokens": 4000, "temperature": 1, "topP": 0.9}), Value::Null)
    );
}

fn call(id: &'static str, name: &'static str) -> Call<'static> {
    Call {
        id: id.into(),
        name: name.into(),
        arguments: "oops".into(),
        kind: CallKind::Function,
        signature: None,
    }
}

fn outcome(id: &'static str) -> Outcome<'static> {
    Outcome {
        call_id: id.into(),
        name: None,
        content: vec![Part::text(" ")],
        is_error: Some(true),
        kind: CallKind::Function,
    }
}

fn tool(name: &'static str) -> Tool<'static> {
    let kind = ToolKind::Function {
        name: name.into(),
        description: Some("".into()),
        parameters: Some("{}".into()),
        strict: Some(true),
    };
    Tool { kind, cache: Some(CacheMark::Hour), extras: Extras::default() }
}

#[test]
fn messages_are_as_converse_wants_them() {
    let part = |content| Part::new(content);
    let turns = vec![
        user("a"),
        user("b"),
        Turn::new(
            Role::Assistant,
            vec![
                part(Content::Thought(Thought { text: "unsigned".into(), ..Thought::default() })),
                part(Content::Call(call("id with spaces", "f"))),
                part(Content::Call(call("2", "g"))),
            ],
        ),
        Turn::new(Role::System, vec![Part::text("mind the time")]),
        Turn::new(Role::User, vec![part(Content::Outcome(outcome("2")))]),
        Turn::new(Role::User, vec![part(Content::Outcome(outcome("id with spaces")))]),
        Turn::new(Role::Assistant, vec![Part::text(" \n")]),
        user("c"),
    ];
    let (body, losses) = written(&ask(turns), LLAMA, Facts::default());
    let id = "call_1a2351fa8d3bcd2b5e7b8a1f0e4d6c11";
    let messages = &body["messages"];
    let made = messages[1]["content"][0]["toolUse"]["toolUseId"].as_str().expect("an id");
    assert_eq!((made.len(), &made[..5]), (id.len(), &id[..5]));
    assert_eq!(
        *messages,
        json!([
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": made, "name": "f", "input": {}}},
                {"toolUse": {"toolUseId": "2", "name": "g", "input": {}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": made, "content": [{"json": {}}]}},
                {"toolResult": {"toolUseId": "2", "content": [{"json": {}}]}},
                {"text": "mind the time"}, {"text": "c"}]}
        ])
    );
    // What was called has to be listed, though nothing is on offer.
    assert_eq!(body["toolConfig"]["tools"][1]["toolSpec"]["name"], "g");
    assert_eq!(losses.names(), ["is_error"]);
}

#[test]
fn the_user_begins_and_ends_where_it_has_to_be_so() {
    let says = |role, text: &'static str| Turn::new(role, vec![Part::text(text)]);
    let begun = ask(vec![says(Role::System, "s"), says(Role::Assistant, "Hi"), user("a")]);
    let (body, _) = written(&begun, LLAMA, Facts::default());
    assert_eq!(body["messages"][0], json!({"role": "user", "content": [{"text": "."}]}));
    assert_eq!(body["messages"][1]["content"][0]["text"], "Hi");
    let going_on = ask(vec![user("Count."), says(Role::Assistant, "one, ")]);
    let last = "Continue your last message exactly where it ends. Repeat nothing of it.";
    let mut lacking = Facts::default();
    lacking.learn(Ability::Prefill, false);
    for (model, facts) in [(CLAUDE, Facts::default()), (NOVA, lacking)] {
        let (body, losses) = written(&going_on, model, facts);
        assert_eq!(body["messages"][2], json!({"role": "user", "content": [{"text": last}]}), "{model}");
        assert_eq!(losses.names(), ["prefill"], "{model}");
    }
    let (body, losses) = written(&going_on, CLAUDE_OLD, Facts::default());
    assert_eq!((&body["messages"][2], losses), (&Value::Null, Losses::default()));
}

#[test]
fn tools_are_said_or_lost_by_name() {
    let custom = Tool {
        kind: ToolKind::Custom { name: "run".into(), description: None, format: None },
        cache: None,
        extras: Extras::default(),
    };
    let search = Tool { kind: ToolKind::WebSearch { raw: "{}" }, cache: None, extras: Extras::default() };
    let tools = vec![tool("f"), custom, search, tool("g")];
    let allowed = ToolChoice::Allowed { names: vec!["f".into(), "run".into()], required: true };
    let asked = Ask {
        tools: tools.clone(),
        tool_choice: Some(allowed),
        parallel_tools: Some(false),
        ..ask(vec![user("?")])
    };
    let schema = json!({"json": {"type": "object", "properties": {}}});
    let closed = json!({"json": {"type": "object", "properties": {}, "additionalProperties": false}});
    let free = json!({"json": {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}});
    let (body, losses) = written(&asked, CLAUDE, Facts::default());
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [
            {"toolSpec": {"name": "f", "inputSchema": closed, "strict": true}},
            {"cachePoint": {"type": "default", "ttl": "1h"}},
            {"toolSpec": {"name": "mainstay_custom_run", "inputSchema": free}}]})
    );
    assert_eq!(
        body["additionalModelRequestFields"],
        json!({"tool_choice": {"type": "any", "disable_parallel_tool_use": true}})
    );
    assert_eq!(losses.names(), ["web_search"]);
    let (body, losses) = written(&asked, NOVA, Facts::default());
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [
            {"toolSpec": {"name": "f", "inputSchema": schema}},
            {"toolSpec": {"name": "mainstay_custom_run", "inputSchema": free}},
            {"systemTool": {"name": "nova_grounding"}}], "toolChoice": {"any": {}}})
    );
    assert_eq!(losses.names(), ["parallel_tool_calls", "cache_control", "strict"]);
    let none = Ask { tools, tool_choice: Some(ToolChoice::None), ..ask(vec![user("?")]) };
    assert_eq!(written(&none, CLAUDE, Facts::default()).0["toolConfig"], Value::Null);
    let mut facts = Facts::default();
    facts.learn(Ability::ForcedTools, false);
    let (body, losses) = written(&asked, LLAMA, facts);
    assert_eq!(body["toolConfig"]["toolChoice"], Value::Null);
    assert!(losses.names().contains(&"tool_choice".into()));
}

#[test]
fn what_cannot_be_fetched_or_understood_is_refused() {
    let refused = |content: Content<'static>| {
        let turns = vec![Turn::new(Role::User, vec![Part::new(content), Part::text("?")])];
        written(&ask(turns), CLAUDE, Facts::default()).1.fatal().map(|loss| loss.param.clone().into_owned())
    };
    let media = |source, mime: Option<&'static str>| Media::new(source, mime.map(Into::into));
    let data = || Source::Base64("AAAA".into());
    assert_eq!(
        refused(Content::Image(media(Source::Url("https://a/b.png".into()), None))).as_deref(),
        Some("image")
    );
    assert_eq!(refused(Content::Image(media(Source::Url("s3://a/b.png".into()), None))), None);
    assert_eq!(refused(Content::Image(media(data(), Some("image/tiff")))).as_deref(), Some("image"));
    assert_eq!(refused(Content::Image(media(Source::Base64(samples::PNG.into()), None))), None);
    assert_eq!(refused(Content::File(media(Source::FileId("f".into()), None))).as_deref(), Some("document"));
    assert_eq!(refused(Content::File(media(Source::Base64(samples::PDF.into()), None))), None);
    assert_eq!(refused(Content::File(media(Source::Text("t".into()), None))), None);
    assert_eq!(refused(Content::Audio(media(data(), Some("audio/wav")))).as_deref(), Some("audio"));
}

#[test]
fn a_foreign_signature_goes_to_its_caller_and_not_to_claude() {
    let signature = Signature { family: Family::Gemini, value: "g".into() };
    let mut reply = samples::replies().remove(4).1;
    let Content::Call(call) = &mut reply.choices[0].parts[1].content else { panic!("a call") };
    call.signature = Some(signature.clone());
    let mut out = Vec::new();
    crate::dialect::bedrock::reply::write(&reply, &samples::manner(), &mut out);
    let body: Value = serde_json::from_slice(&out).expect("JSON");
    let asked =
        json!({"messages": [{"role": "user", "content": [{"text": "?"}]}, body["output"]["message"]]})
            .to_string();
    let root = tree::parse(asked.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a request");
    let calls = ask.turns[1].parts.iter().filter_map(|part| match &part.content {
        Content::Call(call) => Some(call.signature.clone()),
        _ => None,
    });
    assert_eq!(calls.collect::<Vec<_>>(), [Some(signature), None]);
    assert!(!written(&ask, CLAUDE, Facts::default()).0.to_string().contains("reasoningContent"));
}

#[test]
fn claude_is_held_to_schemas_as_at_home() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string","maxLength":3}}}"#;
    let open =
        r#"{"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"integer"}}}}"#;
    let format = |schema: &'static str| {
        Some(Format::Schema { name: None, description: None, schema: schema.into(), strict: None })
    };
    let tool = |schema: &'static str| {
        let (name, parameters) = ("f".into(), Some(schema.into()));
        let kind = ToolKind::Function { name, description: None, parameters, strict: Some(true) };
        Tool { kind, cache: None, extras: Extras::default() }
    };
    let asked = |schema| Ask { format: format(schema), tools: vec![tool(schema)], ..ask(vec![user("?")]) };
    let said = |model, schema| {
        let (body, losses) = written(&asked(schema), model, Facts::default());
        let form = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
        let form: Value = form.map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"));
        let spec = body["toolConfig"]["tools"][0]["toolSpec"].clone();
        (form, spec["inputSchema"]["json"].clone(), spec["strict"].clone(), losses.names().join(" "))
    };
    let held = json!({"type": "object", "additionalProperties": false,
        "properties": {"a": {"type": "string", "description": "{maxLength: 3}"}}});
    let lost = "tools.parameters.maxLength response_format.maxLength".to_owned();
    assert_eq!(said(CLAUDE, schema), (held.clone(), held, json!(true), lost));
    let plain: Value = serde_json::from_str(open).expect("JSON");
    let lost = "strict response_format".to_owned();
    assert_eq!(said(CLAUDE, open), (Value::Null, plain, Value::Null, lost));
}

#[test]
fn no_more_marks_are_said_than_are_taken_and_the_last_ones_count() {
    let marked = |text: &str| Part { cache: Some(CacheMark::Short), ..Part::text(text.to_owned()) };
    let hour = |text: &str| Part { cache: Some(CacheMark::Hour), ..Part::text(text.to_owned()) };
    let points = |asked: &Ask<'_>, model| {
        let (body, losses) = written(asked, model, Facts::default());
        let behind = |blocks: &Value| -> Vec<String> {
            let blocks = blocks.as_array().cloned().unwrap_or_default();
            let marked = blocks.windows(2).filter(|pair| !pair[1]["cachePoint"].is_null());
            marked
                .map(|pair| {
                    let name = pair[0]["text"].as_str().or(pair[0]["toolSpec"]["name"].as_str());
                    format!("{}{}", name.unwrap_or("+"), pair[1]["cachePoint"]["ttl"].as_str().unwrap_or(""))
                })
                .collect()
        };
        let mut all = behind(&body["toolConfig"]["tools"]);
        all.extend(behind(&body["system"]));
        for message in body["messages"].as_array().expect("messages") {
            all.extend(behind(&message["content"]));
        }
        (all.join(" "), losses.names().iter().any(|name| name == "cache_control"))
    };
    let said = |tools: usize, texts: usize| Ask {
        tools: (0..tools).map(|_| tool("f")).collect(),
        ..ask(vec![
            Turn::new(Role::System, vec![marked("s")]),
            Turn::new(Role::User, (0..texts).map(|at| marked(&format!("t{at}"))).collect()),
        ])
    };
    assert_eq!(points(&said(0, 6), CLAUDE), ("t2 t3 t4 t5".to_owned(), true));
    assert_eq!(points(&said(1, 2), CLAUDE), ("f1h s t0 t1".to_owned(), false));
    assert_eq!(points(&said(1, 3), CLAUDE), ("s t0 t1 t2".to_owned(), true));
    assert_eq!(points(&said(0, 5), NOVA), ("t1 t2 t3 t4".to_owned(), true));
    // The one of the whole request is the last of all.
    let whole = Ask { cache: Some(CacheMark::Short), ..said(0, 4) };
    assert_eq!(points(&whole, CLAUDE), ("t1 t2 t3 +".to_owned(), true));
    // None of an hour stands behind one of five minutes.
    let mixed = ask(vec![Turn::new(Role::User, vec![hour("a"), marked("b"), hour("c")])]);
    assert_eq!(points(&mixed, CLAUDE), ("a1h b c".to_owned(), true));
    // A caller of its own says what he likes.
    let own = Ask { dialect: Dialect::Bedrock, ..said(0, 6) };
    assert_eq!(points(&own, CLAUDE), ("s t0 t1 t2 t3 t4 t5".to_owned(), false));
}
