//! Commands, in the form in which they are sent.

use std::io::Write as _;

use dstream_core::{Bytes, Str};

/// What a key, a field or a value may be: text, bytes and numbers.
pub trait Argument {
    /// Hands its bytes to a function, once.
    fn with_bytes(&self, take: impl FnOnce(&[u8]));
}

macro_rules! as_they_are {
    ($($t:ty),*) => {$(
        impl Argument for $t {
            fn with_bytes(&self, take: impl FnOnce(&[u8])) {
                take(self.as_ref());
            }
        }
    )*};
}

macro_rules! as_text {
    ($($t:ty),*) => {$(
        impl Argument for $t {
            fn with_bytes(&self, take: impl FnOnce(&[u8])) {
                // The longest number, a `f64`, has more digits than fit on the stack only if it is huge.
                let mut text = [0; 48];
                let mut rest = &mut text[..];
                match write!(rest, "{self}") {
                    Ok(()) => {
                        let left = rest.len();
                        take(&text[..48 - left]);
                    }
                    Err(_) => take(self.to_string().as_bytes()),
                }
            }
        }
    )*};
}

as_they_are!(str, String, Str, [u8], Vec<u8>, Bytes);
as_text!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64);

impl<A: Argument + ?Sized> Argument for &A {
    fn with_bytes(&self, take: impl FnOnce(&[u8])) {
        (**self).with_bytes(take);
    }
}

/// The commands that a record becomes. They run in the transaction of its batch.
#[derive(Debug, Default)]
pub struct Commands {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: usize,
}

impl Commands {
    fn begin(&mut self, arguments: usize, name: &str) {
        self.count += 1;
        self.number(b'*', arguments + 1);
        self.argument(name);
    }

    fn number(&mut self, mark: u8, number: usize) {
        self.bytes.push(mark);
        number.with_bytes(|number| self.bytes.extend_from_slice(number));
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn argument(&mut self, argument: impl Argument) {
        argument.with_bytes(|bytes| {
            self.number(b'$', bytes.len());
            self.bytes.extend_from_slice(bytes);
        });
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn one(&mut self, name: &str, key: impl Argument) {
        self.begin(1, name);
        self.argument(key);
    }

    fn two(&mut self, name: &str, key: impl Argument, value: impl Argument) {
        self.begin(2, name);
        self.argument(key);
        self.argument(value);
    }

    fn three(&mut self, name: &str, key: impl Argument, field: impl Argument, value: impl Argument) {
        self.begin(3, name);
        self.argument(key);
        self.argument(field);
        self.argument(value);
    }

    /// `SET key value`.
    pub fn set(&mut self, key: impl Argument, value: impl Argument) {
        self.two("SET", key, value);
    }

    /// `INCRBY key by`: adds to a number.
    pub fn incrby(&mut self, key: impl Argument, by: impl Argument) {
        self.two("INCRBY", key, by);
    }

    /// `DEL key`.
    pub fn del(&mut self, key: impl Argument) {
        self.one("DEL", key);
    }

    /// `EXPIRE key seconds`: the key is deleted after a while.
    pub fn expire(&mut self, key: impl Argument, seconds: u64) {
        self.two("EXPIRE", key, seconds);
    }

    /// `HSET key field value`: a field of a hash.
    pub fn hset(&mut self, key: impl Argument, field: impl Argument, value: impl Argument) {
        self.three("HSET", key, field, value);
    }

    /// `HINCRBY key field by`: adds to a number in a field of a hash.
    pub fn hincrby(&mut self, key: impl Argument, field: impl Argument, by: impl Argument) {
        self.three("HINCRBY", key, field, by);
    }

    /// `HDEL key field`.
    pub fn hdel(&mut self, key: impl Argument, field: impl Argument) {
        self.two("HDEL", key, field);
    }

    /// `SADD key member`: a member of a set.
    pub fn sadd(&mut self, key: impl Argument, member: impl Argument) {
        self.two("SADD", key, member);
    }

    /// `SREM key member`.
    pub fn srem(&mut self, key: impl Argument, member: impl Argument) {
        self.two("SREM", key, member);
    }

    /// `ZADD key score member`: a member of a sorted set.
    pub fn zadd(&mut self, key: impl Argument, score: impl Argument, member: impl Argument) {
        self.three("ZADD", key, score, member);
    }

    /// `RPUSH key value`: the end of a list.
    pub fn rpush(&mut self, key: impl Argument, value: impl Argument) {
        self.two("RPUSH", key, value);
    }

    /// Any other command that writes, such as `command("PFADD", &[b"visitors", name])`. None that has a
    /// meaning for the transaction itself, such as `EXEC`.
    pub fn command(&mut self, name: &str, arguments: &[&[u8]]) {
        self.begin(arguments.len(), name);
        arguments.iter().for_each(|argument| self.argument(*argument));
    }
}

/// The `at`-th command, as a person would write it.
pub(crate) fn shown(commands: &[u8], at: usize) -> Option<String> {
    let mut rest = commands;
    let mut found = Vec::new();
    for _ in 0..=at {
        found.clear();
        let arguments = line(&mut rest)?;
        for _ in 0..arguments {
            let len = line(&mut rest)?;
            found.push(String::from_utf8_lossy(rest.get(..len)?).into_owned());
            rest = rest.get(len + 2..)?;
        }
    }
    let text = found.join(" ");
    match text.char_indices().nth(200) {
        Some((end, _)) => Some(format!("{}..", &text[..end])),
        None => Some(text),
    }
}

/// The number in the next line.
fn line(rest: &mut &[u8]) -> Option<usize> {
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    let number = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()?;
    *rest = rest.get(end + 2..)?;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_written_as_the_protocol_has_them() {
        let mut commands = Commands::default();
        commands.hincrby("counts", Str::from("be"), -12i64);
        commands.set(b"\r\n".to_vec(), f64::MAX);
        commands.command("PFADD", &[b"visitors"]);
        assert!(
            commands
                .bytes
                .starts_with(b"*4\r\n$7\r\nHINCRBY\r\n$6\r\ncounts\r\n$2\r\nbe\r\n$3\r\n-12\r\n*3\r\n")
        );
        assert!(commands.bytes.ends_with(b"*2\r\n$5\r\nPFADD\r\n$8\r\nvisitors\r\n"));
        assert_eq!(commands.count, 3);
        assert_eq!(shown(&commands.bytes, 0).unwrap(), "HINCRBY counts be -12");
        assert!(shown(&commands.bytes, 1).unwrap().ends_with(".."));
        assert_eq!(shown(&commands.bytes, 2).unwrap(), "PFADD visitors");
        assert_eq!(shown(&commands.bytes, 3), None);
    }
}
