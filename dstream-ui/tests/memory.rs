//! What a page keeps is bounded. Alone in its process, whose memory it looks at.

use dstream::{prelude::*, testing::ManualClock};
use dstream_ui::Ui;

/// Of 200,000 batches, the last are kept.
#[test]
fn memory_is_bounded() -> dstream::Result<()> {
    let page = Ui::new("127.0.0.1:0").keep_batches(50);
    let conf = Config::new().clock(ManualClock::default()).threads(1).listener(page);
    let ssc = dstream::stream!(batch = 100ms, conf = conf, {
        rate_stream(10).count().dashboard("Rows", Chart::line());
    })?;
    let resident = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    };
    // Batches come faster here than a listener can be told of them, so its bounded queue is full by now.
    ssc.run_batches(40_000)?;
    let before = resident();
    ssc.run_batches(160_000)?;
    let after = resident();
    assert!(before > 0 && after < before + (4 << 20), "{before} bytes, then {after}");
    Ok(())
}
