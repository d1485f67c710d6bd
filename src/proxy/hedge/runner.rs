//! One of two attempts that race, and what of it may outlast the race: where its upstream has `on_hangup: drain`, it
//! owns all that it needs. Who reads it on is `unattended`'s affair.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Starters;
use crate::proxy::attempt::{self, Attempted};
use crate::proxy::intake::Guest;
use crate::proxy::unattended::{self, Attendance, is_read_on};
use crate::route::{Limits, Plan};
use crate::state::Permit;

/// One of the two that race.
pub enum Runner<'a> {
    /// Dropped with its request.
    Bound(Pin<Box<dyn Future<Output = Attempted> + Send + 'a>>),
    /// May go on without it, once its own request has left.
    Lasting(Pin<Box<dyn Future<Output = Attempted> + Send>>, Arc<Attendance>),
    /// It is ended, and says nothing any more.
    Gone,
}

impl<'a> Runner<'a> {
    pub fn start(starters: Starters<'a>, plan: &Plan<'_>, permit: Permit, limits: Limits) -> Self {
        let Starters { gateway, snapshot, guest, .. } = starters;
        let twin = if is_read_on(permit.channel()) { twin(guest) } else { None };
        match twin {
            Some((twin, own)) => {
                let attempt = attempt::apart(gateway, snapshot, guest, twin, plan, permit, limits);
                Self::Lasting(Box::pin(attempt), own)
            }
            None => Self::Bound(Box::pin(attempt::attempt(gateway, snapshot, guest, plan, permit, limits))),
        }
    }

    /// The other one has answered.
    pub fn overtaken(self, Starters { gateway, guest, .. }: Starters<'_>) {
        match self {
            Self::Lasting(attempt, own) if own.is_under_way() => {
                unattended::overtaken(gateway, guest, attempt);
            }
            Self::Lasting(..) | Self::Bound(_) | Self::Gone => {}
        }
    }

    /// Nobody waits for either.
    pub fn hung_up(&mut self) {
        let stays = match self {
            Self::Lasting(_, own) => own.is_under_way(),
            Self::Bound(_) | Self::Gone => false,
        };
        if !stays {
            *self = Self::Gone;
        }
    }
}

impl Future for Runner<'_> {
    type Output = Attempted;

    #[expect(clippy::match_same_arms, reason = "they are of different types")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Attempted> {
        match self.get_mut() {
            Self::Bound(attempt) => attempt.as_mut().poll(cx),
            Self::Lasting(attempt, _) => attempt.as_mut().poll(cx),
            Self::Gone => Poll::Pending,
        }
    }
}

/// All of `guest` that an attempt needs once its request is written, and whether that attempt is under way. `None`
/// where none is read on. Few requests that may be raced ever are, so what went into the request (headers, all that it
/// refers to) and what only the answer's way to a caller takes is left out, and the rest is shared.
fn twin(guest: &Guest) -> Option<(Box<Guest>, Arc<Attendance>)> {
    let own = Attendance::of_attempt(guest.attendance.as_ref()?);
    let mut twin = guest.twin(|| guest.settle.aside())?;
    twin.attendance = Some(Arc::clone(&own));
    Some((Box::new(twin), own))
}
