//! Every way in, what it means, and where it goes on to.

use proptest::prelude::*;

use super::*;

fn headers(names: &[&'static str]) -> HeaderMap {
    names.iter().map(|name| ((*name).parse().expect("a name"), "x".parse().expect("a value"))).collect()
}

/// `POST /path [header…]` -> `dialect operation model -> upstream path at base`.
fn check(request: &str, base: &str, model: Option<&str>, expected: &str) {
    let mut words = request.split(' ');
    let method: Method = words.next().expect("a method").parse().expect("a method");
    let (path, query) = match words.next().expect("a path").split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (request.split(' ').nth(1).expect("a path").to_owned(), None),
    };
    let names: Vec<&'static str> = words.map(|word| &*word.to_owned().leak()).collect();
    let said = match find(&method, &path, query.as_deref(), &headers(&names)) {
        Ok(entry) => {
            let at = match &entry.model {
                ModelAt::Body => "body",
                ModelAt::Multipart => "form",
                ModelAt::Path(model) => model,
                ModelAt::Left(left) => left.id.unwrap_or("-"),
                ModelAt::Nowhere => "-",
            };
            let upstream = entry.upstream_path(base, model, query.as_deref());
            format!("{} {} {at} -> {upstream}", entry.dialect, entry.operation.name())
        }
        Err(Miss::NotFound { dialect }) => format!("{dialect} not found"),
        Err(Miss::MethodNotAllowed { dialect, allow }) => format!("{dialect} wants {allow}"),
    };
    assert_eq!(said, expected, "{request}");
}

#[test]
fn openai_comes_in_under_v1() {
    check("POST /v1/chat/completions", "/v1", None, "openai chat body -> /v1/chat/completions");
    check(
        "POST /v1/chat/completions",
        "/openai/v1/",
        None,
        "openai chat body -> /openai/v1/chat/completions",
    );
    check("POST /v1/chat/completions", "", None, "openai chat body -> /chat/completions");
    check(
        "POST /v1/audio/transcriptions",
        "/v1",
        None,
        "openai transcriptions form -> /v1/audio/transcriptions",
    );
    check("POST /v1/responses?x=1", "/v1", None, "responses responses body -> /v1/responses?x=1");
    check(
        "POST /v1/responses/compact",
        "/v1",
        None,
        "responses responses_compact body -> /v1/responses/compact",
    );
    check("GET /v1/models", "/v1", None, "openai models - -> /v1/models");
    check("GET /v1/models/openai/gpt-5", "/v1", None, "openai model openai/gpt-5 -> /v1/models/openai/gpt-5");
}

#[test]
fn anthropic_comes_in_under_its_prefix_and_at_the_root() {
    let expected = "anthropic messages body -> /v1/messages?beta=true";
    check("POST /anthropic/v1/messages?beta=true", "", None, expected);
    check("POST /v1/messages?beta=true", "/", None, expected);
    check("POST /v1/messages?beta=true", "/v1", None, expected);
    check(
        "POST /v1/messages/count_tokens",
        "/a",
        None,
        "anthropic count_tokens body -> /a/v1/messages/count_tokens",
    );
    check("GET /anthropic/v1/models/c", "", None, "anthropic model c -> /v1/models/c");
}

#[test]
fn gemini_comes_in_under_three_versions_with_its_model_in_the_path() {
    let request = "POST /v1beta/models/gemini-2.5:streamGenerateContent?alt=sse&key=AIza";
    let expected =
        "gemini stream_generate gemini-2.5 -> /v1beta/models/gemini-2.5:streamGenerateContent?alt=sse";
    check(request, "", None, expected);
    check(request, "/v1beta", None, expected);
    check(request, "/v1", None, expected);
    check(
        "POST /gemini/v1/models/a%20b:countTokens",
        "/x",
        Some("tuned ü/m"),
        "gemini gemini_count_tokens a b -> /x/v1/models/tuned%20%C3%BC/m:countTokens",
    );
    check(
        "POST /v1/models/g:embedContent",
        "",
        Some("g"),
        "gemini embed_content g -> /v1/models/g:embedContent",
    );
    check("POST /v1alpha/models/g:dance", "", None, "gemini not found");
    check("GET /v1beta/models/g:generateContent", "", None, "gemini wants POST");
}

#[test]
fn the_list_of_models_has_the_shape_that_the_headers_ask_for() {
    check("GET /v1/models x-api-key", "", None, "anthropic models - -> /v1/models");
    check("GET /v1/models anthropic-version", "", None, "anthropic models - -> /v1/models");
    check("GET /v1/models x-goog-api-key", "", None, "gemini models - -> /v1/models");
    check("GET /v1/models?key=k", "", None, "gemini models - -> /v1/models");
    check("GET /gemini/v1beta/models?pageSize=5", "", None, "gemini models - -> /v1beta/models?pageSize=5");
    check("POST /v1/models", "", None, "openai wants GET");
}

#[test]
fn a_miss_names_the_dialect_to_answer_in() {
    check("GET /v1/chat/completions", "", None, "openai wants POST");
    check("POST /v1/nothing", "", None, "openai not found");
    check("POST /anthropic/v1/nothing", "", None, "anthropic not found");
    check("POST /orders/7", "", None, "http not found");
    check("POST /v1beta/models/..:generateContent", "", None, "gemini not found");
    check("POST /v1beta/models/a%2F..%2Fb:generateContent", "", None, "gemini not found");
    check("POST /v1beta/models/a%zz:generateContent", "", None, "gemini not found");
    check("POST /v1beta/models/:generateContent", "", None, "gemini not found");
    check("GET /v1/modelsX", "", None, "openai not found");
}

#[test]
fn plain_http_keeps_its_query_whole() {
    assert_eq!(Entry::opaque("/7").upstream_path("/orders/", None, Some("key=1&b")), "/orders/7?key=1&b");
    assert_eq!(Entry::opaque("/7").upstream_path("", None, Some("&a&&b=&")), "/7?&a&&b=&");
    assert_eq!(Entry::opaque("/7").upstream_path("", None, Some("")), "/7?");
    assert_eq!(Entry::opaque("").upstream_path("", None, None), "/");
    assert_eq!(Entry::opaque("").upstream_path("", None, Some("a")), "/?a");
    assert_eq!(Entry::opaque("/v1/x").upstream_path("/v1", None, None), "/v1/v1/x");
}

proptest! {
    #[test]
    fn any_path_is_answered(path in "/?(v1|v1beta|gemini/v1|anthropic/v1)?/?(models/)?[ -~é%:/.]{0,24}") {
        if let Ok(entry) = find(&Method::POST, &path, None, &HeaderMap::new()) {
            let upstream = entry.upstream_path("", None, None);
            prop_assert!(path.ends_with(&upstream), "{} -> {}", path, upstream);
        }
    }
}
