//! Who keeps a request while its stream runs: the end's bookkeeper alone, or all that it takes to go on.

use std::sync::Arc;

use super::{Onward, wanted};
use crate::proxy::Snapshot;
use crate::proxy::intake::Guest;
use crate::proxy::settle::Settle;
use crate::route::Plan;
use crate::route::onward::Trail;
use crate::state::Permit;
use crate::vocab::Usage;

/// Who has a stream's request.
pub enum Party {
    /// Nobody asks again.
    Settle(Box<Settle>),
    /// All of it, to go on.
    Onward(Box<Onward>),
}

impl Party {
    pub fn of(guest: Box<Guest>, plan: &Plan<'_>, snapshot: &Arc<Snapshot>, permit: &Permit) -> Self {
        let asked = &snapshot.table.routes[guest.route].config;
        let Some(scan) = wanted(&guest, asked) else { return Self::Settle(Box::new(guest.settle)) };
        Self::Onward(Box::new(Onward {
            snapshot: Arc::clone(snapshot),
            trail: Trail::begin(plan, permit.channel(), guest.route, &scan.model),
            used: Usage::default(),
            guest,
        }))
    }

    pub fn settle(&self) -> &Settle {
        match self {
            Self::Settle(settle) => settle,
            Self::Onward(onward) => &onward.guest.settle,
        }
    }

    pub fn settle_mut(&mut self) -> &mut Settle {
        match self {
            Self::Settle(settle) => settle,
            Self::Onward(onward) => &mut onward.guest.settle,
        }
    }

    /// Takes in what the current leg has used: all legs together are what the request has.
    pub fn used(&mut self, usage: Usage) {
        let all = match self {
            Self::Settle(_) => usage,
            Self::Onward(onward) => {
                onward.used = onward.used.plus(&usage);
                onward.used
            }
        };
        self.settle_mut().usage = Some(all);
    }
}
