//! Watches a feed of posts: see README.md.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::Parser;
use dstream::{prelude::*, ui::Ui};
use social_monitor::{analyses, feed::Feed, print::PrintCharts, source};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Watches a feed of posts: trends, places, sentiment, retweets, rising stories, bots and alerts.
#[derive(Parser)]
struct Args {
    /// Read posts, lines of JSON, from clients that connect to this address, in place of a feed that is made
    /// up
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["seed", "rate", "batches"])]
    listen: Option<String>,
    /// Read posts from a topic of Kafka (needs the feature `kafka`)
    #[arg(
        long, num_args = 2, value_names = ["BROKERS", "TOPIC"],
        conflicts_with_all = ["listen", "seed", "rate", "batches"]
    )]
    kafka: Option<Vec<String>>,
    /// What the feed is made from: the same number, the same posts
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Posts a second of the feed
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// A word to track; can be given several times
    #[arg(long, value_name = "WORD", default_values = ["#rust", "climate", "coffee"])]
    track: Vec<String>,
    /// The folder that keeps all state when the program ends; without it, it is gone
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Where the page with all charts is; `off` for none
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4040")]
    ui: String,
    /// The secret that the page asks for; needed if others can reach its address
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
    /// Where Prometheus can read figures of the program, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Print the chart with this title each time that it changes; can be given several times
    #[arg(long, value_name = "TITLE")]
    print: Vec<String>,
    /// Process so many seconds of the feed at once, without a clock, and end
    #[arg(long, value_name = "N")]
    batches: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    log_to_stderr();
    // Removed at the end.
    let temporary = tempfile::tempdir()?;
    let state = args.state.clone().unwrap_or_else(|| temporary.path().to_owned());

    let conf = Config::new().checkpoint(state);
    let conf = if args.print.is_empty() { conf } else { conf.listener(PrintCharts(args.print.clone())) };
    let conf = match &args.metrics {
        Some(address) => conf.metrics(address),
        None => conf,
    };
    let (conf, page) = page(&args, conf);
    let (ssc, posts) = match (&args.listen, args.kafka.as_deref()) {
        (Some(address), _) => source::listen(conf, address)?,
        #[cfg(feature = "kafka")]
        (None, Some([brokers, topic])) => source::kafka(conf, brokers, topic)?,
        (None, Some(_)) => {
            anyhow::bail!("--kafka needs the feature: cargo run --release -p social-monitor --features kafka")
        }
        (None, None) => source::generated(conf, Feed { seed: args.seed, posts_per_second: args.rate })?,
    };
    drop(analyses::add_all(&ssc, &posts, &args.track)?);

    let charts = charts(&ssc);
    if let Some(unknown) = args.print.iter().find(|title| !charts.contains(title)) {
        anyhow::bail!("there is no chart called `{unknown}`: there are `{}`", charts.join("`, `"));
    }

    if let Some(batches) = args.batches {
        ssc.run_batches(batches)?;
        return Ok(());
    }
    ssc.start()?;
    if let Some(address) = page.and_then(|page| page.address()) {
        writeln!(
            io::stdout(),
            "The charts are at http://{address}/dashboard, the program at http://{address}"
        )?;
    }
    Ok(ssc.await_termination()?)
}

/// The page, unless there is to be none.
fn page(args: &Args, conf: Config) -> (Config, Option<Ui>) {
    // A run without a clock is over before anybody could look.
    if args.ui == "off" || args.batches.is_some() {
        return (conf, None);
    }
    let page = Ui::new(&args.ui);
    let page = match &args.token {
        Some(token) => page.token(token),
        None => page,
    };
    (conf.listener(page.clone()), Some(page))
}

/// The titles of all charts, as the plan of the program has them: behind the name of their pipeline.
fn charts(ssc: &StreamingContext) -> Vec<String> {
    let pipelines = ssc.plan().pipelines;
    let outputs = pipelines.iter().flat_map(|pipeline| pipeline.outputs());
    let names =
        outputs.filter(|output| output.operator == "dashboard").filter_map(|output| output.name.as_ref());
    names.map(|name| name.split_once('/').map_or(name.as_str(), |(_, title)| title).to_owned()).collect()
}

/// Alerts go to standard output, everything else here. `RUST_LOG=warn` shows warnings only.
fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}
