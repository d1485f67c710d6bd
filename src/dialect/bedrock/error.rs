//! `{"message"}`; the kind is the header `x-amzn-errortype`.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::trouble::Trouble;

pub fn render(trouble: &Trouble) -> Bytes {
    json!({ "message": trouble.message }).to_string().into()
}

pub fn in_band(trouble: &Trouble) -> Bytes {
    render(trouble)
}
