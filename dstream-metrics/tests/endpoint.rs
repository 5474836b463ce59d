//! What Prometheus reads: every metric moves, the format is right, and the endpoint does not suffer.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use dstream::{
    Config,
    events::{ContextView, Event, Listener},
    prelude::*,
    receiver::{Receiver, ReceiverContext, Volatile},
    sink::Retry,
    testing::{ManualClock, SimDisk},
};
use dstream_metrics::{
    ConfigMetrics, Metrics,
    names::{self, Kind},
};

const LONG: Duration = Duration::from_secs(20);

/// Only one context of a process may be started, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(address: SocketAddr, text: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn scrape(metrics: &Metrics) -> String {
    let answer = request(metrics.address().unwrap(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    body.to_owned()
}

/// The series of a scrape with their values. Panics at what is not in Prometheus's text format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "two types: {line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let base = name.split('{').next().unwrap();
            assert!(types.contains_key(metric_of(base)), "no type: {line}");
            assert!(series.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    series
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> &str {
    let histogram =
        |name: &&str| names::ALL.iter().any(|metric| metric.name == *name && metric.kind == Kind::Histogram);
    let mut stems = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| series.strip_suffix(suffix));
    stems.find(histogram).unwrap_or(series)
}

/// Waits until a scrape is as `ready` wants it, and returns it.
fn wait_for(metrics: &Metrics, ready: impl Fn(&BTreeMap<String, f64>) -> bool) -> String {
    let end = Instant::now() + LONG;
    loop {
        let text = scrape(metrics);
        if ready(&parse(&text)) {
            return text;
        }
        assert!(Instant::now() < end, "it did not come about: {text}");
    }
}

fn is(series: &str, value: f64) -> impl Fn(&BTreeMap<String, f64>) -> bool {
    move |all| all.get(series) == Some(&value)
}

/// `promtool`, if there is one: in the variable `PROMTOOL` or in the path.
fn promtool(arguments: &[&str], input: &str) {
    let tool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let started = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        assert!(std::env::var("PROMTOOL").is_err(), "PROMTOOL can't be run");
        static SAID: std::sync::Once = std::sync::Once::new();
        // Past the harness, which shows nothing of a test that passes.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "LEFT OUT: what promtool says of the metrics and the alert rules, since there is none: name \
                 one in PROMTOOL, or install Debian's package prometheus"
            );
        });
        return;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "promtool {arguments:?}: {said}\n{input}");
}

struct Flaky(u32);

impl Receiver for Flaky {
    type Block = Volatile<Vec<u32>>;

    fn name(&self) -> String {
        "flaky".to_owned()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Self::Block>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0 += 1;
        if self.0 == 1 {
            return Err("no luck".into());
        }
        while ctx.wait(LONG) {}
        Ok(())
    }
}

/// A receiver that fails once, and batches that wait and are late.
fn receivers_and_delays(scrapes: &mut Vec<String>) {
    let clock = ManualClock::new(Time::from_millis(500));
    let metrics = Metrics::endpoint("127.0.0.1:0");
    let conf = Config::new().threads(2).handle_signals(false).listener(metrics.clone());
    let conf = conf.clock(clock.clone()).restart_delay(Duration::from_millis(100));
    let (began, begin) = mpsc::channel();
    let (gate, opened) = mpsc::channel::<()>();
    let opened = Mutex::new(opened);
    let source = Flaky(0);
    let ssc = dstream::stream!(batch = 1s, name = "late", conf = conf, {
        source.foreach_rdd(|_| {
            let _ = (began.send(()), opened.lock().unwrap().recv());
        });
    })
    .unwrap();
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(Time::from_millis(600)));
    scrapes.push(wait_for(&metrics, is("dstream_receiver_failures_total{source=\"flaky\"}", 1.0)));
    scrapes.push(wait_for(&metrics, is("dstream_receiver_active{source=\"flaky\"}", 0.0)));
    clock.set(Time::from_millis(600));
    scrapes.push(wait_for(&metrics, is("dstream_receiver_active{source=\"flaky\"}", 1.0)));
    assert!(clock.wait_for_waiter(Time::from_millis(1_000)));
    clock.set(Time::from_millis(1_000));
    begin.recv_timeout(LONG).unwrap();
    scrapes.push(wait_for(&metrics, is("dstream_batches_running", 1.0)));
    assert!(clock.wait_for_waiter(Time::from_millis(2_000)));
    clock.set(Time::from_millis(2_000));
    scrapes.push(wait_for(&metrics, is("dstream_batches_waiting", 1.0)));
    clock.set(Time::from_millis(2_500));
    gate.send(()).unwrap();
    begin.recv_timeout(LONG).unwrap();
    scrapes.push(wait_for(&metrics, is("dstream_batch_behind_seconds", 1.5)));
    clock.set(Time::from_millis(2_700));
    gate.send(()).unwrap();
    scrapes.push(wait_for(&metrics, is("dstream_batch_behind_seconds", 0.0)));
    drop(gate);
    ssc.stop();
    let last = scrape(&metrics);
    let series = parse(&last);
    assert_eq!(series["dstream_batch_total_delay_seconds_sum"], 1.5 + 0.7);
    assert_eq!(series["dstream_batch_total_delay_seconds_bucket{le=\"1\"}"], 1.0);
    assert_eq!((series["dstream_batches_total"], series["dstream_batches_waiting"]), (2.0, 0.0));
    assert_eq!(series["dstream_last_batch_timestamp_seconds"], 2.0);
    assert_eq!((series["dstream_batch_interval_seconds"], series["dstream_running"]), (1.0, 0.0));
    scrapes.push(last);
}

/// A state with a checkpoint, an output that fails once, one that fails for good, and a stage that fails.
fn state_and_failures(scrapes: &mut Vec<String>) {
    let metrics = Metrics::endpoint("127.0.0.1:0");
    let conf = Config::new().threads(2).listener(metrics.clone());
    let retry = Retry::new().attempts(2).delays(Duration::from_millis(1), Duration::from_millis(1));
    let disk = SimDisk::new(1);
    let tries = AtomicU32::new(0);
    let ssc = dstream::stream!(batch = 1s, name = "kept", conf = conf, checkpoint = &disk, {
        let words = queue_stream(vec![vec!["a", "b", "a"], vec!["c", "d"]]);
        let counts =
            words.map(|word| (word.to_owned(), 1u64)).update_state_by_key(|new: &[u64], old: Option<u64>| {
                Some(old.unwrap_or(0) + new.iter().sum::<u64>())
            });
        counts.foreach_rdd(
            |_| {
                if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                    Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
                } else {
                    Ok(())
                }
            },
            retry = retry,
        );
        queue_stream(vec![vec![1u64], vec![0]]).map(|n| 6 / n).foreach_rdd(|_| ());
    })
    .unwrap();
    assert!(ssc.run_batches(2).is_err());
    ssc.stop();
    let last = scrape(&metrics);
    let series = parse(&last);
    for (name, value) in [
        ("dstream_records_total{source=\"queue_stream\"}", 5.0),
        // Not those of the batch at which the stage fails.
        ("dstream_records_total{source=\"queue_stream (2)\"}", 1.0),
        ("dstream_kept_keys{operator=\"counts\"}", 4.0),
        ("dstream_output_records_total{output=\"counts.foreach_rdd\"}", 6.0),
        ("dstream_output_retries_total{output=\"counts.foreach_rdd\"}", 1.0),
        ("dstream_output_failures_total{output=\"counts.foreach_rdd\"}", 0.0),
        ("dstream_batches_total", 2.0),
        ("dstream_batches_failed_total", 1.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name} in {last}");
    }
    scrapes.push(last);
}

/// Metrics whose listener stands still until the gate is opened.
struct Held(Metrics, Mutex<mpsc::Receiver<()>>);

impl Listener for Held {
    fn attached(&self, context: &ContextView) -> dstream::Result<()> {
        self.0.attached(context)
    }

    fn any(&self, event: &Event) {
        let _ = self.1.lock().unwrap().recv();
        self.0.any(event);
    }
}

/// More events than the queue of a listener holds.
fn missed_events(scrapes: &mut Vec<String>) {
    let metrics = Metrics::endpoint("127.0.0.1:0");
    let (opener, gate) = mpsc::channel();
    let conf = Config::new().threads(1).clock(ManualClock::default());
    let conf = conf.listener(Held(metrics.clone(), Mutex::new(gate)));
    let ssc = dstream::stream!(batch = 1s, name = "held", conf = conf, {
        queue_stream(vec![vec![1]]).foreach_rdd(|_| ());
    })
    .unwrap();
    ssc.run_batches(3_000).unwrap();
    drop(opener);
    ssc.stop();
    scrapes.push(scrape(&metrics));
}

#[test]
fn every_metric_moves_and_has_the_right_format() {
    let _turn = turn();
    let mut scrapes = Vec::new();
    receivers_and_delays(&mut scrapes);
    state_and_failures(&mut scrapes);
    missed_events(&mut scrapes);
    let mut values: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for text in &scrapes {
        promtool(&["check", "metrics"], text);
        for (series, value) in parse(text) {
            let name = metric_of(series.split('{').next().unwrap());
            values.entry(name.to_owned()).or_default().insert(value.to_bits());
        }
    }
    let moved = |name: &str| values.get(name).is_some_and(|values| values.iter().any(|v| *v != 0));
    let still: Vec<_> = names::ALL.iter().map(|metric| metric.name).filter(|name| !moved(name)).collect();
    assert!(still.is_empty(), "never anything but 0: {still:?}");
    let known: BTreeSet<_> = names::ALL.iter().map(|metric| metric.name).collect();
    let unknown: Vec<_> = values.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "in no list of names: {unknown:?}");
}

fn run(conf: Config) -> dstream::Result<()> {
    let ssc = dstream::stream!(batch = 1s, conf = conf.clock(ManualClock::default()), {
        queue_stream(vec![vec![1]]).foreach_rdd(|_| ());
    })?;
    ssc.run_batches(1)
}

#[test]
fn an_address_that_can_not_be_had_fails_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = run(Config::new().metrics(&*address)).unwrap_err().to_string();
    assert!(error.contains(&format!("the metrics can't be served at {address}: ")), "{error}");
    let error = run(Config::new().metrics("nowhere")).unwrap_err().to_string();
    assert!(error.contains("the metrics can't be served at nowhere: "), "{error}");
}

#[test]
fn other_hosts_need_a_token_or_leave() {
    let error = run(Config::new().metrics("0.0.0.0:0")).unwrap_err().to_string();
    assert!(error.contains("could be read by everybody who reaches this host"), "{error}");
    run(Config::new().listener(Metrics::endpoint("0.0.0.0:0").allow_remote())).unwrap();
    let metrics = Metrics::endpoint("0.0.0.0:0").token("secret");
    run(Config::new().listener(metrics.clone())).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], metrics.address().unwrap().port()));
    let answer = request(address, "GET /metrics HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    let answer = request(address, "GET /metrics HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n");
    assert!(answer.contains("\ndstream_batches_total 1\n"), "{answer}");
    assert!(!format!("{metrics:?}").contains("secret"));
}

#[test]
fn clients_that_send_nothing_do_not_keep_others_away() {
    let metrics = Metrics::endpoint("127.0.0.1:0");
    run(Config::new().listener(metrics.clone())).unwrap();
    let address = metrics.address().unwrap();
    // More than are served at once: the oldest of them have to go.
    let mut silent: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(parse(&scrape(&metrics))["dstream_batches_total"], 1.0);
    for client in &mut silent[..20] {
        client.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is still connected");
    }
    // One that has sent half of a request is no better.
    silent.iter_mut().for_each(|client| drop(client.write_all(b"GET /metrics HT")));
    assert_eq!(parse(&scrape(&metrics))["dstream_batches_total"], 1.0);
    drop(silent);
    // The port is free again as soon as nothing has the metrics any more.
    drop(metrics);
    let end = Instant::now() + LONG;
    while TcpListener::bind(address).is_err() {
        assert!(Instant::now() < end, "{address} is still taken");
    }
}

#[test]
fn metrics_are_of_one_context() {
    let metrics = Metrics::endpoint("127.0.0.1:0");
    run(Config::new().listener(metrics.clone())).unwrap();
    let error = run(Config::new().listener(metrics)).unwrap_err().to_string();
    assert!(error.contains("make a `Metrics` for each"), "{error}");
}

/// Any exporter of the crate `metrics` works.
#[test]
fn a_recorder_of_the_program_gets_the_same() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    run(Config::new().listener(Metrics::recorder(recorder))).unwrap();
    assert!(handle.render().contains("\ndstream_batches_total 1\n"), "{}", handle.render());
}

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What looks like the name of a metric in `text`.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("dstream_") && *word != "dstream_metrics").collect()
}

#[test]
fn the_dashboard_the_alerts_and_the_page_name_metrics_that_exist() {
    let all: BTreeSet<_> = names::ALL.iter().map(|metric| metric.name).collect();
    for path in ["docs/grafana/dashboard.json", "docs/grafana/alerts.yml", "docs/metrics.md"] {
        let text = read(path);
        let unknown: Vec<_> =
            named(&text).into_iter().filter(|name| !all.contains(metric_of(name))).collect();
        assert!(unknown.is_empty(), "{path} names {unknown:?}");
        assert!(!named(&text).is_empty(), "{path}");
    }
    let page = read("docs/metrics.md");
    let on_page = named(&page);
    let left_out: Vec<_> = all.difference(&on_page).collect();
    assert!(left_out.is_empty(), "docs/metrics.md does not name {left_out:?}");
    serde_json::from_str::<serde_json::Value>(&read("docs/grafana/dashboard.json")).unwrap();
    promtool(&["check", "rules", concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/alerts.yml")], "");
}

/// What is no HTTP harms nobody, however much there is of it.
#[test]
fn garbage_on_the_port_is_survived() {
    let metrics = Metrics::endpoint("127.0.0.1:0");
    run(Config::new().listener(metrics.clone())).unwrap();
    let address = metrics.address().unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..100 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        let bytes: Vec<u8> = (0..200 * round)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random as u8
            })
            .collect();
        // It is cut off where the head is too long.
        let _ = client.write_all(&bytes).and_then(|()| client.write_all(b"\r\n\r\n"));
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let is_refusal = answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 ");
        assert!(is_refusal, "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(parse(&scrape(&metrics))["dstream_batches_total"], 1.0);
}
