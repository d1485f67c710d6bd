//! What the operating system tells the process: reload (SIGHUP), leave (SIGTERM, SIGINT), leave now
//! (the second of them), and that a file may not grow (SIGXFSZ), which is no reason to leave.

use anyhow::Context;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::App;
use crate::server::reload::Cause;

/// A limit of files' sizes (`ulimit -f`) is a full disk from here on, which whoever writes is told: nobody waits for
/// the signal, but that somebody might keeps it from ending the process.
pub fn outlive_file_limits() -> anyhow::Result<()> {
    listen(SignalKind::from_raw(Number::XFSZ.as_raw())).map(drop)
}

impl App {
    /// Serves until a signal ends it: drains after the first, returns at once after the second.
    pub async fn run_to_signal(&self) -> anyhow::Result<()> {
        let mut hangup = listen(SignalKind::hangup())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        // A signal that loses is delivered by the next `recv`.
        loop {
            tokio::select! {
                _ = hangup.recv() => self.order_reload(),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tokio::select! {
            _ = self.shutdown() => {}
            _ = terminate.recv() => tracing::warn!("second signal: leaving at once"),
            _ = interrupt.recv() => tracing::warn!("second signal: leaving at once"),
        }
        Ok(())
    }

    fn order_reload(&self) {
        let reloader = self.host().reloader.clone();
        self.host().tasks.spawn("reload by signal", async move {
            // The reloader has said what there was to say.
            let _ = reloader.reload(Cause::Order).await;
        });
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
