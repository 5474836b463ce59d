//! Inputs that are nearly right: a member of a corpus, changed in a few places.

/// Numbers that look random; the same ones for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % (n.max(1) as u64)) as usize
    }

    /// One of some.
    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Numbers at which lengths and signs go wrong.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

/// Bytes by which formats tell what follows: MessagePack's markers, numbers of seven bits a byte, ends of
/// lines.
const MARKERS: [u8; 16] =
    [0x00, 0x0a, 0x0d, 0x7f, 0x80, 0x8f, 0x9f, 0xc0, 0xc1, 0xc6, 0xcf, 0xd9, 0xdb, 0xdd, 0xdf, 0xff];

/// A member of the corpus with one to six changes.
pub(crate) fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.of(corpus).clone();
    for _ in 0..1 + random.below(6) {
        mutate(&mut bytes, corpus, random);
    }
    bytes
}

/// One change.
pub(crate) fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(20)).min(bytes.len());
    match random.below(10) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (end % 8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = *random.of(&MARKERS)),
        2 => bytes.iter_mut().take(end).skip(at).for_each(|byte| *byte = random.next() as u8),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        6 => bytes.insert(at, *random.of(&MARKERS)),
        7 => {
            let other = random.of(corpus);
            let from = random.below(other.len() + 1);
            drop(bytes.splice(at..end, other[from..].iter().copied().take(40)));
        }
        8 => overwrite(bytes, at, random),
        _ => {
            let number = random.of(&EDGES).to_be_bytes();
            drop(bytes.splice(at..end, number));
        }
    }
}

/// Puts an edge over what is there, in one of the forms that numbers have.
fn overwrite(bytes: &mut [u8], at: usize, random: &mut Random) {
    let edge = *random.of(&EDGES);
    let form: Vec<u8> = match random.below(5) {
        0 => (edge as u16).to_be_bytes().to_vec(),
        1 => (edge as u32).to_be_bytes().to_vec(),
        2 => (edge as u32).to_le_bytes().to_vec(),
        3 => edge.to_be_bytes().to_vec(),
        _ => edge.to_le_bytes().to_vec(),
    };
    bytes.iter_mut().skip(at).zip(form).for_each(|(byte, new)| *byte = new);
}
