//! Asks an authority for a token. One request, on a connection of its own that is not kept: there is
//! one an hour.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::Value;

use super::assertion::Stating;
use super::{bearer, escape, refused, sensitive};
use crate::config::{self, Http2};
use crate::dialect::provider::grant::{Cloud, Grant};
use crate::upstream::body::Outgoing;
use crate::upstream::call::{CallError, CallLimits, Reuse};
use crate::upstream::pool::Pool;
use crate::upstream::target::Target;
use crate::upstream::tls::Roots;
use crate::vocab::Fault;

/// For what Google's tokens are to be good.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// For what Microsoft's are.
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

const GOOGLE_METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
const AZURE_METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token\
    ?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// Answers are a few KB.
const MAX_ANSWER: usize = 64 * 1024;
/// Where an authority does not say for how long its token lives.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// A token, ready to be sent.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) bearer: HeaderValue,
    /// Whom its use is counted for, if that has to be said.
    pub(super) project: Option<HeaderValue>,
    pub(super) life: Duration,
}

/// A question to an authority.
struct Question {
    address: String,
    /// The body of a POST; a GET without.
    form: Option<String>,
    field: Option<(HeaderName, HeaderValue)>,
    way: Way,
}

/// How an authority is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As the upstream is: by its proxy, if it has one.
    AsTheUpstream,
    /// It is beside this machine, where no proxy leads.
    Directly,
}

/// Gets a token. Bounded by whoever calls; `beside` lends its way of dialling and its trust.
pub(super) async fn exchange(beside: &Pool, grant: &Grant, limits: &CallLimits) -> Result<Token, CallError> {
    let question = question(grant, beside.vault().unix_now()).map_err(refused)?;
    let (pool, request) = prepare(beside, question)?;
    let host = Arc::clone(&pool.target().host);
    let limits = CallLimits { headers: super::vault::ANSWER, reuse: Reuse::Any, ..*limits };
    let told = |error: CallError| CallError::unsent(error.fault, format!("no token: {}", error.detail));
    let (head, body) = pool.call(request, limits).await.map_err(told)?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|_| {
        CallError::unsent(
            Fault::Truncated,
            format!("no token: the answer of {host} broke off or is too long"),
        )
    })?;
    read(&host, head.status, &body.to_bytes(), grant)
}

fn question(grant: &Grant, unix_now: Duration) -> Result<Question, &'static str> {
    let post = |address: &str, fields: &[(&str, &str)]| Question {
        address: address.to_owned(),
        form: Some(form(fields)),
        field: None,
        way: Way::AsTheUpstream,
    };
    let get = |address: &str, name, value| Question {
        address: address.to_owned(),
        form: None,
        field: Some((HeaderName::from_static(name), HeaderValue::from_static(value))),
        way: Way::Directly,
    };
    Ok(match grant {
        Grant::Assertion { email, key, key_id, endpoint } => {
            let key_id = key_id.as_deref();
            let stating = Stating { email, key, key_id, audience: endpoint, scope: GOOGLE_SCOPE };
            post(endpoint, &[("grant_type", JWT_BEARER), ("assertion", &stating.sign(unix_now)?)])
        }
        Grant::Refresh { client_id, client_secret, refresh_token, endpoint, .. } => post(
            endpoint,
            &[
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ],
        ),
        Grant::Client { client_id, client_secret, endpoint } => post(
            endpoint,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("scope", AZURE_SCOPE),
            ],
        ),
        Grant::Metadata(Cloud::Google) => get(GOOGLE_METADATA, "metadata-flavor", "Google"),
        Grant::Metadata(Cloud::Microsoft) => get(AZURE_METADATA, "metadata", "true"),
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        escape(&mut out, value);
    }
    out
}

/// The request, and a pool of one connection to send it by.
fn prepare(beside: &Pool, question: Question) -> Result<(Arc<Pool>, Request<Outgoing>), CallError> {
    let nowhere = || refused("the address for tokens is not a URL");
    let uri: Uri = question.address.parse().map_err(|_| nowhere())?;
    let host = uri.host().ok_or_else(nowhere)?.trim_start_matches('[').trim_end_matches(']');
    let https = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let base = config::BaseUrl { https, host: host.into(), port, path: String::new() };
    let mut target = Target::new(&base, Http2::Never);
    if https {
        target = target.with_tls(trust(beside)?, None);
    }
    if question.way == Way::AsTheUpstream {
        target = target.through(beside.target().proxy.clone());
    }
    let settings =
        config::Pool { max_connections: 1, max_idle: 0, http2: Http2::Never, ..beside.settings().clone() };
    let pool = Pool::new(Arc::clone(beside.name()), target, settings, Arc::clone(&beside.dial));
    let mut request = Request::new(Outgoing::Empty);
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    let fields = request.headers_mut();
    fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
    fields.extend(question.field.map(|(name, value)| (Some(name), value)));
    if let Some(form) = question.form {
        fields.insert(CONTENT_TYPE, FORM);
        *request.method_mut() = Method::POST;
        *request.body_mut() = Outgoing::Whole(Bytes::from(form));
    }
    Ok((pool, request))
}

/// The same roots as towards the upstream, where it has any: who must trust a private authority there
/// has to on the way to the other hosts of the world too.
fn trust(beside: &Pool) -> Result<Arc<rustls::ClientConfig>, CallError> {
    match &beside.target.tls {
        Some(shared) => Ok(Arc::clone(shared)),
        None => Roots::System
            .client_config()
            .map_err(|error| CallError::unsent(Fault::Tls, format!("no token: {error}"))),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    access_token: Option<String>,
    /// Seconds; Azure's machines write a text.
    expires_in: Option<Value>,
    error: Option<Value>,
}

fn read(host: &str, status: StatusCode, body: &[u8], grant: &Grant) -> Result<Token, CallError> {
    let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
    if !status.is_success() {
        let code = answer.error.as_ref().and_then(Value::as_str).filter(|code| is_word(code));
        let detail = format!("no token: {host} answered {} {}", status.as_u16(), code.unwrap_or_default());
        return Err(CallError::unsent(fault(status), detail.trim_end()));
    }
    let unusable = || CallError::unsent(Fault::Protocol, format!("no token: {host} answered without one"));
    let text = answer.access_token.filter(|token| !token.is_empty()).ok_or_else(unusable)?;
    let life = answer.expires_in.as_ref().and_then(|life| match life {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let project = match grant {
        Grant::Refresh { project: Some(project), .. } => sensitive(project.as_bytes()).ok(),
        Grant::Refresh { project: None, .. }
        | Grant::Assertion { .. }
        | Grant::Client { .. }
        | Grant::Metadata(_) => None,
    };
    Ok(Token {
        bearer: bearer(&text).map_err(|_| unusable())?,
        project,
        life: life.map_or(USUAL_LIFE, Duration::from_secs),
    })
}

/// `invalid_grant` and its kind (RFC 6749 §5.2): may be shown, unlike what else an answer says.
fn is_word(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn fault(status: StatusCode) -> Fault {
    match status.as_u16() {
        429 => Fault::Throttled,
        503 => Fault::Overloaded,
        500..=599 => Fault::BadGateway,
        _ => Fault::AuthRefused,
    }
}
