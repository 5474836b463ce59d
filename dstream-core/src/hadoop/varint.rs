//! Hadoop's numbers of one to nine bytes, and its texts.

use std::io::{self, Read};

/// Appends a number, as `WritableUtils.writeVLong` does.
pub(super) fn put(out: &mut Vec<u8>, number: i64) {
    if (-112..=127).contains(&number) {
        // One byte, which is the number.
        out.push(number as i8 as u8);
        return;
    }
    let (bits, first) = if number < 0 { (!number, -120i8) } else { (number, -112i8) };
    let length = (8 - bits.leading_zeros() as usize / 8).max(1);
    out.push((first - length as i8) as u8);
    out.extend_from_slice(&bits.to_be_bytes()[8 - length..]);
}

/// Reads a number.
pub(super) fn read(from: &mut impl Read) -> io::Result<i64> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let first = first[0] as i8;
    let (length, negative) = match first {
        -112..=127 => return Ok(i64::from(first)),
        -120..=-113 => ((-112 - first) as usize, false),
        -128..=-121 => ((-120 - first) as usize, true),
    };
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes[8 - length..])?;
    let bits = i64::from_be_bytes(bytes);
    Ok(if negative { !bits } else { bits })
}

/// Appends a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes a number off the front of `bytes`.
pub(super) fn take(bytes: &mut &[u8]) -> Result<i64, String> {
    read(bytes).map_err(|_| "a number that is cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_have_the_bytes_of_hadoop() {
        let encoded = |number| {
            let mut out = Vec::new();
            put(&mut out, number);
            out
        };
        // Made with WritableUtils.writeVLong.
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(127), [127]);
        assert_eq!(encoded(-112), [0x90]);
        assert_eq!(encoded(128), [0x8f, 0x80]);
        assert_eq!(encoded(-113), [0x87, 0x70]);
        assert_eq!(encoded(65_536), [0x8d, 1, 0, 0]);
        for number in [i64::MIN, i64::MAX] {
            assert_eq!(take(&mut &encoded(number)[..]), Ok(number));
        }
        for shift in 0..63 {
            for number in [1i64 << shift, (1 << shift) - 1, -(1 << shift), !(1 << shift)] {
                assert_eq!(take(&mut &encoded(number)[..]), Ok(number));
            }
        }
        assert!(take(&mut &[0x8d, 1][..]).is_err());
    }
}
