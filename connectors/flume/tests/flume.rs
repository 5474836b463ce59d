//! Flume's protocols, with the libraries that agents have.
//!
//! `DSTREAM_FLUME_EVENTS` says how many events are sent while the program is killed: 100,000 by itself.

#[path = "flume/peers.rs"]
mod peers;
#[path = "../../http/tests/http/program.rs"]
mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use dstream::{
    StreamingContext,
    flume::{Flume, FlumeEventOwned, flume_stream},
    prelude::*,
};
use peers::{Peer, finish, start};
use program::Program;

/// A process has one context at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program without a checkpoint, whose events are collected.
struct Running {
    ssc: StreamingContext,
    events: Collected<FlumeEventOwned>,
    reports: mpsc::Receiver<String>,
    address: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Running {
    fn start(conf: Config, flume: Flume) -> Running {
        let turn = turn();
        let (bound, address) = mpsc::channel();
        let (report, reports) = mpsc::channel();
        let conf = conf.on_report(move |error| report.send(error.to_string()).unwrap_or_default());
        let events = Collected::new();
        let ssc = dstream::stream!(batch = 50ms, conf = conf, {
            flume_stream(flume.on_bound(move |address| bound.send(address).unwrap())).collect_to(&events);
        })
        .unwrap();
        ssc.start().unwrap();
        let address = address.recv_timeout(Duration::from_secs(60)).unwrap();
        Running { ssc, events, reports, address, _turn: turn }
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    fn report(&self) -> String {
        self.reports.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// What has been stored, in the order of batches.
    fn stop(self) -> Vec<FlumeEventOwned> {
        self.ssc.stop_gracefully();
        self.events.values().concat()
    }
}

/// Each client's events are all there, in order, with their headers.
fn check_all(events: &[FlumeEventOwned], name: &str, header: &str, count: usize) {
    let bodies: Vec<_> =
        events.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect();
    let expected: Vec<_> = (0..count).map(|n| format!("{name} {n}")).collect();
    assert_eq!(bodies, expected);
    assert!(events.iter().all(|event| event.headers.contains(&("agent".into(), header.into()))));
}

#[test]
fn libraries_of_agents_are_understood() {
    for (kind, flume) in [
        ("avro", Flume::avro("127.0.0.1:0")),
        ("zlib", Flume::avro("127.0.0.1:0").compressed(true)),
        ("thrift", Flume::thrift("127.0.0.1:0")),
    ] {
        let running = Running::start(Config::new(), flume);
        let Some(agent) = start(Peer::Java, &[kind, &running.port(), "java", "2501", "100"]) else { return };
        assert_eq!(finish(agent), "stored 2501\n");
        let events = running.stop();
        check_all(&events, "java", "java", 2501);
        assert!(events[7].headers.contains(&("timestamp".into(), "7".into())));
    }
}

#[test]
fn other_clients_are_understood() {
    for (peer, name, header, flume) in [
        (Peer::Python, "python", "pythön", Flume::thrift("127.0.0.1:0")),
        (Peer::Node, "node", "node", Flume::avro("127.0.0.1:0")),
    ] {
        let running = Running::start(Config::new(), flume);
        let Some(agent) = start(peer, &[&running.port()]) else { continue };
        finish(agent);
        if matches!(peer, Peer::Python) {
            let report = running.report();
            assert!(report.contains("remove") && report.contains("expected `append`"), "{report}");
        }
        check_all(&running.stop(), name, header, 1001);
    }
}

/// A large batch, which is compressed to little: nothing is held that was not asked for.
#[test]
fn large_requests_are_refused_and_large_enough_ones_not() {
    let flume = || Flume::avro("127.0.0.1:0").max_request_bytes(100_000);
    for flume in [flume(), flume().compressed(true)] {
        let kind = if format!("{flume:?}").contains("compressed: true") { "zlib" } else { "avro" };
        let running = Running::start(Config::new(), flume);
        let port = running.port();
        let Some(small) = start(Peer::Java, &[kind, &port, "small", "2000", "1000"]) else { return };
        assert_eq!(finish(small), "stored 2000\n");
        let Some(large) = start(Peer::Java, &[kind, &port, "large", "9000", "9000"]) else { return };
        let report = running.report();
        assert!(report.contains("and may have 100000: let the agent send smaller batches"), "{report}");
        drop(large);
        check_all(&running.stop(), "small", "small", 2000);
    }
}

#[test]
fn garbage_harms_only_who_sends_it() {
    let int = |n: i32| n.to_be_bytes().to_vec();
    let frame = |body: &[u8]| [&int(1)[..], &int(1), &int(body.len() as i32), body].concat();
    let avro = [
        (vec![0xff; 64], "this is no request of Avro"),
        ([int(1), int(i32::MAX), int(0).repeat(5_000_000)].concat(), "bytes or more"),
        ([int(1), int(1), int(i32::MAX)].concat(), "has 2147483651 bytes or more"),
        ([int(1), int(1), int(-1)].concat(), "-1 bytes"),
        ([int(1), int(0)].concat(), "makes no sense"),
        (frame(&[0; 3]), "16 bytes are expected at byte 0 of 3"),
        (frame(&[[0; 16].as_slice(), &[0x04]].concat()), "where 0 or 1 is expected"),
        (frame(&[[0; 16].as_slice(), &[0x02, 0x02, b'{'], &[0; 17]].concat()), "no JSON"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "or it is no request of Avro"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xff\xff\xff\xff".to_vec(), "TLS is not served"),
        ([int(1), int(1), int(100), vec![1]].concat(), "in the middle of a request"),
    ];
    let thrift = [
        (vec![0xff; 64], "has -1 bytes"),
        (int(i32::MAX), "has 2147483647 bytes"),
        ([int(4), int(0)].concat(), "expected 0x82, the compact protocol"),
        ([int(4), int(-0x7ffe_ffff)].concat(), "that of the binary protocol"),
        ([int(2), vec![0x82, 0x21]].concat(), "1 bytes are expected at byte 2 of 2"),
        ([int(11), b"\x82\x21\x01\x06append\x00".to_vec()].concat(), "has no events"),
        ([int(100), vec![0x82]].concat(), "in the middle of a request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "comes without frames"),
    ];
    let zlib = [
        (frame(&[0; 16]), "not compressed by zlib"),
        // An empty stream that ends.
        (vec![0x78, 0x9c, 3, 0, 0, 0, 0, 1, 9, 9], "it has ended"),
    ];
    let flume = || Flume::avro("127.0.0.1:0");
    for (flume, garbage) in
        [(flume(), &avro[..]), (Flume::thrift("127.0.0.1:0"), &thrift), (flume().compressed(true), &zlib)]
    {
        let running = Running::start(Config::new(), flume);
        for (bytes, expected) in garbage {
            let stream = TcpStream::connect(running.address).unwrap();
            let (sent, close) = (
                thread::spawn({
                    let mut stream = stream.try_clone().unwrap();
                    let bytes = bytes.clone();
                    move || {
                        let _ = stream.write_all(&bytes);
                        let _ = stream.shutdown(std::net::Shutdown::Write);
                    }
                }),
                stream,
            );
            let report = running.report();
            assert!(report.contains("agent 127.0.0.1:") && report.contains(expected), "{expected}: {report}");
            drop(close);
            sent.join().unwrap();
        }
        assert_eq!(running.stop(), []);
    }
}

/// Random bytes behind a head that is right, for a while.
#[test]
fn no_bytes_make_it_panic() {
    let mut random = 88_172_645_463_325_252u64;
    let mut below = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % n as u64) as usize
    };
    for (flume, head) in
        [(Flume::avro("127.0.0.1:0"), &[0u8, 0, 0, 1, 0, 0, 0, 1][..]), (Flume::thrift("127.0.0.1:0"), &[])]
    {
        let running = Running::start(Config::new(), flume);
        for _ in 0..300 {
            let body: Vec<u8> = (0..below(200)).map(|_| below(256) as u8 >> below(8)).collect();
            let length = (body.len() as i32).to_be_bytes();
            let call = if head.is_empty() { &b"\x82\x21\x01\x0bappendBatch"[..] } else { &[0; 34] };
            let call = &call[..below(call.len() + 1)];
            let length =
                if call.is_empty() { length } else { ((body.len() + call.len()) as i32).to_be_bytes() };
            let mut stream = TcpStream::connect(running.address).unwrap();
            let _ = stream.write_all(&[head, &length, call, &body].concat());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let panicked = running.reports.try_iter().find(|report| report.contains("panic"));
        assert_eq!(panicked, None);
        running.stop();
    }
}

#[test]
fn without_room_agents_are_told_so_and_come_back() {
    // A batch of the agent takes what may come in the next seconds, too: it waits, and is stored.
    let running = Running::start(Config::new().max_rate(2_000), Flume::avro("127.0.0.1:0"));
    let Some(agent) = start(Peer::Java, &["avro", &running.port(), "java", "6000", "2000"]) else { return };
    assert_eq!(finish(agent), "stored 6000\n");
    check_all(&running.stop(), "java", "java", 6000);
}

#[test]
fn what_can_never_work_is_refused() {
    let flume = flume_stream(Flume::thrift("127.0.0.1:0").compressed(true));
    let ssc = dstream::stream!(batch = 1s, {
        flume.count().print();
    })
    .unwrap();
    let _turn = turn();
    let error = ssc.start().unwrap_err().to_string();
    assert!(error.contains("don't compress"), "{error}");
}

/// What the tests below start, and kill.
#[test]
#[ignore = "is started by other tests"]
fn program() -> dstream::Result<()> {
    let Some((dir, address)) = program::asked() else { return Ok(()) };
    let (kind, address) = address.split_once(' ').unwrap_or_default();
    let flume = match kind {
        "thrift" => Flume::thrift(address),
        kind => Flume::avro(address).compressed(kind == "zlib"),
    };
    let ssc = dstream::stream!(batch = 100ms, checkpoint = dir.join("checkpoint"), {
        let bodies = flume_stream(flume).flat_map(|event| event.text().ok());
        bodies.save_as_text_files(program::output(&dir), "");
    })?;
    ssc.start()?;
    ssc.await_termination()
}

const BATCH: usize = 100;
const KILLS: usize = 10;

/// Sends numbered events while the program is killed. Each is in what the program has saved, once, or as
/// often as the agent has sent it.
fn events_survive_kills(kind: &str) {
    let events = std::env::var("DSTREAM_FLUME_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let _turn = turn();
    let port = program::free_port();
    let mut program = Program::new(format!("{kind} 127.0.0.1:{port}"));
    program.start();
    let (port, count) = (port.to_string(), events.to_string());
    let Some(agent) = start(Peer::Java, &[kind, &port, "java", &count, &BATCH.to_string()]) else { return };
    for kill in 1..=KILLS {
        program.wait_for(events * kill / (KILLS + 1));
        program.kill();
        program.start();
    }
    let said = finish(agent);
    // The batches that were sent again, by their first events.
    let mut again = BTreeMap::<usize, u32>::new();
    for line in said.lines().filter_map(|line| line.strip_prefix("again ")) {
        let first = line.split(' ').next().and_then(|n| n.parse().ok()).unwrap();
        *again.entry(first).or_default() += 1;
    }
    let saved = program.wait_for(events);
    program.stop();
    let twice: BTreeSet<_> = saved.iter().filter(|(_, times)| **times > 1).collect();
    for (body, times) in &twice {
        let n: usize = body.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap();
        let sent = 1 + again.get(&(n / BATCH * BATCH)).copied().unwrap_or_default();
        assert!(**times <= sent, "`{body}` is there {times} times, and was sent {sent} times");
    }
    let expected: BTreeSet<_> = (0..events).map(|n| format!("java {n}")).collect();
    assert_eq!(saved.len(), events);
    assert!(saved.keys().eq(expected.iter()));
    peers::say(&format!(
        "{kind}: {events} events, {KILLS} kills: all are there; {} batches were sent again, {} events twice",
        again.values().sum::<u32>(),
        twice.len()
    ));
}

#[test]
fn events_by_avro_survive_kills() {
    events_survive_kills("avro");
}

#[test]
fn events_by_compressed_avro_survive_kills() {
    events_survive_kills("zlib");
}

#[test]
fn events_by_thrift_survive_kills() {
    events_survive_kills("thrift");
}
