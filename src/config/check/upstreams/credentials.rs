//! An upstream's API keys: which there are, and which are missing.

use std::fmt::Write as _;

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::Case;
use crate::config::blueprint::Credential;
use crate::config::file;
use crate::config::problem::Findings;
use crate::config::tree::Text;
use crate::dialect::provider::Auth;
use crate::dialect::provider::grant::{Cloud, Grant, METADATA};
use crate::vocab::Secret;

impl Case<'_> {
    pub(super) fn credentials(&mut self, findings: &mut Findings) -> Vec<Credential> {
        let Some(listed) = &self.said.credentials else { return self.usual_credential() };
        let list = self.path.key("credentials");
        let mut found: Vec<Credential> = Vec::new();
        let mut gaps = Vec::new();
        for (index, said) in listed.iter().enumerate() {
            let (text, group, path) = match said {
                file::Credential::Key(text) => (Some(text), None, list.index(index)),
                file::Credential::Grouped(grouped) => {
                    (grouped.key.as_ref(), grouped.quota_group.as_deref(), list.index(index).key("key"))
                }
            };
            let Some(text) = text else { continue };
            if text.is_empty() {
                let named = self.gaps(&path);
                gaps.extend(if named.is_empty() { vec![path.to_string()] } else { named });
                continue;
            }
            if let Some(cloud) = self.cloud().filter(|_| Grant::is_one(text)) {
                if let Err(why) = Grant::read(text, cloud) {
                    findings.error(&path, format!("the credential {why}"), grant_hint(cloud));
                    continue;
                }
            } else if HeaderValue::from_str(text).is_err() || text.contains(char::is_whitespace) {
                findings.error(
                    &path,
                    "the key has a blank, a line break or a character that no header can carry",
                    "check how it got into the environment or the file; the key itself is not shown",
                );
                continue;
            }
            if self.text(&path) == Some(&Text::AsWritten) && text != METADATA {
                findings.warn(
                    &path,
                    "a key stands here in clear text",
                    "keep it in the environment (`${NAME}`) or in a file (`file:/path`)",
                );
            }
            let credential = self.credential(index, text, group);
            if let Some(same) = found.iter().find(|other| other.fingerprint == credential.fingerprint) {
                findings.error(&path, format!("the same key as {}", same.alias), "remove one of them");
                continue;
            }
            found.push(credential);
        }
        if found.is_empty() && !listed.is_empty() {
            self.missing.extend(gaps);
        }
        found
    }

    /// Whose credentials may have to be exchanged for a token.
    fn cloud(&self) -> Option<Cloud> {
        match self.provider.auth {
            Auth::Google => Some(Cloud::Google),
            Auth::Azure(_) => Some(Cloud::Microsoft),
            Auth::None | Auth::Bearer | Auth::Header(_) | Auth::Query(_) | Auth::Aws(_) => None,
        }
    }

    /// Without `credentials:`, the variable where the provider's users keep their key, but only for
    /// the provider's own address: a key is never sent anywhere else unasked.
    fn usual_credential(&mut self) -> Vec<Credential> {
        let Some(variable) = self.provider.key_env.filter(|_| self.said.base_url.is_none()) else {
            return Vec::new();
        };
        let usable =
            |text: &String| HeaderValue::from_str(text).is_ok() && !text.contains(char::is_whitespace);
        if let Some(text) = self.scene.env.var(variable).filter(|text| !text.is_empty()).filter(usable) {
            return vec![self.credential(0, &text, None)];
        }
        self.missing.push(variable.to_owned());
        Vec::new()
    }

    fn credential(&self, index: usize, text: &str, group: Option<&str>) -> Credential {
        Credential {
            alias: format!("{}#{}", self.name, index + 1),
            secret: Secret::new(text),
            fingerprint: short_hash(text),
            quota_group: group.map(Into::into),
        }
    }
}

fn grant_hint(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Google => {
            "use a service account's JSON, an authorized_user's, a plain access token, or `metadata`"
        }
        Cloud::Microsoft => {
            "write {\"tenant_id\": ..., \"client_id\": ..., \"client_secret\": ...}, a plain key, or `metadata`"
        }
    }
}

/// First 12 hex digits of the SHA-256.
pub(in crate::config) fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(6).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
