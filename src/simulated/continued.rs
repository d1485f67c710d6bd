//! What a simulated model says when it is asked to go on with an answer that broke off.
//!
//! Its answers are numbered words, so the begin tells the whole. Read is only what that takes: the
//! assistant's last words, and what stands between `<<<` and `>>>` in a message of the user behind them.

use serde_json::Value;

use super::text::Text;

/// How a model takes being asked to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// It does what it is asked.
    #[default]
    Obeys,
    /// It repeats the words in other white space.
    Respaces,
    /// It says everything again.
    Restarts,
    /// It says something else.
    Wanders,
    /// It begins with a preamble, in a line of its own.
    Prefaces,
    /// It begins with a preamble and repeats nothing.
    Prattles,
    /// It answers 400 to a request that has begun the answer, and otherwise obeys.
    RefusesPrefill,
}

/// A request to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Continued {
    /// What was said so far.
    begun: String,
    /// What is to be repeated first; none where the request ends with what was said.
    anchor: Option<String>,
}

impl Continued {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let turns = ["messages", "input", "contents"].iter().find_map(|key| body.get(key)?.as_array())?;
        let is_model = |turn: &Value| matches!(turn["role"].as_str(), Some("assistant" | "model"));
        let [.., before, last] = turns.as_slice() else { return None };
        if is_model(last) {
            return Some(Self { begun: words(last), anchor: None });
        }
        let asked = words(last);
        let anchor = asked.rsplit_once("<<<").and_then(|(_, rest)| rest.split_once(">>>"))?.0.to_owned();
        is_model(before).then(|| Self { begun: words(before), anchor: Some(anchor) })
    }

    pub(super) const fn is_prefill(&self) -> bool {
        self.anchor.is_none()
    }

    /// `own` is what it would say otherwise.
    pub(super) fn text(&self, own: &Text, words: u32, habit: Habit) -> Text {
        let Some(whole) = Text::of_begun(&self.begun, words).map(|text| text.whole()) else {
            return own.clone();
        };
        let rest = &whole[self.begun.len()..];
        let anchor = self.anchor.as_deref().unwrap_or_default();
        match habit {
            Habit::Obeys | Habit::RefusesPrefill => own.saying(&[anchor, rest].concat()),
            Habit::Respaces => own.saying(&[&anchor.replace(' ', "\n  "), rest].concat()),
            Habit::Restarts => own.saying(&whole),
            Habit::Wanders => own.clone(),
            Habit::Prefaces => own.saying(&["Sure, here is the rest:\n\n", anchor, rest].concat()),
            Habit::Prattles => own.saying(&["Sure, here is the rest: ", rest].concat()),
        }
    }
}

/// All text of a message, in whatever dialect.
fn words(turn: &Value) -> String {
    let content = turn.get("content").or_else(|| turn.get("parts"));
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_of_an_answer_tells_its_end() {
        let own = Text::new("b", 9, 4);
        let whole = Text::new("a", 1, 4).whole();
        let check = |body: Value, habit, said: &str| {
            let asked = Continued::read(body.to_string().as_bytes()).expect("asked to go on");
            assert_eq!(asked.text(&own, 4, habit).whole(), said, "{habit:?}");
        };
        let (begun, rest) = whole.split_at(11);
        let user = serde_json::json!({"role": "user", "content": "hi"});
        let prefill = serde_json::json!({"messages": [user, {"role": "assistant", "content": begun}]});
        check(prefill, Habit::Obeys, rest);
        let please = "go on <<<a.1.2>>>";
        let asked = serde_json::json!({"contents": [
            {"role": "model", "parts": [{"text": begun}]}, {"role": "user", "parts": [{"text": please}]}
        ]});
        check(asked.clone(), Habit::Obeys, &format!("a.1.2{rest}"));
        check(asked.clone(), Habit::Restarts, &whole);
        check(asked, Habit::Wanders, &own.whole());
        assert_eq!(
            Continued::read(serde_json::json!({"messages": [user, user]}).to_string().as_bytes()),
            None
        );
    }
}
