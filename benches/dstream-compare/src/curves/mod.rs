//! How costs grow, as points and pictures in `docs/performance.md`; and figures of running programs.

mod growth;
pub(crate) mod probe;
mod svg;

use std::{fmt::Write as _, fs};

use self::{
    probe::{ask, median_of},
    svg::{Curve, draw, number},
};
use crate::page;

/// Measures all, and writes it into the page and into `docs/performance/`.
pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    let setting = page::setting("cargo run --release -p dstream-compare -- curves");
    let folder = page::root().join("docs/performance");
    fs::create_dir_all(&folder)?;
    let mut text = setting + "\n";
    let all: [fn() -> anyhow::Result<Curve>; 5] =
        [growth::records, growth::keys, growth::window, growth::consumers, growth::pipelines];
    for measure in all {
        let curve = measure()?;
        if !quick {
            fs::write(folder.join(format!("{}.svg", curve.name)), draw(&curve))?;
        }
        text += &points(&curve);
    }
    text += &figures(quick)?;
    print!("{text}");
    if quick { Ok(()) } else { page::replace("curves", &text) }
}

fn points(curve: &Curve) -> String {
    let mut out = format!(
        "### {}\n\n![{}](performance/{}.svg)\n\n| {} |",
        curve.title, curve.title, curve.name, curve.x
    );
    let most = curve.series.iter().map(|(_, points)| points).max_by_key(|points| points.len());
    let xs: Vec<f64> = most.into_iter().flatten().map(|point| point.0).collect();
    xs.iter().for_each(|x| _ = write!(out, " {} |", number(*x)));
    let _ = write!(out, "\n|---|{}", "---|".repeat(xs.len()));
    for (name, points) in &curve.series {
        let _ = write!(out, "\n| {name}: {} |", curve.y);
        for x in &xs {
            let y = points.iter().find(|point| point.0 == *x).map(|point| format!("{:.1}", point.1));
            let _ = write!(out, " {} |", y.unwrap_or_default());
        }
    }
    out + "\n\n"
}

/// What other processes were asked.
fn figures(quick: bool) -> anyhow::Result<String> {
    let first = median_of(11, || Ok(ask(&["first-batch"])?.1.as_secs_f64() * 1e3))?;
    let idle = ask(&["idle", if quick { "5" } else { "20" }])?.0[0] * 100.0;
    let (seconds, keys) = if quick { ("5", ["100000", "1000000"]) } else { ("60", ["1000000", "10000000"]) };
    let latency = ask(&["latency", seconds])?.0;
    let bytes = [ask(&["memory", keys[0]])?.0[0], ask(&["memory", keys[1]])?.0[0]];
    let batches = if quick { "30000" } else { "300000" };
    let flat = ask(&["flat", batches])?.0;
    let (begin, end) = (flat[0] / 1e6, flat[flat.len() - 1] / 1e6);
    let mut out = String::from("### Running programs\n\n| | at most | found | |\n|---|---|---|---|\n");
    let mut line = |what: &str, limit: f64, found: f64, unit: &str| {
        let met = if found <= limit { "met" } else { "**missed**" };
        let _ = writeln!(out, "| {what} | {limit} {unit} | {found:.3} {unit} | {met} |");
    };
    line("process start to the first batch (interval 1 ms), median of 11", 50.0, first, "ms");
    line("idle at an interval of 1 s, with a silent socket", 0.1, idle, "% of a core");
    let what =
        format!("socket write to output, 99th percentile: 1,000 records each ms, interval 1 ms, {seconds} s");
    line(&what, 3.0, latency[1], "ms");
    line("growth of the resident memory over nine tenths of the batches below", 1.0, end - begin, "MB");
    let _ = writeln!(
        out,
        "\nLatency: median {:.3} ms, largest {:.3} ms; 99th percentile of the last sixth {:.3} ms. Every \
         line arrived.\n\n\
         Memory of W3 behind a `reduce_by_key` (resident, with the allocator's slack): {:.0} bytes a key of \
         {}, {:.0} of {}.\n\n\
         Resident memory of W7 over {batches} batches of 10 lines, after each tenth, in MB: {}.",
        latency[0],
        latency[2],
        latency[3],
        bytes[0],
        keys[0],
        bytes[1],
        keys[1],
        flat.iter().map(|bytes| format!("{:.1}", bytes / 1e6)).collect::<Vec<_>>().join(", ")
    );
    Ok(out)
}
