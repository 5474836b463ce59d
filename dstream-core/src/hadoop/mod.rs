//! Hadoop's SequenceFiles: files of pairs that Spark, Hive and MapReduce read and write.
//!
//! [`save_as_hadoop_files`](crate::DStream::save_as_hadoop_files) writes them,
//! [`sequence_file_stream`](crate::source::sequence_file_stream) and
//! [`Rdd::sequence_file`](crate::Rdd::sequence_file) read them. What a key or a value is in the file says
//! [`Writable`]. Version 6 of the format is written and read, as it is or compressed by record or by block,
//! with the codecs `DefaultCodec` and `GzipCodec` (feature `gzip`).
//!
//! | bytes of a file | |
//! |---|---|
//! | 4 | `SEQ` and the version |
//! | text | the classes of keys and of values, one behind the other |
//! | 2 | whether values, and whether whole blocks, are compressed |
//! | text | the class of the codec, if anything is compressed |
//! | 4, then pairs of texts | how many entries of metadata there are, and these |
//! | 16 | the sync marker, a random number that stands between parts of the file |
//! | for each record: 4, 4, .. | length of the record and of its key, the key, the value; in place of a length, −1 and the sync marker |
//! | or for each block: 4, 16, .. | −1 and the sync marker, how many records, and lengths of keys, keys, lengths of values, values, each compressed behind its length |
//!
//! Numbers have the most significant byte first; a text is a length, which is a number of one to nine bytes,
//! and UTF-8. The format is that of Hadoop's `org.apache.hadoop.io.SequenceFile`.

mod codec;
mod reader;
mod varint;
mod writable;
mod writer;

pub use codec::Compression;
pub use reader::SequenceReader;
pub(crate) use reader::read_part;
pub use writable::Writable;
pub(crate) use writer::write_part;

#[cfg(test)]
mod tests;
