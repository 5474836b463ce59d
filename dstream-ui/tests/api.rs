//! The JSON API of running programs, by a client of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use dstream::{
    events::Event,
    prelude::*,
    testing::{Events, ManualClock},
};
use dstream_ui::{ConfigUi, Ui};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);

/// A request, with more headers.
fn send(address: SocketAddr, request: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").unwrap();
    stream
}

/// The status, the headers and the body of an answer.
fn answer(address: SocketAddr, request: &str, headers: &str) -> (u16, String, String) {
    let mut text = String::new();
    send(address, request, headers).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, _, body) = answer(address, &format!("GET {path}"), "Host: localhost\r\n");
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

fn ok(address: SocketAddr, path: &str) -> Value {
    let (status, value) = get(address, path);
    assert_eq!(status, 200, "{path}: {value}");
    value
}

/// Three batches of a program with a state, a chart, and an output that fails in the second.
fn three_batches(page: &Ui, events: &Events) -> dstream::StreamingContext {
    let conf = Config::new().clock(ManualClock::default()).volatile_state(true).threads(1);
    let conf = conf.listener(events.clone()).listener(page.clone());
    let mut batch = 0;
    let ssc = dstream::stream!(batch = 1s, name = "three", conf = conf, {
        let words = queue_stream(vec![
            vec!["to", "be"],
            vec!["or"],
            vec!["<img src=x onerror=alert(1)>", "to", "be"],
        ]);
        let counts = words
            .map(|word| (word, 1u64))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.len() as u64));
        counts.map(|(word, n)| (word.clone(), *n)).dashboard("Words", Chart::bar().top(2));
        words.count().dashboard("Count", Chart::number());
        words.foreach_rdd(move |_| {
            batch += 1;
            if batch == 2 { Err("no such table") } else { Ok(()) }
        });
    })
    .unwrap();
    assert!(ssc.run_batches(3).is_err());
    // What is told is told when it returns.
    ssc.stop();
    ssc
}

#[test]
fn resources_say_what_the_listener_was_told() {
    let (page, events) = (Ui::new("127.0.0.1:0"), Events::new());
    let _ssc = three_batches(&page, &events);
    let at = page.address().unwrap();
    let completed: Vec<_> = events
        .recorded()
        .into_iter()
        .filter_map(|event| if let Event::BatchCompleted(batch) = event { Some(batch) } else { None })
        .collect();
    let records = |n: usize| completed[n].inputs[0].records.unwrap();
    assert_eq!([records(0), records(1), records(2)], [2, 1, 3]);

    let statistics = ok(at, "/api/v1/streaming/statistics");
    for (name, wanted) in [
        ("batchDuration", json!(1000)),
        ("numTotalCompletedBatches", json!(3)),
        ("numRetainedCompletedBatches", json!(3)),
        ("numActiveBatches", json!(0)),
        ("numProcessedRecords", json!(6)),
        ("avgInputRate", json!(2.0)),
        ("numReceivers", json!(0)),
        ("startTime", json!("1970-01-01T00:00:00.000GMT")),
    ] {
        assert_eq!(statistics[name], wanted, "{name}");
    }

    let batches = ok(at, "/api/v1/streaming/batches");
    let times: Vec<u64> = completed.iter().rev().map(|batch| batch.batch.as_millis()).collect();
    assert_eq!(
        batches.as_array().unwrap().iter().map(|b| b["batchId"].as_u64().unwrap()).collect::<Vec<_>>(),
        times
    );
    assert_eq!(batches[1]["numFailedOutputOps"], 1);
    assert_eq!(batches[1]["numCompletedOutputOps"], 2);
    assert!(batches[1]["firstFailureReason"].as_str().unwrap().contains("no such table"));
    assert_eq!(batches[0]["inputSize"], 3);
    assert_eq!(ok(at, "/api/v1/streaming/batches?status=queued"), json!([]));

    let second = times[1];
    assert_eq!(ok(at, &format!("/api/v1/streaming/batches/{second}")), batches[1]);
    let operations = ok(at, &format!("/api/v1/streaming/batches/{second}/operations"));
    let statuses: Vec<&str> =
        operations.as_array().unwrap().iter().map(|op| op["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["SUCCEEDED", "SUCCEEDED", "FAILED"]);
    assert_eq!(ok(at, &format!("/api/v1/streaming/batches/{second}/operations/2")), operations[2]);

    let batch = ok(at, &format!("/api/v1/batches/{second}"));
    assert_eq!(batch["inputs"][0]["records"], 1);
    assert_eq!(batch["outputs"][2]["output"], operations[2]["outputOpName"]);
    assert!(batch["stages"][0]["tasks"].as_u64().unwrap() >= 1, "{batch}");

    let timeline = ok(at, "/api/v1/timeline");
    let rows: Vec<(u64, u64, u64)> = timeline["batches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_u64().unwrap(), row[1].as_u64().unwrap(), row[5].as_u64().unwrap()))
        .collect();
    assert_eq!(rows, [(times[2], 2, 0), (times[1], 1, 1), (times[0], 3, 0)]);
    assert_eq!(ok(at, &format!("/api/v1/timeline?after={second}"))["batches"].as_array().unwrap().len(), 1);

    let kept = ok(at, "/api/v1/kept")[0].clone();
    assert_eq!((&kept["keys"], kept["oldest"].as_u64()), (&json!(4), Some(second)));
    // 16 tables of at least four entries, if any.
    assert!(kept["estimated_bytes"].as_u64().is_some_and(|bytes| (100..20_000).contains(&bytes)), "{kept}");
    assert_eq!(batch["outputs"][0]["records"], 2);
    let app = ok(at, "/api/v1/app");
    assert_eq!(
        (&app["name"], &app["state"], &app["completed"]),
        (&json!("three"), &json!("stopped"), &json!(3))
    );

    let charts = ok(at, "/api/v1/charts");
    assert_eq!(charts[0]["data"]["bars"], json!([["to", 2.0], ["be", 2.0]]));
    assert_eq!(charts[1]["history"].as_array().unwrap().len(), 3);
    assert_eq!(ok(at, "/api/v1/charts/Words"), charts[0]);
}

#[test]
fn a_bad_request_is_told_what_was_expected() {
    let (page, events) = (Ui::new("127.0.0.1:0"), Events::new());
    let _ssc = three_batches(&page, &events);
    let at = page.address().unwrap();
    for (path, status, wanted) in [
        ("/api/v1/batches/abc", 400, "`abc` is no batch"),
        ("/api/v1/batches/77", 404, "there is no batch 77"),
        ("/api/v1/timeline?after=now", 400, "`now` is no batch"),
        ("/api/v1/streaming/batches?status=late", 400, "`queued`, `processing` or `completed`"),
        ("/api/v1/streaming/receivers/9", 404, "this program has 1"),
        ("/api/v1/streaming/receivers/x", 400, "its number is expected"),
        ("/api/v1/charts/none", 404, "no chart `none`"),
        ("/api/v2/app", 404, "there is nothing at `/api/v2/app`"),
        ("/assets/none.js", 404, "no file `none.js`"),
    ] {
        let (found, body) = get(at, path);
        assert_eq!(found, status, "{path}: {body}");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(wanted)), "{path}: {body}");
    }
    let (status, _, body) = answer(at, "POST /api/v1/app", "Host: localhost\r\nContent-Length: 0\r\n");
    assert_eq!(status, 405);
    assert!(body.contains("use GET"), "{body}");
    // What is no HTTP at all.
    let mut garbage = TcpStream::connect(at).unwrap();
    garbage.write_all(&[0xff; 4096]).unwrap();
    drop(garbage);
    assert_eq!(get(at, "/api/v1/app").0, 200);
}

/// The page of another site that has had its name point to this host.
#[test]
fn another_name_of_the_host_is_refused() {
    let (page, events) = (Ui::new("127.0.0.1:0"), Events::new());
    let _ssc = three_batches(&page, &events);
    let at = page.address().unwrap();
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("LOCALHOST:4040", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("localhost.evil.example", 403),
    ] {
        let (found, ..) = answer(at, "GET /api/v1/app", &format!("Host: {host}\r\n"));
        assert_eq!(found, status, "{host}");
    }
    assert_eq!(answer(at, "GET /api/v1/app", "Host: \r\n").0, 403);
}

#[test]
fn a_token_is_asked_for() {
    let (page, events) = (Ui::new("127.0.0.1:0").token("s3cret"), Events::new());
    let _ssc = three_batches(&page, &events);
    let at = page.address().unwrap();
    let (status, _, body) = answer(at, "GET /", "Host: any\r\n");
    assert_eq!(status, 401);
    assert!(body.contains("?token="), "{body}");
    // Another program of this host has a cookie of its own.
    let cookie = format!("dstream_token_{}", at.port());
    let sent = format!("Cookie: a=b; dstream_token_1=other; {cookie}=s3cret\r\n");
    for headers in ["Authorization: Bearer s3cret\r\n", &sent] {
        assert_eq!(answer(at, "GET /api/v1/app", &format!("Host: any\r\n{headers}")).0, 200, "{headers}");
    }
    for headers in [
        "Authorization: Bearer s3cre\r\n",
        "Authorization: Bearer \r\n",
        "Cookie: dstream_token=s3cret\r\n",
        "Cookie: dstream_token_1=s3cret\r\n",
        "Cookie: x=s3cret\r\n",
    ] {
        assert_eq!(answer(at, "GET /api/v1/app", &format!("Host: any\r\n{headers}")).0, 401, "{headers}");
    }
    let (status, head, _) = answer(at, "GET //graph?token=s3cret&x=1", "Host: any\r\n");
    assert_eq!(status, 303);
    assert!(head.contains("location: /graph?x=1\r\n"), "{head}");
    assert!(head.contains(&format!("set-cookie: {cookie}=s3cret; httponly; samesite=strict")), "{head}");
    assert!(!format!("{page:?}").contains("s3cret"));
}

#[test]
fn what_can_not_be_served_fails_the_start() {
    let run = |page: Ui| {
        let ssc = dstream::stream!(
            batch = 1s,
            conf = Config::new().clock(ManualClock::default()).listener(page),
            {
                queue_stream(vec![vec![1u64]]).foreach_rdd(|_| Ok::<(), String>(()));
            }
        )?;
        ssc.run_batches(1)
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = |page: Ui| run(page).unwrap_err().to_string();
    let error = refused(Ui::new(&address));
    assert!(error.contains(&address) && error.contains("in use"), "{error}");
    let error = refused(Ui::new("0.0.0.0:0"));
    assert!(error.contains("Ui::new(..).token"), "{error}");
    assert!(refused(Ui::new("127.0.0.1:0").token("")).contains("letters, digits"));
    assert!(refused(Ui::new("nonsense")).contains("`nonsense`"));
    run(Ui::new("0.0.0.0:0").token("t")).unwrap();
    let page = Ui::new("127.0.0.1:0");
    run(page.clone()).unwrap();
    assert!(refused(page).contains("shows another context"));
}

/// The page ends with its context, and its address is free again.
#[test]
fn it_is_served_until_the_context_is_gone() {
    let (page, events) = (Ui::new("127.0.0.1:0"), Events::new());
    let ssc = three_batches(&page, &events);
    let at = page.address().unwrap();
    assert_eq!(get(at, "/api/v1/app").0, 200);
    drop((ssc, page));
    assert!(TcpStream::connect(at).is_err());
}

/// Live events reach every client in order; one that reads nothing holds nobody up.
#[test]
fn events_are_sent_as_they_happen() {
    let page = Ui::new("127.0.0.1:0");
    let out = Collected::new();
    let clock = ManualClock::default();
    let conf = Config::new().clock(clock.clone()).listener(page.clone());
    let ssc = dstream::stream!(batch = 10ms, conf = conf, {
        let rows = rate_stream(1000);
        rows.count().dashboard("Rows", Chart::number());
        rows.count().collect_to(&out);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    let at = page.address().unwrap();
    let listen = || {
        let mut reader = BufReader::new(send(at, "GET /api/v1/events", "Host: localhost\r\n"));
        let mut line = String::new();
        // It listens when it has got its first event.
        while !line.starts_with("event: hello") {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0);
        }
        reader
    };
    let deaf: Vec<_> = (0..3).map(|_| listen()).collect();
    let mut clients: Vec<_> = (0..20).map(|_| listen()).collect();
    const BATCHES: usize = 20;
    ssc.run_batches(BATCHES).unwrap();
    for client in &mut clients {
        let (mut rows, mut charts) = (Vec::new(), 0);
        while rows.len() < BATCHES {
            let mut line = String::new();
            assert!(client.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                charts += usize::from(data["id"] == "Rows");
                rows.extend(data["row"].as_array().map(|row| row[1].as_u64().unwrap()));
            }
        }
        assert_eq!(rows, [10; BATCHES]);
        assert_eq!(charts, BATCHES);
    }
    // Far more than is kept for a client: those that do not read are left behind, and the page goes on. As
    // many at a time as the queue of a listener holds: batches are faster here than their events.
    for round in 1..=10 {
        ssc.run_batches(200).unwrap();
        let told = 1 + BATCHES as u64 + round * 200;
        let end = Instant::now() + LONG;
        while ok(at, "/api/v1/app")["completed"] != told {
            assert!(Instant::now() < end, "the page is not told of {told} batches");
        }
    }
    ssc.stop();
    assert_eq!(ok(at, "/api/v1/app")["completed"], 2021);
    assert_eq!(out.values().len(), 2021);
    drop(deaf);
}

#[test]
fn a_setting_is_enough() {
    let ssc =
        dstream::stream!(batch = 1s, conf = Config::new().clock(ManualClock::default()).ui("127.0.0.1:0"), {
            queue_stream(vec![vec![1u64]]).foreach_rdd(|_| Ok::<(), String>(()));
        })
        .unwrap();
    ssc.run_batches(1).unwrap();
}

/// Only dashboards can be framed, and only by the sites that the program names.
#[test]
fn pages_are_framed_by_those_who_may() {
    let events = Events::new();
    let page = Ui::new("127.0.0.1:0").embed_in("https://intranet.example");
    for (page, dashboards) in [
        (Ui::new("127.0.0.1:0"), "frame-ancestors 'none'"),
        (page, "frame-ancestors https://intranet.example;"),
    ] {
        let _ssc = three_batches(&page, &events);
        let at = page.address().unwrap();
        for path in ["/", "/state", "/assets/app.js"] {
            let (_, head, _) = answer(at, &format!("GET {path}"), "Host: localhost\r\n");
            assert!(
                head.contains("frame-ancestors 'none'") && head.contains("x-frame-options: deny"),
                "{head}"
            );
        }
        for path in ["/dashboard", "/dashboard/Words?embed"] {
            let (_, head, _) = answer(at, &format!("GET {path}"), "Host: localhost\r\n");
            assert!(head.contains(dashboards), "{head}");
            assert_eq!(head.contains("x-frame-options"), dashboards.contains("none"), "{head}");
        }
    }
}

/// A start that another listener refuses leaves nothing behind, and can be made again.
#[test]
fn a_refused_start_gives_the_address_back() {
    struct Refuses;
    impl dstream::events::Listener for Refuses {
        fn attached(&self, _: &dstream::events::ContextView) -> dstream::Result<()> {
            Err(dstream::Error::Invalid("not today".to_owned()))
        }
    }
    let page = Ui::new("127.0.0.1:0");
    let run = |conf: Config| {
        let ssc = dstream::stream!(batch = 1s, conf = conf.clock(ManualClock::default()), {
            queue_stream(vec![vec![1u64]]).foreach_rdd(|_| ());
        })?;
        ssc.run_batches(1)
    };
    let error = run(Config::new().listener(page.clone()).listener(Refuses)).unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    assert_eq!(page.address(), None);
    run(Config::new().listener(page.clone())).unwrap();
    assert_eq!(ok(page.address().unwrap(), "/api/v1/app")["completed"], 1);
}

/// Sources of one name have figures of their own, and so have those that the program names.
#[test]
fn sources_of_one_name_are_told_apart() {
    let page = Ui::new("127.0.0.1:0");
    let conf = Config::new().clock(ManualClock::default()).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        queue_stream(vec![vec![1, 2, 3]]).foreach_rdd(|_| ());
        queue_stream(vec![vec![1]]).foreach_rdd(|_| ());
        queue_stream(vec![vec![1, 2]]).named("pairs").foreach_rdd(|_| ());
    })
    .unwrap();
    dstream::stream!(ssc, name = "north", {
        queue_stream(vec![vec![1; 7]]).foreach_rdd(|_| ());
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    ssc.stop();
    let at = page.address().unwrap();
    let wanted =
        json!([["queue_stream", 3], ["queue_stream (2)", 1], ["pairs", 2], ["north/queue_stream", 7]]);
    let batch = ok(at, "/api/v1/timeline")["batches"][0][0].clone();
    let inputs = ok(at, &format!("/api/v1/batches/{batch}"))["inputs"].clone();
    let inputs = inputs.as_array().unwrap().iter();
    assert_eq!(inputs.map(|it| json!([it["source"], it["records"]])).collect::<Value>(), wanted);
    let sources = ok(at, "/api/v1/streaming/receivers");
    let sources = sources.as_array().unwrap().iter();
    assert_eq!(
        sources
            .map(|it| json!([it["streamName"], it["avgEventRate"].as_f64().unwrap() as u64]))
            .collect::<Value>(),
        wanted
    );
}

/// A client is told how far a batch is while it runs.
#[test]
fn a_running_batch_is_told_of() {
    let page = Ui::new("127.0.0.1:0");
    let (begin, begun) = std::sync::mpsc::channel::<()>();
    let begun = std::sync::Mutex::new(begun);
    let conf = Config::new().clock(ManualClock::default()).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = queue_stream(vec![vec![1u64], vec![2]]);
        numbers.map(|n| n + 1).foreach_rdd(|_| ());
        numbers.foreach_rdd(move |_| {
            let _ = begun.lock().unwrap().recv();
        });
    })
    .unwrap();
    begin.send(()).unwrap();
    ssc.run_batches(1).unwrap();
    let at = page.address().unwrap();
    // Nothing of the first batch is told any more.
    let end = Instant::now() + LONG;
    while ok(at, "/api/v1/app")["completed"] != 1 {
        assert!(Instant::now() < end, "the page is not told of the first batch");
    }
    let mut client = BufReader::new(send(at, "GET /api/v1/events", "Host: localhost\r\n"));
    let mut line = String::new();
    let mut wait_for = |wanted: &str| {
        loop {
            line.clear();
            assert!(client.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if line.starts_with(wanted) {
                return line.clone();
            }
        }
    };
    wait_for("event: hello");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| ssc.run_batches(1));
        wait_for("event: progress");
        let told = wait_for("data: ");
        let batch: Value = serde_json::from_str(told.trim_start_matches("data: ")).unwrap();
        // It is not done: its last output waits.
        let path = format!("/api/v1/batches/{}", batch["batch"]);
        let end = Instant::now() + LONG;
        while ok(at, &path)["outputs"].as_array().unwrap().len() < 2 {
            assert!(Instant::now() < end, "{}", ok(at, &path));
        }
        assert_eq!(ok(at, &path)["status"], "PROCESSING");
        // Also where this test fails: the batch must not wait for ever.
        drop(begin);
        running.join().unwrap().unwrap();
    });
}

/// What a program keeps of a key, while it runs.
#[test]
fn keys_are_looked_up() {
    let page = Ui::new("127.0.0.1:0");
    let conf = Config::new().clock(ManualClock::default()).volatile_state(true).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let pairs = queue_stream(vec![vec![("a", 1u64), ("5", 2)], vec![("a", 3)]]);
        let sums = pairs.update_state_by_key(|new: &[u64], old: Option<(u64, Vec<u64>)>| {
            let (sum, mut all) = old.unwrap_or_default();
            all.extend(new);
            Some((sum + new.iter().sum::<u64>(), all))
        });
        let (_events, lasts) = pairs
            .map(|(key, n)| ((key.to_owned(), 1u8), n))
            .map_with_state(|_key: &(String, u8), n: Option<u64>, state: &mut State<u64>| {
                state.update(n.unwrap_or(0));
                None::<()>
            })
            .named("lasts");
        sums.count().foreach_rdd(|_| ());
        lasts.count().foreach_rdd(|_| ());
        pairs.window(2s, 1s).named("recent").count().foreach_rdd(|_| ());
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    let at = page.address().unwrap();
    let look = |query: &str| get(at, &format!("/api/v1/kept/look_up?{query}"));
    let first = look("operator=sums&key=a").1;
    assert_eq!((&first["value"], &first["changed"]), (&json!([1, [1]]), &first["batch"]), "{first}");
    ssc.run_batches(1).unwrap();
    let (status, second) = look("operator=sums&key=%22a%22");
    assert_eq!((status, &second["value"], &second["found"]), (200, &json!([4, [1, 3]]), &json!(true)));
    assert!(second["batch"].as_u64() > first["batch"].as_u64());
    // A key that looks like a number, and one of two parts.
    assert_eq!(look("operator=sums&key=5").1["value"], json!([2, [2]]));
    assert_eq!(look("operator=sums&key=5").1["changed"], first["batch"]);
    let last = look("operator=lasts&key=[%22a%22,1]").1;
    assert_eq!(last["value"], json!(3), "{last}");
    let none = look("operator=sums&key=b").1;
    assert_eq!(
        (&none["found"], &none["value"], &none["batch"]),
        (&json!(false), &json!(null), &second["batch"])
    );
    for (query, status, wanted) in [
        ("operator=sums", 400, "`key` is missing"),
        ("operator=none&key=a", 404, "there are sums, lasts"),
        ("operator=lasts&key=a", 400, "keys of the type `("),
    ] {
        let (found, body) = look(query);
        assert_eq!(found, status, "{query}: {body}");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(wanted)), "{query}: {body}");
    }
    ssc.stop();
    assert_eq!(look("operator=sums&key=a").0, 503);
}
