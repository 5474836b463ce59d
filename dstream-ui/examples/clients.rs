//! How late batches are while 200 clients are told of everything, and while none is.
//!
//! ```text
//! cargo run --release -p dstream-ui --example clients
//! ```

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use dstream::{events::Event, prelude::*, testing::Events};
use dstream_ui::Ui;

const CLIENTS: usize = 200;
/// Batches of each part.
const BATCHES: usize = 100;

/// Reads events until the page is gone.
fn read_all(address: SocketAddr) -> io::Result<u64> {
    let mut client = TcpStream::connect(address)?;
    client.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let (mut buffer, mut bytes) = ([0; 16 << 10], 0);
    loop {
        match client.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes += read as u64,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (page, events, done) = (Ui::new("127.0.0.1:0"), Events::new(), Collected::new());
    let conf = Config::new().handle_signals(false).listener(events.clone()).listener(page.clone());
    let ssc = dstream::stream!(batch = 100ms, conf = conf, {
        let words = rate_stream(200_000).map(|n| (n.wrapping_mul(0x9e37_79b9) % 10_000, 1u64));
        let counts = words.reduce_by_key(|a, b| a + b);
        counts.dashboard("Top", Chart::bar().top(20));
        counts.count().dashboard("Keys", Chart::line());
        counts.count().collect_to(&done);
    })?;
    ssc.start()?;
    let wait =
        |batches| done.wait_for(batches, Duration::from_secs(120)).then_some(()).ok_or("no batches come");
    wait(BATCHES)?;
    let address = page.address().ok_or("there is no page")?;
    let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(move || read_all(address))).collect();
    wait(3 * BATCHES)?;
    ssc.stop();
    drop((ssc, page));
    let mut out = io::stdout();
    let bytes: u64 =
        clients.into_iter().map(|client| client.join().map_or(0, |read| read.unwrap_or(0))).sum();
    let completed: Vec<_> = events
        .recorded()
        .into_iter()
        .filter_map(|event| if let Event::BatchCompleted(batch) = event { Some(batch) } else { None })
        .collect();
    let parts =
        [("no clients", &completed[10..BATCHES]), ("200 clients", &completed[2 * BATCHES..3 * BATCHES])];
    for (who, part) in parts {
        let mut delays: Vec<_> = part.iter().map(|batch| batch.total_delay).collect();
        delays.sort_unstable();
        let (median, most) = (delays[delays.len() / 2], delays[delays.len() - 1]);
        writeln!(
            out,
            "{who:12} total delay: median {median:?}, at most {most:?}, of {} batches",
            delays.len()
        )?;
    }
    writeln!(out, "{bytes} bytes were sent")?;
    Ok(())
}
