//! The vendor table: one row a provider. Adding a vendor is adding a row.
//!
//! A row says how to reach and to ask a vendor. What its errors mean is told from the wire
//! (`classify`), not from here, save the few quirks that need the vendor's name. Sources: each
//! vendor's API reference and WIRE §3.8; `custom` covers whoever is missing.

use std::borrow::Cow;

use super::Dialect;
use super::quirks::Quirks;

/// How a vendor is reached and spoken to.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in routing.yaml.
    pub name: &'static str,
    /// The dialects it speaks below one base URL. Empty: the operator has to name one.
    pub speaks: &'static [Dialect],
    /// What its own SDK takes as base URL; `None` where only the operator can know.
    pub base_url: Option<&'static str>,
    /// The path of a configured base URL that names none (`https://example.openai.azure.com`).
    pub base_path: &'static str,
    /// Where the credential goes; see [`Provider::auth_in`].
    pub auth: Auth,
    /// The cheapest proof of life.
    pub probe: Probe,
    pub stream_usage: StreamUsage,
    pub models: Models,
    /// Headers without which it refuses a request, for callers who sent none of that name.
    pub headers: &'static [(&'static str, &'static str)],
    pub quirks: &'static Quirks,
    /// The environment variable where its users keep their key.
    pub key_env: Option<&'static str>,
}

/// Where a credential goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of this name, the bare key as its value.
    Header(&'static str),
    /// A query parameter of this name.
    Query(&'static str),
}

/// How to ask, at no cost, whether an upstream is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A connection is enough.
    Tcp,
    /// `GET` this path, appended to the base URL, with a credential.
    Models(&'static str),
}

/// Whether a chat stream reports usage unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// It has to be asked with `stream_options.include_usage`.
    Ask,
    /// It reports usage anyway, or refuses the question.
    Leave,
}

/// Whose models a provider serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    Own,
    /// It relays to other vendors: a rate limit that names one of them is not the credential's.
    Relayed,
}

/// A row with what most OpenAI-compatible vendors share.
const OPENAI_COMPATIBLE: Provider = Provider {
    name: "",
    speaks: &[Dialect::OpenAi],
    base_url: None,
    base_path: "/v1",
    auth: Auth::Bearer,
    probe: Probe::Models("/models"),
    stream_usage: StreamUsage::Ask,
    models: Models::Own,
    headers: &[],
    quirks: &Quirks::COMPATIBLE,
    key_env: None,
};

/// Every provider, in the order in which documentation lists them.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "openai",
        quirks: &Quirks::OPENAI,
        speaks: &[Dialect::OpenAi, Dialect::Responses],
        base_url: Some("https://api.openai.com/v1"),
        key_env: Some("OPENAI_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "anthropic",
        speaks: &[Dialect::Anthropic],
        base_url: Some("https://api.anthropic.com"),
        base_path: "",
        auth: Auth::Header("x-api-key"),
        probe: Probe::Models("/v1/models"),
        stream_usage: StreamUsage::Leave,
        // Mandatory there; a caller's own version always wins (WIRE §0.1).
        headers: &[("anthropic-version", "2023-06-01")],
        key_env: Some("ANTHROPIC_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "gemini",
        speaks: &[Dialect::Gemini],
        base_url: Some("https://generativelanguage.googleapis.com"),
        base_path: "",
        auth: Auth::Header("x-goog-api-key"),
        probe: Probe::Models("/v1beta/models"),
        stream_usage: StreamUsage::Leave,
        key_env: Some("GEMINI_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        // The v1 API: no api-version, the model is the deployment's name.
        name: "azure",
        quirks: &Quirks::OPENAI,
        speaks: &[Dialect::OpenAi, Dialect::Responses],
        base_path: "/openai/v1",
        auth: Auth::Header("api-key"),
        key_env: Some("AZURE_OPENAI_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        // In the last chunk, unasked; unknown parameters are refused.
        stream_usage: StreamUsage::Leave,
        key_env: Some("MISTRAL_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com"),
        base_path: "",
        key_env: Some("DEEPSEEK_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_path: "/openai/v1",
        key_env: Some("GROQ_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "xai",
        speaks: &[Dialect::OpenAi, Dialect::Responses],
        base_url: Some("https://api.x.ai/v1"),
        key_env: Some("XAI_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_path: "/api/v1",
        models: Models::Relayed,
        key_env: Some("OPENROUTER_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        key_env: Some("TOGETHER_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        base_path: "/inference/v1",
        key_env: Some("FIREWORKS_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        base_path: "",
        // No list of models at this base; usage comes in every chunk.
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        key_env: Some("PERPLEXITY_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        key_env: Some("CEREBRAS_API_KEY"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        // Its OpenAI-compatible side; a local server, usually without a key.
        name: "ollama",
        base_url: Some("http://127.0.0.1:11434/v1"),
        ..OPENAI_COMPATIBLE
    },
    Provider { name: "vllm", speaks: &[Dialect::OpenAi, Dialect::Responses], ..OPENAI_COMPATIBLE },
    Provider {
        name: "http",
        speaks: &[Dialect::Http],
        base_path: "",
        auth: Auth::None,
        probe: Probe::Tcp,
        stream_usage: StreamUsage::Leave,
        ..OPENAI_COMPATIBLE
    },
    // Whoever speaks a known dialect; `dialect:` in routing.yaml says which.
    Provider { name: "custom", speaks: &[], base_path: "", probe: Probe::Tcp, ..OPENAI_COMPATIBLE },
    // Built in; its address is made when it starts.
    Provider {
        name: "simulated",
        speaks: &[Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Gemini, Dialect::Http],
        ..OPENAI_COMPATIBLE
    },
];

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

impl Provider {
    /// Where the credential goes when the upstream is spoken to in `dialect`. A dialect outside the
    /// row was named by the operator, and then the style of that dialect's own SDK applies.
    pub fn auth_in(&self, dialect: Dialect) -> Auth {
        if self.speaks.contains(&dialect) {
            return self.auth;
        }
        match dialect {
            Dialect::OpenAi | Dialect::Responses | Dialect::Cohere | Dialect::Bedrock | Dialect::Ollama => {
                Auth::Bearer
            }
            Dialect::Anthropic => Auth::Header("x-api-key"),
            Dialect::Gemini => Auth::Header("x-goog-api-key"),
            Dialect::Http => Auth::None,
        }
    }

    /// In which of `speaks` this model can be asked.
    pub fn speaks_for<'s>(&self, speaks: &'s [Dialect], _model: &str) -> Cow<'s, [Dialect]> {
        Cow::Borrowed(speaks)
    }

    /// Only the operator can say where it is. (A simulated upstream makes its own address.)
    pub fn needs_base_url(&self) -> bool {
        self.base_url.is_none() && self.name != "simulated"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::{HeaderName, HeaderValue, Uri};

    use super::*;

    #[test]
    fn every_row_is_sound() {
        let mut names = HashSet::new();
        for row in PROVIDERS {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase()), "{}", row.name);
            assert_eq!(find(row.name), Some(row));
            assert!(!row.speaks.is_empty() || row.name == "custom", "{} speaks nothing", row.name);
            assert!(row.base_path.is_empty() || row.base_path.starts_with('/'), "{}", row.name);
            assert!(!row.base_path.ends_with('/'), "{}", row.name);
            if let Some(base_url) = row.base_url {
                let uri: Uri = base_url.parse().expect("a base URL is a URL");
                assert!(uri.host().is_some() && !base_url.ends_with('/'), "{}", row.name);
                assert_eq!(uri.path().trim_end_matches('/'), row.base_path, "{}", row.name);
            }
            if let Probe::Models(path) = row.probe {
                assert!(path.starts_with('/'), "{}", row.name);
            }
            if let Auth::Header(name) = row.auth {
                HeaderName::try_from(name).expect("a header name");
            }
            for (name, value) in row.headers {
                HeaderName::try_from(*name).expect("a header name");
                HeaderValue::try_from(*value).expect("a header value");
            }
            // A key in the environment must reach the wire.
            assert!(row.key_env.is_none() || row.auth != Auth::None, "{}", row.name);
        }
    }

    #[test]
    fn an_operators_dialect_brings_its_own_style_of_auth() {
        let custom = find("custom").expect("a row");
        assert_eq!(custom.auth_in(Dialect::OpenAi), Auth::Bearer);
        assert_eq!(custom.auth_in(Dialect::Anthropic), Auth::Header("x-api-key"));
        assert_eq!(find("azure").expect("a row").auth_in(Dialect::OpenAi), Auth::Header("api-key"));
        assert_eq!(find("nobody"), None);
    }

    #[test]
    fn only_rows_without_an_address_need_a_base_url() {
        let needy: Vec<_> = PROVIDERS.iter().filter(|p| p.needs_base_url()).map(|p| p.name).collect();
        assert_eq!(needy, ["azure", "vllm", "http", "custom"]);
    }
}
