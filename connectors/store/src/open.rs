//! A place in an object store, by its URL.

use std::{
    fmt, path,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use dstream_core::{Error, Result};
use futures_util::StreamExt;
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};

use crate::{errors::explain, lease::Lease, requests::Requests};

/// A place in an object store: all objects whose names begin with a path.
///
/// Clones are the same place. As `checkpoint = store` it holds the checkpoint of a program.
///
/// ```
/// use dstream::prelude::*;
/// use dstream_store::{Store, text_file_stream};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::create_dir(folder.path().join("in"))?;
/// std::fs::write(folder.path().join("in/a.txt"), "to be\nor not\n")?;
///
/// let out = Collected::new();
/// let store = Store::open(folder.path().join("checkpoint").to_str().unwrap_or_default())?;
/// let input = Store::open(folder.path().join("in").to_str().unwrap_or_default())?;
/// let ssc = dstream::stream!(batch = 1s, checkpoint = store, {
///     text_file_stream(&input).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// assert_eq!(out.values(), [["to be", "or not"]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "has an effect where it is given to a context: `checkpoint = store`"]
pub struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) base: Path,
    pub(crate) url: Arc<str>,
    /// An object of S3 can say which `put` has made it.
    pub(crate) marks: bool,
    pub(crate) lease: Duration,
    pub(crate) requests: Requests,
    /// The lease that this process holds, or has held last.
    pub(crate) held: Arc<Mutex<Weak<Lease>>>,
}

/// How long a lease lasts, unless it is said.
const LEASE: Duration = Duration::from_secs(15);

impl Store {
    /// Opens `s3://bucket/path`, `file:///path`, or a path of the file system.
    ///
    /// The place is asked for its objects once, so that a wrong bucket or wrong credentials are known here.
    pub fn open(url: impl AsRef<str>) -> Result<Store> {
        let url = url.as_ref();
        let failed = |what: String| Error::Invalid(format!("can't open the store `{url}`: {what}"));
        let store = match url.split_once("://") {
            Some(("s3", rest)) => Store::s3(url, rest),
            Some(("file", path)) if path.starts_with('/') => Store::directory(path),
            Some(("file", _)) => Err("expected an absolute path, as in `file:///var/lib/words`".to_owned()),
            Some((scheme, _)) => Err(format!(
                "found the scheme `{scheme}`, expected `s3://bucket/path`, `file:///path` or a path"
            )),
            None if url.is_empty() => {
                Err("it is empty: expected `s3://bucket/path`, `file:///path` or a path".to_owned())
            }
            None => Store::directory(url),
        };
        let store = store.map_err(failed)?;
        store.check().map_err(failed)?;
        Ok(store)
    }

    /// A place in any [`ObjectStore`]: one for which there is no URL here, or that needs settings of its own.
    /// `path` is what the names of all objects begin with; the store's own name is what messages have.
    ///
    /// A checkpoint needs conditional creates (`PutMode::Create`), and a listing that names every object
    /// that was put before. Where objects can have metadata, a create whose answer was lost is known as such.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dstream_store::{Store, object_store::memory::InMemory};
    ///
    /// let store = Store::new(Arc::new(InMemory::new()), "words")?;
    /// assert_eq!(store.url(), "InMemory/words");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(objects: Arc<dyn ObjectStore>, path: impl AsRef<str>) -> Result<Store> {
        let path = path.as_ref().trim_matches('/');
        let base = Path::parse(path)
            .map_err(|error| Error::Invalid(format!("can't open the store `{path}`: {error}")))?;
        let url = if path.is_empty() { objects.to_string() } else { format!("{objects}/{path}") };
        Ok(Store::of(objects, base, url.into(), true))
    }

    fn s3(url: &str, rest: &str) -> std::result::Result<Store, String> {
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err("it names no bucket: expected `s3://bucket/path`".to_owned());
        }
        let retry =
            RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
        let s3 = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build();
        let s3 = s3.map_err(|error| explain(&error))?;
        let path = Path::parse(path.trim_end_matches('/')).map_err(|error| error.to_string())?;
        Ok(Store::of(Arc::new(s3), path, url.trim_end_matches('/').into(), true))
    }

    fn directory(path: &str) -> std::result::Result<Store, String> {
        let absolute = path::absolute(path).map_err(|error| error.to_string())?;
        let base = Path::from_absolute_path(&absolute).map_err(|error| error.to_string())?;
        let url = absolute.display().to_string();
        Ok(Store::of(Arc::new(LocalFileSystem::new().with_fsync(true)), base, url.as_str().into(), false))
    }

    fn of(objects: Arc<dyn ObjectStore>, base: Path, url: Arc<str>, marks: bool) -> Store {
        Store { objects, base, url, marks, lease: LEASE, requests: Requests::default(), held: Arc::default() }
    }

    fn check(&self) -> std::result::Result<(), String> {
        let (objects, base) = (Arc::clone(&self.objects), self.base.clone());
        let first = self.requests.ask(async move { objects.list(Some(&base)).next().await.transpose() });
        first.map(drop).map_err(|error| explain(&error))
    }

    /// How long the lease of a checkpoint lasts, by default 15 seconds. It is renewed three times in it. A
    /// program that was killed leaves its lease, so that the next one waits as long before it starts; and a
    /// program that can't reach the store for four fifths of it ends.
    pub fn lease(mut self, time: Duration) -> Store {
        self.lease = time.max(Duration::from_millis(100));
        self
    }

    /// How long a request may take, by default two minutes. Then it counts as failed, and is made again like
    /// others that fail. S3's own time-outs and repetitions come before that.
    pub fn timeout(mut self, limit: Duration) -> Store {
        self.requests.limit = limit;
        self
    }

    /// The place as a person writes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The whole name of the object `name`.
    pub(crate) fn path(&self, name: &str) -> Path {
        self.base.clone().join(name)
    }

    /// The object `name`, for messages.
    pub(crate) fn place(&self, name: &str) -> String {
        if name.is_empty() { self.url.to_string() } else { format!("{}/{name}", self.url) }
    }

    /// Makes an object, only where there is none. `mark` tells this call from all others.
    pub(crate) async fn create(
        objects: Arc<dyn ObjectStore>,
        path: Path,
        bytes: bytes::Bytes,
        mark: Option<String>,
    ) -> object_store::Result<()> {
        let mut options = PutOptions::from(PutMode::Create);
        let key = object_store::Attribute::Metadata(MARK.into());
        if let Some(mark) = &mark {
            options.attributes.insert(key.clone(), mark.clone().into());
        }
        match objects.put_opts(&path, PutPayload::from(bytes.clone()), options).await {
            // A request that was repeated after a timeout meets what the first one has made.
            Err(exists @ object_store::Error::AlreadyExists { .. }) if mark.is_some() => {
                let found = objects.get_opts(&path, GetOptions::new().with_head(true)).await?;
                let ours = found.attributes.get(&key).map(|value| value.to_string()) == mark;
                if ours { Ok(()) } else { Err(exists) }
            }
            // Objects there have no metadata.
            Err(object_store::Error::NotImplemented { .. }) if mark.is_some() => {
                let options = PutOptions::from(PutMode::Create);
                objects.put_opts(&path, PutPayload::from(bytes), options).await.map(drop)
            }
            outcome => outcome.map(drop),
        }
    }

    pub(crate) async fn remove(objects: Arc<dyn ObjectStore>, path: Path) -> object_store::Result<()> {
        objects.delete(&path).await
    }
}

const MARK: &str = "dstream-put";

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("url", &self.url).field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// What a source or an output takes as its place: a [`Store`], or the URL of one.
pub trait IntoStore {
    /// Opens it, if that is not done yet.
    fn into_store(self) -> Result<Store>;
}

impl IntoStore for Store {
    fn into_store(self) -> Result<Store> {
        Ok(self)
    }
}

impl IntoStore for &Store {
    fn into_store(self) -> Result<Store> {
        Ok(self.clone())
    }
}

impl IntoStore for &str {
    fn into_store(self) -> Result<Store> {
        Store::open(self)
    }
}

impl IntoStore for String {
    fn into_store(self) -> Result<Store> {
        Store::open(self)
    }
}

impl IntoStore for &String {
    fn into_store(self) -> Result<Store> {
        Store::open(self)
    }
}
