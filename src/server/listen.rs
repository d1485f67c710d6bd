//! Takes in callers' connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::connection;
use super::front::Front;
use super::lifecycle::Stage;
use super::tasks::Tasks;
use super::tls::Certificate;

/// Pause after an accept that failed for a reason of ours, such as too many open files.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// The kernel's own look after callers who vanished: first probe, gap, number of probes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_mins(1), Duration::from_secs(15), 4);

/// Binds `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Goes on with a socket that listens already.
pub fn on(held: std::net::TcpListener) -> io::Result<TcpListener> {
    held.set_nonblocking(true)?;
    TcpListener::from_std(held)
}

/// Accepts until the process is closing. Beyond `max_connections`, callers wait in the kernel's backlog until one that
/// is idle has ended for them.
pub async fn accept(front: Arc<Front>, listener: TcpListener, certificate: Option<Arc<Certificate>>) {
    let mut closing = Box::pin(front.lifecycle.reached(Stage::Closing));
    let mut failing = false;
    loop {
        // An accept that loses takes nothing from the backlog.
        let accepted = tokio::select! {
            () = &mut closing => return,
            accepted = async { front.has_room().await; listener.accept().await } => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                admit(&front, stream, peer.ip(), certificate.clone());
            }
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "cannot accept connections");
                }
                failing = true;
                sleep(PAUSE).await;
            }
        }
    }
}

fn admit(front: &Arc<Front>, stream: TcpStream, from: IpAddr, certificate: Option<Arc<Certificate>>) {
    tune(&stream);
    let place = front.take_place();
    let front = Arc::clone(front);
    match certificate {
        None => Tasks::spawn_connection(connection::serve(front, stream, Some(from), Some(place))),
        Some(certificate) => Tasks::spawn_connection(async move {
            let limit = front.gateway.snapshot().table.server.timeouts.header_read;
            match timeout(limit, certificate.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => connection::serve(front, stream, Some(from), Some(place)).await,
                Ok(Err(error)) => tracing::debug!(%error, "a caller's TLS handshake failed"),
                Err(_) => tracing::debug!("a caller's TLS handshake took too long"),
            }
        }),
    }
}

/// As connections that are taken in are to be.
pub(super) fn tune(stream: &TcpStream) {
    // Both only make things better; a socket that refuses them is dying and will say so.
    let _ = stream.set_nodelay(true);
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// The caller was gone before we took it in.
pub(super) fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
