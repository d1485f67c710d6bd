//! Counts of an answer's last line (Ollama's API reference, "Chat"). They stand in the answer itself,
//! not in an object of their own. Ollama tells nothing of caches or reasoning: what it had cached it
//! counts as evaluated, thinking is part of the answer.

use crate::dialect::json::{Walked, Walker};
use crate::vocab::Usage;

/// Reads a whole answer.
pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let mut input = None;
    let mut output = None;
    walker.object(|walker, key| {
        let count = match &*key.bytes() {
            b"prompt_eval_count" => &mut input,
            b"eval_count" => &mut output,
            _ => return walker.skip().map(drop),
        };
        *count = walker.count()?;
        Ok(())
    })?;
    let sum = || Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() };
    Ok((input.is_some() || output.is_some()).then(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<(u64, u64)>) {
        let usage = read(&mut Walker::new(json.as_bytes())).expect("JSON");
        assert_eq!(
            usage,
            expected.map(|(input, output)| Usage { input, output, ..Usage::default() }),
            "{json}"
        );
    }

    #[test]
    fn counts_are_the_answers_own_members() {
        check(r#"{"done":true,"prompt_eval_count":39,"eval_count":289,"eval_duration":5}"#, Some((39, 289)));
        check(r#"{"done":true,"eval_count":2}"#, Some((0, 2)));
        check(r#"{"done":false,"message":{"eval_count":2}}"#, None);
        check(r#"{"prompt_eval_count":null}"#, None);
    }
}
