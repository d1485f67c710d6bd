//! TLS to PostgreSQL, on the rustls that is there anyway.
//!
//! Certificates and names are always checked: `sslmode=require` means here what libpq calls `verify-full`. There is no
//! channel binding: the certificate says who the server is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

/// Makes connections to whoever the roots vouch for. Without roots there are none.
#[derive(Clone)]
pub struct Tls(Option<TlsConnector>);

impl Tls {
    pub fn new(trusted: Option<Arc<ClientConfig>>) -> Self {
        Self(trusted.map(TlsConnector::from))
    }
}

/// To one server, or why there is no way to it.
pub struct Towards(Result<(TlsConnector, ServerName<'static>), String>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Stream<S>;
    type TlsConnect = Towards;
    type Error = io::Error;

    /// Asked for where there is to be no TLS, too, so that what is missing is said by `connect`.
    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Towards> {
        let name = ServerName::try_from(domain.to_owned()).map_err(|_| format!("{domain} is no server name"));
        let connector = self.0.clone().ok_or_else(|| "there are no roots to trust".to_owned());
        Ok(Towards(connector.and_then(|connector| Ok((connector, name?)))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Towards {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let (connector, name) = self.0.map_err(io::Error::other)?;
            connector.connect(name, stream).await.map(Stream)
        })
    }
}

pub struct Stream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
