//! A simulated upstream as a running thing: its socket, its connections, its end.
//!
//! One task, the host, owns every other task of the upstream, so that ending it ends them all.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::control::Control;
use super::door::Door;
use super::line::{InMemory, Line, Orders, Wire};
use super::remembered::Remembered;
use super::serve;
use super::settings::Settings;
use super::store::Store;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A simulated upstream. Dropping it ends its tasks soon; [`Simulated::stop`] waits for that.
#[derive(Debug)]
pub struct Simulated {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    host: Mutex<Option<JoinHandle<()>>>,
}

/// What every request of one upstream shares.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) name: Box<str>,
    pub(super) settings: Settings,
    pub(super) control: Control,
    pub(super) store: Store,
    pub(super) remembered: Remembered,
    pub(super) crew: Crew,
}

impl Simulated {
    /// Listen on an ephemeral port of the loopback interface and serve. Needs a tokio runtime.
    pub fn start(name: &str, settings: Settings) -> io::Result<Arc<Self>> {
        Self::start_at(name, settings, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Listen on this address and serve: for an upstream that dies and comes back where it was. Needs a tokio runtime.
    pub fn start_at(name: &str, settings: Settings, address: SocketAddr) -> io::Result<Arc<Self>> {
        Ok(Self::open(name, settings, Some(Door::bind(address)?)))
    }

    /// Without a socket: it is reached by [`Simulated::serve_connection`] only, and so runs under paused time.
    pub fn in_memory(name: &str, settings: Settings) -> Arc<Self> {
        Self::open(name, settings, None)
    }

    fn open(name: &str, settings: Settings, door: Option<Door>) -> Arc<Self> {
        let (crew, jobs) = mpsc::unbounded_channel();
        let control = Control::new(settings.seed, settings.capacity, door);
        let core = Arc::new(Core {
            name: name.into(),
            settings,
            control,
            store: Store::default(),
            remembered: Remembered::default(),
            crew: Crew(crew),
        });
        let (stop, stopped) = watch::channel(false);
        let host = tokio::spawn(host(core.clone(), jobs, stopped));
        Arc::new(Self { core, stop, host: Mutex::new(Some(host)) })
    }

    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Where it listens, also while it refuses; port 0 when it has no socket.
    pub fn address(&self) -> SocketAddr {
        let none = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.core.control.door().map_or(none, Door::address)
    }

    pub fn control(&self) -> &Control {
        &self.core.control
    }

    /// Serve one connection over any byte stream, in a task of this upstream. Fails with
    /// `ConnectionRefused` while a `refuse` rule is in force and after the end.
    pub fn serve_connection<S>(&self, io: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.core.control.refusing() || *self.stop.borrow() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.core.crew.send(connection(self.core.clone(), InMemory(io)));
        Ok(())
    }

    /// Close the socket and every connection; returns when no task of this upstream is left.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let host = self.host.lock().take();
        if let Some(host) = host {
            // It cannot be cancelled, and had it panicked it would be gone just the same.
            let _ = host.await;
        }
    }
}

/// Where tasks are handed to the host.
#[derive(Clone, Debug)]
pub(super) struct Crew(mpsc::UnboundedSender<Job>);

impl Crew {
    /// Run it; dropped unrun when the upstream has ended.
    pub(super) fn send(&self, job: impl Future<Output = ()> + Send + 'static) {
        let _ = self.0.send(Box::pin(job));
    }
}

impl<F> hyper::rt::Executor<F> for Crew
where
    F: Future + Send + 'static,
{
    fn execute(&self, job: F) {
        self.send(async move {
            job.await;
        });
    }
}

async fn host(core: Arc<Core>, mut jobs: mpsc::UnboundedReceiver<Job>, mut stop: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    loop {
        // Each branch may lose: `accept` and `recv` are cancel-safe, a finished task stays finished.
        tokio::select! {
            // An error means that the `Simulated` was dropped, which also is the end.
            _ = stop.wait_for(|stop| *stop) => break,
            stream = accept(core.control.door()) => {
                // Latency only; a socket that refuses it is dying and will say so.
                let _ = stream.set_nodelay(true);
                tasks.spawn(connection(core.clone(), stream));
            }
            Some(job) = jobs.recv() => {
                tasks.spawn(job);
            }
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    core.control.door().into_iter().for_each(Door::close);
    tasks.shutdown().await;
}

async fn accept(door: Option<&Door>) -> TcpStream {
    match door {
        Some(door) => door.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection<W: Wire>(core: Arc<Core>, wire: W) {
    let mut evicted = core.control.evictions();
    let open = Open::count(core.clone());
    // Refused between being accepted and being served.
    if core.control.refusing() {
        return;
    }
    let orders = Arc::new(Orders::new());
    let builder = auto::Builder::new(core.crew.clone());
    let service = service_fn(|request| {
        let answer = serve::serve(core.clone(), orders.clone(), open.serial, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(Line::new(wire, orders.clone()));
    let mut served = pin!(builder.serve_connection_with_upgrades(io, service));
    // Losing means ending the connection, in every branch; how it ends is in the orders.
    tokio::select! {
        _ = &mut served => {}
        () = orders.ended() => {}
        _ = evicted.changed() => {}
        () = orders.idle(core.settings.keep_alive) => {}
    }
}

/// Counts a connection as open while it lives.
struct Open {
    core: Arc<Core>,
    serial: u64,
}

impl Open {
    fn count(core: Arc<Core>) -> Self {
        let serial = core.control.connected();
        Self { core, serial }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.control.disconnected();
    }
}
