//! Puts a credential on a request, in the provider's way.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::dialect::provider::Auth;
use crate::vocab::Secret;

/// Why a credential cannot be sent. Says nothing of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential has characters that a header cannot carry")]
pub struct Unsendable;

/// Sets the header that carries `secret`, marked as sensitive. A scheme that puts the credential into
/// the query changes no header: see [`query`].
pub fn apply(headers: &mut HeaderMap, auth: Auth, secret: &Secret) -> Result<(), Unsendable> {
    match auth {
        Auth::None | Auth::Query(_) => {}
        Auth::Bearer => {
            let value = [b"Bearer ", secret.expose().as_bytes()].concat();
            headers.insert(AUTHORIZATION, sensitive(&value)?);
        }
        Auth::Header(name) => {
            headers.insert(HeaderName::from_static(name), sensitive(secret.expose().as_bytes())?);
        }
    }
    Ok(())
}

/// `path` with the credential in its query, where the provider wants it there; else unchanged.
pub fn query(path: String, auth: Auth, secret: &Secret) -> String {
    let Auth::Query(name) = auth else { return path };
    let mut path = path;
    path.push(if path.contains('?') { '&' } else { '?' });
    path.push_str(name);
    path.push('=');
    for byte in secret.expose().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                path.extend(char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    path
}

fn sensitive(value: &[u8]) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_puts_the_credential_where_the_provider_looks() {
        let secret = Secret::new("sk-1");
        let mut headers = HeaderMap::new();
        apply(&mut headers, Auth::Bearer, &secret).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer sk-1");
        apply(&mut headers, Auth::Header("x-api-key"), &secret).unwrap();
        assert_eq!(headers["x-api-key"], "sk-1");
        let mut none = HeaderMap::new();
        apply(&mut none, Auth::None, &secret).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_credential_is_never_printed_with_the_headers() {
        let mut headers = HeaderMap::new();
        apply(&mut headers, Auth::Bearer, &Secret::new("sk-live")).unwrap();
        assert!(!format!("{headers:?}").contains("sk-live"));
    }

    #[test]
    fn a_credential_with_a_line_break_is_refused_and_changes_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(apply(&mut headers, Auth::Bearer, &Secret::new("a\r\nb: c")), Err(Unsendable));
        assert!(headers.is_empty());
    }

    #[test]
    fn a_credential_in_the_query_is_escaped() {
        let secret = Secret::new("a&b=c");
        assert_eq!(query("/m".into(), Auth::Query("key"), &secret), "/m?key=a%26b%3Dc");
        assert_eq!(query("/m?x=1".into(), Auth::Query("key"), &secret), "/m?x=1&key=a%26b%3Dc");
        assert_eq!(query("/m".into(), Auth::Bearer, &secret), "/m");
    }
}
