//! How SequenceFiles are compressed.

use std::io;

/// What is compressed in a SequenceFile, with Hadoop's `DefaultCodec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// Each value by itself.
    #[cfg(feature = "gzip")]
    Record,
    /// About a megabyte of records at a time: the smallest files.
    #[cfg(feature = "gzip")]
    Block,
}

/// Which format compressed bytes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Default,
    Gzip,
}

impl Codec {
    pub(super) const DEFAULT: &'static str = "org.apache.hadoop.io.compress.DefaultCodec";

    pub(super) fn of(class: &str) -> Result<Codec, String> {
        match class {
            Codec::DEFAULT => Ok(Codec::Default),
            "org.apache.hadoop.io.compress.GzipCodec" => Ok(Codec::Gzip),
            _ => Err(format!(
                "it is compressed by `{class}`: only DefaultCodec and GzipCodec of \
                 org.apache.hadoop.io.compress can be read"
            )),
        }
    }

    /// All that is compressed in `bytes`, unless that is more than `limit`.
    #[cfg(feature = "gzip")]
    pub(super) fn decompress(self, bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        use std::io::Read;

        let mut out = Vec::new();
        let within = limit as u64 + 1;
        match self {
            Codec::Default => flate2::bufread::ZlibDecoder::new(bytes).take(within).read_to_end(&mut out)?,
            Codec::Gzip => flate2::bufread::MultiGzDecoder::new(bytes).take(within).read_to_end(&mut out)?,
        };
        if out.len() > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("what is compressed has more than {limit} bytes"),
            ));
        }
        Ok(out)
    }

    #[cfg(not(feature = "gzip"))]
    pub(super) fn decompress(self, _: &[u8], _: usize) -> io::Result<Vec<u8>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("is compressed ({self:?}), and dstream was built without its feature `gzip`"),
        ))
    }
}

/// Compresses as `DefaultCodec` does.
#[cfg(feature = "gzip")]
pub(super) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    use std::io::Write;

    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
