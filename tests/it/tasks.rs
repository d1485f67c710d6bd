//! Vectors, rankings and counts across dialects: what an upstream hears, and what the caller gets.

use http::StatusCode;
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Lab, Said, Scribe};

/// One upstream of that provider, which says `said`; the answer, and what it heard.
async fn exchange(provider: &str, said: &Value, ask: &Ask) -> (Answer, String, Value) {
    let scribe = Scribe::saying(Said::json(200, said.to_string()));
    let lab = Lab::beside(&routing(provider), &[("far", &scribe)]);
    let answer = lab.send(ask).await;
    let heard = scribe.only();
    let body = serde_json::from_slice(&heard.body).unwrap();
    lab.assert_quiet().await;
    (answer, heard.uri.to_string(), body)
}

fn routing(provider: &str) -> String {
    format!(
        "
version: 1
upstreams: {{far: {{provider: {provider}, base_url: http://far, credentials: [k]}}}}
routes:
  - model: ours
    channels: [{{upstream: far, model: theirs}}]
"
    )
}

#[tokio::test(start_paused = true)]
async fn an_openai_sdk_gets_geminis_vectors_in_the_base64_that_it_asks_for() {
    let ask = Ask::post(
        "/v1/embeddings",
        json!({"model": "ours", "input": ["a", "b"], "encoding_format": "base64"}).to_string(),
    );
    let said = json!({"embeddings": [{"values": [1, 2]}, {"values": [0.5, -1]}]});
    let (answer, path, heard) = exchange("gemini", &said, &ask).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(path, "/v1beta/models/theirs:batchEmbedContents");
    assert_eq!(heard["requests"][1]["content"]["parts"][0]["text"], "b");
    assert_eq!(answer.json()["data"][0]["embedding"], "AACAPwAAAEA=");
    assert_eq!(answer.json()["model"], "ours");
    assert_eq!(answer.header("x-mainstay-estimated"), "tokens", "Gemini does not say how many");
}

#[tokio::test(start_paused = true)]
async fn langchains_token_ids_reach_cohere_as_text() {
    let ask = Ask::post(
        "/v1/embeddings",
        json!({"model": "ours", "input": [[15339, 1917]], "encoding_format": "base64", "user": "u"})
            .to_string(),
    );
    let said = json!({"id": "x", "embeddings": {"float": [[1, 2]]},
        "meta": {"billed_units": {"input_tokens": 2}}});
    let (answer, path, heard) = exchange("cohere", &said, &ask).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!((path.as_str(), &heard["texts"][0]), ("/v2/embed", &json!("hello world")));
    assert_eq!(answer.json()["usage"]["total_tokens"], 2);
    assert_eq!(answer.header("x-mainstay-dropped"), "user");
    assert_eq!(answer.header("x-mainstay-estimated"), "");
}

#[tokio::test(start_paused = true)]
async fn coheres_and_geminis_callers_get_vectors_of_an_openai_upstream() {
    let said = json!({"object": "list", "data": [{"index": 0, "embedding": [1, 2]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let ask = Ask::post(
        "/cohere/v2/embed",
        json!({"model": "ours", "texts": ["a"], "input_type": "search_query"}).to_string(),
    );
    let (answer, path, heard) = exchange("custom, dialect: openai", &said, &ask).await;
    assert_eq!((path.as_str(), &heard), ("/embeddings", &json!({"model": "theirs", "input": ["a"]})));
    assert_eq!(answer.json()["embeddings"]["float"], json!([[1, 2]]), "{}", answer.text());
    let body = json!({"content": {"parts": [{"text": "a"}]}}).to_string();
    let ask = Ask::post("/gemini/v1beta/models/ours:embedContent", body);
    let (answer, _, heard) = exchange("custom, dialect: openai", &said, &ask).await;
    assert_eq!(heard, json!({"model": "theirs", "input": ["a"]}));
    assert_eq!(answer.json()["embedding"]["values"], json!([1, 2]), "{}", answer.text());
}

/// Google refuses a body that names another model than the path.
#[tokio::test(start_paused = true)]
async fn the_model_that_geminis_callers_name_in_the_body_is_the_upstreams_too() {
    let part = json!({"parts": [{"text": "models/ours"}]});
    for (verb, asked, expected) in [
        (
            "batchEmbedContents",
            json!({"requests": [{"model": "models/ours", "content": part}, {"content": part, "model": "models/ours"}]}),
            json!({"requests": [{"model": "models/theirs", "content": part}, {"content": part, "model": "models/theirs"}]}),
        ),
        (
            "embedContent",
            json!({"model": "models/ours", "content": part}),
            json!({"model": "models/theirs", "content": part}),
        ),
        ("embedContent", json!({"content": part}), json!({"content": part})),
        (
            "countTokens",
            json!({"generateContentRequest": {"model": "models/ours", "contents": [part]}}),
            json!({"generateContentRequest": {"model": "models/theirs", "contents": [part]}}),
        ),
    ] {
        let ask = Ask::post(&format!("/gemini/v1beta/models/ours:{verb}"), asked.to_string());
        let (answer, path, heard) = exchange("gemini", &json!({"totalTokens": 1}), &ask).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!((path, heard), (format!("/v1beta/models/theirs:{verb}"), expected));
    }
}

/// Vertex AI has `predict` for most models, `embedContent` for the newest, and no batches.
#[tokio::test(start_paused = true)]
async fn geminis_callers_get_vectors_of_vertex() {
    let project = "/v1/projects/p/locations/l";
    let routing = |model: &str| {
        format!(
            "version: 1\nupstreams: {{far: {{provider: vertex, base_url: 'http://far{project}', credentials: [t]}}}}\nroutes: [{{model: ours, channels: [{{upstream: far, model: {model}}}]}}]"
        )
    };
    let request = |text: &str| json!({"model": "models/ours", "content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_QUERY"});
    let prediction =
        |value: f64| json!({"embeddings": {"values": [value], "statistics": {"token_count": 3}}});
    let predicted = json!({"predictions": [prediction(1.5), prediction(2.5)]});
    let one = json!({"predictions": [prediction(1.5)]});
    let new = json!({"embedding": {"values": [0.5]}});
    let instance = |text: &str| json!({"content": text, "task_type": "RETRIEVAL_QUERY"});
    let picture = json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]}});
    for (model, verb, asked, said, way, expected, got) in [
        (
            "gemini-embedding-001",
            "batchEmbedContents",
            json!({"requests": [request("a"), request("b")]}),
            &predicted,
            "predict",
            json!({"instances": [instance("a"), instance("b")], "parameters": {}}),
            json!([{"values": [1.5]}, {"values": [2.5]}]),
        ),
        (
            "text-embedding-005",
            "embedContent",
            request("a"),
            &one,
            "predict",
            json!({"instances": [instance("a")], "parameters": {}}),
            json!({"values": [1.5]}),
        ),
        (
            "gemini-embedding-2",
            "batchEmbedContents",
            json!({"requests": [request("a")]}),
            &new,
            "embedContent",
            json!({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}),
            json!([{"values": [0.5]}]),
        ),
        (
            "gemini-embedding-2",
            "embedContent",
            picture.clone(),
            &new,
            "embedContent",
            picture,
            json!({"values": [0.5]}),
        ),
    ] {
        let scribe = Scribe::saying(Said::json(200, said.to_string()));
        let lab = Lab::beside(&routing(model), &[("far", &scribe)]);
        let ask = Ask::post(&format!("/gemini/v1beta/models/ours:{verb}"), asked.to_string());
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, StatusCode::OK, "{model}: {}", answer.text());
        let heard = scribe.only();
        assert_eq!(heard.uri.path(), format!("{project}/publishers/google/models/{model}:{way}"));
        assert_eq!(serde_json::from_slice::<Value>(&heard.body).unwrap(), expected, "{model}");
        let member = if verb == "embedContent" { "embedding" } else { "embeddings" };
        assert_eq!(answer.json()[member], got, "{model}");
        lab.assert_quiet().await;
    }
}

/// Both call the vectors' length `output_dimension`, and Voyage knows `float` only as what it does anyway.
#[tokio::test(start_paused = true)]
async fn openais_callers_ask_voyage_and_mistral_for_short_vectors() {
    let said =
        json!({"object": "list", "data": [{"index": 0, "embedding": [1, 2]}], "usage": {"total_tokens": 3}});
    let asked = json!({"model": "ours", "input": ["a"], "dimensions": 256, "encoding_format": "float"});
    for provider in ["voyage", "mistral"] {
        let ask = Ask::post("/v1/embeddings", asked.to_string());
        let (answer, _, heard) = exchange(provider, &said, &ask).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(heard, json!({"model": "theirs", "input": ["a"], "output_dimension": 256}), "{provider}");
    }
    let (_, _, heard) = exchange("openai", &said, &Ask::post("/v1/embeddings", asked.to_string())).await;
    assert_eq!(heard["dimensions"], 256);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_embedded_is_refused_in_the_callers_own_dialect() {
    let scribe = Scribe::saying(Said::json(200, "{}"));
    let lab = Lab::beside(&routing("gemini"), &[("far", &scribe)]);
    let ask = Ask::post("/v1/embeddings", json!({"model": "ours", "input": [[4_000_000]]}).to_string());
    let answer = lab.send(&ask).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["param"], "input");
    assert!(error["message"].as_str().unwrap().contains("check_embedding_ctx_length=False"), "{error}");
    assert!(scribe.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cohere_sdk_ranks_with_voyage() {
    let ask = Ask::post(
        "/cohere/v2/rerank",
        json!({"model": "ours", "query": "q", "documents": ["a", "b"], "top_n": 1}).to_string(),
    );
    let said = json!({"object": "list", "data": [{"index": 1, "relevance_score": 0.75}],
        "usage": {"total_tokens": 9}});
    let (answer, path, heard) = exchange("voyage", &said, &ask).await;
    assert_eq!(path, "/v1/rerank");
    assert_eq!(heard, json!({"model": "theirs", "query": "q", "documents": ["a", "b"], "top_k": 1}));
    assert_eq!(answer.json()["results"], json!([{"index": 1, "relevance_score": 0.75}]), "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_the_model_will_not_draw_is_no_fault_of_the_channel() {
    let said = json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]});
    let scribe = Scribe::saying(Said::json(200, said.to_string()));
    let lab = Lab::beside(&routing("gemini"), &[("far", &scribe)]);
    let ask = Ask::post("/v1/images/generations", json!({"model": "ours", "prompt": "p"}).to_string());
    for _ in 0..30 {
        let answer = lab.send(&ask).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "content_policy_violation");
    }
    assert_eq!(lab.breaker("far", "theirs"), "closed");
    let part = json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}});
    scribe.say(Said::json(200, json!({"candidates": [{"content": {"parts": [part]}}]}).to_string()));
    assert_eq!(lab.send(&ask).await.json()["data"][0]["b64_json"], "iVBO");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn speech_comes_as_sound() {
    let part = json!({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AQACAA=="}});
    let said = json!({"candidates": [{"content": {"parts": [part]}}]});
    let body = json!({"model": "ours", "input": "hi", "voice": "alloy", "response_format": "pcm"});
    let ask = Ask::post("/v1/audio/speech", body.to_string());
    let (answer, path, _) = exchange("gemini", &said, &ask).await;
    assert_eq!(path, "/v1beta/models/theirs:generateContent");
    assert_eq!((&answer.body[..], answer.header("content-type")), (&[1, 0, 2, 0][..], "audio/pcm"));
    assert_eq!(answer.header("x-mainstay-dropped"), "voice");
}

const COUNT: &str = "/v1/messages/count_tokens?beta=true";

fn count() -> Ask {
    Ask::post(
        COUNT,
        json!({"model": "ours", "messages": [{"role": "user", "content": "count this, please"}]}).to_string(),
    )
}

#[tokio::test(start_paused = true)]
async fn claude_code_has_its_prompt_counted_by_gemini() {
    let (answer, path, heard) = exchange("gemini", &json!({"totalTokens": 41}), &count()).await;
    assert_eq!(path, "/v1beta/models/theirs:countTokens");
    assert_eq!(heard["generateContentRequest"]["model"], "models/theirs");
    assert_eq!(answer.json(), json!({"input_tokens": 41}));
    assert_eq!(answer.header("x-mainstay-estimated"), "");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_counts_the_gateway_does_and_says_so() {
    let scribe = Scribe::saying(Said::json(200, "{}"));
    let lab = Lab::beside(&routing("groq"), &[("far", &scribe)]);
    let answer = lab.send(&count()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let tokens = answer.json()["input_tokens"].as_u64().unwrap();
    assert!((10..50).contains(&tokens), "{tokens}");
    assert_eq!(answer.header("x-mainstay-estimated"), "tokens");
    assert!(scribe.heard().is_empty(), "chat's upstreams have no such question");
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).to_string();
    let answer = lab.send(&Ask::post("/gemini/v1beta/models/ours:countTokens", gemini)).await;
    assert!(answer.json()["totalTokens"].as_u64().unwrap() > 0, "{}", answer.text());
    let answer = lab.send(&Ask::post(COUNT, r#"{"model":"ours","messages":[{"role":7}]}"#)).await;
    assert_eq!((answer.status, &answer.json()["type"]), (StatusCode::BAD_REQUEST, &json!("error")));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_be_counted_for_is_estimated_and_a_wrong_request_is_told_so() {
    let missing = json!({"error": {"code": 404, "status": "NOT_FOUND",
        "message": "models/theirs is not found for API version v1beta, or is not supported for countTokens."}});
    let scribe = Scribe::saying(Said::json(404, missing.to_string()));
    let lab = Lab::beside(&routing("gemini"), &[("far", &scribe)]);
    let answer = lab.send(&count()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("x-mainstay-estimated"), "tokens");
    let scribe = Scribe::saying(Said::json(503, "{}"));
    let lab = Lab::beside(&routing("gemini"), &[("far", &scribe)]);
    for _ in 0..30 {
        let answer = lab.send(&count()).await;
        assert_eq!((answer.status, answer.header("x-mainstay-estimated")), (StatusCode::OK, "tokens"));
    }
    let scribe = Scribe::saying(Said::json(401, "{}"));
    let lab = Lab::beside(&routing("gemini"), &[("far", &scribe)]);
    let answer = lab.send(&count()).await;
    assert!(!answer.status.is_success(), "the operator's key is refused: {}", answer.text());
    assert_eq!(lab.breaker("far", "theirs"), "closed", "counts say nothing about health");
    let wrong = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "bad role"}});
    let scribe = Scribe::saying(Said::json(400, wrong.to_string()));
    let lab = Lab::beside(&routing("anthropic"), &[("far", &scribe)]);
    let answer = lab.send(&count()).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, wrong), "the vendor's own words");
}
