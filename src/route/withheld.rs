//! How much of a stream is held back where streams of its channel break.
//!
//! What breaks before anything of it went to the caller is somebody else's work, and nobody sees it. So where streams
//! broke after some content, and none has come to its end since, the next ones are held back until they are well past
//! that: a trial of the breaker, and whoever tries a channel after one failure. They come a moment late, and no caller
//! pays for finding out.

use std::time::Duration;

use super::need::{Need, Resend};
use super::plan::Plan;
use super::shortlist;
use crate::config::Continuation;
use crate::dialect::translate;
use crate::state::model::Shape;
use crate::state::permit::Permit;

/// What is held back behind a stream's first content. Whichever comes first ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// So many content events, the first one included.
    pub events: u64,
    /// The first one after so long. One that has stopped is not let go of: it is about to fail.
    pub flows: Duration,
}

impl Withheld {
    /// For how long that is of a stream with an event every `pace`, from the first one on.
    pub fn lasts(&self, pace: Duration) -> Duration {
        let enough = pace.saturating_mul(u32::try_from(self.events.saturating_sub(1)).unwrap_or(u32::MAX));
        let events = self.flows.as_nanos().div_ceil(pace.as_nanos().max(1));
        enough.min(pace.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX)))
    }
}

impl Plan<'_> {
    /// Nothing where it would be of no use: nobody else could answer, nothing may be sent twice, or who breaks off is
    /// continued.
    pub(super) fn withheld(&self, permit: &Permit, need: &Need<'_>) -> Option<Withheld> {
        if need.shape != Shape::Stream || permit.is_forced() || !translate::generates(need.operation) {
            return None;
        }
        let events = permit.well_past()?;
        let channel = permit.channel();
        let is_continued = self.asked().config.continuation != Continuation::Off;
        let may_be_sent_again = shortlist::resend_at(self.route(), channel, need).native() == Resend::Allowed;
        if is_continued || !may_be_sent_again || !self.has_other(channel, need, self.table().live.now()) {
            return None;
        }
        Some(Withheld { events, flows: channel.config.breaker.half_open.hold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_the_first_event_that_is_far_or_late_enough() {
        let lasts = |events, flows, pace| {
            let millis = Duration::from_millis;
            Withheld { events, flows: millis(flows) }.lasts(millis(pace)).as_millis()
        };
        assert_eq!(lasts(20, 2_000, 20), 380, "the twentieth");
        assert_eq!(lasts(20, 2_000, 300), 2_100, "the first after two seconds");
        assert_eq!(lasts(20, 2_000, 500), 2_000, "one comes just then");
        assert_eq!((lasts(20, 2_000, 0), lasts(20, 0, 300)), (0, 0));
        assert_eq!(lasts(u64::MAX, 2_000, 20), 2_000);
    }
}
