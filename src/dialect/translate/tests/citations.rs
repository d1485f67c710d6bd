//! Citations: an answer names its sources, whether it comes whole or streamed, in every dialect.

use super::streams::{events, frames, messages, translated};
use super::{CALLERS, read_reply};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Content, Delta, Event};
use crate::dialect::translate::reply;
use crate::dialect::tree;

/// Of every vendor that names sources: an answer, and the stream that says the same.
const SAMPLES: &[(Dialect, &str, &str)] = &[
    (
        Dialect::OpenAi,
        r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"See there","annotations":[{"type":"url_citation","url_citation":{"url":"https://a.example","title":"A","start_index":0,"end_index":3}},{"type":"url_citation","url_citation":{"url":"https://b.example","title":"B","start_index":4,"end_index":9}}]},"finish_reason":"stop"}]}"#,
        r#"
data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"See there"}}]}

data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"annotations":[{"type":"url_citation","url_citation":{"url":"https://a.example","title":"A","start_index":0,"end_index":3}},{"type":"url_citation","url_citation":{"url":"https://b.example","title":"B","start_index":4,"end_index":9}}]}}]}

data: {"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#,
    ),
    // Perplexity's.
    (
        Dialect::OpenAi,
        r#"{"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"search_results":[{"title":"A","url":"https://a.example","date":null},{"title":"B","url":"https://b.example"}],"choices":[{"index":0,"message":{"role":"assistant","content":"See there"},"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#,
        r#"
data: {"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"search_results":[{"title":"A","url":"https://a.example","date":null},{"title":"B","url":"https://b.example"}],"choices":[{"index":0,"delta":{"role":"assistant","content":"See"}}]}

data: {"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"search_results":[{"title":"A","url":"https://a.example","date":null},{"title":"B","url":"https://b.example"}],"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":"stop"}]}

"#,
    ),
    (
        Dialect::OpenAi,
        r#"{"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"choices":[{"index":0,"message":{"role":"assistant","content":"See there"},"finish_reason":"stop"}]}"#,
        r#"
data: {"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"choices":[{"index":0,"delta":{"role":"assistant","content":"See there"}}]}

data: {"id":"a","model":"sonar","citations":["https://a.example","https://b.example"],"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

"#,
    ),
    (
        Dialect::Responses,
        r#"{"id":"a","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"See there","annotations":[{"type":"url_citation","url":"https://a.example","title":"A","start_index":0,"end_index":3},{"type":"url_citation","url":"https://b.example","title":"B","start_index":4,"end_index":9}]}]}]}"#,
        r#"
data: {"type":"response.created","response":{"id":"a","model":"m"}}

data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"See there"}

data: {"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"https://a.example","title":"A","start_index":0,"end_index":3}}

data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"See there","annotations":[{"type":"url_citation","url":"https://a.example","title":"A","start_index":0,"end_index":3},{"type":"url_citation","url":"https://b.example","title":"B","start_index":4,"end_index":9}]}]}}

data: {"type":"response.completed","response":{"id":"a","status":"completed","output":[]}}

"#,
    ),
    (
        Dialect::Anthropic,
        r#"{"id":"a","model":"m","role":"assistant","type":"message","content":[{"type":"text","text":"See there","citations":[{"type":"web_search_result_location","url":"https://a.example","title":"A","cited_text":"a","encrypted_index":"x"},{"type":"web_search_result_location","url":"https://b.example","title":"B","cited_text":"b","encrypted_index":"y"}]}],"stop_reason":"end_turn"}"#,
        r#"
data: {"type":"message_start","message":{"id":"a","model":"m","role":"assistant","content":[]}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"","citations":[]}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://a.example","title":"A","cited_text":"a","encrypted_index":"x"}}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"See there"}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://b.example","title":"B","cited_text":"b","encrypted_index":"y"}}}

data: {"type":"content_block_stop","index":0}

data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}

data: {"type":"message_stop"}

"#,
    ),
    (
        Dialect::Gemini,
        r#"{"candidates":[{"content":{"parts":[{"text":"See there"}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},{"retrievedContext":{"uri":"https://b.example","title":"B"}}]}}]}"#,
        r#"
data: {"candidates":[{"content":{"parts":[{"text":"See"}]},"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":" there"}]},"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},{"retrievedContext":{"uri":"https://b.example","title":"B"}}]}}]}

"#,
    ),
    (
        Dialect::Cohere,
        r#"{"id":"a","message":{"role":"assistant","content":[{"type":"text","text":"See there"}],"citations":[{"start":0,"end":3,"text":"See","sources":[{"type":"document","id":"1","document":{"url":"https://a.example","title":"A"}}]},{"start":4,"end":9,"text":"there","sources":[{"type":"document","id":"2","document":{"url":"https://b.example","title":"B"}}]}]},"finish_reason":"COMPLETE"}"#,
        r#"
data: {"type":"message-start","id":"a","delta":{"message":{"role":"assistant"}}}

data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}

data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"See there"}}}}

data: {"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":3,"text":"See","sources":[{"type":"document","id":"1","document":{"url":"https://a.example","title":"A"}}]}}}}

data: {"type":"citation-end","index":0}

data: {"type":"citation-start","index":1,"delta":{"message":{"citations":{"start":4,"end":9,"text":"there","sources":[{"type":"document","id":"2","document":{"url":"https://b.example","title":"B"}}]}}}}

data: {"type":"citation-end","index":1}

data: {"type":"content-end","index":0}

data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}

data: [DONE]

"#,
    ),
    (
        Dialect::Bedrock,
        r#"{"output":{"message":{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"See there"}],"citations":[{"title":"A","location":{"web":{"url":"https://a.example"}}},{"title":"B","source":"https://b.example"}]}}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#,
        r#"{"event":"messageStart","data":{"role":"assistant"}}
{"event":"contentBlockDelta","data":{"contentBlockIndex":0,"delta":{"text":"See there"}}}
{"event":"contentBlockDelta","data":{"contentBlockIndex":0,"delta":{"citation":{"title":"A","location":{"web":{"url":"https://a.example"}}}}}}
{"event":"contentBlockDelta","data":{"contentBlockIndex":0,"delta":{"citation":{"title":"B","source":"https://b.example"}}}}
{"event":"contentBlockStop","data":{"contentBlockIndex":0}}
{"event":"messageStop","data":{"stopReason":"end_turn"}}
{"event":"metadata","data":{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}}
"#,
    ),
];

/// A text, and where it is from: URLs and titles.
type Told = (String, Vec<(String, String)>);

/// Dialects that need a title make one of the URL, or have it empty.
fn source(url: Option<&str>, title: Option<&str>) -> (String, String) {
    let url = url.unwrap_or_default();
    (url.to_owned(), title.filter(|title| !title.is_empty()).unwrap_or(url).to_owned())
}

fn of_whole(dialect: Dialect, body: &[u8]) -> Told {
    let root = tree::parse(body).expect("JSON");
    let mut told = Told::default();
    for part in &read_reply(dialect, &root).choices[0].parts {
        let Content::Text(text) = &part.content else { panic!("{:?} is in no sample", part.content) };
        told.0.push_str(text);
        let sources = part.citations.iter();
        told.1.extend(sources.map(|said| source(said.url.as_deref(), said.title.as_deref())));
    }
    told
}

fn of_stream(dialect: Dialect, bytes: &[u8]) -> Told {
    let mut told = Told::default();
    events(dialect, bytes, &mut |event| match event {
        Event::Delta { delta: Delta::Text(text), .. } => told.0.push_str(text),
        Event::Delta { delta: Delta::Citation { url, title, .. }, .. } => {
            told.1.push(source(url.as_deref(), title.as_deref()));
        }
        _ => {}
    });
    told
}

#[test]
fn an_answer_names_the_same_sources_whole_and_streamed_in_every_dialect() {
    for (from, whole, stream) in SAMPLES {
        let titled = whole.contains("\"title\"");
        let place = |name: &str| {
            let url = format!("https://{}.example", name.to_lowercase());
            (url.clone(), if titled { name.to_owned() } else { url })
        };
        let expected = ("See there".to_owned(), vec![place("A"), place("B")]);
        let stream = match from {
            Dialect::Bedrock => messages(stream),
            _ => stream.trim_start().as_bytes().to_vec(),
        };
        assert_eq!(of_whole(*from, whole.as_bytes()), expected, "{from}");
        assert_eq!(of_stream(*from, &stream), expected, "{from}, streamed");
        for to in CALLERS {
            let whole = reply(*from, to, whole.as_bytes(), &manner()).expect("an answer");
            assert_eq!(of_whole(to, &whole), expected, "{from} -> {to}");
            let stream = translated(*from, to, &frames(*from, [&*stream]));
            assert_eq!(of_stream(to, &stream), expected, "{from} -> {to}, streamed");
        }
    }
}

#[test]
fn sources_without_a_text_are_told_all_the_same() {
    let body = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]},"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example"}}]}}]}"#;
    let root = tree::parse(body).expect("JSON");
    let found = read_reply(Dialect::Gemini, &root);
    let cited: Vec<_> = found.choices[0].parts.iter().flat_map(|part| &part.citations).collect();
    assert_eq!(cited.len(), 1, "{found:?}");
}

/// Google counts bytes, OpenAI characters.
#[test]
fn sources_of_google_stand_where_they_support_the_text() {
    let body = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"In Zürich it rains."}]},"finishReason":"STOP","groundingMetadata":{
        "groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},{"web":{"uri":"https://b.example","title":"B"}},{"web":{"uri":"https://c.example","title":"C"}}],
        "groundingSupports":[{"segment":{"startIndex":3,"endIndex":10,"text":"Zürich"},"groundingChunkIndices":[0]},
            {"segment":{"endIndex":20},"groundingChunkIndices":[0,1,9]},
            {"segment":{"startIndex":5,"endIndex":99},"groundingChunkIndices":[2]},
            {"segment":{"startIndex":0,"endIndex":5},"groundingChunkIndices":[2]}]}}]}"#;
    let told = |to| {
        let said = reply(Dialect::Gemini, to, body.as_bytes(), &manner()).expect("an answer");
        serde_json::from_slice::<serde_json::Value>(&said).expect("JSON")
    };
    let places = |notes: &serde_json::Value| -> Vec<(String, u64, u64)> {
        let note = |note: &serde_json::Value| {
            let note = note.get("url_citation").filter(|inner| inner.is_object()).unwrap_or(note).clone();
            let number = |key: &str| note[key].as_u64().expect("a number");
            (note["title"].as_str().expect("a title").to_owned(), number("start_index"), number("end_index"))
        };
        notes.as_array().expect("notes").iter().map(note).collect()
    };
    let placed = |title: &str, start, end| (title.to_owned(), start, end);
    let known = [placed("A", 3, 9), placed("A", 0, 19), placed("B", 0, 19)];
    let chat = places(&told(Dialect::OpenAi)["choices"][0]["message"]["annotations"]);
    assert_eq!(chat, [&known[..], &[placed("C", 0, 0)]].concat());
    let output = told(Dialect::Responses)["output"].as_array().expect("items").clone();
    let message = output.iter().find(|item| item["type"] == "message").expect("a message");
    let responses = places(&message["content"][0]["annotations"]);
    assert_eq!(responses, [&known[..], &[placed("C", 0, 19)]].concat());
}
