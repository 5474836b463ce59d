use dstream_core::{
    Bytes,
    source::{BytesMut, Decoder, DelimiterDecoder, LengthDecoder},
};
use proptest::prelude::*;

/// Decodes `bytes` as they arrive in chunks of these sizes.
fn decode(
    mut decoder: impl Decoder<Item = Bytes>,
    bytes: &[u8],
    chunks: &[usize],
) -> Result<Vec<Vec<u8>>, String> {
    let mut buffer = BytesMut::new();
    let mut records = Vec::new();
    let mut rest = bytes;
    let mut chunks = chunks.iter().copied().cycle();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunks.next().unwrap_or(rest.len()).min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = behind;
        while let Some(record) = decoder.decode(&mut buffer).map_err(|e| e.to_string())? {
            records.push(record.to_vec());
        }
    }
    while let Some(record) = decoder.decode_eof(&mut buffer).map_err(|e| e.to_string())? {
        records.push(record.to_vec());
    }
    Ok(records)
}

/// A length of so many bytes, big-endian.
fn framed(records: &[Vec<u8>], prefix: usize) -> Vec<u8> {
    records
        .iter()
        .flat_map(|record| [&(record.len() as u64).to_be_bytes()[8 - prefix..], record].concat())
        .collect()
}

fn length_decoder(prefix: usize) -> LengthDecoder {
    match prefix {
        1 => LengthDecoder::u8(),
        2 => LengthDecoder::u16(),
        4 => LengthDecoder::u32(),
        _ => LengthDecoder::u64(),
    }
}

proptest! {
    #[test]
    fn delimiters_split_however_the_bytes_arrive(
        bytes in prop::collection::vec(0u8..4, 0..200),
        chunks in prop::collection::vec(1usize..20, 1..10),
    ) {
        let mut expected: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        // Behind the last delimiter a record begins only with its first byte.
        if expected.last().is_some_and(Vec::is_empty) {
            expected.pop();
        }
        prop_assert_eq!(decode(DelimiterDecoder::new(0), &bytes, &chunks), Ok(expected));
    }

    #[test]
    fn lengths_split_however_the_bytes_arrive(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10),
        chunks in prop::collection::vec(1usize..20, 1..10),
        prefix in prop::sample::select(vec![1usize, 2, 4, 8]),
        lost in 0usize..50,
    ) {
        let bytes = framed(&records, prefix);
        prop_assert_eq!(decode(length_decoder(prefix), &bytes, &chunks), Ok(records.clone()));
        // A connection that ends inside the last record.
        if let Some(last) = records.last() {
            let cut = bytes.len() - 1 - lost % (last.len() + prefix);
            let left = cut - framed(&records[..records.len() - 1], prefix).len();
            let cut = decode(length_decoder(prefix), &bytes[..cut], &chunks);
            if left == 0 {
                prop_assert_eq!(cut, Ok(records[..records.len() - 1].to_vec()));
            } else {
                let expected = format!("the connection ended inside a record: {left} bytes of it are lost");
                prop_assert_eq!(cut, Err(expected));
            }
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        chunks in prop::collection::vec(1usize..20, 1..10),
    ) {
        for prefix in [1, 2, 4, 8] {
            let _ = decode(length_decoder(prefix), &bytes, &chunks);
        }
        let _ = decode(DelimiterDecoder::new(7).max_length(10), &bytes, &chunks);
    }

    #[test]
    fn a_record_may_be_as_long_as_is_said(length in 0usize..300, max in 0usize..300, chunk in 1usize..300) {
        let record = vec![b'x'; length];
        let fits = length <= max;
        let delimited = [record.as_slice(), b"\n"].concat();
        let decoder = DelimiterDecoder::new(b'\n').max_length(max);
        prop_assert_eq!(decode(decoder, &delimited, &[chunk]).is_ok(), fits);
        let prefixed = framed(&[record], 8);
        prop_assert_eq!(decode(LengthDecoder::u64().max_length(max), &prefixed, &[chunk]).is_ok(), fits);
    }
}

#[test]
fn what_is_refused_says_why() {
    assert_eq!(
        decode(DelimiterDecoder::new(0).max_length(4), b"12345", &[2]),
        Err("no delimiter 0x00 after 4 bytes: is this the right delimiter? (see \
             `DelimiterDecoder::max_length`)"
            .into())
    );
    assert_eq!(
        decode(LengthDecoder::u64(), &[0xff; 8], &[8]),
        Err("a record of 18446744073709551615 bytes, but at most 16777216 are expected: is its length a \
             big-endian number of 8 bytes? (see `LengthDecoder::max_length`)"
            .into())
    );
}
