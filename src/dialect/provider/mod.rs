//! The vendor table: one row a provider. Adding a vendor is adding a row of [`table`].
//!
//! A row says how to reach and to ask a vendor. What its errors mean is told from the wire
//! (`classify`), not from here, save the few quirks that need the vendor's name. Sources: each
//! vendor's API reference and WIRE §3.8; `custom` covers whoever is missing.
//!
//! | file | job |
//! |---|---|
//! | here | what a row says |
//! | [`table`] | the rows |
//! | [`place`] | paths that are not base URL and the dialect's own |
//! | [`body`] | what a vendor changes about a dialect's bodies |
//! | [`betas`] | which of Anthropic's beta flags a host takes |
//! | [`grant`] | credentials that have to be exchanged for a token |

pub mod betas;
pub mod body;
pub mod grant;
pub mod place;
mod table;

use std::borrow::Cow;

use super::Dialect;
use super::quirks::Quirks;

pub use betas::Betas;
pub use body::Body;
pub use place::{Call, Delivery, Paths, Place};
pub use table::PROVIDERS;

/// How a vendor is reached and spoken to.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in routing.yaml.
    pub name: &'static str,
    /// The dialects it speaks below one base URL. Empty: the operator has to name one.
    pub speaks: &'static [Dialect],
    pub base: Base,
    /// The path of a configured base URL that names none (`https://example.openai.azure.com`).
    pub base_path: &'static str,
    pub paths: Paths,
    /// Where the credential goes; see [`Provider::auth_in`].
    pub auth: Auth,
    /// The cheapest proof of life.
    pub probe: Probe,
    pub stream_usage: StreamUsage,
    pub models: Models,
    /// Headers without which it refuses a request, for callers who sent none of that name.
    pub headers: &'static [(&'static str, &'static str)],
    /// The flags of `anthropic-beta` that it takes.
    pub betas: Betas,
    /// What becomes of a body in Anthropic's dialect; see [`Provider::body_of`].
    pub anthropic_body: Body,
    /// The same for Gemini's dialect.
    pub gemini_body: Body,
    /// Whether it answers Cohere's question for a ranking at a path of its own.
    pub rerank: Rerank,
    /// In whose words it is asked for vectors in OpenAI's dialect.
    pub embeddings: Embeddings,
    pub quirks: &'static Quirks,
    /// The environment variable where its users keep their key.
    pub key_env: Option<&'static str>,
    /// Whose models these are in the catalog, where that is not `name`.
    pub catalog: Option<&'static str>,
}

/// What its own SDK takes as base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    At(&'static str),
    /// One for each region: `{region}` is the upstream's `aws_region`.
    InRegion(&'static str),
    /// Only the operator can know; one may look like this.
    Like(&'static str),
    /// Made when it starts.
    Made,
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
    /// A pair of AWS keys signs, for the service of this name; a key of Bedrock's own is sent as a
    /// bearer token.
    Aws(&'static str),
    /// A bearer token of Google's, got for a service account's file, a person's or the machine.
    Google,
    /// A key in the header of this name, or a bearer token of Entra's.
    Azure(&'static str),
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

/// Where texts are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerank {
    /// As the dialects it speaks have it.
    Dialect,
    /// Below the base URL, at this path.
    At(&'static str),
    /// There, in Voyage's words: `top_k` and `data`.
    Voyage(&'static str),
}

/// In whose words vectors are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embeddings {
    OpenAi,
    /// Their length is `output_dimension`, and `user` is refused (docs.mistral.ai/api).
    Mistral,
    /// The same, with `input_type` and `truncation` (docs.voyageai.com/reference/embeddings-api).
    Voyage,
}

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
            Dialect::OpenAi | Dialect::Responses | Dialect::Cohere | Dialect::Ollama => Auth::Bearer,
            Dialect::Anthropic => Auth::Header("x-api-key"),
            Dialect::Gemini => Auth::Header("x-goog-api-key"),
            Dialect::Bedrock => Auth::Aws("bedrock"),
            Dialect::Http => Auth::None,
        }
    }

    /// In which of `speaks` this model can be asked. Most vendors serve every model in each dialect.
    pub fn speaks_for<'s>(&self, speaks: &'s [Dialect], model: &str) -> Cow<'s, [Dialect]> {
        match self.paths {
            // A model's publisher is part of its path, and brings its own dialect.
            Paths::Vertex => {
                let publisher =
                    if model.starts_with("claude") { Dialect::Anthropic } else { Dialect::Gemini };
                Cow::Owned(speaks.iter().copied().filter(|dialect| *dialect == publisher).collect())
            }
            Paths::Dialect | Paths::Bases(_) | Paths::AzureLegacy => Cow::Borrowed(speaks),
        }
    }

    /// The base URL of an upstream that names none of its own.
    pub fn base_url(&self, region: Option<&str>) -> Option<Cow<'static, str>> {
        match self.base {
            Base::At(url) => Some(Cow::Borrowed(url)),
            Base::InRegion(pattern) => Some(Cow::Owned(pattern.replace("{region}", region?))),
            Base::Like(_) | Base::Made => None,
        }
    }

    /// Whose models its are in the catalog.
    pub fn catalog_name(&self) -> &'static str {
        self.catalog.unwrap_or(self.name)
    }
}

/// The region in the name of an AWS endpoint: `bedrock-runtime.eu-central-1.amazonaws.com`, with the
/// additions that FIPS and private endpoints bring.
pub fn aws_region(host: &str) -> Option<&str> {
    let known = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".aws.dev"];
    let name = known.iter().find_map(|end| host.strip_suffix(end))?;
    // `eu-central-1`, `us-gov-west-1`: words, and a number at the end.
    name.rsplit('.').find(|label| {
        let words = label.split('-').count();
        let number = label.rsplit('-').next().is_some_and(|end| end.bytes().all(|b| b.is_ascii_digit()));
        let word =
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (3..=5).contains(&words) && number && word && !label.starts_with("vpce-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_dialect_brings_its_own_style_of_auth() {
        let custom = find("custom").expect("a row");
        assert_eq!(custom.auth_in(Dialect::OpenAi), Auth::Bearer);
        assert_eq!(custom.auth_in(Dialect::Anthropic), Auth::Header("x-api-key"));
        assert_eq!(custom.auth_in(Dialect::Bedrock), Auth::Aws("bedrock"));
        assert_eq!(find("azure").expect("a row").auth_in(Dialect::OpenAi), Auth::Azure("api-key"));
        assert_eq!(find("nobody"), None);
    }

    #[test]
    fn a_model_on_vertex_speaks_its_publishers_dialect_only() {
        let vertex = find("vertex").expect("a row");
        assert_eq!(*vertex.speaks_for(vertex.speaks, "gemini-2.5-pro"), [Dialect::Gemini]);
        assert_eq!(*vertex.speaks_for(vertex.speaks, "claude-opus-4-5@20251101"), [Dialect::Anthropic]);
        assert!(vertex.speaks_for(&[Dialect::Anthropic], "gemini-2.5-pro").is_empty());
        let openai = find("openai").expect("a row");
        assert_eq!(*openai.speaks_for(openai.speaks, "claude"), *openai.speaks);
    }

    #[test]
    fn a_region_makes_an_address_where_there_is_one_for_each() {
        let url = |name: &str, region| find(name).expect("a row").base_url(region);
        let bedrock = "https://bedrock-runtime.eu-west-3.amazonaws.com";
        assert_eq!(url("bedrock", Some("eu-west-3")).as_deref(), Some(bedrock));
        assert_eq!(url("bedrock", None), None);
        assert_eq!(url("openai", None).as_deref(), Some("https://api.openai.com/v1"));
        assert_eq!(url("vertex", Some("eu-west-3")), None);
    }

    #[test]
    fn the_name_of_an_endpoint_tells_its_region() {
        let check = |host, region| assert_eq!(aws_region(host), region, "{host}");
        check("bedrock-runtime.eu-central-1.amazonaws.com", Some("eu-central-1"));
        check("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"));
        check("bedrock-runtime.cn-north-1.amazonaws.com.cn", Some("cn-north-1"));
        check("vpce-0a-1b.bedrock-runtime.us-east-1.vpce.amazonaws.com", Some("us-east-1"));
        check("bedrock-mantle.us-west-2.api.aws", Some("us-west-2"));
        check("bedrock-runtime.amazonaws.com", None);
        check("bedrock-runtime.us-east-1.example.com", None);
    }
}
