//! A base URL, split once.

use http::Uri;
use http::uri::Scheme;

use super::blueprint::BaseUrl;

/// What is wrong with it, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub why: &'static str,
    pub hint: &'static str,
}

/// Splits `text`. A URL without a path gets `base_path`.
pub fn parse(text: &str, base_path: &str) -> Result<BaseUrl, Refused> {
    let refused = |why, hint| Err(Refused { why, hint });
    if text.contains('#') {
        return refused("has a fragment (`#...`)", "remove it");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return refused("is not a URL", "write one like https://api.example.com/v1");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return refused("is not a whole URL", "begin with https:// or http://");
    };
    let https = *scheme == Scheme::HTTPS;
    if !https && *scheme != Scheme::HTTP {
        return refused("is neither http nor https", "begin with https:// or http://");
    }
    if authority.as_str().contains('@') {
        return refused("has a user name or password in it", "put the key under `credentials`");
    }
    if uri.query().is_some() {
        return refused("has a query (`?...`)", "remove it; put fixed headers under `headers`");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return refused("has no host", "write one like https://api.example.com/v1");
    }
    let port = match authority.port() {
        None if authority.as_str().ends_with(':') => {
            return refused("has a colon without a port", "remove it");
        }
        None if authority.as_str() != authority.host() => {
            return refused("has no valid port", "use 1 to 65535");
        }
        None if https => 443,
        None => 80,
        Some(port) if port.as_u16() == 0 => return refused("has port 0", "use 1 to 65535"),
        Some(port) => port.as_u16(),
    };
    let path = uri.path().trim_end_matches('/');
    let path = if path.is_empty() { base_path } else { path };
    Ok(BaseUrl { https, host: host.to_ascii_lowercase().into(), port, path: path.to_owned() })
}

/// The text that a part of a URL stands for (RFC 3986 §2.1); `None` where a `%` is not followed by two hexadecimal digits, or the result is no text.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_split_into_what_a_connection_needs() {
        let check = |text, https, host: &str, port, path: &str| {
            let base = BaseUrl { https, host: host.into(), port, path: path.to_owned() };
            assert_eq!(parse(text, "/v1"), Ok(base), "{text}");
        };
        check("https://api.openai.com/v1", true, "api.openai.com", 443, "/v1");
        check("https://api.openai.com/v1/", true, "api.openai.com", 443, "/v1");
        check("https://example.openai.azure.com", true, "example.openai.azure.com", 443, "/v1");
        check("http://127.0.0.1:8000/openai/v2", false, "127.0.0.1", 8000, "/openai/v2");
        check("http://[::1]:7000/", false, "::1", 7000, "/v1");
        check("HTTPS://API.Example.com", true, "api.example.com", 443, "/v1");
    }

    #[test]
    fn what_is_no_base_url_says_why() {
        let check = |text, why| assert_eq!(parse(text, "").unwrap_err().why, why, "{text}");
        check("api.openai.com", "is not a whole URL");
        check("/v1", "is not a whole URL");
        check("", "is not a URL");
        check("https://", "is not a URL");
        check("https://a b", "is not a URL");
        check("ftp://x/", "is neither http nor https");
        check("https://user:pass@x/", "has a user name or password in it");
        check("https://x/?key=1", "has a query (`?...`)");
        check("https://x/#top", "has a fragment (`#...`)");
        check("https://x:0/", "has port 0");
        check("https://x:99999/", "has no valid port");
        check("https://x:/", "has a colon without a port");
    }
}
