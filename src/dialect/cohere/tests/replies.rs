//! Answers in one piece: samples and recordings.

use super::{Said, check_end, check_golden, recorded, value};
use crate::dialect::Dialect;
use crate::dialect::cohere::reply;
use crate::dialect::hub::samples;
use crate::dialect::hub::{Content, Part, Reply, Stop, Text, Thought};
use crate::dialect::tree;
use crate::vocab::Usage;

pub fn write_reply(reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply::write(reply, &samples::manner(), &mut out);
    out
}

#[test]
fn sample_replies_are_written_as_their_golden_files() {
    for (name, sample) in samples::replies() {
        let said = write_reply(&sample);
        check_golden(name, "reply.cohere.json", &said);
        let root = tree::parse(&said).expect("JSON");
        let again = reply::read(&root).expect("our own answer");
        let mut expected = sample;
        expected.dialect = Dialect::Cohere;
        (expected.model, expected.created) = (Text::Borrowed(""), None);
        // What is written to a cache is not told.
        expected.usage = expected.usage.map(|usage| Usage { cache_write: 0, ..usage });
        for choice in &mut expected.choices {
            choice.parts = std::mem::take(&mut choice.parts).into_iter().map(unsigned).collect();
            if choice.stop == Stop::Refusal {
                choice.stop = Stop::Filter;
            }
        }
        assert_eq!(again, expected, "{name}");
    }
}

/// Nothing is signed, and a refusal is a text.
fn unsigned(mut part: Part<'_>) -> Part<'_> {
    match part.content {
        Content::Refusal(text) => part.content = Content::Text(text),
        Content::Thought(Thought { text, .. }) => {
            part.content = Content::Thought(Thought { text, ..Thought::default() });
        }
        other => part.content = other,
    }
    part
}

#[test]
fn recorded_replies_say_what_their_own_fields_say() {
    let mut count = 0;
    for exchange in recorded("cohere", "/v2/chat").iter().filter(|exchange| exchange["resp"].is_object()) {
        let body = exchange["resp"].to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let reply = reply::read(&root).unwrap_or_else(|wrong| panic!("{}: {body}", wrong.place(&root)));
        let recorded = &exchange["resp"];
        let said = Said::of_parts(&reply.choices[0].parts);
        assert_eq!(said, Said::of_message(&recorded["message"]), "{body}");
        check_end(&reply.choices[0].stop, reply.usage, recorded);
        assert_eq!(reply.id, recorded["id"].as_str().expect("an id"));
        // What is written again says the same.
        assert_eq!(Said::of_message(&value(&write_reply(&reply))["message"]), said, "{body}");
        count += 1;
    }
    println!("{count} of {count} recorded replies are read");
}

#[test]
fn a_recorded_error_and_our_own_are_read() {
    use http::{HeaderMap, StatusCode};

    use crate::dialect::classify::classify;
    use crate::dialect::provider;
    use crate::dialect::trouble::{self, Kind, Trouble};
    use crate::vocab::Fault;

    let check = |status: u16, body: &[u8], fault, message: &str| {
        let row = provider::find("custom").expect("a row");
        let status = StatusCode::from_u16(status).expect("a status");
        let finding =
            classify(row, Dialect::Cohere, status, &HeaderMap::new(), body, std::time::Duration::ZERO);
        assert_eq!((finding.fault, finding.message.as_deref()), (fault, Some(message)));
    };
    let missing = "model 'command-does-not-exist' not found, make sure the correct model ID was used and that you have access to the model.";
    let body = serde_json::json!({ "id": "2da0d1db", "message": missing }).to_string();
    check(404, body.as_bytes(), Fault::ModelMissing, missing);
    let ours = trouble::render(&Trouble::new(Kind::RateLimited, "slow down"), Dialect::Cohere, "req_1");
    check(429, &ours, Fault::Throttled, "slow down");
}
