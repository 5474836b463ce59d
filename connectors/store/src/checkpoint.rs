//! A store as the place of a checkpoint.

use std::{
    io::{self, Read, Write},
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use dstream_core::checkpoint::{CheckpointError, CheckpointStore, StoreLock};
use futures_util::{TryStreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use crate::{
    Store,
    errors::io_error,
    lease,
    requests::{Requests, generic},
};

impl Store {
    /// The names directly under this place.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let (objects, base) = (Arc::clone(&self.objects), self.base.clone());
        let listed = self.requests.ask(async move { objects.list_with_delimiter(Some(&base)).await });
        let found = listed.map_err(|error| io_error(&error))?.objects;
        Ok(found.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect())
    }

    /// `Err` if the lease is lost: the core asks too, but longer before the request.
    fn may_write(&self) -> io::Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        match held.and_then(|lease| lease.lost()) {
            Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
            None => Ok(()),
        }
    }
}

impl CheckpointStore for Store {
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let failed = |error| CheckpointError::io(format_args!("writing `{}`", self.place(name)), error);
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        self.may_write().map_err(failed)?;
        let mark = self.marks.then(lease::unique);
        let request = Store::create(Arc::clone(&self.objects), self.path(name), bytes.into(), mark);
        self.requests.ask(request).map_err(|error| failed(io_error(&error)))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.get_from(name, 0)
    }

    fn get_from(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let (objects, path) = (Arc::clone(&self.objects), self.path(name));
        let found = self.requests.ask(async move {
            if offset == 0 {
                return Ok(Some(objects.get(&path).await?));
            }
            // A range that begins behind the end is refused.
            if objects.head(&path).await?.size <= offset {
                return Ok(None);
            }
            let options = GetOptions::new().with_range(Some(GetRange::Offset(offset)));
            Ok(Some(objects.get_opts(&path, options).await?))
        });
        let Some(found) = found.map_err(|error| io_error(&error))? else { return Ok(Box::new(io::empty())) };
        Ok(Box::new(Object {
            left: found.range.end.saturating_sub(found.range.start),
            stream: Some(found.into_stream()),
            bytes: Bytes::new(),
            requests: self.requests.clone(),
        }))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with('.') && name.starts_with(prefix));
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        let request = Store::remove(Arc::clone(&self.objects), self.path(name));
        self.requests.ask(request).map_err(|error| io_error(&error))
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
        Ok(Box::new(lease::take(self)?))
    }

    fn describe(&self, name: &str) -> String {
        self.place(name)
    }
}

/// An object that is read as it comes.
struct Object {
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    bytes: Bytes,
    /// How many bytes are to come.
    left: u64,
    requests: Requests,
}

impl Read for Object {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            let Some(mut stream) = self.stream.take() else { return Ok(0) };
            let left = self.left;
            let next = self.requests.ask(async move {
                match stream.try_next().await? {
                    Some(bytes) => Ok(Some((bytes, stream))),
                    None if left == 0 => Ok(None),
                    // Not for whoever reads to take for damage.
                    None => Err(generic(format!("the answer has ended, and {left} bytes were to come"))),
                }
            });
            let Some((bytes, stream)) = next.map_err(|error| io_error(&error))? else { return Ok(0) };
            self.left = self.left.saturating_sub(bytes.len() as u64);
            (self.bytes, self.stream) = (bytes, Some(stream));
        }
        let n = self.bytes.len().min(out.len());
        out[..n].copy_from_slice(&self.bytes.split_to(n));
        Ok(n)
    }
}
