//! Avro's binary encoding, as much as calls of Flume have of it.

use crate::block::Events;

/// Bytes that are read from the front. Every error says what is wrong at which byte.
pub(super) struct Input<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes, length: bytes.len() }
    }

    fn wrong(&self, what: &str) -> String {
        format!(
            "the request makes no sense: {what} at byte {} of {}",
            self.length - self.rest.len(),
            self.length
        )
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.wrong(&format!("{length} bytes are expected")))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Zigzag, seven bits a byte.
    pub(super) fn long(&mut self) -> Result<i64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(self.wrong("a number has more than 64 bits"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| self.wrong(&format!("a length of {length}")))?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("a name that is no text"))
    }

    /// An array or a map: blocks of elements, of which each takes at least a byte.
    pub(super) fn blocks(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // How many bytes the elements have, for those who leave them out.
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                element(self)?;
            }
        }
    }

    pub(super) fn map(&mut self, mut entry: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), String> {
        self.blocks(|input| {
            entry(input.bytes()?, input.bytes()?);
            Ok(())
        })
    }

    /// A value that may be null: `None`, or what `read` reads.
    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        match self.long()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            other => Err(self.wrong(&format!("{other} where 0 or 1 is expected"))),
        }
    }

    /// An `AvroFlumeEvent`: headers and body.
    pub(super) fn event(&mut self, events: &mut Events) -> Result<(), String> {
        self.map(|name, value| events.header(name, value))?;
        events.body(self.bytes()?);
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong("more than is expected")) }
    }
}

pub(super) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left > 0x7f {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for n in [0, -1, 1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, n);
            let mut input = Input::new(&bytes);
            assert_eq!((input.long(), input.end()), (Ok(n), Ok(())));
        }
        assert!(Input::new(&[0xff; 20]).long().unwrap_err().contains("64 bits"));
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let mut huge = Vec::new();
        put_long(&mut huge, i64::MAX);
        let mut negative = Vec::new();
        put_long(&mut negative, -1);
        for bytes in [&huge, &negative] {
            assert!(Input::new(bytes).bytes().is_err());
        }
        // So many elements that are not there.
        assert!(Input::new(&huge).event(&mut Events::new()).unwrap_err().contains("at byte"));
        let mut least = Vec::new();
        put_long(&mut least, i64::MIN);
        assert!(Input::new(&least).event(&mut Events::new()).is_err());
    }
}
