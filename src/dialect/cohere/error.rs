//! `{"id","message"}`.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::trouble::Trouble;

pub fn render(trouble: &Trouble, request_id: &str) -> Bytes {
    json!({ "id": request_id, "message": trouble.message }).to_string().into()
}

pub fn in_band(trouble: &Trouble) -> Bytes {
    format!("data: {}\n\n", json!({ "type": "error", "message": trouble.message })).into()
}
