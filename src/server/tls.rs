//! The listener's certificate: read from its files, and read again when they change.
//!
//! New connections get the new certificate, open ones keep theirs. Files that cannot be used leave the
//! old certificate in place; an expired but served certificate can be renewed without a restart.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::config::ServerTls;

/// Certificate chains and keys are a few KiB.
const FILE_MAX: u64 = 1 << 20;

pub struct Certificate {
    files: ServerTls,
    current: ArcSwap<ServerConfig>,
    /// Of the files' contents that were last looked at, usable or not.
    seen: Mutex<[u8; 32]>,
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
    pub fn load(files: &ServerTls) -> Result<Self, Unusable> {
        let (chain, key) = (read(&files.cert)?, read(&files.key)?);
        let config = build(files, &chain, &key)?;
        let seen = Mutex::new(digest(&chain, &key));
        Ok(Self { files: files.clone(), current: ArcSwap::new(config), seen })
    }

    /// Looks whether the files have changed; `Ok(true)` when another certificate is now in use.
    pub fn refresh(&self) -> Result<bool, Unusable> {
        let (chain, key) = (read(&self.files.cert)?, read(&self.files.key)?);
        let digest = digest(&chain, &key);
        if std::mem::replace(&mut *self.seen.lock(), digest) == digest {
            return Ok(false);
        }
        self.current.store(build(&self.files, &chain, &key)?);
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
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

fn digest(chain: &[u8], key: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((chain.len() as u64).to_be_bytes());
    hash.update(chain);
    hash.update(key);
    hash.finalize().into()
}

fn build(files: &ServerTls, chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, Unusable> {
    let (cert_path, key_path) = (files.cert.display().to_string(), files.key.display().to_string());
    let not_pem = |path: &str, what, why: String| Unusable::NotPem { path: path.to_owned(), what, why };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(&cert_path, "certificates", error.to_string()))?;
    if chain.is_empty() {
        return Err(not_pem(&cert_path, "certificates", "it holds none".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| not_pem(&key_path, "a private key", error.to_string()))?;
    let mismatch =
        |error: rustls::Error| Unusable::Mismatch { cert: cert_path, key: key_path, why: error.to_string() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str) -> ServerTls {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        let files = ServerTls { cert: directory.join("tls.crt"), key: directory.join("tls.key") };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = write(directory.path(), "a.example");
        let certificate = Certificate::load(&files).expect("usable files");
        let first = certificate.current.load_full();
        assert_eq!(certificate.refresh(), Ok(false));

        write(directory.path(), "b.example");
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
        let mixed = ServerTls { key: write(other.path(), "b").key, ..write(one.path(), "a") };
        assert!(matches!(Certificate::load(&mixed), Err(Unusable::Mismatch { .. })));
    }
}
