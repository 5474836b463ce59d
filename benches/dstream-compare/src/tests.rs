//! On small data: everybody has the same results, and they are the right ones.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    data::{Data, Sizes, Text},
    measure::{measure, runner},
    report,
    workload::{Answer, Peer, Workload},
};

/// What a loop that is too simple to be wrong gives for each batch.
struct Naive {
    workload: Workload,
    window: usize,
    ring: VecDeque<BTreeMap<String, u64>>,
    totals: BTreeMap<String, u64>,
}

fn summary(counts: &BTreeMap<String, u64>) -> Answer {
    let mut all: Vec<(u64, String)> = counts.iter().map(|(word, n)| (*n, word.clone())).collect();
    all.sort();
    all.reverse();
    all.truncate(10);
    Answer { counts: vec![counts.len() as u64], top: all }
}

impl Naive {
    fn batch(&mut self, batch: &Text) -> Answer {
        use Workload::*;
        let text = String::from_utf8(batch.concat()).unwrap_or_default();
        let max = self.workload == W4Max;
        let fold = |into: &mut BTreeMap<String, u64>, word: &str, n: u64| {
            let held = into.entry(word.to_owned()).or_insert(0);
            *held = if max { n.max(*held) } else { *held + n };
        };
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let n = if max { line.len() as u64 } else { 1 };
            line.split(' ').for_each(|word| fold(&mut counts, word, n));
        }
        counts.iter().for_each(|(word, n)| fold(&mut self.totals, word, *n));
        self.ring.push_back(counts.clone());
        if self.ring.len() > self.window {
            self.ring.pop_front();
        }
        let mut recent = BTreeMap::new();
        self.ring.iter().flatten().for_each(|(word, n)| fold(&mut recent, word, *n));
        let containing = text.lines().filter(|line| line.contains("abc")).count() as u64;
        match self.workload {
            W1Zipf | W1Uniform | W6 | W6Empty => summary(&counts),
            W2 => Answer::count(containing),
            W3Update | W3UpdateReduced | W3Map | W3MapReduced => summary(&self.totals),
            W4Inverse | W4Max | W4Long => summary(&recent),
            W5 => Answer::default(),
            W7 => summary(&counts)
                .and(Answer::count(containing))
                .and(summary(&self.totals))
                .and(summary(&recent)),
        }
    }
}

fn check(workload: Workload) -> anyhow::Result<()> {
    let data = Data::new(Sizes::TINY);
    let texts = workload.texts(&data);
    let steps = 2 * workload.window(&data).min(texts.len().max(10)) + 3;
    let [left, right] = data.pairs();
    let pairs = left.iter().flat_map(|(key, _)| right.iter().filter(move |(other, _)| other == key)).count();
    let mut naive =
        Naive { workload, window: workload.window(&data), ring: VecDeque::new(), totals: BTreeMap::new() };
    let expected: Vec<Answer> = match workload {
        Workload::W5 => vec![Answer::count(pairs as u64); 3],
        _ => (0..steps).map(|step| naive.batch(&texts[step % texts.len()])).collect(),
    };
    for peer in Peer::ALL {
        let Some(mut runner) = runner(peer, workload, &data)? else { continue };
        for (step, expected) in expected.iter().enumerate() {
            assert_eq!(&runner.run(1)?, expected, "{} of {} in step {step}", peer.name(), workload.name());
        }
    }
    Ok(())
}

macro_rules! everybody_agrees {
    ($($name:ident $workload:ident;)*) => {$(
        #[test]
        fn $name() -> anyhow::Result<()> {
            check(Workload::$workload)
        }
    )*};
}

everybody_agrees! {
    w1_zipf W1Zipf;
    w1_uniform W1Uniform;
    w2 W2;
    w3_update W3Update;
    w3_update_reduced W3UpdateReduced;
    w3_map W3Map;
    w3_map_reduced W3MapReduced;
    w4_inverse W4Inverse;
    w4_max W4Max;
    w4_long W4Long;
    w5 W5;
    w6 W6;
    w6_empty W6Empty;
    w7 W7;
}

#[test]
fn a_line_of_json_a_comparison() -> anyhow::Result<()> {
    let data = Data::new(Sizes::TINY);
    let measured = measure(Workload::W2, &Peer::ALL, &data, 3, Duration::from_secs(5))?;
    let text = report::json_lines(&report::lines(&measured));
    let peers: Vec<serde_json::Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let names: Vec<&str> = peers.iter().filter_map(|line| line["peer"].as_str()).collect();
    assert_eq!(names, ["expert", "expert-same-tokeniser", "plain", "timely", "renoir"]);
    for line in &peers {
        assert_eq!(line["workload"], "w2");
        assert!(line["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{line}");
    }
    Ok(())
}
