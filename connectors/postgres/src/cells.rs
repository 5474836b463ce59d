//! Rows as the text that `COPY` reads: a line for each, with tabs between the cells.

use std::io::Write as _;

use dstream_database::{Cells, Kind};

/// Encoded rows.
#[derive(Debug, Default)]
pub struct CopyText(pub(crate) Vec<u8>);

impl CopyText {
    fn number(&mut self, value: std::fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = self.0.write_fmt(value);
        self.0.push(b'\t');
    }
}

impl Cells for CopyText {
    fn null(&mut self) {
        self.0.extend_from_slice(b"\\N\t");
    }

    fn boolean(&mut self, value: bool) {
        self.0.extend_from_slice(if value { b"t\t" } else { b"f\t" });
    }

    fn integer(&mut self, value: i128) {
        match i64::try_from(value) {
            // Much faster than the large ones.
            Ok(value) => self.number(format_args!("{value}")),
            Err(_) => self.number(format_args!("{value}")),
        }
    }

    fn float(&mut self, value: f64) {
        if value.is_finite() {
            self.number(format_args!("{value}"));
        } else if value.is_nan() {
            self.number(format_args!("NaN"));
        } else {
            self.number(format_args!("{}Infinity", if value > 0.0 { "" } else { "-" }));
        }
    }

    fn text(&mut self, value: &str) {
        let mut rest = value.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
            self.0.extend_from_slice(&rest[..at]);
            let escape = match rest[at] {
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                other => other,
            };
            self.0.extend_from_slice(&[b'\\', escape]);
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'\t');
    }

    fn bytes(&mut self, value: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.0.extend_from_slice(b"\\\\x");
        for byte in value {
            self.0.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        self.0.push(b'\t');
    }

    fn end(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last = b'\n';
        }
    }
}

/// A line, without its end, as JSON: the record that it was made of, by the names of its columns.
pub(crate) fn as_json(line: &[u8], columns: &[String], kinds: &[Kind]) -> String {
    let cells = line.split(|byte| *byte == b'\t').map(|cell| String::from_utf8_lossy(cell));
    let fields = cells.zip(columns).zip(kinds).map(|((cell, column), kind)| {
        let value = match kind {
            _ if cell == "\\N" => "null".to_owned(),
            Kind::Boolean => (cell == "t").to_string(),
            Kind::Integer => cell.into_owned(),
            Kind::Float if !cell.ends_with(['N', 'y']) => cell.into_owned(),
            Kind::Json => unescaped(&cell),
            _ => json_text(&unescaped(&cell)),
        };
        format!("{}:{value}", json_text(column))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unescaped(cell: &str) -> String {
    let mut chars = cell.chars();
    let mut text = String::with_capacity(cell.len());
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use dstream_database::Rows;

    use super::*;

    #[test]
    fn a_row_is_a_line_and_can_be_read_back() {
        let mut rows = Rows::<CopyText>::default();
        rows.push(&("a\tb\\N\n\r", -3i64, Some(1.5f64), None::<u8>, true, vec![1, 2], u128::from(u64::MAX)))
            .unwrap();
        rows.push(&("", 0i64, Some(f64::NEG_INFINITY), Some(7u8), false, Vec::<u8>::new(), 0u128)).unwrap();
        let text = String::from_utf8(rows.cells.0).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            ["a\\tb\\\\N\\n\\r\t-3\t1.5\t\\N\tt\t[1,2]\t18446744073709551615", "\t0\t-Infinity\t7\tf\t[]\t0"]
        );
        let columns: Vec<String> = "abcdefg".chars().map(String::from).collect();
        let kinds =
            [Kind::Text, Kind::Integer, Kind::Float, Kind::Integer, Kind::Boolean, Kind::Json, Kind::Integer];
        let json = |line: usize| as_json(lines[line].as_bytes(), &columns, &kinds);
        assert_eq!(
            json(0),
            r#"{"a":"a\tb\\N\n\r","b":-3,"c":1.5,"d":null,"e":true,"f":[1,2],"g":18446744073709551615}"#
        );
        assert!(json(1).contains(r#""c":"-Infinity""#), "{}", json(1));
    }

    #[test]
    fn bytes_are_hexadecimal() {
        let mut cells = CopyText::default();
        cells.bytes(b"\x00\xffa");
        cells.end();
        assert_eq!(cells.0, b"\\\\x00ff61\n");
    }
}
