//! Refusals that are about an account, its plan or a model, though their status blames the request.
//!
//! A 400 or 404 often quotes what it complains about, and a caller must not be able to put a key or a model away
//! with his own words: so a mark is how the vendor's whole sentence *begins*, never something within it. Each has
//! a recorded answer in `tests/fixtures/dialect/refusals.jsonl`, with its source.

use crate::vocab::Fault;
use crate::vocab::Fault::{AuthRefused, ModelMissing, QuotaExhausted, Unsayable};

/// One vendor's sentence and what is meant by it.
pub(super) struct Refusal {
    /// Which statuses it comes with; an error inside a 200 that names none may be any of them.
    pub statuses: &'static [u16],
    /// How the sentence begins, lower case; a `*` is for what varies, which no colon introduces.
    pub mark: &'static str,
    pub fault: Fault,
}

const fn at(statuses: &'static [u16], mark: &'static str, fault: Fault) -> Refusal {
    Refusal { statuses, mark, fault }
}

/// First match wins. What depends on the request as well (a plan without streams, tools or long prompts) is
/// `Unsayable`: another channel may have it, and nothing is remembered of this one.
pub(super) const REFUSALS: &[Refusal] = &[
    // Anthropic.
    at(&[400], "your credit balance is too low", QuotaExhausted),
    at(&[400], "you have reached your specified*usage limits", QuotaExhausted),
    at(&[400], "this organization has been disabled", AuthRefused),
    at(&[400], "the long context beta is not yet available for this subscription", Unsayable),
    at(&[429], "extra usage is required for long context requests", Unsayable),
    // OpenAI, and Azure with its models. A key may lack leave for one operation.
    at(&[401, 403], "you have insufficient permissions for this operation", Unsayable),
    at(&[400, 403, 404], "your organization must be verified to use the model", ModelMissing),
    at(&[400, 403], "your organization must be verified to", Unsayable),
    at(&[400], "the chatcompletion operation does not work with the specified model", Unsayable),
    at(&[400], "the completion operation does not work with the specified model", Unsayable),
    at(&[400], "the embeddings operation does not work with the specified model", Unsayable),
    // More than the key may have in a minute, in one request: Groq's 413 and OpenAI's 429.
    at(&[413, 429], "request too large for *tokens per min", Unsayable),
    // Amazon Bedrock.
    at(&[400], "operation not allowed", ModelMissing),
    at(&[400], "the provided model identifier is invalid", ModelMissing),
    at(&[400], "invocation of model id*on-demand throughput isn", ModelMissing),
    at(&[400], "access to anthropic models is not allowed from unsupported", ModelMissing),
    at(&[403], "model access is denied due to", ModelMissing),
    at(&[404], "model use case details have not been submitted", ModelMissing),
    at(&[404], "access denied. this model is marked by provider as legacy", ModelMissing),
    at(&[400, 404], "this model version has reached the end of its life", ModelMissing),
    // Google: Gemini's API and Vertex AI.
    at(&[400], "api key not valid", AuthRefused),
    at(&[400], "api key expired", AuthRefused),
    at(&[400], "gemini api free tier is not available in your country", AuthRefused),
    at(&[400], "user location is not supported", ModelMissing),
    at(&[400], "publisher model*is not servable in region", ModelMissing),
    at(&[400], "project*is not allowed to use publisher model", ModelMissing),
    // OpenRouter. What is asked of the endpoints may stand in the request: tools, a data policy.
    at(&[402], "this request requires more credits, or fewer max_tokens", Unsayable),
    at(&[404], "no endpoints found for ", ModelMissing),
    at(&[404], "no endpoints found", Unsayable),
    at(&[404], "no endpoints available", Unsayable),
    at(&[404], "no allowed providers are available", Unsayable),
    // xAI.
    at(&[400], "incorrect api key provided", AuthRefused),
    // DeepSeek and others.
    at(&[400], "insufficient balance", QuotaExhausted),
    at(&[400], "insufficient credits", QuotaExhausted),
    // Alibaba Cloud.
    at(&[400], "access denied, please make sure your account is in good standing", QuotaExhausted),
    // Fireworks.
    at(&[400, 412], "account*is suspended", QuotaExhausted),
    // Databricks.
    at(&[404], "the given endpoint does not exist", ModelMissing),
    at(&[403], "permission_denied: the endpoint is temporarily disabled", ModelMissing),
    // Nvidia.
    at(&[404], "function '*': not found for account", ModelMissing),
    at(&[410], "the model*has reached its end of life", ModelMissing),
    // GitHub.
    at(&[413], "request body too large for *max size:*tokens", Unsayable),
    // Cohere.
    at(&[404], "model '*was removed on", ModelMissing),
    // LM Studio.
    at(&[400], "no models loaded", ModelMissing),
];

impl Refusal {
    /// Whether a sentence is this one, `text` being in lower case.
    pub fn says(&self, text: &str) -> bool {
        let mut pieces = self.mark.split('*');
        let Some(rest) = pieces.next().and_then(|begin| text.strip_prefix(begin)) else { return false };
        let rest = pieces.try_fold(rest, |rest, piece| {
            rest.split_once(piece).filter(|(varies, _)| !varies.contains(": ")).map(|(_, rest)| rest)
        });
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, StatusCode};
    use serde_json::{Value, json};

    use super::super::rules::RULES;
    use super::super::{Finding, classify};
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::provider;
    use crate::vocab::Class;

    const RECORDED: &str = include_str!("../../../tests/fixtures/dialect/refusals.jsonl");

    fn find(provider: &str, dialect: Dialect, status: u16, kind: Option<&str>, body: &Value) -> Finding {
        let headers: HeaderMap = kind
            .map(|kind| {
                let name = http::HeaderName::from_static("x-amzn-errortype");
                (name, HeaderValue::from_str(kind).expect("a value"))
            })
            .into_iter()
            .collect();
        let provider = provider::find(provider).expect("a row");
        let status = StatusCode::from_u16(status).expect("a status");
        classify(provider, dialect, status, &headers, body.to_string().as_bytes(), Duration::ZERO)
    }

    #[test]
    fn what_vendors_refuse_an_account_or_a_model_is_not_the_callers_fault() {
        let mut met = vec![false; REFUSALS.len()];
        for line in RECORDED.lines() {
            let case: Value = serde_json::from_str(line).expect("JSON");
            let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("{key} in {line}"));
            let status = case["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let dialect = text("dialect").parse().expect("a dialect");
            let kind = case["kind"].as_str();
            let found = find(text("provider"), dialect, status.expect("a status"), kind, &case["body"]);
            assert_eq!(found.fault.name(), text("fault"), "{line}");
            let sentence = found.message.unwrap_or_default().to_lowercase();
            if let Some(row) = REFUSALS.iter().position(|refusal| refusal.says(&sentence)) {
                met[row] = true;
            }
        }
        for (refusal, met) in REFUSALS.iter().zip(met) {
            assert!(met, "no recorded answer begins with {:?}", refusal.mark);
        }
    }

    /// What a request says comes back in its refusal, in the ways that vendors quote.
    #[test]
    fn a_caller_puts_nothing_away_with_his_own_words() {
        const QUOTING: &[&str] = &[
            "Invalid value: '@'. Supported values are: 'low', 'medium', 'high', and 'auto'.",
            "Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `@`, expected `system`",
            "messages.0.role: Input should be 'user' or 'assistant', got '@'",
            "tools.0: Input tag '@' found using 'type' does not match any of the expected tags: 'custom'",
            "Previous response with id '@' not found.",
            "Invalid 'tools[0].function.name': '@'. Expected a string that matches the pattern.",
            "Value '@' at 'toolConfig' failed to satisfy constraint: Member must satisfy enum value set",
            "'@' is not one of the allowed values",
            "The model returned the following errors: Malformed input request: #/messages/0/role: @ is not a valid enum value",
            "The model `gpt-5.4` does not support '@'",
            "x' @ `x` @ \"@\"",
        ];
        let fixed = [
            "does not exist",
            "model not found",
            "the model `x` does not exist",
            "invalid model",
            "no such model",
        ];
        let rules = RULES.iter().flat_map(|rule| rule.texts).copied();
        let marks = REFUSALS.iter().map(|refusal| refusal.mark).chain(rules).chain(fixed);
        for mark in marks {
            for quoting in QUOTING {
                let message = quoting.replace('@', &mark.replace('*', " x "));
                for status in [400, 404, 413, 422] {
                    for body in [
                        json!({"error": {"message": message, "type": "invalid_request_error", "code": "invalid_value"}}),
                        json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}),
                        json!({"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}),
                        json!({"message": message}),
                        json!({"detail": message}),
                    ] {
                        let found = find("openai", Dialect::OpenAi, status, None, &body);
                        assert_eq!(found.fault.class(), Class::ClientFault, "{status} {body}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_mark_is_how_a_sentence_begins() {
        let refusal = at(&[400], "account*is suspended", QuotaExhausted);
        assert!(refusal.says("account x is suspended, possibly"));
        assert!(!refusal.says("your account x is suspended"));
        assert!(!refusal.says("account x was suspended"));
        assert!(!refusal.says("is suspended account"));
        assert!(!refusal.says("account is wrong: is suspended"));
        assert!(!refusal.says(""));
    }
}
