//! What only the clouds have: regions, versions of their paths, addresses with a project in them.

use super::Case;
use crate::algo::sigv4::Keys;
use crate::config::blueprint::{BaseUrl, Credential};
use crate::config::problem::Findings;
use crate::dialect::Dialect;
use crate::dialect::provider::{Auth, Base, Paths, aws_region};

impl Case<'_> {
    /// `aws_region` leads nowhere for now; noted as what keeps the upstream from being used.
    pub(super) fn missing_region(&mut self) -> bool {
        let gaps = self.gaps(&self.path.key("aws_region"));
        let gone = !gaps.is_empty();
        for gap in gaps {
            if !self.missing.contains(&gap) {
                self.missing.push(gap);
            }
        }
        gone
    }

    /// Says what an address of this provider looks like.
    pub(super) fn homeless(&self, findings: &mut Findings) {
        let name = self.provider.name;
        let (message, hint) = match self.provider.base {
            Base::InRegion(pattern) => (
                format!("`aws_region` is missing: provider {name} has an address for each region"),
                format!("write `aws_region: us-east-1`, or a `base_url` like {pattern}"),
            ),
            Base::Like(example) => (
                format!("`base_url` is missing: provider {name} has no address of its own"),
                format!("write one like `base_url: {example}`, what the provider's SDK takes as base URL"),
            ),
            Base::At(_) | Base::Made => return,
        };
        findings.error_at_key(&self.path, message, hint);
    }

    /// A base URL that the vendor's paths can follow.
    pub(super) fn is_of_its_cloud(&self, base: &BaseUrl, findings: &mut Findings) {
        let path = self.path.key("base_url");
        match self.provider.paths {
            Paths::Vertex if !(base.path.contains("/projects/") && base.path.contains("/locations/")) => {
                let Base::Like(example) = self.provider.base else { return };
                let hint = format!("write one like {example}");
                findings.error(
                    &path,
                    "names no project and location, below which Vertex has its models",
                    hint,
                );
            }
            Paths::AzureLegacy if base.path.ends_with("/v1") => {
                let hint = "write `provider: azure`, or cut the path off";
                findings.error(&path, "is that of the v1 API, which azure-legacy does not speak", hint);
            }
            Paths::Vertex | Paths::AzureLegacy | Paths::Dialect | Paths::Bases(_) => {}
        }
    }

    /// `aws_region` and `api_version`: where they mean something, and where one is needed.
    pub(super) fn cloud_settings(
        &self,
        speaks: &[Dialect],
        base: Option<&BaseUrl>,
        credentials: &[Credential],
        findings: &mut Findings,
    ) {
        let provider = self.provider;
        let signs = speaks.iter().any(|dialect| matches!(provider.auth_in(*dialect), Auth::Aws(_)));
        let regional = signs || matches!(provider.base, Base::InRegion(_));
        let path = self.path.key("aws_region");
        match &self.said.aws_region {
            Some(_) if !regional => findings.error_at_key(
                &path,
                format!("means nothing for provider {}", provider.name),
                "remove it; `region` is a label for people",
            ),
            Some(region) if !region.is_empty() && !is_word(region) => {
                findings.error(&path, format!("{region:?} is not a region"), "write one like us-east-1");
            }
            Some(_) => {}
            None => {
                let pair = credentials.iter().find(|key| Keys::parse(key.secret.expose()).is_some());
                let known = base.is_none_or(|base| aws_region(&base.host).is_some());
                if let Some(pair) = pair.filter(|_| signs && !known) {
                    findings.error_at_key(
                        &self.path,
                        format!(
                            "`aws_region` is missing: {} signs requests, and the address names no region",
                            pair.alias
                        ),
                        "write `aws_region: us-east-1`, or whichever it is",
                    );
                }
            }
        }
        if let Some(version) = &self.said.api_version {
            let path = self.path.key("api_version");
            if provider.paths != Paths::AzureLegacy {
                let hint = "remove it, or write `provider: azure-legacy`";
                findings.error_at_key(&path, format!("means nothing for provider {}", provider.name), hint);
            } else if !is_word(version) {
                findings.error(&path, format!("{version:?} is not a version"), "write one like 2024-10-21");
            }
        }
    }
}

/// What can stand in a host's name or a query as it is.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
