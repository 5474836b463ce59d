//! A server that speaks Kinesis, in a process of its own, and what a producer and an administrator ask of it.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dstream_kinesis::Kinesis;
use serde_json::{Value, json};

pub(crate) struct Server {
    /// It ends when this process does: its input ends then.
    _process: Child,
    port: u16,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

/// The server of all tests; each has streams of its own. Where none can be installed, says so and returns
/// `None`: the test is skipped.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

impl Server {
    fn start() -> Option<Server> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/kinesis-local");
        std::fs::create_dir_all(cache.parent()?).ok()?;
        // One test binary installs, the others wait.
        let lock = File::create(cache.with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
        let installed = Command::new("bash").arg(script).arg(&cache).output().ok()?;
        drop(lock);
        if !installed.status.success() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            say(&format!(
                "SKIPPED: kinesis-local, a server that speaks Kinesis, can't be installed here: {why}"
            ));
            return None;
        }
        let folder = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, tls] = ports.map(|port| port.local_addr().unwrap().port());
        let main = "process.stdin.on('end', () => process.exit()).resume(); require('./main.js')";
        let process = Command::new("node")
            .args(["-e", main])
            // It looks for its certificate there.
            .current_dir(folder)
            .env("KINESIS_MOCK_PLAIN_PORT", port.to_string())
            .env("KINESIS_MOCK_TLS_PORT", tls.to_string())
            .env("LOG_LEVEL", "ERROR")
            .env("SHARD_LIMIT", "1000")
            .envs(["CREATE", "DELETE"].map(|what| (format!("{what}_STREAM_DURATION"), "10ms")))
            .envs([("SPLIT_SHARD_DURATION", "10ms"), ("MERGE_SHARDS_DURATION", "10ms")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Server { _process: process, port, runtime, http: reqwest::Client::new() };
        let begun = Instant::now();
        while server.call("ListStreams", &json!({})).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not answer");
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kinesis(&self, stream: &str) -> Kinesis {
        Kinesis::new(stream)
            .region("us-east-1")
            .endpoint(self.url())
            .credentials("test", "secret")
            .poll_interval(Duration::from_millis(200))
            .refresh_interval(Duration::from_millis(500))
    }

    pub(crate) fn call(&self, operation: &str, body: &Value) -> Result<Value, String> {
        let scope = "Credential=test/20261201/us-east-1/kinesis/aws4_request";
        let request = self
            .http
            .post(self.url())
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", format!("Kinesis_20131202.{operation}"))
            .header("X-Amz-Date", "20261201T000000Z")
            .header("Authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
            .body(body.to_string());
        self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| error.to_string())?;
            let (status, text) =
                (response.status(), response.text().await.map_err(|error| error.to_string())?);
            if !status.is_success() {
                return Err(format!("{operation}: {status} {text}"));
            }
            Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }

    pub(crate) fn create(&self, stream: &str, shards: u32) {
        self.call("CreateStream", &json!({"StreamName": stream, "ShardCount": shards})).unwrap();
        self.wait_until_active(stream);
    }

    pub(crate) fn delete(&self, stream: &str) {
        self.call("DeleteStream", &json!({"StreamName": stream})).unwrap();
        let begun = Instant::now();
        while self.call("DescribeStreamSummary", &json!({"StreamName": stream})).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{stream} is not deleted");
        }
    }

    fn wait_until_active(&self, stream: &str) {
        let begun = Instant::now();
        loop {
            let answer = self.call("DescribeStreamSummary", &json!({"StreamName": stream})).unwrap();
            if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{answer}");
        }
    }

    /// Puts records of key and data.
    pub(crate) fn put<D: AsRef<[u8]>>(&self, stream: &str, records: impl IntoIterator<Item = (String, D)>) {
        let entry = |(key, data): (String, D)| json!({"PartitionKey": key, "Data": STANDARD.encode(data)});
        let mut entries: Vec<Value> = records.into_iter().map(entry).collect();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(400));
            let answer = self.call("PutRecords", &json!({"StreamName": stream, "Records": entries})).unwrap();
            // Those that were refused are sent again.
            let results = answer["Records"].as_array().unwrap();
            let refused =
                |(_, result): &(Value, &Value)| result.get("ErrorCode").is_some_and(|code| !code.is_null());
            let again: Vec<Value> =
                entries.into_iter().zip(results).filter(refused).map(|(entry, _)| entry).collect();
            entries = again;
            entries.extend(rest);
        }
    }

    /// The shards that are open, in the order of their hashes: name, first and last hash.
    pub(crate) fn open_shards(&self, stream: &str) -> Vec<(String, u128, u128)> {
        let answer = self.call("ListShards", &json!({"StreamName": stream})).unwrap();
        let shards = answer["Shards"].as_array().unwrap().iter();
        let open = shards.filter(|shard| {
            shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none_or(Value::is_null)
        });
        let hash =
            |shard: &Value, which: &str| shard["HashKeyRange"][which].as_str().unwrap().parse().unwrap();
        let mut open: Vec<_> = open
            .map(|shard| {
                let name = shard["ShardId"].as_str().unwrap().to_owned();
                (name, hash(shard, "StartingHashKey"), hash(shard, "EndingHashKey"))
            })
            .collect();
        open.sort_by_key(|(_, first, _)| *first);
        open
    }

    pub(crate) fn split(&self, stream: &str, shard: &(String, u128, u128)) {
        let middle = shard.1 + (shard.2 - shard.1) / 2 + 1;
        let body =
            json!({"StreamName": stream, "ShardToSplit": shard.0, "NewStartingHashKey": middle.to_string()});
        self.call("SplitShard", &body).unwrap();
        self.wait_until_active(stream);
    }

    pub(crate) fn merge(&self, stream: &str, shard: &str, neighbour: &str) {
        let body = json!({"StreamName": stream, "ShardToMerge": shard, "AdjacentShardToMerge": neighbour});
        self.call("MergeShards", &body).unwrap();
        self.wait_until_active(stream);
    }
}

/// Tests have no output of their own that is shown when they pass.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn say(what: &str) {
    eprintln!("{what}");
}
