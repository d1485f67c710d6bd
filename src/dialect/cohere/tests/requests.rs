//! Requests: samples, recordings, and what other dialects say.

use serde_json::{Value, json};

use super::{check_golden, losses_of, recorded, value};
use crate::dialect::Dialect;
use crate::dialect::cohere::request;
use crate::dialect::hub::samples;
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Effort, Family, Format, Logprobs, Losses, Media, Outcome, Part, Reasoning,
    Role, Source, Terms, Text, ToolChoice, ToolKind, Turn,
};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;

fn terms(model: &str) -> Terms<'_> {
    Terms { model, ..samples::terms(Family::Other, &Quirks::COMPATIBLE) }
}

pub fn ask(ask: &Ask<'_>, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::new();
    request::write(ask, &terms(samples::MODEL), losses, &mut out);
    out
}

#[test]
fn sample_requests_are_written_as_their_golden_files() {
    for (name, sample) in samples::asks() {
        let mut losses = Losses::default();
        let said = ask(&sample, &mut losses);
        let expected = match name {
            "sampling" => "n logit_bias user prompt_cache_key service_tier top_logprobs frequency_penalty",
            "file" => "refused: cohere takes no files but plain text; send the file's text instead",
            "audio" => "refused: cohere takes no audio; send a transcript instead",
            "tool_forced" => "parallel_tool_calls",
            "cache" => "cache_control",
            _ => "",
        };
        assert_eq!(losses_of(&losses), expected, "{name}");
        if losses.fatal().is_some() {
            continue;
        }
        check_golden(name, "ask.cohere.json", &said);
        let root = tree::parse(&said).expect("JSON");
        let again = request::read(&root).expect("our own request");
        assert_eq!(again, as_said(sample), "{name}");
        let mut losses = Losses::default();
        assert_eq!(value(&ask(&again, &mut losses)), value(&said), "{name}");
        assert_eq!(losses, Losses::default(), "{name}");
    }
}

/// The sample less what Cohere cannot say.
fn as_said(mut ask: Ask<'static>) -> Ask<'static> {
    let foreign = Ask::new(Dialect::Cohere);
    ask = Ask { dialect: Dialect::Cohere, ..ask };
    (ask.n, ask.logit_bias, ask.tier) = (foreign.n, foreign.logit_bias, foreign.tier);
    (ask.user, ask.cache_key, ask.parallel_tools) = (None, None, None);
    ask.frequency_penalty = ask.frequency_penalty.filter(|penalty| *penalty >= 0.0);
    ask.logprobs = ask.logprobs.map(|_| Logprobs { top: 0 });
    if let Some(ToolChoice::Tool(chosen)) = &ask.tool_choice {
        ask.tools.retain(|tool| matches!(&tool.kind, ToolKind::Function { name, .. } if name == chosen));
        ask.tool_choice = Some(ToolChoice::Required);
    }
    ask.tool_choice = ask.tool_choice.filter(|choice| *choice != ToolChoice::Auto);
    if let Some(Format::Schema { name, strict, .. }) = &mut ask.format {
        (*name, *strict) = (None, None);
    }
    if ask.reasoning.effort.is_some() {
        ask.reasoning = Reasoning { budget: ask.reasoning.as_budget(), ..Reasoning::default() };
    }
    let mut turns = Vec::new();
    for mut turn in ask.turns {
        turn.parts.retain(|part| !matches!(part.content, Content::Thought(_)));
        let is_outcome = |part: &Part<'_>| matches!(part.content, Content::Outcome(_));
        for part in &mut turn.parts {
            part.cache = None;
            if let Content::Outcome(outcome) = &mut part.content {
                outcome.is_error = None;
            }
        }
        if turn.parts.iter().all(is_outcome) {
            let single = |part: Part<'static>| Turn::new(Role::User, vec![part]);
            turns.extend(turn.parts.into_iter().map(single));
        } else {
            turns.push(turn);
        }
    }
    ask.turns = turns;
    ask
}

#[test]
fn recorded_requests_are_written_as_they_came() {
    let mut count = 0;
    for exchange in recorded("cohere", "/v2/chat") {
        let body = exchange["req"].to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let read = request::read(&root).unwrap_or_else(|wrong| panic!("{}: {body}", wrong.place(&root)));
        let mut losses = Losses::default();
        let mut out = Vec::new();
        request::write(&read, &terms(&read.model), &mut losses, &mut out);
        let (said, came) = (plain(value(&out)), plain(exchange["req"].clone()));
        assert!(said == came, "{}", exchange["src"]);
        assert_eq!(losses, Losses::default(), "{body}");
        count += 1;
    }
    println!("{count} of {count} recorded requests come back");
}

/// Nulls, empty lists and `stream: false` say nothing; a list of one text says what the text says, and
/// `0.0` says 0.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let says = |key: &str, value: &Value| match value {
                Value::Null => false,
                Value::Array(list) => !list.is_empty(),
                Value::Bool(false) => key != "stream",
                Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
            };
            let kept = members.into_iter().filter(|(key, value)| says(key, value));
            Value::Object(
                kept.map(|(key, value)| if key == "parameters" { (key, value) } else { (key, plain(value)) })
                    .collect(),
            )
        }
        Value::Array(list) => match &list[..] {
            [only] if only["type"] == "text" && only.as_object().is_some_and(|only| only.len() == 2) => {
                only["text"].clone()
            }
            _ => Value::Array(list.into_iter().map(plain).collect()),
        },
        Value::Number(number) => json!(number.as_f64()),
        other => other,
    }
}

#[test]
fn what_only_cohere_knows_comes_back_and_is_reported_elsewhere() {
    let body = json!({
        "model": samples::MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look", "cached": 1},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            ]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm"}], "tool_plan": "I will.",
             "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}", "y": 2}}],
             "citations": [{"start": 0, "end": 1}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "document", "document": {"id": "d", "data": {"sky": "clear"}}}]},
        ],
        "documents": ["a", {"data": {"text": "b", "title": "B"}}, {"id": "c", "data": {"text": "c"}}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}, "z": 1}],
        "strict_tools": true, "tool_choice": "NONE", "stream": true,
        "safety_mode": "OFF", "citation_options": {"mode": "fast"}, "priority": 3, "raw_prompting": false,
        "thinking": {"type": "enabled", "token_budget": 500}, "max_tokens": 9, "stop_sequences": ["x"],
        "temperature": 0.3, "seed": 4, "frequency_penalty": 0.1, "presence_penalty": 0.2, "k": 5, "p": 0.6,
        "logprobs": true, "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
    });
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let mut read = request::read(&root).expect("a request");
    let mut losses = Losses::default();
    assert_eq!(value(&ask(&read, &mut losses)), body);
    assert_eq!(losses, Losses::default());
    read.dialect = Dialect::Http;
    ask(&read, &mut losses);
    assert_eq!(
        losses_of(&losses),
        "citation_options priority raw_prompting safety_mode cached citations function.y z response_format"
    );
}

/// Writes a request of another dialect and looks at what came of it.
fn check(ask_for: impl FnOnce(&mut Ask<'static>), expected: &Value, lost: &str) {
    let mut sample = Ask::new(Dialect::Http);
    ask_for(&mut sample);
    let mut losses = Losses::default();
    let said = value(&ask(&sample, &mut losses));
    for (key, value) in expected.as_object().expect("members") {
        assert_eq!(said.get(key).unwrap_or(&Value::Null), value, "{key}");
    }
    assert_eq!(losses_of(&losses), lost);
}

#[test]
fn what_other_dialects_say_finds_its_place() {
    let tools = || samples::asks().into_iter().find(|(name, _)| *name == "tools").expect("a sample").1.tools;
    let user = |parts| Turn::new(Role::User, parts);
    let assistant = |parts| Turn::new(Role::Assistant, parts);
    let call = |id: &'static str| Call {
        id: id.into(),
        name: "get_time".into(),
        arguments: "not json".into(),
        kind: CallKind::Function,
        signature: None,
    };
    let outcome = |id: &'static str| Outcome {
        call_id: id.into(),
        name: Some("get_time".into()),
        content: vec![Part::text("noon")],
        is_error: None,
        kind: CallKind::Function,
    };
    let call_json = |id: &str| json!({"id": id, "type": "function", "function": {"name": "get_time", "arguments": "not json"}});
    let told = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "noon"});
    // Calls in turns of their own become one message; without ids they are told apart all the same.
    check(
        |ask| {
            ask.turns = vec![
                assistant(vec![Part::text("One."), Part::text("Two.")]),
                assistant(vec![Part::new(Content::Call(call("")))]),
                assistant(vec![Part::new(Content::Call(call("x")))]),
                user(vec![
                    Part::text("Go on."),
                    Part::new(Content::Outcome(outcome("x"))),
                    Part::new(Content::Outcome(outcome(""))),
                ]),
            ];
        },
        &json!({"messages": [
            {"role": "assistant", "tool_plan": "One.\n\nTwo.", "tool_calls": [call_json("call_n0nce_1"), call_json("x")]},
            told("x"), told("call_n0nce_1"),
            {"role": "user", "content": "Go on."},
        ]}),
        "",
    );
    // Files of text are documents.
    let file = |source, mime: &'static str, name: Option<&'static str>| {
        Part::new(Content::File(Media {
            name: name.map(Text::from),
            ..Media::new(source, Some(mime.into()))
        }))
    };
    check(
        |ask| {
            let csv = file(Source::Base64("YSxi".into()), "text/csv", Some("t.csv"));
            ask.turns = vec![user(vec![
                csv,
                file(Source::Text("t".into()), "text/plain", None),
                Part::text("Sum up."),
            ])];
        },
        &json!({"documents": [{"data": {"text": "a,b", "title": "t.csv"}}, {"data": {"text": "t"}}],
            "messages": [{"role": "user", "content": "Sum up."}]}),
        "",
    );
    check(
        |ask| ask.turns = vec![user(vec![file(Source::Text("t".into()), "text/plain", None)])],
        &json!({"documents": null, "messages": [{"role": "user", "content": "t"}]}),
        "",
    );
    check(
        |ask| {
            ask.turns =
                vec![user(vec![Part::new(Content::Image(Media::new(Source::FileId("f".into()), None)))])];
        },
        &json!({}),
        "refused: cohere cannot read another vendor's files; send the image itself",
    );
    check(
        |ask| {
            ask.tools = tools();
            ask.tool_choice = Some(ToolChoice::Allowed { names: vec!["get_time".into()], required: false });
            ask.format = Some(Format::Json);
            ask.reasoning.effort = Some(Effort::None);
        },
        &json!({"tool_choice": null, "response_format": null, "thinking": {"type": "disabled"}, "tools": [
            {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}]}),
        "response_format",
    );
    check(
        |ask| {
            (ask.top_k, ask.top_p, ask.seed) = (Some(900), Some(1.0), Some(-1.0));
            (ask.presence_penalty, ask.frequency_penalty) = (Some(2.0), Some(-1.0));
            ask.stop = ["a", "b", "c", "d", "e", "f"].map(Text::from).to_vec();
            ask.reasoning = Reasoning { effort: Some(Effort::High), ..Reasoning::default() };
            ask.tool_choice = Some(ToolChoice::Required);
        },
        &json!({"k": 500, "p": 0.99, "seed": null, "presence_penalty": 1, "frequency_penalty": null,
            "stop_sequences": ["a", "b", "c", "d", "e"], "thinking": {"type": "enabled"}, "tool_choice": null}),
        "seed frequency_penalty",
    );
}

#[test]
fn past_thoughts_go_to_models_that_think_and_take_no_plan() {
    use crate::vocab::{Ability, Facts};
    let thought = || {
        let text = Text::Borrowed("Hm.");
        Part::new(Content::Thought(crate::dialect::hub::Thought { text, ..Default::default() }))
    };
    let call = || {
        samples::asks().into_iter().find(|(name, _)| *name == "reasoning_back").expect("a sample").1.turns[1]
            .parts[1]
            .clone()
    };
    let written = |parts: Vec<Part<'static>>, thinks: Option<bool>| {
        let mut sample = Ask::new(Dialect::Http);
        sample.turns = vec![Turn::new(Role::Assistant, parts)];
        sample.reasoning.effort = Some(Effort::Low);
        let mut facts = Facts::default();
        if let Some(thinks) = thinks {
            facts.learn(Ability::Reasoning, thinks);
        }
        let mut losses = Losses::default();
        let mut out = Vec::new();
        request::write(&sample, &Terms { facts, ..terms("m") }, &mut losses, &mut out);
        let said = value(&out);
        (said["messages"][0].clone(), said["thinking"].clone(), losses_of(&losses))
    };
    let enabled = json!({"type": "enabled", "token_budget": 2048});
    let (message, thinking, lost) = written(vec![thought(), call()], Some(true));
    assert_eq!(
        (&message["content"], thinking, &*lost),
        (&json!([{"type": "thinking", "thinking": "Hm."}]), enabled.clone(), "")
    );
    let (message, ..) = written(vec![thought(), Part::text("I will."), call()], Some(true));
    assert_eq!((&message["content"], &message["tool_plan"]), (&Value::Null, &json!("I will.")));
    let (message, thinking, lost) = written(vec![thought(), call()], None);
    assert_eq!((&message["content"], thinking, &*lost), (&Value::Null, enabled, ""));
    let (_, thinking, lost) = written(vec![thought(), call()], Some(false));
    assert_eq!((thinking, &*lost), (Value::Null, "reasoning_effort"));
}

#[test]
fn a_document_of_another_dialects_has_nothing_but_what_cohere_knows() {
    let found = || {
        let mut part =
            Part::new(Content::File(Media::new(Source::Text("t".into()), Some("text/plain".into()))));
        part.extras.keep_aside("block", r#"{"type":"search_result"}"#);
        part.extras.keep_aside("source", r#"{"type":"content"}"#);
        part
    };
    let call = Call {
        id: "c".into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: CallKind::Function,
        signature: None,
    };
    let outcome = Outcome {
        call_id: "c".into(),
        name: Some("f".into()),
        content: vec![found()],
        is_error: None,
        kind: CallKind::Function,
    };
    let asked = Ask {
        turns: vec![
            Turn::new(Role::User, vec![Part::text("x"), found()]),
            Turn::new(Role::Assistant, vec![Part::new(Content::Call(call))]),
            Turn::new(Role::User, vec![Part::new(Content::Outcome(outcome))]),
        ],
        ..Ask::new(Dialect::Anthropic)
    };
    let said = value(&ask(&asked, &mut Losses::default()));
    let document = json!({"data": {"text": "t"}});
    assert_eq!(said["documents"], json!([document]));
    assert_eq!(said["messages"][2]["content"], json!([{"type": "document", "document": document}]));
}
