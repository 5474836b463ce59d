//! The lines of the objects that appear in a store.

use std::{collections::BTreeSet, fmt, io, ops::Range, sync::Arc, time::Duration};

use dstream_core::{
    Error, Result, Time,
    checkpoint::Stateful,
    source::{Block, Limits, Source, SourceContext, Text, TextBlock, TextRecords},
};
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, path::Path};
use serde::{Deserialize, Serialize};

use crate::{
    IntoStore, Store,
    errors::{explain, io_error},
    requests::Requests,
    seen::Seen,
};

/// About how many bytes of a large object go into one partition.
const PIECE: u64 = 4 << 20;
/// How many objects a batch takes at most, so that a plan stays small.
const MOST: usize = 1_000;

/// The lines of the objects of a [`Store`], or of the place that a URL names.
///
/// At each batch time the objects are listed, in folders below, too, and the batch takes those that were not
/// taken before, the oldest first, up to 1,000: what is there at the first start, and what comes. A name
/// whose last part begins with `_` or `.` is passed over, and so is an object without content. In a directory
/// a file must appear whole: write it under such a name, then rename it.
///
/// A name is taken once. The plan of a batch has names, sizes and the stores' versions (ETags): a batch that
/// runs again after a crash reads the same bytes, and fails if an object was written anew or deleted since.
/// Objects are not decompressed; names that end in `.gz` or `.zst` are reported and left out.
///
/// A line ends in `\n` or `\r\n`; bytes that are not UTF-8 are replaced by U+FFFD. A store that can't be
/// listed is a warning, at most once a minute, and has no objects in that batch.
pub fn text_file_stream(place: impl IntoStore) -> StoreTextStream {
    let store = place.into_store();
    let name = match &store {
        Ok(store) => format!("store::text_file_stream({})", store.url),
        Err(_) => "store::text_file_stream".to_owned(),
    };
    StoreTextStream { name, store, seen: Seen::default(), context: None, ended: false, warned: None }
}

/// See [`text_file_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct StoreTextStream {
    name: String,
    store: Result<Store>,
    seen: Seen,
    context: Option<SourceContext>,
    /// Everything was taken, by `run_to_end`.
    ended: bool,
    /// When it was last said that the store can't be listed.
    warned: Option<Time>,
}

impl fmt::Debug for StoreTextStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreTextStream").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An object as a plan has it, and a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedObject {
    name: String,
    size: u64,
    #[serde(default)]
    version: Option<String>,
}

impl StoreTextStream {
    fn list(&self) -> Result<Vec<ObjectMeta>> {
        let store = self.store.clone()?;
        let requests = store.requests.clone();
        let listed =
            requests.ask(async move { store.objects.list(Some(&store.base)).try_collect::<Vec<_>>().await });
        let failed = |what: String| Error::source(&self.name, format_args!("can't list the objects: {what}"));
        listed.map_err(|error| failed(explain(&error)))
    }
}

impl Source for StoreTextStream {
    type Block = TextObject;
    type Plan = Vec<PlannedObject>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        self.store.as_ref().map_err(Clone::clone)?;
        self.context = Some(context.clone());
        Ok(())
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> Result<Option<Vec<PlannedObject>>> {
        let Some(context) = self.context.clone().filter(|_| !self.ended) else { return Ok(None) };
        let mut listed = match self.list() {
            Ok(listed) => listed,
            Err(error) if context.to_end => return Err(error),
            Err(error) => {
                let now = context.clock.now();
                if self.warned.is_none_or(|last| now.since(last) >= Duration::from_secs(60)) {
                    tracing::warn!("{error}; batches lack its objects until that changes");
                    self.warned = Some(now);
                }
                return Ok(None);
            }
        };
        let there = listed.iter().map(|object| object.location.as_ref()).collect::<BTreeSet<_>>();
        self.seen.retain(&there, context.clock.now());
        listed.retain(|object| {
            let hidden = object.location.filename().is_none_or(|name| name.starts_with(['_', '.']));
            object.size > 0 && !hidden && !self.seen.contains(object.location.as_ref())
        });
        listed.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        self.ended = context.to_end && listed.len() <= MOST;
        let mut plan = Vec::new();
        for object in listed.into_iter().take(MOST) {
            let name = object.location.to_string();
            self.seen.take(&name);
            if name.ends_with(".gz") || name.ends_with(".zst") {
                let what = "is left out: expected text, and compressed objects are not read";
                context.report(Error::source(&self.name, format_args!("`{name}` {what}")));
                continue;
            }
            plan.push(PlannedObject { name, size: object.size, version: object.e_tag });
        }
        Ok(Some(plan).filter(|plan| !plan.is_empty()))
    }

    fn blocks(&mut self, _time: Time, plan: &Vec<PlannedObject>) -> Result<Vec<TextObject>> {
        let store = self.store.clone()?;
        let mut blocks = Vec::new();
        for object in plan {
            let path = Path::parse(&object.name).map_err(|error| {
                Error::source(&self.name, format_args!("`{}` in the plan is no name: {error}", object.name))
            })?;
            let found = Arc::new(Found {
                objects: Arc::clone(&store.objects),
                requests: store.requests.clone(),
                path,
                size: object.size,
                version: object.version.clone(),
                stream: self.name.clone(),
            });
            blocks.extend((0..object.size.div_ceil(PIECE)).map(|at| TextObject {
                object: Arc::clone(&found),
                piece: at * PIECE..((at + 1) * PIECE).min(object.size),
                lines: TextBlock::new(""),
            }));
        }
        Ok(blocks)
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.seen)
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.ended)
    }
}

#[derive(Debug)]
struct Found {
    objects: Arc<dyn ObjectStore>,
    requests: Requests,
    path: Path,
    size: u64,
    version: Option<String>,
    stream: String,
}

impl Found {
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let (objects, path) = (Arc::clone(&self.objects), self.path.clone());
        let asked = range.end - range.start;
        let mut options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        options.if_match = self.version.clone();
        let bytes = self.requests.ask(async move { objects.get_opts(&path, options).await?.bytes().await });
        let bytes = bytes.map_err(|error| match error {
            object_store::Error::Precondition { .. } => {
                io::Error::other("was written anew since it was listed: what the batch had is gone")
            }
            error => io_error(&error),
        })?;
        match bytes.len() as u64 == asked {
            true => Ok(bytes.into()),
            false => Err(io::Error::other(format!("gave {} bytes, expected {asked}", bytes.len()))),
        }
    }

    /// The lines that begin in a piece, with the end of the last of them. A line begins behind a line end, so
    /// what is read begins one byte before.
    fn lines(&self, piece: &Range<u64>) -> io::Result<Vec<u8>> {
        const MORE: u64 = 64 << 10;
        let newline = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
        let mut bytes = self.read(piece.start.saturating_sub(1)..piece.end)?;
        if piece.start > 0 {
            match newline(&bytes) {
                Some(at) => drop(bytes.drain(..=at)),
                None => return Ok(Vec::new()),
            }
        }
        let mut at = piece.end;
        // A piece that ends in a line end may have lost it by the drain: then no line begins in it.
        while at < self.size && bytes.last().is_some_and(|last| *last != b'\n') {
            let end = (at + MORE).min(self.size);
            let more = self.read(at..end)?;
            let length = newline(&more).map_or(more.len(), |at| at + 1);
            bytes.extend_from_slice(&more[..length]);
            at = end;
        }
        Ok(bytes)
    }
}

/// A partition of a [`text_file_stream`]: the lines that begin in one piece of an object.
#[derive(Debug)]
pub struct TextObject {
    object: Arc<Found>,
    piece: Range<u64>,
    lines: TextBlock,
}

impl Block for TextObject {
    type Record<'a> = &'a str;

    fn open(&mut self) -> Result<()> {
        let failed =
            |error| Error::unreadable(&self.object.stream, format_args!("`{}`: {error}", self.object.path));
        self.lines = TextBlock::new(self.object.lines(&self.piece).map_err(failed)?);
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = &str> {
        self.lines.records()
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.lines.texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.lines.records_with(part)
    }

    fn weight(&self) -> usize {
        const REQUEST: u64 = 64 << 10;
        usize::try_from(self.piece.end - self.piece.start + REQUEST).unwrap_or(usize::MAX)
    }
}

impl TextRecords for TextObject {
    fn lines(&mut self) -> impl Iterator<Item = &str> {
        self.records()
    }

    fn line_texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.texts()
    }

    fn lines_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.records_with(part)
    }
}
