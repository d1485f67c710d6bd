//! What is put where in a sound request, and the field that the error has to name.

use serde_json::{Value, json};

use super::SECRET;

/// One place of a sound request, what is put there (nothing: it is taken away), and the field that the
/// error names.
pub type Row = (&'static str, Option<Value>, &'static str);

fn set(place: &'static str, value: impl Into<Value>, field: &'static str) -> Row {
    (place, Some(value.into()), field)
}

fn gone(place: &'static str, field: &'static str) -> Row {
    (place, None, field)
}

pub fn rows(dialect: &str) -> Vec<Row> {
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
        set("/messages", json!([]), "messages"),
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
