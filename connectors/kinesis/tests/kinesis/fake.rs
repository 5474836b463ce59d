//! A server that answers what a test says: for what a real one does rarely.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dstream_kinesis::Kinesis;
use serde_json::{Value, json};

/// The status and the body of an answer.
pub(crate) type Answer = (u16, String);

pub(crate) struct Fake {
    url: String,
    /// The operations that it was asked for, with their bodies.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    date: Arc<Mutex<Option<String>>>,
}

impl Fake {
    /// Starts one; it runs until the process ends.
    pub(crate) fn start(mut answer: impl FnMut(&str, &Value) -> Answer + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let date: Arc<Mutex<Option<String>>> = Arc::default();
        let (seen, today) = (Arc::clone(&asked), Arc::clone(&date));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // Whoever asks may go away.
                let date = today.lock().unwrap().clone();
                let _ = serve(&connection, date, &mut |target, body| {
                    seen.lock().unwrap().push((target.to_owned(), body.clone()));
                    answer(target, body)
                });
            }
        });
        Fake { url, asked, date }
    }

    pub(crate) fn kinesis(&self) -> Kinesis {
        Kinesis::new("fake").region("us-east-1").endpoint(&self.url).credentials("test", "secret")
    }

    /// What its clock shows.
    pub(crate) fn date(&self, date: &str) {
        *self.date.lock().unwrap() = Some(date.to_owned());
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked == operation).count()
    }
}

fn serve(
    mut connection: &TcpStream,
    date: Option<String>,
    answer: &mut dyn FnMut(&str, &Value) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let (mut length, mut operation) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim();
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "x-amz-target" => operation = value.rsplit('.').next().unwrap_or_default().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, text) = answer(&operation, &serde_json::from_slice(&body).unwrap_or(Value::Null));
    let date = date.map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
    let length = text.len();
    let head = format!("HTTP/1.1 {status} X\r\n{date}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(text.as_bytes())
}

pub(crate) fn ok(body: Value) -> Answer {
    (200, body.to_string())
}

pub(crate) fn error(code: &str) -> Answer {
    (400, json!({"__type": code, "message": "says the test"}).to_string())
}

/// A listing of open shards.
pub(crate) fn shards(numbers: &[u64]) -> Answer {
    let shard = |n: &u64| {
        json!({
            "ShardId": format!("shardId-{n}"),
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
            "SequenceNumberRange": {"StartingSequenceNumber": "1"},
        })
    };
    ok(json!({"Shards": numbers.iter().map(shard).collect::<Vec<_>>()}))
}

pub(crate) fn one_shard() -> Answer {
    shards(&[0])
}

/// Records with these numbers, of which each is its text.
pub(crate) fn records(numbers: impl IntoIterator<Item = u64>, next: &str, behind: u64) -> Answer {
    let record = |n: u64| {
        let data = STANDARD.encode(format!("r{n}"));
        json!({"SequenceNumber": n.to_string(), "PartitionKey": "k", "Data": data, "ApproximateArrivalTimestamp": 1.7e9})
    };
    let records: Vec<Value> = numbers.into_iter().map(record).collect();
    ok(json!({"Records": records, "NextShardIterator": next, "MillisBehindLatest": behind}))
}
