//! A store as the place of a checkpoint.

use std::{
    io::{self, Read, Write},
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use dstream_core::checkpoint::{CheckpointError, CheckpointStore, StoreLock};
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use crate::{Store, errors::io_error, lease, runtime::wait};

impl Store {
    /// The names directly under this place.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let (objects, base) = (Arc::clone(&self.objects), self.base.clone());
        let listed = wait(async move { objects.list_with_delimiter(Some(&base)).await })?;
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
        wait(request).map_err(failed)?.map_err(|error| failed(io_error(&error)))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.get_from(name, 0)
    }

    fn get_from(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let (objects, path) = (Arc::clone(&self.objects), self.path(name));
        let stream = wait(async move {
            if offset == 0 {
                return Ok(Some(objects.get(&path).await?.into_stream()));
            }
            // A range that begins behind the end is refused.
            if objects.head(&path).await?.size <= offset {
                return Ok(None);
            }
            let options = GetOptions::new().with_range(Some(GetRange::Offset(offset)));
            Ok(Some(objects.get_opts(&path, options).await?.into_stream()))
        })?;
        match stream.map_err(|error: object_store::Error| io_error(&error))? {
            Some(stream) => Ok(Box::new(Object { stream: Some(stream), bytes: Bytes::new() })),
            None => Ok(Box::new(io::empty())),
        }
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with('.') && name.starts_with(prefix));
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        let request = Store::remove(Arc::clone(&self.objects), self.path(name));
        wait(request)?.map_err(|error| io_error(&error))
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
}

impl Read for Object {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() {
            let Some(mut stream) = self.stream.take() else { return Ok(0) };
            let (next, stream) = wait(async move { (stream.next().await, stream) })?;
            let Some(next) = next else { return Ok(0) };
            self.bytes = next.map_err(|error| io_error(&error))?;
            self.stream = Some(stream);
        }
        let n = self.bytes.len().min(out.len());
        out[..n].copy_from_slice(&self.bytes.split_to(n));
        Ok(n)
    }
}
