//! How far along its life this process is. Everybody who has to stop at some stage waits for it here.

use tokio::sync::watch;

use crate::admin::Phase;

/// Only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Starting,
    Serving,
    /// Not ready any more, still accepting: whoever balances in front of us gets time to notice.
    Leaving,
    /// Accepts nothing; connections end as soon as their requests have.
    Closing,
    /// What is still under way is told that it has taken too long.
    CutOff,
    /// Whatever is still open is dropped.
    Gone,
}

#[derive(Debug)]
pub struct Lifecycle(watch::Sender<Stage>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Starting))
    }
}

impl Lifecycle {
    pub fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// Goes on to `stage`; does nothing when it has been passed.
    pub fn enter(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let advances = stage > *now;
            *now = stage.max(*now);
            advances
        });
    }

    /// Ends when `stage` has been reached. May be dropped and waited for again.
    pub fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut now = self.0.subscribe();
        async move {
            // An error means that the process has dropped its lifecycle, which is an end as well.
            let _ = now.wait_for(|now| *now >= stage).await;
        }
    }

    pub fn phase(&self) -> Phase {
        match self.stage() {
            Stage::Starting => Phase::Starting,
            Stage::Serving => Phase::Serving,
            Stage::Leaving | Stage::Closing | Stage::CutOff | Stage::Gone => Phase::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stage_is_never_taken_back_and_wakes_who_waits_for_it() {
        let life = Lifecycle::default();
        life.enter(Stage::Serving);
        let closing = life.reached(Stage::Closing);
        life.enter(Stage::Gone);
        life.enter(Stage::Leaving);
        assert_eq!(life.stage(), Stage::Gone);
        closing.await;
        assert_eq!(life.phase(), Phase::Draining);
    }
}
