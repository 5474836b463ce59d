//! What is measured, who takes part, and what each of them is asked for.

use crate::data::{Data, Text};

/// A workload: something to do with every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Workload {
    W1Zipf,
    W1Uniform,
    W2,
    W3Update,
    W3UpdateReduced,
    W3Map,
    W3MapReduced,
    W4Inverse,
    W4Max,
    W4Long,
    W5,
    W6,
    W6Empty,
    W7,
}

use Workload::*;

impl Workload {
    pub(crate) const ALL: [Workload; 14] = [
        W1Zipf,
        W1Uniform,
        W2,
        W3Update,
        W3UpdateReduced,
        W3Map,
        W3MapReduced,
        W4Inverse,
        W4Max,
        W4Long,
        W5,
        W6,
        W6Empty,
        W7,
    ];

    /// Its name in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            W1Zipf => "w1-zipf",
            W1Uniform => "w1-uniform",
            W2 => "w2",
            W3Update => "w3-update",
            W3UpdateReduced => "w3-update-reduced",
            W3Map => "w3-map",
            W3MapReduced => "w3-map-reduced",
            W4Inverse => "w4-inverse",
            W4Max => "w4-max",
            W4Long => "w4-long",
            W5 => "w5",
            W6 => "w6",
            W6Empty => "w6-empty",
            W7 => "w7",
        }
    }

    /// What it does.
    pub(crate) fn about(self) -> &'static str {
        match self {
            W1Zipf => "words of each batch, Zipf(1.1) over 200,000: number of distinct ones, top 10",
            W1Uniform => "the same, uniform over 1,000,000",
            W2 => "lines that contain `abc`: count",
            W3Update => "running count of each word by update_state_by_key: number of keys, top 10",
            W3UpdateReduced => "the same behind a reduce_by_key",
            W3Map => "running count of each word by map_with_state: number of keys, top 10",
            W3MapReduced => "the same behind a reduce_by_key",
            W4Inverse => {
                "count of each word over 10 batches, sliding by 1, with an inverse: number of keys, top 10"
            }
            W4Max => "longest line of each word over 10 batches, no inverse: number of keys, top 10",
            W4Long => {
                "count of each word over 1,000 batches of 1,000 lines, with an inverse: number of keys, top \
                 10"
            }
            W5 => "join of two streams, 200,000 records each of 100,000 keys: number of pairs",
            W6 => "W1 over batches of 1,000 lines",
            W6Empty => "W1 over empty batches",
            W7 => {
                "W1, W2, W3 (update_state_by_key behind a reduce_by_key) and W4 (inverse) at once over one \
                 source"
            }
        }
    }

    /// The batches, which come round again; none where there is no text.
    pub(crate) fn texts(self, data: &Data) -> Vec<Text> {
        match self {
            W1Uniform => data.uniform().to_vec(),
            W4Long | W6 => data.small().to_vec(),
            W5 => Vec::new(),
            W6Empty => vec![Vec::new()],
            _ => data.zipf().to_vec(),
        }
    }

    /// How many batches a window holds.
    pub(crate) fn window(self, data: &Data) -> usize {
        if self == W4Long { data.sizes.small_batches } else { 10 }
    }

    /// How many batches are measured at a time, so that a clock sees them.
    pub(crate) fn batches_a_step(self) -> usize {
        match self {
            W4Long => 20,
            W5 => 5,
            W6 => 200,
            W6Empty => 1_000,
            _ => 1,
        }
    }

    /// How many steps go before the first that counts: a window is full then.
    pub(crate) fn warm_up(self, data: &Data) -> usize {
        match self {
            W4Inverse | W4Max | W4Long | W7 => self.window(data).div_ceil(self.batches_a_step()),
            _ => 1,
        }
    }
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// dstream, words cut out by the user's closure: `line.split(' ')`.
    Ours,
    /// The same, words cut out by the library's `split(b' ')`.
    OursSplit,
    /// As the first, with a checkpoint.
    OursCheckpoint,
    /// By hand, as fast as it can be.
    Expert,
    /// The same, but for `lines` and `split(' ')`.
    ExpertSameTokeniser,
    /// By hand, in an afternoon.
    Plain,
    /// The framework of that name.
    Timely,
    /// The framework of that name.
    Renoir,
}

impl Peer {
    pub(crate) const ALL: [Peer; 8] = [
        Peer::Ours,
        Peer::OursSplit,
        Peer::OursCheckpoint,
        Peer::Expert,
        Peer::ExpertSameTokeniser,
        Peer::Plain,
        Peer::Timely,
        Peer::Renoir,
    ];

    /// Which dstream stands beside this peer where both take part: the one that may use as good a tokeniser.
    pub(crate) fn beside(self) -> Peer {
        if self == Peer::Expert { Peer::OursSplit } else { Peer::Ours }
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Ours => "dstream",
            Peer::OursSplit => "dstream-split",
            Peer::OursCheckpoint => "dstream-checkpoint",
            Peer::Expert => "expert",
            Peer::ExpertSameTokeniser => "expert-same-tokeniser",
            Peer::Plain => "plain",
            Peer::Timely => "timely",
            Peer::Renoir => "renoir",
        }
    }
}

/// One peer at one workload, from batch to batch.
pub(crate) trait Runner {
    /// Runs the next `batches` batches, and gives the result of the last.
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer>;
}

/// What came out of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Keys, lines or pairs, whatever the workload counts; for W7 a number for each part.
    pub(crate) counts: Vec<u64>,
    /// The ten largest, the largest first; of equal ones the last word by the alphabet first.
    pub(crate) top: Vec<(u64, String)>,
}

impl Answer {
    /// Just a number.
    pub(crate) fn count(n: u64) -> Answer {
        Answer { counts: vec![n], top: Vec::new() }
    }

    /// The parts of W7 in their order, of which W2 is counted apart; or the only one there is.
    pub(crate) fn of_parts(parts: Vec<Answer>, lines: Option<u64>) -> Answer {
        let mut parts = parts.into_iter();
        let first = parts.next();
        let all = first.into_iter().chain(lines.map(Answer::count)).chain(parts);
        all.fold(Answer::default(), Answer::and)
    }

    /// What several workers have, each of its own keys: part by part.
    pub(crate) fn merged(workers: Vec<Vec<Answer>>) -> Vec<Answer> {
        let parts = workers.iter().map(Vec::len).max().unwrap_or(0);
        let part = |at| {
            let mine: Vec<&Answer> = workers.iter().filter_map(|worker| worker.get(at)).collect();
            let mut top: Vec<_> = mine.iter().flat_map(|answer| answer.top.iter().cloned()).collect();
            top.sort_by(|a, b| b.cmp(a));
            top.truncate(10);
            Answer { counts: vec![mine.iter().flat_map(|answer| &answer.counts).sum()], top }
        };
        (0..parts).map(part).collect()
    }

    /// Adds what another part of W7 has.
    pub(crate) fn and(mut self, other: Answer) -> Answer {
        self.counts.extend(other.counts);
        self.top.extend(other.top);
        self
    }
}
