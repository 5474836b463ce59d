//! What the log of receivers costs:
//! `cargo test --release --test receiver_cost -- --ignored --nocapture`

use std::{
    error::Error,
    io::Write,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dstream::{
    prelude::*,
    receiver::{Receiver, ReceiverContext, WalBlock},
    source::TextBlock,
};

const LINE: &str = "the quick brown fox jumps over the lazy dog, again and again\n";

/// Stores as fast as it can.
struct Flood<B>(fn(&ReceiverContext<B>) -> bool);

impl<B: WalBlock + 'static> Receiver for Flood<B> {
    type Block = B;

    fn name(&self) -> String {
        "flood".to_owned()
    }

    fn run(&mut self, ctx: &ReceiverContext<B>) -> Result<(), Box<dyn Error + Send + Sync>> {
        while (self.0)(ctx) {}
        Ok(())
    }
}

/// A server that never pauses; returns its port.
fn flood() -> std::io::Result<u16> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    thread::spawn(move || {
        let text = LINE.repeat(1_000);
        for mut stream in server.incoming().flatten() {
            while stream.write_all(text.as_bytes()).is_ok() {}
        }
    });
    Ok(port)
}

/// How many records a second are received and counted, with the log or without.
macro_rules! rate {
    ($source:expr, $log:expr) => {{
        let (dir, counted) = (tempfile::tempdir()?, Arc::new(AtomicU64::new(0)));
        let (count, source) = (Arc::clone(&counted), $source);
        let conf = Config::new().write_ahead_log($log).receiver_buffer_bytes(64 << 20);
        let ssc = dstream::stream!(batch = 200ms, conf = conf, checkpoint = dir.path(), {
            source.count().foreach_rdd(move |rdd, _| {
                count.fetch_add(rdd.collect().into_iter().sum::<u64>(), Ordering::Relaxed);
            });
        })?;
        let began = Instant::now();
        ssc.start()?;
        ssc.await_termination_or_timeout(Duration::from_secs(3))?;
        ssc.stop_gracefully();
        counted.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
    }};
}

/// Both in turn, three times; the medians.
macro_rules! compare {
    ($what:literal, $source:expr) => {{
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            without.push(rate!($source, false));
            with.push(rate!($source, true));
        }
        with.sort_by(f64::total_cmp);
        without.sort_by(f64::total_cmp);
        println!(
            "{}: {:.2} million records a second with the log, {:.2} without, {:.0}%",
            $what,
            with[1] / 1e6,
            without[1] / 1e6,
            100.0 * with[1] / without[1]
        );
    }};
}

#[test]
#[ignore = "prints figures of a release build"]
#[allow(clippy::print_stdout)]
fn with_and_without_the_log() -> Result<(), Box<dyn Error>> {
    let port = flood()?;
    compare!("lines from a socket", socket_text_stream("127.0.0.1", port));
    compare!(
        "store_block of 64 KiB of text",
        Flood::<TextBlock>(|ctx| {
            static TEXT: std::sync::LazyLock<dstream::Bytes> =
                std::sync::LazyLock::new(|| LINE.repeat((64 << 10) / LINE.len()).into());
            ctx.store_block(TextBlock::new(TEXT.clone()))
        })
    );
    compare!(
        "store of (u64, String)",
        Flood::<Vec<(u64, String)>>(|ctx| ctx.store((7, LINE.trim_end().to_owned())))
    );
    compare!(
        "store_block of 1,000 (u64, String)",
        Flood::<Vec<(u64, String)>>(|ctx| ctx.store_block(vec![(7, LINE.trim_end().to_owned()); 1_000]))
    );
    Ok(())
}
