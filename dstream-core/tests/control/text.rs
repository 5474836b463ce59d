use dstream_core::source::{Block, TextBlock};

fn lines(bytes: &'static [u8]) -> Vec<String> {
    TextBlock::new(bytes).records().map(str::to_owned).collect()
}

#[test]
fn a_block_is_its_lines() {
    assert_eq!(lines(b""), [""; 0]);
    assert_eq!(lines(b"\n"), [""]);
    assert_eq!(lines(b"a\nb\n"), ["a", "b"]);
    assert_eq!(lines(b"a\r\nb\r\n\r\n"), ["a", "b", ""]);
    assert_eq!(lines(b"a\n\nb"), ["a", "", "b"]);
    assert_eq!(lines(b"a\rb\r\r\n"), ["a\rb\r"]);
    assert_eq!(lines("größer\nкот".as_bytes()), ["größer", "кот"]);
}

#[test]
fn what_is_not_utf8_is_replaced() {
    assert_eq!(lines(b"ab\xffc\nd\n"), ["ab\u{fffd}c", "d"]);
    assert_eq!(lines(b"\xe2\x82\n\xc3"), ["\u{fffd}", "\u{fffd}"]);
    assert_eq!(lines(b"\xff\xfe\r\n"), ["\u{fffd}\u{fffd}"]);
}

#[test]
fn lines_are_pieces_of_the_block() {
    let bytes = dstream_core::Bytes::from_static(b"to be\nor not");
    let range = bytes.as_ptr_range();
    let mut block = TextBlock::new(bytes);
    assert_eq!(block.weight(), 12);
    assert!(block.records().all(|line| range.contains(&line.as_ptr())));
}
