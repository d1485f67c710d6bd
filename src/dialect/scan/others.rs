//! The models that a request lets an upstream fall back to by itself: `models`, beside `model` (OpenRouter, "Model
//! Fallbacks"; gateways in front of it take it as well).
//!
//! The list goes on untouched where it may. Here it is read, so that it is held against the same rules as `model`.

use std::borrow::Cow;

use super::super::json::{Kind, Walked, Walker};
use super::refuse;

/// More are refused.
const MOST: usize = 32;

/// Adds what `models` lists. What is no name is among it as an empty one, which no list of names has.
/// `Some` is why the body is refused.
pub(super) fn read(walker: &mut Walker<'_>, others: &mut Vec<String>) -> Walked<Option<&'static str>> {
    match walker.kind()? {
        Kind::Null => {
            walker.skip()?;
            return Ok(None);
        }
        Kind::Array => {}
        Kind::String | Kind::Object | Kind::Number | Kind::True | Kind::False => {
            walker.skip()?;
            others.push(String::new());
            return Ok(None);
        }
    }
    let mut refusal = None;
    walker.array(|walker| {
        if others.len() >= MOST {
            refusal = Some("`models` lists more than 32");
            return walker.skip().map(drop);
        }
        let name = match walker.kind()? {
            Kind::String => walker.string()?.decode().map(Cow::into_owned),
            Kind::Array | Kind::Object | Kind::Number | Kind::True | Kind::False | Kind::Null => {
                walker.skip()?;
                None
            }
        };
        others.push(name.filter(|name| refuse(name).is_none()).unwrap_or_default());
        Ok(())
    })?;
    Ok(refusal)
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::super::{ScanError, scan};

    fn others(models: &str) -> Result<Vec<String>, ScanError> {
        let body = format!(r#"{{"models":{models},"model":"m","messages":[]}}"#);
        scan(&entry("/v1/chat/completions"), None, body.as_bytes()).map(|seen| seen.others)
    }

    #[test]
    fn models_beside_the_model_are_found_whatever_they_look_like() {
        assert_eq!(others(r#"["a","b\u002dc"]"#), Ok(vec!["a".to_owned(), "b-c".to_owned()]));
        assert_eq!(others("null"), Ok(Vec::new()));
        for odd in ["\"a\"", "{\"a\":1}", "[7]", "[[\"a\"]]", "[\"\\ud800\"]", "[\"\"]"] {
            assert_eq!(others(odd), Ok(vec![String::new()]), "{odd}");
        }
        let twice = others(r#"["a"],"models":["b"]"#);
        assert_eq!(twice, Ok(vec!["a".to_owned(), "b".to_owned()]), "an upstream may take either");
    }

    #[test]
    fn both_sides_of_the_limit() {
        let list = |count: usize| format!("[{}]", vec!["\"a\""; count].join(","));
        assert_eq!(others(&list(32)).map(|others| others.len()), Ok(32));
        assert!(others(&list(33)).is_err_and(|error| error.message.contains("more than 32")));
    }
}
