//! Reading a caller's body within its limits: of size, of the wait for each piece, and of the gateway's memory.
//!
//! What the body says is for others to read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::{Arrival, Arriving};
use crate::algo::tick::Tick;
use crate::dialect::trouble::Kind;
use crate::proxy::memory::{Place, content_length};
use crate::proxy::refuse::Refusal;
use crate::proxy::{Gateway, Snapshot};
use crate::state::Live;
use crate::state::holding::Holding;

/// Bytes a second that a body has to come with on average, once `body_read` is over, where all of it is waited for: the
/// default of Kestrel's `MinRequestBodyDataRate`. Who sends a byte now and then would else keep his place for ever.
const LEAST_RATE: u64 = 240;
/// What is announced has its place in memory from the start, and has to come so fast that it would be there in this
/// time.
const LONGEST: Duration = Duration::from_mins(5);

/// How slowly a body may come.
#[derive(Clone, Copy)]
pub struct Pace<'a> {
    live: &'a Live,
    begun: Tick,
    /// The longest pause (`server.timeouts.body_read`).
    pause: Duration,
}

impl<'a> Pace<'a> {
    /// From now on.
    pub fn new(live: &'a Live, pause: Duration) -> Self {
        Self { live, begun: live.now(), pause }
    }

    /// How long the body has taken.
    pub fn waited(&self) -> Duration {
        self.live.now().since(self.begun)
    }

    /// What `next` brings, if it is there in time behind `length` bytes, of which so many a second have to come.
    async fn keep<T>(&self, length: usize, rate: u64, next: impl Future<Output = T>) -> Result<T, Unread> {
        let earned = Duration::from_secs(length as u64 / rate);
        let rest = (self.pause + earned).saturating_sub(self.waited());
        if rest < self.pause {
            timeout(rest, next).await.map_err(|_| Unread::Trickling { length, rate })
        } else {
            timeout(self.pause, next).await.map_err(|_| Unread::Slow(self.pause))
        }
    }
}

/// Why a body is not there.
pub enum Unread {
    TooLarge,
    /// More than may be kept; this is its begin.
    Larger(Bytes),
    Slow(Duration),
    /// It comes without long pauses and takes for ever: so many bytes are there, of so many a second.
    Trickling {
        length: usize,
        rate: u64,
    },
    Broken,
    /// It is not what its `Content-Encoding` says.
    Packed,
    /// The gateway may hold no more.
    Full,
}

impl Unread {
    pub fn into_refusal(
        self,
        gateway: &Gateway,
        snapshot: &Snapshot,
        arrival: &Arrival,
        place: &Place,
    ) -> Box<Refusal> {
        match self.told(snapshot) {
            Some((kind, message)) => arrival.refuse(kind, message).closing(),
            None => place.refuse(gateway, snapshot, arrival),
        }
    }

    /// What the caller has done, in words for him; `None` where he has done nothing.
    pub fn told(&self, snapshot: &Snapshot) -> Option<(Kind, String)> {
        Some(match self {
            Self::Full => return None,
            Self::TooLarge | Self::Larger(_) => (
                Kind::TooLarge,
                format!(
                    "the body is larger than {} bytes (server.limits.max_body)",
                    snapshot.table.server.limits.max_body
                ),
            ),
            Self::Slow(limit) => (
                Kind::RequestTimeout,
                format!("no byte of the body came for {} s (server.timeouts.body_read)", limit.as_secs_f64()),
            ),
            Self::Trickling { length, rate } => (
                Kind::RequestTimeout,
                format!("the body comes with less than {rate} bytes a second: {length} are there"),
            ),
            Self::Broken => (Kind::BadRequest, "the body ended early or was framed wrongly".to_owned()),
            Self::Packed => (
                Kind::BadRequest,
                "the body is not the gzip that its content-encoding says, or is cut off".to_owned(),
            ),
        })
    }
}

pub async fn read_whole(
    body: Option<&mut Arriving>,
    headers: &HeaderMap,
    most: u64,
    pace: Pace<'_>,
    holding: &mut Holding,
) -> Result<Bytes, Unread> {
    if content_length(headers).is_some_and(|length| length > most) {
        return Err(Unread::TooLarge);
    }
    match read_some(body, most, pace, holding).await {
        Ok(whole) => Ok(whole.unwrap_or_default()),
        Err(Unread::Larger(_)) => Err(Unread::TooLarge),
        Err(other) => Err(other),
    }
}

/// The whole body if it has at most `most` bytes; `None` if there is none. One frame is not copied.
pub async fn read_some(
    body: Option<&mut Arriving>,
    most: u64,
    pace: Pace<'_>,
    holding: &mut Holding,
) -> Result<Option<Bytes>, Unread> {
    let Some(body) = body else { return Ok(None) };
    let mut first: Option<Bytes> = None;
    let mut rest: Option<BytesMut> = None;
    let mut length = 0;
    let announced = body.size_hint().exact().unwrap_or(0).min(most);
    let rate = LEAST_RATE.max(announced / LONGEST.as_secs());
    while !body.is_end_stream() {
        let frame = match pace.keep(length, rate, body.frame()).await? {
            None => break,
            Some(Err(_)) => return Err(Unread::Broken),
            Some(Ok(frame)) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        match (&mut first, &mut rest) {
            (None, None) => first = Some(data),
            (_, Some(rest)) => {
                if rest.capacity() - rest.len() < data.len() {
                    grow(rest, data.len(), announced, most, holding)?;
                }
                rest.extend_from_slice(&data);
            }
            (Some(begin), None) => {
                // Not trusted for more than a mebibyte of memory: the length is the caller's word.
                let expected = body.size_hint().exact().unwrap_or(0).min(1 << 20) as usize;
                let mut joined = BytesMut::with_capacity(begin.len() + data.len() + expected);
                joined.extend_from_slice(begin);
                joined.extend_from_slice(&data);
                rest = Some(joined);
            }
        }
        if length as u64 > most {
            return Err(Unread::Larger(rest.map(BytesMut::freeze).or(first).unwrap_or_default()));
        }
        holding.try_hold(length as u64).map_err(|_| Unread::Full)?;
    }
    Ok(rest.map(BytesMut::freeze).or(first))
}

/// Makes room for so many bytes more. By now a mebibyte of what was announced is there, and all of it is paid for: room
/// is made once, since a buffer that doubles holds what it has three times while it is copied. Where nothing was
/// announced, that is paid for as well.
fn grow(
    rest: &mut BytesMut,
    more: usize,
    announced: u64,
    most: u64,
    holding: &mut Holding,
) -> Result<(), Unread> {
    let needed = rest.len() + more;
    if announced >= needed as u64 {
        rest.reserve(announced as usize - rest.len());
        return Ok(());
    }
    let (before, doubled) = (rest.capacity(), needed.max((2 * rest.capacity()).min(most as usize)));
    holding.try_hold((before + doubled) as u64).map_err(|_| Unread::Full)?;
    rest.reserve(doubled - rest.len());
    holding.hold(rest.capacity() as u64);
    Ok(())
}
