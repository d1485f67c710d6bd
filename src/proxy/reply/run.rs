//! Events that lie side by side in one chunk leave side by side.

use std::collections::VecDeque;

use bytes::Bytes;

/// Neighbouring slices of one chunk, joined again without a copy.
pub struct Run {
    chunk: Bytes,
    /// Offsets into `chunk`.
    open: Option<(usize, usize)>,
}

impl Run {
    pub fn new(chunk: Bytes) -> Self {
        Self { chunk, open: None }
    }

    pub fn add(&mut self, raw: Bytes, out: &mut VecDeque<Bytes>) {
        let begin = (raw.as_ptr() as usize).wrapping_sub(self.chunk.as_ptr() as usize);
        let end = begin.wrapping_add(raw.len());
        let inside = begin < self.chunk.len() && end <= self.chunk.len();
        match self.open {
            Some((first, last)) if inside && last == begin => self.open = Some((first, end)),
            _ => {
                self.end(out);
                if inside {
                    self.open = Some((begin, end));
                } else {
                    out.push_back(raw);
                }
            }
        }
    }

    pub fn end(&mut self, out: &mut VecDeque<Bytes>) {
        if let Some((first, last)) = self.open.take() {
            out.push_back(self.chunk.slice(first..last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_leave_together_and_strangers_apart() {
        let chunk = Bytes::from_static(b"aabbccdd");
        let mut out = VecDeque::new();
        let mut run = Run::new(chunk.clone());
        run.add(Bytes::from_static(b"held"), &mut out);
        run.add(chunk.slice(0..2), &mut out);
        run.add(chunk.slice(2..4), &mut out);
        run.add(chunk.slice(6..8), &mut out);
        run.end(&mut out);
        assert_eq!(out, [&b"held"[..], b"aabb", b"dd"]);
    }
}
