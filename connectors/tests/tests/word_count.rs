//! The example `kafka_word_count` while its program, its broker and its database are killed: in the end the
//! totals in the table are those of what was produced.
//!
//! `DSTREAM_KILLS` says how often the program is killed, 10 times if it is not set. The broker is restarted
//! and the server killed a tenth as often, but at least three times.

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../../kafka/tests/kafka/broker.rs"]
mod broker;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../../postgres/tests/postgres/server.rs"]
mod server;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use broker::Broker;
use postgres::Client;
use rusqlite::Connection;
use server::Server;

type Totals = BTreeMap<String, u64>;

/// Where the program writes to.
trait Database {
    fn url(&self) -> String;
    /// What is in the table; empty if there is none yet. Over a connection that stays open: a program that is
    /// killed when its words are seen has written them, but hardly its checkpoint.
    fn totals(&mut self) -> Totals;
    /// Kills the server, if there is one, and starts it again.
    fn kill(&mut self);
}

const QUERY: &str = "SELECT word, n FROM word_counts";

struct Remote {
    server: Server,
    client: Option<Client>,
}

impl Database for Remote {
    fn url(&self) -> String {
        self.server.url()
    }

    fn totals(&mut self) -> Totals {
        let client = self.client.get_or_insert_with(|| self.server.client());
        let Ok(rows) = client.query(QUERY, &[]) else {
            self.client = None;
            return Totals::new();
        };
        rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).try_into().unwrap())).collect()
    }

    fn kill(&mut self) {
        self.server.kill();
        self.server.restart();
        self.client = None;
    }
}

struct File {
    folder: tempfile::TempDir,
    connection: Option<Connection>,
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("words.db")
    }

    fn read(&mut self) -> rusqlite::Result<Totals> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(self.path())?);
        }
        let Some(connection) = &self.connection else { return Ok(Totals::new()) };
        let mut statement = connection.prepare(QUERY)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.try_into().unwrap())))?.collect()
    }
}

impl Database for File {
    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn totals(&mut self) -> Totals {
        self.read().unwrap_or_default()
    }

    fn kill(&mut self) {}
}

/// The example, as a process of its own.
fn start(arguments: &[String; 4]) -> Child {
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples/kafka_word_count");
    Command::new(example).args(arguments).stderr(Stdio::null()).spawn().unwrap()
}

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Produces lines until it is told to stop, and returns how often each word was in them.
fn produce(broker: &Mutex<Broker>, stop: &AtomicBool) -> Totals {
    let mut random = Random(1);
    let mut totals = Totals::new();
    while !stop.load(Ordering::Relaxed) {
        let lines: Vec<String> = (0..100)
            .map(|_| {
                let words: Vec<String> = (0..5).map(|_| format!("word-{}", random.below(500))).collect();
                words.join(" ")
            })
            .collect();
        let partition = i32::try_from(random.below(3)).unwrap();
        // Whoever restarts the broker waits until it has acknowledged these.
        broker.lock().unwrap_or_else(PoisonError::into_inner).produce("lines", partition, &lines);
        for word in lines.iter().flat_map(|line| line.split(' ')) {
            *totals.entry(word.to_owned()).or_default() += 1;
        }
        // Not so fast that the program can't keep up.
        thread::yield_now();
    }
    totals
}

fn sum(totals: &Totals) -> u64 {
    totals.values().sum()
}

/// Waits until the table has that many words.
fn wait_for(database: &mut dyn Database, words: u64) {
    let begun = Instant::now();
    while sum(&database.totals()) < words {
        assert!(begun.elapsed().as_secs() < 120, "{} words, and not {words}", sum(&database.totals()));
    }
}

fn totals_survive_kills(database: &mut dyn Database) {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 3);
    let kills = std::env::var("DSTREAM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10u64);
    let others = (kills / 10).max(3);
    let checkpoint = tempfile::tempdir().unwrap();
    let arguments = [
        broker.address(),
        "lines".to_owned(),
        checkpoint.path().join("checkpoint").display().to_string(),
        database.url(),
    ];
    let (broker, stop) = (Mutex::new(broker), AtomicBool::new(false));
    let mut random = Random(7);
    let mut produced = thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&broker, &stop));
        for kill in 0..kills {
            let mut program = start(&arguments);
            let so_far = sum(&database.totals());
            // What goes away while the program runs: twice in turn, at any time of a batch.
            if kill * others / kills != (kill + 1) * others / kills {
                wait_for(database, so_far + 1 + random.below(2_000));
                database.kill();
                wait_for(database, so_far + 3_000);
                let mut broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
                broker.stop();
                broker.restart();
            }
            let so_far = sum(&database.totals());
            wait_for(database, so_far + 1 + random.below(3_000));
            program.kill().unwrap();
            program.wait().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        producer.join().unwrap()
    });
    // Something is left to write, so the last program has come as far as that before it is told to stop.
    broker.lock().unwrap_or_else(PoisonError::into_inner).produce("lines", 0, ["last"]);
    produced.insert("last".into(), 1);
    let mut program = start(&arguments);
    wait_for(database, sum(&produced));
    // SIGTERM: it stops by itself.
    let stopped = Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
    assert!(stopped.success() && program.wait().unwrap().success());
    let totals = database.totals();
    assert_eq!(sum(&totals), sum(&produced));
    assert_eq!(totals, produced);
}

#[test]
fn totals_in_postgres_are_what_was_produced() {
    let Some(server) = Server::start() else { return };
    totals_survive_kills(&mut Remote { server, client: None });
}

#[test]
fn totals_in_sqlite_are_what_was_produced() {
    totals_survive_kills(&mut File { folder: tempfile::tempdir().unwrap(), connection: None });
}
