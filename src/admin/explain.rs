//! Why a model's requests go where they go.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::form::{Form, Kind, Parameter};
use super::{Seen, problem};
use crate::route::{self, Explained, Question};
use crate::state::model::Shape;
use crate::vocab::Ability;

const QUERY: &[Parameter] = &[
    Parameter::required("model", Kind::Text, "as a caller would name it").like("demo"),
    Parameter::optional("dialect", Kind::Text, "the caller's, such as `openai` or `anthropic`"),
    Parameter::optional("needs", Kind::Text, "what the request brings, with commas: `vision`, `tools`"),
    Parameter::optional("prompt_tokens", Kind::Count, "how long it is"),
    Parameter::optional("key", Kind::Text, "the name of the key that it comes with"),
    Parameter::optional("header", Kind::Texts, "NAME:VALUE, for rules that look at headers"),
    Parameter::optional("stream", Kind::Truth, "whether its answer is a stream"),
];
pub(super) const EXPLAIN: Form = Form::json::<Explained>("the route, and every channel of it")
    .query(QUERY)
    .refuses(&[(400, "a word of the query is not understood"), (404, "there is no such model or key")]);

pub(super) async fn explain(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Some(model) = parameter(&query, "model") else {
        return problem(StatusCode::BAD_REQUEST, "which model? ask with ?model=NAME");
    };
    let dialect = match parameter(&query, "dialect").map(|name| name.parse().map_err(|_| name)).transpose() {
        Ok(dialect) => dialect,
        Err(name) => return problem(StatusCode::BAD_REQUEST, format!("{name} is not a dialect")),
    };
    let mut question = Question { model, dialect, ..Question::default() };
    for name in parameter(&query, "needs").iter().flat_map(|names| names.split(',')) {
        let Some(ability) = Ability::parse(name) else {
            let known = Ability::ALL.map(Ability::name).join(", ");
            let why = format!("{name} is no ability of models; there are {known}");
            return problem(StatusCode::BAD_REQUEST, why);
        };
        question.needs.add(ability);
    }
    match parameter(&query, "prompt_tokens").map(|count| count.parse().map_err(|_| count)).transpose() {
        Ok(count) => question.prompt_tokens = count.unwrap_or_default(),
        Err(count) => return problem(StatusCode::BAD_REQUEST, format!("{count} is no number of tokens")),
    }
    if let Some(name) = parameter(&query, "key") {
        question.lineage = running.access().key(&name).map(|key| key.lineage.clone());
        if question.lineage.is_none() {
            return problem(StatusCode::NOT_FOUND, format!("no key is called {name}"));
        }
    }
    for said in parameters(&query, "header") {
        let Some(header) = header(&said) else {
            let why = format!("{said} is no header; ask with &header=NAME:VALUE");
            return problem(StatusCode::BAD_REQUEST, why);
        };
        question.headers.push(header);
    }
    question.shape = match parameter(&query, "stream").as_deref() {
        None => None,
        Some("true") => Some(Shape::Stream),
        Some("false") => Some(Shape::Whole),
        Some(other) => {
            return problem(StatusCode::BAD_REQUEST, format!("stream is true or false, not {other}"));
        }
    };
    let table = running.table();
    if let Some(explained) = route::explain(&table, &question) {
        return Json(explained).into_response();
    }
    let model = question.model;
    let near = route::closest(&model, table.model_names());
    let near = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
    problem(StatusCode::NOT_FOUND, format!("no route takes {model}{near}"))
}

/// The decoded value of `name` in a query string (WHATWG URL, `application/x-www-form-urlencoded`).
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query, name).next()
}

/// All names with their decoded values.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Each of them, where there may be several.
fn parameters<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = String> + 'q {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| decoded(value))
}

/// `x-team:blue`.
fn header(said: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = said.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

/// Broken escapes stay as they are.
pub(super) fn decoded(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_nothing_breaks_the_decoder() {
        assert_eq!(
            parameter("dialect=openai&model=openai%2Fgpt-5.4", "model").as_deref(),
            Some("openai/gpt-5.4")
        );
        assert_eq!(parameter("model=a+b%", "model").as_deref(), Some("a b%"));
        assert_eq!(parameter("model=%f", "model").as_deref(), Some("%f"));
        assert_eq!(parameter("model=%zz%C3%A4", "model").as_deref(), Some("%zzä"));
        assert_eq!(parameter("models=x", "model"), None);
        let several: Vec<String> = parameters("header=a:1&x=y&header=b:%32", "header").collect();
        assert_eq!(several, ["a:1", "b:2"]);
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        assert_eq!(header("X-Team: blue").map(|(name, _)| name.to_string()).as_deref(), Some("x-team"));
        assert!(header("x-team").is_none() && header("x team:1").is_none() && header(":1").is_none());
    }
}
