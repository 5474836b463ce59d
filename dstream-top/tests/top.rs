//! What is on the screen, of a program that runs.

use std::{
    io::Write,
    net::TcpListener,
    time::{Duration, Instant},
};

use dstream::{prelude::*, testing::ManualClock};
use dstream_top::{Client, Model, draw};
use dstream_ui::Ui;
use ratatui::{Terminal, backend::TestBackend};

const LONG: Duration = Duration::from_secs(30);

fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().to_string()
}

fn watch(page: &Ui, token: Option<&str>) -> Model {
    let url = format!("http://{}", page.address().unwrap());
    Model::new(Client::new(&url, token.map(str::to_owned)).unwrap())
}

/// Asks until so many batches are done.
fn until(model: &mut Model, batches: u64) {
    let end = Instant::now() + LONG;
    while model.completed() != batches {
        assert!(Instant::now() < end, "{}", screen(model, 120, 40));
        let answer = model.question().ask();
        model.update(answer);
    }
}

#[test]
fn a_program_is_on_the_screen() -> dstream::Result<()> {
    let page = Ui::new("127.0.0.1:0").token("s3cret");
    let clock = ManualClock::new(Time::from_millis(3_600_000));
    let conf = Config::new().clock(clock).volatile_state(true).threads(1).listener(page.clone());
    let mut batch = 0;
    let ssc = dstream::stream!(batch = 1s, name = "shop", conf = conf, {
        // No error commands the terminal.
        let words = queue_stream(vec![vec!["to", "be"], vec!["or"], vec!["not", "to", "be"]]);
        let totals = words
            .map(|word| (word, 1u64))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.len() as u64));
        totals.count().foreach_rdd(|_| ());
        words.foreach_rdd(move |_| {
            batch += 1;
            if batch == 2 { Err("\u{1b}[2J no such table") } else { Ok(()) }
        });
    })?;
    let _ = ssc.run_batches(3);
    let mut model = watch(&page, Some("s3cret"));
    let before = screen(&model, 120, 40);
    assert!(before.contains("connecting to 127.0.0.1:"), "{before}");
    until(&mut model, 3);
    let shown = screen(&model, 120, 40);
    for wanted in [
        "shop  running  at 127.0.0.1:",
        "a batch every 1 s",
        "3 batches, 6 records, 0 running, 0 waiting",
        "Input: 3/s, at most 3/s",
        "of 1 s",
        "queue_stream",
        "active",
        "totals",
        "update_state_by_key",
        "01:00:03",
        "1/2 failed",
        "2/2",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
    // Older batches.
    model.scroll(1);
    let scrolled = screen(&model, 120, 40);
    assert!(scrolled.contains("from 2 of 3") && !scrolled.contains("01:00:03"), "{scrolled}");
    model.scroll(isize::MIN);
    // Only what is new is asked for, and comes behind what is known.
    let _ = ssc.run_batches(2);
    until(&mut model, 5);
    let shown = screen(&model, 120, 40);
    assert!(shown.contains("01:00:05") && shown.contains("from 1 of 5"), "{shown}");
    // However small the terminal is.
    for (width, height) in [(1, 1), (20, 5), (300, 100)] {
        screen(&model, width, height);
    }
    ssc.stop();
    let answer = model.question().ask();
    model.update(answer);
    assert!(screen(&model, 120, 40).contains("stopped"));

    // What is gone is said, and what was known stays.
    drop((ssc, page));
    let answer = model.question().ask();
    model.update(answer);
    let shown = screen(&model, 160, 40);
    assert!(shown.contains("not connected: ") && shown.contains("01:00:05"), "{shown}");
    Ok(())
}

#[test]
fn what_is_no_page_is_said() {
    let page = Ui::new("127.0.0.1:0").token("s3cret");
    let conf = Config::new().clock(ManualClock::default()).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        queue_stream(vec![vec![1]]).foreach_rdd(|_| ());
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    let error = watch(&page, None).question().ask().unwrap_err();
    assert!(error.contains("asks for a token"), "{error}");
    for (answer, wanted) in [
        ("", "no HTTP"),
        ("SSH-2.0-OpenSSH\r\n", "no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "not complete"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not what a page of dstream answers"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "status 404"),
    ] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = server.local_addr().unwrap().to_string();
        let served = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            // The whole request is read, or its rest would cost the answer.
            let mut request = Vec::new();
            let mut one = [0];
            while !request.ends_with(b"\r\n\r\n") && std::io::Read::read(&mut client, &mut one).unwrap() == 1
            {
                request.push(one[0]);
            }
            client.write_all(answer.as_bytes()).unwrap();
        });
        let error = Model::new(Client::new(&url, None).unwrap()).question().ask().unwrap_err();
        assert!(error.contains(wanted), "{answer}: {error}");
        served.join().unwrap();
    }
}
