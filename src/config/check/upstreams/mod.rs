//! The `upstreams:` section: provider, address, headers, probe; credentials have a file of their own.

mod client_certificate;
mod cloud;
mod credentials;
mod proxy;

pub(in crate::config) use credentials::short_hash;

use http::{HeaderName, HeaderValue, Method};

use super::{Scene, upstream_path};
use crate::config::blueprint::{BaseUrl, Probe, ProbeKind, Readiness, Upstream, UpstreamTls};
use crate::config::file::names::{Dialects, ProbeKindName, StreamUsageName};
use crate::config::file::{self, policy};
use crate::config::layer::{Layer as _, stack};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle::{self, MAX_INFLIGHT, Traffic};
use crate::config::tree::{Node, Text};
use crate::config::url;
use crate::dialect::Dialect;
use crate::dialect::provider::{self, Base, Provider, StreamUsage};

/// Longest name: it becomes a metric label and stands in an answer's header.
const NAME_MAX: usize = 64;

/// Statuses that pass an http probe when the file names none. A redirect proves life too.
const PASSING: std::ops::RangeInclusive<u16> = 200..=399;

/// Headers that belong to one connection or one message, never to a configuration.
const RESERVED_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Ends of a URL that belong to a request and not to a base URL.
const OPERATIONS: [&str; 7] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/messages",
    "/models",
    ":generateContent",
];

/// In the order of the file, `None` where something was wrong.
pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Vec<Option<Upstream>> {
    let entries = &scene.file.upstreams.0;
    entries
        .iter()
        .map(|(name, said)| {
            let path = upstream_path(name);
            check_name(name, &path, findings);
            let provider = said.provider.as_ref().and_then(|name| provider::find(&name.0))?;
            Case { scene, name, said, provider, path, missing: Vec::new() }.check(findings)
        })
        .collect()
}

fn check_name(name: &str, path: &Path, findings: &mut Findings) {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fine) {
        findings.error_at_key(
            path,
            "an upstream cannot be called this",
            format!("use up to {NAME_MAX} letters, digits, `-`, `_` and `.`: it is a metric label"),
        );
    }
}

/// One upstream while it is looked at.
struct Case<'a> {
    scene: &'a Scene<'a>,
    name: &'a str,
    said: &'a file::Upstream,
    provider: &'static Provider,
    path: Path,
    /// References that led nowhere, whose absence keeps it from being used.
    missing: Vec<String>,
}

impl Case<'_> {
    fn check(mut self, findings: &mut Findings) -> Option<Upstream> {
        let defaults = &self.scene.file.defaults;
        let said = self.said;
        let speaks = self.speaks(findings);
        let base = self.base(&speaks, findings);
        let credentials = self.credentials(findings);
        self.cloud_settings(&speaks, base.as_ref(), &credentials, findings);
        let headers = self.headers(findings);
        let traffic = if speaks == [Dialect::Http] { Traffic::PlainHttp } else { Traffic::Ordinary };
        let timeouts = settle::timeouts(&said.timeouts.clone().over(defaults.timeouts.clone()), traffic);
        let base = base.filter(|_| !speaks.is_empty())?;
        let probe = self.probe(&base, findings)?;
        self.tls(&base, findings);
        let shown = self.client_certificate(findings);
        let proxy = self.proxy(&base, findings);
        let max_inflight = said.max_inflight.or(defaults.max_inflight).unwrap_or(MAX_INFLIGHT);
        let concurrency = said.concurrency.clone().over(defaults.concurrency.clone());
        self.concurrency(&concurrency, findings);
        let simulated = self.provider.name == "simulated";
        if !simulated && said.simulated != policy::Simulated::default() {
            findings.error_at_key(
                &self.path.key("simulated"),
                format!("means nothing for provider {}", self.provider.name),
                "remove it, or write `provider: simulated`",
            );
        }
        Some(Upstream {
            name: self.name.into(),
            provider: self.provider,
            speaks,
            base,
            credentials,
            readiness: if self.missing.is_empty() {
                Readiness::Ready
            } else {
                Readiness::Unconfigured { missing: self.missing }
            },
            region: said.region.clone(),
            fate: said.fate.as_deref().map(Into::into),
            aws_region: said.aws_region.as_deref().filter(|region| !region.is_empty()).map(Into::into),
            api_version: said.api_version.clone(),
            headers,
            probe,
            breaker: settle::breaker(&said.breaker.clone().over(defaults.breaker.clone()), timeouts.ttfb),
            cooldown: settle::cooldown(&said.cooldown.clone().over(defaults.cooldown.clone())),
            pool: settle::pool(&said.pool.clone().over(defaults.pool.clone())),
            timeouts,
            max_inflight,
            concurrency: settle::concurrency(&concurrency, max_inflight),
            tls: UpstreamTls {
                ca_file: said.tls.ca_file.clone(),
                server_name: said.tls.server_name.clone(),
                shown,
            },
            proxy,
            stream_usage: match said.stream_usage {
                None => self.provider.stream_usage,
                Some(StreamUsageName::Ask) => StreamUsage::Ask,
                Some(StreamUsageName::Leave) => StreamUsage::Leave,
            },
            on_hangup: settle::on_hangup(said.on_hangup.or(defaults.on_hangup)),
            simulated: simulated.then(|| settle::simulated(&said.simulated)),
        })
    }

    /// What says something that cannot take effect.
    fn concurrency(&self, merged: &policy::Concurrency, findings: &mut Findings) {
        let path = self.path.key("concurrency");
        let own = &self.said.concurrency;
        if merged.adaptive == Some(false) {
            for (key, given) in [
                ("start", own.start.is_some()),
                ("min", own.min.is_some()),
                ("ttft_rise", own.ttft_rise.is_some()),
            ] {
                if given {
                    let hint = "remove it, or `adaptive: false`; a limit that does not adapt is `max`";
                    findings.warn(&path.key(key), "means nothing where `adaptive` is false", hint);
                }
            }
        }
        if let (Some(min), Some(max)) = (merged.min, merged.max)
            && min > max
            && *own != policy::Concurrency::default()
        {
            findings.warn_at_key(
                &path,
                format!("`min` ({min}) is above `max` ({max})"),
                "`max` holds; lower `min`",
            );
        }
    }

    fn speaks(&self, findings: &mut Findings) -> Vec<Dialect> {
        let named = match &self.said.dialect {
            None => &[][..],
            Some(Dialects::One(one)) => std::slice::from_ref(one),
            Some(Dialects::Several(several)) => several,
        };
        let mut speaks: Vec<Dialect> = Vec::new();
        for dialect in named.iter().filter_map(|name| name.0.parse().ok()) {
            if !speaks.contains(&dialect) {
                speaks.push(dialect);
            }
        }
        if speaks.is_empty() {
            speaks = self.provider.speaks.to_vec();
        }
        let path = self.path.key("dialect");
        if speaks.is_empty() && !findings.touches(&path) {
            findings.error_at_key(
                &self.path,
                format!("`dialect` is missing: provider {} may speak any", self.provider.name),
                "write `dialect: openai`, or whichever the server understands",
            );
        }
        if self.provider.name == "http" && speaks.iter().any(|dialect| *dialect != Dialect::Http) {
            findings.error(
                &path,
                "provider http does not look into what it carries",
                "write `provider: custom` for a server that speaks an AI dialect",
            );
        }
        speaks
    }

    fn base(&mut self, speaks: &[Dialect], findings: &mut Findings) -> Option<BaseUrl> {
        let path = self.path.key("base_url");
        let provider = self.provider;
        let usual = provider.base_url(self.said.aws_region.as_deref().filter(|_| !self.missing_region()));
        let text = match (self.said.base_url.as_deref(), usual.as_deref()) {
            (Some(_), _) if provider.name == "simulated" => {
                findings.error(&path, "provider simulated makes its own address", "remove `base_url`");
                return None;
            }
            (Some(_), _) if !self.gaps(&path).is_empty() => {
                self.missing.extend(self.gaps(&path));
                return Some(nowhere(provider));
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) if provider.base == Base::Made => return Some(nowhere(provider)),
            (None, None) if self.missing_region() => return Some(nowhere(provider)),
            (None, None) => {
                if !findings.touches(&path) {
                    self.homeless(findings);
                }
                return None;
            }
        };
        let base = url::parse(text, provider.base_path)
            .map_err(|refused| findings.error(&path, format!("`{text}` {}", refused.why), refused.hint))
            .ok()?;
        if let Some(operation) = OPERATIONS.iter().find(|end| base.path.ends_with(*end))
            && speaks != [Dialect::Http]
        {
            findings.error(
                &path,
                format!("ends with `{operation}`, which requests bring themselves"),
                "write what the provider's SDK takes as base URL",
            );
        }
        self.is_of_its_cloud(&base, findings);
        Some(base)
    }

    fn headers(&mut self, findings: &mut Findings) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        for (name, value) in &self.said.headers {
            let path = self.path.key("headers").key(name.as_str());
            let Ok(name) = HeaderName::try_from(name) else {
                findings.error_at_key(&path, "is not a header's name", "use letters, digits and `-`");
                continue;
            };
            if RESERVED_HEADERS.contains(&name.as_str()) {
                findings.error_at_key(&path, format!("`{name}` is set by the gateway itself"), "remove it");
                continue;
            }
            let gaps = self.gaps(&path);
            if !gaps.is_empty() {
                self.missing.extend(gaps);
                continue;
            }
            match HeaderValue::try_from(value) {
                Ok(mut value) => {
                    // Headers carry keys too; `Debug` of a sensitive value shows nothing.
                    value.set_sensitive(true);
                    headers.push((name, value));
                }
                Err(_) => {
                    findings.error(
                        &path,
                        "has a character that no header can carry",
                        "check for line breaks",
                    );
                }
            }
        }
        headers
    }

    fn probe(&self, base: &BaseUrl, findings: &mut Findings) -> Option<Probe> {
        let said: policy::Probe = stack([self.said.probe.clone(), self.scene.file.defaults.probe.clone()]);
        let path = self.path.key("probe");
        let models = self.provider.models_path(&base.path);
        let usual = if models.is_some() { ProbeKindName::ListModels } else { ProbeKindName::Tcp };
        // A path alone says that the probe is to ask for it.
        let usual = if said.path.is_some() { ProbeKindName::Http } else { usual };
        let asked = said.path.clone();
        if let Some(asked) = asked.as_deref().filter(|asked| !is_path(asked)) {
            let at = path.key("path");
            let hint = "begin with `/`, without the host";
            findings.error(&at, format!("{asked:?} is not a path"), hint);
        }
        let kind = match said.kind.unwrap_or(usual) {
            ProbeKindName::Off => ProbeKind::Off,
            ProbeKindName::Tcp => ProbeKind::Tcp,
            ProbeKindName::Http => ProbeKind::Http {
                method: Self::method(said.method.as_deref(), &path, findings)?,
                path: asked.unwrap_or_else(|| "/".to_owned()),
                expect: said.expect.as_ref().map_or_else(
                    || PASSING.collect(),
                    |statuses| statuses.iter().map(|status| status.0).collect(),
                ),
            },
            ProbeKindName::ListModels => {
                let Some(path) = asked.or(models) else {
                    findings.error_at_key(
                        &path,
                        format!(
                            "`path` is missing: provider {} has no usual list of models",
                            self.provider.name
                        ),
                        "write `path: /v1/models`, or another kind of probe",
                    );
                    return None;
                };
                ProbeKind::ListModels { path }
            }
        };
        let settings = settle::health(&said);
        for (name, time) in [
            ("interval", settings.interval),
            ("fast_interval", settings.fast_interval),
            ("down_interval", settings.down_interval),
            ("down_max", settings.down_max),
            ("no_traffic_interval", settings.no_traffic_interval),
            ("timeout", settings.timeout),
        ] {
            if time.is_zero() {
                let hint = "leave it out for the default, or write `kind: off` for no probes";
                findings.error_at_key(&path.key(name), format!("`{name}` is no time at all"), hint);
            }
        }
        Some(Probe { kind, settings })
    }

    fn method(said: Option<&str>, path: &Path, findings: &mut Findings) -> Option<Method> {
        match said.unwrap_or("GET") {
            "GET" => Some(Method::GET),
            "HEAD" => Some(Method::HEAD),
            "OPTIONS" => Some(Method::OPTIONS),
            "POST" => Some(Method::POST),
            other => {
                findings.error(
                    &path.key("method"),
                    format!("{other:?} is not a method for a probe"),
                    "write GET, HEAD, OPTIONS or POST",
                );
                None
            }
        }
    }

    fn tls(&self, base: &BaseUrl, findings: &mut Findings) {
        if !base.https && self.missing.is_empty() && self.said.tls != policy::Tls::default() {
            findings.warn_at_key(
                &self.path.key("tls"),
                "has no effect without https",
                "write https in `base_url`",
            );
        }
    }

    fn text(&self, path: &Path) -> Option<&Text> {
        self.scene.root.at(path).and_then(Node::scalar).map(|scalar| &scalar.text)
    }

    /// What the references of this value lack.
    fn gaps(&self, path: &Path) -> Vec<String> {
        match self.text(path) {
            Some(Text::Missing(names)) => names.clone(),
            _ => Vec::new(),
        }
    }
}

/// The address of what has none: RFC 2606 keeps `.invalid` from ever resolving.
fn nowhere(provider: &Provider) -> BaseUrl {
    let path = provider.base_path.to_owned();
    BaseUrl { https: false, host: format!("{}.invalid", provider.name).into(), port: 80, path }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.parse::<http::uri::PathAndQuery>().is_ok()
}
