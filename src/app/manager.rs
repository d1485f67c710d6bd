//! What a service manager gives this process and is told by it: sockets that it holds for us, and how far along we are
//! (systemd's socket activation and sd_notify(3)). Without one all of it does nothing.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::sleep;

/// Behind a drain's patience: goodbyes, the last rows (docs/operating.md).
const LAST: Duration = Duration::from_secs(20);

/// Sockets that listen already, and go on when this process ends. Whoever connects in between waits in the kernel's backlog.
#[derive(Debug, Default)]
pub struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// Those that this process was started with. To be called once, before there is any other thread.
    ///
    /// # Errors
    /// One of them does not listen for TCP connections.
    pub fn inherited() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for place in 0..given.len() {
            sockets.extend(given.take_tcp_listener(place)?);
        }
        Ok(Self(sockets))
    }

    /// The one at `address`, which is as public as this and no more.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_it = |socket: &TcpListener| socket.local_addr().is_ok_and(|held| is_same(held, address));
        self.0.iter().position(is_it).map(|place| self.0.swap_remove(place))
    }

    /// Where those listen that nobody has taken.
    pub(super) fn left(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok())
    }
}

/// `[::]` takes connections by IPv4 as well, and is what systemd makes of a bare port.
fn is_same(held: SocketAddr, wanted: SocketAddr) -> bool {
    let is_any = |ip: IpAddr| ip.is_unspecified();
    held.port() == wanted.port() && (held.ip() == wanted.ip() || is_any(held.ip()) && is_any(wanted.ip()))
}

/// Callers are served; `status` is for people.
pub fn serving(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn reloading() {
    let began = NotifyState::monotonic_usec_now();
    tell(&[NotifyState::Reloading].into_iter().chain(began.ok()).collect::<Vec<_>>());
}

pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// No longer than `patience` until all requests have ended: the manager has to wait that long.
pub(super) fn leaving(patience: Duration) {
    // `ExtendTimeoutUsec` ends at 71 minutes.
    let whole = format!("EXTEND_TIMEOUT_USEC={}", (patience + LAST).as_micros());
    let status = NotifyState::Status("draining: requests under way are finished");
    tell(&[NotifyState::Stopping, NotifyState::Custom(&whole), status]);
}

/// Says that this process lives for as long as it is polled, as often as the manager's watchdog wants to hear it.
pub(super) async fn alive() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        tell(&[NotifyState::Watchdog]);
        // As sd_watchdog_enabled(3) has it.
        sleep(limit / 2).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how far along this process is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_socket_is_taken_by_whoever_would_listen_just_there() {
        for (held, wanted, is_it) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            // It would be for everybody what was meant for this machine.
            ("[::]:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "10.0.0.1:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", false),
            ("127.0.0.1:81", "127.0.0.1:80", false),
        ] {
            assert_eq!(is_same(at(held), at(wanted)), is_it, "{held} for {wanted}");
        }
    }

    #[test]
    fn each_socket_is_taken_once_and_the_rest_are_left() {
        let bound = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other) = (bound(), bound());
        let [first, second] = [&one, &other].map(|socket| socket.local_addr().unwrap());
        let mut sockets = Sockets(vec![one, other]);
        let taken = sockets.take(first).expect("it is there");
        assert_eq!(taken.local_addr().unwrap(), first);
        assert!(sockets.take(first).is_none());
        assert_eq!(sockets.left().collect::<Vec<_>>(), [second]);
    }
}
