//! What is asked and answered across dialects, pair by pair, and what was recorded of real vendors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::hub::Family;
use crate::dialect::provider;
use crate::vocab::Facts;

/// Asks an upstream of `to` at `vendor` what a caller wants.
fn put(
    from: (Dialect, Operation),
    body: &Value,
    (vendor, to): (&str, Dialect),
) -> Result<(Translated, Errand), Wrong> {
    let provider = provider::find(vendor).expect("a row");
    let terms = Terms {
        model: "theirs",
        like: None,
        facts: Facts::default(),
        family: Family::Other,
        quirks: provider.quirks,
        ask_usage: false,
        nonce: "0011",
    };
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    ask(from, "ours", &root, to, (&terms, provider))
}

/// A question, what the upstream hears, what it says, and what the caller gets.
fn check(
    from: (Dialect, Operation),
    asked: &Value,
    at: (&str, Dialect),
    heard: (Operation, &Value, &[&str]),
    said: &Value,
    got: &Value,
) -> Tokens {
    let (written, errand) = put(from, asked, at).expect("it can be asked");
    assert_eq!(written.losses.fatal(), None, "{asked}");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!((written.operation, &body), (heard.0, heard.1), "{asked}");
    assert_eq!(written.losses.names(), heard.2, "{asked}");
    let answered = reply(at.1, from.0, said.to_string().as_bytes(), &manner(), &errand).expect("an answer");
    assert_eq!(&serde_json::from_slice::<Value>(&answered.body).expect("JSON"), got, "{asked}");
    answered.tokens
}

/// The reason why it cannot be asked.
fn refused(from: (Dialect, Operation), asked: &Value, at: (&str, Dialect)) -> String {
    match put(from, asked, at) {
        Ok((written, _)) => written.losses.fatal().expect("refused").message.to_string(),
        Err(wrong) => wrong.to_string(),
    }
}

fn manner() -> Manner {
    Manner {
        family: Family::Other,
        model: "ours".to_owned(),
        nonce: "0011".to_owned(),
        now: 1,
        usage_wanted: true,
        framing: crate::dialect::Framing::Sse,
        echo: String::new(),
        keeping: crate::dialect::hub::Keeping::Passing,
        renamed: crate::dialect::hub::Renamed::default(),
        stops: crate::dialect::hub::Stops::default(),
    }
}

const OPENAI: (Dialect, Operation) = (Dialect::OpenAi, Operation::Embeddings);
const COHERE: (Dialect, Operation) = (Dialect::Cohere, Operation::CohereEmbed);
const GEMINI: (Dialect, Operation) = (Dialect::Gemini, Operation::BatchEmbed);

#[test]
fn openais_callers_get_vectors_of_geminis_in_base64() {
    let asked = json!({"model": "ours", "input": ["a", "b"], "encoding_format": "base64",
        "dimensions": 2, "user": "u"});
    let request = |text| json!({"model": "models/theirs", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2});
    let heard = json!({"requests": [request("a"), request("b")]});
    let said = json!({"embeddings": [{"values": [1, 2.0]}, {"values": [-1, 0.5]}]});
    let got = json!({"object": "list", "model": "ours", "data": [
        {"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="},
        {"object": "embedding", "index": 1, "embedding": "AACAvwAAAD8="},
    ], "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    let tokens = check(
        OPENAI,
        &asked,
        ("gemini", Dialect::Gemini),
        (Operation::BatchEmbed, &heard, &["user"]),
        &said,
        &got,
    );
    assert_eq!(tokens, Tokens::Estimated);
}

#[test]
fn one_text_is_one_content_and_token_ids_are_text_again() {
    let asked = json!({"model": "ours", "input": [15339, 1917]});
    let heard = json!({"content": {"parts": [{"text": "hello world"}]}});
    let said = json!({"embedding": {"values": [0.25]}, "usageMetadata": {"promptTokenCount": 3}});
    let got = json!({"object": "list", "model": "ours",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let at = ("gemini", Dialect::Gemini);
    let tokens = check(OPENAI, &asked, at, (Operation::EmbedContent, &heard, &[]), &said, &got);
    assert_eq!(tokens, Tokens::Told);
    let asked = json!({"model": "ours", "input": [[15339], [4_000_000]]});
    assert!(refused(OPENAI, &asked, at).contains("check_embedding_ctx_length=False"));
}

#[test]
fn vertex_predicts_vectors() {
    let asked = json!({"model": "ours", "input": ["a", "b"], "dimensions": 2, "input_type": "query"});
    let heard = json!({"instances": [
        {"content": "a", "task_type": "RETRIEVAL_QUERY"},
        {"content": "b", "task_type": "RETRIEVAL_QUERY"},
    ], "parameters": {"outputDimensionality": 2}});
    let prediction = |values: &[f64]| json!({"embeddings": {"statistics": {"token_count": 4, "truncated": false}, "values": values}});
    let said = json!({"predictions": [prediction(&[1.5]), prediction(&[2.5])]});
    let got = json!({"object": "list", "model": "ours", "data": [
        {"object": "embedding", "index": 0, "embedding": [1.5]},
        {"object": "embedding", "index": 1, "embedding": [2.5]},
    ], "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let at = ("vertex", Dialect::Gemini);
    let tokens = check(OPENAI, &asked, at, (Operation::VertexPredict, &heard, &[]), &said, &got);
    assert_eq!(tokens, Tokens::Told);
}

#[test]
fn openais_callers_get_vectors_of_coheres_and_ollamas() {
    let asked = json!({"model": "ours", "input": "a", "dimensions": 3, "input_type": "query"});
    let heard = json!({"model": "theirs", "texts": ["a"], "input_type": "search_query",
        "embedding_types": ["float"], "output_dimension": 3});
    let said = json!({"id": "x", "embeddings": {"float": [[1, 2, 3]]},
        "meta": {"billed_units": {"input_tokens": 4}}, "response_type": "embeddings_by_type"});
    let got = json!({"object": "list", "model": "ours",
        "data": [{"object": "embedding", "index": 0, "embedding": [1, 2, 3]}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4}});
    let heard = (Operation::CohereEmbed, &heard, &[][..]);
    check(OPENAI, &asked, ("cohere", Dialect::Cohere), heard, &said, &got);
    let heard = json!({"model": "theirs", "input": ["a"], "dimensions": 3});
    let said = json!({"embeddings": [[1, 2, 3]], "prompt_eval_count": 4});
    let heard = (Operation::OllamaEmbed, &heard, &["input_type"][..]);
    check(OPENAI, &asked, ("ollama", Dialect::Ollama), heard, &said, &got);
}

#[test]
fn coheres_callers_get_vectors_of_openais() {
    let asked = json!({"model": "ours", "texts": ["a", "b"], "input_type": "search_document",
        "embedding_types": ["float", "base64", "int8"], "truncate": "END"});
    let heard = json!({"model": "theirs", "input": ["a", "b"]});
    // Compatible vendors need not keep the order.
    let said = json!({"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": "AACAPw=="}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    let got = json!({"id": "0011", "embeddings": {"float": [[1], [2]], "base64": ["AACAPw==", "AAAAQA=="]},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}},
        "response_type": "embeddings_by_type"});
    let heard = (Operation::Embeddings, &heard, &["embedding_types", "input_type", "truncate"][..]);
    check(COHERE, &asked, ("openai", Dialect::OpenAi), heard, &said, &got);
    let asked = json!({"model": "ours", "images": ["data:"], "input_type": "classification"});
    assert!(refused(COHERE, &asked, ("openai", Dialect::OpenAi)).contains("not pictures"));
    let asked =
        json!({"model": "ours", "texts": ["a"], "input_type": "clustering", "embedding_types": ["int8"]});
    assert!(refused(COHERE, &asked, ("openai", Dialect::OpenAi)).starts_with("embedding_types: "));
}

#[test]
fn voyage_and_mistral_are_asked_in_their_own_words() {
    let said = json!({"data": [{"index": 0, "embedding": [1]}], "usage": {"total_tokens": 2}});
    let got = json!({"id": "0011", "embeddings": {"float": [[1]]},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}},
        "response_type": "embeddings_by_type"});
    let check = |vendor, asked: Value, heard: Value, lost: &[&str]| {
        let heard = (Operation::Embeddings, &heard, lost);
        check(COHERE, &asked, (vendor, Dialect::OpenAi), heard, &said, &got);
    };
    let asked = |kind: &str, truncate: &str| json!({"model": "ours", "texts": ["a"], "input_type": kind, "output_dimension": 256, "truncate": truncate});
    let short = json!({"model": "theirs", "input": ["a"], "output_dimension": 256});
    let with = |more: &[(&str, Value)]| {
        let mut short = short.clone();
        for (key, value) in more {
            short[key] = value.clone();
        }
        short
    };
    let query = with(&[("input_type", json!("query"))]);
    check("voyage", asked("search_query", "END"), query, &[]);
    let document = with(&[("input_type", json!("document")), ("truncation", json!(false))]);
    check("voyage", asked("search_document", "NONE"), document, &[]);
    check("voyage", asked("clustering", "START"), short.clone(), &["input_type", "truncate"]);
    check("mistral", asked("search_query", "NONE"), short, &["input_type"]);
    let asked = json!({"model": "ours", "input": "a", "user": "u"});
    for vendor in ["voyage", "mistral"] {
        let (written, _) = put(OPENAI, &asked, (vendor, Dialect::OpenAi)).expect("it can be asked");
        assert_eq!(written.losses.names(), ["user"], "{vendor}");
    }
}

#[test]
fn geminis_callers_get_vectors_of_openais_in_the_shape_that_they_asked_in() {
    let part = |text| json!({"parts": [{"text": text}]});
    let asked = json!({"requests": [
        {"model": "models/ours", "content": part("a"), "output_dimensionality": 2},
        {"model": "models/ours", "content": part("b"), "output_dimensionality": 2},
    ]});
    let heard = json!({"model": "theirs", "input": ["a", "b"], "dimensions": 2});
    let said = json!({"data": [{"embedding": [1]}, {"embedding": [2]}], "usage": {"prompt_tokens": 2}});
    let got = json!({"embeddings": [{"values": [1]}, {"values": [2]}],
        "usageMetadata": {"promptTokenCount": 2, "totalTokenCount": 2}});
    let at = ("openai", Dialect::OpenAi);
    check(GEMINI, &asked, at, (Operation::Embeddings, &heard, &[]), &said, &got);
    let asked = json!({"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "RETRIEVAL_QUERY"});
    let heard = json!({"model": "theirs", "input": ["a\nb"]});
    let said = json!({"data": [{"embedding": [1]}], "usage": {"total_tokens": 2}});
    let got = json!({"embedding": {"values": [1]},
        "usageMetadata": {"promptTokenCount": 2, "totalTokenCount": 2}});
    let from = (Dialect::Gemini, Operation::EmbedContent);
    check(from, &asked, at, (Operation::Embeddings, &heard, &["input_type"]), &said, &got);
    let mixed =
        json!({"requests": [{"content": part("a")}, {"content": part("b"), "taskType": "CLUSTERING"}]});
    assert!(refused(GEMINI, &mixed, at).starts_with("requests[1]: "));
}

#[test]
fn as_many_vectors_come_back_as_texts_were_sent() {
    let asked = json!({"model": "ours", "input": ["a", "b"]});
    let (_, errand) = put(OPENAI, &asked, ("gemini", Dialect::Gemini)).expect("it can be asked");
    let said = json!({"embeddings": [{"values": [1]}]}).to_string();
    assert!(reply(Dialect::Gemini, Dialect::OpenAi, said.as_bytes(), &manner(), &errand).is_err());
}

#[test]
fn rankings_go_both_ways() {
    let cohere = (Dialect::Cohere, Operation::Rerank);
    let openai = (Dialect::OpenAi, Operation::Rerank);
    let documents = json!(["x", {"text": "y", "id": 1}]);
    let asked = json!({"model": "ours", "query": "q", "documents": documents, "top_n": 1,
        "return_documents": true, "rank_fields": ["text"]});
    let plain = |top: &str| json!({"model": "theirs", "query": "q", "documents": ["x", "y"], top: 1});
    let said = json!({"data": [{"index": 1, "relevance_score": 0.50}], "usage": {"total_tokens": 7}});
    let got = json!({"id": "0011",
        "results": [{"index": 1, "relevance_score": 0.50, "document": {"text": "y"}}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}}});
    let lost = &["rank_fields"][..];
    let heard = (Operation::Rerank, &plain("top_k"), lost);
    check(cohere, &asked, ("voyage", Dialect::OpenAi), heard, &said, &got);
    let said = json!({"results": [{"index": 1, "relevance_score": 0.50}], "usage": {"prompt_tokens": 7}});
    check(cohere, &asked, ("jina", Dialect::OpenAi), (Operation::Rerank, &plain("top_n"), lost), &said, &got);
    let said = json!({"id": "r", "results": [{"index": 1, "relevance_score": 0.50}],
        "meta": {"billed_units": {"search_units": 1}}});
    let got = json!({"object": "list", "model": "ours",
        "results": [{"index": 1, "relevance_score": 0.50, "document": {"text": "y"}}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    let at = ("cohere", Dialect::Cohere);
    let heard = plain("top_n");
    let tokens = check(openai, &asked, at, (Operation::Rerank, &heard, lost), &said, &got);
    assert_eq!(tokens, Tokens::Estimated);
    let asked = json!({"model": "ours", "query": "q", "documents": ["x", "y"], "top_k": 1});
    let got = json!({"object": "list", "model": "ours", "data": [{"index": 1, "relevance_score": 0.50}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    check(openai, &asked, at, (Operation::Rerank, &heard, &[]), &said, &got);
    let beyond = json!({"results": [{"index": 2, "relevance_score": 1}]}).to_string();
    let (_, errand) = put(openai, &asked, at).expect("it can be asked");
    assert!(reply(Dialect::Cohere, Dialect::OpenAi, beyond.as_bytes(), &manner(), &errand).is_err());
}

#[test]
fn counts_go_to_whoever_counts() {
    let towards = |task: Task, vendor: &str| {
        let provider = provider::find(vendor).expect("a row");
        task.towards(provider.speaks, provider.quirks)
    };
    let expected = [
        ("anthropic", Some(Dialect::Anthropic)),
        ("gemini", Some(Dialect::Gemini)),
        ("bedrock", Some(Dialect::Bedrock)),
        ("openai", Some(Dialect::Responses)),
        ("groq", None),
        ("cohere", None),
    ];
    for (vendor, dialect) in expected {
        assert_eq!(towards(Task::Count, vendor), dialect, "{vendor}");
    }
    assert_eq!(towards(Task::Embed, "anthropic"), None);
    assert_eq!(towards(Task::Rerank, "gemini"), None);
}

#[test]
fn claudes_callers_have_their_prompts_counted_elsewhere() {
    let asked = json!({"model": "ours", "system": "s", "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let from = (Dialect::Anthropic, Operation::CountTokens);
    let (written, errand) = put(from, &asked, ("gemini", Dialect::Gemini)).expect("it can be asked");
    assert_eq!(written.operation, Operation::GeminiCountTokens);
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    let request = &body["generateContentRequest"];
    assert_eq!(request["model"], "models/theirs");
    assert_eq!(request.pointer("/contents/0/parts/0/text"), Some(&json!("hi")));
    assert_eq!(request.pointer("/tools/0/functionDeclarations/0/name"), Some(&json!("f")));
    let said = br#"{"totalTokens": 31}"#;
    let answered = reply(Dialect::Gemini, Dialect::Anthropic, said, &manner(), &errand).expect("a count");
    assert_eq!(answered.body, br#"{"input_tokens":31}"#);

    let (written, _) = put(from, &asked, ("vertex", Dialect::Gemini)).expect("it can be asked");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert!(body["contents"].is_array() && body.get("generateContentRequest").is_none(), "{body}");

    let (written, _) = put(from, &asked, ("openai", Dialect::Responses)).expect("it can be asked");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!((written.operation, &body["model"]), (Operation::ResponsesInputTokens, &json!("theirs")));
    assert!(
        body["input"].is_array() && body.get("stream").is_none() && body.get("store").is_none(),
        "{body}"
    );
}

#[test]
fn geminis_callers_have_their_prompts_counted_by_claude() {
    let asked = json!({"generateContentRequest": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"temperature": 1, "maxOutputTokens": 9}}});
    let from = (Dialect::Gemini, Operation::GeminiCountTokens);
    let (written, errand) = put(from, &asked, ("anthropic", Dialect::Anthropic)).expect("it can be asked");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    let names: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["messages", "model"], "what generates only is refused by Anthropic");
    let said = br#"{"input_tokens": 8}"#;
    let answered = reply(Dialect::Anthropic, Dialect::Gemini, said, &manner(), &errand).expect("a count");
    assert_eq!(answered.body, br#"{"totalTokens":8}"#);
}

/// As Claude Code asks Bedrock.
#[test]
fn what_would_be_invoked_at_bedrock_is_counted_elsewhere() {
    let from = (Dialect::Bedrock, Operation::BedrockCountTokens);
    let asked = |body: &str| json!({"input": {"invokeModel": {"body": body}}});
    let invoked = |body: &Value| asked(&STANDARD.encode(body.to_string()));
    let sound = json!({"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["x"], "max_tokens": 1,
        "system": "s", "messages": [{"role": "user", "content": "hi"}]});
    for (vendor, to, place) in [
        ("gemini", Dialect::Gemini, "/generateContentRequest/contents/0/parts/0/text"),
        ("anthropic", Dialect::Anthropic, "/messages/0/content/0/text"),
    ] {
        let (written, errand) = put(from, &invoked(&sound), (vendor, to)).expect("it can be asked");
        let body: Value = serde_json::from_slice(&written.body).expect("JSON");
        assert_eq!(body.pointer(place), Some(&json!("hi")), "{body}");
        assert_eq!((body.get("max_tokens"), body.get("anthropic_version")), (None, None), "{body}");
        let said: &[u8] =
            if to == Dialect::Gemini { br#"{"totalTokens":8}"# } else { br#"{"input_tokens":8}"# };
        let answered = reply(to, Dialect::Bedrock, said, &manner(), &errand).expect("a count");
        assert_eq!(answered.body, br#"{"inputTokens":8}"#);
    }
    let refused =
        |asked: &Value| put(from, asked, ("gemini", Dialect::Gemini)).expect_err("wrong").to_string();
    assert_eq!(refused(&asked("%")), "input.invokeModel.body: it is no base64");
    assert_eq!(
        refused(&json!({"input": {"invokeModel": {}}})),
        "input.invokeModel.body: required, and missing"
    );
    for wrong in [json!([]), json!({"messages": [{"role": "user", "content": 1}]})] {
        let told = refused(&invoked(&wrong));
        assert!(told.contains("what input.invokeModel.body holds is wrong: "), "{told}");
    }
    let told = refused(&asked(&STANDARD.encode("{")));
    assert!(told.contains("input.invokeModel.body"), "{told}");
}

/// As Gemini CLI has the size of a tool's result counted: alone, without the call.
#[test]
fn a_result_alone_is_counted_as_if_its_call_stood_before_it() {
    let result = json!({"functionResponse": {"id": "a", "name": "read_file", "response": {"output": "x"}}});
    let nameless = json!({"functionResponse": {"response": {"output": "x"}}});
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let asked = |parts: Value| json!({"contents": [{"role": "user", "parts": parts}]});
    let from = (Dialect::Gemini, Operation::GeminiCountTokens);
    let two = asked(json!([result, image, {"functionResponse": {"name": "ls", "response": {}}}]));
    let (written, _) = put(from, &two, ("anthropic", Dialect::Anthropic)).expect("it can be asked");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    let blocks = |at: usize| body["messages"][at]["content"].as_array().expect("blocks").len();
    assert_eq!(
        (body["messages"][1]["role"].as_str(), blocks(1), blocks(2)),
        (Some("assistant"), 2, 3),
        "{body}"
    );
    assert!(put(from, &asked(json!([nameless])), ("anthropic", Dialect::Anthropic)).is_err(), "whose is it?");
}

#[test]
fn openais_callers_have_pictures_drawn_by_gemini() {
    let from = (Dialect::OpenAi, Operation::Images);
    let at = ("gemini", Dialect::Gemini);
    let asked = json!({"model": "ours", "prompt": "a cat", "n": 2, "size": "1536x1024", "quality": "low",
        "output_format": "png"});
    let heard = json!({"contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "3:2"}}});
    let said = json!({"candidates": [{"content": {"parts": [
        {"text": "Here it is"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": true},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1290}});
    let got = json!({"created": 1, "data": [{"b64_json": "iVBO"}], "output_format": "png",
        "usage": {"input_tokens": 3, "output_tokens": 1290, "total_tokens": 1293,
            "input_tokens_details": {"text_tokens": 3, "image_tokens": 0}}});
    check(from, &asked, at, (Operation::Generate, &heard, &["quality", "n"]), &said, &got);
    let asked = json!({"model": "ours", "prompt": "a cat", "size": "1792x1024", "response_format": "url"});
    let (written, errand) = put(from, &asked, at).expect("it can be asked");
    assert_eq!(written.losses.names(), ["size"], "16:9 is near");
    let answered = reply(at.1, from.0, said.to_string().as_bytes(), &manner(), &errand).expect("an answer");
    let body: Value = serde_json::from_slice(&answered.body).expect("JSON");
    assert_eq!(body["data"][0]["url"], "data:image/png;base64,iVBO");
    let said = br#"{"candidates":[{"finishReason":"IMAGE_SAFETY"}]}"#;
    match reply(at.1, from.0, said, &manner(), &errand) {
        Err(Unanswered::Declined(why)) => assert!(why.contains("(IMAGE_SAFETY)"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(refused(from, &json!({"prompt": "a", "stream": true}), at).starts_with("stream: "));
}

#[test]
fn openais_callers_hear_gemini_speak() {
    let from = (Dialect::OpenAi, Operation::Speech);
    let at = ("gemini", Dialect::Gemini);
    let asked = |format: &str| json!({"model": "ours", "input": "hi", "voice": "Kore", "response_format": format, "speed": 1.0});
    let (written, errand) = put(from, &asked("wav"), at).expect("it can be asked");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    let config = &body["generationConfig"];
    assert_eq!(config["responseModalities"], json!(["AUDIO"]));
    assert_eq!(config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"], "Kore");
    assert!(written.losses.names().is_empty(), "{:?}", written.losses);
    let said = br#"{"candidates":[{"content":{"parts":[{"inlineData":
        {"mimeType":"audio/L16;codec=pcm;rate=16000","data":"AQACAA=="}}]}}]}"#;
    let answered = reply(at.1, from.0, said, &manner(), &errand).expect("an answer");
    assert_eq!((answered.content_type, answered.body.len()), ("audio/wav", 44 + 4));
    assert_eq!(answered.body[24..28], 16_000u32.to_le_bytes());
    assert_eq!(answered.body[40..], [4, 0, 0, 0, 1, 0, 2, 0]);
    let (_, errand) = put(from, &asked("pcm"), at).expect("it can be asked");
    assert_eq!(reply(at.1, from.0, said, &manner(), &errand).expect("an answer").body, [1, 0, 2, 0]);
    assert!(refused(from, &asked("mp3"), at).contains("`wav` and `pcm`"));
    let (written, _) = put(from, &json!({"input": "hi", "voice": "nova"}), at).expect("it can be asked");
    assert_eq!(written.losses.names(), ["response_format", "voice"]);
}

/// What answers are made of, in any order, and anything between.
fn scraps() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&str; 24] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "1",
        "-0.5",
        "null",
        "\"AACAPw==\"",
        "\"data\"",
        "\"embedding\"",
        "\"embeddings\"",
        "\"values\"",
        "\"float\"",
        "\"results\"",
        "\"index\"",
        "\"relevance_score\"",
        "\"candidates\"",
        "\"content\"",
        "\"parts\"",
        "\"inlineData\"",
        "\"predictions\"",
        "\"usage\"",
    ];
    let words = proptest::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    let bytes = proptest::collection::vec(any::<u8>(), 0..4);
    let scrap = prop_oneof![9 => words, 1 => bytes];
    proptest::collection::vec(scrap, 0..24).prop_map(|scraps| scraps.concat())
}

proptest! {
    #[test]
    fn any_answer_is_said_or_refused(body in scraps(), inputs in 0..3usize) {
        let encodings = vec![Encoding::Base64, Encoding::Float];
        let errands = [
            Errand::Embed { operation: Operation::EmbedContent, encodings, inputs, glance: 1 },
            Errand::Rerank { style: Style::Voyage, documents: inputs, repeated: Vec::new(), glance: 1 },
            Errand::Count,
            Errand::Draw(Delivery::Url),
            Errand::Speak(Sound::Wav),
        ];
        for (errand, from) in errands.iter().flat_map(|errand| Dialect::ALL.map(|from| (errand, from))) {
            for to in Dialect::ALL {
                let Ok(answered) = reply(from, to, &body, &manner(), errand) else { continue };
                let json = answered.content_type == JSON;
                prop_assert!(!json || serde_json::from_slice::<Value>(&answered.body).is_ok());
            }
        }
    }

    #[test]
    fn texts_for_vectors_survive_every_way(texts in proptest::collection::vec("\\PC{1,12}", 1..4)) {
        let asked = json!({"model": "ours", "input": texts});
        let heard = |at: (&str, Dialect)| {
            let (written, _) = put(OPENAI, &asked, at).expect("it can be asked");
            serde_json::from_slice::<Value>(&written.body).expect("JSON")
        };
        prop_assert_eq!(&heard(("cohere", Dialect::Cohere))["texts"], &asked["input"]);
        prop_assert_eq!(&heard(("ollama", Dialect::Ollama))["input"], &asked["input"]);
        let gemini = heard(("gemini", Dialect::Gemini));
        let requests = gemini["requests"].as_array().cloned().unwrap_or_else(|| vec![gemini.clone()]);
        let said: Vec<_> = requests.iter().map(|one| one["content"]["parts"][0]["text"].clone()).collect();
        prop_assert_eq!(&Value::from(said), &asked["input"]);
        let from = (Dialect::Gemini, if texts.len() > 1 { Operation::BatchEmbed } else { Operation::EmbedContent });
        let (back, _) = put(from, &gemini, ("openai", Dialect::OpenAi)).expect("it can be asked");
        let back: Value = serde_json::from_slice(&back.body).expect("JSON");
        prop_assert_eq!(&back["input"], &asked["input"]);
    }
}

// ---- recorded exchanges -------------------------------------------------------------------------

/// Recorded exchanges of these paths that went well; nothing where there are none.
fn recorded(paths: &[&str]) -> Vec<(String, Value, Value)> {
    let folder = std::env::var("MAINSTAY_FIXTURES").map_or_else(
        |_| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        std::path::PathBuf::from,
    );
    let Ok(files) = std::fs::read_dir(folder.join("recorded")) else {
        println!("no recorded exchanges here; MAINSTAY_FIXTURES says where they are");
        return Vec::new();
    };
    let mut found = Vec::new();
    for file in files.flatten() {
        let lines = std::fs::read_to_string(file.path()).unwrap_or_default();
        for line in lines.lines() {
            // Most lines are something else, and long.
            if !paths.iter().any(|path| line.contains(path)) {
                continue;
            }
            let exchange: Value = serde_json::from_str(line).expect("a recorded exchange");
            let path = exchange["path"].as_str().unwrap_or_default().to_owned();
            // Some answers were lost by whoever recorded them.
            let lost = exchange["resp"].as_str().is_some_and(|text| !text.starts_with('{'));
            if paths.iter().any(|end| path.ends_with(end)) && exchange["status"] == 200 && !lost {
                let object = |name: &str| match &exchange[name] {
                    Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                    other => other.clone(),
                };
                found.push((path, object("req"), object("resp")));
            }
        }
    }
    found
}

#[test]
fn recorded_vectors_are_read() {
    let mut read = 0;
    let paths =
        ["/embeddings", "/embed", ":embedContent", ":batchEmbedContents", "gemini-embedding-001:predict"];
    for (path, _, said) in recorded(&paths) {
        let text = said.to_string();
        let (vectors, expected) = if path.ends_with("/embeddings") {
            let first = said.pointer("/data/0/embedding").cloned();
            (openai::embed::read_reply(text.as_bytes()), first)
        } else if path.ends_with("/embed") {
            let first = said.pointer("/embeddings/float/0").or_else(|| said.pointer("/embeddings/0"));
            (cohere::embed::read_reply(text.as_bytes()), first.cloned())
        } else {
            let first = ["/embeddings/0/values", "/embedding/values", "/predictions/0/embeddings/values"]
                .iter()
                .find_map(|at| said.pointer(at));
            (gemini::embed::read_reply(text.as_bytes()), first.cloned())
        };
        let vectors = vectors.unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        let expected = expected.unwrap_or_else(|| panic!("{path}: {text}"));
        match &vectors.vectors[0] {
            hub_vector @ crate::dialect::hub::Vector::Floats(raw) => {
                assert_eq!(serde_json::from_str::<Value>(raw).expect("JSON"), expected, "{path}");
                hub_vector.as_base64().expect("numbers");
            }
            base64 @ crate::dialect::hub::Vector::Base64(raw) => {
                assert_eq!(Value::from(&**raw), expected, "{path}");
                base64.as_floats().expect("numbers");
            }
        }
        let tokens = [
            "/usage/prompt_tokens",
            "/usage/total_tokens",
            "/meta/billed_units/input_tokens",
            "/usageMetadata/promptTokenCount",
            "/predictions/0/embeddings/statistics/token_count",
        ];
        let told = tokens.iter().find_map(|at| said.pointer(at)?.as_u64());
        assert_eq!(vectors.usage.map(|usage| usage.input), told, "{path}");
        read += 1;
    }
    println!("{read} recorded answers with vectors");
}

#[test]
fn recorded_questions_for_vectors_can_be_put_to_others() {
    let mut put_elsewhere = 0;
    for (path, asked, _) in recorded(&["/embeddings", "/v2/embed", ":embedContent", ":batchEmbedContents"]) {
        let (from, at) = if path.ends_with("/embeddings") {
            (OPENAI, ("gemini", Dialect::Gemini))
        } else if path.ends_with("/embed") {
            (COHERE, ("openai", Dialect::OpenAi))
        } else if path.ends_with(":embedContent") {
            ((Dialect::Gemini, Operation::EmbedContent), ("openai", Dialect::OpenAi))
        } else {
            (GEMINI, ("openai", Dialect::OpenAi))
        };
        if let Err(wrong) = put(from, &asked, at) {
            panic!("{path}: {wrong} in {asked}");
        }
        put_elsewhere += 1;
    }
    println!("{put_elsewhere} recorded questions for vectors");
}

#[test]
fn recorded_rankings_and_counts_are_read() {
    let mut read = 0;
    for (path, asked, said) in recorded(&["/v1/rerank"]) {
        let text = said.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let ranking = openai::rerank::read_reply(&root).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        assert_eq!(Some(ranking.places.len()), said["results"].as_array().map(Vec::len), "{path}");
        put((Dialect::OpenAi, Operation::Rerank), &asked, ("cohere", Dialect::Cohere)).expect("a question");
        read += 1;
    }
    for (path, asked, said) in
        recorded(&["/count_tokens", ":countTokens", "/responses/input_tokens", "/count-tokens"])
    {
        let (dialect, model) = match () {
            () if path.ends_with("/count_tokens") => (Dialect::Anthropic, ""),
            () if path.ends_with(":countTokens") => (Dialect::Gemini, "gemini-2.5-flash"),
            () if path.ends_with("/count-tokens") => (Dialect::Bedrock, "claude"),
            () => (Dialect::Responses, ""),
        };
        let text = said.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let told = count::read_reply(dialect, &root).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        let text = asked.to_string();
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let model = asked["model"].as_str().unwrap_or(model);
        let ours = count::read(dialect, model, &root, |ask| {
            Ok((!ask.turns.is_empty()).then(|| tokens::estimate(&ask, tokens::Vocabulary::of(model))))
        });
        if let Some(ours) = ours.unwrap_or_else(|wrong| panic!("{path}: {wrong}")) {
            println!("{path}: {told} by the vendor, {ours} by us");
            assert!(ours >= told, "{path}: a low estimate overflows windows: {ours} of {told}");
        }
        read += 1;
    }
    println!("{read} recorded rankings and counts");
}
