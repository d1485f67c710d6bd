//! Whose web pages: an origin, as browsers say it in `Origin` (RFC 6454 §6.2), or a pattern of several.

use crate::vocab::host::is_name;

/// `*`, `https://chat.example.com`, or `https://*.example.com` for all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOrigin {
    Any,
    One(Box<str>),
    /// What stands before and behind the names.
    Below(Box<str>, Box<str>),
}

impl PageOrigin {
    /// Scheme, host and, where it is not the scheme's own, a port; `None` for what no browser ever says.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let text = text.to_ascii_lowercase();
        let (scheme, place) = text.split_once("://")?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            Some(_) | None => (place, None),
        };
        let port = match port {
            Some(port) => Some(port.parse::<u16>().ok().filter(|number| number.to_string() == port)?),
            None => None,
        };
        // Browsers leave these out.
        let port = port.filter(|port| !matches!((scheme, port), ("http", 80) | ("https", 443)));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(letter) {
            return None;
        }
        match host.strip_prefix("*.") {
            Some(domain) if is_host(domain) => {
                Some(Self::Below(format!("{scheme}://").into(), format!(".{domain}{port}").into()))
            }
            None if is_host(host) => Some(Self::One(format!("{scheme}://{host}{port}").into())),
            Some(_) | None => None,
        }
    }

    /// Whether it is one of these. `null`, which any page can have, is never meant by name.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => **one == *origin,
            Self::Below(scheme, domain) => origin
                .strip_prefix(&**scheme)
                .and_then(|place| place.strip_suffix(&**domain))
                .is_some_and(is_name),
        }
    }
}

fn is_host(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.map_or_else(|| is_name(text), |inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        PageOrigin::parse(pattern).expect(pattern).allows(origin)
    }

    #[test]
    fn an_origin_is_itself_and_nothing_that_looks_like_it() {
        for (pattern, origin) in [
            ("https://chat.example.com", "https://chat.example.com"),
            ("HTTPS://Chat.Example.com:443", "https://chat.example.com"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
            ("tauri://localhost", "tauri://localhost"),
            ("https://*.example.com", "https://a.b.example.com"),
            ("https://*.example.com:8443", "https://a.example.com:8443"),
            ("*", "null"),
        ] {
            assert!(allows(pattern, origin), "{pattern} {origin}");
        }
        for (pattern, origin) in [
            ("https://chat.example.com", "http://chat.example.com"),
            ("https://chat.example.com", "https://chat.example.com:8443"),
            ("https://chat.example.com", "https://chat.example.com.evil.example"),
            ("http://localhost:80", "http://localhost:8080"),
            ("https://*.example.com", "https://example.com"),
            ("https://*.example.com", "https://.example.com"),
            ("https://*.example.com", "https://evilexample.com"),
            ("https://*.example.com", "https://a.example.com:8443"),
            ("https://*.example.com", "https://evil.example/.example.com"),
            ("https://*.example.com", "https://evil.example:1@a.example.com"),
            ("https://*.example.com", "http://a.example.com"),
            ("https://chat.example.com", "null"),
        ] {
            assert!(!allows(pattern, origin), "{pattern} {origin}");
        }
    }

    #[test]
    fn what_no_browser_says_is_none() {
        for text in [
            "",
            "null",
            "example.com",
            "https://",
            "://example.com",
            "https://example.com/",
            "https://example.com/app",
            "https://example.com:",
            "https://example.com:0443",
            "https://example.com:70000",
            "https://user@example.com",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*example.com",
            "*://example.com",
            "https://bücher.example",
            "https://a b",
            "https://[::g]",
        ] {
            assert_eq!(PageOrigin::parse(text), None, "{text}");
        }
    }
}
