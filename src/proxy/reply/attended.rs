//! A stream and whether somebody waits for it. When the caller hangs up it is dropped, which cancels the upstream's work;
//! where the upstream has `on_hangup: drain`, it is read to its end beside everything, so that it says itself what it used.
//!
//! Bounded in number ([`MOST`]) and in time ([`LONGEST`], and the request's own deadline). Until then the request counts as
//! under way: for limits, for budgets and for a drain, which ends it as any other.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Streaming;
use crate::proxy::Gateway;

/// Streams that are read on at the same moment; what is left beyond them is cancelled.
const MOST: u32 = 1024;
/// How long one is read on.
pub(super) const LONGEST: Duration = Duration::from_mins(1);

/// Empty only while it is dropped.
pub struct Attended(Option<Box<Streaming>>);

impl Attended {
    pub fn new(streaming: Streaming) -> Self {
        Self(Some(Box::new(streaming)))
    }

    pub fn get(&self) -> Option<&Streaming> {
        self.0.as_deref()
    }

    pub fn get_mut(&mut self) -> Option<&mut Streaming> {
        self.0.as_deref_mut()
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(mut streaming) = self.0.take().filter(|streaming| streaming.is_worth_its_end()) else {
            return;
        };
        let (Ok(runtime), Some(place)) = (Handle::try_current(), Place::take(streaming.gateway())) else {
            return;
        };
        streaming.hung_up();
        runtime.spawn(async move {
            let _place = place;
            while let Some(Ok(_)) = poll_fn(|cx| streaming.poll_frame(cx)).await {}
        });
    }
}

/// One of [`MOST`].
struct Place(Arc<Gateway>);

impl Place {
    fn take(gateway: &Arc<Gateway>) -> Option<Self> {
        let more = |taken| (taken < MOST).then_some(taken + 1);
        gateway.unattended.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(Arc::clone(gateway)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.unattended.fetch_sub(1, Relaxed);
    }
}
