//! What goes on though nobody waits for it: attempts at upstreams with `on_hangup: drain`, whose caller hung up before
//! the answer came, or which another attempt of the same request has overtaken. Each is read to its end beside
//! everything, so that the provider says itself what it used. (What has begun to go out is `reply::attended`'s, and what
//! is made in the background `attempt::background`'s: it has places of its own, since it takes hours.)
//!
//! Nothing is begun for nobody: no attempt whose request has not left yet, no retry, no hedge. Bounded in number
//! ([`MOST`]) and in time ([`LONGEST`], and the request's own deadline). A drain of the process waits for all of it,
//! and cuts it off as any stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::attempt::Attempted;
use super::intake::{Guest, Load};
use super::named::Claimed;
use super::reply::{Audience, Reply};
use super::{Gateway, Snapshot, drive as driving, metering};
use crate::algo::tick::Tick;
use crate::config::OnHangup;
use crate::state::Channel;
use crate::state::books::Metering;
use crate::state::model::Shape;
use crate::state::permit::Repeat;

/// What is read on at the same moment; the rest is cancelled.
const MOST: u32 = 1024;
/// What is made in the background at the same moment, for hours; more are not asked for.
pub const MOST_IN_BACKGROUND: u32 = 4096;
/// How long anything is read on.
pub const LONGEST: Duration = Duration::from_mins(1);

/// One of [`MOST`], or of [`MOST_IN_BACKGROUND`].
pub struct Place(Arc<Gateway>, Kept);

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// An answer that is read to its end.
    ReadOn,
    /// One that is made in the background, and asked for until it has ended.
    Background,
}

/// How many places are taken.
#[derive(Default)]
pub struct Taken {
    read_on: AtomicU32,
    background: AtomicU32,
}

impl Taken {
    fn of(&self, kept: Kept) -> (&AtomicU32, u32) {
        match kept {
            Kept::ReadOn => (&self.read_on, MOST),
            Kept::Background => (&self.background, MOST_IN_BACKGROUND),
        }
    }

    /// Of both kinds.
    pub fn all(&self) -> u32 {
        self.read_on.load(Relaxed).saturating_add(self.background.load(Relaxed))
    }
}

impl Place {
    /// `None` where there is none left, or everything is about to end.
    pub fn take(gateway: &Arc<Gateway>) -> Option<Self> {
        Self::of(gateway, Kept::ReadOn)
    }

    /// The same for what is made in the background.
    pub fn in_background(gateway: &Arc<Gateway>) -> Option<Self> {
        Self::of(gateway, Kept::Background)
    }

    fn of(gateway: &Arc<Gateway>, kept: Kept) -> Option<Self> {
        if gateway.is_cut_off() {
            return None;
        }
        let (taken, most) = gateway.unattended.of(kept);
        let more = |taken| (taken < most).then_some(taken + 1);
        taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(Arc::clone(gateway), kept))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.unattended.of(self.1).0.fetch_sub(1, Relaxed);
    }
}

/// Whether anybody waits for an answer, and for how many attempts it does not matter.
#[derive(Default)]
pub struct Attendance {
    /// When it has to have ended, in nanoseconds, since nobody waits for it; 0 while somebody does.
    until: AtomicU64,
    /// Attempts under way that are to be read to their ends, whoever waits.
    under_way: AtomicU32,
    changed: Notify,
    /// The request's, where this is one attempt's.
    whole: Option<Arc<Attendance>>,
}

impl Attendance {
    /// Of one attempt of a request, that can be told from the other one.
    pub fn of_attempt(whole: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { whole: Some(Arc::clone(whole)), ..Self::default() })
    }

    /// An attempt is under way from here on, for as long as what comes back is kept.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut each = Some(self);
        while let Some(attendance) = each {
            attendance.under_way.fetch_add(1, Relaxed);
            each = attendance.whole.as_ref();
        }
        UnderWay(Arc::clone(self))
    }

    /// Whether anything is to be read to its end.
    pub fn is_under_way(&self) -> bool {
        self.under_way.load(Relaxed) > 0
    }

    fn hang_up(&self, until: Tick) {
        self.until.store(until.nanos().max(1), Relaxed);
        self.changed.notify_waiters();
    }

    /// When it has to have ended, if nobody waits for it.
    fn left_until(&self) -> Option<Tick> {
        Some(self.until.load(Relaxed)).filter(|nanos| *nanos > 0).map(Tick::from_nanos)
    }

    async fn changes(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }
}

/// An attempt that is to be read to its end.
pub struct UnderWay(Arc<Attendance>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut each = Some(&self.0);
        while let Some(attendance) = each {
            if attendance.under_way.fetch_sub(1, Relaxed) == 1 {
                attendance.changed.notify_waiters();
            }
            each = attendance.whole.as_ref();
        }
    }
}

impl Guest {
    /// For whom an answer is.
    pub fn audience(&self) -> Audience {
        let left = self.attendance.as_ref().and_then(|attendance| attendance.left_until());
        if left.is_some() { Audience::Nobody } else { Audience::Caller }
    }

    /// When its answer has to have ended.
    pub fn end(&self) -> Tick {
        let left = self.attendance.as_ref().and_then(|attendance| attendance.left_until());
        left.map_or(self.deadline, |left| left.min(self.deadline))
    }

    /// Comes back while somebody waits, and never when nobody does: whoever reads on drops what waits here.
    pub async fn is_attended(&self) {
        if self.audience() == Audience::Nobody {
            std::future::pending::<()>().await;
        }
    }

    /// Comes back when nobody waits any more.
    pub async fn hung_up(&self) {
        match &self.attendance {
            Some(attendance) => attendance.changes(|attendance| attendance.left_until().is_some()).await,
            None => std::future::pending().await,
        }
    }
}

/// Whether what `channel` answers is read to its end though nobody waits for it.
pub fn is_read_on(channel: &Channel) -> bool {
    channel.upstream.config.on_hangup == OnHangup::Drain
}

/// Whether any attempt of this request might be.
fn may_be_read_on(snapshot: &Snapshot, guest: &Guest) -> bool {
    let costs = metering::of(guest.operation, 0) != Metering::Free;
    if !costs || !matches!(guest.load, Load::Ask { .. }) || guest.upgrade.is_some() {
        return false;
    }
    let mut channels = snapshot.table.reach(guest.route).flat_map(|route| &route.channels);
    channels.any(|channel| is_read_on(channel))
}

/// Answers `guest`. Should this be dropped while an attempt is under way that is to be read on, that is done elsewhere.
pub async fn drive(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
) -> Response<Reply> {
    if !may_be_read_on(snapshot, &guest) {
        return driving::drive(gateway, snapshot, guest).await;
    }
    let attendance = Arc::new(Attendance::default());
    guest.attendance = Some(Arc::clone(&attendance));
    let claimed = match guest.shape {
        Shape::Stream => guest.again.as_ref().and_then(|again| again.claimed()),
        Shape::Whole => None,
    };
    let (gateway, snapshot) = (Arc::clone(gateway), Arc::clone(snapshot));
    let keeper = Arc::clone(&gateway);
    let work = Box::pin(async move { driving::drive(&keeper, &snapshot, guest).await });
    Attended { gateway, attendance, claimed, work: Some(work) }.await
}

type Work = Pin<Box<dyn Future<Output = Response<Reply>> + Send>>;

/// A request for whose answer somebody waits.
struct Attended {
    gateway: Arc<Gateway>,
    attendance: Arc<Attendance>,
    /// Its name, where nothing of the answer will be kept for that unless somebody reads it.
    claimed: Option<Claimed>,
    /// Until it is done.
    work: Option<Work>,
}

impl Future for Attended {
    type Output = Response<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Reply>> {
        // Taken out meanwhile, so that what panics is not gone on with.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| self.attendance.is_under_way()) else { return };
        let (Ok(runtime), Some(place)) = (Handle::try_current(), Place::take(&self.gateway)) else { return };
        self.attendance.hang_up(self.gateway.live.now() + LONGEST);
        if let Some(claimed) = &self.claimed {
            claimed.let_go();
        }
        runtime.spawn(read_on(Arc::clone(&self.gateway), Arc::clone(&self.attendance), work, place));
    }
}

/// Until its attempts have ended, or their time has.
async fn read_on(gateway: Arc<Gateway>, attendance: Arc<Attendance>, work: Work, place: Place) {
    let until = attendance.left_until().unwrap_or(Tick::ZERO);
    let response = tokio::select! {
        biased;
        response = work => response,
        () = attendance.changes(|attendance| !attendance.is_under_way()) => return,
        () = over(&gateway, until) => return,
    };
    // What has begun to come is read on by its body, which takes a place of its own.
    drop(place);
    drop(response);
}

/// Reads on an attempt that another one of `guest` has overtaken.
pub fn overtaken(
    gateway: &Arc<Gateway>,
    guest: &Guest,
    attempt: Pin<Box<dyn Future<Output = Attempted> + Send>>,
) {
    let (Ok(runtime), Some(place)) = (Handle::try_current(), Place::take(gateway)) else { return };
    let until = guest.deadline.min(gateway.live.now() + LONGEST);
    let (settle, wish, gateway) = (guest.settle.aside(), guest.wish(), Arc::clone(gateway));
    runtime.spawn(async move {
        let _place = place;
        let attempted = tokio::select! {
            biased;
            attempted = attempt => attempted,
            () = over(&gateway, until) => return,
        };
        match attempted {
            Attempted::Answered(answer) => answer.read_out(settle, wish, until).await,
            Attempted::Failed(permit, failed) => {
                let failure = failed.failure;
                permit.fail(failure.fault, failure.stage, &failure.hint, Repeat::First);
            }
            Attempted::Untried(permit, _) => permit.withdraw(),
        }
    });
}

/// Comes back `until` then, or when everything has to end.
async fn over(gateway: &Gateway, until: Tick) {
    tokio::select! {
        () = sleep_until(gateway.live.clock.instant(until)) => {}
        () = gateway.is_over() => {}
    }
}
