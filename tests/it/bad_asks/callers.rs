//! A caller of every dialect, with a sound request that has something of everything in it.

use serde_json::{Value, json};

use super::SECRET;
use crate::lab::Ask;

/// A caller's dialect: where it asks, and a sound request with something of everything in it.
pub struct Caller {
    pub dialect: &'static str,
    pub path: &'static str,
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
