//! Makes a request that came below another base one of ours: its body names the model that the path named, and what a
//! cloud has in the body stands in headers.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Arrival;
use crate::dialect::entry::{Entry, Wrapping};
use crate::dialect::scan::{self, ScanError, Unwrapped};
use crate::proxy::attempt::betas_asked;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const BETAS: HeaderName = HeaderName::from_static("anthropic-beta");
const PROFILE: HeaderName = HeaderName::from_static("anthropic-user-profile-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body as it is below our own base, where it differs.
pub fn own_body(arrival: &mut Arrival, entry: &Entry<'_>, body: &[u8]) -> Result<Option<Vec<u8>>, ScanError> {
    let model = arrival.deployment.as_deref();
    let Some(wrapping) = arrival.wrapping else {
        let content_type = arrival.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        return Ok(model.and_then(|model| scan::with_model(entry, content_type, body, model)));
    };
    let own = scan::unwrapped(wrapping, body, model)?;
    let Some(Unwrapped { body, version, betas, profile }) = own else { return Ok(None) };
    let headers = &mut arrival.head.headers;
    // AWS' SDKs call it any bytes, and want messages of Amazon's.
    headers.insert(CONTENT_TYPE, JSON);
    if matches!(wrapping, Wrapping::Bedrock(_)) {
        headers.remove(ACCEPT);
    }
    if let Some(version) = version {
        headers.insert(VERSION, version);
    }
    if let Some(profile) = profile {
        headers.insert(PROFILE, profile);
    }
    also_ask(headers, &betas);
    Ok(Some(body))
}

/// Adds those of the flags that the headers do not name.
fn also_ask(headers: &mut HeaderMap, betas: &[String]) {
    let said = betas_asked(headers).unwrap_or_default();
    let is_said = |flag: &&String| said.split(',').any(|one| one.trim() == **flag);
    let new: Vec<&str> = betas.iter().filter(|flag| !is_said(flag)).map(String::as_str).collect();
    if let Ok(line) = HeaderValue::from_str(&new.join(","))
        && !new.is_empty()
    {
        headers.append(BETAS, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_named_once() {
        let check = |said: &'static str, betas: &[&str], expected: &[&str]| {
            let mut headers = HeaderMap::new();
            if !said.is_empty() {
                headers.insert(BETAS, HeaderValue::from_static(said));
            }
            also_ask(&mut headers, &betas.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>());
            assert_eq!(headers.get_all(BETAS).iter().collect::<Vec<_>>(), expected, "{said} {betas:?}");
        };
        check("", &[], &[]);
        check("", &["a", "b"], &["a,b"]);
        check("a, b", &["b", "a"], &["a, b"]);
        check("a", &["b", "a", "c"], &["a", "b,c"]);
    }
}
