//! Credentials that are no keys but ways to get one: what Google and Microsoft hand out as JSON, and
//! the identity of the machine itself.
//!
//! Only reads them; `upstream::auth` asks for the tokens. Sources: google.aip.dev/auth/4110 and
//! following, RFC 6749 §4.4 and §6, RFC 7523, learn.microsoft.com "client credentials flow" and
//! "managed identities … to acquire an access token".

use http::Uri;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use crate::vocab::Secret;

/// The credential that stands for the identity of the machine.
pub const METADATA: &str = "metadata";

const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";
const MICROSOFT_LOGIN: &str = "https://login.microsoftonline.com";

/// Whose credentials they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Google,
    Microsoft,
}

/// A way to get a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A service account: its key signs a statement about itself.
    Assertion { email: String, key: Secret, key_id: Option<String>, endpoint: String },
    /// A person who logged in once: `gcloud auth application-default login`.
    Refresh {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        endpoint: String,
        /// Whom the use is counted for.
        project: Option<String>,
    },
    /// An application registered with Entra.
    Client { client_id: String, client_secret: Secret, endpoint: String },
    /// The machine's own identity, from the cloud it runs in.
    Metadata(Cloud),
}

/// Why a credential is no way to get a token. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("is not whole JSON")]
    Json,
    #[error("has no `{0}`")]
    Lacks(&'static str),
    #[error("is of a type other than service_account and authorized_user")]
    Type,
    #[error("has a `private_key` that is not a PEM file")]
    Key,
    #[error("has an address for tokens that is not a URL")]
    Endpoint,
}

impl Grant {
    /// Whether `text` has to be exchanged at all: anything else is a key or a token as it stands.
    pub fn is_one(text: &str) -> bool {
        text == METADATA || text.trim_start().starts_with('{')
    }

    pub fn read(text: &str, cloud: Cloud) -> Result<Self, Unusable> {
        if text == METADATA {
            return Ok(Self::Metadata(cloud));
        }
        let written: Written = serde_json::from_str(text).map_err(|_| Unusable::Json)?;
        match cloud {
            Cloud::Google => written.google(),
            Cloud::Microsoft => written.microsoft(),
        }
    }
}

/// The fields of all of these files.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    quota_project_id: Option<String>,
    tenant_id: Option<String>,
    /// Where another cloud than the public one logs in.
    authority_host: Option<String>,
}

impl Written {
    fn google(self) -> Result<Grant, Unusable> {
        let endpoint = url(self.token_uri.unwrap_or_else(|| GOOGLE_TOKENS.to_owned()))?;
        match self.r#type.as_deref() {
            Some("service_account") => {
                let key = filled(self.private_key, "private_key")?;
                PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Unusable::Key)?;
                Ok(Grant::Assertion {
                    email: filled(self.client_email, "client_email")?,
                    key: Secret::new(key),
                    key_id: self.private_key_id,
                    endpoint,
                })
            }
            Some("authorized_user") => Ok(Grant::Refresh {
                client_id: filled(self.client_id, "client_id")?,
                client_secret: Secret::new(filled(self.client_secret, "client_secret")?),
                refresh_token: Secret::new(filled(self.refresh_token, "refresh_token")?),
                endpoint,
                project: self.quota_project_id,
            }),
            Some(_) => Err(Unusable::Type),
            None => Err(Unusable::Lacks("type")),
        }
    }

    fn microsoft(self) -> Result<Grant, Unusable> {
        let tenant = filled(self.tenant_id, "tenant_id")?;
        let login = self.authority_host.unwrap_or_else(|| MICROSOFT_LOGIN.to_owned());
        Ok(Grant::Client {
            client_id: filled(self.client_id, "client_id")?,
            client_secret: Secret::new(filled(self.client_secret, "client_secret")?),
            endpoint: url(format!("{}/{tenant}/oauth2/v2.0/token", login.trim_end_matches('/')))?,
        })
    }
}

fn filled(field: Option<String>, name: &'static str) -> Result<String, Unusable> {
    field.filter(|text| !text.is_empty()).ok_or(Unusable::Lacks(name))
}

fn url(text: String) -> Result<String, Unusable> {
    let whole = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if whole { Ok(text) } else { Err(Unusable::Endpoint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = r"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

    #[test]
    fn what_the_clouds_hand_out_is_understood() {
        let account = format!(
            r#"{{"type":"service_account","client_email":"a@b","private_key":"{PEM}","private_key_id":"7"}}"#
        );
        let read = Grant::read(&account, Cloud::Google).expect("a service account");
        assert!(
            matches!(&read, Grant::Assertion { email, endpoint, .. } if email == "a@b" && endpoint == GOOGLE_TOKENS)
        );
        assert!(!format!("{read:?}").contains("AAAA"));
        let person = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"}"#;
        let read = Grant::read(person, Cloud::Google).expect("a person");
        assert!(matches!(&read, Grant::Refresh { client_id, project: None, .. } if client_id == "i"));
        let app = r#"{"tenant_id":"t","client_id":"i","client_secret":"s"}"#;
        let read = Grant::read(app, Cloud::Microsoft).expect("an application");
        let there = "https://login.microsoftonline.com/t/oauth2/v2.0/token";
        assert!(matches!(&read, Grant::Client { endpoint, .. } if endpoint == there));
        assert_eq!(Grant::read(METADATA, Cloud::Google), Ok(Grant::Metadata(Cloud::Google)));
    }

    #[test]
    fn what_cannot_be_used_says_what_is_wrong_with_it() {
        let check = |text: &str, cloud, why| assert_eq!(Grant::read(text, cloud), Err(why), "{text}");
        check("{", Cloud::Google, Unusable::Json);
        check("{}", Cloud::Google, Unusable::Lacks("type"));
        check(r#"{"type":"external_account"}"#, Cloud::Google, Unusable::Type);
        check(r#"{"type":"service_account"}"#, Cloud::Google, Unusable::Lacks("private_key"));
        check(r#"{"type":"service_account","private_key":"x"}"#, Cloud::Google, Unusable::Key);
        check(r#"{"type":"authorized_user","token_uri":"x"}"#, Cloud::Google, Unusable::Endpoint);
        check(r#"{"client_id":"i"}"#, Cloud::Microsoft, Unusable::Lacks("tenant_id"));
        check(r#"{"tenant_id":"t","client_id":""}"#, Cloud::Microsoft, Unusable::Lacks("client_id"));
        let blank = r#"{"tenant_id":"a b","client_id":"i","client_secret":"s"}"#;
        check(blank, Cloud::Microsoft, Unusable::Endpoint);
    }

    #[test]
    fn keys_and_tokens_are_sent_as_they_stand() {
        assert!(Grant::is_one(METADATA) && Grant::is_one(" {}"));
        for key in ["ya29.a0", "eyJhbGci", "0123abcd", ""] {
            assert!(!Grant::is_one(key), "{key}");
        }
    }
}
