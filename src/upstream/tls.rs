//! TLS towards upstreams: which roots are trusted, which certificate is shown, which protocols are offered, and the
//! handshake.
//!
//! aws-lc-rs is named explicitly, so nothing depends on a process-wide default provider. Reads no file:
//! the caller brings the texts of a `ca_file` and of a client certificate.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;

use super::dial::Socket;
use super::target::Target;
use crate::config::Http2;

const H1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";

/// Whose signature makes a peer's certificate good.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// The machine's own store.
    System,
    /// These certificates and no others, as PEM text.
    Pem(&'a [u8]),
}

/// Why no TLS settings can be made.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("the system has no usable root certificate: {0}")]
    System(String),
    #[error("not a PEM file of certificates: {0}")]
    Pem(String),
    #[error("not a PEM file of a private key: {0}")]
    Key(String),
    #[error("{0}")]
    Provider(#[from] rustls::Error),
}

impl Roots<'_> {
    /// Settings to be shared by all upstreams that trust the same roots: they share the memory of
    /// resumable sessions too.
    pub fn client_config(self) -> Result<Arc<ClientConfig>, RootsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.store()?)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// The same for one upstream that is shown a certificate: its chain and its key, as PEM text.
    pub fn showing(self, chain: &[u8], key: &[u8]) -> Result<Arc<ClientConfig>, RootsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.store()?);
        let not_pem = |error: pem::Error| RootsError::Pem(error.to_string());
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(not_pem)?;
        if chain.is_empty() {
            return Err(RootsError::Pem("it holds no certificate".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| RootsError::Key(error.to_string()))?;
        Ok(Arc::new(builder.with_client_auth_cert(chain, key)?))
    }

    /// All of them.
    pub fn store(self) -> Result<RootCertStore, RootsError> {
        let mut store = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    let reason =
                        found.errors.first().map_or_else(|| "none found".into(), ToString::to_string);
                    return Err(RootsError::System(reason));
                }
            }
            Self::Pem(text) => {
                for certificate in CertificateDer::pem_slice_iter(text) {
                    let certificate = certificate.map_err(|error| RootsError::Pem(error.to_string()))?;
                    store.add(certificate).map_err(|error| RootsError::Pem(error.to_string()))?;
                }
                if store.is_empty() {
                    return Err(RootsError::Pem("it holds no certificate".into()));
                }
            }
        }
        Ok(store)
    }
}

/// Which protocols a connection may turn out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// What the target's settings say.
    Configured,
    /// Only HTTP/1.1: the request wants to switch protocols, which HTTP/2 cannot.
    Http1,
}

/// What a connection does speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A target's TLS settings, one per [`Offer`], made once.
pub(super) struct Tls {
    configured: TlsConnector,
    http1: TlsConnector,
    name: Result<ServerName<'static>, String>,
}

impl Tls {
    pub(super) fn new(target: &Target) -> Option<Self> {
        let shared = target.tls.as_ref()?;
        let offering = |protocols: &[&[u8]]| {
            let mut config = ClientConfig::clone(shared);
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        let configured = match target.http2 {
            Http2::Auto => offering(&[H2, H1]),
            Http2::Never => offering(&[H1]),
            Http2::PriorKnowledge => offering(&[H2]),
        };
        let name = target.server_name.as_ref().unwrap_or(&target.host);
        let name = ServerName::try_from(name.to_string()).map_err(|_| format!("{name} is not a server name"));
        Some(Self { configured, http1: offering(&[H1]), name })
    }

    /// The handshake. It has no time limit of its own. Errors are text for people.
    pub(super) async fn handshake(
        &self,
        socket: Box<dyn Socket>,
        offer: Offer,
    ) -> Result<(Box<dyn Socket>, Protocol), String> {
        let name = self.name.clone()?;
        let connector = match offer {
            Offer::Configured => &self.configured,
            Offer::Http1 => &self.http1,
        };
        let stream = connector.connect(name, socket).await.map_err(|error| error.to_string())?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(H2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Box::new(stream), protocol))
    }
}
