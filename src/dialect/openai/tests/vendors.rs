//! What upstreams are asked in their vendors' own ways (WIRE §3.1, §3.8).

use serde_json::{Value, json};

use super::asked;
use crate::dialect::hub::samples::{self, terms};
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Effort, Extras, Family, Losses, Media, Outcome, Part, Reasoning, Role,
    Signature, Source, Stops, Terms, Thought, Tool, ToolChoice, ToolKind, Turn,
};
use crate::dialect::openai::request;
use crate::dialect::quirks::{ForcedTools, MaxTokens, Quirks, ReasoningBack, ReasoningStyle, ToolIds};
use crate::dialect::{Dialect, provider, translate, tree};
use crate::vocab::{Ability, Facts};

const MISTRAL: Quirks =
    Quirks { tool_ids: ToolIds::NineAlphanumeric, tool_choice: ForcedTools::Any, ..Quirks::COMPATIBLE };
const MOONSHOT: Quirks = Quirks {
    reasoning: ReasoningStyle::Toggle,
    reasoning_back: ReasoningBack::Content,
    tool_choice: ForcedTools::OnlyAuto,
    ..Quirks::COMPATIBLE
};
pub const OPENROUTER: Quirks = Quirks {
    reasoning: ReasoningStyle::Object,
    reasoning_back: ReasoningBack::Details,
    ..Quirks::COMPATIBLE
};
const NEWER_LIMIT: Quirks = Quirks { max_tokens: MaxTokens::Completion, ..Quirks::COMPATIBLE };
const QWEN: Quirks = Quirks { reasoning: ReasoningStyle::Enable, ..Quirks::COMPATIBLE };

pub fn body(ask: &Ask<'_>, terms: &Terms<'_>) -> (Value, Losses) {
    let (text, losses) = asked(ask, terms);
    (serde_json::from_str(&text).expect("JSON"), losses)
}

pub fn lost(losses: &Losses) -> Vec<&str> {
    losses.names().iter().map(|name| &**name).collect()
}

fn ask(turns: Vec<Turn<'_>>) -> Ask<'_> {
    Ask { turns, ..Ask::new(Dialect::Http) }
}

fn user(text: &str) -> Turn<'_> {
    Turn::new(Role::User, vec![Part::text(text)])
}

fn call<'a>(id: &'a str, name: &'a str) -> Part<'a> {
    let (id, name) = (id.into(), name.into());
    Part::new(Content::Call(Call {
        id,
        name,
        arguments: "{}".into(),
        kind: CallKind::Function,
        signature: None,
    }))
}

fn outcome<'a>(id: &'a str, name: &'a str, content: Vec<Part<'a>>) -> Part<'a> {
    let (call_id, name) = (id.into(), Some(name.into()));
    Part::new(Content::Outcome(Outcome { call_id, name, content, is_error: None, kind: CallKind::Function }))
}

fn function(name: &str) -> Tool<'_> {
    let kind = ToolKind::Function { name: name.into(), description: None, parameters: None, strict: None };
    Tool { kind, cache: None, extras: Extras::default() }
}

fn facts(abilities: &[(Ability, bool)]) -> Facts {
    let mut facts = Facts::default();
    for (ability, able) in abilities {
        facts.learn(*ability, *able);
    }
    facts
}

#[test]
fn mistral_gets_ids_fields_and_parts_of_its_own() {
    let pdf = Media::new(Source::Base64("AAAA".into()), Some("application/pdf".into()));
    let mut ask = ask(vec![
        Turn::new(Role::User, vec![Part::text("x"), Part::new(Content::File(pdf))]),
        Turn::new(Role::Assistant, vec![call("toolu_01", "f"), call("abcDEF123", "f")]),
        Turn::new(
            Role::User,
            vec![outcome("toolu_01", "f", vec![Part::text("1")]), outcome("abcDEF123", "f", vec![])],
        ),
    ]);
    ask.tools = vec![function("f")];
    ask.tool_choice = Some(ToolChoice::Required);
    ask.seed = Some(7.0);
    ask.user = Some("u".into());
    let (said, losses) = body(&ask, &terms(Family::Other, &MISTRAL));
    assert_eq!(lost(&losses), ["user"]);
    assert_eq!((&said["tool_choice"], &said["random_seed"]), (&json!("any"), &json!(7)));
    assert_eq!(said["messages"][0]["content"][1]["document_url"], "data:application/pdf;base64,AAAA");
    let id = said["messages"][1]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(said["messages"][2]["tool_call_id"], id);
    assert_eq!(said["messages"][3], json!({"role": "tool", "tool_call_id": "abcDEF123", "content": ""}));
}

#[test]
fn the_long_name_of_a_foreign_callers_user_is_shortened() {
    let long = "u".repeat(65);
    let told = |dialect, name: &str| {
        let mut ask = ask(vec![user("x")]);
        (ask.dialect, ask.user, ask.cache_key) =
            (dialect, Some(name.to_owned().into()), Some(name.to_owned().into()));
        let (said, losses) = body(&ask, &terms(Family::OpenAi, &Quirks::OPENAI));
        assert!(losses.names().is_empty());
        assert_eq!(said["user"], said["prompt_cache_key"]);
        said["user"].as_str().expect("a name").to_owned()
    };
    let short = told(Dialect::Anthropic, &long);
    assert_eq!((short.len(), &short), (32, &told(Dialect::Gemini, &long)));
    assert_ne!(short, told(Dialect::Anthropic, &"v".repeat(65)));
    assert_eq!(told(Dialect::Anthropic, &long[1..]), long[1..]);
    assert_eq!(told(Dialect::OpenAi, &long), long);
}

/// A chat that OpenAI's caller had with others before.
#[test]
fn strict_vendors_get_nothing_that_others_left_in_a_chat() {
    let text = json!({"model": "m", "safe_prompt": true, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "a", "refusal": null, "annotations": [], "reasoning_content": "Hm",
         "reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"}],
         "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"},
                         "extra_content": {"google": {"thought_signature": "s"}}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    ]})
    .to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("sound");
    let answered = |provider: &str| {
        let quirks = provider::find(provider).expect("a vendor").quirks;
        body(&ask, &terms(Family::Other, quirks)).0
    };
    let groq = answered("groq");
    assert_eq!(groq["safe_prompt"], true);
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(groq["messages"][1], json!({"role": "assistant", "content": "a", "tool_calls": [call]}));
    let mistral = answered("mistral");
    let id = &mistral["messages"][1]["tool_calls"][0]["id"];
    assert_eq!((id.as_str().map(str::len), id), (Some(9), &mistral["messages"][2]["tool_call_id"]));
    let members: Vec<_> = mistral["messages"][1].as_object().expect("an object").keys().collect();
    assert_eq!(members, ["content", "role", "tool_calls"]);
}

/// Mistral refuses turns that say nothing, an answer as the end, and what is hotter than 1.5.
#[test]
fn mistral_gets_turns_that_it_takes() {
    let mistral = terms(Family::Other, provider::find("mistral").expect("a vendor").quirks);
    let told = |turns: Vec<Turn<'static>>| {
        let mut ask = Ask { temperature: Some(1.8), ..ask(turns) };
        let is_begun = translate::ask_to_go_on(&mut ask, Dialect::OpenAi, &mistral);
        let written = translate::write(&mut ask, Dialect::OpenAi, &mistral).expect("askable");
        let said: Value = serde_json::from_slice(&written.body).expect("JSON");
        assert_eq!((&said["temperature"], lost(&written.losses)), (&json!(1.5), vec!["temperature"]));
        let roles = said["messages"].as_array().expect("messages").iter();
        (roles.map(|said| said["role"].as_str().expect("a role").to_owned()).collect::<Vec<_>>(), is_begun)
    };
    let says = |role, text: &'static str| Turn::new(role, vec![Part::text(text)]);
    let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let empty = vec![user("a"), says(Role::Assistant, ""), user("b")];
    assert_eq!(told(empty), (roles(&["user", "user"]), false));
    assert_eq!(told(vec![says(Role::System, "a")]), (roles(&["system", "user"]), false));
    let begun = vec![user("a"), says(Role::Assistant, "b")];
    assert_eq!(told(begun), (roles(&["user", "assistant", "user"]), true));
}

#[test]
fn reasoning_is_said_in_the_vendors_words() {
    let check =
        |quirks: &'static Quirks, reasoning: Reasoning, known: Facts, expected: Value, losses: &[&str]| {
            let ask = Ask { reasoning, ..ask(vec![user("x")]) };
            let (mut said, lost_names) = body(&ask, &Terms { facts: known, ..terms(Family::Other, quirks) });
            let members = said.as_object_mut().expect("an object");
            members.retain(|key, _| key != "model" && key != "messages");
            assert_eq!((said, lost(&lost_names)), (expected, losses.to_vec()), "{reasoning:?}");
        };
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let budget = Reasoning { budget: Some(2_000), ..Reasoning::default() };
    let adaptive = Reasoning { adaptive: true, ..Reasoning::default() };
    let unknown = Facts::default();
    check(&Quirks::OPENAI, effort(Effort::High), unknown, json!({"reasoning_effort": "high"}), &[]);
    check(&Quirks::OPENAI, budget, unknown, json!({"reasoning_effort": "low"}), &[]);
    check(&Quirks::OPENAI, adaptive, unknown, json!({}), &[]);
    check(&Quirks::OPENAI, effort(Effort::None), unknown, json!({"reasoning_effort": "none"}), &[]);
    check(&Quirks::COMPATIBLE, effort(Effort::None), unknown, json!({}), &["reasoning_effort"]);
    let plain = facts(&[(Ability::Reasoning, false)]);
    check(&Quirks::OPENAI, effort(Effort::None), plain, json!({}), &[]);
    check(&Quirks::OPENAI, effort(Effort::High), plain, json!({}), &["reasoning_effort"]);
    let older = facts(&[
        (Ability::Reasoning, true),
        (Ability::EffortNone, false),
        (Ability::EffortMinimal, false),
        (Ability::EffortMax, false),
        (Ability::EffortXhigh, false),
    ]);
    check(&Quirks::OPENAI, effort(Effort::None), older, json!({"reasoning_effort": "low"}), &[]);
    check(&Quirks::OPENAI, effort(Effort::Max), older, json!({"reasoning_effort": "high"}), &[]);
    check(&Quirks::OPENAI, effort(Effort::Max), unknown, json!({"reasoning_effort": "high"}), &[]);
    let harder = facts(&[(Ability::EffortXhigh, true)]);
    check(&Quirks::OPENAI, effort(Effort::Max), harder, json!({"reasoning_effort": "xhigh"}), &[]);
    let hardest = facts(&[(Ability::EffortMax, true)]);
    check(&Quirks::OPENAI, effort(Effort::Max), hardest, json!({"reasoning_effort": "max"}), &[]);
    check(&OPENROUTER, budget, unknown, json!({"reasoning": {"max_tokens": 2000}}), &[]);
    check(&OPENROUTER, adaptive, unknown, json!({"reasoning": {"enabled": true}}), &[]);
    check(&OPENROUTER, effort(Effort::None), unknown, json!({"reasoning": {"effort": "none"}}), &[]);
    check(&QWEN, budget, unknown, json!({"enable_thinking": true, "thinking_budget": 2000}), &[]);
    check(&QWEN, effort(Effort::None), unknown, json!({"enable_thinking": false}), &[]);
    check(&MOONSHOT, adaptive, unknown, json!({"thinking": {"type": "enabled"}}), &[]);
    check(
        &MOONSHOT,
        effort(Effort::Low),
        unknown,
        json!({"thinking": {"type": "enabled"}}),
        &["reasoning_effort"],
    );
    check(&MOONSHOT, effort(Effort::None), unknown, json!({"thinking": {"type": "disabled"}}), &[]);
}

#[test]
fn models_that_take_no_sampling_get_none() {
    let mut ask = ask(vec![user("x")]);
    ask.temperature = Some(0.2);
    ask.top_p = Some(1.0);
    ask.stop = vec!["END".into()];
    ask.max_tokens = Some(500_000);
    let mut known = facts(&[(Ability::Sampling, false)]);
    known.max_output = Some(128_000);
    let (said, losses) = body(&ask, &Terms { facts: known, ..terms(Family::OpenAi, &Quirks::OPENAI) });
    assert_eq!((lost(&losses), losses.stops()), (vec!["temperature"], &Stops::of(&["END"])));
    let left = (&said["temperature"], &said["top_p"], &said["stop"], &said["max_completion_tokens"]);
    assert_eq!(left, (&Value::Null, &Value::Null, &Value::Null, &json!(128_000)));

    ask.temperature = Some(1.0);
    ask.stop = ["a", "b", "c", "d", "e"].map(Into::into).into();
    let (said, losses) = body(&ask, &terms(Family::Other, &Quirks::COMPATIBLE));
    assert_eq!((lost(&losses), losses.stops()), (vec![], &Stops::of(&["e"])));
    assert_eq!((&said["temperature"], &said["max_tokens"]), (&json!(1), &json!(500_000)));
    assert_eq!(said["stop"], json!(["a", "b", "c", "d"]));
}

#[test]
fn tools_may_be_allowed_where_they_cannot_be_named() {
    let mut ask = ask(vec![user("x")]);
    ask.tools = vec![function("a"), function("b")];
    ask.tool_choice = Some(ToolChoice::Allowed { names: vec!["b".into()], required: true });
    let (said, losses) = body(&ask, &terms(Family::OpenAi, &Quirks::OPENAI));
    assert_eq!(said["tool_choice"]["allowed_tools"]["tools"][0]["function"]["name"], "b");
    assert_eq!((said["tools"].as_array().map(Vec::len), losses), (Some(2), Losses::default()));
    let (said, losses) = body(&ask, &terms(Family::Other, &Quirks::COMPATIBLE));
    assert_eq!(
        (&said["tool_choice"], &said["tools"][0]["function"]["name"]),
        (&json!("required"), &json!("b"))
    );
    assert_eq!((said["tools"].as_array().map(Vec::len), losses), (Some(1), Losses::default()));
    let (said, losses) = body(&ask, &terms(Family::Other, &MOONSHOT));
    assert_eq!((&said["tool_choice"], lost(&losses)), (&json!("auto"), vec!["tool_choice"]));
    // Without tools there is nothing to choose.
    ask.tools.clear();
    ask.parallel_tools = Some(false);
    let (said, _) = body(&ask, &terms(Family::Other, &Quirks::COMPATIBLE));
    assert_eq!((&said["tool_choice"], &said["parallel_tool_calls"]), (&Value::Null, &Value::Null));
}

#[test]
fn results_follow_their_calls_and_find_them_without_ids() {
    let image = Part::new(Content::Image(Media::new(Source::Url("https://x/y.png".into()), None)));
    let ask = ask(vec![
        user("x"),
        Turn::new(Role::Assistant, vec![call("", "f")]),
        Turn::new(Role::Assistant, vec![call("", "g"), call("", "f")]),
        Turn::new(
            Role::User,
            vec![
                Part::text("And now?"),
                outcome("", "g", vec![Part::text("of g")]),
                outcome("", "f", vec![image]),
                outcome("", "f", vec![Part::text("second of f")]),
            ],
        ),
    ]);
    let (said, losses) = body(&ask, &terms(Family::OpenAi, &Quirks::OPENAI));
    assert_eq!(losses, Losses::default());
    let ids: Vec<_> = (0..3).map(|at| said["messages"][1]["tool_calls"][at]["id"].clone()).collect();
    assert_eq!(ids, ["call_n0nce_0", "call_n0nce_1", "call_n0nce_2"]);
    let seen: Vec<_> = said["messages"].as_array().expect("messages")[2..]
        .iter()
        .map(|message| (message["role"].clone(), message["tool_call_id"].clone()))
        .collect();
    let tool = |id: &Value| (json!("tool"), id.clone());
    let of_user = || (json!("user"), Value::Null);
    assert_eq!(seen, [tool(&ids[1]), tool(&ids[0]), tool(&ids[2]), of_user(), of_user()]);
    assert_eq!(said["messages"][5]["content"][0]["image_url"]["url"], "https://x/y.png");
    assert_eq!(said["messages"][6]["content"], "And now?");
}

#[test]
fn texts_that_are_said_in_pieces_are_one_where_that_is_the_same() {
    let texts = || vec![Part::text("a"), Part::text("b")];
    let ask = ask(vec![
        Turn::new(Role::System, texts()),
        Turn::new(Role::Developer, texts()),
        Turn::new(Role::User, texts()),
        Turn::new(Role::Assistant, texts()),
    ]);
    let contents = |quirks| {
        let (said, _) = body(&ask, &terms(Family::Other, quirks));
        let message =
            |at: usize| (said["messages"][at]["role"].clone(), said["messages"][at]["content"].clone());
        (0..4).map(message).collect::<Vec<_>>()
    };
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let expected = |developer: &str| {
        vec![
            (json!("system"), json!("a\n\nb")),
            (json!(developer), json!("a\n\nb")),
            (json!("user"), parts.clone()),
            (json!("assistant"), json!("ab")),
        ]
    };
    assert_eq!(contents(&Quirks::COMPATIBLE), expected("system"));
    assert_eq!(contents(&Quirks::OPENAI), expected("developer"));
}

#[test]
fn what_changes_the_meaning_is_refused() {
    let check = |content, quirks, param: &str| {
        let ask = ask(vec![Turn::new(Role::User, vec![Part::new(content)])]);
        let (_, losses) = asked(&ask, &terms(Family::OpenAi, quirks));
        assert_eq!(losses.fatal().map(|loss| &*loss.param), Some(param));
    };
    let media = |source| Media::new(source, None);
    check(Content::Image(media(Source::FileId("f".into()))), &Quirks::OPENAI, "image_url");
    check(Content::File(media(Source::FileId("f".into()))), &Quirks::OPENAI, "file_id");
    check(Content::File(media(Source::Url("https://x".into()))), &Quirks::OPENAI, "file_url");
    check(Content::Audio(media(Source::Url("https://x".into()))), &Quirks::OPENAI, "input_audio");
    check(Content::Video(media(Source::Url("https://x".into()))), &Quirks::OPENAI, "video");
}

#[test]
fn past_reasoning_goes_back_as_the_vendor_wants_it() {
    let signature = Some(Signature { family: Family::Anthropic, value: "s".into() });
    let thought = Thought { text: "Hm.".into(), signature, ..Thought::default() };
    let redacted = Thought { text: "".into(), is_redacted: true, ..thought.clone() };
    let parts =
        vec![Part::new(Content::Thought(thought)), Part::new(Content::Thought(redacted)), Part::text("x")];
    let ask = ask(vec![user("x"), Turn::new(Role::Assistant, parts)]);
    let message = |family, quirks| {
        let (said, losses) = body(&ask, &terms(family, quirks));
        assert_eq!(losses, Losses::default());
        said["messages"][1].clone()
    };
    assert_eq!(message(Family::OpenAi, &Quirks::OPENAI), json!({"role": "assistant", "content": "x"}));
    assert_eq!(message(Family::Other, &MOONSHOT)["reasoning_content"], "Hm.");
    // A call from elsewhere: Moonshot wants to see some thought before it.
    let called =
        Ask { turns: vec![user("x"), Turn::new(Role::Assistant, vec![call("c", "f")])], ..ask.clone() };
    let (said, _) = body(&called, &terms(Family::Other, &MOONSHOT));
    assert_eq!(said["messages"][1]["reasoning_content"], " ");
    let details = |family| message(family, &OPENROUTER)["reasoning_details"].clone();
    assert_eq!(details(Family::Anthropic)[1]["data"], "s");
    assert_eq!(details(Family::Other), json!([{"type": "reasoning.text", "text": "Hm.", "index": 0}]));
}

#[test]
fn what_only_another_dialect_knows_leaves_no_empty_content() {
    let vendor = || Part::new(Content::Vendor { kind: "web_search_call".into(), raw: "{}" });
    let picture = Part::new(Content::Image(Media::new(Source::Url("https://a/b.png".into()), None)));
    let ask = ask(vec![
        user("a"),
        Turn::new(Role::Assistant, vec![vendor(), picture]),
        user("b"),
        Turn::new(Role::Assistant, vec![vendor(), call("c", "f")]),
        Turn::new(Role::User, vec![outcome("c", "f", vec![Part::text("1")]), vendor()]),
        Turn::new(Role::Assistant, vec![Part::text("c")]),
        Turn::new(Role::User, vec![vendor()]),
    ]);
    let (said, losses) = body(&ask, &terms(Family::Other, &Quirks::COMPATIBLE));
    let messages = said["messages"].as_array().expect("messages");
    let contents: Vec<_> = messages.iter().map(|said| (&said["role"], &said["content"])).collect();
    let expected = [
        ("user", json!("a")),
        ("user", json!("b")),
        ("assistant", Value::Null),
        ("tool", json!("1")),
        ("assistant", json!("c")),
        ("user", json!(".")),
    ]
    .map(|(role, content)| (json!(role), content));
    assert_eq!(contents, expected.each_ref().map(|(role, content)| (role, content)));
    assert_eq!(lost(&losses), ["web_search_call", "image"]);
}

#[test]
fn cache_marks_are_said_where_they_are_understood() {
    let (_, sample) = samples::asks().into_iter().find(|(name, _)| *name == "cache").expect("there");
    let known = facts(&[(Ability::CacheBreakpoint, true)]);
    let (said, losses) = body(&sample, &Terms { facts: known, ..terms(Family::OpenAi, &Quirks::OPENAI) });
    assert_eq!(said["messages"][0]["content"][0]["prompt_cache_breakpoint"], json!({"mode": "explicit"}));
    assert_eq!(losses, Losses::default());
    let (said, losses) = body(&sample, &terms(Family::Other, &Quirks::COMPATIBLE));
    assert_eq!(
        (&said["messages"][0]["content"], lost(&losses)),
        (&json!("Be brief."), vec!["cache_control"])
    );
}

#[test]
fn every_vendor_is_told_by_its_quirks() {
    // `write` tells OpenAI and Mistral by these; a row that uses them otherwise has to be told there.
    let by_responses = [Quirks::OPENAI, Quirks::COMPATIBLE].map(|quirks| quirks.tools_by_responses);
    assert_eq!(by_responses, [true, false]);
    assert_eq!((Quirks::OPENAI.tool_ids, Quirks::COMPATIBLE.tool_ids), (ToolIds::Any, ToolIds::Any));
    // Others want the newer limit, and nothing else of OpenAI's.
    let terms = terms(Family::Other, &NEWER_LIMIT);
    let (said, losses) =
        body(&Ask { max_tokens: Some(9), cache_key: Some("k".into()), ..ask(vec![user("x")]) }, &terms);
    assert_eq!((&said["max_completion_tokens"], lost(&losses)), (&json!(9), vec!["prompt_cache_key"]));
}

/// As they were recorded taking it: Mistral as parts of the content, Cerebras as `reasoning`.
#[test]
fn past_reasoning_goes_back_in_the_vendors_own_place() {
    let thought = Thought { text: "Hm.".into(), ..Thought::default() };
    let ask = ask(vec![
        user("6 * 7?"),
        Turn::new(Role::Assistant, vec![Part::new(Content::Thought(thought)), Part::text("42")]),
        user("Sure?"),
    ]);
    let answered = |provider: &str| {
        let quirks = provider::find(provider).expect("a vendor").quirks;
        body(&ask, &terms(Family::Other, quirks)).0["messages"][1].clone()
    };
    let parts = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "42"},
    ]);
    assert_eq!(answered("mistral"), json!({"role": "assistant", "content": parts}));
    assert_eq!(answered("cerebras"), json!({"role": "assistant", "content": "42", "reasoning": "Hm."}));
    assert_eq!(answered("groq"), json!({"role": "assistant", "content": "42"}));
}
