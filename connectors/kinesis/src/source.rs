//! The source: what belongs to a batch, and how far it is.

use std::{env, fmt, sync::Arc};

use dstream_core::{
    Error, Result, Time,
    checkpoint::Stateful,
    source::{Limits, Source, SourceContext},
};

use crate::{
    block::KinesisBlock,
    client::Client,
    plan::{KinesisPlan, SequenceRange},
    positions::SharedPositions,
    reader,
    settings::Kinesis,
    shard::{Taken, shares},
    shared::Shared,
};

/// The records of a Kinesis data stream as a stream of [`KinesisRecord`](crate::KinesisRecord)s.
///
/// There is no receiver and no log of ours: the stream is the log. A batch has a range of sequence numbers of
/// each shard, which is fixed when its time is reached and kept in the checkpoint, so a batch that runs again
/// after a crash reads the same records. Records are read ahead, up to [`Kinesis::buffer_bytes`].
///
/// Shards that are split or merged are followed: the new ones are read when batches have all that the old
/// ones had, so records of one partition key stay in their order. Records that the Kinesis Producer Library
/// has aggregated are taken apart.
///
/// With a checkpoint, a restart goes on behind the last batch that had begun, whatever [`Kinesis::start`]
/// says. Without one it starts anew.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_kinesis::{Kinesis, kinesis_stream};
///
/// fn main() -> dstream::Result<()> {
///     let ssc = dstream::stream!(batch = 1s, checkpoint = "/var/lib/words", {
///         let records = kinesis_stream(Kinesis::new("lines").region("eu-west-1"));
///         let words = records.flat_map(|record| record.text().unwrap_or_default().split(' '));
///         words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).print();
///     })?;
///     ssc.start()?;
///     ssc.await_termination()
/// }
/// ```
pub fn kinesis_stream(settings: Kinesis) -> KinesisSource {
    KinesisSource {
        name: settings.name(),
        settings,
        positions: SharedPositions::default(),
        running: None,
        ready: Vec::new(),
        overdrawn: 0,
        turn: 0,
    }
}

/// See [`kinesis_stream`].
pub struct KinesisSource {
    name: String,
    settings: Kinesis,
    positions: SharedPositions,
    running: Option<Running>,
    /// The blocks of the batch that was planned last.
    ready: Vec<KinesisBlock>,
    /// By how many records batches have been above their limits, since aggregated ones are not cut.
    overdrawn: u64,
    /// The number of the batch, by which shards take turns.
    turn: u64,
}

impl fmt::Debug for KinesisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}

struct Running {
    shared: Arc<Shared>,
    begun: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

impl Source for KinesisSource {
    type Block = KinesisBlock;
    type Plan = KinesisPlan;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        let settings = self.settings.resolve(|name| env::var(name).ok())?;
        let client = Client::new(settings)?;
        let shared = Shared::new(&self.settings, client, self.positions.clone(), context);
        self.running = Some(Running { shared: Arc::new(shared), begun: false });
        Ok(())
    }

    fn plan(&mut self, _time: Time, limits: &Limits) -> Result<Option<KinesisPlan>> {
        self.ready.clear();
        let Some(Running { shared, begun }) = &mut self.running else { return Ok(None) };
        // What the checkpoint has is known by now.
        if !std::mem::replace(begun, true) {
            reader::start(shared);
        }
        if let Some(failure) = shared.failure() {
            return Err(Error::source(&self.name, failure));
        }
        let shards = shared.shards();
        let waiting: Vec<u64> = shards.iter().map(|shard| shard.waiting()).collect();
        let limit = limits.records.map(|limit| limit.saturating_sub(self.overdrawn));
        self.turn = self.turn.wrapping_add(1);
        let (mut ranges, mut records) = (Vec::new(), 0);
        for (shard, most) in shards.iter().zip(shares(&waiting, limit, self.turn)) {
            let name = &shard.id.name;
            if let Some(Taken { from, through, records: taken, slices }) = shard.take(most) {
                self.positions.lock().advance(name, &through);
                self.ready.extend(slices.into_iter().map(KinesisBlock::fetched));
                records += taken;
                let hashes = shard.id.hashes;
                ranges.push(SequenceRange { shard: name.clone(), from, through, records: taken, hashes });
            }
            let rest = shard.rest();
            if let Some(until) = rest.until {
                self.positions.lock().read_until(name, until);
            }
            if rest.is_drained {
                self.positions.lock().finish(name);
                shared.remove(name);
            }
        }
        let limit = limits.records.unwrap_or(u64::MAX);
        self.overdrawn = self.overdrawn.saturating_add(records).saturating_sub(limit);
        Ok((!ranges.is_empty()).then_some(KinesisPlan { ranges }))
    }

    fn blocks(&mut self, _time: Time, plan: &KinesisPlan) -> Result<Vec<KinesisBlock>> {
        if !self.ready.is_empty() {
            return Ok(std::mem::take(&mut self.ready));
        }
        let Some(Running { shared, .. }) = &self.running else { return Ok(Vec::new()) };
        Ok(plan.ranges.iter().map(|range| KinesisBlock::of_range(range.clone(), shared)).collect())
    }

    fn details(&self, plan: &KinesisPlan) -> Vec<String> {
        let range = |range: &SequenceRange| {
            let SequenceRange { shard, from, through, records, .. } = range;
            format!("{shard}: {records} records, {from} through {through}")
        };
        plan.ranges.iter().map(range).collect()
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.positions)
    }

    fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.shared.stopping.cancel();
        }
    }
}
