//! Redis as an output, against a real server.

#[path = "redis/server.rs"]
mod server;

use std::collections::BTreeMap;

use dstream::{
    Str, StreamingContext,
    prelude::*,
    testing::{SinkFixture, check_sink},
};
use dstream_redis::Redis;
use server::Server;

type Count = (Str, i64);

/// The program of the tests: batches, each of one partition, into a sink.
fn context(sink: Redis<Count>, batches: Vec<Vec<(&str, i64)>>) -> StreamingContext {
    let batches: Vec<Vec<Count>> = batches
        .into_iter()
        .map(|batch| batch.into_iter().map(|(word, n)| (word.into(), n)).collect())
        .collect();
    dstream::stream!(batch = 1s, name = "test", {
        queue_stream(batches).write_to(sink).named("table");
    })
    .unwrap()
}

struct Numbers(Server);

impl SinkFixture for Numbers {
    type Record = u64;
    type Sink = Redis<u64>;

    fn sink(&mut self) -> Redis<u64> {
        Redis::new(self.0.url()).commands(|n, redis| redis.rpush("numbers", n))
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        let all = redis::cmd("LRANGE").arg("numbers").arg(0).arg(-1).to_owned();
        all.query(&mut self.0.connection()).unwrap()
    }

    fn disturb(&mut self, broken: bool) -> bool {
        if broken {
            self.0.kill();
        } else {
            self.0.restart();
        }
        true
    }
}

#[test]
fn each_batch_is_written_exactly_once() {
    let Some(server) = Server::start() else { return };
    check_sink(Numbers(server)).unwrap();
}

#[test]
fn hashes_sets_and_strings_are_what_the_commands_make() {
    let Some(server) = Server::start() else { return };
    let sink = Redis::new(server.url()).commands(|(word, n): &Count, redis| {
        redis.hincrby("counts", word, n);
        redis.hset("last", word, n);
        redis.sadd("words", word);
        redis.incrby("total", n);
        redis.set(format!("word:{word}"), n);
        redis.expire(format!("word:{word}"), 1_000);
        redis.zadd("ranks", n, word);
        redis.command("PFADD", &[b"visitors", word.as_bytes()]);
    });
    let batches = vec![vec![("be", 2), ("to", 1)], vec![("be", 3), ("or\r\n", 1)]];
    context(sink, batches).run_batches(2).unwrap();
    let mut connection = server.connection();
    let mut hash = |key: &str| -> BTreeMap<String, i64> {
        redis::cmd("HGETALL").arg(key).query(&mut connection).unwrap()
    };
    let map = |pairs: [(&str, i64); 3]| pairs.map(|(word, n)| (word.to_owned(), n)).into();
    assert_eq!(hash("counts"), map([("be", 5), ("or\r\n", 1), ("to", 1)]));
    assert_eq!(hash("last"), map([("be", 3), ("or\r\n", 1), ("to", 1)]));
    let mut number =
        |command: &str, key: &str| -> i64 { redis::cmd(command).arg(key).query(&mut connection).unwrap() };
    assert_eq!((number("SCARD", "words"), number("GET", "total"), number("GET", "word:be")), (3, 7, 3));
    assert_eq!((number("ZCARD", "ranks"), number("PFCOUNT", "visitors")), (3, 3));
    // Without a checkpoint, no batch can be asked for again.
    assert_eq!(number("ZCARD", "dstream:ledger:4:test:table"), 1);
    assert!(number("TTL", "word:be") > 900);
}

#[test]
fn mistakes_are_named() {
    let Some(server) = Server::start() else { return };
    let port = server.port();
    let expect = |sink: Redis<Count>, parts: &[&str]| {
        let error = context(sink, vec![vec![("be", 2)]]).run_batches(1).unwrap_err().to_string();
        let lacking: Vec<_> = parts.iter().filter(|part| !error.contains(**part)).collect();
        assert!(lacking.is_empty() && !error.contains("secret"), "{lacking:?} is not in: {error}");
    };
    let to =
        |url: &str| Redis::new(url).commands(|(word, n): &Count, redis| redis.hincrby("counts", word, n));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    expect(
        to(&format!("redis://:secret@127.0.0.1:{nobody}")),
        &[
            &format!("connecting to Redis at 127.0.0.1:{nobody}"),
            "does Redis listen at this address and port?",
        ],
    );
    expect(to(&format!("redis://:wrong-secret@127.0.0.1:{port}")), &["look at the user and the password"]);
    expect(to(&format!("redis://127.0.0.1:{port}")), &["look at the user and the password"]);
    expect(to("postgres://:secret@127.0.0.1"), &["the address of Redis can't be read"]);
    expect(to("rediss://:secret@127.0.0.1"), &["with TLS needs the feature `ssl`"]);
    expect(Redis::new(server.url()), &["add `.commands(|record, redis| ..)`"]);
    redis::cmd("SET").arg("counts").arg(1).exec(&mut server.connection()).unwrap();
    let refused = "Redis refuses the command `HINCRBY counts be 2`: WRONGTYPE";
    expect(to(&server.url()), &[refused, "the other commands of the batch have run"]);
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    let unknown = Redis::new(server.url()).commands(|_: &Count, redis| redis.command("HINCR", &[b"counts"]));
    expect(unknown, &["Redis refuses the command `HINCR counts`: ERR", "unknown command"]);
    let unnamed = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]])
            .write_to(Redis::new(server.url()).commands(|n: &u64, redis| redis.set("n", n)));
    })
    .unwrap();
    let error = unnamed.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("the application has no name"), "{error}");
}
