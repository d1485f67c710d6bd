//! `docs/providers.md` is made of the table of vendors: `MAINSTAY_BLESS=1 cargo test --test it docs_name` writes it
//! anew. What it says that callers may ask is asked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use http::{HeaderMap, Method};
use mainstay::dialect::entry;
use mainstay::dialect::provider::{Auth, Base, PROVIDERS, Provider};

const HEAD: &str = "\
# Endpoints and providers

## What callers may ask

| dialect | paths |
|---|---|
| OpenAI | `POST /v1/chat/completions`, `POST /v1/completions`, `POST /v1/embeddings`, `POST /v1/moderations`, `POST /v1/images/generations`, `POST /v1/images/edits`, `POST /v1/images/variations`, `POST /v1/audio/speech`, `POST /v1/audio/transcriptions`, `POST /v1/audio/translations`, `POST /v1/rerank`, `GET /v1/models`, `GET /v1/models/{model}` |
| OpenAI's Responses | `POST /v1/responses`, `POST /v1/responses/compact`, `POST /v1/responses/input_tokens`, `GET /v1/responses/{id}`, `DELETE /v1/responses/{id}`, `GET /v1/responses/{id}/input_items`, `POST /v1/responses/{id}/cancel`, `POST /v1/conversations`, `GET /v1/conversations/{id}/items` |
| what is left at OpenAI's | `POST /v1/files`, `GET /v1/files/{id}/content`, `POST /v1/batches`, `GET /v1/batches/{id}`, `POST /v1/batches/{id}/cancel` |
| Anthropic | `POST /v1/messages`, `POST /v1/messages/count_tokens`, `POST /v1/messages/batches`, `GET /v1/messages/batches/{id}/results`; all of them below `/anthropic` too, where `POST /anthropic/v1/files` and `GET /anthropic/v1/models` are |
| Gemini | `POST /v1beta/models/{model}:generateContent`, `POST /v1beta/models/{model}:streamGenerateContent`, `POST /v1beta/models/{model}:countTokens`, `POST /v1beta/models/{model}:embedContent`, `POST /v1beta/models/{model}:batchEmbedContents`, `GET /v1beta/models`; below `/gemini` too |
| Cohere | `POST /cohere/v2/chat`, `POST /cohere/v2/embed`, `POST /cohere/v2/rerank`, `GET /cohere/v1/models` |
| Bedrock | `POST /bedrock/model/{model}/converse`, `POST /bedrock/model/{model}/converse-stream`, `POST /bedrock/model/{model}/count-tokens` |
| Anthropic at Bedrock | `POST /bedrock/model/{model}/invoke`, `POST /bedrock/model/{model}/invoke-with-response-stream`; without `/bedrock` too |
| Anthropic at Vertex AI | `POST /v1/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:rawPredict`, and `:streamRawPredict`; `count-tokens:rawPredict` there counts |

Chats, vectors, rankings and counts of tokens go to upstreams of any dialect; the rest goes to those of its own (pictures and speech
of OpenAI's callers to Gemini's models too). Other base URLs that SDKs may keep stand [here](callers.md#where-to-point-an-sdk). Everything
else, and any other service over HTTP, is fronted by a [path route](routing.md#plain-http-services).

## Providers

`provider:` of an upstream; it says the dialect, the base URL, how keys are sent and how the vendor's wire differs. `base_url`,
`dialect` and `headers` of the upstream go before. Anybody else who speaks one of the dialects is `custom`.

| `provider` | dialects | base URL | key |
|---|---|---|---|
";

fn base(provider: &Provider) -> String {
    match provider.base {
        Base::At(url) => format!("`{url}`"),
        Base::InRegion(url) => format!("`{url}`, by `aws_region`"),
        Base::Like(url) => format!("yours, like `{url}`"),
        Base::Made => "none: it is made when the gateway starts".to_owned(),
    }
}

fn key(provider: &Provider) -> String {
    let sent = match provider.auth {
        Auth::None => "none".to_owned(),
        Auth::Bearer => "bearer token".to_owned(),
        Auth::Header(name) => format!("`{name}`"),
        Auth::Query(name) => format!("`?{name}=`"),
        Auth::Aws(_) => "AWS keys, which sign, or a key of Bedrock's own".to_owned(),
        Auth::Google => "a service account's file, a person's, or the machine's own".to_owned(),
        Auth::Azure(name) => format!("`{name}`, or Entra's token"),
    };
    provider.key_env.map_or(sent.clone(), |variable| format!("{sent}; mostly in `{variable}`"))
}

fn document() -> String {
    let mut page = HEAD.to_owned();
    for provider in PROVIDERS {
        let dialects: Vec<&str> = provider.speaks.iter().map(|dialect| dialect.name()).collect();
        let dialects = if dialects.is_empty() { "as `dialect` says".to_owned() } else { dialects.join(", ") };
        let _ =
            writeln!(page, "| `{}` | {dialects} | {} | {} |", provider.name, base(provider), key(provider));
    }
    page
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md")
}

#[test]
fn docs_name_every_provider() {
    let made = document();
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(path(), &made).expect("docs can be written");
    }
    let written = std::fs::read_to_string(path()).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(
        written == made,
        "MAINSTAY_BLESS=1 writes docs/providers.md anew; the first difference: {differs:?}"
    );
}

#[test]
fn what_the_docs_say_that_may_be_asked_may_be_asked() {
    let mut asked = 0;
    for quoted in HEAD.split('`').skip(1).step_by(2) {
        let Some((method, path)) = quoted.split_once(' ').filter(|(_, path)| path.starts_with('/')) else {
            continue;
        };
        let path = path.replace("{model}", "m").replace("{id}", "id_1").replace(['{', '}'], "");
        let ours = entry::ours(&path.parse().expect("a path"));
        let path = ours.map_or(path, |ours| ours.uri.path().to_owned());
        let found = entry::find(&method.parse::<Method>().expect("a method"), &path, None, &HeaderMap::new());
        assert!(found.is_ok(), "{quoted}: {found:?}");
        asked += 1;
    }
    assert!(asked > 40, "{asked}");
}
