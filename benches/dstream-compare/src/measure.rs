//! Side by side: each round every peer runs the next batches, in an order that rotates, timed by two clocks.

use std::time::{Duration, Instant};

use anyhow::ensure;
use cpu_time::ProcessTime;

use crate::{
    data::Data,
    ours::{Cut, Ours},
    peers::{
        expert::{Expert, Tokeniser},
        plain::Plain,
        renoir::Renoir,
        timely::Timely,
    },
    workload::{Answer, Peer, Runner, Workload},
};

/// What one step took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// By the clock on the wall.
    pub(crate) wall: Duration,
    /// User and system time of all threads of the process.
    pub(crate) cpu: Duration,
}

/// All peers at one workload.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) workload: Workload,
    /// Batches in a sample.
    pub(crate) batches: usize,
    /// For each peer its samples, a round each.
    pub(crate) samples: Vec<(Peer, Vec<Sample>)>,
}

/// A peer at a workload; none if it does not take part.
pub(crate) fn runner(peer: Peer, workload: Workload, data: &Data) -> anyhow::Result<Option<Box<dyn Runner>>> {
    Ok(match peer {
        Peer::Ours => Ours::new(workload, data, Cut::Closure, false)?.map(boxed),
        Peer::OursSplit => Ours::new(workload, data, Cut::Operator, false)?.map(boxed),
        Peer::OursCheckpoint => Ours::new(workload, data, Cut::Closure, true)?.map(boxed),
        // By hand nothing is done where there is nothing to do.
        _ if workload == Workload::W6Empty => None,
        Peer::Expert => Some(boxed(Expert::new(workload, data, Tokeniser::Simd)?)),
        // Nothing to cut.
        Peer::ExpertSameTokeniser if workload == Workload::W5 => None,
        Peer::ExpertSameTokeniser => Some(boxed(Expert::new(workload, data, Tokeniser::LinesAndSplit)?)),
        Peer::Plain => Some(boxed(Plain::new(workload, data))),
        Peer::Timely => Some(boxed(Timely::new(workload, data)?)),
        Peer::Renoir => Renoir::new(workload, data).map(boxed),
    })
}

fn boxed(runner: impl Runner + 'static) -> Box<dyn Runner> {
    Box::new(runner)
}

/// Measures a workload. Every round, the results of all peers are compared, too.
pub(crate) fn measure(
    workload: Workload,
    peers: &[Peer],
    data: &Data,
    rounds: usize,
    budget: Duration,
) -> anyhow::Result<Measured> {
    let batches = workload.batches_a_step();
    let mut runners = Vec::new();
    for peer in peers {
        if let Some(runner) = runner(*peer, workload, data)? {
            runners.push((*peer, runner, Vec::new()));
        }
    }
    let warm_up = workload.warm_up(data);
    let mut began = Instant::now();
    for round in 0..warm_up + rounds {
        if round == warm_up {
            began = Instant::now();
        } else if round > warm_up + 2 && began.elapsed() > budget {
            break;
        }
        let mut answers: Vec<(Peer, Answer)> = Vec::new();
        let n = runners.len();
        for at in 0..n {
            let (peer, runner, samples) = &mut runners[(at + round) % n];
            let (wall, cpu) = (Instant::now(), ProcessTime::now());
            let answer = runner.run(batches)?;
            let sample = Sample { cpu: cpu.elapsed(), wall: wall.elapsed() };
            if round >= warm_up {
                samples.push(sample);
            }
            answers.push((*peer, answer));
        }
        for (peer, answer) in &answers[1..] {
            let (first, expected) = &answers[0];
            ensure!(
                answer == expected,
                "{}: {} and {} differ in step {round}:\n{expected:?}\n{answer:?}",
                workload.name(),
                first.name(),
                peer.name()
            );
        }
    }
    let samples = runners.into_iter().map(|(peer, _, samples)| (peer, samples)).collect();
    Ok(Measured { workload, batches, samples })
}
