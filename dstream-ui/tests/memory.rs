//! What a page keeps is bounded. Alone in its process, whose memory it looks at.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
};

use dstream::{prelude::*, testing::ManualClock};
use dstream_ui::Ui;

/// Batches of a second in a day.
const DAY: usize = 24 * 60 * 60;

fn listen(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("it is served");
    client
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .and_then(|()| client.read_exact(&mut [0; 12]))
        .expect("it answers");
    client
}

/// A day of batches, while some look at the page and one takes nothing of it.
#[test]
fn memory_is_bounded() -> dstream::Result<()> {
    let page = Ui::new("127.0.0.1:0").keep_batches(50);
    let conf = Config::new().clock(ManualClock::default()).threads(1).listener(page.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        rate_stream(10).count().dashboard("Rows", Chart::line());
    })?;
    let resident = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    };
    ssc.run_batches(1)?;
    let address = page.address().expect("it is served");
    let deaf = listen(address);
    let readers: Vec<_> = (0..5)
        .map(|_| {
            thread::spawn(move || {
                // One that is too far behind is dropped, and comes again, as a browser does.
                while let Ok(mut client) = TcpStream::connect(address) {
                    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    let mut buffer = [0; 4096];
                    let _ = client.write_all(request);
                    while client.read(&mut buffer).is_ok_and(|read| read > 0) {}
                }
            })
        })
        .collect();
    // Batches come faster here than a listener can be told of them, so its bounded queue is full by now.
    ssc.run_batches(20_000)?;
    let before = resident();
    ssc.run_batches(DAY)?;
    let after = resident();
    assert!(before > 0 && after < before + (4 << 20), "{before} bytes, then {after}");
    drop((ssc, page, deaf));
    readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    Ok(())
}
