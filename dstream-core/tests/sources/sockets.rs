use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use dstream_core::{
    Bytes, Config,
    receiver::{Receiver, ReceiverStream, receiver_stream},
    source::{Decoder, DelimiterDecoder, LengthDecoder, SocketStream, Source, socket_stream},
    testing::ManualClock,
};

use crate::{LONG, Reported, at, read, source_context};

/// A server for one client at a time, and a started stream of what it sends.
struct Fixture<D: Decoder<Item = Bytes> + Clone> {
    listener: TcpListener,
    clock: ManualClock,
    reported: Reported,
    source: ReceiverStream<SocketStream<D>>,
}

impl<D: Decoder<Item = Bytes> + Clone> Fixture<D> {
    fn new(decoder: D, configure: impl Fn(Config) -> Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().unwrap().port();
        let clock = ManualClock::new(at(0));
        let reported = Reported::default();
        let stream = socket_stream("127.0.0.1", port, decoder);
        assert_eq!(stream.name(), format!("socket_stream(127.0.0.1:{port})"));
        let mut source = receiver_stream(stream);
        source.start(&source_context(&clock, configure(reported.config()))).unwrap();
        Fixture { listener, clock, reported, source }
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().unwrap().0
    }

    fn records(&mut self) -> Vec<Bytes> {
        read(&mut self.source, at(0)).into_iter().flat_map(Result::unwrap).collect()
    }
}

#[test]
fn a_frame_may_arrive_in_pieces_and_a_connection_end_in_one() {
    let mut fixture = Fixture::new(DelimiterDecoder::new(b'\0'), |config| config);
    let mut server = fixture.accept();
    server.set_nodelay(true).unwrap();
    for piece in ["to\0b", "e\0", "\0or", " not"] {
        server.write_all(piece.as_bytes()).unwrap();
    }
    drop(server);
    assert!(fixture.clock.wait_for_waiter(at(500)));
    assert_eq!(fixture.records(), ["to", "be", "", "or not"]);
    assert!(fixture.reported.take()[0].ends_with("failed: the server closed the connection"));

    // The next connection begins with a fresh decoder.
    fixture.clock.set(at(500));
    let mut server = fixture.accept();
    server.write_all(b"again\0tail").unwrap();
    fixture.source.stop();
    assert_eq!(fixture.records(), ["again", "tail"]);
    assert_eq!(server.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_bad_frame_is_reported_and_the_connection_made_anew() {
    let mut fixture = Fixture::new(LengthDecoder::u16().max_length(100), |config| config);
    let mut server = fixture.accept();
    server.write_all(b"\0\x02to\0\x02be\0\x65").unwrap();
    assert!(fixture.clock.wait_for_waiter(at(500)));
    assert_eq!(fixture.records(), ["to", "be"], "what came before it counts");
    let reported = fixture.reported.take();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("a record of 101 bytes, but at most 100 are expected"), "{reported:?}");
    fixture.clock.set(at(500));
    let mut server = fixture.accept();
    server.write_all(b"\0\x05hello\0\x07wor").unwrap();
    drop(server);
    assert!(fixture.clock.wait_for_waiter(at(1_000)));
    assert_eq!(fixture.records(), ["hello"]);
    assert!(fixture.reported.take()[0].contains("ended inside a record: 5 bytes of it are lost"));
    fixture.source.stop();
}

/// Never finds anything.
#[derive(Clone)]
struct Endless;

impl Decoder for Endless {
    type Item = Bytes;

    fn decode(
        &mut self,
        _buf: &mut dstream_core::source::BytesMut,
    ) -> Result<Option<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(None)
    }
}

#[test]
fn a_decoder_that_finds_nothing_does_not_fill_the_memory() {
    let fixture = Fixture::new(Endless, |config| config.receiver_buffer_bytes(100_000));
    let mut server = fixture.accept();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        while server.write_all(&[0; 10_000]).is_ok() {}
        ended.send(()).unwrap();
    });
    assert!(fixture.clock.wait_for_waiter(at(500)));
    assert_eq!(end.recv_timeout(LONG), Ok(()));
    assert!(fixture.reported.take()[0].contains("finds no record in"));
    drop(fixture);
}
