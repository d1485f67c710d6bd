//! Requests: how items become turns, what is refused, what is lost, what an answer repeats.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::again::{again, same};
use crate::dialect::hub::{
    Ask, Content, Effort, Extras, Family, Losses, Media, Part, Reasoning, Role, Signature, Source, Stops,
    Terms, Thought, Tool, ToolKind, Turn, samples,
};
use crate::dialect::quirks::{ForcedTools, Quirks, ReasoningBack};
use crate::dialect::responses::reply;
use crate::dialect::responses::request::{self, STATEFUL};
use crate::dialect::{Dialect, tree};
use crate::vocab::{Ability, Facts};

/// An item of each kind, by a letter; calls and results are numbered by their place.
fn item(letter: char, call: usize) -> Value {
    match letter {
        's' => json!({"role": "system", "content": "be brief"}),
        'd' => json!({"role": "developer", "content": [{"type": "input_text", "text": "be kind"}]}),
        'u' => json!({"type": "message", "role": "user", "content": "hello"}),
        'm' => json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]}),
        'r' => json!({"type": "reasoning", "id": format!("rs_{call}"), "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}),
        'c' => json!({"type": "function_call", "id": "fc_1", "call_id": format!("call_{call}"), "name": "f",
            "arguments": "{\"a\": 1}", "status": "completed"}),
        'o' => json!({"type": "function_call_output", "call_id": format!("call_{call}"), "output": "42"}),
        'x' => json!({"type": "custom_tool_call", "call_id": format!("call_{call}"), "name": "apply_patch",
            "input": "*** Begin Patch"}),
        'y' => json!({"type": "custom_tool_call_output", "call_id": format!("call_{call}"),
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "file_id": "file_1"}]}),
        'w' => {
            json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}})
        }
        'l' => json!({"type": "local_shell_call_output", "id": "ls_1", "output": "ok"}),
        'a' => json!({"type": "additional_tools", "role": "developer", "tools": []}),
        'i' => {
            json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"})
        }
        _ => panic!("no item is called {letter}"),
    }
}

/// Items by letters; a result belongs to the call that has waited longest.
fn items(letters: &str) -> Vec<Value> {
    let (mut calls, mut results) = (0, 0);
    let number = |letter, calls: &mut usize, results: &mut usize| {
        let counter = match letter {
            'c' | 'x' => calls,
            'o' | 'y' => results,
            _ => return *calls,
        };
        *counter += 1;
        *counter - 1
    };
    letters.chars().map(|letter| item(letter, number(letter, &mut calls, &mut results))).collect()
}

/// `ura` becomes `U A:rm`: roles, and what the parts are.
fn turns(letters: &str) -> String {
    let body = json!({"model": "m", "input": items(letters)}).to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = request::read(&root).unwrap_or_else(|wrong| panic!("{letters}: {wrong}"));
    let words: Vec<String> = ask.turns.iter().map(turn_in_letters).collect();
    words.join(" ")
}

fn turn_in_letters(turn: &Turn<'_>) -> String {
    let role = match turn.role {
        Role::System => 'S',
        Role::Developer => 'D',
        Role::User => 'U',
        Role::Assistant => 'A',
    };
    let part = |part: &Part<'_>| match &part.content {
        Content::Text(_) => 't',
        Content::Thought(_) => 'r',
        Content::Call(_) => 'c',
        Content::Outcome(_) => 'o',
        Content::Vendor { .. } => 'v',
        Content::Image(_) => 'i',
        _ => '?',
    };
    format!("{role}:{}", turn.parts.iter().map(part).collect::<String>())
}

fn check(letters: &str, expected: &str) {
    assert_eq!(turns(letters), expected, "{letters}");
}

#[test]
fn what_the_assistant_does_at_once_is_one_turn() {
    check("su", "S:t U:t");
    check("umu", "U:t A:t U:t");
    check("urmccoou", "U:t A:rrtcc U:oo U:t");
    check("urcorcom", "U:t A:rrc U:o A:rrc U:o A:t");
    // Two messages are two turns, and reasoning belongs to what comes after it.
    check("ummu", "U:t A:t A:t U:t");
    check("umrco", "U:t A:t A:rrc U:o");
    // Results have to follow their calls at once.
    check("ucmco", "U:t A:ctc U:o");
    check("ucrco", "U:t A:crrc U:o");
    // The vendor's own items stand where they stood.
    check("urwmu", "U:t A:rrvt U:t");
    check("uxyl", "U:t A:c U:ov");
    check("uadu", "U:t D:v D:t U:t");
    check("uiu", "U:t A:i U:t");
}

#[test]
fn results_know_the_names_of_their_calls() {
    let body = json!({"model": "m", "input": items("ucxoy")}).to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a request");
    let last = ask.turns.last().expect("turns");
    let names = last.parts.iter().map(|part| match &part.content {
        Content::Outcome(outcome) => outcome.name.as_deref(),
        _ => None,
    });
    assert_eq!(names.collect::<Vec<_>>(), [Some("f"), Some("apply_patch")]);
}

fn wrong(body: &Value) -> String {
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    request::read(&root).expect_err("wrong").place(&root).to_string()
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let with = |item: Value| json!({"model": "m", "input": [{"role": "user", "content": "x"}, item]});
    assert_eq!(wrong(&json!({"model": "m"})), "input: required, and missing");
    assert_eq!(
        wrong(&json!({"model": "m", "input": 7})),
        "input: expected a string or an array of items, found a number"
    );
    assert_eq!(
        wrong(&with(json!({"role": "robot", "content": "x"}))),
        "input[1].role: not a role; the roles are user, assistant, system and developer"
    );
    assert_eq!(
        wrong(&with(json!({"type": "function_call_output", "call_id": "c", "output": "x"}))),
        "input[1].call_id: no call before it has this id; send the call, too, before its output"
    );
    assert_eq!(
        wrong(&with(json!({"type": "function_call", "call_id": "c", "arguments": "{}"}))),
        "input[1].name: required, and missing"
    );
    let file = json!({"role": "user", "content": [{"type": "input_file", "file_data": "data:a/b;base64,*"}]});
    assert_eq!(
        wrong(&with(file)),
        "input[1].content[0].file_data: not base64; send standard base64, after `data:<type>;base64,`"
    );
    assert_eq!(
        wrong(&json!({"model": "m", "input": "x", "tool_choice": "any"})),
        "tool_choice: not a choice; use auto, none, required or an object"
    );
    assert_eq!(
        wrong(&json!({"model": "m", "input": "x", "tools": [{"type": "function"}]})),
        "tools[0].name: required, and missing"
    );
    assert_eq!(
        wrong(&json!({"model": "m", "input": "x", "temperature": "hot"})),
        "temperature: expected a number, found a string"
    );
}

/// What lies at the vendor is among the extras under its own name, and results may belong to it.
#[test]
fn what_lies_at_the_vendor_is_named() {
    let output = json!({"type": "function_call_output", "call_id": "call_9", "output": "x"});
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
    ] {
        let body = json!({"model": "m", "input": [output], name: value});
        let text = body.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ask = request::read(&root).expect("a request");
        assert!(STATEFUL.contains(&name) && ask.extras.find(name).is_some(), "{name}");
        same(name, body, again(&text).0);
    }
    for item in [
        json!({"type": "item_reference", "id": "msg_1"}),
        json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}),
        json!({"type": "compaction_trigger"}),
    ] {
        let body = json!({"model": "m", "input": [item, output]});
        let text = body.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ask = request::read(&root).expect("a request");
        let name = item["type"].as_str().expect("a type");
        assert!(STATEFUL.contains(&name) && ask.extras.find(name).is_some(), "{name}");
        same(name, body, again(&text).0);
    }
    // What is asked to be made later is made at once elsewhere.
    let later = json!({"model": "m", "background": true, "input": "x"});
    same("background", later.clone(), again(&later.to_string()).0);
    let only = json!({"model": "m", "background": false, "input": "x"}).to_string();
    let root = tree::parse(only.as_bytes()).expect("JSON");
    assert_eq!(request::read(&root).expect("a request").extras.iter().count(), 0);
}

/// As Codex sends it (codex-rs, core/src/client.rs): nothing of it is lost, and hardly anything would be
/// missed elsewhere.
#[test]
fn a_request_of_codex_comes_through() {
    let body = json!({
        "model": "gpt-5-codex", "instructions": "You are Codex.", "store": false, "stream": true,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "sandbox"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "fix it"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "**Hm**"}],
                "encrypted_content": "gAAAAA"},
            {"type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "apply_patch",
                "input": "*** Begin Patch"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done"}],
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs", "strict": false,
                "parameters": {"type": "object", "properties": {}}},
            {"type": "custom", "name": "apply_patch", "description": "Patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": false}],
        "tool_choice": "auto", "parallel_tool_calls": false,
        "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k", "text": {"verbosity": "low"}, "client_metadata": {"x": "y"},
    });
    let text = body.to_string();
    let (written, losses) = again(&text);
    assert_eq!(losses, Vec::<String>::new());
    same("codex", body, written);
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a request");
    let mut lost = Losses::default();
    lost.drop_all_extras(&ask);
    assert_eq!(lost.names(), ["text.verbosity"]);
}

fn translated(ask: &Ask<'_>, terms: &Terms<'_>) -> (Value, Losses) {
    let mut losses = Losses::default();
    let mut out = Vec::new();
    request::write(ask, terms, &mut losses, &mut out);
    (serde_json::from_slice(&out).expect("JSON"), losses)
}

fn terms() -> Terms<'static> {
    samples::terms(Family::OpenAi, &Quirks::OPENAI)
}

fn sample(name: &str) -> Ask<'static> {
    samples::asks().into_iter().find(|(sample, _)| *sample == name).expect("a sample").1
}

#[test]
fn what_a_model_is_known_to_lack_is_not_asked_for() {
    let mut facts = Facts::default();
    facts.max_output = Some(500);
    for lack in [Ability::Sampling, Ability::Reasoning, Ability::ForcedTools, Ability::ParallelToolsConfig] {
        facts.learn(lack, false);
    }
    let terms = Terms { facts, ..terms() };
    let (said, losses) = translated(&sample("multi_turn"), &terms);
    assert_eq!(losses.names(), ["temperature", "top_p"]);
    assert_eq!(losses.stops(), &Stops::of(&["END", "STOP"]));
    assert_eq!(said["max_output_tokens"], 500);
    let (said, losses) = translated(&sample("reasoning"), &terms);
    assert_eq!((losses.names().len(), &said["reasoning"], &said["include"]), (1, &Value::Null, &Value::Null));
    let (said, losses) = translated(&sample("tool_forced"), &terms);
    assert_eq!((said["tool_choice"].as_str(), losses.names().len()), (Some("auto"), 2));
    let only_auto = &Quirks { tool_choice: ForcedTools::OnlyAuto, json_schema: false, ..Quirks::COMPATIBLE };
    let other = samples::terms(Family::Other, only_auto);
    assert_eq!(translated(&sample("tool_required"), &other).0["tool_choice"], "auto");
    assert_eq!(translated(&sample("structured"), &other).0["text"]["format"]["type"], "json_object");
    assert_eq!(translated(&sample("sampling"), &other).0["user"], "user-1");
    assert_eq!(translated(&sample("cache"), &other).1.names(), ["cache_control"]);
    let tiny = Ask { max_tokens: Some(1), ..sample("text") };
    assert_eq!(translated(&tiny, &other).0["max_output_tokens"], 16);
}

#[test]
fn cache_marks_go_only_to_models_that_are_known_to_take_them() {
    let (said, losses) = translated(&sample("cache"), &terms());
    assert_eq!((&said["instructions"], losses.names()), (&json!("Be brief."), &["cache_control".into()][..]));
    assert_eq!(said["input"][0]["content"], "Hello");
    let mut facts = Facts::default();
    facts.learn(Ability::CacheBreakpoint, true);
    let (said, losses) = translated(&sample("cache"), &Terms { facts, ..terms() });
    let marked = &said["input"][0]["content"][0]["prompt_cache_breakpoint"];
    assert_eq!((marked, losses), (&json!({"mode": "explicit", "ttl": "12h"}), Losses::default()));
}

#[test]
fn the_hardest_effort_is_asked_only_of_models_that_are_known_to_have_it() {
    let effort = |effort, known: &[Ability]| {
        let mut facts = Facts::default();
        for ability in known {
            facts.learn(*ability, true);
        }
        let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
        let ask = Ask { reasoning, ..sample("text") };
        translated(&ask, &Terms { facts, ..terms() }).0["reasoning"]["effort"].take()
    };
    assert_eq!(effort(Effort::Max, &[]), "high");
    assert_eq!(effort(Effort::Max, &[Ability::EffortXhigh]), "xhigh");
    assert_eq!(effort(Effort::Max, &[Ability::EffortMax]), "max");
    assert_eq!(effort(Effort::Xhigh, &[]), "xhigh");
}

#[test]
fn searches_of_others_are_ours() {
    for (raw, expected, lost) in [
        (
            r#"{"type":"web_search_20250305","name":"web_search","max_uses":3,"allowed_domains":["a.example"],
                "user_location":{"type":"approximate","city":"Rome","country":"IT"}}"#,
            json!({"type": "web_search", "filters": {"allowed_domains": ["a.example"]},
                "user_location": {"type": "approximate", "city": "Rome", "country": "IT"}}),
            &["web_search.max_uses"][..],
        ),
        (r#"{"googleSearch":{}}"#, json!({"type": "web_search"}), &[]),
        (
            r#"{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Rome"}}}"#,
            json!({"type": "web_search", "search_context_size": "low",
                "user_location": {"type": "approximate", "city": "Rome"}}),
            &[],
        ),
    ] {
        let tool = Tool { kind: ToolKind::WebSearch { raw }, cache: None, extras: Extras::default() };
        let ask = Ask { tools: vec![tool], ..sample("text") };
        let (said, losses) = translated(&ask, &terms());
        assert_eq!(said["tools"], json!([expected]));
        assert_eq!(losses.names(), lost);
    }
}

/// Reasoning goes back to its own family, with what it led to; to others in plain words, where they
/// take those.
#[test]
fn past_reasoning_goes_only_where_it_is_wanted() {
    let with = |family, after: Option<Part<'static>>| {
        let signature = Some(Signature { family, value: "gAAA".into() });
        let thought =
            Thought { text: "Hm.".into(), signature, id: Some("rs_1".into()), ..Thought::default() };
        let parts = [Some(Part::new(Content::Thought(thought))), after].into_iter().flatten().collect();
        Ask { turns: vec![Turn::new(Role::Assistant, parts)], ..sample("text") }
    };
    let followed = || Some(Part::text("42"));
    let input = |ask: &Ask<'_>, terms: &Terms<'_>| translated(ask, terms).0["input"].clone();
    let kept = input(&with(Family::OpenAi, followed()), &terms());
    assert_eq!(
        kept[0],
        json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "Hm."}]})
    );
    assert_eq!(kept.as_array().map(Vec::len), Some(2));
    assert_eq!(input(&with(Family::OpenAi, None), &terms()), json!([]), "nothing follows it");
    assert_eq!(input(&with(Family::Gemini, followed()), &terms()).as_array().map(Vec::len), Some(1));
    let plain = &Quirks { reasoning_back: ReasoningBack::Content, ..Quirks::COMPATIBLE };
    let other = input(&with(Family::OpenAi, followed()), &samples::terms(Family::Other, plain));
    assert_eq!(
        other[0],
        json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]})
    );
}

#[test]
fn ids_of_calls_are_made_up_and_shortened_alike() {
    let long = "c".repeat(65);
    for id in ["", &long] {
        let mut ask = sample("tool_results");
        for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            match &mut part.content {
                Content::Call(call) => call.id = id.to_owned().into(),
                Content::Outcome(outcome) => outcome.call_id = id.to_owned().into(),
                _ => {}
            }
        }
        let input = translated(&ask, &terms()).0["input"].clone();
        let ids: Vec<&str> = (2..6).map(|at| input[at]["call_id"].as_str().expect("an id")).collect();
        assert_eq!((ids[0], ids[1]), (ids[2], ids[3]), "{input}");
        assert!(ids.iter().all(|id| !id.is_empty() && id.len() <= 64), "{ids:?}");
        assert_eq!(ids[0] == ids[1], !id.is_empty(), "{ids:?}");
    }
}

#[test]
fn what_chat_says_by_the_same_name_goes_on() {
    let mut ask = Ask { dialect: Dialect::OpenAi, ..sample("text") };
    for (key, raw) in
        [("metadata", "{\"a\":\"b\"}"), ("verbosity", "\"low\""), ("store", "true"), ("audio", "{}")]
    {
        ask.extras.keep(key, raw);
    }
    let file = Part::new(Content::File(Media::new(Source::FileId("file_1".into()), None)));
    ask.turns.push(Turn::new(Role::User, vec![file.clone()]));
    let (said, losses) = translated(&ask, &terms());
    assert_eq!(losses.names(), ["store", "audio"]);
    assert_eq!((&said["metadata"]["a"], &said["text"]["verbosity"]), (&json!("b"), &json!("low")));
    assert_eq!(said["store"], false);
    assert_eq!(said["input"][1]["content"][0], json!({"type": "input_file", "file_id": "file_1"}));
    let foreign = Ask { turns: vec![Turn::new(Role::User, vec![file])], ..sample("text") };
    assert_eq!(translated(&foreign, &terms()).1.fatal().map(|loss| &*loss.param), Some("file"));
}

#[test]
fn an_answer_repeats_its_request() {
    let body = json!({"model": "m", "input": "x", "instructions": "Be \"brief\".", "metadata": {"a": "b"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"}, "temperature": 0.5, "store": true,
        "text": {"verbosity": "low", "format": {"type": "json_object"}}, "reasoning": {"effort": "low"}})
    .to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let echo = request::echo(&request::read(&root).expect("a request"));
    let echo: Value = serde_json::from_str(&format!("{{{echo}}}")).expect("members");
    assert_eq!(echo["instructions"], "Be \"brief\".");
    assert_eq!(echo["tools"][0]["strict"], true);
    assert_eq!(echo["tool_choice"], json!({"type": "function", "name": "f"}));
    assert_eq!(echo["text"], json!({"format": {"type": "json_object"}, "verbosity": "low"}));
    assert_eq!((&echo["temperature"], &echo["top_p"]), (&json!(0.5), &json!(1)));
    assert_eq!((&echo["metadata"], &echo["store"]), (&json!({"a": "b"}), &json!(false)));
    assert_eq!(echo["reasoning"], json!({"effort": "low", "summary": null}));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_row_of_items_is_written_as_it_was_read(letters in "s?(d|u|m|r|c|x|w|l|a|i|o|y){0,9}") {
        // Results need calls, of their kind; and a second message would join one that stands beside calls.
        let mut calls = Vec::new();
        let mut row = String::new();
        let mut beside_calls = false;
        for letter in letters.chars() {
            match letter {
                'c' | 'x' => (calls.push(letter), beside_calls = true).1,
                'o' | 'y' if calls.is_empty() => continue,
                'o' | 'y' => {
                    row.push(if calls.remove(0) == 'c' { 'o' } else { 'y' });
                    beside_calls = false;
                    continue;
                }
                'm' if beside_calls || row.ends_with('m') => continue,
                'u' | 'd' | 's' | 'l' | 'a' => beside_calls = false,
                _ => {}
            }
            row.push(letter);
        }
        // An empty list says as much as none.
        prop_assume!(!row.is_empty());
        let body = json!({"model": "m", "input": items(&row)});
        let (written, losses) = again(&body.to_string());
        prop_assert_eq!(losses, Vec::<String>::new());
        same(&row, body, written);
    }

    #[test]
    fn no_body_frightens_the_reader(tokens in proptest::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"input\""), Just("\"type\""),
        Just("\"content\""), Just("\"role\""), Just("\"user\""), Just("\"tools\""), Just("1"), Just("null"),
        Just("\"message\""), Just("\"reasoning\""), Just("\"summary\"")], 0..14), at in 0..9_usize)
    {
        let text = tokens.concat();
        let names = ["input", "tools", "text", "reasoning", "include", "tool_choice", "output", "usage", "error"];
        for text in [text.clone(), format!("{{\"{}\":{text}}}", names[at])] {
            if let Ok(root) = tree::parse(text.as_bytes()) {
                let _ = request::read(&root);
                let _ = reply::read(&root);
                let mut events = Vec::new();
                let _ = crate::dialect::responses::stream::Reader::default().read(None, &root, &mut events);
            }
        }
    }
}

#[test]
fn objects_for_arguments_and_texts_for_content_are_read_in_answers() {
    let body = r#"{"status":"completed","output":[
        {"type":"message","content":"a"},
        {"type":"function_call","call_id":"c","name":"f","arguments":{"a":1}}]}"#;
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let read = reply::read(&root).expect("an answer");
    let parts = &read.choices[0].parts;
    let Content::Call(call) = &parts[1].content else { panic!("a call") };
    assert_eq!((parts[0].as_text().map(|text| &**text), &*call.arguments), (Some("a"), r#"{"a":1}"#));
}
