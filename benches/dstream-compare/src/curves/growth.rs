//! How the cost of a batch grows: with its records, its keys, the length of a window, and with what is
//! computed at once.

use std::{sync::Arc, time::Instant};

use cpu_time::ProcessTime;
use dstream::{Bytes, Rdd, Str, StreamingContext};

use super::svg::Curve;
use crate::{
    data::{Random, Text, Words, texts},
    ours::{INTERVAL, Ours, Texts},
    peers::expert::{Expert, Tokeniser},
    stats::Spread,
    workload::{Runner, Workload},
};

/// Median CPU time of a batch in nanoseconds, of runs of `batches`, for about a second.
fn cost(runner: &mut dyn Runner, batches: usize) -> anyhow::Result<f64> {
    let (mut samples, began) = (Vec::new(), Instant::now());
    while samples.len() < 3 || (began.elapsed().as_millis() < 1_000 && samples.len() < 25) {
        let cpu = ProcessTime::now();
        runner.run(batches)?;
        samples.push(cpu.elapsed().as_nanos() as f64 / batches as f64);
    }
    Ok(Spread::of(samples).median)
}

/// 1 to 1,000,000 lines.
pub(super) fn records() -> anyhow::Result<Curve> {
    let words = Words::zipf(200_000);
    let (mut ours, mut expert) = (Vec::new(), Vec::new());
    for power in 0..=6 {
        let lines = 10usize.pow(power);
        let batches: Arc<[Text]> = texts(&words, 11, (100_000 / lines).clamp(2, 100), lines);
        let step = (30_000 / lines).clamp(1, 1_000);
        let records = lines as f64 * 10.0;
        let mut runner = Ours::over(Workload::W1Zipf, batches.to_vec(), 10, false)?;
        runner.run(step)?;
        ours.push((records, cost(&mut runner, step)? / records));
        // Small batches are one thread's work.
        let workload = if lines <= 1_000 { Workload::W6 } else { Workload::W1Zipf };
        let mut runner = Expert::over(workload, batches.to_vec(), 10, Tokeniser::Simd)?;
        runner.run(step)?;
        expert.push((records, cost(&mut runner, step)? / records));
    }
    Ok(Curve {
        name: "records",
        title: "W1: records a batch".into(),
        x: "words a batch",
        y: "CPU ns a word",
        series: vec![("dstream", ours), ("expert", expert)],
    })
}

/// 1,000 to 10,000,000 different words.
pub(super) fn keys() -> anyhow::Result<Curve> {
    let (mut ours, mut expert) = (Vec::new(), Vec::new());
    for power in 3..=7 {
        let keys = 10u64.pow(power);
        let mut random = Random(power.into());
        let batches: Vec<Text> =
            (0..2).map(|_| numbered((0..10_000_000).map(|_| random.below(keys)))).collect();
        let mut runner = Ours::over(Workload::W1Uniform, batches.clone(), 10, false)?;
        runner.run(1)?;
        ours.push((keys as f64, cost(&mut runner, 1)? / 1e7));
        let mut runner = Expert::over(Workload::W1Uniform, batches, 10, Tokeniser::Simd)?;
        runner.run(1)?;
        expert.push((keys as f64, cost(&mut runner, 1)? / 1e7));
    }
    Ok(Curve {
        name: "keys",
        title: "W1: keys among 10,000,000 words, all alike".into(),
        x: "keys",
        y: "CPU ns a word",
        series: vec![("dstream", ours), ("expert", expert)],
    })
}

/// Words that are numbers, ten a line.
pub(super) fn numbered(numbers: impl Iterator<Item = u64>) -> Text {
    let (mut out, mut blocks) = (Vec::new(), Vec::new());
    for (at, number) in numbers.enumerate() {
        let mut left = number + 26 * 26;
        while left > 0 {
            out.push(b'a' + (left % 26) as u8);
            left /= 26;
        }
        out.push(if at % 10 == 9 { b'\n' } else { b' ' });
        if at % 10 == 9 && out.len() > 1 << 20 {
            blocks.push(Bytes::from(std::mem::take(&mut out)));
        }
    }
    blocks.push(out.into());
    blocks
}

/// 10 to 10,000 batches in a window.
pub(super) fn window() -> anyhow::Result<Curve> {
    let few = texts(&Words::uniform(1_000), 12, 1_000, 100);
    let many = texts(&Words::zipf(200_000), 13, 1_000, 100);
    let mut series = Vec::new();
    for (name, batches, most) in [("1,000 keys", few, 10_000), ("keys grow with the window", many, 1_000)] {
        let mut points = Vec::new();
        for length in [10, 100, 1_000, 10_000].into_iter().filter(|length| *length <= most) {
            let mut runner = Ours::over(Workload::W4Long, batches.to_vec(), length, false)?;
            runner.run(length + 1)?;
            points.push((length as f64, cost(&mut runner, 50)? / 1e3));
        }
        series.push((name, points));
    }
    Ok(Curve {
        name: "window",
        title: "W4 with an inverse: length of the window".into(),
        x: "batches of 100 lines in the window",
        y: "CPU µs a slide",
        series,
    })
}

/// Consumers of one stream: how many words there are of each length, counted from another number each.
macro_rules! consumers {
    ($texts:expr, $($n:literal)*) => {{
        let conf = dstream::Config::new().handle_signals(false).volatile_state(true);
        let ssc = StreamingContext::with_config(INTERVAL, conf)?;
        let texts = $texts;
        dstream::stream!(ssc, {
            let words = texts.flat_map(|line| line.split(' '));
            $(words.map(|word| (word.len() + $n, 1u64)).reduce_by_key(|a, b| a + b)
                .foreach_rdd(|rdd| drop(rdd));)*
        })
    }};
}

/// A context without results.
struct Bare(StreamingContext);

impl Runner for Bare {
    fn run(&mut self, batches: usize) -> anyhow::Result<crate::workload::Answer> {
        self.0.run_batches(batches)?;
        Ok(crate::workload::Answer::default())
    }
}

/// 1 to 16 consumers of one stream.
pub(super) fn consumers() -> anyhow::Result<Curve> {
    let batch = texts(&Words::zipf(200_000), 14, 1, 200_000);
    let texts = || Texts::new(batch.to_vec());
    let contexts = [
        (1.0, consumers!(texts(), 0)?),
        (2.0, consumers!(texts(), 0 1)?),
        (4.0, consumers!(texts(), 0 1 2 3)?),
        (8.0, consumers!(texts(), 0 1 2 3 4 5 6 7)?),
        (16.0, consumers!(texts(), 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)?),
    ];
    let mut points = Vec::new();
    for (n, ssc) in contexts {
        points.push((n, cost(&mut Bare(ssc), 1)? / 1e6));
    }
    Ok(Curve {
        name: "consumers",
        title: "Consumers of one stream of 2,000,000 words".into(),
        x: "reductions of the stream",
        y: "CPU ms a batch",
        series: vec![("dstream", points)],
    })
}

/// 1 to 100 pipelines in a context, each with a source of its own.
pub(super) fn pipelines() -> anyhow::Result<Curve> {
    let batch = texts(&Words::zipf(200_000), 15, 1, 1_000);
    let mut points = Vec::new();
    for n in [1, 3, 10, 30, 100] {
        let ssc = StreamingContext::with_config(
            INTERVAL,
            dstream::Config::new().handle_signals(false).volatile_state(true),
        )?;
        for _ in 0..n {
            let texts = Texts::new(batch.to_vec());
            dstream::stream!(ssc, {
                let counts = texts
                    .flat_map(|line| line.split(' '))
                    .map(|word| (word, 1u64))
                    .reduce_by_key(|a, b| a + b);
                counts.foreach_rdd(|rdd: Rdd<(Str, u64)>| drop(rdd));
            })?;
        }
        points.push((n as f64, cost(&mut Bare(ssc), 100 / n)? / n as f64 / 1e3));
    }
    Ok(Curve {
        name: "pipelines",
        title: "Pipelines in one process, each over 1,000 lines".into(),
        x: "pipelines",
        y: "CPU µs a batch and pipeline",
        series: vec![("dstream", points)],
    })
}
