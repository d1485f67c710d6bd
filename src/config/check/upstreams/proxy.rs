//! The forward proxy by which an upstream is reached: its own, that of `defaults`, or what the environment says.
//!
//! The environment is asked only where the file says so, and as curl and Go ask it: `HTTPS_PROXY` or `HTTP_PROXY` by the
//! scheme of the upstream, in capitals or not, and `NO_PROXY` for whom neither holds.

use std::net::IpAddr;

use http::Uri;

use super::Case;
use crate::config::Cidr;
use crate::config::Env;
use crate::config::blueprint::{BaseUrl, Proxy};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::tree::{Node, Text};
use crate::config::url;
use crate::vocab::Secret;

const NONE: &str = "none";
const ENVIRONMENT: &str = "environment";
const EXAMPLE: &str = "write it like http://proxy.example.com:3128, or `environment`, or `none`";

impl Case<'_> {
    /// `None`: it is reached directly, or it was said what is wrong.
    pub(super) fn proxy(&mut self, base: &BaseUrl, findings: &mut Findings) -> Option<Proxy> {
        let own = self.path.key("proxy");
        if self.provider.name == "simulated" {
            if self.said.proxy.is_some() {
                findings.error(&own, "means nothing for provider simulated", "remove it");
            }
            return None;
        }
        let (said, path) = match (&self.said.proxy, &self.scene.file.defaults.proxy) {
            (Some(said), _) => (said.as_str(), own),
            (None, Some(said)) => (said.as_str(), Path::root().key("defaults").key("proxy")),
            (None, None) => return None,
        };
        let gaps = self.gaps(&path);
        if !gaps.is_empty() {
            self.missing.extend(gaps);
            return None;
        }
        let parsed = match said {
            NONE => return None,
            ENVIRONMENT => of_environment(self.scene.env, base),
            url => parse(url).map(Some).map_err(|(why, hint)| (format!("the URL {why}"), hint)),
        };
        match parsed {
            Ok(proxy) => {
                let is_in_clear =
                    said != ENVIRONMENT && proxy.as_ref().is_some_and(|proxy| proxy.account.is_some());
                let text = self.scene.root.at(&path).and_then(Node::scalar).map(|scalar| &scalar.text);
                if is_in_clear && text == Some(&Text::AsWritten) && !findings.touches(&path) {
                    findings.warn(
                        &path,
                        "a password stands here in clear text",
                        "keep it in the environment (`${NAME}`) or in a file (`file:/path`)",
                    );
                }
                proxy
            }
            // That of `defaults` is wrong once, however many have it.
            Err(_) if findings.touches(&path) => None,
            Err((why, hint)) => {
                findings.error(&path, why, hint);
                None
            }
        }
    }
}

/// The parts of a URL, or what is wrong with it and what to write instead. Its text is not repeated: it may hold a
/// password.
fn parse(text: &str) -> Result<Proxy, (&'static str, &'static str)> {
    let uri = text.parse::<Uri>().map_err(|_| ("is not one", EXAMPLE))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(("is not a whole one", EXAMPLE));
    };
    if !scheme.eq_ignore_ascii_case("http") {
        let hint = "write http://: what goes through it to an https upstream is encrypted all the same";
        return Err(("is not http, which is all that is spoken to a proxy here", hint));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
        return Err(("has something behind the host", EXAMPLE));
    }
    let (user, rest) = match authority.as_str().rsplit_once('@') {
        None => (None, authority.as_str()),
        Some((user, rest)) => (Some(user), rest),
    };
    let account = user.map(|user| -> Result<Secret, (&str, &str)> {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let part =
            |text: &str| url::decoded(text).ok_or(("has a broken %-sequence", "write % itself as %25"));
        Ok(Secret::new(format!("{}:{}", part(name)?, part(password)?)))
    });
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(("has no host", EXAMPLE));
    }
    let port = match authority.port() {
        None if rest != authority.host() => return Err(("has no valid port", "use 1 to 65535")),
        None => 80,
        Some(port) if port.as_u16() == 0 => return Err(("has port 0", "use 1 to 65535")),
        Some(port) => port.as_u16(),
    };
    Ok(Proxy { host: host.to_ascii_lowercase().into(), port, account: account.transpose()? })
}

/// What the environment says of an upstream's address.
fn of_environment(env: &dyn Env, base: &BaseUrl) -> Result<Option<Proxy>, (String, &'static str)> {
    let var = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| env.var(name).filter(|text| !text.trim().is_empty()));
        found.map(|text| text.trim().to_owned())
    };
    let names = if base.https { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let Some(text) = var(names) else { return Ok(None) };
    let except = var(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    if is_local(&base.host) || is_excepted(&except, &base.host, base.port) {
        return Ok(None);
    }
    // `proxy:3128` is usual there.
    let url = if text.contains("://") { text } else { format!("http://{text}") };
    parse(&url).map(Some).map_err(|(why, hint)| (format!("the URL in {} {why}", names[0]), hint))
}

/// No proxy leads to this machine.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an entry of `NO_PROXY` is for this host: itself or what it is below (`example.com`, `.example.com`,
/// `*.example.com`), its network (`10.0.0.0/8`), with a port or for all of them; `*` is everybody.
fn is_excepted(except: &str, host: &str, port: u16) -> bool {
    let address = host.parse::<IpAddr>().ok();
    let holds = |entry: &str| {
        if entry == "*" {
            return true;
        }
        if let (Some(address), Some(network)) = (address, Cidr::parse(entry)) {
            return network.contains(address);
        }
        let (name, only) = match entry.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
                (name, digits.parse::<u16>().ok())
            }
            _ => (entry, None),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let name = name.trim_start_matches('*').trim_start_matches('.');
        let below = || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        only.is_none_or(|only| only == port)
            && !name.is_empty()
            && (host == name || address.is_none() && below())
    };
    except.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::config::testing::Given;

    fn proxy(host: &str, port: u16, account: Option<&str>) -> Proxy {
        Proxy { host: host.into(), port, account: account.map(Secret::new) }
    }

    #[test]
    fn a_proxys_url_says_where_it_is_and_who_we_are() {
        let check = |text, expected| assert_eq!(parse(text), Ok(expected), "{text}");
        check("http://proxy.example.com:3128", proxy("proxy.example.com", 3128, None));
        check("http://Proxy/", proxy("proxy", 80, None));
        check("http://[::1]:8080", proxy("::1", 8080, None));
        check("http://ada:lace%40%3a1@10.0.0.9:3128", proxy("10.0.0.9", 3128, Some("ada:lace@:1")));
        check("http://token@proxy:3128", proxy("proxy", 3128, Some("token:")));
        for (text, why) in [
            ("proxy:3128", "is not a whole one"),
            ("https://proxy", "is not http, which is all that is spoken to a proxy here"),
            ("socks5://proxy", "is not http, which is all that is spoken to a proxy here"),
            ("http://proxy/path", "has something behind the host"),
            ("http://proxy:0", "has port 0"),
            ("http://proxy:99999", "has no valid port"),
            ("http://a%zz:b@proxy", "has a broken %-sequence"),
        ] {
            assert_eq!(parse(text).map_err(|(why, _)| why), Err(why), "{text}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_what_is_below_them_networks_and_ports() {
        for (except, host, expected) in [
            ("example.com", "example.com", true),
            ("example.com", "api.example.com", true),
            (".example.com", "api.example.com", true),
            ("*.example.com", "api.example.com", true),
            ("EXAMPLE.com", "api.example.com", true),
            ("example.com", "badexample.com", false),
            ("example.com:443", "example.com", true),
            ("example.com:80", "example.com", false),
            ("other, example.com", "example.com", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("2.3", "10.1.2.3", false),
            ("::1/128", "::1", true),
            ("*", "anything", true),
            ("", "example.com", false),
            (",", "example.com", false),
        ] {
            assert_eq!(is_excepted(except, host, 443), expected, "{except} {host}");
        }
    }

    /// How the upstreams `a` (https) and `b` (http, its own `more`) are reached.
    fn reached(defaults: &str, more: &str) -> [Option<Proxy>; 2] {
        let env = Given::default()
            .var("HTTPS_PROXY", "http://u:secret-word@corp:3128")
            .var("http_proxy", "plain:8080")
            .var("NO_PROXY", "inner.test")
            .var("WHOLE", "http://me:secret-word@whole:1");
        let text = format!(
            "version: 1\ndefaults: {{{defaults}}}\nupstreams:\n  \
             a: {{provider: custom, dialect: openai, base_url: 'https://a.test/v1', credentials: []}}\n  \
             b: {{provider: custom, dialect: openai, base_url: 'http://b.test/v1', credentials: []{more}}}\n  \
             c: {{provider: custom, dialect: openai, base_url: 'https://x.inner.test/v1', credentials: []}}\n  \
             d: {{provider: custom, dialect: openai, base_url: 'http://localhost:1/v1', credentials: []}}\n  \
             s: {{provider: simulated}}\n\
             routes: [{{model: m, channels: [{{upstream: a}}, {{upstream: b}}, {{upstream: c}}, {{upstream: d}}, {{upstream: s}}]}}]\n"
        );
        let blueprint = load(&text, &env).expect("it is well").blueprint;
        let of = |name: &str| {
            let upstream = blueprint.upstreams.iter().find(|upstream| *upstream.name == *name);
            upstream.expect("it is there").proxy.clone()
        };
        if defaults.contains(ENVIRONMENT) {
            assert_eq!([of("c"), of("d")], [None, None]);
        }
        assert_eq!(of("s"), None);
        [of("a"), of("b")]
    }

    #[test]
    fn an_upstreams_own_word_holds_then_that_of_defaults_and_the_environment_where_it_is_named() {
        let (corp, plain) = (proxy("corp", 3128, Some("u:secret-word")), proxy("plain", 8080, None));
        let whole = proxy("whole", 1, Some("me:secret-word"));
        assert_eq!(reached("", ""), [None, None], "the environment alone says nothing");
        assert_eq!(reached("proxy: environment", ""), [Some(corp.clone()), Some(plain.clone())]);
        assert_eq!(reached("proxy: environment", ", proxy: none"), [Some(corp), None]);
        assert_eq!(reached("proxy: '${WHOLE}'", ", proxy: environment"), [Some(whole.clone()), Some(plain)]);
        assert_eq!(reached("", ", proxy: '${WHOLE}'"), [None, Some(whole)]);
    }

    #[test]
    fn what_is_wrong_is_said_once_and_without_the_password() {
        let text = |proxy: &str| {
            format!(
                "version: 1\ndefaults: {{proxy: '{proxy}'}}\nupstreams:\n  \
                 a: {{provider: openai, credentials: []}}\n  b: {{provider: openai, credentials: []}}\n\
                 routes: [{{model: m, channels: [{{upstream: a}}, {{upstream: b}}]}}]\n"
            )
        };
        let problems =
            load(&text("https://u:secret-word@proxy"), &Given::default()).expect_err("it is wrong");
        let said = format!("{problems:?}");
        assert_eq!(said.matches("is not http").count(), 1, "{said}");
        assert!(!said.contains("secret-word"), "{said}");
        let fine = load(&text("http://u:secret-word@proxy"), &Given::default()).expect("it is well");
        let said = format!("{:?} {:?}", fine.warnings, fine.blueprint);
        assert_eq!(said.matches("in clear text").count(), 1, "{said}");
        assert!(!said.contains("secret-word"), "{said}");
    }

    #[test]
    fn an_upstream_whose_proxy_leads_nowhere_is_not_reached_without_one() {
        let text = "version: 1\nupstreams: {a: {provider: openai, credentials: [k], proxy: '${LOST}'}, s: {provider: simulated}}\n\
             routes: [{model: m, channels: [{upstream: a}, {upstream: s}]}]\n";
        let blueprint = load(text, &Given::default()).expect("it is well").blueprint;
        let missing = &blueprint.upstreams[0].readiness;
        assert!(format!("{missing:?}").contains("LOST"), "{missing:?}");
    }
}
