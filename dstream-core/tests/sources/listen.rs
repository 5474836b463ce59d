use std::{
    collections::HashMap,
    io::Write,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use dstream_core::{
    Config,
    receiver::{Receiver, ReceiverStream, receiver_stream},
    source::{Block, ListenTextStream, Source, listen_text_stream},
    testing::{ManualClock, next_batch},
};

use crate::{LONG, Reported, at, read, source_context};

struct Fixture {
    clock: ManualClock,
    reported: Reported,
    source: ReceiverStream<ListenTextStream>,
    bound: mpsc::Receiver<SocketAddr>,
}

impl Fixture {
    fn new(stream: ListenTextStream, configure: impl Fn(Config) -> Config) -> Fixture {
        let (bind, bound) = mpsc::channel();
        let clock = ManualClock::new(at(0));
        let reported = Reported::default();
        let mut source = receiver_stream(stream.on_bound(move |address| {
            let _ = bind.send(address);
        }));
        source.start(&source_context(&clock, configure(reported.config()))).unwrap();
        Fixture { clock, reported, source, bound }
    }

    fn free(configure: impl Fn(Config) -> Config) -> (Fixture, SocketAddr) {
        let fixture = Fixture::new(listen_text_stream("127.0.0.1:0"), configure);
        let address = fixture.bound.recv_timeout(LONG).unwrap();
        (fixture, address)
    }

    fn lines(&mut self) -> Vec<String> {
        read(&mut self.source, at(0))
            .into_iter()
            .flat_map(Result::unwrap)
            .map(|line| line.to_string())
            .collect()
    }

    /// Takes batches until there are so many lines.
    fn wait_for(&mut self, lines: usize) -> Vec<String> {
        let until = Instant::now() + LONG;
        let mut seen = Vec::new();
        while seen.len() < lines && Instant::now() < until {
            seen.extend(self.lines());
            thread::yield_now();
        }
        assert_eq!(seen.len(), lines, "{seen:?}");
        seen
    }
}

#[test]
fn each_clients_lines_are_whole_and_in_order() {
    const CLIENTS: usize = 20;
    const LINES: usize = 2_000;
    let (mut fixture, address) = Fixture::free(|config| config);
    assert_eq!(listen_text_stream("1.2.3.4:5").name(), "listen_text_stream(1.2.3.4:5)");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                for line in 0..LINES {
                    // Lines arrive in pieces, and the last one lacks its end.
                    let end = if line == LINES - 1 { "" } else { "\n" };
                    write!(stream, "{client} ").unwrap();
                    write!(stream, "{line}{end}").unwrap();
                }
            })
        })
        .collect();
    let lines = fixture.wait_for(CLIENTS * LINES);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let mut of_client: HashMap<&str, Vec<usize>> = HashMap::new();
    for line in &lines {
        let (client, line) = line.split_once(' ').unwrap();
        of_client.entry(client).or_default().push(line.parse().unwrap());
    }
    assert_eq!(of_client.len(), CLIENTS);
    assert!(of_client.values().all(|lines| lines.iter().copied().eq(0..LINES)));
    fixture.source.stop();
    assert!(fixture.reported.take().is_empty());
}

#[test]
fn a_stop_takes_what_clients_have_sent() {
    let (mut fixture, address) = Fixture::free(|config| config);
    let mut clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        writeln!(client, "hello {n}").unwrap();
    }
    let mut seen = fixture.wait_for(3);
    seen.sort();
    assert_eq!(seen, ["hello 0", "hello 1", "hello 2"]);
    for client in &mut clients {
        client.write_all(b"and a tail").unwrap();
    }
    fixture.source.stop();
    assert_eq!(fixture.lines(), ["and a tail"; 3]);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn more_clients_than_allowed_wait() {
    let stream = listen_text_stream("127.0.0.1:0").max_clients(2);
    let mut fixture = Fixture::new(stream, |config| config);
    let address = fixture.bound.recv_timeout(LONG).unwrap();
    let mut clients: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        writeln!(client, "{n}").unwrap();
    }
    let mut first = fixture.wait_for(2);
    first.sort();
    assert_eq!(first, ["0", "1"]);
    let mut third = TcpStream::connect(address).unwrap();
    writeln!(third, "2").unwrap();
    // For longer than a client that may come in has to wait.
    let until = Instant::now() + Duration::from_millis(200);
    while Instant::now() < until {
        writeln!(clients[0], "0 again").unwrap();
        assert_eq!(fixture.wait_for(1), ["0 again"]);
    }
    clients[1].shutdown(Shutdown::Both).unwrap();
    assert_eq!(fixture.wait_for(1), ["2"]);
    fixture.source.stop();
}

#[test]
fn an_address_in_use_is_reported_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut fixture = Fixture::new(listen_text_stream(address.to_string()), |config| config);
    for delay in [500, 1_500] {
        assert!(fixture.clock.wait_for_waiter(at(delay)));
        assert!(fixture.reported.take()[0].contains("can't listen: "));
        if delay == 1_500 {
            break;
        }
        fixture.clock.set(at(delay));
    }
    drop(taken);
    fixture.clock.set(at(1_500));
    assert_eq!(fixture.bound.recv_timeout(LONG), Ok(address));
    let mut client = TcpStream::connect(address).unwrap();
    writeln!(client, "hello").unwrap();
    assert_eq!(fixture.wait_for(1), ["hello"]);
    fixture.source.stop();
}

#[test]
fn clients_faster_than_the_batches_are_slowed_down() {
    const LIMIT: usize = 1 << 20;
    const LINE: &str = "0123456789abcde";
    let (mut fixture, address) = Fixture::free(|config| config.receiver_buffer_bytes(LIMIT));
    let text = format!("{LINE}\n").repeat(4 << 20);
    let mut clients: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut sent = 0;
    for client in &mut clients {
        client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut own = 0;
        while let Ok(n) = client.write(&text.as_bytes()[own..]) {
            own += n;
            assert!(own < text.len() / 2, "nothing slows the client down");
        }
        sent += own;
    }
    drop(clients);
    let mut received = 0;
    let until = Instant::now() + LONG;
    while received < sent && Instant::now() < until {
        let blocks = next_batch(&mut fixture.source, at(0)).unwrap();
        let held: usize = blocks.iter().map(Block::weight).sum();
        assert!(held <= LIMIT, "{held} bytes are held");
        received += held;
        thread::yield_now();
    }
    assert_eq!(received, sent);
    fixture.source.stop();
}
