//! Wires a whole gateway, for the program and for the tests that run one in their own process.

mod ask;
mod cost;
mod explain;
mod keys;
mod manager;
mod operate;
mod panics;
mod process;
mod proof;
mod reports;
mod requests;
mod signals;
mod simulate;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub use ask::{Answer, ask, tell};
pub use cost::CostOf;
pub use explain::{automatic_routes, explain_cold, explain_path, local_url, table_of};
pub use keys::Keys;
pub use manager::{Sockets, serving};
pub use operate::{Operate, refusal};
pub use panics::log_panics;
pub use process::Process;
pub use proof::Proof;
pub use reports::{RepriceOf, UsageOf, Whence};
pub use requests::Requests;
pub use signals::outlive_file_limits;
pub use simulate::{HELP as SIMULATE_HELP, Outcome, Simulate};

use crate::admin;
use crate::config::Blueprint;
use crate::proxy::Gateway;
use crate::server::builtin::Simulating;
use crate::server::console::Console;
use crate::server::host::Host;
use crate::server::lifecycle::Stage;
use crate::server::loader::{Draft, Loader, Rejection, Source, World};
use crate::server::shutdown::{Drained, drain};
use crate::server::{listen, tls};
use crate::simulated::Simulated;
use crate::state::Live;
use crate::upstream::{Dial, TcpDial};

/// A running gateway. Dropping it ends everything at once; [`App::shutdown`] is the polite way.
pub struct App {
    host: Arc<Host>,
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used. The text is what `check` prints.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    #[error("cannot listen on {address} ({setting}): {error}")]
    Bind { setting: &'static str, address: SocketAddr, error: io::Error },
}

impl App {
    /// Starts what `source` describes, follows its changes, and returns when both listeners are open.
    pub async fn start(source: Source, world: World) -> Result<Self, StartError> {
        Self::start_on(Sockets::default(), source, world).await
    }

    /// As [`App::start`], listening on those of `sockets` that are where it is to listen.
    pub async fn start_on(sockets: Sockets, source: Source, world: World) -> Result<Self, StartError> {
        let loader = Arc::new(Loader::new(source, world));
        let reading = Arc::clone(&loader);
        let read = tokio::task::spawn_blocking(move || reading.load()).await;
        let draft = read.map_err(|error| Rejection::Unreadable {
            file: loader.source().name(),
            why: format!("reading was interrupted: {error}"),
        })??;
        for warning in &draft.warnings {
            tracing::warn!(path = warning.path, "{}", warning.message);
        }
        let app = Self::open(sockets, loader, draft).await?;
        app.host.watch();
        Ok(app)
    }

    /// Without any socket, so that it runs under paused time: connections come in by [`App::connect`].
    /// Needs a runtime to spawn on.
    pub fn in_memory(live: Live, blueprint: Blueprint, dial: Arc<dyn Dial>) -> Result<Self, StartError> {
        let (loader, draft) = unwritten(blueprint)?;
        let host = Host::start(Arc::new(live), loader, draft, dial, Simulating::Elsewhere)?;
        host.lifecycle.enter(Stage::Serving);
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Ok(Self { host, listen: nowhere, admin: nowhere })
    }

    async fn open(mut sockets: Sockets, loader: Arc<Loader>, draft: Draft) -> Result<Self, StartError> {
        let (listen, admin) = (draft.blueprint.server.listen, draft.blueprint.server.admin);
        let data = bind(&mut sockets, "server.listen", listen).await?;
        let console = bind(&mut sockets, "server.admin", admin).await?;
        for address in sockets.left() {
            tracing::warn!(%address, "neither server.listen nor server.admin is this socket's, which the service manager holds");
        }
        let host = Host::start(Arc::default(), loader, draft, Arc::new(TcpDial), Simulating::Here)?;
        let local = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let app = Self { listen: local(&data, listen), admin: local(&console, admin), host };

        let host = &app.host;
        host.know_keys().await;
        let router = admin::router(Arc::clone(host) as Arc<dyn admin::Running>);
        let operators = Console::new(Arc::clone(host.gateway()), Arc::clone(&host.lifecycle), router);
        host.tasks.spawn("admin listener", operators.accept(console, host.admin_certificate.clone()));
        let certificate: Option<Arc<tls::Certificate>> = host.certificate.clone();
        host.tasks.spawn("listener", listen::accept(Arc::clone(&host.front), data, certificate));
        host.lifecycle.enter(Stage::Serving);
        Ok(app)
    }

    /// Where callers connect.
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where operators connect.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        self.host.gateway()
    }

    /// The reloader, the tasks, the stage of life.
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The simulated upstream of this name, if the gateway has started one.
    pub fn simulated(&self, name: &str) -> Option<Arc<Simulated>> {
        self.host.reloader.simulated(name)
    }

    /// Serves a caller's connection that was made some other way than through the listener.
    pub fn connect<T>(&self, io: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.host.front.serve(io);
    }

    /// Drains, as SIGTERM does.
    pub async fn shutdown(&self) -> Drained {
        drain(&self.host, pending()).await
    }
}

fn unwritten(blueprint: Blueprint) -> Result<(Arc<Loader>, Draft), Rejection> {
    let source = Source::Text { name: "blueprint".to_owned(), text: String::new() };
    let loader = Arc::new(Loader::new(source, Arc::new(Process)));
    let draft = loader.draft_of(blueprint)?;
    Ok((loader, draft))
}

async fn bind(
    sockets: &mut Sockets,
    setting: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    let bound = match sockets.take(address) {
        Some(held) => listen::on(held),
        None => listen::bind(address).await,
    };
    bound.map_err(|error| StartError::Bind { setting, address, error })
}

/// To be called once, before anything speaks TLS.
pub fn install_crypto() -> anyhow::Result<()> {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("another provider is installed")).context("cannot set up TLS")
}
