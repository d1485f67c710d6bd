//! The first page: the console for a browser, and for everybody else the list of endpoints, as text.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};

use super::console;
use super::form::{Content, Form, Need, Parameter};
use super::routes::{ROUTES, Route};

pub(super) const INDEX: Form =
    Form::gives(Content::Text(&["text/plain", "text/html"]), "the list of endpoints, or the console");

/// Browsers name HTML among what they accept, and curl does not.
pub(super) async fn index(headers: HeaderMap) -> Response {
    if console::is_wanted(&headers) {
        return console::page(&headers);
    }
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (VARY, "accept")], list()).into_response()
}

fn list() -> String {
    ROUTES.iter().map(line).collect()
}

fn line(route: &Route) -> String {
    let Route { method, path, scope, form, doc, .. } = route;
    let query: String =
        form.query.iter().enumerate().map(|(index, parameter)| word(index, parameter)).collect();
    format!(
        "{method:<7}{path:<38}{:<9}{doc}{}{query}\n",
        scope.name(),
        if query.is_empty() { "" } else { ": " }
    )
}

/// `?model=…` or `[&tier=…]`.
fn word(index: usize, parameter: &Parameter) -> String {
    let mark = if index == 0 { '?' } else { '&' };
    let word = format!("{mark}{}=…", parameter.name);
    if parameter.need == Need::Required { word } else { format!("[{word}]") }
}
