use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use dstream_core::{
    Config,
    receiver::{ReceiverStream, receiver_stream},
    source::{Block, SocketTextStream, Source, socket_text_stream},
    testing::{ManualClock, next_batch},
};

use crate::{at, lines, source_context};

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn connect(port: u16, clock: &ManualClock, config: Config) -> ReceiverStream<SocketTextStream> {
    let mut source = receiver_stream(socket_text_stream("127.0.0.1", port));
    assert_eq!(source.name(), format!("socket_text_stream(127.0.0.1:{port})"));
    source.start(&source_context(clock, config)).unwrap();
    source
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

#[test]
fn it_connects_late_and_again_and_loses_no_line() {
    let clock = ManualClock::new(at(0));
    let (listener, port) = listen();
    drop(listener);
    let mut source = connect(port, &clock, Config::new());
    // Nobody listens: it waits for its next try.
    assert!(clock.wait_for_waiter(at(500)));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    clock.set(at(500));

    let mut server = accept(&listener);
    server.write_all("hello w\u{f6}rld\r\n\nhalf".as_bytes()).unwrap();
    drop(server);
    // What it received ends the row of failures, although the first try after it failed.
    assert!(clock.wait_for_waiter(at(1_000)));
    assert_eq!(lines(&mut source).concat(), ["hello w\u{f6}rld", "", "half"]);

    clock.set(at(1_000));
    let mut server = accept(&listener);
    server.write_all(b"again\nand a tail").unwrap();
    source.stop();
    assert_eq!(lines(&mut source).concat(), ["again", "and a tail"]);
    // The connection is closed.
    assert_eq!(server.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_line_without_end_is_cut_between_characters() {
    let clock = ManualClock::new(at(0));
    let (listener, port) = listen();
    let mut source = connect(port, &clock, Config::new().max_line_bytes(8));
    let mut server = accept(&listener);
    // Eight bytes would end in the middle of the third character of three bytes.
    server.write_all("\u{20ac}\u{20ac}\u{20ac}!\n12345678\nx\n".as_bytes()).unwrap();
    server.write_all(&[0xbf; 12]).unwrap();
    drop(server);
    assert!(clock.wait_for_waiter(at(500)));
    let lines = lines(&mut source).concat();
    assert_eq!(lines[..4], ["\u{20ac}\u{20ac}", "\u{20ac}!", "12345678", "x"]);
    assert_eq!(lines[4..].iter().map(|line| line.chars().count()).collect::<Vec<_>>(), [8, 4]);
    source.stop();
}

#[test]
fn many_small_reads_are_one_block() {
    let clock = ManualClock::new(at(0));
    let (listener, port) = listen();
    let mut source = connect(port, &clock, Config::new());
    let mut server = accept(&listener);
    server.set_nodelay(true).unwrap();
    for n in 0..2_000 {
        writeln!(server, "line {n}").unwrap();
    }
    drop(server);
    assert!(clock.wait_for_waiter(at(500)));
    let blocks = lines(&mut source);
    assert_eq!(blocks.len(), 1);
    assert!(blocks.concat().iter().enumerate().all(|(n, line)| *line == format!("line {n}")));
    assert_eq!(blocks.concat().len(), 2_000);
    source.stop();
}

#[test]
fn a_server_faster_than_the_batches_is_slowed_down() {
    const LIMIT: usize = 1 << 20;
    const LINE: &str = "0123456789abcde";
    let clock = ManualClock::new(at(0));
    let (listener, port) = listen();
    let mut source = connect(port, &clock, Config::new().receiver_buffer_bytes(LIMIT));
    let mut server = accept(&listener);
    let text = format!("{LINE}\n").repeat(8 << 20);
    server.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    // Far more than the buffer and the kernel hold: the server has to wait.
    while let Ok(n) = server.write(&text.as_bytes()[sent..]) {
        sent += n;
        assert!(sent < text.len() / 2, "nothing slows the server down");
    }
    server.set_write_timeout(None).unwrap();
    let all = text.len();
    let writer = thread::spawn(move || server.write_all(&text.as_bytes()[sent..]));
    let mut received = 0;
    while received < all {
        let mut blocks = next_batch(&mut source, at(0)).unwrap();
        let held: usize = blocks.iter().map(Block::weight).sum();
        assert!(held <= LIMIT, "{held} bytes are held");
        assert!(blocks.iter_mut().all(|block| block.records().all(|line| line == LINE)));
        received += held;
        thread::yield_now();
    }
    assert_eq!(received, all);
    writer.join().unwrap().unwrap();
    source.stop();
}
