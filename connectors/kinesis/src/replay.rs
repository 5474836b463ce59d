//! Ranges of sequence numbers that are read in their task, by a batch that runs again.

use std::{fmt, ops::Range, sync::Arc, time::Instant};

use dstream_core::{Error, Result};

use crate::{
    api::From,
    fault::Fault,
    outage::delay,
    page::{Page, ShardId},
    plan::SequenceRange,
    runtime::wait,
    shared::Shared,
};

/// A range that is being read, page by page.
pub(crate) struct RangeReader {
    shared: Arc<Shared>,
    shard: Arc<ShardId>,
    range: SequenceRange,
    iterator: Option<String>,
    /// The last entry that was read.
    last: Option<String>,
    /// How many records have been read.
    records: u64,
    is_done: bool,
}

impl fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeReader")
            .field("range", &self.range)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// Entries of a page that belong to the range.
type Piece = (Page, Range<usize>);

impl RangeReader {
    pub(crate) fn new(shared: &Arc<Shared>, range: SequenceRange) -> RangeReader {
        let shard = Arc::new(ShardId { name: range.shard.clone(), hashes: range.hashes });
        RangeReader {
            shared: Arc::clone(shared),
            shard,
            range,
            iterator: None,
            last: None,
            records: 0,
            is_done: false,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The next records, as many as one answer has.
    pub(crate) fn read(mut self: Box<Self>) -> Result<(Box<RangeReader>, Piece)> {
        let name = self.shared.name.clone();
        let outcome = wait(async move {
            let piece = self.read_page().await;
            (self, piece)
        });
        let (reader, piece) = outcome.map_err(|what| Error::unreadable(name, what))?;
        piece.map(|piece| (reader, piece))
    }

    async fn read_page(&mut self) -> Result<Piece> {
        let (since, mut failures) = (Instant::now(), 0);
        loop {
            let fault = match self.request().await {
                Ok(Some(piece)) => return Ok(piece),
                // A page may be empty although there is more.
                Ok(None) => {
                    if since.elapsed() > self.shared.settings.patience {
                        return Err(self.unreadable("it is not there"));
                    }
                    self.pause(&mut 0).await?;
                    continue;
                }
                Err(fault) => fault,
            };
            match fault {
                Fault::IteratorExpired if failures == 0 => {}
                Fault::Argument(_) | Fault::Fatal(_) | Fault::Missing(_) => {
                    return Err(self.unreadable(fault.message()));
                }
                _ if since.elapsed() > self.shared.settings.patience => {
                    let patience = self.shared.settings.patience;
                    return Err(self.unreadable(&format!("{}, for {patience:?}", fault.message())));
                }
                _ => {}
            }
            self.iterator = None;
            self.pause(&mut failures).await?;
        }
    }

    async fn pause(&self, failures: &mut u32) -> Result<()> {
        *failures += 1;
        if self.shared.sleep(delay(*failures)).await {
            return Ok(());
        }
        Err(self.unreadable("the context stops before it is read"))
    }

    async fn request(&mut self) -> std::result::Result<Option<Piece>, Fault> {
        let client = &self.shared.client;
        if self.iterator.is_none() {
            let from = From::At(self.last.clone().unwrap_or_else(|| self.range.from.clone()));
            self.iterator = Some(client.iterator(&self.shard.name, &from).await?);
        }
        let iterator = self.iterator.clone().unwrap_or_default();
        let _permit = self.shared.requests.acquire().await;
        let found = client.records(&self.shard, &iterator).await?;
        let page = found.page;
        self.iterator = found.next;
        let number = |at: usize| page.sequence(at).unwrap_or_default();
        // After an iterator was renewed, the entry at which it begins has been read.
        let start =
            usize::from(self.last.is_some() && !page.is_empty() && self.last.as_deref() == page.sequence(0));
        let end = (start..page.len()).find(|at| self.range.is_behind(number(*at))).unwrap_or(page.len());
        if self.last.is_none() && !page.is_empty() && (start == end || number(start) != self.range.from) {
            return Err(Fault::Fatal(format!(
                "it has expired: the oldest record there is {}",
                number(start)
            )));
        }
        let reached = end > 0 && number(end - 1) == self.range.through;
        if !reached && (end < page.len() || self.iterator.is_none()) {
            return Err(Fault::Fatal("its last record is not there".to_owned()));
        }
        if start == end {
            return Ok(None);
        }
        self.last = Some(number(end - 1).to_owned());
        self.records += page.count(&(start..end));
        if reached && self.records != self.range.records {
            let what = format!("it has {} records, and had {}", self.records, self.range.records);
            return Err(Fault::Fatal(what));
        }
        self.is_done = reached;
        Ok(Some((page, start..end)))
    }

    fn unreadable(&self, what: &str) -> Error {
        let SequenceRange { shard, from, through, .. } = &self.range;
        let place = format_args!("{shard}, from {from} through {through}: {what}");
        Error::unreadable(&self.shared.name, place)
    }
}
