//! Objects in memory, whose requests are counted and fail at random.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use dstream_store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};

/// What happens to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Answered,
    /// It does not arrive.
    Refused,
    /// It is done, and the answer is lost.
    Lost,
    /// Neither an answer nor an error comes; it may have been done.
    Hangs {
        done: bool,
    },
    /// The answer ends too early.
    Cut,
    Slow,
}

#[derive(Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) inner: InMemory,
    /// The state of the generator; 0 means that all is well.
    random: Mutex<u64>,
    /// One request in this many goes wrong.
    one_in: u64,
    well: AtomicBool,
    /// What happens to every request.
    pub(crate) forced: Mutex<Option<Fate>>,
    /// Names that are not listed yet, and in how many listings.
    hidden: Mutex<BTreeMap<Path, u64>>,
    pub(crate) puts: AtomicU64,
    pub(crate) gets: AtomicU64,
    pub(crate) lists: AtomicU64,
    /// Listings of one folder, as of the checkpoint, and how many names all listings had.
    pub(crate) scans: AtomicU64,
    pub(crate) listed: AtomicU64,
    /// The faults that were injected.
    pub(crate) faults: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn injected(what: &str) -> Error {
    Error::Generic { store: "Faulty", source: format!("injected: {what}").into() }
}

impl Faulty {
    pub(crate) fn new(seed: u64) -> Faulty {
        let one_in = 15 + seed * 7 % 50;
        Faulty { random: Mutex::new(seed * 2 + 1), one_in, ..Faulty::default() }
    }

    /// All is well from now on.
    pub(crate) fn mend(&self) {
        self.well.store(true, Ordering::Relaxed);
    }

    pub(crate) fn below(&self, n: u64) -> u64 {
        let mut random = lock(&self.random);
        // The generator of Knuth's MMIX; its high bits are the good ones.
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % n
    }

    fn fate(&self) -> Fate {
        if let Some(fate) = *lock(&self.forced) {
            return fate;
        }
        if *lock(&self.random) == 0 || self.well.load(Ordering::Relaxed) || self.below(self.one_in) > 0 {
            return Fate::Answered;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        match self.below(12) {
            0..=3 => Fate::Refused,
            4..=6 => Fate::Lost,
            7 => Fate::Hangs { done: self.below(2) == 0 },
            8..=9 => Fate::Cut,
            _ => Fate::Slow,
        }
    }

    /// The object is there, and some of the next listings do not have it.
    pub(crate) fn hide(&self, path: Path) {
        let listings = self.below(4);
        lock(&self.hidden).insert(path, listings);
    }

    /// Whether a listing has the name. It may also be gone from one that is older than the one before.
    fn is_listed(&self, path: &Path) -> bool {
        self.listed.fetch_add(1, Ordering::Relaxed);
        let well = self.well.load(Ordering::Relaxed);
        let mut hidden = lock(&self.hidden);
        match hidden.get_mut(path) {
            Some(_) if well => true,
            Some(0) => self.below(15) > 0,
            Some(left) => {
                *left -= 1;
                false
            }
            None => true,
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty:/")
    }
}

/// What becomes of a request, which is made by `$made`.
macro_rules! answer {
    ($self:expr, $what:expr, $made:expr) => {
        match $self.fate() {
            Fate::Answered | Fate::Cut => $made,
            Fate::Refused => Err(injected(&format!("{} did not arrive", $what))),
            Fate::Lost => $made.and_then(|_| Err(injected(&format!("the answer to {} is lost", $what)))),
            Fate::Hangs { done } => {
                if done {
                    let _ = $made;
                }
                pending().await
            }
            Fate::Slow => {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                $made
            }
        }
    };
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        answer!(self, "a put", self.inner.put_opts(path, payload.clone(), options.clone()).await)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let fate = self.fate();
        let head = options.head;
        let answer = match fate {
            Fate::Hangs { .. } => pending().await,
            Fate::Refused | Fate::Lost => Err(injected("a get")),
            _ => self.inner.get_opts(path, options).await,
        };
        let mut found = answer?;
        if fate == Fate::Cut && !head {
            let (meta, range, attributes) =
                (found.meta.clone(), found.range.clone(), found.attributes.clone());
            let extensions = found.extensions.clone();
            let bytes = found.bytes().await?;
            let cut = bytes.slice(..bytes.len() / 2);
            let stream = futures_util::stream::iter([Ok(cut)]).boxed();
            found =
                GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes, extensions };
        }
        Ok(found)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.fate() {
            Fate::Refused => futures_util::stream::iter([Err(injected("a delete"))]).boxed(),
            Fate::Hangs { .. } => futures_util::stream::pending().boxed(),
            _ => self.inner.delete_stream(paths),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        match self.fate() {
            Fate::Refused | Fate::Lost | Fate::Cut => {
                futures_util::stream::iter([Err(injected("a listing"))]).boxed()
            }
            Fate::Hangs { .. } => futures_util::stream::pending().boxed(),
            _ => {
                // What is in memory is listed at once.
                let all =
                    futures_util::FutureExt::now_or_never(self.inner.list(prefix).try_collect::<Vec<_>>());
                let mut all = all.unwrap().unwrap();
                all.retain(|object| self.is_listed(&object.location));
                futures_util::stream::iter(all.into_iter().map(Ok)).boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let answer = answer!(self, "a listing", self.inner.list_with_delimiter(prefix).await)?;
        self.listed.fetch_add(answer.objects.len() as u64, Ordering::Relaxed);
        Ok(answer)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
