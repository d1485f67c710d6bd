//! Whether an idle connection is as its last exchange left it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::super::dial::Socket;

/// As far as the runtime knows, the peer has neither closed nor spoken. Nobody is woken for it later.
pub(super) fn seems_quiet(socket: &mut Box<dyn Socket>) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let mut byte = ReadBuf::uninit(&mut byte);
    Pin::new(socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut byte).is_pending()
}

/// The kernel knows of nothing either: the runtime knows only what its driver has seen, and that may be
/// older than the peer's FIN. Streams without a kernel's socket pass.
pub(super) fn is_quiet(socket: &dyn Socket) -> bool {
    let socket = socket.as_any();
    if let Some(tcp) = socket.downcast_ref::<TcpStream>() {
        matches!(peek(tcp), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    } else if let Some(tls) = socket.downcast_ref::<TlsStream<Box<dyn Socket>>>() {
        // A TLS peer may send at any time what is not data, such as a session ticket.
        match tls.get_ref().0.as_any().downcast_ref::<TcpStream>().map(peek) {
            Some(Ok(n)) => n > 0,
            Some(Err(error)) => error.kind() == io::ErrorKind::WouldBlock,
            None => true,
        }
    } else {
        true
    }
}

fn peek(tcp: &TcpStream) -> io::Result<usize> {
    SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()])
}
