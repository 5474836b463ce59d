//! HTTP as a source, with real clients: `curl`, many at once, and some that send what no client would.

#[path = "http/client.rs"]
mod client;
#[path = "http/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use client::{Answer, Client, curl, raw};
use dstream::{
    StreamingContext,
    http::{HttpStream, Lines, http_json, http_stream},
    prelude::*,
};
use program::Program;

/// A process has one context at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program without a checkpoint, whose lines are collected.
struct Running {
    ssc: StreamingContext,
    lines: Collected<dstream::Str>,
    address: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Running {
    fn start(conf: Config, set: impl FnOnce(HttpStream<Lines>) -> HttpStream<Lines>) -> Running {
        let turn = turn();
        let (bound, address) = mpsc::channel();
        let posts = set(http_stream("127.0.0.1:0")).on_bound(move |address| bound.send(address).unwrap());
        let lines = Collected::new();
        let ssc = dstream::stream!(batch = 50ms, conf = conf, {
            posts.collect_to(&lines);
        })
        .unwrap();
        ssc.start().unwrap();
        let address = address.recv_timeout(Duration::from_secs(60)).unwrap();
        Running { ssc, lines, address, _turn: turn }
    }

    fn post(&self, arguments: &[&str], body: &[u8]) -> Answer {
        curl(&format!("http://{}/events?n=1", self.address), arguments, body)
    }

    /// What has been stored, in the order of batches.
    fn stop(self) -> Vec<dstream::Str> {
        self.ssc.stop_gracefully();
        self.lines.values().concat()
    }
}

#[test]
fn lines_and_documents_are_records() {
    let running = Running::start(Config::new(), |http| http);
    let json = ["--header", "Content-Type: application/json; charset=utf-8"];
    let json_lines = ["--header", "Content-Type: application/x-ndjson"];
    let chunked = ["--header", "Transfer-Encoding: chunked", "--header", "Expect: 100-continue"];
    for (arguments, body, answer) in [
        (&[][..], "to be\r\nor not\n", "2 records are stored\n"),
        (&[], "to be", "1 record is stored\n"),
        (&json, "[{\"a\":\n1},\n{\"a\": 2}]", "2 records are stored\n"),
        (&json, "{\"a\": 3}\n{\"a\": 4}", "2 records are stored\n"),
        (&json, "[]", "0 records are stored\n"),
        (&json_lines, "[1]\n[2]\n", "2 records are stored\n"),
        (&chunked, "in chunks", "1 record is stored\n"),
    ] {
        let found = running.post(arguments, body.as_bytes());
        assert_eq!((found.status, found.body.as_str()), (200, answer), "{body}");
    }
    let lines = [
        "to be",
        "or not",
        "to be",
        "{\"a\": 1}",
        "{\"a\": 2}",
        "{\"a\": 3}",
        "{\"a\": 4}",
        "[1]",
        "[2]",
        "in chunks",
    ];
    assert_eq!(running.stop(), lines);
}

#[test]
fn documents_are_values() {
    #[derive(serde::Deserialize)]
    struct Reading {
        sensor: String,
        celsius: i32,
    }
    let _turn = turn();
    let (bound, address) = mpsc::channel();
    let readings = http_json::<Reading>("127.0.0.1:0").on_bound(move |address| bound.send(address).unwrap());
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 50ms, {
        readings.map(|r| (r.sensor, r.celsius)).collect_to(&out);
    })
    .unwrap();
    ssc.start().unwrap();
    let url = format!("http://{}", address.recv().unwrap());
    let north = "{\"sensor\": \"north\", \"celsius\": 21}";
    assert_eq!(curl(&url, &[], format!("{north}\n{north}").as_bytes()).status, 200);
    let answer = curl(&url, &[], format!("[{north}, {{\"sensor\": 1}}]").as_bytes());
    let text = "document 2 does not fit: invalid type: integer `1`, expected a string at line 1 column 12; \
                nothing of the body is stored\n";
    assert_eq!((answer.status, answer.body.as_str()), (400, text));
    ssc.stop_gracefully();
    let north = || ("north".to_owned(), 21);
    assert_eq!(out.values().concat(), [north(), north()]);
}

#[test]
fn each_wrong_request_is_told_what_is_wrong() {
    let running =
        Running::start(Config::new(), |http| http.path("/events").max_body_bytes(100).token("secret"));
    let token = ["--header", "Authorization: Bearer secret"];
    let answer = |more: &[&str], body: &[u8]| running.post(&[&token, more].concat(), body);
    let large = [b'x'; 101];
    for (arguments, body, status, text) in [
        (&[][..], &b""[..], 400, "the body is empty"),
        (&[], b"to b\xff", 400, "the body is no text: its byte 4"),
        (&["--header", "Content-Type: application/json"], b"{", 400, "no JSON"),
        (&[], &large, 413, "the body has 101 bytes, and may have 100"),
        (&["--header", "Transfer-Encoding: chunked"], &large, 413, "bytes, and may have 100"),
        (&["--header", "Content-Encoding: gzip"], b"x", 415, "compressed"),
        (&["--header", "Content-Type: multipart/form-data; boundary=x"], b"x", 415, "forms"),
        (&["--request", "PUT"], b"x", 405, "PUT is not taken here"),
    ] {
        let found = answer(arguments, body);
        assert!(found.status == status && found.body.contains(text), "{status} {text}: {found:?}");
    }
    let elsewhere = curl(&format!("http://{}/", running.address), &token, b"x");
    assert!(elsewhere.status == 404 && elsewhere.body.contains("post to /events"), "{elsewhere:?}");
    assert!(answer(&["--request", "PUT"], b"x").head.contains("allow: post"));
    for wrong in [&[][..], &["--header", "Authorization: Bearer secrets"]] {
        let found = running.post(wrong, b"x");
        assert!(found.status == 401 && found.head.contains("www-authenticate: bearer"), "{found:?}");
    }
    assert_eq!(answer(&[], &large[..100]).status, 200);
    assert_eq!(running.stop(), ["x".repeat(100)]);
}

#[test]
fn garbage_and_slow_clients_harm_only_themselves() {
    let running =
        Running::start(Config::new(), |http| http.patience(Duration::from_millis(300)).max_clients(4));
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\n";
    for (bytes, status) in [
        (b"\x00\xff\r\n\r\n".to_vec(), 400),
        (b"GET\r\n\r\n".to_vec(), 400),
        (format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello").into_bytes(), 400),
        (format!("{head}Content-Length: 99999999999999999999\r\n\r\n").into_bytes(), 400),
        (format!("{head}Content-Length: 9223372036854775807\r\n\r\n").into_bytes(), 413),
        (format!("{head}X: {}\r\n\r\n", "x".repeat(100_000)).into_bytes(), 431),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n").into_bytes(), 400),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF0\r\nx").into_bytes(), 400),
        ("POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n".to_owned().into_bytes(), 403),
        (format!("{head}Origin: https://evil.example\r\nContent-Length: 1\r\n\r\nx").into_bytes(), 403),
    ] {
        let found = raw(running.address, &bytes, true);
        assert_eq!(
            found.status,
            status,
            "{}: {found:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(99)])
        );
    }
    // A body that never ends, by as many clients as may be connected.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let request = format!("{head}Content-Length: 10\r\n\r\nhello");
                assert_eq!(raw(running.address, request.as_bytes(), false).status, 408);
            });
        }
    });
    // One that is cut off, and one that leaves in the middle.
    let cut = format!("{head}Content-Length: 10\r\n\r\nhello");
    assert!(matches!(raw(running.address, cut.as_bytes(), true).status, 0 | 400));
    assert_eq!(running.post(&[], b"still there").status, 200);
    assert_eq!(running.stop(), ["still there"]);
}

#[test]
fn without_room_clients_are_told_to_come_back() {
    // Five lines a batch, which the first body takes for the next seconds, too.
    let running = Running::start(Config::new().max_rate(100), |http| http);
    assert_eq!(running.post(&[], "x\n".repeat(300).as_bytes()).status, 200);
    let full = running.post(&[], b"y");
    assert!(full.status == 503 && full.head.contains("retry-after: 1"), "{full:?}");
    assert!(full.body.contains("no room until a batch has been processed"), "{full:?}");
    // `curl` does so by itself.
    let later = running.post(&["--retry", "30", "--retry-max-time", "50"], b"y");
    assert!(later.body.ends_with("1 record is stored\n"), "{later:?}");
    assert_eq!(running.stop().len(), 301);
}

#[test]
fn many_clients_are_served_at_once() {
    let running = Running::start(Config::new(), |http| http);
    let address = running.address.to_string();
    let mut clients: Vec<_> = (0..300).map(|_| Client::connect(&address).unwrap()).collect();
    thread::scope(|scope| {
        for some in clients.chunks_mut(30) {
            scope.spawn(|| {
                for n in 0..5 {
                    some.iter_mut().for_each(|client| assert_eq!(client.post(&n.to_string()).unwrap(), 200));
                }
            });
        }
    });
    // They are still connected, which does not hold up the stop.
    assert_eq!(running.stop().len(), 300 * 5);
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let _turn = turn();
    let start = |http: HttpStream<Lines>| {
        let ssc = dstream::stream!(batch = 1s, {
            http.count().print();
        })
        .unwrap();
        let started = ssc.start().map_err(|error| error.to_string());
        ssc.stop();
        started
    };
    let error = start(http_stream("0.0.0.0:0")).unwrap_err();
    assert!(error.contains("give it a secret") && error.contains("127.0.0.1:8080"), "{error}");
    let error = start(http_stream("127.0.0.1:0").token("")).unwrap_err();
    assert!(error.contains("visible ASCII characters"), "{error}");
    start(http_stream("0.0.0.0:0").token("secret")).unwrap();
}

/// What the test below starts, and kills.
#[test]
#[ignore = "is started by another test"]
fn program() -> dstream::Result<()> {
    let Some((dir, address)) = program::asked() else { return Ok(()) };
    let ssc = dstream::stream!(batch = 100ms, checkpoint = dir.join("checkpoint"), {
        http_stream(address).save_as_text_files(program::output(&dir), "");
    })?;
    ssc.start()?;
    ssc.await_termination()
}

const CLIENTS: usize = 8;
const KILLS: usize = 10;

/// What a client has sent: how often, and whether it was answered that it is stored.
type Sent = BTreeMap<String, (u32, u32)>;

/// Posts lines until it is told to stop; what is not answered with 200 is sent again.
fn post_lines(address: &str, client: usize, stop: &mpsc::Receiver<()>, sent: &Mutex<Sent>) {
    let mut connection = None;
    let mut n = 0;
    while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
        let lines: Vec<String> = (n..n + 3).map(|n| format!("client {client} line {n}")).collect();
        n += 3;
        loop {
            if connection.is_none() {
                connection = Client::connect(address).ok();
            }
            let Some(open) = &mut connection else { continue };
            let status = open.post(&lines.join("\n"));
            let mut sent = sent.lock().unwrap();
            let stored = matches!(status, Ok(200));
            for line in &lines {
                let line = sent.entry(line.clone()).or_default();
                *line = (line.0 + 1, line.1 + u32::from(stored));
            }
            match status {
                Ok(200) => break,
                Ok(503) => {}
                Ok(other) => panic!("answered with {other}"),
                Err(_) => connection = None,
            }
        }
    }
}

#[test]
fn what_is_answered_survives_kills() {
    let mut program = Program::new(format!("127.0.0.1:{}", program::free_port()));
    let address = program.address.clone();
    let sent = Mutex::new(Sent::new());
    program.start();
    thread::scope(|scope| {
        let stops: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (stop, stopped) = mpsc::channel();
                let (address, sent) = (&address, &sent);
                scope.spawn(move || post_lines(address, client, &stopped, sent));
                stop
            })
            .collect();
        for _ in 0..KILLS {
            let stored = || sent.lock().unwrap().values().filter(|(_, stored)| *stored > 0).count();
            let before = stored();
            while stored() < before + 300 {
                thread::yield_now();
            }
            program.kill();
            program.start();
        }
        drop(stops);
    });
    let sent = sent.into_inner().unwrap();
    let saved = program.wait_for(sent.len());
    program.stop();
    let twice = saved.values().filter(|times| **times > 1).count();
    for (line, times) in &saved {
        let (sent, stored) = sent[line];
        assert!(
            (stored.max(1)..=sent).contains(times),
            "{line}: {times} times, sent {sent}, stored {stored}"
        );
    }
    assert_eq!(saved.len(), sent.len());
    // Only what was in flight at a kill is sent again.
    assert!(twice <= KILLS * CLIENTS * 3, "{twice}");
    say(&format!("{} lines by {CLIENTS} clients, {KILLS} kills: all are there, {twice} twice", saved.len()));
}

#[expect(clippy::print_stderr, reason = "how it went, for `--nocapture`")]
fn say(text: &str) {
    eprintln!("{text}");
}
