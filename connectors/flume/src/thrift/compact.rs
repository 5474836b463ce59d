//! Thrift's compact protocol, as much as calls of Flume have of it; what else there may be is skipped.

const PROTOCOL: u8 = 0x82;
const VERSION: u8 = 1;
const CALL: u8 = 1;
const REPLY: u8 = 2;
const EXCEPTION: u8 = 3;
const ONE_WAY: u8 = 4;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
pub(super) const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;

/// How deep values may lie in one another.
const MAX_DEPTH: u8 = 32;

/// Bytes that are read from the front. Every error says what is wrong at which byte.
pub(super) struct Input<'a> {
    rest: &'a [u8],
    length: usize,
    depth: u8,
}

/// The head of a message.
pub(super) struct Message<'a> {
    pub(super) name: &'a str,
    pub(super) sequence: u32,
    pub(super) answered: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes, length: bytes.len(), depth: 0 }
    }

    fn wrong(&self, what: &str) -> String {
        format!(
            "the request makes no sense: {what} at byte {} of {}",
            self.length - self.rest.len(),
            self.length
        )
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.wrong(&format!("{length} bytes are expected")))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.wrong("a number has more than 64 bits"))
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.varint()?;
        usize::try_from(length).map_err(|_| self.wrong(&format!("a length of {length}")))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn message(&mut self) -> Result<Message<'a>, String> {
        let (protocol, kind) = (self.byte()?, self.byte()?);
        if protocol != PROTOCOL {
            let binary = if protocol == 0x80 { ", that of the binary protocol" } else { "" };
            return Err(format!(
                "a request begins with {protocol:#x}{binary}, expected {PROTOCOL:#x}, the compact protocol: \
                 set `protocol = compact` at the agent"
            ));
        }
        if kind & 0x1f != VERSION {
            return Err(self.wrong(&format!("version {} where {VERSION} is expected", kind & 0x1f)));
        }
        let answered = match kind >> 5 {
            CALL => true,
            ONE_WAY => false,
            other => {
                return Err(self.wrong(&format!("a message of the kind {other} where a call is expected")));
            }
        };
        let sequence = self.varint()? as u32;
        let name = std::str::from_utf8(self.bytes()?).map_err(|_| self.wrong("a name that is no text"))?;
        Ok(Message { name, sequence, answered })
    }

    /// The fields of a struct: their numbers and types.
    pub(super) fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i16, u8) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            if head == STOP {
                return Ok(());
            }
            id = match head >> 4 {
                0 => {
                    let id = self.varint()?;
                    ((id >> 1) as i64 ^ -((id & 1) as i64)) as i16
                }
                more => id.wrapping_add(i16::from(more)),
            };
            field(self, id, head & 0x0f)?;
        }
    }

    /// A list or a set of elements of this type, of which each takes at least a byte.
    pub(super) fn list(
        &mut self,
        of: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let (kind, count) = self.list_head()?;
        if kind != of && count > 0 {
            return Err(self.wrong(&format!("a list of the type {kind}, expected {of}")));
        }
        (0..count).try_for_each(|_| element(self))
    }

    fn list_head(&mut self) -> Result<(u8, usize), String> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.length()? } else { usize::from(head >> 4) };
        Ok((head & 0x0f, count))
    }

    /// The types of keys and values, if there are any.
    fn map_head(&mut self) -> Result<(u8, u8, usize), String> {
        let count = self.length()?;
        let kinds = if count > 0 { self.byte()? } else { BINARY << 4 | BINARY };
        Ok((kinds >> 4, kinds & 0x0f, count))
    }

    /// A map of texts.
    pub(super) fn map(&mut self, mut entry: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), String> {
        let (key, value, count) = self.map_head()?;
        if (key, value) != (BINARY, BINARY) {
            return Err(self.wrong(&format!("a map of the types {key} and {value}, expected texts")));
        }
        for _ in 0..count {
            entry(self.bytes()?, self.bytes()?);
        }
        Ok(())
    }

    /// Leaves a field of this type out.
    pub(super) fn skip(&mut self, of: u8) -> Result<(), String> {
        match of {
            // The type has the value.
            TRUE | FALSE => Ok(()),
            _ => self.skip_value(of),
        }
    }

    fn skip_value(&mut self, of: u8) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong("values lie too deep in one another"));
        }
        self.depth += 1;
        match of {
            TRUE | FALSE | BYTE => drop(self.byte()?),
            I16 | I32 | I64 => drop(self.varint()?),
            DOUBLE => drop(self.take(8)?),
            BINARY => drop(self.bytes()?),
            LIST | SET => {
                let (kind, count) = self.list_head()?;
                (0..count).try_for_each(|_| self.skip_value(kind))?;
            }
            MAP => {
                let (key, value, count) = self.map_head()?;
                (0..count).try_for_each(|_| self.skip_value(key).and_then(|()| self.skip_value(value)))?;
            }
            STRUCT => self.fields(|input, _, of| input.skip(of))?,
            other => return Err(self.wrong(&format!("a value of the type {other}, which there is not"))),
        }
        self.depth -= 1;
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong("more than is expected")) }
    }
}

/// A message that is written.
pub(super) struct Output(Vec<u8>);

impl Output {
    fn new(kind: u8, name: &str, sequence: u32) -> Output {
        let mut output = Output(vec![PROTOCOL, kind << 5 | VERSION]);
        output.varint(u64::from(sequence));
        output.bytes(name.as_bytes());
        output
    }

    /// The result of a call.
    pub(super) fn status(name: &str, sequence: u32, status: i32) -> Vec<u8> {
        let mut output = Output::new(REPLY, name, sequence);
        // Field 0, which can't be written as the distance from the one before it.
        output.0.extend([I32, 0]);
        output.number(status);
        output.0.push(STOP);
        output.0
    }

    /// A `TApplicationException`.
    pub(super) fn exception(name: &str, sequence: u32, kind: i32, text: &str) -> Vec<u8> {
        let mut output = Output::new(EXCEPTION, name, sequence);
        output.0.push(1 << 4 | BINARY);
        output.bytes(text.as_bytes());
        output.0.push(1 << 4 | I32);
        output.number(kind);
        output.0.push(STOP);
        output.0
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, value: i32) {
        self.varint(u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_are_refused() {
        let skip = |bytes: &[u8], of| Input::new(bytes).skip(of);
        let endless = [0xff; 9];
        assert!(skip(&[&[0xf8][..], &endless[..8], &[0x7f]].concat(), LIST).is_err());
        assert!(skip(&[&endless[..8], &[0x7f, 0x88]].concat(), MAP).is_err());
        assert!(skip(&endless, BINARY).is_err());
        // Elements without a type would take no bytes.
        assert!(skip(&[0xf0, 0xff, 0xff, 0xff, 0x7f], LIST).unwrap_err().contains("which there is not"));
        for deep in [[0x19; 1000], [0x1c; 1000]] {
            let of = deep[0] & 0x0f;
            assert!(skip(&deep, of).unwrap_err().contains("too deep"));
        }
    }

    #[test]
    fn only_calls_of_the_compact_protocol_are_read() {
        let message = |bytes: &[u8]| Input::new(bytes).message().map(|m| (m.name.to_owned(), m.sequence));
        assert_eq!(message(&[0x82, 0x21, 0x81, 1, 1, b'a']), Ok(("a".to_owned(), 129)));
        assert!(message(&[0x80, 1, 0, 1]).unwrap_err().contains("that of the binary protocol"));
        assert!(message(&[0x82, 0x22]).unwrap_err().contains("version 2"));
        assert!(message(&[0x82, 0x41]).unwrap_err().contains("of the kind 2"));
        assert!(message(b"").is_err());
    }
}
