//! The listening socket, which can be closed for real and opened again on the same port.
//!
//! A second socket stays bound to the port without ever listening. While the door is shut, connecting
//! is therefore refused by the kernel, and nobody else can be given the port in the meantime.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Connections that the kernel may hold for us: as many as a burst of a test may open.
const BACKLOG: i32 = 1024;

/// How long to wait when accepting or opening again fails (no descriptors left, port in use).
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    _reserved: Option<Socket>,
    /// Opening a listener registers it with this runtime's reactor, whoever calls.
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` while the door is not open, or while opening it again has not succeeded yet.
    listener: Option<TcpListener>,
    phase: Phase,
    /// The accepting task, to be told when the door opens.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Shut,
    /// Shut for good.
    Gone,
}

impl Door {
    /// Listen on this address; port 0 is any free one. Must be called within a runtime.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let reserved = bound(address)?;
        let address = reserved.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        // Linux lets a listener share the port with a bound socket; elsewhere go without the reservation.
        let (listener, reserved) = if let Ok(listener) = listen(address) {
            (listener, Some(reserved))
        } else {
            drop(reserved);
            (listen(address)?, None)
        };
        let state = State { listener: Some(listener), phase: Phase::Open, waker: None };
        Ok(Self { address, _reserved: reserved, runtime: Handle::current(), state: Mutex::new(state) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Close the listener now; whoever connects from here on is refused.
    pub(super) fn shut(&self) {
        self.leave_as(Phase::Shut);
    }

    /// Close the listener for good.
    pub(super) fn close(&self) {
        self.leave_as(Phase::Gone);
    }

    fn leave_as(&self, phase: Phase) {
        let mut state = self.state.lock();
        state.listener = None;
        if state.phase != Phase::Gone {
            state.phase = phase;
        }
    }

    /// Listen again. Should that fail, the accepting task tries until it succeeds.
    pub(super) fn open(&self) {
        let _runtime = self.runtime.enter();
        let mut state = self.state.lock();
        if state.phase == Phase::Shut {
            state.phase = Phase::Open;
            state.listener = listen(self.address).ok();
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }

    /// The next connection. Waits while the door is shut.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(PATIENCE).await,
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let mut state = self.state.lock();
        state.waker = Some(cx.waker().clone());
        if state.phase != Phase::Open {
            return Poll::Pending;
        }
        let listener = match state.listener.take() {
            Some(listener) => listener,
            None => listen(self.address)?,
        };
        let polled = listener.poll_accept(cx);
        state.listener = Some(listener);
        polled.map_ok(|(stream, _)| stream)
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    impl Door {
        fn anywhere() -> Self {
            Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
        }
    }

    #[tokio::test]
    async fn a_shut_door_refuses_and_an_opened_one_accepts_on_the_same_port() {
        let door = Door::anywhere();
        for _ in 0..3 {
            let (ours, theirs) = tokio::join!(door.accept(), TcpStream::connect(door.address()));
            assert_eq!(ours.peer_addr().unwrap(), theirs.unwrap().local_addr().unwrap());
            door.shut();
            let refused = TcpStream::connect(door.address()).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            door.open();
        }
    }

    #[tokio::test]
    async fn a_closed_door_stays_closed() {
        let door = Door::anywhere();
        door.close();
        door.shut();
        door.open();
        assert!(TcpStream::connect(door.address()).await.is_err());
    }

    #[tokio::test]
    async fn opening_wakes_who_waits_to_accept() {
        let door = std::sync::Arc::new(Door::anywhere());
        door.shut();
        let waiting = tokio::spawn({
            let door = door.clone();
            async move { door.accept().await }
        });
        tokio::task::yield_now().await;
        door.open();
        let _theirs = TcpStream::connect(door.address()).await.unwrap();
        waiting.await.unwrap();
    }
}
