//! Bodies of JSON: one document behind the other, or an array of documents.

use std::{any::type_name, fmt, marker::PhantomData};

use dstream_core::{Bytes, receiver::WalBlock, source::Block};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    answer::Answer,
    format::{
        Format,
        private::{Body, Kind, Read, Refused},
    },
};

/// A JSON document is a record, as a value of `T`.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json<{}>", type_name::<T>())
    }
}

impl<T: DeserializeOwned + Send + 'static> Format for Json<T> {}

impl<T: DeserializeOwned + Send + 'static> Read for Json<T> {
    type Block = JsonBlock<T>;
    const NAME: &'static str = "http_json";

    fn read(body: Body) -> Result<JsonBlock<T>, Refused> {
        documents(&body).and_then(JsonBlock::parse).map_err(|why| Refused(Answer::bad(why)))
    }
}

/// The documents of a body, each on a line of its own.
pub(crate) fn documents(body: &Body) -> Result<Bytes, String> {
    let text = std::str::from_utf8(&body.bytes).map_err(|error| error.to_string())?;
    let explain = |error| format!("the body is no JSON, nor JSON documents one behind the other: {error}");
    // Behind the opening bracket of an array there may be an array that is the only one of such documents.
    let array = body.kind != Kind::JsonLines && text.trim_start().starts_with('[');
    let documents: Vec<&RawValue> = if array {
        serde_json::from_str(text).map_err(explain)?
    } else {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(explain)?
    };
    let mut lines = Vec::with_capacity(text.len() + 1);
    for document in documents {
        // Inside a string of JSON there is no end of a line: they only lie between its parts.
        let line = document.get().bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b });
        lines.extend(line.chain([b'\n']));
    }
    Ok(lines.into())
}

/// The documents of a request.
pub struct JsonBlock<T> {
    records: Vec<T>,
    /// The same as text: what the log gets.
    lines: Bytes,
    bytes: usize,
}

impl<T: DeserializeOwned> JsonBlock<T> {
    fn parse(lines: Bytes) -> Result<JsonBlock<T>, String> {
        let mut records = Vec::new();
        for (n, line) in lines.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let record = serde_json::from_slice(line);
            records.push(record.map_err(|error| format!("document {} does not fit: {error}", n + 1))?);
        }
        let bytes = lines.len() + size_of_val(&*records);
        Ok(JsonBlock { records, lines, bytes })
    }
}

impl<T> fmt::Debug for JsonBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonBlock").field("documents", &self.records.len()).finish_non_exhaustive()
    }
}

impl<T: Send> Block for JsonBlock<T> {
    type Record<'a>
        = T
    where
        T: 'a;

    fn records(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.records).into_iter()
    }

    fn weight(&self) -> usize {
        self.bytes
    }

    fn record_count(&self) -> Option<u64> {
        Some(self.records.len() as u64)
    }
}

impl<T: DeserializeOwned + Send> WalBlock for JsonBlock<T> {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        Ok(Some(std::mem::take(&mut self.lines)))
    }

    fn from_log(bytes: Bytes) -> Result<JsonBlock<T>, String> {
        JsonBlock::parse(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str, kind: Kind) -> Result<String, String> {
        let lines = documents(&Body { bytes: Bytes::from_static(text.as_bytes()), kind })?;
        Ok(String::from_utf8(lines.to_vec()).unwrap())
    }

    #[test]
    fn each_document_is_a_line() {
        let one = |text| lines(text, Kind::Json).unwrap();
        assert_eq!(one("{\"a\":\r\n [1,\n2]}"), "{\"a\":   [1, 2]}\n");
        assert_eq!(one("[{\"a\": 1}, {\"a\": 2}\n]"), "{\"a\": 1}\n{\"a\": 2}\n");
        assert_eq!(one(" {} {}\n1 \"\\n\""), "{}\n{}\n1\n\"\\n\"\n");
        assert_eq!(one("[]"), "");
        assert_eq!(lines("[1,2]\n[3]", Kind::JsonLines).unwrap(), "[1,2]\n[3]\n");
        for bad in ["{", "[1,2]\n[3]", "[1 2]", "hello", "{} x", "[1]]"] {
            assert!(lines(bad, Kind::Json).unwrap_err().contains("line "), "{bad}");
        }
        // Brackets without end must not take the stack.
        let deep: &'static str = "[".repeat(1_000_000).leak();
        assert!(lines(deep, Kind::JsonLines).is_err() && lines(deep, Kind::Json).is_err());
    }

    #[test]
    fn documents_come_back_from_the_log() {
        let bytes = Bytes::from_static(b"[{\"a\":1},{\"a\":2}]");
        let mut block = match Json::<serde_json::Value>::read(Body { bytes, kind: Kind::Json }) {
            Ok(block) => block,
            Err(Refused(answer)) => panic!("{answer:?}"),
        };
        let logged = block.to_log().unwrap().unwrap();
        let mut again = JsonBlock::<serde_json::Value>::from_log(logged).unwrap();
        assert_eq!(again.records().collect::<Vec<_>>(), block.records().collect::<Vec<_>>());
        let error = JsonBlock::<u8>::from_log(Bytes::from_static(b"1\n2\n{}\n")).unwrap_err();
        assert!(error.starts_with("document 3 does not fit"), "{error}");
    }
}
