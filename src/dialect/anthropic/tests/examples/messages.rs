//! Who speaks when, and what is said.

use serde_json::{Value, json};

use super::{ask, call, check, knowing, result, say, terms, written};
use crate::dialect::hub::{Content, Family, Media, Part, Role, Signature, Source, Terms, Thought, Turn};
use crate::vocab::Ability;

#[test]
fn roles_take_turns_and_the_user_begins() {
    let turns =
        vec![say(Role::Assistant, "Hi"), say(Role::User, "a"), say(Role::User, "  "), say(Role::User, "b")];
    let text = |text: &str| json!({ "type": "text", "text": text });
    let messages = json!([
        { "role": "user", "content": [text(".")] },
        { "role": "assistant", "content": [text("Hi")] },
        { "role": "user", "content": [text("a"), text("b")] },
    ]);
    check(&ask(turns), &terms("claude-opus-5"), &[("/messages", messages)], "");
    let only = json!([{ "role": "user", "content": [text(".")] }]);
    check(&ask(vec![say(Role::System, "Speak.")]), &terms("claude-opus-5"), &[("/messages", only)], "");
}

#[test]
fn later_system_turns_stay_where_the_model_takes_them() {
    let turns = || {
        vec![
            say(Role::System, "one"),
            say(Role::Developer, "two"),
            say(Role::User, "Hello"),
            Turn::new(Role::Assistant, vec![call("c", "f")]),
            say(Role::System, "three"),
            Turn::new(Role::User, vec![result("c", "f")]),
        ]
    };
    let folded = json!("<system>\nthree\n</system>");
    check(
        &ask(turns()),
        &terms("m"),
        &[
            ("/system/1/text", json!("two")),
            ("/messages/2/content/0/type", json!("tool_result")),
            ("/messages/2/content/1/text", folded),
            ("/messages/3", Value::Null),
        ],
        "",
    );
    check(
        &ask(turns()),
        &knowing("m", &[Ability::MidConversationSystem], &[]),
        &[
            ("/messages/2/content/0/type", json!("tool_result")),
            ("/messages/2/content/1", Value::Null),
            ("/messages/3", json!({ "role": "system", "content": [{ "type": "text", "text": "three" }] })),
        ],
        "",
    );
}

#[test]
fn results_come_first_and_in_the_order_of_their_calls() {
    let turns = vec![
        say(Role::User, "Hello"),
        Turn::new(Role::Assistant, vec![call("c 1", "f"), call("c2", "g"), call("", "f"), call("", "g")]),
        say(Role::User, "Well?"),
        Turn::new(Role::User, vec![result("", "g"), result("", "f"), result("c2", "g"), result("c 1", "f")]),
        Turn::new(Role::Assistant, vec![call("c2", "g")]),
        Turn::new(Role::User, vec![result("c2", "g")]),
    ];
    let (body, lost) = written(&ask(turns), &terms("m"));
    assert_eq!(lost, "");
    let ids = |message: usize, key: &str| -> Vec<String> {
        let blocks = body["messages"][message]["content"].as_array().expect("blocks");
        blocks.iter().filter_map(|block| block[key].as_str().map(str::to_owned)).collect()
    };
    let calls = ids(1, "id");
    assert_eq!(calls, ids(2, "tool_use_id"));
    assert_eq!(calls[1..], ["c2", "toolu_n0nce_2", "toolu_n0nce_3"]);
    assert!(calls[0].starts_with("toolu_") && calls[0].len() == 30, "{calls:?}");
    assert_eq!(body["messages"][2]["content"][4]["text"], "Well?");
    assert_eq!((ids(3, "id"), ids(4, "tool_use_id")), (vec!["c2_4".to_owned()], vec!["c2_4".to_owned()]));
}

#[test]
fn a_begun_answer_is_continued_or_asked_for() {
    let begun = || ask(vec![say(Role::User, "Count."), say(Role::Assistant, "one, ")]);
    check(&begun(), &terms("claude-haiku-4-5"), &[("/messages/1/content/0/text", json!("one,"))], "");
    for terms in [terms("claude-opus-4-6"), knowing("m", &[], &[Ability::Prefill])] {
        let last = json!("Continue your last message exactly where it ends. Repeat nothing of it.");
        check(&begun(), &terms, &[("/messages/2/content/0/text", last)], "prefill");
    }
}

#[test]
fn thoughts_go_back_to_their_own_family_only() {
    let thought = |family, value: &'static str, text: &'static str| {
        let signature = Some(Signature { family, value: value.into() });
        Part::new(Content::Thought(Thought { text: text.into(), signature, ..Thought::default() }))
    };
    let unsigned = Part::new(Content::Thought(Thought { text: "c".into(), ..Thought::default() }));
    let parts = vec![
        thought(Family::Anthropic, "s", "a"),
        thought(Family::Gemini, "t", "b"),
        unsigned,
        Part::text("Hi"),
        thought(Family::Anthropic, "u", "last"),
    ];
    let turns = vec![say(Role::User, "Hello"), Turn::new(Role::Assistant, parts), say(Role::User, "Go on")];
    let kept =
        json!([{ "type": "thinking", "thinking": "a", "signature": "s" }, { "type": "text", "text": "Hi" }]);
    check(&ask(turns.clone()), &terms("m"), &[("/messages/1/content", kept)], "");
    let other = Terms { family: Family::Other, ..terms("m") };
    check(&ask(turns), &other, &[("/messages/1/content", json!([{ "type": "text", "text": "Hi" }]))], "");
}

#[test]
fn files_are_documents_and_what_cannot_be_said_is_refused() {
    let file = |media| ask(vec![Turn::new(Role::User, vec![Part::new(Content::File(media))])]);
    let of =
        |data: &'static str, mime: &'static str| Media::new(Source::Base64(data.into()), Some(mime.into()));
    let source = "/messages/0/content/0/source";
    let text = json!({ "type": "text", "media_type": "text/plain", "data": "hi" });
    check(&file(of("aGk=", "text/csv")), &terms("m"), &[(source, text)], "");
    check(
        &file(of("JVBERi0=", "")),
        &terms("m"),
        &[("/messages/0/content/0/source/media_type", json!("application/pdf"))],
        "",
    );
    check(
        &file(of("/9j/AA==", "image/jpg")),
        &terms("m"),
        &[("/messages/0/content/0/type", json!("image"))],
        "",
    );
    for (media, message) in [
        (
            of("UEsD", "application/zip"),
            "a file of type application/zip cannot be sent to an Anthropic model; send a PDF, an image or plain text",
        ),
        (
            Media::new(Source::FileId("file-1".into()), None),
            "a file that was left at another vendor cannot be sent to an Anthropic model; send its content",
        ),
        (
            of("UklGRg==", "audio/wav"),
            "audio cannot be sent to an Anthropic model; send text, an image or a PDF",
        ),
    ] {
        check(&file(media), &terms("m"), &[], &format!("! {message}"));
    }
    let detailed = Media { detail: Some("low".into()), ..of("iVBORw0KGgo=", "image/png") };
    let image = ask(vec![Turn::new(Role::User, vec![Part::new(Content::Image(detailed))])]);
    check(&image, &terms("m"), &[("/messages/0/content/0/type", json!("image"))], "image.detail");
}

#[test]
fn calls_of_one_id_are_told_apart() {
    let turns = vec![
        say(Role::User, "Hello"),
        Turn::new(Role::Assistant, vec![call("a", "f"), call("a", "f")]),
        Turn::new(Role::User, vec![result("a", "f"), result("a", "f")]),
        Turn::new(Role::Assistant, vec![call("a", "f")]),
        Turn::new(Role::User, vec![result("a", "f")]),
    ];
    let places = [
        ("/messages/1/content/0/id", json!("a")),
        ("/messages/1/content/1/id", json!("a_1")),
        ("/messages/2/content/0/tool_use_id", json!("a")),
        ("/messages/2/content/1/tool_use_id", json!("a_1")),
        ("/messages/3/content/0/id", json!("a_2")),
        ("/messages/4/content/0/tool_use_id", json!("a_2")),
    ];
    check(&ask(turns), &terms("m"), &places, "");
}
