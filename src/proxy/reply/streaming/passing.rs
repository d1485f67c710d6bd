//! What comes of a stream and goes on: as it is, or as the caller's dialect says it.

use bytes::Bytes;

use super::super::run::Run;
use super::Streaming;
use super::breaking::Break;
use crate::dialect::watch::Beat;
use crate::proxy::thoughts;
use crate::vocab::Fault;

impl Streaming {
    /// Takes in a chunk: whole events go on as the slices of it that they are, side by side where they
    /// lie side by side; the begin of an event waits for its end, so that an error event can never
    /// land in the middle of another.
    pub(super) fn take(&mut self, chunk: Bytes) {
        if self.open.is_none() {
            return;
        }
        let now = self.gateway.live.now();
        self.last = now;
        self.peeked.held += chunk.len() as u64;
        let before = self.peeked.watch.content_events();
        let stop = if self.peeked.is_translated() { self.translate(chunk) } else { self.forward(chunk) };
        if !self.peeked.ready.is_empty() {
            // Who hears nothing of it is told that somebody is there.
            self.last_said = now;
        }
        self.remember();
        self.learn();
        let after = self.peeked.watch.content_events();
        if after > before {
            self.longest_gap = self.longest_gap.max(now.since(self.last_content));
            self.last_content = now;
        }
        if let Some((permit, _)) = &mut self.open {
            permit.came(after);
        }
        match stop {
            // Whatever else came has come too late.
            _ if self.peeked.is_stopped() => self.stop(),
            Some(broken) => self.breaks(broken),
            None => {
                if let Some((permit, _)) = &mut self.open {
                    permit.keeps_going();
                }
            }
        }
    }

    /// Passes a chunk's events on as they are.
    fn forward(&mut self, chunk: Bytes) -> Option<Break> {
        let mut run = Run::new(chunk.clone());
        self.peeked.splitter.push(chunk);
        let stop = loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(_) => break Some(Break::of(Fault::Protocol)),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::UsageOnly if self.peeked.strip_usage => {
                    self.peeked.follow(&frame);
                    continue;
                }
                Beat::Error(in_band) => break Some(Break::said(in_band, [frame.raw])),
                // Nobody can read it, so that it is no use to the caller either.
                Beat::Broken => {
                    self.peeked.broken_events += 1;
                    continue;
                }
                Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish | Beat::Terminal => {}
            }
            self.peeked.follow(&frame);
            run.add(frame.raw, &mut self.peeked.ready);
        };
        run.end(&mut self.peeked.ready);
        stop
    }

    /// Passes a chunk's events on as the caller's dialect says them.
    fn translate(&mut self, chunk: Bytes) -> Option<Break> {
        self.peeked.splitter.push(chunk);
        loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(_) => return Some(Break::of(Fault::Protocol)),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::Error(in_band) => return Some(Break::said(in_band, [])),
                beat => {
                    if let Err(untold) = self.peeked.pass(&frame, &beat) {
                        return Some(untold.into());
                    }
                }
            }
        }
    }

    /// Remembers the answer once it is whole, and before its end leaves: the caller may refer to it at once.
    pub(super) fn remember(&mut self) {
        if let Some(whole) = self.peeked.take_whole()
            && let Some(keepsake) = self.keepsake.take()
        {
            keepsake.remember(&self.gateway, whole.as_bytes());
        }
    }

    /// Remembers whose model encrypted what came, before the caller can send it back.
    pub(super) fn learn(&mut self) {
        let encrypted = self.peeked.watch.take_encrypted();
        if let (false, Some((permit, party))) = (encrypted.is_empty(), &self.open) {
            thoughts::learn(&self.gateway, party.settle().caller.scope(), permit, &encrypted);
        }
    }
}
