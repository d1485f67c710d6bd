//! What a caller asks of an AI API, whatever the dialect calls it.

/// One kind of call. A closed set, so that it can label metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Chat,
    Completions,
    Embeddings,
    Responses,
    ResponsesInputTokens,
    ResponsesCompact,
    Images,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    Moderations,
    /// The list of models.
    Models,
    /// One model's description.
    Model,
    Messages,
    CountTokens,
    Generate,
    StreamGenerate,
    EmbedContent,
    BatchEmbed,
    GeminiCountTokens,
    CohereChat,
    CohereEmbed,
    /// Cohere's rerank, which Jina, Voyage and others share but for a few names.
    Rerank,
    Converse,
    ConverseStream,
    BedrockCountTokens,
    /// Of upstreams only.
    OllamaChat,
    /// Of upstreams only.
    OllamaEmbed,
    /// Of upstreams only: vectors of Vertex AI's older models.
    VertexPredict,
    /// What callers leave at an upstream for later requests.
    Files,
    /// Many requests at once, answered within a day.
    Batches,
    /// What was answered, and is kept at its upstream.
    StoredResponses,
    /// What several answers belong to, and is kept at its upstream.
    Conversations,
    /// Plain HTTP: nothing is known about it.
    Opaque,
}

/// May the same request be sent twice?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Yes: at worst the tokens are billed again (RESILIENCE §5.4).
    Allowed,
    /// Only while nothing of it can have been processed; idempotent HTTP methods are the proxy's rule.
    OnlyIfUnsent,
}

impl Operation {
    /// Every operation, for tables and tests.
    pub const ALL: [Self; 36] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::ResponsesInputTokens,
        Self::ResponsesCompact,
        Self::Images,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Models,
        Self::Model,
        Self::Messages,
        Self::CountTokens,
        Self::Generate,
        Self::StreamGenerate,
        Self::EmbedContent,
        Self::BatchEmbed,
        Self::GeminiCountTokens,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Rerank,
        Self::Converse,
        Self::ConverseStream,
        Self::BedrockCountTokens,
        Self::OllamaChat,
        Self::OllamaEmbed,
        Self::VertexPredict,
        Self::Files,
        Self::Batches,
        Self::StoredResponses,
        Self::Conversations,
        Self::Opaque,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::ResponsesInputTokens => "responses_input_tokens",
            Self::ResponsesCompact => "responses_compact",
            Self::Images => "images",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Moderations => "moderations",
            Self::Models => "models",
            Self::Model => "model",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Generate => "generate",
            Self::StreamGenerate => "stream_generate",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbed => "batch_embed",
            Self::GeminiCountTokens => "gemini_count_tokens",
            Self::CohereChat => "cohere_chat",
            Self::CohereEmbed => "cohere_embed",
            Self::Rerank => "rerank",
            Self::Converse => "converse",
            Self::ConverseStream => "converse_stream",
            Self::BedrockCountTokens => "bedrock_count_tokens",
            Self::OllamaChat => "ollama_chat",
            Self::OllamaEmbed => "ollama_embed",
            Self::VertexPredict => "vertex_predict",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::StoredResponses => "stored_responses",
            Self::Conversations => "conversations",
            Self::Opaque => "opaque",
        }
    }

    pub const fn replay(self) -> Replay {
        match self {
            Self::Files | Self::Batches | Self::StoredResponses | Self::Conversations | Self::Opaque => {
                Replay::OnlyIfUnsent
            }
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::ResponsesInputTokens
            | Self::ResponsesCompact
            | Self::Images
            | Self::ImageEdits
            | Self::ImageVariations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::Moderations
            | Self::Models
            | Self::Model
            | Self::Messages
            | Self::CountTokens
            | Self::Generate
            | Self::StreamGenerate
            | Self::EmbedContent
            | Self::BatchEmbed
            | Self::GeminiCountTokens
            | Self::CohereChat
            | Self::CohereEmbed
            | Self::Rerank
            | Self::Converse
            | Self::ConverseStream
            | Self::BedrockCountTokens
            | Self::OllamaChat
            | Self::OllamaEmbed
            | Self::VertexPredict => Replay::Allowed,
        }
    }

    /// It is about what stays at an upstream. No model takes part in it, so it has a breaker, limits and latencies
    /// of its own there.
    pub const fn is_left(self) -> bool {
        matches!(self, Self::Files | Self::Batches) || self.is_of_responses()
    }

    /// It is about what the Responses API has stored.
    pub const fn is_of_responses(self) -> bool {
        matches!(self, Self::StoredResponses | Self::Conversations)
    }

    /// The one whose name in a key's `endpoints` allows it: what was stored is whose who may have it made.
    #[must_use]
    pub const fn endpoint(self) -> Self {
        if self.is_of_responses() { Self::Responses } else { self }
    }

    /// Its failures say nothing about the channel: upstreams that generate well often do not count
    /// tokens at all, and a 404 there once suspended a model for hours elsewhere (WIRE §0.7).
    pub const fn health_neutral(self) -> bool {
        matches!(
            self,
            Self::CountTokens
                | Self::GeminiCountTokens
                | Self::ResponsesInputTokens
                | Self::BedrockCountTokens
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_metric_label() {
        let names: HashSet<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn only_plain_http_and_what_stays_is_careful_about_replay() {
        for operation in Operation::ALL {
            let careful = operation == Operation::Opaque || operation.is_left();
            assert_eq!(operation.replay() == Replay::OnlyIfUnsent, careful);
        }
    }
}
