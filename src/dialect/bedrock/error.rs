//! `{"message"}`; what kind it is says the header `x-amzn-errortype`, or `__type` in the body where a
//! proxy in between has lost the header (every AWS SDK looks at both). In a stream: an exception.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::framing::eventstream::{MessageKind, message};
use crate::dialect::trouble::{Kind, Trouble};

pub fn render(trouble: &Trouble) -> Bytes {
    json!({ "__type": error_type(trouble.kind), "message": trouble.message }).to_string().into()
}

/// An exception among the stream's messages: SDKs raise it by the name that it has there.
pub fn in_band(trouble: &Trouble) -> Bytes {
    let payload = json!({ "message": trouble.message }).to_string();
    let mut out = Vec::with_capacity(payload.len() + 160);
    message(exception(trouble.kind), MessageKind::Exception, payload.as_bytes(), &mut out);
    out.into()
}

/// The value of `x-amzn-errortype`: the exceptions that the operation declares, and who is not let in.
pub fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::TooDear
        | Kind::ContextOverflow
        | Kind::ContentPolicy => "ValidationException",
        // Those of every AWS service (its "Common errors").
        Kind::Unauthorized => "MissingAuthenticationTokenException",
        Kind::UnknownKey => "UnrecognizedClientException",
        Kind::BadSignature => "InvalidSignatureException",
        Kind::Forbidden => "AccessDeniedException",
        Kind::NotFound => "ResourceNotFoundException",
        Kind::RequestTimeout | Kind::Timeout => "ModelTimeoutException",
        Kind::RateLimited => "ThrottlingException",
        Kind::QuotaExhausted => "ServiceQuotaExceededException",
        Kind::Overloaded | Kind::BadGateway | Kind::Unavailable => "ServiceUnavailableException",
        Kind::Internal => "InternalServerException",
    }
}

/// The five that a stream may raise.
fn exception(kind: Kind) -> &'static str {
    match error_type(kind) {
        "ValidationException" => "validationException",
        "ThrottlingException" | "ServiceQuotaExceededException" => "throttlingException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ModelTimeoutException" => "modelStreamErrorException",
        _ => "internalServerException",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::framing::{Framing, Splitter};

    #[test]
    fn an_error_in_a_stream_is_an_exception_of_its_kind() {
        for (kind, expected) in [
            (Kind::RateLimited, "throttlingException"),
            (Kind::BadGateway, "serviceUnavailableException"),
            (Kind::Timeout, "modelStreamErrorException"),
            (Kind::ContextOverflow, "validationException"),
            (Kind::Unauthorized, "internalServerException"),
        ] {
            let mut splitter = Splitter::new(Framing::EventStream);
            splitter.push(in_band(&Trouble::new(kind, "say \"why\"")));
            let frame = splitter.next().expect("sound").expect("a message");
            assert_eq!(frame.event(), Some(expected.as_bytes()));
            assert_eq!(frame.data(), Some(&br#"{"message":"say \"why\""}"#[..]));
        }
    }

    #[test]
    fn the_body_names_its_type_as_the_header_does() {
        for kind in Kind::ALL {
            let body: serde_json::Value =
                serde_json::from_slice(&render(&Trouble::new(kind, "m"))).expect("JSON");
            assert_eq!(body, json!({"__type": error_type(kind), "message": "m"}));
        }
    }
}
