//! The program as a user runs it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_social-monitor"))
}

fn alerts(args: &[&str]) -> Vec<String> {
    let output = program().args(args).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(alert).collect()
}

/// An alert without its time, which is that of the clock.
fn alert(line: &str) -> String {
    line.splitn(4, ' ').nth(3).expect("an alert").to_owned()
}

/// What the page answers.
fn get(address: &str, path: &str) -> String {
    let mut client = TcpStream::connect(address).expect("the page");
    write!(client, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer
}

#[test]
fn names_what_is_planted_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().to_str().expect("a path");
    let args = |batches| ["--seed", "3", "--rate", "100", "--batches", batches];
    let whole = alerts(&args("110"));
    assert!(whole.iter().any(|alert| alert.starts_with("bot crypto_luck: ")), "{whole:#?}");
    assert!(whole.iter().any(|alert| alert.starts_with("story #storm: ")), "{whole:#?}");
    assert!(whole.iter().any(|alert| alert.starts_with("retweets @valley_gazette: ")), "{whole:#?}");

    let mut parts = alerts(&[&args("52")[..], &["--state", state]].concat());
    parts.extend(alerts(&[&args("58")[..], &["--state", state]].concat()));
    assert_eq!(parts, whole);
}

/// Killed at an alert, and started again: none is missing, and one at most is told twice.
#[test]
fn goes_on_after_it_is_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().to_str().expect("a path");
    let args = |batches| ["--seed", "3", "--rate", "100", "--batches", batches];
    let whole = alerts(&args("110"));
    let with_state = |batches| [&args(batches)[..], &["--state", state]].concat();

    // More batches than it can come to.
    let mut killed =
        program().args(with_state("1000000")).stdout(Stdio::piped()).spawn().expect("the program");
    let mut lines = BufReader::new(killed.stdout.take().expect("output")).lines().map_while(Result::ok);
    let mut told: Vec<String> = lines.by_ref().take(2).map(|line| alert(&line)).collect();
    killed.kill().and_then(|()| killed.wait()).expect("an end");
    told.extend(lines.map(|line| alert(&line)));

    for line in alerts(&with_state("110")) {
        if !told.contains(&line) {
            told.push(line);
        }
    }
    assert_eq!(told[..whole.len()], whole);
}

#[test]
fn says_what_is_wrong_with_its_options() {
    let output = program().args(["--listen", "127.0.0.1:0", "--batches", "3"]).output().expect("the program");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("'--listen <ADDR>' cannot be used with '--batches <N>'"), "{text}");
}

#[test]
fn prints_charts() {
    let print = |title| program().args(["--rate", "50", "--batches", "4", "--print", title]).output();
    let output = print("Trending hashtags").expect("the program");
    let text = String::from_utf8_lossy(&output.stdout);
    let charts: Vec<&str> = text.split("Trending hashtags, posts, ").skip(1).collect();
    assert_eq!(charts.len(), 2, "one each two seconds: {text}");
    assert!(
        charts[1].lines().nth(1).is_some_and(|line| line.starts_with('#') && line.contains('█')),
        "{text}"
    );

    let output = print("Trends").expect("the program");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no chart called `Trends`: there are `Posts a second`, `Tracked words`"), "{text}");
}

/// A real feed: lines of JSON from a client. Among them some that are no posts.
#[test]
fn reads_posts_from_clients() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let mut child = program()
        .args(["--listen", &format!("127.0.0.1:{port}"), "--ui", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let (out, err) = (child.stdout.take().expect("output"), child.stderr.take().expect("logs"));
    let warned = std::thread::spawn(move || {
        BufReader::new(err)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("1 lines so far are no posts"))
    });

    let deadline = Instant::now() + Duration::from_secs(60);
    let mut client = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    };
    writeln!(client, "no post").expect("a line");
    for id in 0..60 {
        let post = r#""user":"loud","text":"buy it now https://shop.example/1""#;
        writeln!(client, r#"{{"id":{id},{post}}}"#).expect("a post");
    }
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let first = lines.next().expect("the address of the page");
    let address = first.strip_prefix("The charts are at http://").and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("{first}"));
    let alert = lines.find(|line| line.contains(" bot loud: "));
    assert!(alert.is_some_and(|alert| alert.contains("60 posts in a minute, with 1 texts")));

    let charts = get(address, "/api/v1/charts");
    for title in ["Likely bots", "Most shared links", "Trending hashtags", "Posts a second"] {
        assert!(charts.contains(&format!("\"title\":\"{title}\"")), "{charts}");
    }
    assert!(get(address, "/api/v1/streaming/statistics").contains("\"numTotalCompletedBatches\":"));
    assert!(get(address, "/dashboard").contains("content-type: text/html"));
    assert!(warned.join().expect("logs"));
    child.kill().and_then(|()| child.wait()).expect("an end");
}
