//! The rows.
//!
//! A base URL and a way to authenticate stand here only where the vendor's own documentation has them.
//! A probe asks for the list of models only where there surely is one: a host that lives and answers
//! 404 would be taken for dead.

use super::{
    Auth, Base, Betas, Body, Embeddings, Models, Paths, Probe, Provider, Rerank, StreamUsage, betas,
};
use crate::dialect::Dialect;
use crate::dialect::hub::Family;
use crate::dialect::quirks::{
    CallIds, ClaudeSources, ForcedTools, MaxTokens, Prefilling, Quirks, ReasoningBack, ReasoningStyle,
    StrangeMembers, ToolIds,
};

const OPENAI: &[Dialect] = &[Dialect::OpenAi];
const OPENAI_RESPONSES: &[Dialect] = &[Dialect::OpenAi, Dialect::Responses];
const OPENAI_ANTHROPIC: &[Dialect] = &[Dialect::OpenAi, Dialect::Anthropic];
const OPENAI_RESPONSES_ANTHROPIC: &[Dialect] = &[Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic];

/// A row with what most OpenAI-compatible vendors share.
const COMPATIBLE: Provider = Provider {
    name: "",
    speaks: OPENAI,
    base: Base::Made,
    base_path: "/v1",
    paths: Paths::Dialect,
    auth: Auth::Bearer,
    probe: Probe::Models("/models"),
    stream_usage: StreamUsage::Ask,
    models: Models::Own,
    headers: &[],
    betas: Betas::All,
    anthropic_body: Body::AsIs,
    rerank: Rerank::Dialect,
    embeddings: Embeddings::OpenAi,
    gemini_body: Body::AsIs,
    quirks: &Quirks::COMPATIBLE,
    key_env: None,
    catalog: None,
};

/// Mandatory at Anthropic's own; a caller's own version always wins (WIRE §0.1).
const ANTHROPIC_VERSION: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// A compatible vendor at an address of its own, with a list of models.
const fn listed(
    name: &'static str,
    url: &'static str,
    base_path: &'static str,
    key_env: &'static str,
) -> Provider {
    Provider { name, base: Base::At(url), base_path, key_env: Some(key_env), ..COMPATIBLE }
}

/// The same, without a list of models that could be relied on.
const fn unlisted(
    name: &'static str,
    url: &'static str,
    base_path: &'static str,
    key_env: &'static str,
) -> Provider {
    Provider { probe: Probe::Tcp, ..listed(name, url, base_path, key_env) }
}

const MISTRAL: Quirks = Quirks {
    tool_ids: ToolIds::NineAlphanumeric,
    tool_choice: ForcedTools::Any,
    reasoning: ReasoningStyle::None,
    reasoning_back: ReasoningBack::Content,
    prefilling: Prefilling::Prefix,
    strange_members: StrangeMembers::Refused,
    ..Quirks::COMPATIBLE
};
/// Anthropic's own wire.
const ANTHROPIC: Quirks = Quirks { claude_alone: true, ..Quirks::COMPATIBLE };
const GROQ: Quirks = Quirks { strange_members: StrangeMembers::Refused, ..Quirks::COMPATIBLE };
const XAI: Quirks = Quirks { family: Family::Xai, ..Quirks::COMPATIBLE };
const CEREBRAS: Quirks = Quirks {
    reasoning_back: ReasoningBack::Plain,
    strange_members: StrangeMembers::Refused,
    ..COMPLETION_TOKENS
};
const DEEPSEEK: Quirks = Quirks {
    reasoning: ReasoningStyle::Toggle,
    tool_choice: ForcedTools::OnlyAuto,
    reasoning_back: ReasoningBack::Content,
    json_schema: false,
    prefilling: Prefilling::BetaPrefix,
    ..Quirks::COMPATIBLE
};
const MOONSHOT: Quirks = Quirks {
    reasoning: ReasoningStyle::Toggle,
    tool_choice: ForcedTools::OnlyAuto,
    reasoning_back: ReasoningBack::Content,
    ..Quirks::COMPATIBLE
};
const ZAI: Quirks = Quirks { prefilling: Prefilling::Plain, ..DEEPSEEK };
/// Serves any model, with the chat template of each.
const VLLM: Quirks = Quirks { prefilling: Prefilling::FinalMessage, ..Quirks::COMPATIBLE };
const QWEN: Quirks =
    Quirks { reasoning: ReasoningStyle::Enable, tool_choice: ForcedTools::OnlyAuto, ..Quirks::COMPATIBLE };
const OPENROUTER: Quirks = Quirks {
    reasoning: ReasoningStyle::Object,
    reasoning_back: ReasoningBack::Details,
    ..Quirks::COMPATIBLE
};
/// Takes `max_completion_tokens`, the other field being on its way out.
const COMPLETION_TOKENS: Quirks = Quirks { max_tokens: MaxTokens::Completion, ..Quirks::COMPATIBLE };
const WITHOUT_EFFORT: Quirks = Quirks { reasoning: ReasoningStyle::None, ..Quirks::COMPATIBLE };
const VERTEX: Quirks =
    Quirks { call_ids: CallIds::Omitted, claude_sources: ClaudeSources::Data, ..Quirks::COMPATIBLE };
const MANTLE: Quirks = Quirks { claude_sources: ClaudeSources::Data, ..Quirks::COMPATIBLE };

/// Every provider, in the order in which documentation lists them.
pub const PROVIDERS: &[Provider] = &[
    // Whose dialects they are.
    Provider {
        speaks: OPENAI_RESPONSES,
        quirks: &Quirks::OPENAI,
        ..listed("openai", "https://api.openai.com/v1", "/v1", "OPENAI_API_KEY")
    },
    Provider {
        speaks: &[Dialect::Anthropic],
        auth: Auth::Header("x-api-key"),
        probe: Probe::Models("/v1/models"),
        stream_usage: StreamUsage::Leave,
        headers: ANTHROPIC_VERSION,
        quirks: &ANTHROPIC,
        ..listed("anthropic", "https://api.anthropic.com", "", "ANTHROPIC_API_KEY")
    },
    Provider {
        speaks: &[Dialect::Gemini],
        auth: Auth::Header("x-goog-api-key"),
        probe: Probe::Models("/v1beta/models"),
        stream_usage: StreamUsage::Leave,
        ..listed("gemini", "https://generativelanguage.googleapis.com", "", "GEMINI_API_KEY")
    },
    Provider {
        speaks: &[Dialect::Cohere],
        probe: Probe::Models("/v1/models"),
        stream_usage: StreamUsage::Leave,
        ..listed("cohere", "https://api.cohere.com", "", "COHERE_API_KEY")
    },
    // Clouds.
    Provider {
        // The v1 API: no api-version, the model is the deployment's name.
        name: "azure",
        speaks: OPENAI_RESPONSES,
        base: Base::Like("https://RESOURCE.openai.azure.com"),
        base_path: "/openai/v1",
        auth: Auth::Azure("api-key"),
        quirks: &Quirks::OPENAI,
        key_env: Some("AZURE_OPENAI_API_KEY"),
        ..COMPATIBLE
    },
    Provider {
        name: "azure-legacy",
        speaks: OPENAI_RESPONSES,
        base: Base::Like("https://RESOURCE.openai.azure.com"),
        base_path: "",
        paths: Paths::AzureLegacy,
        auth: Auth::Azure("api-key"),
        // Its list wants an api-version.
        probe: Probe::Tcp,
        quirks: &Quirks::OPENAI,
        key_env: Some("AZURE_OPENAI_API_KEY"),
        catalog: Some("azure"),
        ..COMPATIBLE
    },
    Provider {
        // Claude in Microsoft's Foundry.
        name: "azure-anthropic",
        speaks: &[Dialect::Anthropic],
        base: Base::Like("https://RESOURCE.services.ai.azure.com/anthropic"),
        base_path: "/anthropic",
        auth: Auth::Azure("x-api-key"),
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        headers: ANTHROPIC_VERSION,
        betas: betas::FOUNDRY,
        quirks: &ANTHROPIC,
        catalog: Some("anthropic"),
        ..COMPATIBLE
    },
    Provider {
        // Gemini's models and Claude.
        name: "vertex",
        speaks: &[Dialect::Gemini, Dialect::Anthropic],
        base: Base::Like("https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION"),
        base_path: "",
        paths: Paths::Vertex,
        auth: Auth::Google,
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        betas: betas::VERTEX,
        anthropic_body: Body::VertexAnthropic,
        gemini_body: Body::VertexGemini,
        quirks: &VERTEX,
        ..COMPATIBLE
    },
    Provider {
        name: "bedrock",
        speaks: &[Dialect::Bedrock],
        base: Base::InRegion("https://bedrock-runtime.{region}.amazonaws.com"),
        base_path: "",
        auth: Auth::Aws("bedrock"),
        // The list of models is another host's.
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        betas: betas::BEDROCK,
        key_env: Some("AWS_BEARER_TOKEN_BEDROCK"),
        ..COMPATIBLE
    },
    Provider {
        // Bedrock's side that speaks as others do.
        name: "bedrock-mantle",
        speaks: OPENAI_RESPONSES_ANTHROPIC,
        base: Base::InRegion("https://bedrock-mantle.{region}.api.aws/v1"),
        paths: Paths::Bases(&[(Dialect::Anthropic, "/anthropic")]),
        auth: Auth::Aws("bedrock-mantle"),
        headers: ANTHROPIC_VERSION,
        betas: betas::MANTLE,
        quirks: &MANTLE,
        key_env: Some("AWS_BEARER_TOKEN_BEDROCK"),
        catalog: Some("bedrock"),
        ..COMPATIBLE
    },
    Provider {
        name: "cloudflare",
        base: Base::Like("https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1"),
        base_path: "",
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        key_env: Some("CLOUDFLARE_API_TOKEN"),
        ..COMPATIBLE
    },
    Provider {
        // The model is the serving endpoint's name.
        name: "databricks",
        base: Base::Like("https://WORKSPACE.cloud.databricks.com/serving-endpoints"),
        base_path: "/serving-endpoints",
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        key_env: Some("DATABRICKS_TOKEN"),
        ..COMPATIBLE
    },
    // Makers of models.
    Provider {
        // Usage in the last chunk, unasked; unknown parameters are refused.
        stream_usage: StreamUsage::Leave,
        quirks: &MISTRAL,
        embeddings: Embeddings::Mistral,
        ..listed("mistral", "https://api.mistral.ai/v1", "/v1", "MISTRAL_API_KEY")
    },
    Provider {
        speaks: OPENAI_RESPONSES_ANTHROPIC,
        paths: Paths::Bases(&[(Dialect::Anthropic, "/anthropic")]),
        quirks: &DEEPSEEK,
        ..listed("deepseek", "https://api.deepseek.com", "", "DEEPSEEK_API_KEY")
    },
    Provider {
        speaks: OPENAI_RESPONSES,
        quirks: &XAI,
        ..listed("xai", "https://api.x.ai/v1", "/v1", "XAI_API_KEY")
    },
    Provider {
        // No list of models at this base; usage comes in every chunk.
        stream_usage: StreamUsage::Leave,
        quirks: &WITHOUT_EFFORT,
        ..unlisted("perplexity", "https://api.perplexity.ai", "", "PERPLEXITY_API_KEY")
    },
    Provider {
        speaks: OPENAI_ANTHROPIC,
        paths: Paths::Bases(&[(Dialect::Anthropic, "/apps/anthropic")]),
        quirks: &QWEN,
        ..unlisted(
            "dashscope",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "/compatible-mode/v1",
            "DASHSCOPE_API_KEY",
        )
    },
    Provider {
        speaks: OPENAI_ANTHROPIC,
        paths: Paths::Bases(&[(Dialect::Anthropic, "/anthropic")]),
        quirks: &MOONSHOT,
        ..listed("moonshot", "https://api.moonshot.ai/v1", "/v1", "MOONSHOT_API_KEY")
    },
    Provider {
        speaks: OPENAI_ANTHROPIC,
        paths: Paths::Bases(&[(Dialect::Anthropic, "/api/anthropic")]),
        quirks: &ZAI,
        ..unlisted("zai", "https://api.z.ai/api/paas/v4", "/api/paas/v4", "ZAI_API_KEY")
    },
    Provider {
        speaks: OPENAI_ANTHROPIC,
        paths: Paths::Bases(&[(Dialect::Anthropic, "/anthropic")]),
        quirks: &WITHOUT_EFFORT,
        ..unlisted("minimax", "https://api.minimax.io/v1", "/v1", "MINIMAX_API_KEY")
    },
    unlisted("stepfun", "https://api.stepfun.com/v1", "/v1", "STEPFUN_API_KEY"),
    unlisted("upstage", "https://api.upstage.ai/v1", "/v1", "UPSTAGE_API_KEY"),
    Provider {
        stream_usage: StreamUsage::Leave,
        quirks: &WITHOUT_EFFORT,
        ..unlisted("ai21", "https://api.ai21.com/studio/v1", "/studio/v1", "AI21_API_KEY")
    },
    unlisted("inception", "https://api.inceptionlabs.ai/v1", "/v1", "INCEPTION_API_KEY"),
    unlisted("llama", "https://api.llama.com/compat/v1", "/compat/v1", "LLAMA_API_KEY"),
    // Embeddings and rankings.
    Provider {
        rerank: Rerank::Voyage("/rerank"),
        embeddings: Embeddings::Voyage,
        ..unlisted("voyage", "https://api.voyageai.com/v1", "/v1", "VOYAGE_API_KEY")
    },
    Provider {
        rerank: Rerank::At("/rerank"),
        ..unlisted("jina", "https://api.jina.ai/v1", "/v1", "JINA_API_KEY")
    },
    // Hosts of open models.
    Provider {
        quirks: &GROQ,
        ..listed("groq", "https://api.groq.com/openai/v1", "/openai/v1", "GROQ_API_KEY")
    },
    Provider {
        quirks: &CEREBRAS,
        ..listed("cerebras", "https://api.cerebras.ai/v1", "/v1", "CEREBRAS_API_KEY")
    },
    listed("sambanova", "https://api.sambanova.ai/v1", "/v1", "SAMBANOVA_API_KEY"),
    Provider {
        rerank: Rerank::At("/rerank"),
        ..listed("together", "https://api.together.xyz/v1", "/v1", "TOGETHER_API_KEY")
    },
    listed("fireworks", "https://api.fireworks.ai/inference/v1", "/inference/v1", "FIREWORKS_API_KEY"),
    listed("nvidia", "https://integrate.api.nvidia.com/v1", "/v1", "NVIDIA_API_KEY"),
    listed("deepinfra", "https://api.deepinfra.com/v1/openai", "/v1/openai", "DEEPINFRA_API_KEY"),
    listed("nebius", "https://api.tokenfactory.nebius.com/v1", "/v1", "NEBIUS_API_KEY"),
    listed("novita", "https://api.novita.ai/openai/v1", "/openai/v1", "NOVITA_API_KEY"),
    listed("hyperbolic", "https://api.hyperbolic.xyz/v1", "/v1", "HYPERBOLIC_API_KEY"),
    Provider {
        rerank: Rerank::At("/rerank"),
        ..listed("siliconflow", "https://api.siliconflow.com/v1", "/v1", "SILICONFLOW_API_KEY")
    },
    unlisted("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "/api/v3", "ARK_API_KEY"),
    unlisted("baseten", "https://inference.baseten.co/v1", "/v1", "BASETEN_API_KEY"),
    unlisted("friendli", "https://api.friendli.ai/serverless/v1", "/serverless/v1", "FRIENDLI_TOKEN"),
    listed("inference", "https://api.inference.net/v1", "/v1", "INFERENCE_API_KEY"),
    unlisted("scaleway", "https://api.scaleway.ai/v1", "/v1", "SCALEWAY_API_KEY"),
    unlisted("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "/v1", "OVHCLOUD_API_KEY"),
    unlisted("digitalocean", "https://inference.do-ai.run/v1", "/v1", "DIGITALOCEAN_ACCESS_TOKEN"),
    unlisted("wandb", "https://api.inference.wandb.ai/v1", "/v1", "WANDB_API_KEY"),
    unlisted("chutes", "https://llm.chutes.ai/v1", "/v1", "CHUTES_API_KEY"),
    listed("venice", "https://api.venice.ai/api/v1", "/api/v1", "VENICE_API_KEY"),
    // Who relays to other vendors.
    Provider {
        speaks: OPENAI_RESPONSES_ANTHROPIC,
        models: Models::Relayed,
        quirks: &OPENROUTER,
        ..listed("openrouter", "https://openrouter.ai/api/v1", "/api/v1", "OPENROUTER_API_KEY")
    },
    Provider {
        models: Models::Relayed,
        ..listed("huggingface", "https://router.huggingface.co/v1", "/v1", "HF_TOKEN")
    },
    Provider {
        models: Models::Relayed,
        ..listed("vercel", "https://ai-gateway.vercel.sh/v1", "/v1", "AI_GATEWAY_API_KEY")
    },
    Provider {
        models: Models::Relayed,
        ..unlisted("github", "https://models.github.ai/inference", "/inference", "GITHUB_TOKEN")
    },
    Provider {
        models: Models::Relayed,
        ..unlisted("requesty", "https://router.requesty.ai/v1", "/v1", "REQUESTY_API_KEY")
    },
    // Servers of one's own, usually without a key.
    Provider {
        name: "ollama",
        speaks: &[Dialect::Ollama, Dialect::OpenAi],
        base: Base::At("http://127.0.0.1:11434"),
        base_path: "",
        paths: Paths::Bases(&[(Dialect::OpenAi, "/v1")]),
        probe: Probe::Models("/api/tags"),
        ..COMPATIBLE
    },
    Provider {
        name: "vllm",
        speaks: OPENAI_RESPONSES,
        base: Base::Like("http://127.0.0.1:8000/v1"),
        rerank: Rerank::At("/rerank"),
        quirks: &VLLM,
        ..COMPATIBLE
    },
    Provider {
        name: "llamacpp",
        base: Base::At("http://127.0.0.1:8080/v1"),
        rerank: Rerank::At("/rerank"),
        ..COMPATIBLE
    },
    Provider { name: "lmstudio", base: Base::At("http://127.0.0.1:1234/v1"), ..COMPATIBLE },
    // Everybody else.
    Provider {
        name: "http",
        speaks: &[Dialect::Http],
        base: Base::Like("https://service.example.com"),
        base_path: "",
        auth: Auth::None,
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        ..COMPATIBLE
    },
    // Whoever speaks a known dialect; `dialect:` in routing.yaml says which.
    Provider {
        name: "custom",
        speaks: &[],
        base: Base::Like("https://models.example.com/v1"),
        base_path: "",
        probe: Probe::Tcp,
        ..COMPATIBLE
    },
    // Built in; its address is made when it starts.
    Provider {
        name: "simulated",
        speaks: &[Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Gemini, Dialect::Http],
        ..COMPATIBLE
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::{HeaderName, HeaderValue, Uri};

    use super::super::{Call, Delivery, Place, find};
    use super::*;
    use crate::dialect::Operation;

    /// One call that every speaker of a dialect takes.
    fn usual(dialect: Dialect) -> Operation {
        match dialect {
            Dialect::OpenAi => Operation::Chat,
            Dialect::Responses => Operation::Responses,
            Dialect::Anthropic => Operation::Messages,
            Dialect::Gemini => Operation::Generate,
            Dialect::Cohere => Operation::CohereChat,
            Dialect::Bedrock => Operation::Converse,
            Dialect::Ollama => Operation::OllamaChat,
            Dialect::Http => Operation::Opaque,
        }
    }

    #[test]
    fn every_row_is_sound() {
        let mut names = HashSet::new();
        for row in PROVIDERS {
            let name = row.name;
            assert!(names.insert(name), "{name} is there twice");
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(!name.is_empty() && name.bytes().all(plain), "{name}");
            assert_eq!(find(name), Some(row));
            assert!(!row.speaks.is_empty() || name == "custom", "{name} speaks nothing");
            assert!(row.base_path.is_empty() || row.base_path.starts_with('/'), "{name}");
            assert!(!row.base_path.ends_with('/'), "{name}");
            address(row);
            if let Probe::Models(path) = row.probe {
                assert!(path.starts_with('/'), "{name}");
            }
            if let Auth::Header(header) | Auth::Azure(header) = row.auth {
                HeaderName::try_from(header).expect("a header name");
            }
            for (header, value) in row.headers {
                HeaderName::try_from(*header).expect("a header name");
                HeaderValue::try_from(*value).expect("a header value");
            }
            // A key in the environment must reach the wire.
            assert!(row.key_env.is_none() || row.auth != Auth::None, "{name}");
            assert!(find(row.catalog_name()).is_some(), "{name}");
        }
        assert!(names.len() >= 40, "{}", names.len());
    }

    fn address(row: &Provider) {
        let name = row.name;
        let (url, whole) = match row.base {
            Base::At(url) => (url.to_owned(), true),
            Base::InRegion(pattern) => {
                assert!(pattern.contains("{region}"), "{name}");
                (pattern.replace("{region}", "us-east-1"), true)
            }
            Base::Like(url) => (url.to_owned(), false),
            Base::Made => return assert_eq!(name, "simulated"),
        };
        let uri: Uri = url.parse().expect("a base URL is a URL");
        let local = uri.host().is_some_and(|host| host.starts_with("127."));
        assert!(!url.ends_with('/') && (uri.scheme_str() == Some("https") || local), "{name}");
        if whole {
            assert_eq!(uri.path().trim_end_matches('/'), row.base_path, "{name}");
        }
    }

    #[test]
    fn every_row_has_a_place_for_each_dialect_it_speaks() {
        for row in PROVIDERS {
            for dialect in row.speaks {
                let operation = usual(*dialect);
                let delivery = Delivery::Streamed;
                let call = Call {
                    dialect: *dialect,
                    operation,
                    model: "m",
                    delivery,
                    query: None,
                    api_version: None,
                };
                let shown = match row.place(row.base_path, &call) {
                    Place::Below(base) => base.into_owned(),
                    Place::At(path) => path,
                };
                assert!(shown.is_empty() || shown.parse::<Uri>().is_ok(), "{} {shown}", row.name);
                let own = row.speaks_for(row.speaks, "claude").contains(dialect)
                    || row.speaks_for(row.speaks, "m").contains(dialect);
                assert!(own, "{} never speaks {dialect}", row.name);
            }
            assert_eq!(row.models_path("").is_some(), row.probe != Probe::Tcp, "{}", row.name);
        }
    }

    #[test]
    fn a_host_that_refuses_unknown_flags_has_a_list_of_those_it_knows() {
        for (name, all) in [("anthropic", true), ("vertex", false), ("bedrock", false)] {
            assert_eq!(find(name).expect("a row").betas == Betas::All, all, "{name}");
        }
    }
}
