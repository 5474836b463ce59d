//! Lines of text out of a connection.

use bytes::BytesMut;

use super::{
    TextBlock,
    tcp::{Fault, Framing},
};
use crate::{block::line_count, clock::Throttled, receiver::ReceiverContext};

/// Finds whole lines in what is read, without copying them.
///
/// All of `buffer` is initialised, which is what lets a socket read into it; the first `filled` bytes are a
/// line that has no end yet. Whole lines are split off the front, and the rest of the buffer goes on being
/// used.
pub(super) struct LineBuffer {
    buffer: BytesMut,
    filled: usize,
    max_line: usize,
    /// How large the buffer is, unless a line is larger.
    size: usize,
}

impl LineBuffer {
    const SMALLEST_READ: usize = 4 << 10;

    pub(super) fn new(max_line: usize) -> LineBuffer {
        LineBuffer::with_size(256 << 10, max_line)
    }

    /// A smaller buffer, where there are many.
    pub(super) fn with_size(size: usize, max_line: usize) -> LineBuffer {
        // A character has up to four bytes.
        LineBuffer { buffer: BytesMut::new(), filled: 0, max_line: max_line.max(4), size }
    }

    fn grow(&mut self) -> &mut [u8] {
        // One byte more than a line may have, for its end: what fits into the buffer needs no cut.
        let size = self.size.max(2 * self.filled).min(self.max_line.saturating_add(1));
        if self.buffer.len() - self.filled < Self::SMALLEST_READ && self.buffer.len() < size {
            let mut larger = BytesMut::zeroed(size);
            larger[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
            self.buffer = larger;
        }
        &mut self.buffer[self.filled..]
    }

    /// `n` bytes have been read: the lines that are whole now.
    fn whole(&mut self, n: usize) -> Option<BytesMut> {
        let new = self.filled..self.filled + n;
        self.filled = new.end;
        let end = match memchr::memrchr(b'\n', &self.buffer[new.clone()]) {
            Some(at) => new.start + at + 1,
            None if self.filled > self.max_line => self.cut(),
            None => return None,
        };
        self.filled -= end;
        Some(self.buffer.split_to(end))
    }

    /// What is left at the end.
    fn rest(&mut self) -> Option<BytesMut> {
        let rest = std::mem::take(&mut self.filled);
        (rest > 0).then(|| self.buffer.split_to(rest))
    }

    /// Where to cut the line that is too long: not inside a character.
    fn cut(&self) -> usize {
        static CUT: Throttled = Throttled::new();
        CUT.count(1, |n| {
            let max = self.max_line;
            crate::logs::warn!(
                "cut {n} lines of text longer than {max} bytes: what follows the cut is the next line \
                 (see `Config::max_line_bytes`)"
            );
        });
        let is_start = |at: &usize| self.buffer[*at] & 0b1100_0000 != 0b1000_0000;
        (self.max_line - 3..=self.max_line).rev().find(is_start).unwrap_or(self.max_line)
    }
}

impl Framing<TextBlock> for LineBuffer {
    fn space(&mut self) -> &mut [u8] {
        self.grow()
    }

    fn filled(&mut self, n: usize, ctx: &ReceiverContext<TextBlock>) -> Result<(), Fault> {
        if let Some(piece) = self.whole(n) {
            store(ctx, piece);
        }
        Ok(())
    }

    fn ended(&mut self, ctx: &ReceiverContext<TextBlock>) -> Result<(), Fault> {
        if let Some(rest) = self.rest() {
            store(ctx, rest);
        }
        Ok(())
    }
}

fn store(ctx: &ReceiverContext<TextBlock>, mut piece: BytesMut) {
    while let Some(lines) = ctx.admit(|| line_count(&piece)) {
        let last = usize::try_from(lines).unwrap_or(usize::MAX).saturating_sub(1);
        let end = memchr::memchr_iter(b'\n', &piece).nth(last).map(|at| at + 1);
        let Some(end) = end.filter(|end| *end < piece.len()) else { break };
        let admitted = piece.split_to(end);
        ctx.extend(admitted.len(), admitted, TextBlock::extend, TextBlock::received);
    }
    ctx.extend(piece.len(), piece, TextBlock::extend, TextBlock::received);
}
