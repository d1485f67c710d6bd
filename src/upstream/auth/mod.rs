//! Puts a credential on a request, in the provider's way.
//!
//! | file | job |
//! |---|---|
//! | here | keys and tokens that are sent as they stand |
//! | [`aws`] | signatures (Bedrock) |
//! | [`vault`] | tokens that were got for a credential, and who gets the next one |
//! | [`exchange`] | getting one: what each grant says, and to whom |
//! | [`assertion`] | the signed statement of a service account |

mod assertion;
mod aws;
mod exchange;
#[cfg(test)]
mod tests;
mod vault;

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

pub(super) use vault::Vault;

use super::body::Outgoing;
use super::call::{CallError, CallLimits};
use super::pool::Pool;
use crate::algo::sigv4::Keys;
use crate::dialect::provider::Auth;
use crate::dialect::provider::grant::{Cloud, Grant};
use crate::vocab::{Fault, Secret};

/// Whom a person's use is counted for; Google's name for it.
const PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// Why a credential cannot be sent. Says nothing of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    #[error("the credential has characters that a header cannot carry")]
    Characters,
    #[error("the credential has to be exchanged or signed with, and cannot be sent itself")]
    NotItself,
}

impl Pool {
    /// Puts the credential on a request that is otherwise ready to be sent: what is signed is what is
    /// there now. Waits for nothing, unless a token has to be got, and then at most for the time that
    /// `limits` give a connection, and five seconds.
    pub async fn authorize(
        self: &Arc<Self>,
        request: &mut Request<Outgoing>,
        auth: Auth,
        secret: &Secret,
        limits: &CallLimits,
    ) -> Result<(), CallError> {
        let cloud = match auth {
            Auth::None => return Ok(()),
            Auth::Bearer | Auth::Header(_) => None,
            Auth::Query(_) => return in_query(request, auth, secret),
            Auth::Aws(service) => match Keys::parse(secret.expose()) {
                Some(keys) => return aws::sign(request, keys, service, self),
                None => None,
            },
            Auth::Google => Some(Cloud::Google),
            Auth::Azure(_) => Some(Cloud::Microsoft),
        };
        match cloud.filter(|_| Grant::is_one(secret.expose())) {
            None => apply(request.headers_mut(), auth, secret).map_err(|error| refused(error.to_string())),
            Some(cloud) => {
                // Boxed: few requests come by here, and all of them would carry its size.
                let token = Box::pin(self.token(cloud, secret, limits)).await?;
                let fields = request.headers_mut();
                fields.insert(AUTHORIZATION, token.bearer);
                if let Some(project) = token.project {
                    fields.entry(PROJECT).or_insert(project);
                }
                Ok(())
            }
        }
    }
}

/// Puts a credential on a request as it stands: one that would have to be signed with or exchanged is refused.
pub fn carry(request: &mut Request<Outgoing>, auth: Auth, secret: &Secret) -> Result<(), CallError> {
    match auth {
        Auth::Query(_) => in_query(request, auth, secret),
        Auth::None | Auth::Bearer | Auth::Header(_) | Auth::Aws(_) | Auth::Google | Auth::Azure(_) => {
            apply(request.headers_mut(), auth, secret).map_err(|error| refused(error.to_string()))
        }
    }
}

/// Sets the header that carries `secret`, marked as sensitive. A scheme that puts the credential into
/// the query changes no header: see [`query`].
pub fn apply(headers: &mut HeaderMap, auth: Auth, secret: &Secret) -> Result<(), Unsendable> {
    let text = secret.expose();
    let (name, value) = match auth {
        Auth::None | Auth::Query(_) => return Ok(()),
        Auth::Header(name) => (HeaderName::from_static(name), sensitive(text.as_bytes())?),
        Auth::Aws(_) if Keys::parse(text).is_some() => return Err(Unsendable::NotItself),
        Auth::Google | Auth::Azure(_) if Grant::is_one(text) => return Err(Unsendable::NotItself),
        // A JSON Web Token, as Entra gives out; keys are hexadecimal or of letters and digits.
        Auth::Azure(name) if !text.starts_with("eyJ") => {
            (HeaderName::from_static(name), sensitive(text.as_bytes())?)
        }
        Auth::Bearer | Auth::Aws(_) | Auth::Google | Auth::Azure(_) => (AUTHORIZATION, bearer(text)?),
    };
    headers.insert(name, value);
    Ok(())
}

/// `path` with the credential in its query, where the provider wants it there; else unchanged.
pub fn query(path: String, auth: Auth, secret: &Secret) -> String {
    let Auth::Query(name) = auth else { return path };
    let mut path = path;
    path.push(if path.contains('?') { '&' } else { '?' });
    path.push_str(name);
    path.push('=');
    escape(&mut path, secret.expose());
    path
}

fn in_query(request: &mut Request<Outgoing>, auth: Auth, secret: &Secret) -> Result<(), CallError> {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
    let path = PathAndQuery::from_maybe_shared(Bytes::from(query(path, auth, secret)))
        .map_err(|_| refused(Unsendable::Characters.to_string()))?;
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Percent-encodes all but letters, digits and `-._~`.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                out.extend(char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
}

fn bearer(text: &str) -> Result<HeaderValue, Unsendable> {
    sensitive(&[b"Bearer ", text.as_bytes()].concat())
}

fn sensitive(value: &[u8]) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Unsendable::Characters)?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused(detail: impl Into<String>) -> CallError {
    CallError::unsent(Fault::AuthRefused, detail)
}
