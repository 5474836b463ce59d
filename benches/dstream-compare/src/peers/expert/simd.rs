//! Words out of bytes, 64 at a time, and prefetches: the one module of this crate that is `unsafe`.
//!
//! What it relies on:
//! * a function for a set of instructions is called only behind `is_x86_feature_detected!`;
//! * a vector is loaded only from 64 bytes of `text` that are bounds-checked as a slice, or from an array of
//!   64;
//! * a prefetch is a hint: it may be given any address, and this one belongs to a slice anyway.
#![allow(unsafe_code)]

/// Gets the words of a block.
pub(super) trait Sink {
    /// A word, as its place in the block. May be empty, between two spaces.
    fn word(&mut self, text: &[u8], start: usize, len: usize);

    /// The end of a line of `len` bytes, behind its words.
    #[inline(always)]
    fn line(&mut self, _len: usize) {}
}

/// Gives every word and line of the block to the sink. Words end at a space or at the end of a line, lines at
/// `\n`.
pub(super) fn tokenise(text: &[u8], sink: &mut impl Sink) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("bmi1") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { x86::avx512(text, sink) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
            // SAFETY: as above.
            return unsafe { x86::avx2(text, sink) };
        }
    }
    scan(text, sink, |chunk| {
        let mut masks = Masks { ends: 0, lines: 0 };
        for (at, byte) in chunk.iter().enumerate() {
            masks.ends |= u64::from(matches!(byte, b' ' | b'\n')) << at;
            masks.lines |= u64::from(*byte == b'\n') << at;
        }
        masks
    });
}

/// Where words and lines end in 64 bytes, a bit a byte.
struct Masks {
    ends: u64,
    lines: u64,
}

#[inline(always)]
fn scan<S: Sink>(text: &[u8], sink: &mut S, masks: impl Fn(&[u8; 64]) -> Masks) {
    let mut at = Place { word: 0, line: 0 };
    let (chunks, rest) = text.as_chunks::<64>();
    for (n, chunk) in chunks.iter().enumerate() {
        at.take(text, n * 64, masks(chunk), sink);
    }
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    at.take(text, text.len() - rest.len(), masks(&last), sink);
    if at.line < text.len() {
        sink.word(text, at.word, text.len() - at.word);
        sink.line(text.len() - at.line);
    }
}

/// Where the word and the line began that have not ended yet.
struct Place {
    word: usize,
    line: usize,
}

impl Place {
    #[inline(always)]
    fn take<S: Sink>(&mut self, text: &[u8], base: usize, masks: Masks, sink: &mut S) {
        let mut ends = masks.ends;
        while ends != 0 {
            let end = base + ends.trailing_zeros() as usize;
            sink.word(text, self.word, end - self.word);
            self.word = end + 1;
            if masks.lines & ends & ends.wrapping_neg() != 0 {
                sink.line(end - self.line);
                self.line = end + 1;
            }
            ends &= ends - 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Masks, Sink, scan};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,avx2")]
    pub(super) fn avx512<S: Sink>(text: &[u8], sink: &mut S) {
        let (space, newline) = (_mm512_set1_epi8(b' ' as i8), _mm512_set1_epi8(b'\n' as i8));
        scan(text, sink, |chunk| {
            // SAFETY: 64 bytes, which need no alignment.
            let bytes = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
            let lines = _mm512_cmpeq_epi8_mask(bytes, newline);
            Masks { ends: _mm512_cmpeq_epi8_mask(bytes, space) | lines, lines }
        });
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
    pub(super) fn avx2<S: Sink>(text: &[u8], sink: &mut S) {
        let (space, newline) = (_mm256_set1_epi8(b' ' as i8), _mm256_set1_epi8(b'\n' as i8));
        let mask = |a, b| {
            let (low, high) = (_mm256_movemask_epi8(a) as u32, _mm256_movemask_epi8(b) as u32);
            u64::from(low) | u64::from(high) << 32
        };
        scan(text, sink, |chunk| {
            // SAFETY: twice 32 bytes, which need no alignment.
            let (a, b) = unsafe {
                (_mm256_loadu_si256(chunk.as_ptr().cast()), _mm256_loadu_si256(chunk.as_ptr().add(32).cast()))
            };
            let lines = mask(_mm256_cmpeq_epi8(a, newline), _mm256_cmpeq_epi8(b, newline));
            Masks { ends: mask(_mm256_cmpeq_epi8(a, space), _mm256_cmpeq_epi8(b, space)) | lines, lines }
        });
    }
}

/// Brings an element near, if it exists.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; the address is not read through.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>, Vec<usize>);

    impl Sink for Seen {
        fn word(&mut self, text: &[u8], start: usize, len: usize) {
            self.0.push(String::from_utf8_lossy(&text[start..start + len]).into_owned());
        }

        fn line(&mut self, len: usize) {
            self.1.push(len);
        }
    }

    #[test]
    fn as_lines_and_split() {
        let mut random = crate::data::Random(7);
        for _ in 0..2_000 {
            let len = random.below(200);
            let text: String =
                (0..len).map(|_| ['a', 'b', 'c', ' ', '\n'][random.below(5) as usize]).collect();
            let mut seen = Seen::default();
            tokenise(text.as_bytes(), &mut seen);
            let words: Vec<&str> = text.lines().flat_map(|line| line.split(' ')).collect();
            assert_eq!(seen.0, words, "{text:?}");
            assert_eq!(seen.1, text.lines().map(str::len).collect::<Vec<_>>(), "{text:?}");
        }
    }
}
