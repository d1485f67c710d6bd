//! An answer that has begun, and whether somebody waits for it. When the caller hangs up it is dropped, which cancels
//! the upstream's work; where the upstream has `on_hangup: drain`, it is read to its end beside everything, so that it
//! says itself what it used.
//!
//! Bounded as everything that nobody waits for (`unattended`). Until then the request counts as under way: for limits,
//! for budgets and for a drain, which ends it as any other.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::runtime::Handle;

use super::Broken;
use crate::proxy::Gateway;
use crate::proxy::unattended::Place;

/// An answer that may be read on without its caller.
pub trait Lasting: Send + 'static {
    /// Where it is to be read on without its caller, and has anything left to say.
    fn is_worth_its_end(&self) -> Option<&Arc<Gateway>>;

    /// Nobody waits for it any more.
    fn hung_up(&mut self);

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>>;
}

/// Empty only while it is dropped.
pub struct Attended<B: Lasting>(Option<Box<B>>);

impl<B: Lasting> Attended<B> {
    pub fn new(body: B) -> Self {
        Self(Some(Box::new(body)))
    }

    pub fn get(&self) -> Option<&B> {
        self.0.as_deref()
    }

    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl<B: Lasting> Drop for Attended<B> {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take() else { return };
        let Some(gateway) = body.is_worth_its_end() else { return };
        let (Ok(runtime), Some(place)) = (Handle::try_current(), Place::take(gateway)) else { return };
        body.hung_up();
        runtime.spawn(async move {
            let _place = place;
            read_out(&mut *body).await;
        });
    }
}

/// Reads an answer to its end, for nobody.
pub async fn read_out(body: &mut impl Lasting) {
    while let Some(Ok(_)) = poll_fn(|cx| body.poll_frame(cx)).await {}
}
