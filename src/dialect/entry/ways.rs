//! The tables of paths that callers write; what a path means is found in `entry`.

use crate::dialect::{Dialect, Operation};

/// One fixed path.
pub struct Way {
    pub path: &'static str,
    pub operation: Operation,
    pub dialect: Dialect,
    pub model: Named,
    /// How much of `path` is ours and not the upstream's.
    pub ours: &'static str,
}

#[derive(Clone, Copy)]
pub enum Named {
    Json,
    Form,
}

const fn openai(path: &'static str, operation: Operation, model: Named) -> Way {
    Way { path, operation, dialect: Dialect::OpenAi, model, ours: "/v1" }
}

const fn responses(path: &'static str, operation: Operation) -> Way {
    Way { path, operation, dialect: Dialect::Responses, model: Named::Json, ours: "/v1" }
}

const fn anthropic(path: &'static str, operation: Operation, ours: &'static str) -> Way {
    Way { path, operation, dialect: Dialect::Anthropic, model: Named::Json, ours }
}

const fn cohere(path: &'static str, operation: Operation) -> Way {
    Way { path, operation, dialect: Dialect::Cohere, model: Named::Json, ours: "/cohere" }
}

/// Every fixed path; all are `POST`. An OpenAI base URL contains `/v1`, the others are bare hosts.
pub const WAYS: &[Way] = &[
    openai("/v1/chat/completions", Operation::Chat, Named::Json),
    openai("/v1/completions", Operation::Completions, Named::Json),
    openai("/v1/embeddings", Operation::Embeddings, Named::Json),
    openai("/v1/moderations", Operation::Moderations, Named::Json),
    openai("/v1/images/generations", Operation::Images, Named::Json),
    openai("/v1/images/edits", Operation::ImageEdits, Named::Form),
    openai("/v1/images/variations", Operation::ImageVariations, Named::Form),
    openai("/v1/audio/speech", Operation::Speech, Named::Json),
    openai("/v1/audio/transcriptions", Operation::Transcriptions, Named::Form),
    openai("/v1/audio/translations", Operation::Translations, Named::Form),
    responses("/v1/responses", Operation::Responses),
    responses("/v1/responses/compact", Operation::ResponsesCompact),
    responses("/v1/responses/input_tokens", Operation::ResponsesInputTokens),
    anthropic("/anthropic/v1/messages", Operation::Messages, "/anthropic"),
    anthropic("/anthropic/v1/messages/count_tokens", Operation::CountTokens, "/anthropic"),
    // Claude Code and others append only this to a bare host.
    anthropic("/v1/messages", Operation::Messages, ""),
    anthropic("/v1/messages/count_tokens", Operation::CountTokens, ""),
    cohere("/cohere/v2/chat", Operation::CohereChat),
    cohere("/cohere/v2/embed", Operation::CohereEmbed),
    cohere("/cohere/v2/rerank", Operation::Rerank),
    // What Jina, Voyage and others share, and what Continue asks for.
    openai("/v1/rerank", Operation::Rerank, Named::Json),
];

/// What Gemini's callers write behind a model, all `POST`.
pub const VERBS: &[(&str, Operation)] = &[
    (":generateContent", Operation::Generate),
    (":streamGenerateContent", Operation::StreamGenerate),
    (":embedContent", Operation::EmbedContent),
    (":batchEmbedContents", Operation::BatchEmbed),
    (":countTokens", Operation::GeminiCountTokens),
];

/// What Bedrock's callers write behind a model, all `POST`.
pub const BEDROCK_VERBS: &[(&str, Operation)] = &[
    ("/converse", Operation::Converse),
    ("/converse-stream", Operation::ConverseStream),
    ("/count-tokens", Operation::BedrockCountTokens),
];

/// What may stand before `/models`.
pub const GEMINI_VERSIONS: [&str; 3] = ["v1", "v1beta", "v1alpha"];

/// Of Cohere's paths: the second one's, and the first one's, which the list of models still has.
pub const COHERE_VERSIONS: [&str; 2] = ["v1", "v2"];
