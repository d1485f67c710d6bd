//! Where a pool's connections go.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use super::lookup::Lookup;
use crate::config::{self, BaseUrl, Http2};

/// One endpoint: what to resolve, which protocol to speak and how to check the peer.
#[derive(Clone, Debug)]
pub struct Target {
    pub https: bool,
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    pub http2: Http2,
    /// Must be there when `https` is; its ALPN list is set by the pool.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name to ask for and to check, where it is not `host`.
    pub server_name: Option<Arc<str>>,
    /// The region that requests to it are signed for, where `host` does not say.
    pub aws_region: Option<Arc<str>>,
    /// By which it is reached, if not directly: then its name is the proxy's to look up.
    pub proxy: Option<Arc<Proxy>>,
    /// Where its name is being looked up.
    pub(super) lookup: Arc<Lookup>,
}

/// A forward proxy.
#[derive(Debug)]
pub struct Proxy {
    pub(super) target: Arc<Target>,
    /// Who we are; its `Debug` shows nothing.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    pub fn new(said: &config::Proxy) -> Arc<Self> {
        let config::Proxy { host, port, account } = said;
        let base = BaseUrl { https: false, host: Arc::clone(host), port: *port, path: String::new() };
        let authorization = account.as_ref().and_then(|account| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(account.expose()));
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Arc::new(Self { target: Arc::new(Target::new(&base, Http2::Never)), authorization })
    }
}

impl Target {
    pub fn new(base: &BaseUrl, http2: Http2) -> Self {
        Self {
            https: base.https,
            host: Arc::clone(&base.host),
            port: base.port,
            http2,
            tls: None,
            server_name: None,
            aws_region: None,
            proxy: None,
            lookup: Arc::default(),
        }
    }

    /// The same target with its peer checked by `tls`, under another name if one is given.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<rustls::ClientConfig>, server_name: Option<&str>) -> Self {
        self.tls = Some(tls);
        self.server_name = server_name.map(Arc::from);
        self
    }

    /// The same target, whose requests are signed for `region`.
    #[must_use]
    pub fn in_region(mut self, region: Option<&str>) -> Self {
        self.aws_region = region.map(Arc::from);
        self
    }

    /// The same target, reached by this proxy.
    #[must_use]
    pub fn through(mut self, proxy: Option<Arc<Proxy>>) -> Self {
        self.proxy = proxy;
        self
    }

    /// The value of `Host`: brackets round IPv6, the port only where the scheme does not imply it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        let implied = if self.https { 443 } else { 80 };
        if self.port == implied { host } else { format!("{host}:{}", self.port) }
    }

    /// `host:port` for messages.
    pub(super) fn shown(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority()).unwrap_or(HeaderValue::from_static("invalid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(https: bool, host: &str, port: u16) -> Target {
        Target {
            https,
            host: host.into(),
            port,
            http2: Http2::Auto,
            tls: None,
            server_name: None,
            aws_region: None,
            proxy: None,
            lookup: Arc::default(),
        }
    }

    #[test]
    fn the_authority_names_the_port_only_where_the_scheme_does_not_imply_it() {
        assert_eq!(target(true, "a.example", 443).authority(), "a.example");
        assert_eq!(target(true, "a.example", 80).authority(), "a.example:80");
        assert_eq!(target(false, "a.example", 80).authority(), "a.example");
        assert_eq!(target(false, "::1", 8080).authority(), "[::1]:8080");
    }
}
