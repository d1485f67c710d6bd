//! Ids of tool calls as Amazon takes them: `[a-zA-Z0-9_.:-]{1,64}`.

use std::collections::{HashMap, HashSet, VecDeque};

use sha2::{Digest, Sha256};

use crate::dialect::anthropic::request::Called;
use crate::dialect::bedrock::made_id;
use crate::dialect::hub::{Call, Outcome, Text};

const MAX: usize = 64;

/// Gives a call and its result the same id, whatever they had.
#[derive(Debug)]
pub struct Ids<'t> {
    nonce: &'t str,
    made: usize,
    used: HashSet<String>,
    called: HashMap<String, Called>,
    /// Made up for calls without, with the tools' names: their results have none either.
    waiting: VecDeque<(String, String)>,
}

impl<'t> Ids<'t> {
    pub fn new(nonce: &'t str) -> Self {
        Self { nonce, made: 0, used: HashSet::new(), called: HashMap::new(), waiting: VecDeque::new() }
    }

    pub fn of_call<'a>(&mut self, call: &Call<'a>) -> Text<'a> {
        if !call.id.is_empty() {
            let mut id = fitting(&call.id);
            if self.used.contains(&*id) {
                id = Text::Owned(fitting(&format!("{id}_{}", self.used.len()).into()).into_owned());
            }
            self.used.insert(id.clone().into_owned());
            self.called.entry(call.id.clone().into_owned()).or_default().wait(id.clone().into_owned());
            return id;
        }
        let id = self.make();
        self.waiting.push_back((call.name.clone().into_owned(), id.clone()));
        Text::Owned(id)
    }

    /// A result without an id answers the first call of its tool that waits, or just the first.
    pub fn of_outcome<'a>(&mut self, outcome: &Outcome<'a>) -> Text<'a> {
        if !outcome.call_id.is_empty() {
            let known = self.called.get_mut(&*outcome.call_id).and_then(Called::answer);
            return known.map_or_else(|| fitting(&outcome.call_id), Text::Owned);
        }
        let same = |(name, _): &(String, String)| Some(name.as_str()) == outcome.name.as_deref();
        let place = self.waiting.iter().position(same).unwrap_or(0);
        let id = self.waiting.remove(place).map(|(_, id)| id);
        Text::Owned(id.unwrap_or_else(|| self.make()))
    }

    fn make(&mut self) -> String {
        self.made += 1;
        made_id(self.nonce, self.made)
    }
}

/// The id itself if it fits, else one that is always the same for it.
fn fitting<'a>(id: &Text<'a>) -> Text<'a> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
    if id.len() <= MAX && id.bytes().all(fits) {
        return id.clone();
    }
    let digest = Sha256::digest(id.as_bytes());
    let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    Text::Owned(digits.fold("call_".to_owned(), |id, digits| id + &digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::CallKind;

    fn call(id: &str, name: &str) -> Call<'static> {
        Call {
            id: id.to_owned().into(),
            name: name.to_owned().into(),
            arguments: "{}".into(),
            kind: CallKind::Function,
            signature: None,
        }
    }

    fn outcome(id: &str, name: &str) -> Outcome<'static> {
        Outcome {
            call_id: id.to_owned().into(),
            name: Some(name.to_owned().into()),
            content: Vec::new(),
            is_error: None,
            kind: CallKind::Function,
        }
    }

    #[test]
    fn calls_of_one_id_are_told_apart() {
        let mut ids = Ids::new("n");
        let calls = [ids.of_call(&call("a", "f")), ids.of_call(&call("a", "f"))];
        let results = [(); 3].map(|()| ids.of_outcome(&outcome("a", "f")));
        assert_eq!(
            (calls.to_vec(), results.to_vec()),
            (vec!["a".into(), "a_1".into()], vec!["a".into(), "a_1".into(), "a_1".into()])
                as (Vec<Text<'_>>, Vec<Text<'_>>)
        );
        let (later, result) = (ids.of_call(&call("a", "f")), ids.of_outcome(&outcome("a", "f")));
        assert_eq!((&*later, later.clone()), ("a_2", result));
    }

    #[test]
    fn a_call_and_its_result_have_one_id() {
        let mut ids = Ids::new("n");
        let long = "x".repeat(65);
        for id in ["call_1", "tooluse_a-B:c.d", "fc 1", "ä", &long] {
            let (called, answered) = (ids.of_call(&call(id, "f")), ids.of_outcome(&outcome(id, "f")));
            assert_eq!(called, answered);
            assert!(called.len() <= MAX && called.is_ascii());
        }
        let calls = [ids.of_call(&call("", "f")), ids.of_call(&call("", "g")), ids.of_call(&call("", "f"))];
        let results = ["g", "f", "f", "h"].map(|name| ids.of_outcome(&outcome("", name)));
        assert_eq!(calls.to_vec(), ["call_n_1", "call_n_2", "call_n_3"]);
        assert_eq!(results.to_vec(), ["call_n_2", "call_n_1", "call_n_3", "call_n_4"]);
    }
}
