//! A caller's URL, taken apart once, and where its redirects lead.
//!
//! Stricter than a browser: a host is a name in plain letters, an IPv4 address of four decimal numbers or an
//! IPv6 address in brackets. What some resolvers read as an address besides (`0x7f.1`, `2130706433`,
//! `127.1`, `010.0.0.1`) is refused, so that nobody has to know how they read it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// Longest URL.
const LONGEST: usize = 8 * 1024;

/// A URL that may be asked, as far as its words tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) https: bool,
    pub(super) host: Host,
    pub(super) port: u16,
    /// With its query.
    pub(super) path: PathAndQuery,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In small letters.
    Name(String),
    Address(IpAddr),
}

/// What is wrong with a URL, for its author.
pub(super) type Odd = &'static str;

impl Link {
    pub(super) fn parse(text: &str) -> Result<Self, Odd> {
        if text.len() > LONGEST {
            return Err("the URL is longer than 8 KiB");
        }
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri =
            text.parse().map_err(|_| "it is not a URL; percent-encode what is not plain letters")?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err("it is not a whole URL");
        };
        let https = *scheme == Scheme::HTTPS;
        if !https && *scheme != Scheme::HTTP {
            return Err("only https:// URLs are fetched");
        }
        if authority.as_str().contains('@') {
            return Err("a URL with a user name or password in it is not fetched");
        }
        let host = Host::parse(authority.host()).ok_or("its host is neither a plain name nor an address")?;
        let port = match authority.port() {
            Some(port) if port.as_u16() > 0 => port.as_u16(),
            None if authority.as_str() == authority.host() => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(_) | None => return Err("its port is none"),
        };
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self { https, host, port, path })
    }

    /// Where a redirect with this `Location` leads (RFC 3986 §5.2).
    pub(super) fn join(&self, location: &str) -> Result<Self, Odd> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.https { "https" } else { "http" };
        let first = location.split(['/', '?']).next().unwrap_or_default();
        if first.contains(':') {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (location, None),
        };
        let path = if path.is_empty() {
            self.path.path().to_owned()
        } else if path.starts_with('/') {
            without_dots(path)
        } else {
            let folder = self.path.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{path}"))
        };
        let whole = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        if whole.len() > LONGEST {
            return Err("the URL is longer than 8 KiB");
        }
        let path = whole.parse().map_err(|_| "it redirects to what is not a URL")?;
        Ok(Self { path, ..self.clone() })
    }

    /// As `Host` has it.
    pub(super) fn authority(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        let implied = if self.https { 443 } else { 80 };
        if self.port == implied { host } else { format!("{host}:{}", self.port) }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
        let last = text.rsplit('.').next().unwrap_or_default();
        // A last label that begins with a digit makes resolvers read numbers (WHATWG URL, "ends in a number").
        let is_name = text.len() <= 253
            && text.split('.').all(is_label)
            && !last.starts_with(|first: char| first.is_ascii_digit());
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// Is it among `hosts` (`*.` in front: below it)? Everything is among none.
    pub(super) fn is_among(&self, hosts: &[String]) -> bool {
        let said = match self {
            Self::Name(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        };
        let fits = |host: &String| match host.strip_prefix('*') {
            Some(tail) => matches!(self, Self::Name(_)) && said.len() > tail.len() && said.ends_with(tail),
            None => *host == said,
        };
        hosts.is_empty() || hosts.iter().any(fits)
    }
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if open {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let check = |text: &str, https, authority: &str, port, path: &str| {
            let link = Link::parse(text).expect(text);
            let found = (link.https, link.authority(), link.port, link.path.to_string());
            assert_eq!(found, (https, authority.to_owned(), port, path.to_owned()), "{text}");
        };
        check("https://a.example/b.png?x=1#y", true, "a.example", 443, "/b.png?x=1");
        check("HTTPS://A.Example:8443", true, "a.example:8443", 8443, "/");
        check("http://1.2.3.4/", false, "1.2.3.4", 80, "/");
        check("https://[2600::1]:444/a", true, "[2600::1]:444", 444, "/a");
        check("https://a_b.xn--bcher-kva.example/", true, "a_b.xn--bcher-kva.example", 443, "/");
        check("https://0x7f.example/", true, "0x7f.example", 443, "/");
    }

    #[test]
    fn odd_urls_are_refused() {
        for text in [
            "",
            "a.png",
            "/a.png",
            "//a/b",
            "ftp://a/b",
            "file:///etc/passwd",
            "gopher://a/",
            "data:,x",
            "javascript:1",
            "https://",
            "https:///a",
            "https://user@a/",
            "https://user:word@a/",
            "https://@a/",
            "https://a:0/",
            "https://a:/",
            "https://a:65536/",
            "https://a:x/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://127.1/",
            "https://127.0.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.01/",
            "https://127.0.0.1./",
            "https://1.2.3.4.5/",
            "https://256.0.0.1/",
            "https://a../",
            "https://a./",
            "https://.a/",
            "https://a..b/",
            "https://a.0x1/",
            "https://\u{2460}\u{2461}.example/",
            "https://bücher.example/",
            "https://127\u{3002}0.0.1/",
            "https://a%2eb/",
            "https://[::1%25eth0]/",
            "https://[::ffff:1.2.3]/",
            "https://a b/",
            "https://a\\b/",
            "https://a/\u{0}",
            "https://a/\r\nx: y",
            "https://a/ b",
            "https://[v1.a]/",
        ] {
            assert!(Link::parse(text).is_err(), "{text}");
        }
        assert!(Link::parse(&format!("https://a/{}", "x".repeat(LONGEST))).is_err());
    }

    #[test]
    fn a_redirect_leads_where_browsers_go() {
        let from = Link::parse("https://a.example:444/b/c?d").expect("a URL");
        for (location, to) in [
            ("https://e.example/f", "https://e.example/f"),
            ("//e.example/f", "https://e.example/f"),
            ("/f?g#h", "https://a.example:444/f?g"),
            ("f", "https://a.example:444/b/f"),
            ("../f/./g", "https://a.example:444/f/g"),
            ("../../..", "https://a.example:444/"),
            ("?x=a:b", "https://a.example:444/b/c?x=a:b"),
            ("", "https://a.example:444/b/c"),
        ] {
            assert_eq!(from.join(location), Link::parse(to), "{location}");
        }
        for location in ["file:///etc/passwd", "ftp:x", "https://u@a/", "//127.1/", "/a b", "javascript:1"] {
            assert!(from.join(location).is_err(), "{location}");
        }
    }

    #[test]
    fn an_allowed_host_is_itself_or_below_a_star() {
        let hosts = ["a.example".to_owned(), "*.b.example".to_owned(), "10.0.0.1".to_owned()];
        for (host, expected) in [
            ("a.example", true),
            ("A.Example", true),
            ("x.a.example", false),
            ("b.example", false),
            ("x.b.example", true),
            ("x.y.b.example", true),
            ("xb.example", false),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
        ] {
            assert_eq!(Host::parse(host).expect("a host").is_among(&hosts), expected, "{host}");
        }
        assert!(Host::Name("anything".into()).is_among(&[]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_link_or_refused(text in "\\PC{0,80}", location in "\\PC{0,80}") {
            let _ = Link::parse(&text);
            if let Ok(link) = Link::parse(&format!("https://{text}")) {
                let _ = link.join(&location);
            }
        }

        #[test]
        fn what_is_no_address_is_no_number_to_any_resolver(host in "[0-9a-fx.]{1,20}") {
            if let Some(Host::Name(name)) = Host::parse(&host) {
                let last = name.rsplit('.').next().unwrap_or_default();
                prop_assert!(!last.starts_with(|c: char| c.is_ascii_digit()), "{name}");
            }
        }
    }
}
