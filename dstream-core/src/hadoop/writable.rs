//! What keys and values are in a SequenceFile.

use bytes::Bytes;

use super::varint;
use crate::Str;

/// A type that Hadoop knows by a class of its own: what a SequenceFile has of a key or a value.
///
/// | type | class in `org.apache.hadoop.io` |
/// |---|---|
/// | `String`, [`Str`] | `Text` |
/// | `i32`, `i64` | `IntWritable`, `LongWritable` |
/// | `u64` | `LongWritable`; a number above 2⁶³−1 is refused |
/// | `f32`, `f64` | `FloatWritable`, `DoubleWritable` |
/// | `bool` | `BooleanWritable` |
/// | `()` | `NullWritable` |
/// | `Vec<u8>`, [`Bytes`] | `BytesWritable` |
///
/// A type of one's own can be one, if Hadoop has a class for it.
pub trait Writable: Sized {
    /// The name of the class.
    const CLASS: &'static str;

    /// Appends the value as the class writes it; `Err` says why it can't be.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), String>;

    /// Reads what the class has written, which is all of `bytes`; `Err` says what does not fit.
    fn read(bytes: &[u8]) -> Result<Self, String>;
}

fn text(mut bytes: &[u8]) -> Result<&str, String> {
    let length = varint::take(&mut bytes)?;
    if usize::try_from(length) != Ok(bytes.len()) {
        return Err(format!("a text of {length} bytes, of which there are {}", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| format!("a text that is not UTF-8: {error}"))
}

impl Writable for String {
    const CLASS: &'static str = "org.apache.hadoop.io.Text";

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        varint::put_text(out, self);
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<String, String> {
        text(bytes).map(str::to_owned)
    }
}

impl Writable for Str {
    const CLASS: &'static str = String::CLASS;

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        varint::put_text(out, self);
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Str, String> {
        text(bytes).map(Str::from)
    }
}

macro_rules! numbers {
    ($($number:ty, $class:literal;)*) => {$(
        impl Writable for $number {
            const CLASS: &'static str = concat!("org.apache.hadoop.io.", $class);

            fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
                out.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }

            fn read(bytes: &[u8]) -> Result<$number, String> {
                let found = bytes.len();
                let wanted = size_of::<$number>();
                let bytes = bytes.try_into().map_err(|_| format!("{found} bytes, of {wanted} of a number"))?;
                Ok(<$number>::from_be_bytes(bytes))
            }
        }
    )*};
}

numbers! {
    i32, "IntWritable";
    i64, "LongWritable";
    f32, "FloatWritable";
    f64, "DoubleWritable";
}

impl Writable for u64 {
    const CLASS: &'static str = i64::CLASS;

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let number = i64::try_from(*self).map_err(|_| format!("{self} is too large for a LongWritable"))?;
        number.write(out)
    }

    fn read(bytes: &[u8]) -> Result<u64, String> {
        let number = i64::read(bytes)?;
        u64::try_from(number).map_err(|_| format!("{number} is negative, expected a number of type u64"))
    }
}

impl Writable for bool {
    const CLASS: &'static str = "org.apache.hadoop.io.BooleanWritable";

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        out.push(u8::from(*self));
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<bool, String> {
        match bytes {
            [byte] => Ok(*byte != 0),
            _ => Err(format!("{} bytes, of 1 of a BooleanWritable", bytes.len())),
        }
    }
}

impl Writable for () {
    const CLASS: &'static str = "org.apache.hadoop.io.NullWritable";

    fn write(&self, _: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<(), String> {
        match bytes {
            [] => Ok(()),
            _ => Err(format!("{} bytes, where a NullWritable has none", bytes.len())),
        }
    }
}

fn block(bytes: &[u8]) -> Result<&[u8], String> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err("a BytesWritable without a length".to_owned());
    };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) == Ok(rest.len()) {
        true => Ok(rest),
        false => Err(format!("a BytesWritable of {length} bytes, of which there are {}", rest.len())),
    }
}

fn put_block(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    let length = i32::try_from(bytes.len())
        .map_err(|_| format!("{} bytes are too many for a BytesWritable", bytes.len()))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

impl Writable for Vec<u8> {
    const CLASS: &'static str = "org.apache.hadoop.io.BytesWritable";

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        put_block(out, self)
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        block(bytes).map(<[u8]>::to_vec)
    }
}

impl Writable for Bytes {
    const CLASS: &'static str = <Vec<u8>>::CLASS;

    fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        put_block(out, self)
    }

    fn read(bytes: &[u8]) -> Result<Bytes, String> {
        block(bytes).map(Bytes::copy_from_slice)
    }
}
