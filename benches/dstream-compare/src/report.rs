//! What was measured, as a table, as lines of JSON, and as a page.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::json;

use crate::{
    measure::{Measured, Sample},
    stats::Spread,
    workload::{Peer, Workload},
};

/// One peer at one workload, beside dstream.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) workload: Workload,
    pub(crate) peer: Peer,
    /// Milliseconds a batch.
    pub(crate) wall: Spread,
    pub(crate) cpu: Spread,
    /// dstream's time by the peer's, of each round; none for dstream itself.
    pub(crate) ratio: Option<Ratio>,
    pub(crate) rounds: usize,
}

/// By both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    pub(crate) wall: Spread,
    pub(crate) cpu: Spread,
}

/// What a target says, and what came out.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) text: String,
    pub(crate) limit: f64,
    pub(crate) found: f64,
    /// What `found` is, if it is no ratio.
    pub(crate) unit: &'static str,
}

impl Target {
    pub(crate) fn met(&self) -> bool {
        self.found <= self.limit
    }
}

/// The lines of a workload, dstream first.
pub(crate) fn lines(measured: &Measured) -> Vec<Line> {
    let per_batch = |d: std::time::Duration| d.as_secs_f64() * 1e3 / measured.batches as f64;
    let samples_of =
        |wanted| measured.samples.iter().find(|(peer, _)| *peer == wanted).map(|(_, samples)| samples);
    let line = |(peer, samples): &(Peer, Vec<Sample>)| {
        let ours = samples_of(peer.beside()).or_else(|| samples_of(Peer::Ours));
        let ratio = |clock: fn(&Sample) -> std::time::Duration| {
            // Round by round: what disturbs the machine for a while disturbs both.
            let pairs = ours.into_iter().flatten().zip(samples);
            Spread::of(pairs.map(|(ours, theirs)| clock(ours).as_secs_f64() / clock(theirs).as_secs_f64()))
        };
        Line {
            workload: measured.workload,
            peer: *peer,
            wall: Spread::of(samples.iter().map(|s| per_batch(s.wall))),
            cpu: Spread::of(samples.iter().map(|s| per_batch(s.cpu))),
            ratio: (*peer != Peer::Ours).then(|| Ratio { wall: ratio(|s| s.wall), cpu: ratio(|s| s.cpu) }),
            rounds: samples.len(),
        }
    };
    measured.samples.iter().map(line).collect()
}

/// A table for a terminal.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut out = String::new();
    for line in lines {
        if line.ratio.is_none() {
            let _ = writeln!(out, "{}: {}", line.workload.name(), line.workload.about());
        }
        let _ = write!(
            out,
            "  {:22} cpu {:9.3} ms ({:.3}..{:.3})  wall {:9.3} ms ({:.3}..{:.3})",
            line.peer.name(),
            line.cpu.median,
            line.cpu.low,
            line.cpu.high,
            line.wall.median,
            line.wall.low,
            line.wall.high
        );
        if let Some(Ratio { wall, cpu }) = line.ratio {
            let _ = write!(
                out,
                "  dstream/it: cpu {:6.3} ({:.3}..{:.3})  wall {:6.3} ({:.3}..{:.3})",
                cpu.median, cpu.low, cpu.high, wall.median, wall.low, wall.high
            );
        }
        out.push('\n');
    }
    out
}

/// A line of JSON for each comparison.
pub(crate) fn json_lines(lines: &[Line]) -> String {
    let of: HashMap<(Workload, Peer), &Line> =
        lines.iter().map(|line| ((line.workload, line.peer), line)).collect();
    let mut out = String::new();
    for line in lines {
        let beside =
            [line.peer.beside(), Peer::Ours].into_iter().find_map(|peer| of.get(&(line.workload, peer)));
        let (Some(ratio), Some(ours)) = (line.ratio, beside) else { continue };
        let value = json!({
            "workload": line.workload.name(),
            "peer": line.peer.name(),
            "ours": ours.peer.name(),
            "ratio": ratio.cpu.median,
            "ratio_low": ratio.cpu.low,
            "ratio_high": ratio.cpu.high,
            "ratio_wall": ratio.wall.median,
            "ratio_wall_low": ratio.wall.low,
            "ratio_wall_high": ratio.wall.high,
            "ours_cpu_ms": ours.cpu.median,
            "ours_wall_ms": ours.wall.median,
            "peer_cpu_ms": line.cpu.median,
            "peer_wall_ms": line.wall.median,
            "rounds": line.rounds,
        });
        let _ = writeln!(out, "{value}");
    }
    for target in targets(lines).iter().filter(|target| target.text.contains("slowest part")) {
        let value = json!({ "workload": Workload::W7.name(), "peer": "slowest-part", "ratio": target.found });
        let _ = writeln!(out, "{value}");
    }
    out
}

/// The targets that these lines say something about.
pub(crate) fn targets(lines: &[Line]) -> Vec<Target> {
    let mut targets = Vec::new();
    for line in lines {
        let limit = match line.peer {
            Peer::ExpertSameTokeniser => 1.15,
            Peer::Timely | Peer::Renoir => 0.5,
            Peer::Expert if line.workload != Workload::W2 => 1.25,
            _ => continue,
        };
        let Some(ratio) = line.ratio else { continue };
        targets.push(Target {
            text: format!("{} / {}", line.workload.name(), line.peer.name()),
            limit,
            found: ratio.cpu.median,
            unit: "",
        });
    }
    let ours = |workload| lines.iter().find(|line| line.workload == workload && line.peer == Peer::Ours);
    let parts = [Workload::W1Zipf, Workload::W2, Workload::W3UpdateReduced, Workload::W4Inverse];
    let parts: Option<Vec<&Line>> = parts.into_iter().map(ours).collect();
    if let (Some(all), Some(parts)) = (ours(Workload::W7), parts) {
        let slowest = parts.iter().map(|line| line.cpu.median).fold(0.0, f64::max);
        targets.push(Target {
            text: "w7 / its slowest part".to_owned(),
            limit: 1.2,
            found: all.cpu.median / slowest,
            unit: "",
        });
    }
    if let Some(empty) = ours(Workload::W6Empty) {
        targets.push(Target {
            text: "CPU time of an empty batch".to_owned(),
            limit: 20.0,
            found: empty.cpu.median * 1e3,
            unit: " µs",
        });
    }
    targets
}

/// What was found, in Markdown.
pub(crate) fn page(lines: &[Line]) -> String {
    let mut out = String::from(
        "| workload | who | CPU ms a batch | wall ms a batch | dstream / it, CPU | dstream / it, wall \
         |\n|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let name = if line.ratio.is_none() { line.workload.name() } else { "" };
        let ratio = |ratio: Option<Spread>| ratio.map(|r| figures(r, 2)).unwrap_or_default();
        let digits = if line.cpu.median < 10.0 { 3 } else { 1 };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} |",
            line.peer.name(),
            figures(line.cpu, digits),
            figures(line.wall, digits),
            ratio(line.ratio.map(|r| r.cpu)),
            ratio(line.ratio.map(|r| r.wall)),
        );
    }
    out.push_str("\n### Targets\n\n| ratio of CPU times | at most | found | |\n|---|---|---|---|\n");
    for target in targets(lines) {
        let (unit, met) = (target.unit, if target.met() { "met" } else { "**missed**" });
        let _ =
            writeln!(out, "| {} | {}{unit} | {:.2}{unit} | {met} |", target.text, target.limit, target.found);
    }
    out
}

fn figures(spread: Spread, digits: usize) -> String {
    format!("**{:.digits$}** ({:.digits$}..{:.digits$})", spread.median, spread.low, spread.high)
}
