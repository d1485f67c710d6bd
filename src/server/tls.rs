//! A listener's certificate: read from its files, and read again when they change. The admin side's may ask operators
//! for certificates of their own; who has none may still come with a token.
//!
//! New connections get the new certificate, open ones keep theirs. Files that cannot be used leave the
//! old certificate in place; an expired but served certificate can be renewed without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use super::certified;
use crate::config::ServerTls;

/// Certificate chains and keys are a few KiB.
const FILE_MAX: u64 = 1 << 20;

/// What a listener's TLS is made of.
#[derive(Clone, Debug)]
pub struct Files {
    pub own: ServerTls,
    pub listener: Listener,
}

/// Which listener it is.
#[derive(Clone, Debug)]
pub enum Listener {
    Callers,
    Operators {
        /// The roots of operators' certificates; they are not asked for any without it.
        client_ca: Option<PathBuf>,
    },
}

pub struct Certificate {
    files: Files,
    current: ArcSwap<Shown>,
    /// Of the files' contents that were last looked at, usable or not.
    seen: Mutex<[u8; 32]>,
}

/// What new connections get.
struct Shown {
    config: Arc<ServerConfig>,
    /// When the first of its chain does not hold any more, since the Unix epoch.
    ends: Duration,
}

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("cannot read {path}: {why}")]
    Unreadable { path: String, why: String },
    #[error("{path} is not a PEM file of {what}: {why}")]
    NotPem { path: String, what: &'static str, why: String },
    #[error("{cert} and {key} do not make a certificate: {why}")]
    Mismatch { cert: String, key: String, why: String },
}

impl Certificate {
    pub fn load(files: Files) -> Result<Self, Unusable> {
        let texts = files.read()?;
        let current = ArcSwap::from_pointee(build(&files, &texts)?);
        Ok(Self { files, current, seen: Mutex::new(texts.digest()) })
    }

    /// Looks whether the files have changed; `Ok(true)` when another certificate is now in use.
    pub fn refresh(&self) -> Result<bool, Unusable> {
        let texts = self.files.read()?;
        let digest = texts.digest();
        if std::mem::replace(&mut *self.seen.lock(), digest) == digest {
            return Ok(false);
        }
        self.current.store(Arc::new(build(&self.files, &texts)?));
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }

    /// When what is shown does not hold any more, since the Unix epoch.
    pub(super) fn ends(&self) -> Duration {
        self.current.load().ends
    }

    /// Which listener it is of, in a word.
    pub(super) const fn listener(&self) -> &'static str {
        match self.files.listener {
            Listener::Callers => "callers",
            Listener::Operators { .. } => "operators",
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    let unreadable = |why: String| Unusable::Unreadable { path: path.display().to_string(), why };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_MAX {
        return Err(unreadable(format!("larger than {FILE_MAX} bytes")));
    }
    std::fs::read(path).map_err(|error| unreadable(error.to_string()))
}

/// What is in the files.
struct Texts {
    chain: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(&self) -> Result<Texts, Unusable> {
        let client_ca = match &self.listener {
            Listener::Callers => None,
            Listener::Operators { client_ca } => client_ca.as_deref().map(read).transpose()?,
        };
        Ok(Texts { chain: read(&self.own.cert)?, key: read(&self.own.key)?, client_ca })
    }
}

impl Texts {
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in [&self.chain, &self.key].into_iter().chain(&self.client_ca) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

fn build(files: &Files, texts: &Texts) -> Result<Shown, Unusable> {
    let own = &files.own;
    let chain = certificates(&own.cert, &texts.chain)?;
    let ends = chain.iter().filter_map(certified::ends).min().unwrap_or_default();
    let key = PrivateKeyDer::from_pem_slice(&texts.key)
        .map_err(|error| not_pem(&own.key, "a private key", error.to_string()))?;
    let mismatch = |error: rustls::Error| Unusable::Mismatch {
        cert: own.cert.display().to_string(),
        key: own.key.display().to_string(),
        why: error.to_string(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = versions.map_err(mismatch)?;
    let (builder, protocols): (_, &[&[u8]]) = match &files.listener {
        Listener::Callers => (builder.with_no_client_auth(), &[b"h2", b"http/1.1"]),
        Listener::Operators { client_ca } => {
            let builder = match client_ca.as_deref().zip(texts.client_ca.as_deref()) {
                None => builder.with_no_client_auth(),
                Some((path, text)) => {
                    let verifier = WebPkiClientVerifier::builder_with_provider(roots(path, text)?, provider);
                    let verifier = verifier.allow_unauthenticated().build();
                    let verifier = verifier.map_err(|error| not_pem(path, "roots", error.to_string()))?;
                    builder.with_client_cert_verifier(verifier)
                }
            };
            (builder, &[b"http/1.1"])
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(mismatch)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    if let Listener::Operators { .. } = files.listener {
        // A session that is taken up again would outlast the certificate that it was begun with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Shown { config: Arc::new(config), ends })
}

fn not_pem(path: &Path, what: &'static str, why: String) -> Unusable {
    Unusable::NotPem { path: path.display().to_string(), what, why }
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(path, "certificates", error.to_string()))?;
    if chain.is_empty() { Err(not_pem(path, "certificates", "it holds none".to_owned())) } else { Ok(chain) }
}

fn roots(path: &Path, text: &[u8]) -> Result<Arc<RootCertStore>, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, text)? {
        roots.add(certificate).map_err(|error| not_pem(path, "roots", error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that ends when the year begins.
    pub fn write(directory: &Path, name: &str, year: i32) -> ServerTls {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let files = ServerTls { cert: directory.join("tls.crt"), key: directory.join("tls.key") };
        std::fs::write(&files.cert, made.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    pub fn of_callers(files: &ServerTls) -> Files {
        Files { own: files.clone(), listener: Listener::Callers }
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(directory.path(), "a.example", 2040);
        let certificate = Certificate::load(of_callers(&files)).expect("usable files");
        let first = certificate.current.load_full();
        assert_eq!(certificate.refresh(), Ok(false));

        write(directory.path(), "b.example", 2040);
        assert_eq!(certificate.refresh(), Ok(true));
        let second = certificate.current.load_full();
        assert!(!Arc::ptr_eq(&first, &second));

        std::fs::write(&files.key, "half a k").unwrap();
        assert!(matches!(certificate.refresh(), Err(Unusable::NotPem { .. })));
        assert!(Arc::ptr_eq(&second, &certificate.current.load_full()));
        assert_eq!(certificate.refresh(), Ok(false), "said once");
        std::fs::remove_file(&files.cert).unwrap();
        assert!(matches!(certificate.refresh(), Err(Unusable::Unreadable { .. })));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mixed = ServerTls { key: write(other.path(), "b", 2040).key, ..write(one.path(), "a", 2040) };
        assert!(matches!(Certificate::load(of_callers(&mixed)), Err(Unusable::Mismatch { .. })));
    }
}
