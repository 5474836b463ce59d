//! One exchange of a batch: what stays, what is sent, and what comes.

use std::{
    any::type_name,
    iter, mem,
    ops::Range,
    slice,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use bytes::Bytes;

use super::{Batch, Missing, Step};
use crate::{
    checkpoint::{decode, encode},
    exchange::{
        Exchange, ExchangeError, ExchangeStep, own_groups, owned_buckets,
        wire::{Header, Wire, decode_tasks, encode_tasks, frame, unframe},
    },
    exec::{run, transpose},
    plan::OpMeta,
    sync::Unpoisoned,
};

/// What each process has for the buckets of this one, as bytes, by process.
type Received = Vec<Vec<Bytes>>;

/// The exchanges of one batch.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// The number of the next one.
    next: AtomicU32,
    /// Why one of them failed. The other processes need not be where this one is any more.
    broken: Mutex<Option<ExchangeError>>,
}

impl Batch<'_> {
    /// Brings together what all tasks have for each bucket: `tasks[t][k]` is what task `t` of this process
    /// has for bucket `k`. Returns, for each bucket of this process, what the tasks of all processes have for
    /// it, in order; the buckets of others are there, and empty.
    ///
    /// To be called for every step that is due, also if it failed: the other processes wait for it.
    pub(crate) fn exchange<E: Wire>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<E>>>,
    ) -> Step<Vec<Vec<E>>> {
        match self.others() {
            None => Ok(transpose(tasks?, buckets)),
            Some(exchange) => self.exchange_over(exchange, op, buckets, tasks),
        }
    }

    /// Brings what all tasks have to the owner of the first key group: `Some` there, `None` in the other
    /// processes.
    pub(crate) fn gather<E: Wire>(&self, op: &OpMeta, tasks: Step<Vec<E>>) -> Step<Option<Vec<E>>> {
        let Some(exchange) = self.others() else { return tasks.map(Some) };
        let tasks = tasks.map(|tasks| tasks.into_iter().map(|task| vec![task]).collect());
        let all = self.exchange_over(exchange, op, 1, tasks)?.into_iter().next().unwrap_or_default();
        Ok(self.owns_first().then_some(all))
    }

    /// Tells every process a number, and returns those of the processes before this one.
    pub(crate) fn numbers_before(&self, op: &OpMeta, number: Step<u64>) -> Step<Vec<u64>> {
        let Some(exchange) = self.others() else { return number.map(|_| Vec::new()) };
        let encoded = number.and_then(|n| self.encoded(op, || encode_tasks(vec![n])));
        let messages = encoded.map(|part| vec![vec![part]; exchange.processes()]);
        let received = self.round::<u64>(exchange, op, 1, 1, messages)?;
        let before = received.into_iter().take(exchange.process());
        before.map(|parts| self.decoded::<u64>(op, parts.first()).map(|n| n.iter().sum())).collect()
    }

    /// Tells every process what this one has, and returns what each has, by process.
    pub(crate) fn share<E: Wire>(&self, op: &OpMeta, own: Step<E>) -> Step<Vec<E>> {
        let Some(exchange) = self.others() else { return own.map(|own| vec![own]) };
        let mut mine = None;
        let messages = own.and_then(|own| {
            // Every process has one part, also of nothing: what is nothing is not written.
            let part = self.encoded(op, || encode(&own))?;
            mine = Some(own);
            Ok(vec![vec![part]; exchange.processes()])
        });
        let received = self.round::<E>(exchange, op, 1, 1, messages)?;
        let mut all = Vec::with_capacity(received.len() + 1);
        for parts in &received {
            all.push(self.decoded_one(op, parts.first())?);
        }
        all.splice(exchange.process()..exchange.process(), mine);
        Ok(all)
    }

    /// Why an exchange of this batch has failed, so that the processes are not in step any more.
    pub(crate) fn broken_exchange(&self) -> Option<ExchangeError> {
        self.exchanges.broken.lock().unpoisoned().clone()
    }

    /// Which of `buckets` this process owns.
    pub(crate) fn owned(&self, buckets: usize) -> Range<usize> {
        owned_buckets(&own_groups(self.others()), buckets)
    }

    /// Whether what has no key ends here.
    pub(crate) fn owns_first(&self) -> bool {
        own_groups(self.others()).contains(&0)
    }

    /// Whether the outputs are those of another process.
    pub(crate) fn is_follower(&self) -> bool {
        self.others().is_some_and(|exchange| exchange.process() > 0)
    }

    /// `None` if this process is alone.
    pub(crate) fn others(&self) -> Option<&dyn Exchange> {
        self.config().exchange.as_deref().filter(|exchange| exchange.processes() > 1)
    }

    fn exchange_over<E: Wire>(
        &self,
        exchange: &dyn Exchange,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<E>>>,
    ) -> Step<Vec<Vec<E>>> {
        let owned = |process| owned_buckets(&exchange.key_groups(process), buckets);
        let own = owned(exchange.process());
        let mut columns = Vec::new();
        let messages = tasks.and_then(|tasks| {
            columns = transpose(tasks, buckets);
            // The values of the own buckets stay where they are.
            let foreign =
                columns.iter_mut().enumerate().map(|(bucket, column)| match own.contains(&bucket) {
                    true => Vec::new(),
                    false => mem::take(column),
                });
            let encoded: Step<Vec<_>> =
                run(foreign.collect(), buckets < 2, |column| self.encoded(op, || encode_tasks(column)))
                    .into_iter()
                    .collect();
            let mut encoded = encoded?.into_iter();
            Ok((0..exchange.processes())
                .map(|process| encoded.by_ref().take(owned(process).len()).collect())
                .collect())
        });
        let received = self.round::<E>(exchange, op, buckets, own.len(), messages)?;
        // By bucket, what each process has for it.
        let foreign = transpose(received, own.len()).into_iter().map(|mut parts: Vec<Bytes>| {
            let behind = parts.split_off(exchange.process().min(parts.len()));
            (parts, behind)
        });
        let few = columns.len() < 2 || own.len() < 2;
        let work = iter::zip(own.clone(), foreign)
            .map(|(bucket, foreign)| (mem::take(&mut columns[bucket]), foreign))
            .collect();
        let whole = run(work, few, |(column, (before, behind)): (Vec<E>, (Vec<Bytes>, Vec<Bytes>))| {
            let mut whole = Vec::with_capacity(column.len());
            for part in &before {
                whole.extend(self.decoded(op, Some(part))?);
            }
            whole.extend(column);
            for part in &behind {
                whole.extend(self.decoded(op, Some(part))?);
            }
            Ok(whole)
        });
        for (bucket, whole) in iter::zip(own, whole) {
            columns[bucket] = whole?;
        }
        Ok(columns)
    }

    /// Sends `messages[p]`, the parts for process `p`, and returns the parts that came from the others,
    /// `parts` from each, by process, without this one.
    fn round<E>(
        &self,
        exchange: &dyn Exchange,
        op: &OpMeta,
        buckets: usize,
        parts: usize,
        messages: Step<Vec<Vec<Vec<u8>>>>,
    ) -> Step<Received> {
        let failed = match &messages {
            Ok(_) => None,
            // In all processes alike: nobody waits for it.
            Err(Missing::NotDue) => return Err(Missing::NotDue),
            Err(Missing::Failed(failure)) => Some(failure.to_string()),
        };
        let number = self.exchanges.next.fetch_add(1, Relaxed);
        if let Some(before) = &*self.exchanges.broken.lock().unpoisoned() {
            messages?;
            return Err(self.failed(op, format!("the exchange failed earlier in this batch: {before}")));
        }
        let header = Header {
            batch: self.time().as_millis(),
            step: number,
            operator: op.name.to_owned(),
            buckets: buckets as u64,
            seed: self.seed(),
            types: crc32fast::hash(type_name::<E>().as_bytes()),
            failed,
        };
        let me = exchange.process();
        let framed = (0..exchange.processes()).map(|process| {
            if process == me {
                return Ok(Bytes::new());
            }
            let parts = messages.as_ref().ok().and_then(|messages| messages.get(process));
            frame(&header, parts.into_iter().flatten().map(Vec::as_slice))
        });
        let step =
            ExchangeStep { batch: self.time(), number, operator: op.name, file: op.file, line: op.line };
        let framed = framed.collect::<Result<_, _>>().map_err(|error| self.failed(op, error))?;
        // It is somebody's code.
        let outcome = self.guard(slice::from_ref(op), || exchange.exchange(&step, framed));
        // If both failed, the own failure is what the user wants to read.
        messages?;
        let received = match outcome {
            Ok(Ok(received)) => received,
            Ok(Err(error)) => return Err(self.break_exchange(op, error)),
            Err(Missing::Failed(panic)) => {
                return Err(self.break_exchange(op, ExchangeError::new(panic.message.clone())));
            }
            Err(Missing::NotDue) => return Err(Missing::NotDue),
        };
        if received.len() != exchange.processes() {
            let found = format!("{} messages from {} processes", received.len(), exchange.processes());
            return Err(self.failed(op, format!("the exchange has returned {found}")));
        }
        let mut all = Vec::with_capacity(received.len());
        for (process, message) in received.into_iter().enumerate().filter(|(process, _)| *process != me) {
            let parts = unframe(message)
                .and_then(|(found, parts)| found.fits(&header).map(|()| parts))
                .and_then(|found| match found.len() == parts {
                    true => Ok(found),
                    false => {
                        Err(format!("has sent {} buckets of the {parts} that this one owns", found.len()))
                    }
                })
                .map_err(|error| self.failed(op, ExchangeError::with(process, error).to_string()))?;
            all.push(parts);
        }
        Ok(all)
    }

    fn break_exchange(&self, op: &OpMeta, error: ExchangeError) -> Missing {
        let missing = self.failed(op, format!("the exchange failed: {error}"));
        self.exchanges.broken.lock().unpoisoned().get_or_insert(error);
        missing
    }

    fn encoded(&self, op: &OpMeta, encode: impl FnOnce() -> Result<Vec<u8>, String>) -> Step<Vec<u8>> {
        let bytes = self.guard(slice::from_ref(op), encode)?;
        bytes.map_err(|error| {
            self.failed(op, format!("what it hands to another process can't be serialised: {error}"))
        })
    }

    fn decoded<E: Wire>(&self, op: &OpMeta, part: Option<&Bytes>) -> Step<Vec<E>> {
        self.read(op, || decode_tasks(part.map_or(&[], |part| &part[..])))
    }

    fn decoded_one<E: Wire>(&self, op: &OpMeta, part: Option<&Bytes>) -> Step<E> {
        self.read(op, || decode(part.map_or(&[], |part| &part[..])))
    }

    fn read<T>(&self, op: &OpMeta, read: impl FnOnce() -> Result<T, String>) -> Step<T> {
        self.guard(slice::from_ref(op), read)?.map_err(|error| {
            self.failed(
                op,
                format!(
                    "a bucket from another process can't be read as what this program exchanges here: {error}"
                ),
            )
        })
    }
}

impl Header {
    /// Whether what another process has sent is for the step of this one; `Err` says what differs, to be read
    /// behind "process 1".
    fn fits(&self, own: &Header) -> Result<(), String> {
        let same_program = "all processes must run the same program";
        if (self.batch, self.step) != (own.batch, own.step) {
            return Err(format!(
                "is at step {} of the batch {}, this one at step {} of the batch {}",
                self.step, self.batch, own.step, own.batch
            ));
        }
        if self.operator != own.operator {
            return Err(format!(
                "is at the operator `{}`, this one at `{}` (exchange {} of the batch): {same_program}",
                self.operator, own.operator, own.step
            ));
        }
        if self.seed != own.seed {
            return Err(
                "places keys by another seed: set `Config::hash_seed` to the same number everywhere".into()
            );
        }
        if self.buckets != own.buckets {
            return Err(format!(
                "has {} partitions here, this one {}: set `Config::partitions` to the same number everywhere",
                self.buckets, own.buckets
            ));
        }
        if self.types != own.types {
            return Err(format!("exchanges records of other types here: {same_program}"));
        }
        match &self.failed {
            Some(failure) => Err(format!("has nothing for this operator: {failure}")),
            None => Ok(()),
        }
    }
}
