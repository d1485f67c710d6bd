//! What the operating system tells the process: reload (SIGHUP), leave (SIGTERM, SIGINT), sooner (the second of them), at
//! once (the third), and that a file may not grow (SIGXFSZ), which is no reason to leave.

use std::pin::pin;

use anyhow::Context;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{App, manager};
use crate::server::reload::Cause;
use crate::server::shutdown::drain;

/// A limit of files' sizes (`ulimit -f`) is a full disk from here on, which whoever writes is told: nobody waits for
/// the signal, but that somebody might keeps it from ending the process.
pub fn outlive_file_limits() -> anyhow::Result<()> {
    listen(SignalKind::from_raw(Number::XFSZ.as_raw())).map(drop)
}

impl App {
    /// Serves until a signal ends it: drains after the first, without patience after the second.
    ///
    /// # Errors
    /// A third one came before all was booked.
    pub async fn run_to_signal(&self) -> anyhow::Result<()> {
        let mut hangup = listen(SignalKind::hangup())?;
        let mut leave = Leave {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        let mut user = listen(SignalKind::user_defined1())?;
        let mut other = listen(SignalKind::user_defined2())?;
        let mut alive = pin!(manager::alive());
        // A signal that loses is delivered by the next `recv`.
        loop {
            tokio::select! {
                _ = hangup.recv() => self.order_reload(),
                () = leave.is_said() => break,
                never = &mut alive => match never {},
                // Whoever rotates logs sends them to all and sundry, and means no harm.
                _ = user.recv() => tracing::info!("SIGUSR1 means nothing here"),
                _ = other.recv() => tracing::info!("SIGUSR2 means nothing here"),
            }
        }
        let drains = self.gateway().snapshot().table.server.drain.clone();
        manager::leaving(drains.pre_stop_delay + drains.timeout + drains.close_spread);
        let (hurry, hurried) = oneshot::channel();
        let said_again = async {
            leave.is_said().await;
            tracing::warn!("second signal: nothing that is under way is waited for");
            let _ = hurry.send(());
            leave.is_said().await;
        };
        tokio::select! {
            _ = drain(self.host(), async { drop(hurried.await) }) => Ok(()),
            never = alive => match never {},
            () = said_again => anyhow::bail!("third signal: left at once, and what was under way may not be booked"),
        }
    }

    fn order_reload(&self) {
        let reloader = self.host().reloader.clone();
        self.host().tasks.spawn("reload by signal", async move {
            manager::reloading();
            // The reloader has said what there was to say.
            let _ = reloader.reload(Cause::Order).await;
            manager::reloaded();
        });
    }
}

/// Either of the two that end a process politely.
struct Leave {
    terminate: Signal,
    interrupt: Signal,
}

impl Leave {
    async fn is_said(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
