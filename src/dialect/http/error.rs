//! `{"error":{message,code},"request_id"}`.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::trouble::Trouble;

pub fn render(trouble: &Trouble, request_id: &str) -> Bytes {
    json!({ "error": { "message": trouble.message, "code": trouble.code }, "request_id": request_id })
        .to_string()
        .into()
}
