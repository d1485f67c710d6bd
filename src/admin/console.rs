//! The console: a page for operators, in the program itself. It needs nothing from anywhere else, and works offline.
//!
//! Its source is in `console/`; `scripts/console` builds what is here and holds that the two agree. The page is told to
//! run nothing but these files, to ask nobody but us, and to be shown within no other page. What it shows it asks the
//! other endpoints for, with the token of whoever sits there.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::form::{Content, Form};
use super::problem;

pub(super) const FILE: Form = Form::gives(
    Content::Text(&["text/javascript", "text/css", "image/svg+xml"]),
    "a script, a style or a picture of the console",
)
.refuses(&[(404, "the console has no such file")]);

/// Scripts, styles and answers from here alone, nothing inline, no forms, no frames (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// One file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    /// Of the content, so that a browser asks for it again and gets it only when it has changed.
    tag: LazyLock<String>,
}

static PAGE: File = File {
    name: "index.html",
    media_type: "text/html; charset=utf-8",
    content: include_bytes!("assets/index.html"),
    tag: LazyLock::new(|| tag(include_bytes!("assets/index.html"))),
};

static FILES: [File; 3] = [
    File {
        name: "console.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/console.js"),
        tag: LazyLock::new(|| tag(include_bytes!("assets/console.js"))),
    },
    File {
        name: "console.css",
        media_type: "text/css; charset=utf-8",
        content: include_bytes!("assets/console.css"),
        tag: LazyLock::new(|| tag(include_bytes!("assets/console.css"))),
    },
    File {
        name: "icon.svg",
        media_type: "image/svg+xml",
        content: include_bytes!("assets/icon.svg"),
        tag: LazyLock::new(|| tag(include_bytes!("assets/icon.svg"))),
    },
];

/// Whether a browser asks.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    let mut kinds = accepted.flat_map(|accepted| accepted.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

pub(super) fn page(headers: &HeaderMap) -> Response {
    PAGE.answer(headers)
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => problem(StatusCode::NOT_FOUND, "the console has no such file; GET / is its page"),
    }
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let head: [(HeaderName, &str); 7] = [
            (CONTENT_TYPE, self.media_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-cache"),
            (VARY, "accept"),
            (ETAG, &self.tag),
        ];
        let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == *self.tag)) {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, self.content).into_response()
    }
}

fn tag(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let begin = hash.first_chunk().map_or(0, |begin| u64::from_be_bytes(*begin));
    format!("\"{begin:016x}\"")
}
