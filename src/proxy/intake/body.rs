//! Reading a caller's body within its limits: of size, of the wait for each piece, and of the gateway's memory.
//!
//! What the body says is for others to read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::Arrival;
use crate::dialect::Dialect;
use crate::dialect::trouble::Kind;
use crate::proxy::memory::{Place, content_length};
use crate::proxy::refuse::Refusal;
use crate::proxy::{Gateway, Snapshot};
use crate::state::holding::Holding;

/// Why a body is not there.
pub enum Unread {
    TooLarge,
    /// More than may be kept; this is its begin.
    Larger(Bytes),
    Slow(Duration),
    Broken,
    /// The gateway may hold no more.
    Full,
}

impl Unread {
    pub fn into_refusal(
        self,
        gateway: &Gateway,
        snapshot: &Snapshot,
        (arrival, dialect): (&Arrival, Dialect),
        place: &Place,
    ) -> Box<Refusal> {
        let limits = &snapshot.table.server.limits;
        let (kind, message) = match self {
            Self::Full => return place.refuse(gateway, snapshot, arrival, dialect),
            Self::TooLarge | Self::Larger(_) => (
                Kind::TooLarge,
                format!("the body is larger than {} bytes (server.limits.max_body)", limits.max_body),
            ),
            Self::Slow(limit) => (
                Kind::RequestTimeout,
                format!("no byte of the body came for {} s (server.timeouts.body_read)", limit.as_secs_f64()),
            ),
            Self::Broken => (Kind::BadRequest, "the body ended early or was framed wrongly".to_owned()),
        };
        arrival.refuse(kind, message, dialect).closing()
    }
}

pub async fn read_whole(
    body: Option<&mut Incoming>,
    headers: &HeaderMap,
    most: u64,
    patience: Duration,
    holding: &mut Holding,
) -> Result<Bytes, Unread> {
    if content_length(headers).is_some_and(|length| length > most) {
        return Err(Unread::TooLarge);
    }
    match read_some(body, most, patience, holding).await {
        Ok(whole) => Ok(whole.unwrap_or_default()),
        Err(Unread::Larger(_)) => Err(Unread::TooLarge),
        Err(other) => Err(other),
    }
}

/// The whole body if it has at most `most` bytes; `None` if there is none. One frame is not copied.
pub async fn read_some(
    body: Option<&mut Incoming>,
    most: u64,
    patience: Duration,
    holding: &mut Holding,
) -> Result<Option<Bytes>, Unread> {
    let Some(body) = body else { return Ok(None) };
    let mut first: Option<Bytes> = None;
    let mut rest: Option<BytesMut> = None;
    while !body.is_end_stream() {
        let frame = match timeout(patience, body.frame()).await {
            Err(_) => return Err(Unread::Slow(patience)),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Unread::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        match (&mut first, &mut rest) {
            (None, None) => first = Some(data),
            (_, Some(rest)) => rest.extend_from_slice(&data),
            (Some(begin), None) => {
                // Not trusted for more than a mebibyte of memory: the length is the caller's word.
                let expected = body.size_hint().exact().unwrap_or(0).min(1 << 20) as usize;
                let mut joined = BytesMut::with_capacity(begin.len() + data.len() + expected);
                joined.extend_from_slice(begin);
                joined.extend_from_slice(&data);
                rest = Some(joined);
            }
        }
        let length = rest.as_ref().map_or_else(|| first.as_ref().map_or(0, Bytes::len), BytesMut::len);
        if length as u64 > most {
            return Err(Unread::Larger(rest.map(BytesMut::freeze).or(first).unwrap_or_default()));
        }
        holding.try_hold(length as u64).map_err(|_| Unread::Full)?;
    }
    Ok(rest.map(BytesMut::freeze).or(first))
}
