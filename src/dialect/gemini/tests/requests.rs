//! Requests that say one thing each: what they mean, what is wrong with them, how they leave.

use serde_json::{Value, json};

use crate::dialect::gemini::request;
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Effort, Extras, Family, Losses, Media, Outcome, Part, Role, Signature,
    Source, Stops, Summary, Terms, Thought, Tier, Tool, ToolChoice, ToolKind, Turn, samples,
};
use crate::dialect::quirks::{CallIds, Quirks};
use crate::dialect::{Dialect, tree};
use crate::vocab::{Ability, Facts};

static VERTEX: Quirks = Quirks { call_ids: CallIds::Omitted, ..Quirks::COMPATIBLE };

/// What is wrong with a request.
fn wrong(body: &str) -> String {
    let root = tree::parse(body.as_bytes()).expect("JSON");
    request::read(&root).expect_err("wrong").place(&root).to_string()
}

fn with<T>(body: &str, look: impl Fn(&Ask<'_>) -> T) -> T {
    let root = tree::parse(body.as_bytes()).expect("JSON");
    look(&request::read(&root).unwrap_or_else(|wrong| panic!("{}", wrong.place(&root))))
}

/// A stranger's request with these turns.
fn ask(turns: Vec<Turn<'static>>) -> Ask<'static> {
    Ask { turns, ..Ask::new(Dialect::Http) }
}

fn turn(role: Role, parts: Vec<Content<'static>>) -> Turn<'static> {
    Turn::new(role, parts.into_iter().map(Part::new).collect())
}

fn user(text: &'static str) -> Turn<'static> {
    turn(Role::User, vec![Content::Text(text.into())])
}

/// How it leaves for a model, and what is lost on the way.
fn sent(ask: &Ask<'_>, terms: &Terms<'_>) -> (Value, Losses) {
    let (mut losses, mut out) = (Losses::default(), Vec::new());
    request::write(ask, terms, &mut losses, &mut out);
    (serde_json::from_slice(&out).expect("JSON"), losses)
}

fn terms(model: &'static str) -> Terms<'static> {
    Terms { model, ..samples::terms(Family::Gemini, &Quirks::COMPATIBLE) }
}

fn facts(max_output: Option<u64>, lacking: Ability) -> Facts {
    let mut facts = Facts::default();
    facts.learn(lacking, false);
    facts.max_output = max_output;
    facts
}

fn contents(ask: &Ask<'_>, model: &'static str) -> Value {
    sent(ask, &terms(model)).0["contents"].take()
}

fn call(id: &'static str, name: &'static str) -> Call<'static> {
    let (id, name) = (id.into(), name.into());
    Call { id, name, arguments: "{}".into(), kind: CallKind::Function, signature: None }
}

fn outcome(call_id: &'static str, content: Vec<Part<'static>>) -> Content<'static> {
    let (call_id, name) = (call_id.into(), Some("f".into()));
    Content::Outcome(Outcome { call_id, name, content, is_error: None, kind: CallKind::Function })
}

fn function(name: &'static str, strict: Option<bool>) -> Tool<'static> {
    let parameters = Some(r#"{"type":"object"}"#.into());
    let kind = ToolKind::Function { name: name.into(), description: None, parameters, strict };
    Tool { kind, cache: None, extras: Extras::default() }
}

fn search() -> Tool<'static> {
    Tool { kind: ToolKind::WebSearch { raw: "{}" }, cache: None, extras: Extras::default() }
}

// ---- reading ---------------------------------------------------------------------------------

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (body, expected) in [
        ("{}", "contents: required, and missing"),
        (r#"{"contents":[]}"#, "contents: empty; give at least one content"),
        (r#"{"contents":"hi"}"#, "contents: expected an array, found a string"),
        (
            r#"{"contents":[{"role":"assistant","parts":[]}]}"#,
            "contents[0].role: unknown role; the roles are user, model and function",
        ),
        (
            r#"{"contents":[{"parts":[{"thought":false}]}]}"#,
            "contents[0].parts[0]: an empty part; give it text, inlineData, functionCall or the like",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"data:x"}}]}]}"#,
            "contents[0].parts[0].inlineData.data: not base64; encode the file's bytes without a data: prefix",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#,
            "contents[0].parts[0].functionCall.name: required, and missing",
        ),
        (
            r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{}}}]}]}"#,
            "contents[0].parts[0]: answers no functionCall before it; send the model's turn with the call, too",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"topK":1.5}}"#,
            "generationConfig.topK: expected a whole number of at least 0, found a number",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":-2}}}"#,
            "generationConfig.thinkingConfig.thinkingBudget: expected a whole number of at least 0, found a number",
        ),
    ] {
        assert_eq!(wrong(body), expected);
    }
}

#[test]
fn either_spelling_and_single_values_are_understood() {
    let body = r#"{
        "contents": {"role": "USER", "parts": {"text": "x"}},
        "system_instruction": "brief",
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_level": "high", "include_thoughts": true}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "service_tier": "FLEX"
    }"#;
    with(body, |ask| {
        assert_eq!(ask.turns.iter().map(|turn| turn.role).collect::<Vec<_>>(), [Role::System, Role::User]);
        assert_eq!((ask.max_tokens, ask.tier), (Some(5), Some(Tier::Flex)));
        assert_eq!(ask.reasoning.effort, Some(Effort::High));
        assert_eq!(ask.reasoning.summary, Some(Summary::Auto));
        assert_eq!(ask.tool_choice, Some(ToolChoice::Tool("f".into())));
        assert!(ask.extras.is_empty());
    });
}

#[test]
fn a_schema_of_googles_becomes_json_schema() {
    let body = r#"{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":[
        {"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}],
        "googleSearch":{},"urlContext":{}}]}"#;
    with(body, |ask| {
        let kinds: Vec<_> = ask.tools.iter().map(|tool| &tool.kind).collect();
        let [
            ToolKind::Function { parameters, .. },
            ToolKind::WebSearch { .. },
            ToolKind::Vendor { name, .. },
        ] = kinds.as_slice()
        else {
            panic!("{kinds:?}")
        };
        let schema = r#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#;
        assert_eq!((parameters.as_deref(), &**name), (Some(schema), "urlContext"));
    });
}

#[test]
fn what_is_usual_is_nothing_to_miss() {
    let body = r#"{"contents":[{"parts":[{"text":"x"}]}],
        "tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]}],
        "generationConfig":{"responseModalities":["TEXT"],"responseMimeType":"text/plain"},
        "safetySettings":[]}"#;
    with(body, |ask| {
        let mut losses = Losses::default();
        losses.drop_all_extras(ask);
        assert_eq!(losses.names(), ["safetySettings"]);
    });
}

#[test]
fn results_find_their_calls_by_id_or_by_name_and_order() {
    let pairs = |calls: &str, results: &str| {
        let part = |kind: &str, word: &str| {
            let (name, id) = word.split_once('#').unwrap_or((word, ""));
            let id = if id.is_empty() { Value::Null } else { json!(id) };
            json!({kind: {"name": name, "id": id, "response": {"result": word}}})
        };
        let parts =
            |kind: &str, words: &str| words.split(' ').map(|word| part(kind, word)).collect::<Value>();
        let body = json!({"contents": [
            {"role": "model", "parts": parts("functionCall", calls)},
            {"role": "user", "parts": parts("functionResponse", results)},
        ]});
        with(&body.to_string(), |ask| {
            let said = ask.turns.iter().flat_map(|turn| &turn.parts).map(|part| match &part.content {
                Content::Call(call) => format!("{}#{}", call.name, call.id),
                Content::Outcome(outcome) => {
                    let text = outcome.content[0].as_text().expect("text");
                    format!("{}#{}={text}", outcome.name.as_deref().unwrap_or_default(), outcome.call_id)
                }
                other => panic!("{other:?}"),
            });
            said.collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(pairs("f#1 f#2", "f#2 f#1"), "f#1 f#2 f#2=f#2 f#1=f#1");
    assert_eq!(pairs("f g", "g f"), "f# g# f#=f g#=g");
    assert_eq!(pairs("f#1 g", "f g#2"), "f#1 g#2 f#1=f g#2=g#2");
    assert_eq!(pairs("f f", "f f"), "f# f# f#=f f#=f");
    assert_eq!(pairs("f#1 f#2", "f f"), "f#1 f#2 f#1=f f#2=f");
    assert_eq!(pairs("f f", "f#2 f#1"), "f#2 f#1 f#2=f#2 f#1=f#1");
}

#[test]
fn the_chunks_of_a_stream_are_one_answer_again() {
    // As the Python SDK sends it: a content for each chunk, base64 of the URL-safe kind.
    let foreign = Signature { family: Family::Anthropic, value: "Eq??>>/x+A==".into() };
    let sealed = foreign.seal(Family::Gemini).replace('+', "-").replace('/', "_");
    let model = |part: Value| json!({"role": "model", "parts": [part]});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        model(json!({"text": "H", "thought": true})),
        model(json!({"text": "m.", "thought": true})),
        model(json!({"text": "", "thought": true, "thoughtSignature": sealed})),
        model(json!({"text": "4"})),
        model(json!({"text": "2"})),
        model(json!({"functionCall": {"name": "f"}})),
        model(json!({"text": ""})),
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]});
    with(&body.to_string(), |ask| {
        assert_eq!(ask.turns.len(), 3);
        let parts: Vec<_> = ask.turns[1].parts.iter().map(|part| part.content.clone()).collect();
        let signature = Some(foreign.clone());
        let thought = Thought { text: "Hm.".into(), is_summary: true, signature, ..Thought::default() };
        let expected = [Content::Thought(thought), Content::Text("42".into()), Content::Call(call("", "f"))];
        assert_eq!(parts, expected);
    });
}

#[test]
fn own_signatures_stay_where_they_stood() {
    let parts = json!([
        {"text": "a", "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "c2ln"},
        {"text": "t", "thought": true, "thoughtSignature": "c2ln"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"},
    ]);
    let body = json!({"contents": [{"role": "model", "parts": parts}]}).to_string();
    let said = with(&body, |ask| {
        let empty = |part: &Part<'_>| part.as_text().is_some_and(|text| text.is_empty());
        assert!(!ask.turns[0].parts.iter().any(empty));
        contents(ask, "gemini-3-pro-preview")
    });
    assert_eq!(said[0]["parts"], parts);
    // In another dialect's words it is the same, behind a turn of the user: only whose request it is differs.
    let told = with(&body, |ask| {
        let ask = Ask { dialect: Dialect::OpenAi, ..ask.clone() };
        contents(&ask, "gemini-3-pro-preview")
    });
    assert_eq!(told[1]["parts"], parts);
}

// ---- writing ---------------------------------------------------------------------------------

#[test]
fn turns_are_merged_and_results_come_first() {
    let whole = ask(vec![
        turn(Role::System, vec![Content::Text("s".into())]),
        user("a"),
        turn(Role::Developer, vec![Content::Text("d".into())]),
        turn(Role::Assistant, vec![Content::Call(call("1", "f"))]),
        user("b"),
        turn(Role::User, vec![outcome("1", vec![Part::text("r")]), Content::Text("".into())]),
    ]);
    let (body, _) = sent(&whole, &terms("gemini-2.5-flash"));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "s"}]}));
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "a"}, {"text": "d"}]},
            {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"result": "r"}}},
                {"text": "b"},
            ]},
        ])
    );
    let alone = ask(vec![turn(Role::System, vec![Content::Text("s".into())])]);
    assert_eq!(contents(&alone, "gemini-2.5-flash"), json!([{"role": "user", "parts": [{"text": "s"}]}]));
}

#[test]
fn the_first_call_of_a_turn_is_signed_for_gemini_3() {
    let signed = |model: &'static str, family: Option<Family>| {
        let signature = family.map(|family| Signature { family, value: "c2ln".into() });
        let calls = vec![Content::Call(Call { signature, ..call("1", "f") }), Content::Call(call("2", "f"))];
        let ask = ask(vec![user("x"), turn(Role::Assistant, calls), user("y")]);
        let parts = contents(&ask, model)[1]["parts"].take();
        [0, 1].map(|at| parts[at]["thoughtSignature"].as_str().unwrap_or("-").to_owned()).join(" ")
    };
    assert_eq!(signed("gemini-3-pro-preview", None), "skip_thought_signature_validator -");
    assert_eq!(signed("gemini-flash-latest", Some(Family::Anthropic)), "skip_thought_signature_validator -");
    assert_eq!(signed("gemini-3-pro-preview", Some(Family::Gemini)), "c2ln -");
    assert_eq!(signed("gemini-2.5-pro", None), "- -");
}

#[test]
fn vertex_gets_no_ids() {
    let ask = ask(vec![
        user("x"),
        turn(Role::Assistant, vec![Content::Call(call("1", "f"))]),
        turn(Role::User, vec![outcome("1", vec![])]),
    ]);
    let (body, _) = sent(&ask, &Terms { quirks: &VERTEX, ..terms("gemini-2.5-pro") });
    assert_eq!(body["contents"][1]["parts"], json!([{"functionCall": {"name": "f", "args": {}}}]));
    assert_eq!(body["contents"][2]["parts"], json!([{"functionResponse": {"name": "f", "response": {}}}]));
}

#[test]
fn media_of_a_result_go_inside_or_beside() {
    let image =
        Part::new(Content::Image(Media::new(Source::Base64("AAAA".into()), Some("image/png".into()))));
    let ask = ask(vec![
        user("x"),
        turn(Role::Assistant, vec![Content::Call(call("", "f"))]),
        turn(Role::User, vec![outcome("", vec![Part::text("r"), image])]),
    ]);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let result = json!({"result": "r"});
    assert_eq!(
        contents(&ask, "gemini-2.5-pro")[2]["parts"],
        json!([{"functionResponse": {"name": "f", "response": result}}, inline])
    );
    assert_eq!(
        contents(&ask, "gemini-3-pro-preview")[2]["parts"],
        json!([{"functionResponse": {"name": "f", "response": result, "parts": [inline]}}])
    );
}

#[test]
fn a_document_of_text_in_a_result_is_said_in_words() {
    let document = Part::new(Content::File(Media::new(Source::Text("page".into()), None)));
    let ask = ask(vec![
        user("x"),
        turn(Role::Assistant, vec![Content::Call(call("1", "f"))]),
        turn(Role::User, vec![outcome("1", vec![Part::text("found"), document])]),
    ]);
    for model in ["gemini-2.5-pro", "gemini-3-pro-preview"] {
        let result = json!({"id": "1", "name": "f", "response": {"result": "found\npage"}});
        assert_eq!(contents(&ask, model)[2]["parts"], json!([{"functionResponse": result}]), "{model}");
    }
}

#[test]
fn searching_goes_beside_functions_only_where_it_may() {
    let both = |terms: &Terms<'_>, tools: Vec<Tool<'static>>| {
        let (body, losses) = sent(&Ask { tools, ..ask(vec![user("x")]) }, terms);
        let tools = body["tools"].as_array().map_or(0, Vec::len);
        (tools, body["toolConfig"]["includeServerSideToolInvocations"] == true, losses.names().join(" "))
    };
    let three = terms("gemini-3-pro-preview");
    assert_eq!(both(&three, vec![search()]), (1, false, String::new()));
    assert_eq!(both(&three, vec![function("f", None), search()]), (2, true, String::new()));
    let lost = (1, false, "web_search".to_owned());
    assert_eq!(both(&terms("gemini-2.5-pro"), vec![function("f", None), search()]), lost);
    assert_eq!(both(&Terms { quirks: &VERTEX, ..three }, vec![function("f", None), search()]), lost);
}

#[test]
fn the_choice_of_tools_is_said_in_googles_modes() {
    let mode = |choice: Option<ToolChoice<'static>>, strict: Option<bool>| {
        let ask = Ask { tools: vec![function("f", strict)], tool_choice: choice, ..ask(vec![user("x")]) };
        let (mut body, losses) = sent(&ask, &terms("gemini-3-pro-preview"));
        assert!(losses.names().is_empty());
        body["toolConfig"]["functionCallingConfig"].take()
    };
    let some = |required| ToolChoice::Allowed { names: vec!["f".into()], required };
    assert_eq!(mode(None, None), Value::Null);
    assert_eq!(mode(None, Some(true)), json!({"mode": "VALIDATED"}));
    assert_eq!(mode(Some(ToolChoice::Auto), None), json!({"mode": "AUTO"}));
    assert_eq!(mode(Some(ToolChoice::None), Some(true)), json!({"mode": "NONE"}));
    assert_eq!(mode(Some(some(false)), None), json!({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}));
    assert_eq!(mode(Some(some(true)), None), json!({"mode": "ANY", "allowedFunctionNames": ["f"]}));
}

#[test]
fn beside_googles_own_search_calls_are_validated() {
    let mode = |choice: Option<ToolChoice<'static>>| {
        let tools = vec![function("f", None), search()];
        let (mut body, _) =
            sent(&Ask { tools, tool_choice: choice, ..ask(vec![user("x")]) }, &terms("gemini-3-pro-preview"));
        assert_eq!(body["toolConfig"]["includeServerSideToolInvocations"], true);
        body["toolConfig"]["functionCallingConfig"].take()
    };
    // What it is there, where nothing is said.
    assert_eq!(mode(None), Value::Null);
    assert_eq!(mode(Some(ToolChoice::Auto)), json!({"mode": "VALIDATED"}));
    assert_eq!(mode(Some(ToolChoice::None)), json!({"mode": "NONE"}));
    assert_eq!(mode(Some(ToolChoice::Required)), json!({"mode": "ANY"}));
}

#[test]
fn what_changes_the_meaning_is_refused() {
    let refused = |ask: &Ask<'_>, model| {
        sent(ask, &terms(model)).1.fatal().map(|loss| loss.param.to_string()).unwrap_or_default()
    };
    let file = Content::File(Media::new(Source::FileId("file-abc".into()), None));
    assert_eq!(refused(&ask(vec![turn(Role::User, vec![file])]), "gemini-2.5-pro"), "file_id");
    let own = Content::File(Media::new(Source::FileId("gs://bucket/a.pdf".into()), None));
    assert_eq!(refused(&ask(vec![turn(Role::User, vec![own])]), "gemini-2.5-pro"), "");
    let begun = ask(vec![user("x"), turn(Role::Assistant, vec![Content::Text("So".into())])]);
    assert_eq!(refused(&begun, "gemini-2.5-pro"), "");
    assert_eq!(refused(&begun, "gemini-3.6-flash"), "messages");
    let kind = ToolKind::Custom { name: "sh".into(), description: None, format: None };
    let custom = Tool { kind, cache: None, extras: Extras::default() };
    assert_eq!(refused(&Ask { tools: vec![custom], ..ask(vec![user("x")]) }, "gemini-2.5-pro"), "tools");
    let mut kept = ask(vec![user("x")]);
    kept.extras.keep("previous_response_id", "\"r\"");
    assert_eq!(refused(&kept, "gemini-2.5-pro"), "previous_response_id");
}

#[test]
fn what_the_model_does_not_take_is_left_out_and_said() {
    let facts = facts(Some(100), Ability::Sampling);
    let ask = Ask {
        temperature: Some(0.5),
        top_k: Some(4),
        presence_penalty: Some(1.0),
        seed: Some(1e15),
        max_tokens: Some(500),
        stop: (0..6).map(|at| at.to_string().into()).collect(),
        tier: Some(Tier::Scale),
        ..ask(vec![user("x")])
    };
    let (body, losses) = sent(&ask, &Terms { facts, ..terms("gemini-3.8-flash") });
    assert_eq!(
        body["generationConfig"],
        json!({"maxOutputTokens": 100, "stopSequences": ["0", "1", "2", "3", "4"]})
    );
    assert_eq!(losses.stops(), &Stops::of(&["5"]));
    let mut names = losses.names().to_vec();
    names.sort();
    assert_eq!(names, ["presence_penalty", "seed", "service_tier", "temperature", "top_k"]);
}

#[test]
fn a_form_and_functions_exclude_each_other_before_gemini_3() {
    let ask = Ask {
        tools: vec![function("f", None)],
        format: Some(crate::dialect::hub::Format::Json),
        ..ask(vec![user("x")])
    };
    let (body, losses) = sent(&ask, &terms("gemini-2.5-pro"));
    assert_eq!(
        (body.get("generationConfig"), losses.names().join(" ")),
        (None, "response_format".to_owned())
    );
    let (body, losses) = sent(&ask, &terms("gemini-3-pro-preview"));
    assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
    assert!(losses.names().is_empty());
}

#[test]
fn a_call_comes_behind_a_turn_of_the_user_and_a_picture_has_its_right_type() {
    let terms = terms("gemini-2.5-pro");
    let id = "c";
    let call = Call {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: CallKind::Function,
        signature: None,
    };
    let picture = Media::new(Source::Base64("AAAA".into()), Some("image/jpg".into()));
    let turns = vec![
        Turn::new(Role::System, vec![Part::text("s")]),
        Turn::new(Role::Assistant, vec![Part::new(Content::Call(call))]),
        Turn::new(Role::User, vec![Part::new(Content::Image(picture))]),
    ];
    let (body, _) = sent(&Ask { turns, ..Ask::new(Dialect::OpenAi) }, &terms);
    assert_eq!(body["contents"][0], json!({"role": "user", "parts": [{"text": "."}]}));
    assert!(body["contents"][1]["parts"][0]["functionCall"].is_object());
    assert_eq!(body["contents"][2]["parts"][0]["inlineData"]["mimeType"], "image/jpeg");
}
