//! Opening a byte stream to a target: names to addresses, addresses to a connected socket.
//!
//! Every dial asks the resolver again, so a moved name is followed as soon as a new connection is
//! needed; the pool's `max_lifetime` sees to it that one is. No TLS and no time limit here: both are
//! the pool's, so that an in-memory dialer gets them too.
//! Source of the address race: RFC 8305 (Happy Eyeballs 2), sections 4 and 5.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::lookup;
use super::target::Target;
use crate::vocab::Fault;

/// Head start of each address over the next (RFC 8305 §5 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried in one dial; the rest of a long answer is for the next dial.
const MAX_ADDRESSES: usize = 8;
/// Kernel keep-alive, so that a peer that vanished without a word frees its socket within two minutes
/// even where nothing is sent (long streams): first probe, gap, number of probes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_mins(1), Duration::from_secs(15), 4);

/// A connected byte stream.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The concrete stream, for what only some streams can tell.
    fn as_any(&self) -> &dyn Any;
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Socket for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The future of a dial.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Box<dyn Socket>, DialError>> + Send>>;

/// The future of a resolution.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How a pool gets its sockets. Dropping the future abandons the dial.
pub trait Dial: Send + Sync + 'static {
    fn dial(&self, target: Arc<Target>) -> Dialing;

    /// The addresses of a name, for whoever has to look at them before anything is dialled: a target whose
    /// host is an address is not resolved again. The system's resolver, unless a dialer has names of its own.
    fn resolve(&self, name: &str, port: u16) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move { lookup::other(&name, port).await })
    }
}

/// Why there is no socket: `Fault::Dns`, `Fault::Connect`, `Fault::ConnectTimeout`, or `Fault::PoolFull` where it is
/// our own lack.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct DialError {
    pub fault: Fault,
    pub detail: String,
}

/// TCP, with the system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    fn dial(&self, target: Arc<Target>) -> Dialing {
        Box::pin(async move {
            let addresses = resolve(&target).await?;
            let stream = race(addresses).await.map_err(|error| connect_error(&target, &error))?;
            tune(&stream).map_err(|error| connect_error(&target, &error))?;
            Ok(Box::new(stream) as Box<dyn Socket>)
        })
    }
}

async fn resolve(target: &Target) -> Result<VecDeque<SocketAddr>, DialError> {
    let failed = |reason: String| DialError {
        fault: Fault::Dns,
        detail: format!("cannot resolve {}: {reason}", target.host),
    };
    let found = if let Ok(address) = target.host.parse::<IpAddr>() {
        Arc::from([SocketAddr::new(address, target.port)])
    } else {
        let found = target.lookup.find(&target.host, target.port).await;
        found.map_err(|why| failed(why.to_string()))?
    };
    let addresses = interleave(found.iter().copied());
    if addresses.is_empty() { Err(failed("no address".into())) } else { Ok(addresses) }
}

/// The resolver's order, with the two families taking turns (RFC 8305 §4).
fn interleave(found: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let found: Vec<SocketAddr> = found.collect();
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut order = VecDeque::with_capacity(MAX_ADDRESSES);
    while order.len() < MAX_ADDRESSES && !(first.is_empty() && second.is_empty()) {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order.truncate(MAX_ADDRESSES);
    order
}

/// The first address that answers. A failed one lets the next start at once, a slow one after
/// [`HEAD_START`]. The losers are dropped, which closes them.
async fn race(mut waiting: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    // A single address, the usual case behind one name, needs no task.
    if waiting.len() == 1
        && let Some(only) = waiting.pop_front()
    {
        return TcpStream::connect(only).await;
    }
    let mut running = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    loop {
        if let Some(address) = waiting.pop_front() {
            running.spawn(TcpStream::connect(address));
        } else if running.is_empty() {
            return Err(last);
        }
        let head_start = if waiting.is_empty() { Duration::MAX } else { HEAD_START };
        match tokio::time::timeout(head_start, running.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Whether it says nothing of the other side: this process, or the machine, has no file, memory or port left for it.
fn is_our_own(error: &io::Error) -> bool {
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|error| own.contains(&error))
}

fn connect_error(target: &Target, error: &io::Error) -> DialError {
    let fault = match error.kind() {
        io::ErrorKind::TimedOut => Fault::ConnectTimeout,
        _ if is_our_own(error) => Fault::PoolFull,
        _ => Fault::Connect,
    };
    DialError { fault, detail: format!("cannot connect to {}: {error}", target.shown()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Http2;
    use crate::upstream::tests::plain;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| a.parse().expect("an address")).collect()
    }

    #[test]
    fn the_families_take_turns_and_the_resolvers_first_stays_first() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let expected = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(found.into_iter()), expected);
    }

    #[test]
    fn a_long_answer_is_cut() {
        let found = (1..=40_u16).map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        assert_eq!(interleave(found).len(), MAX_ADDRESSES);
    }

    #[test]
    fn no_upstream_is_blamed_for_what_we_lack_ourselves() {
        let target = plain("up", 80, Http2::Auto);
        for (error, fault) in [
            (Errno::MFILE, Fault::PoolFull),
            (Errno::ADDRNOTAVAIL, Fault::PoolFull),
            (Errno::CONNREFUSED, Fault::Connect),
            (Errno::TIMEDOUT, Fault::ConnectTimeout),
        ] {
            assert_eq!(connect_error(&target, &error.into()).fault, fault, "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hold_up_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let stream = race([closed, open].into()).await.expect("the second address answers");
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = race([closed, closed].into()).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
