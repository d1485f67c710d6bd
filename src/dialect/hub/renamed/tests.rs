//! What stands for a name, and that it comes back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Call, CallKind, Choice, Extras, Outcome, Part, Role, Stop, Tool, Turn, samples};
use super::*;
use crate::dialect::quirks::Quirks;
use crate::dialect::translate::GENERATING;

const FAMILIES: [Family; 2] = [Family::OpenAi, Family::Other];

fn terms(family: Family) -> Terms<'static> {
    samples::terms(family, &Quirks::COMPATIBLE)
}

fn tool<'a>(name: impl Into<Text<'a>>) -> Tool<'a> {
    let kind = ToolKind::Function { name: name.into(), description: None, parameters: None, strict: None };
    Tool { kind, cache: None, extras: Extras::default() }
}

fn call(name: &str) -> Content<'_> {
    let (id, arguments) = ("".into(), "{}".into());
    Content::Call(Call { id, name: name.into(), arguments, kind: CallKind::Function, signature: None })
}

fn outcome(name: &str) -> Content<'_> {
    Content::Outcome(Outcome {
        call_id: "".into(),
        name: Some(name.into()),
        content: Vec::new(),
        is_error: None,
        kind: CallKind::Function,
    })
}

/// A request that has all of these names, each in every place for one.
fn ask<'a>(names: &'a [String]) -> Ask<'a> {
    let mut ask = Ask::new(Dialect::Http);
    ask.tools = names.iter().map(|name| tool(name.as_str())).collect();
    let allowed = names.iter().map(|name| name.as_str().into()).collect();
    ask.tool_choice = Some(ToolChoice::Allowed { names: allowed, required: false });
    let parts = |content: fn(&'a str) -> Content<'a>| {
        names.iter().map(|name| Part::new(content(name))).collect::<Vec<_>>()
    };
    ask.turns.push(Turn::new(Role::Assistant, parts(call)));
    ask.turns.push(Turn::new(Role::User, parts(outcome)));
    ask
}

fn said(ask: &mut Ask<'_>) -> Vec<String> {
    let mut names = Vec::new();
    each(ask, |name| names.push(name.to_string()));
    names
}

fn reply(names: &[String]) -> Reply<'_> {
    let parts = names.iter().map(|name| Part::new(call(name))).collect();
    Reply {
        dialect: Dialect::OpenAi,
        id: "".into(),
        model: "".into(),
        created: None,
        choices: vec![Choice::new(parts, Stop::Calls)],
        usage: None,
        tier: None,
        extras: Extras::default(),
    }
}

fn called(reply: &Reply<'_>) -> Vec<String> {
    let name = |part: &Part<'_>| match &part.content {
        Content::Call(call) => call.name.to_string(),
        _ => panic!("a call"),
    };
    reply.choices.iter().flat_map(|choice| &choice.parts).map(name).collect()
}

/// Names that fit, that nearly do, and that never could.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_.:/ é-]{0,12}",
        "[a-zA-Z_][a-zA-Z0-9_-]{55,70}",
        "mcp__[a-z]{30,60}__[a-z.]{1,80}",
        "\\PC{0,140}"
    ]
}

/// Some of them, and what would stand for some: those may be names of their own.
fn names(rule: Rule) -> impl Strategy<Value = Vec<String>> {
    vec((name(), 0_u8..4), 0..12).prop_map(move |drawn| {
        let mut names = Vec::new();
        for (name, more) in drawn {
            names.extend((1..more).map(|again| rule.stand_in(&name, u32::from(again) - 1)));
            names.push(name);
        }
        names
    })
}

fn rules() -> impl Strategy<Value = (Dialect, Terms<'static>, Rule)> {
    (0..GENERATING.len(), 0..FAMILIES.len()).prop_filter_map("one with a rule", |(to, family)| {
        let (to, terms) = (GENERATING[to], terms(FAMILIES[family]));
        Rule::of(to, &terms).map(|rule| (to, terms, rule))
    })
}

proptest! {
    #[test]
    fn every_name_is_taken_and_no_two_become_one_and_all_come_back(
        ((to, terms, rule), names) in rules().prop_flat_map(|rule| (Just(rule), names(rule.2))))
    {
        let mut asked = ask(&names);
        let before = said(&mut asked);
        let renamed = Renamed::replace(&mut asked, to, &terms);
        let after = said(&mut asked);
        let mut meant: HashMap<&str, &str> = HashMap::new();
        for (old, new) in before.iter().zip(&after) {
            prop_assert!(rule.takes(new), "{} for {}", new, old);
            prop_assert!(!rule.takes(old) || old == new, "{} for {}", new, old);
            prop_assert_eq!(*meant.entry(new).or_insert(old), old.as_str(), "{}", new);
        }
        prop_assert_eq!(renamed.is_empty(), names.iter().all(|name| rule.takes(name)));

        let mut told = reply(&after);
        renamed.restore(&mut told);
        prop_assert_eq!(called(&told), before.clone());
        let kind = |name: &str| Block::Call { id: "".into(), name: name.to_owned().into(), kind: CallKind::Function };
        let event = |name: &String| Event::Open { choice: 0, block: 0, kind: kind(name) };
        let mut events: Vec<_> = after.iter().map(event).collect();
        renamed.restore_events(&mut events);
        prop_assert_eq!(events, before.iter().map(event).collect::<Vec<_>>());
        renamed.undo(&mut asked);
        prop_assert_eq!(said(&mut asked), before);
    }

    #[test]
    fn a_name_has_one_stand_in_however_a_conversation_goes_on(
        (to, terms, _) in rules(), names in vec(name(), 0..8), more in vec(name(), 0..8))
    {
        let mut begun = ask(&names);
        Renamed::replace(&mut begun, to, &terms);
        let all = [&names[..], &more[..]].concat();
        let mut gone_on = ask(&names);
        gone_on.turns.extend(ask(&all).turns);
        Renamed::replace(&mut gone_on, to, &terms);
        let begun = said(&mut begun);
        let gone_on = said(&mut gone_on);
        prop_assert_eq!(&gone_on[..begun.len()], &begun[..]);
    }

    #[test]
    fn what_the_model_makes_up_stays_as_it_is(names in vec(name(), 0..8), made_up in "[a-z_]{1,20}") {
        let mut asked = ask(&names);
        let renamed = Renamed::replace(&mut asked, Dialect::OpenAi, &terms(Family::OpenAi));
        let made_up = [made_up];
        let mut told = reply(&made_up);
        renamed.restore(&mut told);
        prop_assert_eq!(&called(&told)[..], &made_up[..]);
    }
}

/// What `to` is told in the place of a name.
fn check(to: Dialect, family: Family, cases: &[(&str, &str)]) {
    for (name, expected) in cases {
        let names = [(*name).to_owned()];
        let mut asked = ask(&names);
        Renamed::replace(&mut asked, to, &terms(family));
        assert_eq!(said(&mut asked)[0], *expected, "{to}: {name}");
    }
}

#[test]
fn each_dialect_has_its_rule() {
    let (fits, long) = ("a".repeat(64), "a".repeat(65));
    let cut = format!("{}_{}_635361c4", "a".repeat(24), "a".repeat(30));
    for (to, family) in [
        (Dialect::OpenAi, Family::OpenAi),
        (Dialect::Responses, Family::OpenAi),
        (Dialect::Bedrock, Family::Anthropic),
        (Dialect::OpenAi, Family::Other),
        (Dialect::Gemini, Family::Gemini),
        (Dialect::Cohere, Family::Other),
    ] {
        check(to, family, &[("get_weather", "get_weather"), (&fits, &fits), (&long, &cut)]);
    }
    let longest = "a".repeat(128);
    check(Dialect::Anthropic, Family::Anthropic, &[(&long, &long), (&longest, &longest)]);
    check(Dialect::Ollama, Family::Other, &[(&long, &long), ("a.b:c d", "a.b:c d"), ("1", "1")]);
    check(
        Dialect::OpenAi,
        Family::OpenAi,
        &[("1-a", "1-a"), ("a.b", "a_b_2e7336dc"), ("", "tool__e3b0c442"), ("é", "__4a99557e")],
    );
    check(Dialect::OpenAi, Family::Other, &[("a-1", "a-1"), ("1-a", "tool_1-a_c7001c0a")]);
    check(Dialect::Gemini, Family::Gemini, &[("a.b-c", "a.b-c"), ("a:b", "a_b_6783a31e"), ("_a", "_a")]);
    check(Dialect::Gemini, Family::Gemini, &[("1c", "tool_1c_5788902e"), ("-c", "tool_-c_0c3603e1")]);
    check(Dialect::Cohere, Family::Other, &[("a_b", "a_b"), ("a-b", "a_b_d44362d6")]);
}

#[test]
fn a_long_name_keeps_what_tells_it_from_others() {
    check(
        Dialect::OpenAi,
        Family::OpenAi,
        &[(
            "mcp__plugin_everything-claude-code_github__get_pull_request_reviews",
            "mcp__plugin_everything-c_thub__get_pull_request_reviews_6a1ca732",
        )],
    );
}

#[test]
fn what_stands_for_a_custom_tool_is_known_by_its_looks() {
    let long = format!("{}{}", CUSTOM, "a".repeat(64));
    for to in GENERATING {
        let names = [long.clone()];
        let mut asked = ask(&names);
        Renamed::replace(&mut asked, to, &terms(Family::Other));
        assert!(said(&mut asked)[0].starts_with(CUSTOM), "{to}");
    }
}
