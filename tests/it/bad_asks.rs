//! Malformed requests on their way into another dialect: that dialect's own 400 with the place of the
//! mistake, and no upstream hears of it.
//!
//! Every caller's dialect is put to a channel of every other dialect. A sound request is broken in one
//! place at a time, so a row is that place, what is put there, and the field that the error has to name.

use std::sync::Arc;
use std::time::Duration;

use mainstay::dialect::hub::{Family, Terms};
use mainstay::dialect::quirks::Quirks;
use mainstay::dialect::{Dialect, entry, translate, tree};
use mainstay::vocab::Facts;
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Lab, Said, Scribe};

/// The dialects of the upstreams; there is a route to each that has its name.
pub const UPSTREAMS: [&str; 7] =
    ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama"];

/// In every place of a request that an error might quote.
const SECRET: &str = "s3cret";

/// Callers of every dialect before scribes of every dialect.
pub struct Scene {
    pub lab: Lab,
    pub scribes: Vec<(&'static str, Arc<Scribe>)>,
}

impl Scene {
    pub fn saying(said: impl Fn(&str) -> Said) -> Self {
        Self::with("", said)
    }

    /// `server` is what the file says of the server.
    pub fn with(server: &str, said: impl Fn(&str) -> Said) -> Self {
        let mut yaml = format!("version: 1\n{server}\nupstreams:\n");
        for name in UPSTREAMS {
            yaml +=
                &["  ", name, ": {provider: custom, dialect: ", name, ", base_url: 'http://", name, "'}\n"]
                    .concat();
        }
        yaml.push_str("routes:\n");
        for name in UPSTREAMS {
            yaml += &["  - {model: ", name, ", channels: [{upstream: ", name, "}]}\n"].concat();
        }
        let scribes = UPSTREAMS.map(|name| (name, Scribe::saying(said(name))));
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(&yaml, &beside), scribes: scribes.to_vec() }
    }

    pub fn scribe(&self, name: &str) -> &Arc<Scribe> {
        &self.scribes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn assert_nobody_heard(&self, what: &str) {
        for (name, scribe) in &self.scribes {
            assert!(scribe.heard().is_empty(), "{what}: {name} was asked");
        }
    }
}

/// A caller's dialect: where it asks, and a sound request with something of everything in it.
pub struct Caller {
    pub dialect: &'static str,
    path: &'static str,
    pub sound: Value,
}

impl Caller {
    /// The request, put to the route of that name.
    pub fn ask(&self, route: &str, body: &Value) -> Ask {
        let mut body = body.clone();
        if !self.path.contains("MODEL") {
            body["model"] = route.into();
        }
        Ask::post(&self.path.replace("MODEL", route), body.to_string())
    }
}

const PIXEL: &str = "iVBORw0KGgo=";

pub fn callers() -> Vec<Caller> {
    let schema = json!({"type": "object", "properties": {"at": {"type": "integer"}}});
    let link = format!("data:image/png;base64,{PIXEL}");
    vec![
        Caller {
            dialect: "openai",
            path: "/v1/chat/completions",
            sound: json!({
                "messages": [
                    {"role": "system", "content": SECRET},
                    {"role": "user", "content": [
                        {"type": "text", "text": SECRET},
                        {"type": "image_url", "image_url": {"url": link}},
                    ]},
                    {"role": "assistant", "content": null, "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                    ]},
                    {"role": "tool", "tool_call_id": "call_1", "content": SECRET},
                ],
                "tools": [{"type": "function", "function": {"name": "look", "description": SECRET, "parameters": schema}}],
                "tool_choice": "auto",
                "max_tokens": 50,
                "temperature": 0.5,
                "stop": ["x"],
            }),
        },
        Caller {
            dialect: "responses",
            path: "/v1/responses",
            sound: json!({
                "store": false,
                "instructions": SECRET,
                "input": [
                    {"type": "message", "role": "user", "content": [
                        {"type": "input_text", "text": SECRET},
                        {"type": "input_image", "image_url": link},
                    ]},
                    {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{\"at\":1}"},
                    {"type": "function_call_output", "call_id": "call_1", "output": SECRET},
                ],
                "tools": [{"type": "function", "name": "look", "description": SECRET, "parameters": schema, "strict": false}],
                "tool_choice": "auto",
                "max_output_tokens": 50,
                "temperature": 0.5,
            }),
        },
        Caller {
            dialect: "anthropic",
            path: "/anthropic/v1/messages",
            sound: json!({
                "max_tokens": 50,
                "system": SECRET,
                "messages": [
                    {"role": "user", "content": [
                        {"type": "text", "text": SECRET},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    ]},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": 1}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": SECRET}]},
                ],
                "tools": [{"name": "look", "description": SECRET, "input_schema": schema}],
                "tool_choice": {"type": "auto"},
                "temperature": 0.5,
                "stop_sequences": ["x"],
            }),
        },
        Caller {
            dialect: "gemini",
            path: "/gemini/v1beta/models/MODEL:generateContent",
            sound: json!({
                "systemInstruction": {"parts": [{"text": SECRET}]},
                "contents": [
                    {"role": "user", "parts": [
                        {"text": SECRET},
                        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                    ]},
                    {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"at": 1}}}]},
                    {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": SECRET}}}]},
                ],
                "tools": [{"functionDeclarations": [{"name": "look", "description": SECRET, "parameters": schema}]}],
                "generationConfig": {"maxOutputTokens": 50, "temperature": 0.5, "stopSequences": ["x"]},
            }),
        },
        Caller {
            dialect: "cohere",
            path: "/cohere/v2/chat",
            sound: json!({
                "messages": [
                    {"role": "system", "content": SECRET},
                    {"role": "user", "content": [
                        {"type": "text", "text": SECRET},
                        {"type": "image_url", "image_url": {"url": link}},
                    ]},
                    {"role": "assistant", "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                    ]},
                    {"role": "tool", "tool_call_id": "call_1", "content": SECRET},
                ],
                "tools": [{"type": "function", "function": {"name": "look", "description": SECRET, "parameters": schema}}],
                "max_tokens": 50,
                "temperature": 0.5,
                "stop_sequences": ["x"],
            }),
        },
        Caller {
            dialect: "bedrock",
            path: "/bedrock/model/MODEL/converse",
            sound: json!({
                "system": [{"text": SECRET}],
                "messages": [
                    {"role": "user", "content": [
                        {"text": SECRET},
                        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
                    ]},
                    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "call_1", "name": "look", "input": {"at": 1}}}]},
                    {"role": "user", "content": [{"toolResult": {"toolUseId": "call_1", "content": [{"text": SECRET}]}}]},
                ],
                "toolConfig": {"tools": [{"toolSpec": {"name": "look", "description": SECRET, "inputSchema": {"json": schema}}}]},
                "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["x"]},
            }),
        },
    ]
}

/// One place of a sound request, what is put there (nothing: it is taken away), and the field that the
/// error names.
type Row = (&'static str, Option<Value>, &'static str);

fn set(place: &'static str, value: impl Into<Value>, field: &'static str) -> Row {
    (place, Some(value.into()), field)
}

fn gone(place: &'static str, field: &'static str) -> Row {
    (place, None, field)
}

fn rows(dialect: &str) -> Vec<Row> {
    match dialect {
        "openai" => openai_rows(),
        "responses" => responses_rows(),
        "anthropic" => anthropic_rows(),
        "gemini" => gemini_rows(),
        "cohere" => cohere_rows(),
        "bedrock" => bedrock_rows(),
        other => panic!("{other} has no callers"),
    }
}

fn openai_rows() -> Vec<Row> {
    vec![
        gone("/messages", "messages"),
        set("/messages", SECRET, "messages"),
        set("/messages", json!([]), "messages"),
        set("/messages/1", 7, "messages[1]"),
        gone("/messages/1/role", "messages[1].role"),
        set("/messages/1/role", SECRET, "messages[1].role"),
        set("/messages/1/content", 7, "messages[1].content"),
        set("/messages/1/content/0", SECRET, "messages[1].content[0]"),
        gone("/messages/1/content/0/text", "messages[1].content[0].text"),
        set("/messages/1/content/0/text", json!([SECRET]), "messages[1].content[0].text"),
        set("/messages/1/content/1/image_url", 7, "messages[1].content[1].image_url"),
        set(
            "/messages/1/content/1/image_url/url",
            "data:image/png;base64,@s3cret@",
            "messages[1].content[1].image_url.url",
        ),
        set("/messages/2/tool_calls", SECRET, "messages[2].tool_calls"),
        set("/messages/2/tool_calls/0/function/name", 7, "messages[2].tool_calls[0].function.name"),
        set(
            "/messages/2/tool_calls/0/function/arguments",
            json!([1]),
            "messages[2].tool_calls[0].function.arguments",
        ),
        gone("/messages/3/tool_call_id", "messages[3].tool_call_id"),
        set("/messages/3/tool_call_id", SECRET, "messages[3].tool_call_id"),
        set("/tools", SECRET, "tools"),
        set("/tools/0", 7, "tools[0]"),
        gone("/tools/0/function/name", "tools[0].function.name"),
        set("/tools/0/function/parameters", SECRET, "tools[0].function.parameters"),
        set("/tool_choice", 7, "tool_choice"),
        set("/max_tokens", SECRET, "max_tokens"),
        set("/max_tokens", -1, "max_tokens"),
        set("/temperature", SECRET, "temperature"),
        set("/stop", 7, "stop"),
        set("/response_format", SECRET, "response_format"),
    ]
}

fn responses_rows() -> Vec<Row> {
    vec![
        gone("/input", "input"),
        set("/input", 7, "input"),
        set("/input/0", 7, "input[0]"),
        set("/input/0/role", SECRET, "input[0].role"),
        set("/input/0/content", 7, "input[0].content"),
        set("/input/0/content/0/text", json!([SECRET]), "input[0].content[0].text"),
        set("/input/0/content/1/image_url", 7, "input[0].content[1].image_url"),
        set(
            "/input/0/content/1/image_url",
            "data:image/png;base64,@s3cret@",
            "input[0].content[1].image_url",
        ),
        gone("/input/1/call_id", "input[1].call_id"),
        set("/input/1/name", 7, "input[1].name"),
        set("/input/1/arguments", json!([1]), "input[1].arguments"),
        set("/input/2/call_id", SECRET, "input[2].call_id"),
        set("/input/2/output", 7, "input[2].output"),
        set("/instructions", 7, "instructions"),
        set("/tools", SECRET, "tools"),
        gone("/tools/0/name", "tools[0].name"),
        set("/tools/0/parameters", SECRET, "tools[0].parameters"),
        set("/tool_choice", 7, "tool_choice"),
        set("/max_output_tokens", SECRET, "max_output_tokens"),
        set("/temperature", SECRET, "temperature"),
        set("/text", SECRET, "text"),
        set("/reasoning", SECRET, "reasoning"),
    ]
}

fn anthropic_rows() -> Vec<Row> {
    vec![
        gone("/messages", "messages"),
        set("/messages", SECRET, "messages"),
        set("/messages", json!([]), "messages"),
        set("/messages/0", 7, "messages[0]"),
        set("/messages/0/role", SECRET, "messages[0].role"),
        set("/messages/0/content", 7, "messages[0].content"),
        gone("/messages/0/content/0/type", "messages[0].content[0].type"),
        set("/messages/0/content/0/text", 7, "messages[0].content[0].text"),
        set("/messages/0/content/1/source", SECRET, "messages[0].content[1].source"),
        set("/messages/0/content/1/source/data", "@s3cret@", "messages[0].content[1].source.data"),
        set("/messages/1/content/0/name", 7, "messages[1].content[0].name"),
        set("/messages/1/content/0/input", SECRET, "messages[1].content[0].input"),
        gone("/messages/2/content/0/tool_use_id", "messages[2].content[0].tool_use_id"),
        set("/messages/2/content/0/tool_use_id", SECRET, "messages[2].content[0].tool_use_id"),
        set("/messages/2/content/0/content", 7, "messages[2].content[0].content"),
        set("/system", 7, "system"),
        set("/tools", SECRET, "tools"),
        gone("/tools/0/name", "tools[0].name"),
        set("/tools/0/input_schema", SECRET, "tools[0].input_schema"),
        set("/tool_choice", SECRET, "tool_choice"),
        set("/tool_choice/type", SECRET, "tool_choice.type"),
        set("/max_tokens", SECRET, "max_tokens"),
        set("/temperature", SECRET, "temperature"),
        set("/stop_sequences", SECRET, "stop_sequences"),
        set("/thinking", SECRET, "thinking"),
    ]
}

fn gemini_rows() -> Vec<Row> {
    vec![
        gone("/contents", "contents"),
        set("/contents", 7, "contents"),
        set("/contents", json!([]), "contents"),
        set("/contents/0/role", SECRET, "contents[0].role"),
        set("/contents/0/parts", SECRET, "contents[0].parts"),
        set("/contents/0/parts/0/text", 7, "contents[0].parts[0].text"),
        set("/contents/0/parts/1/inlineData", SECRET, "contents[0].parts[1].inlineData"),
        set("/contents/0/parts/1/inlineData/data", "@s3cret@", "contents[0].parts[1].inlineData.data"),
        gone("/contents/1/parts/0/functionCall/name", "contents[1].parts[0].functionCall.name"),
        set("/contents/1/parts/0/functionCall/args", SECRET, "contents[1].parts[0].functionCall.args"),
        set("/contents/2/parts/0/functionResponse/name", SECRET, "contents[2].parts[0]"),
        set(
            "/contents/2/parts/0/functionResponse/response",
            SECRET,
            "contents[2].parts[0].functionResponse.response",
        ),
        set("/systemInstruction", 7, "systemInstruction"),
        set("/tools", SECRET, "tools"),
        set("/tools/0/functionDeclarations", SECRET, "tools[0].functionDeclarations"),
        gone("/tools/0/functionDeclarations/0/name", "tools[0].functionDeclarations[0].name"),
        set("/generationConfig", SECRET, "generationConfig"),
        set("/generationConfig/maxOutputTokens", SECRET, "generationConfig.maxOutputTokens"),
        set("/generationConfig/temperature", SECRET, "generationConfig.temperature"),
        set("/generationConfig/stopSequences", 7, "generationConfig.stopSequences"),
        set("/toolConfig", SECRET, "toolConfig"),
    ]
}

fn cohere_rows() -> Vec<Row> {
    vec![
        gone("/messages", "messages"),
        set("/messages", SECRET, "messages"),
        set("/messages", json!([]), "messages"),
        set("/messages/1/role", SECRET, "messages[1].role"),
        set("/messages/1/content", 7, "messages[1].content"),
        set("/messages/1/content/0/text", 7, "messages[1].content[0].text"),
        set(
            "/messages/1/content/1/image_url/url",
            "data:image/png;base64,@s3cret@",
            "messages[1].content[1].image_url.url",
        ),
        set("/messages/2/tool_calls", SECRET, "messages[2].tool_calls"),
        set("/messages/2/tool_calls/0/function/arguments", 7, "messages[2].tool_calls[0].function.arguments"),
        set("/messages/3/tool_call_id", SECRET, "messages[3].tool_call_id"),
        set("/tools", SECRET, "tools"),
        gone("/tools/0/function/name", "tools[0].function.name"),
        set("/max_tokens", SECRET, "max_tokens"),
        set("/temperature", SECRET, "temperature"),
        set("/stop_sequences", SECRET, "stop_sequences"),
        set("/response_format", SECRET, "response_format"),
    ]
}

fn bedrock_rows() -> Vec<Row> {
    vec![
        gone("/messages", "messages"),
        set("/messages", SECRET, "messages"),
        set("/messages/0/role", SECRET, "messages[0].role"),
        set("/messages/0/content", SECRET, "messages[0].content"),
        set("/messages/0/content/0/text", 7, "messages[0].content[0].text"),
        set(
            "/messages/0/content/1/image/source/bytes",
            "@s3cret@",
            "messages[0].content[1].image.source.bytes",
        ),
        set("/messages/1/content/0/toolUse/name", 7, "messages[1].content[0].toolUse.name"),
        set(
            "/messages/2/content/0/toolResult/toolUseId",
            SECRET,
            "messages[2].content[0].toolResult.toolUseId",
        ),
        set("/system", SECRET, "system"),
        set("/toolConfig", SECRET, "toolConfig"),
        set("/inferenceConfig", SECRET, "inferenceConfig"),
        set("/inferenceConfig/maxTokens", SECRET, "inferenceConfig.maxTokens"),
        set("/inferenceConfig/temperature", SECRET, "inferenceConfig.temperature"),
    ]
}

/// Breaks a sound request in one place.
fn broken(sound: &Value, (place, value, _): &Row) -> Value {
    let mut body = sound.clone();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("no {place}"));
    match (parent, value) {
        (Value::Object(members), Some(value)) => {
            members.insert(key.to_owned(), value.clone());
        }
        (Value::Object(members), None) => {
            members.remove(key).unwrap_or_else(|| panic!("no {place}"));
        }
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value.clone(),
        (other, _) => panic!("{place} is in {other}"),
    }
    body
}

/// The sentence of an error in the shape of that dialect, and the field where the shape has one.
pub fn sentence(dialect: &str, answer: &Answer) -> (String, Option<String>) {
    let body = answer.json();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let error = &body["error"];
    assert_eq!(answer.header("content-type"), "application/json", "{body}");
    let (message, field) = match dialect {
        "openai" | "responses" => {
            assert!(text(&error["type"]).is_some(), "{body}");
            (&error["message"], text(&error["param"]))
        }
        "anthropic" => {
            assert_eq!(body["type"], "error", "{body}");
            assert!(text(&error["type"]).is_some(), "{body}");
            (&error["message"], None)
        }
        "gemini" => {
            assert_eq!(error["code"], answer.status.as_u16(), "{body}");
            assert!(text(&error["status"]).is_some(), "{body}");
            (&error["message"], None)
        }
        "cohere" => {
            assert!(text(&body["id"]).is_some(), "{body}");
            (&body["message"], None)
        }
        "bedrock" => {
            assert!(text(&body["__type"]).is_some(), "{body}");
            (&body["message"], None)
        }
        other => panic!("{other} has no callers"),
    };
    (text(message).unwrap_or_else(|| panic!("{dialect}: no sentence in {body}")), field)
}

/// What is wrong with the answer to a malformed request; nothing if all is as it should be.
fn fault_of(dialect: &str, answer: &Answer, field: &str) -> Option<String> {
    if answer.status != 400 || answer.text().contains("it was asked") {
        return Some(format!("{}: {:.200}", answer.status, answer.text()));
    }
    let (message, param) = sentence(dialect, answer);
    let named = if matches!(dialect, "openai" | "responses") {
        param.as_deref() == Some(field)
    } else {
        message.contains(field)
    };
    if !named {
        return Some(format!("does not name it: {param:?} {message}"));
    }
    if message.contains(SECRET) || message.len() > 400 {
        return Some(format!("quotes the body: {message}"));
    }
    // What was expected instead, not just that something is wrong.
    let mends = [
        "expected",
        "required",
        "is needed",
        "has to",
        "must",
        "give",
        "send",
        "use ",
        "the roles are",
        "encode",
        "needs",
        "before it",
    ];
    if !mends.iter().any(|word| message.contains(word)) {
        return Some(format!("does not say how to mend it: {message}"));
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_sound_request_goes_to_every_dialect() {
    let scene = Scene::saying(|_| Said::json(503, "{}"));
    for caller in callers() {
        for upstream in UPSTREAMS {
            scene.lab.send(&caller.ask(upstream, &caller.sound)).await;
            let heard = scene.scribe(upstream).heard();
            assert!(!heard.is_empty(), "{} to {upstream}", caller.dialect);
            serde_json::from_slice::<Value>(&heard[0].body).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_request_is_refused_in_its_own_dialect_with_the_place_of_the_mistake() {
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let (mut asked, mut wrong) = (0_u32, Vec::new());
    for caller in callers() {
        for row in rows(caller.dialect) {
            let body = broken(&caller.sound, &row);
            for upstream in UPSTREAMS.into_iter().filter(|name| *name != caller.dialect) {
                let answer = scene.lab.send(&caller.ask(upstream, &body)).await;
                asked += 1;
                if let Some(fault) = fault_of(caller.dialect, &answer, row.2) {
                    wrong.push(format!("{} to {upstream}: {} = {:?}: {fault}", caller.dialect, row.0, row.1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    scene.assert_nobody_heard("malformed requests");
    let refused = scene.lab.metric_sum("mainstay_requests_total", &["outcome=\"client_fault\""]);
    assert_eq!(refused, f64::from(asked), "all are the callers' own fault");
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn json_that_is_too_deep_is_refused_and_deep_json_is_not() {
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for caller in callers() {
        // Where the path names the model, nothing has to be read that goes on as it is.
        let unread = |upstream: &str| upstream == caller.dialect && caller.path.contains("MODEL");
        for upstream in UPSTREAMS.into_iter().filter(|name| !unread(name)) {
            let mut body = caller.sound.clone();
            body["vendor_extra"] = "DEEP".into();
            let ask = |levels: usize| {
                let mut ask = caller.ask(upstream, &body);
                let text = String::from_utf8(ask.body.to_vec()).unwrap();
                // The object round it is a level, too.
                ask.body = text.replace("\"DEEP\"", &nested(levels - 1)).into();
                ask
            };
            let answer = scene.lab.send(&ask(129)).await;
            assert_eq!(answer.status, 400, "{} to {upstream}: {}", caller.dialect, answer.text());
            let (message, _) = sentence(caller.dialect, &answer);
            assert!(message.contains("nesting"), "{} to {upstream}: {message}", caller.dialect);
            scene.assert_nobody_heard("129 levels");
            let answer = scene.lab.send(&ask(128)).await;
            assert!(
                answer.text().contains("it was asked"),
                "{} to {upstream}: {}",
                caller.dialect,
                answer.text()
            );
            scene.scribe(upstream).only();
        }
    }
    scene.lab.assert_quiet().await;
}

/// A request with one picture of so many bytes.
fn with_picture(caller: &Caller, bytes: usize) -> Value {
    let data = "QUJD".repeat(bytes / 3);
    let link = format!("data:image/png;base64,{data}");
    let mut body = caller.sound.clone();
    let (place, value) = match caller.dialect {
        "openai" | "cohere" => ("/messages/1/content/1/image_url/url", link),
        "responses" => ("/input/0/content/1/image_url", link),
        "anthropic" => ("/messages/0/content/1/source/data", data),
        "gemini" => ("/contents/0/parts/1/inlineData/data", data),
        "bedrock" => ("/messages/0/content/1/image/source/bytes", data),
        other => panic!("{other} has no callers"),
    };
    *body.pointer_mut(place).unwrap() = value.into();
    body
}

#[tokio::test(start_paused = true)]
async fn a_picture_of_fifty_megabytes_arrives_whole_in_every_dialect() {
    /// As base64 it just fits into `server.limits.max_body`, 64 MiB.
    const LARGEST: usize = 50_000_000 / 3 * 3;
    /// Enough for the pairs that share a reader with the largest.
    const LARGE: usize = 3_000_000;
    /// Of a debug build on a busy machine, fifty times what a release takes.
    const SANE: Duration = Duration::from_mins(1);
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let largest = [("openai", "anthropic"), ("anthropic", "gemini"), ("gemini", "openai")];
    for caller in callers() {
        for upstream in ["openai", "anthropic", "gemini"].into_iter().filter(|name| *name != caller.dialect) {
            let is_largest = largest.contains(&(caller.dialect, upstream));
            let body = with_picture(&caller, if is_largest { LARGEST } else { LARGE });
            let ask = caller.ask(upstream, &body);
            let began = now();
            let answer = scene.lab.send(&ask).await;
            assert!(answer.text().contains("it was asked"), "{}: {:.300}", caller.dialect, answer.text());
            assert!(began.elapsed() < SANE, "{} to {upstream}: {:?}", caller.dialect, began.elapsed());
            let heard = scene.scribe(upstream).only();
            assert!(heard.whole && heard.body.len() > ask.body.len() * 99 / 100, "{}: cut", caller.dialect);
        }
    }
    scene.lab.assert_quiet().await;
}

#[expect(clippy::disallowed_methods, reason = "the lab's clock stands still while a request is translated")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// What translation itself holds, beside the body that came.
#[test]
fn a_large_picture_is_held_in_few_copies() {
    const PICTURE: usize = 300_000;
    for caller in callers() {
        let body = with_picture(&caller, PICTURE);
        let ask = caller.ask("m", &body);
        let from: Dialect = caller.dialect.parse().unwrap();
        let entry = entry::find(&ask.method, &ask.path, None, &http::HeaderMap::new()).unwrap();
        for to in translate::GENERATING.into_iter().filter(|to| *to != from) {
            let terms = Terms {
                model: "m",
                facts: Facts::default(),
                family: Family::Other,
                quirks: &Quirks::COMPATIBLE,
                ask_usage: false,
                nonce: "0",
            };
            let held = allocation_counter::measure(|| {
                let root = tree::parse(&ask.body).unwrap();
                let mut said = translate::read(from, entry.operation, "m", &root).unwrap();
                let written = translate::write(&mut said, to, &terms).unwrap();
                assert!(written.body.len() > PICTURE, "{from} to {to}");
            });
            let copies = held.bytes_max as f64 / ask.body.len() as f64;
            // One is the request that goes out; some dialects put their link or their message together first.
            assert!(copies < 3.2, "{from} to {to}: {copies:.2} copies");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_in_its_own_dialect() {
    let scene =
        Scene::with("server: {limits: {max_body: 64KiB, replay_body: 16KiB}}", |_| Said::json(200, "{}"));
    for caller in callers() {
        let body = with_picture(&caller, 60_000);
        for upstream in UPSTREAMS {
            let answer = scene.lab.send(&caller.ask(upstream, &body)).await;
            assert_eq!(answer.status, 413, "{} to {upstream}", caller.dialect);
            let (message, _) = sentence(caller.dialect, &answer);
            assert!(message.contains("65536 bytes"), "{message}");
        }
    }
    scene.assert_nobody_heard("bodies over the limit");
    scene.lab.assert_quiet().await;
}

/// What no caller has to see.
const GARBAGE: &str = "g4rbage";

/// Answers that are none, with their content type.
fn garbage() -> Vec<(&'static str, Said)> {
    let said = |kind: &str, body: &str| Said::status(200).header("content-type", kind).data(body.to_owned());
    let json = "application/json";
    let huge = format!(r#"{{"x":"{}"}}"#, "y".repeat(3 << 20));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    vec![
        ("nothing", said(json, "")),
        ("no JSON", said(json, "<html>g4rbage</html>")),
        ("null", said(json, "null")),
        ("a list", said(json, "[1,2]")),
        ("a string", said(json, r#""g4rbage""#)),
        ("half an object", said(json, r#"{"choices":[{"message":{"content":"g4rb"#)),
        ("nothing in an object", said(json, "{}")),
        ("something else", said(json, r#"{"g4rbage":[{"a":1}]}"#)),
        (
            "lists that are none",
            said(json, r#"{"choices":7,"output":7,"content":7,"candidates":7,"message":7}"#),
        ),
        (
            "items that are none",
            said(json, r#"{"choices":[7],"output":[7],"content":[7],"candidates":[7],"message":[7]}"#),
        ),
        ("no UTF-8", Said::status(200).header("content-type", json).data(&b"{\"choices\":\"\xff\xfe\"}"[..])),
        ("something huge", said(json, &huge)),
        ("something deep", said(json, &deep)),
        ("a page", said("text/html", "<html>g4rbage</html>")),
        ("no type", Said::status(200).data("g4rbage")),
    ]
}

#[tokio::test(start_paused = true)]
async fn garbage_for_an_answer_is_a_failure_in_the_callers_dialect_and_never_a_success() {
    let mut wrong = Vec::new();
    for (what, said) in garbage() {
        for caller in callers() {
            for upstream in UPSTREAMS.into_iter().filter(|name| *name != caller.dialect) {
                let scene = Scene::with("server: {limits: {max_body: 1MiB}}", |_| said.clone());
                let answer = scene.lab.send(&caller.ask(upstream, &caller.sound)).await;
                if answer.status != 502 {
                    wrong.push(format!(
                        "{upstream} to {}: {what}: {} {:.200}",
                        caller.dialect,
                        answer.status,
                        answer.text()
                    ));
                    continue;
                }
                let (message, _) = sentence(caller.dialect, &answer);
                if message.contains(GARBAGE) || message.len() > 400 {
                    wrong.push(format!("{upstream} to {}: {what}: quoted: {message}", caller.dialect));
                }
                scene.lab.assert_quiet().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Streams that begin well and are none, each in the dialect of its upstream.
fn broken_streams(upstream: &str) -> Vec<(&'static str, String)> {
    let sound = match upstream {
        "openai" => {
            r#"data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}"#
        }
        "responses" => {
            r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"hello","sequence_number":1}"#
        }
        "anthropic" => {
            r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#
        }
        "gemini" => r#"data: {"candidates":[{"content":{"parts":[{"text":"hello"}],"role":"model"}}]}"#,
        "cohere" => {
            r#"event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"hello"}}}}"#
        }
        other => panic!("{other} has no sound event here"),
    };
    let (half, _) = sound.split_at(sound.len() - 9);
    vec![
        ("nothing", String::new()),
        ("no events", "<html>g4rbage</html>".to_owned()),
        ("no JSON", "data: <html>g4rbage</html>\n\n".to_owned()),
        ("wrong types", "data: {\"choices\":7,\"candidates\":7,\"type\":7,\"delta\":7}\n\n".to_owned()),
        ("a list", "data: [1,2]\n\n".to_owned()),
        ("half an event", half.to_owned()),
        ("an event and nothing more", format!("{sound}\n\n")),
        ("an event and half of one", format!("{sound}\n\ndata: {{\"g4rb")),
        ("an event and garbage", format!("{sound}\n\ndata: g4rbage\n\ndata: [7]\n\n")),
        ("binary", "data: \u{0}\u{1}\u{fffd}\n\n".to_owned()),
    ]
}

/// Makes a request a streamed one.
fn streamed(caller: &Caller, route: &str) -> Ask {
    let mut body = caller.sound.clone();
    match caller.dialect {
        "gemini" => {
            let mut ask = caller.ask(route, &body);
            ask.path = ask.path.replace(":generateContent", ":streamGenerateContent?alt=sse");
            ask
        }
        "bedrock" => {
            let mut ask = caller.ask(route, &body);
            ask.path = ask.path.replace("/converse", "/converse-stream");
            ask
        }
        _ => {
            body["stream"] = true.into();
            caller.ask(route, &body)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_none_is_a_failure_and_one_that_breaks_does_not_end_well() {
    let mut wrong = Vec::new();
    for upstream in ["openai", "responses", "anthropic", "gemini", "cohere"] {
        for (what, stream) in broken_streams(upstream) {
            let said = Said::status(200).header("content-type", "text/event-stream").data(stream);
            for caller in callers().into_iter().filter(|caller| caller.dialect != upstream) {
                let scene = Scene::saying(|_| said.clone());
                let answer = scene.lab.send(&streamed(&caller, upstream)).await;
                let place = format!("{upstream} to {}: {what}", caller.dialect);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                if text.contains(GARBAGE) {
                    wrong.push(format!("{place}: quoted: {text:.200}"));
                }
                if what.starts_with("an event") {
                    // What was committed is followed by an error event and an abnormal end.
                    let failed = ["error", "ERROR", "Exception"].iter().any(|word| text.contains(word));
                    if answer.status != 200 || answer.end != End::Cut || !failed || !text.contains("hello") {
                        wrong.push(format!("{place}: {} {:?} {text:.300}", answer.status, answer.end));
                    }
                } else if answer.status != 502 {
                    wrong.push(format!("{place}: {} {:?} {text:.200}", answer.status, answer.end));
                } else {
                    sentence(caller.dialect, &answer);
                }
                scene.lab.assert_quiet().await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn another_channel_answers_where_one_answers_garbage() {
    let yaml = "
version: 1
upstreams:
  bad: {provider: custom, dialect: anthropic, base_url: 'http://bad'}
  good: {provider: simulated, dialect: gemini}
routes:
  - model: demo
    channels: [{upstream: bad, tier: 1}, {upstream: good, tier: 2}]
";
    for (what, said) in garbage().into_iter().filter(|(what, _)| *what != "something huge") {
        let scribe = Scribe::saying(said);
        let lab = Lab::beside(yaml, &[("bad", &scribe)]);
        for ask in [Ask::chat("demo"), Ask::stream("demo")] {
            let answer = lab.send(&ask).await;
            assert_eq!(answer.spoken().as_deref(), Ok("good"), "{what}");
        }
        lab.assert_quiet().await;
    }
}
