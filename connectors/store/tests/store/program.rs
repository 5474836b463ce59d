//! The example as a process of its own, and what is in the bucket.

use std::{
    collections::BTreeMap,
    io::Read,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3, path::Path};

use crate::server::Environment;

pub(crate) struct Program {
    process: Child,
    log: tempfile::NamedTempFile,
}

impl Program {
    pub(crate) fn start(environment: &Environment, lease: &str) -> Program {
        Program::with_input(environment, "s3://bucket/in", lease)
    }

    pub(crate) fn with_input(environment: &Environment, input: &str, lease: &str) -> Program {
        let tests = std::env::current_exe().unwrap();
        let example: PathBuf = tests.parent().unwrap().join("../examples/store_word_count");
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Command::new(example)
            .args([input, "s3://bucket/checkpoint", "s3://bucket/out/totals", lease])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Program { process, log }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    pub(crate) fn must_run(&mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        self.log.reopen().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bucket.
pub(crate) struct Objects {
    bucket: AmazonS3,
    runtime: tokio::runtime::Runtime,
}

impl Objects {
    pub(crate) fn new(bucket: AmazonS3) -> Objects {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Objects { bucket, runtime: runtime.unwrap() }
    }

    pub(crate) fn from_env() -> Objects {
        Objects::new(
            object_store::aws::AmazonS3Builder::from_env().with_bucket_name("bucket").build().unwrap(),
        )
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        self.runtime.block_on(self.bucket.put(&Path::from(name), text.to_owned().into())).unwrap();
    }

    fn get(&self, name: &str) -> String {
        let bytes = self
            .runtime
            .block_on(async { self.bucket.get(&Path::from(name)).await.unwrap().bytes().await.unwrap() });
        String::from_utf8(bytes.into()).unwrap()
    }

    /// The folders of batches that are whole, or what else is in a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let all = self.all();
        let whole = all.keys().filter_map(|name| name.strip_suffix("/_SUCCESS"));
        whole.filter(|name| name.starts_with(folder)).map(str::to_owned).collect()
    }

    /// Every object with a hash of its content.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let listed = self.runtime.block_on(self.bucket.list(None).try_collect::<Vec<_>>()).unwrap();
        listed.into_iter().map(|object| (object.location.to_string(), object.e_tag.unwrap())).collect()
    }
}

/// What the last whole folder says, in order of the words.
pub(crate) fn totals(objects: &Objects) -> Vec<(String, u64)> {
    let Some(folder) = objects.names("out/").pop() else { return Vec::new() };
    let parts = objects.all().into_keys().filter(|name| name.starts_with(&format!("{folder}/part-")));
    let text: String = parts.map(|part| objects.get(&part)).collect();
    let pairs = text.lines().map(|line| line.split_once(' ').unwrap());
    let mut totals: Vec<_> = pairs.map(|(word, n)| (word.to_owned(), n.parse().unwrap())).collect();
    totals.sort();
    totals
}
