//! A decision as short as it has to be to stand in a header: compact JSON of ASCII alone. What has no room is left out,
//! what matters least first, and `cut` says so.

use std::fmt::Write as _;

use super::decision::Decision;
use super::waits::Waits;
use crate::state::look::ELIGIBLE;

/// What is left out, one after the other, until the rest has room.
const CUTS: [fn(&mut Decision<'_>); 5] = [
    |decision| {
        for look in &mut decision.looks {
            look.channels.retain(|candidate| !ELIGIBLE.contains(&candidate.standing));
        }
    },
    |decision| decision.looks.clear(),
    |decision| decision.tried.iter_mut().for_each(|tried| tried.detail = None),
    |decision| {
        decision.tags.clear();
        decision.waits = Waits::default();
    },
    |decision| decision.tried.clear(),
];

/// `decision` in at most `most` bytes, which have room for a request's id.
pub(super) fn text(mut decision: Decision<'_>, most: usize) -> String {
    let mut text = ascii(&decision);
    for cut in CUTS {
        if text.len() <= most {
            return text;
        }
        cut(&mut decision);
        decision.cut = true;
        text = ascii(&decision);
    }
    if text.len() > most {
        // Somebody's names are longer than anybody would write them.
        text = format!(r#"{{"request":"{}","cut":true}}"#, decision.request);
    }
    text
}

/// What is not ASCII stands in the texts alone, where JSON has another way to say it (RFC 8259, section 7).
fn ascii(decision: &Decision<'_>) -> String {
    let json = serde_json::to_string(decision).unwrap_or_default();
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json;
    }
    let mut text = String::with_capacity(json.len() * 2);
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A `String` takes everything.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::ledger::decision::{Candidate, Looked, Tried};

    fn decision(word: &str, parts: usize) -> Decision<'_> {
        let candidate = |standing| Candidate { channel: word, standing };
        let tried = || Tried {
            part: "turn",
            channel: word,
            provider: "openai",
            credential: None,
            begun: 1.0,
            sent: None,
            headers: None,
            first_content: None,
            ended: 2.0,
            status: None,
            verdict: "connect",
            stage: "not_sent",
            detail: Some(word),
            input: None,
            output: None,
            cost_nano_usd: None,
        };
        let looked = || Looked {
            at: 0.0,
            route: word,
            picked: Some(word),
            channels: vec![candidate("ready"), candidate("breaker_open")],
        };
        Decision {
            request: "req_1",
            trace: None,
            at: 1.0,
            organisation: None,
            team: None,
            user: Some(word),
            key: None,
            tags: (0..parts).map(|number| (number.to_string(), word.to_owned())).collect(),
            dialect: "openai",
            operation: "chat",
            route: word,
            asked_route: None,
            arm: None,
            downgraded: false,
            model: word,
            stream: false,
            priority: Some("critical"),
            channel: word,
            outcome: "ok",
            status: Some(200),
            error: None,
            replayed: None,
            instead: None,
            shed: None,
            attempts: parts,
            millis: 1.0,
            first_byte: None,
            own: 0.1,
            waits: Waits::default(),
            input: 1,
            cached: None,
            output: None,
            reasoning: None,
            cost_nano_usd: None,
            estimated: false,
            tried: (0..parts).map(|_| tried()).collect(),
            looks: (0..parts).map(|_| looked()).collect(),
            cut: false,
        }
    }

    proptest! {
        #[test]
        fn it_has_room_is_ascii_and_says_the_same_or_that_it_was_cut(
            word in ".{0,60}",
            parts in 0_usize..30,
            most in 100_usize..6000,
        ) {
            let text = text(decision(&word, parts), most);
            prop_assert!(text.len() <= most, "{} of {most}: {text}", text.len());
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            let told: Value = serde_json::from_str(&text).expect("JSON");
            let whole = serde_json::to_value(decision(&word, parts)).expect("JSON");
            if told.get("cut").is_none() {
                prop_assert_eq!(told, whole);
            } else {
                let grows = word.chars().any(|c| !matches!(c, ' '..='~'));
                prop_assert!(whole.to_string().len() > most || grows, "{text}");
                prop_assert_eq!(&told["request"], &whole["request"]);
            }
        }
    }

    #[test]
    fn who_could_have_been_picked_goes_first_and_attempts_go_last() {
        let told =
            |most| -> Value { serde_json::from_str(&text(decision("sim-a/demo", 4), most)).expect("JSON") };
        let whole = text(decision("sim-a/demo", 4), usize::MAX).len();
        assert_eq!(told(whole).get("cut"), None);
        let less = told(whole - 1);
        assert_eq!(less["looks"][0]["channels"][0]["standing"], "breaker_open");
        assert_eq!(
            (less["looks"][0]["channels"].as_array().map(Vec::len), &less["cut"]),
            (Some(1), &true.into())
        );
        let parts =
            |told: &Value| ["looks", "tags", "tried"].map(|part| told[part].as_array().map_or(0, Vec::len));
        let lengths: Vec<_> = (100..whole).rev().map(|most| parts(&told(most))).collect();
        assert!(lengths.is_sorted_by(|more, fewer| more[2] >= fewer[2]), "{lengths:?}");
        assert!(lengths.contains(&[0, 0, 4]) && lengths.contains(&[0, 0, 0]), "{lengths:?}");
    }
}
