//! Whatever is asked in another dialect, the API's rules about messages are kept.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::Value;

use super::terms;
use crate::dialect::Dialect;
use crate::dialect::anthropic::request;
use crate::dialect::hub::{
    Ask, CacheMark, Call, CallKind, Content, Family, Losses, Outcome, Part, Role, Signature, Terms, Thought,
    Turn,
};
use crate::vocab::{Ability, Facts};

/// Turns of all roles in any order; every call is answered by the next turns, as all dialects demand.
fn turns() -> impl Strategy<Value = Vec<Turn<'static>>> {
    proptest::collection::vec(group(), 0..8).prop_map(|groups| {
        let (mut turns, mut calls) = (Vec::new(), 0);
        for (kind, texts, count, is_reversed) in groups {
            let mut parts: Vec<Part<'static>> =
                texts.into_iter().map(|(text, cache)| Part { cache, ..Part::text(text) }).collect();
            let role = match kind {
                0 => Role::System,
                1 => Role::User,
                _ => Role::Assistant,
            };
            let mut results = Vec::new();
            if role == Role::Assistant {
                let signature = Some(Signature { family: Family::Anthropic, value: "s".into() });
                parts.push(Part::new(Content::Thought(Thought { signature, ..Thought::default() })));
                for number in 0..count {
                    // Ids that the API does not take, that occur twice, or that are missing.
                    let id = ["", "same", "a.b c"]
                        .get((calls + number) % 4)
                        .map_or_else(|| format!("id{calls}_{number}"), |id| (*id).to_owned());
                    let name = format!("f{calls}_{number}");
                    let call = Call {
                        id: id.clone().into(),
                        name: name.clone().into(),
                        arguments: "{".into(),
                        kind: CallKind::Function,
                        signature: None,
                    };
                    parts.push(Part::new(Content::Call(call)));
                    let outcome = Outcome {
                        call_id: id.into(),
                        name: Some(name.into()),
                        content: vec![],
                        is_error: None,
                        kind: CallKind::Function,
                    };
                    results.push(Turn::new(Role::User, vec![Part::new(Content::Outcome(outcome))]));
                }
                calls += count;
            }
            turns.push(Turn::new(role, parts));
            if is_reversed && !results.is_empty() {
                turns.push(Turn::new(Role::System, vec![Part::text("between")]));
                results.reverse();
            }
            turns.append(&mut results);
        }
        turns
    })
}

type Group = (u8, Vec<(String, Option<CacheMark>)>, usize, bool);

fn group() -> impl Strategy<Value = Group> {
    let mark = prop_oneof![Just(None), Just(Some(CacheMark::Short)), Just(Some(CacheMark::Hour))];
    (0_u8..3, proptest::collection::vec(("[a ]{0,3}", mark), 0..3), 0_usize..3, any::<bool>())
}

fn check(body: &Value, takes_system: bool) -> Result<(), TestCaseError> {
    let messages = body["messages"].as_array().expect("messages");
    prop_assert_eq!(&messages[0]["role"], "user");
    let mut awaited: Vec<&str> = Vec::new();
    let (mut seen, mut last) = (HashSet::new(), "");
    for message in messages {
        let role = message["role"].as_str().expect("a role");
        prop_assert!(role != last && (takes_system || role != "system"), "{} twice", role);
        last = role;
        let blocks = message["content"].as_array().expect("blocks");
        prop_assert!(!blocks.is_empty());
        let results: Vec<&str> = blocks.iter().map_while(|block| block["tool_use_id"].as_str()).collect();
        prop_assert_eq!(
            blocks.iter().filter(|block| block["type"] == "tool_result").count(),
            results.len(),
            "not first"
        );
        prop_assert_eq!(&results, &awaited);
        awaited = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .filter_map(|block| block["id"].as_str())
            .collect();
        for id in &awaited {
            prop_assert!(seen.insert(*id), "{} occurs twice", id);
            prop_assert!(
                !id.is_empty()
                    && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            );
        }
        prop_assert!(
            blocks.iter().all(|block| block["text"].as_str().is_none_or(|text| !text.trim().is_empty()))
        );
        prop_assert!(blocks.last().expect("one")["type"] != "thinking");
        if role == "assistant" && message == messages.last().expect("one") {
            let text = blocks.last().and_then(|block| block["text"].as_str()).unwrap_or_default();
            prop_assert_eq!(text.trim_end(), text);
        }
    }
    prop_assert!(awaited.is_empty());
    prop_assert!(body.to_string().matches("\"cache_control\"").count() <= 4);
    Ok(())
}

proptest! {
    #[test]
    fn the_rules_about_messages_are_kept(turns in turns(), takes_system in any::<bool>()) {
        let ask = Ask { turns, ..Ask::new(Dialect::Bedrock) };
        let mut facts = Facts::default();
        facts.learn(Ability::MidConversationSystem, takes_system);
        let (mut losses, mut body) = (Losses::default(), Vec::new());
        request::write(&ask, &Terms { facts, ..terms("m") }, &mut losses, &mut body);
        prop_assert_eq!(losses.fatal(), None);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        check(&body, takes_system)?;
    }
}
