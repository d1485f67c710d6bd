//! What a command proves itself with at a gateway's admin side, and by what it knows that gateway.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::upstream::Roots;
use crate::vocab::Secret;

/// A token, a certificate, both or nothing.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub token: Option<Secret>,
    /// The certificate chain and the private key of an operator, as PEM.
    pub own: Option<(Vec<u8>, Secret)>,
    /// The gateway's own certificate, as PEM, where its file is at hand; the system's roots vouch for it elsewhere.
    pub known: Option<Vec<u8>>,
}

impl From<Secret> for Proof {
    fn from(token: Secret) -> Self {
        Self { token: Some(token), ..Self::default() }
    }
}

impl Proof {
    /// As [`Proof`] with the certificate in these two files.
    pub fn with_certificate(mut self, cert: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        self.own = Some((read(cert)?.into_bytes(), Secret::new(read(key)?)));
        Ok(self)
    }

    /// How a connection by TLS is made.
    pub(super) fn tls(&self) -> anyhow::Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = match &self.known {
            Some(pem) => {
                let certificate =
                    CertificateDer::from_pem_slice(pem).context("the gateway's own certificate")?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(TheOne { certificate, provider }))
            }
            None => builder.with_root_certificates(Roots::System.store()?),
        };
        let Some((cert, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
        let key =
            PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).context("the operator's private key")?;
        Ok(builder.with_client_auth_cert(chain.context("the operator's certificate")?, key)?)
    }
}

/// Takes the gateway whose certificate is in its file, and no other. Whom that certificate is from, and what names are
/// in it, makes no difference then.
#[derive(Debug)]
struct TheOne {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TheOne {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
