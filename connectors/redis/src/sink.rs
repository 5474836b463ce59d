//! The sink: a batch as a transaction.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dstream_core::sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError};
use redis::{Client, Connection, ConnectionLike as _, IntoConnectionInfo as _, Value};

use crate::{
    commands::{Commands, shown},
    errors::{failed, passes},
};

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The name of an application that has given itself none.
const UNNAMED: &str = "dstream";

type Write<T> = Box<dyn Fn(&T, &mut Commands) + Send + Sync>;

/// Writes each batch into Redis, by the commands that a closure makes of its records, exactly once.
///
/// ```no_run
/// use dstream::{Str, prelude::*};
/// use dstream_redis::Redis;
///
/// let totals = Redis::new("redis://localhost").commands(|(word, n): &(Str, u64), redis| {
///     redis.hincrby("word_counts", word, *n);
///     redis.sadd("words", word);
/// });
/// let ssc = dstream::stream!(batch = 1s, name = "words", {
///     let words = socket_text_stream("localhost", 9999).words();
///     words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).write_to(totals);
/// })?;
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// # Exactly once
///
/// All commands of a batch are sent at once, and run as one transaction (`MULTI` and `EXEC`). It also notes
/// the time of the batch in the sorted set `dstream:ledger:..` of this application and output; a batch that
/// is there already is not written again. Members that no restart can ask for any more are removed. So the
/// application needs a name.
///
/// Redis itself keeps over a crash what it is told to: with `appendfsync always` every transaction that was
/// acknowledged; with its default the last second may be lost, and with it what was written in it. A cluster
/// can't be written to.
///
/// # Errors
///
/// A connection that is lost, a server that starts, has no room or can't write to its disk: these are
/// transient, and the batch is written again while later ones wait. A command that can't run, such as one for
/// a set on a key that is a hash, fails its batch, with the command in the error. Redis takes nothing back
/// then: the other commands of the batch have run, and do not run again.
pub struct Redis<T> {
    url: String,
    write: Option<Write<T>>,
    /// The connection; behind a lock only because it can't be shared between threads.
    connection: Mutex<Option<Connection>>,
    context: Option<SinkContext>,
}

impl<T> Redis<T> {
    /// A server, as `redis://user:password@host:port/database`; all but the host may be left out. The
    /// password is shown in no message.
    ///
    /// `rediss://` is a connection with TLS, which needs the feature `ssl`.
    pub fn new(url: impl Into<String>) -> Redis<T> {
        Redis { url: url.into(), write: None, connection: Mutex::new(None), context: None }
    }

    /// What is written of a record: the closure calls a method of [`Commands`] for each command.
    pub fn commands(mut self, write: impl Fn(&T, &mut Commands) + Send + Sync + 'static) -> Redis<T> {
        self.write = Some(Box::new(write));
        self
    }

    fn connected(&mut self) -> Result<&mut Connection, SinkError> {
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
        if connection
            .as_mut()
            .is_some_and(|connection| !connection.is_open() || !connection.check_connection())
        {
            *connection = None;
        }
        if connection.is_none() {
            *connection = Some(connect(&self.url)?);
        }
        connection.as_mut().ok_or_else(|| "the sink is not open".into())
    }
}

fn connect(url: &str) -> Result<Connection, SinkError> {
    if url.starts_with("rediss:") && !cfg!(feature = "ssl") {
        let message = "a connection to Redis with TLS needs the feature `ssl` of `dstream-redis`, or \
                       `redis-ssl` of `dstream`";
        return Err(SinkError::permanent(message));
    }
    // What can't be read is not shown: there may be a password in it.
    let info = url.into_connection_info().map_err(|_| {
        SinkError::permanent(
            "the address of Redis can't be read: it is written as \
             `redis://user:password@host:port/database`, with special characters in the password \
             percent-encoded, as `%40` for `@`",
        )
    })?;
    let doing = format!("connecting to Redis at {}", info.addr());
    let failed = |error| failed(&error, &doing);
    let client = Client::open(info).map_err(failed)?;
    let mut connection = client.get_connection_with_timeout(CONNECT_TIMEOUT).map_err(failed)?;
    connection.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    connection.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
    // Asks for a password, and waits while it loads its data.
    redis::cmd("EXISTS").arg("dstream").query::<i64>(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// The sorted set of the batches that an output has written. No two outputs have the same.
fn ledger(context: &SinkContext) -> String {
    let (application, output) = (context.application(), context.output());
    format!("dstream:ledger:{}:{application}:{output}", application.len())
}

/// Sends commands at once, and returns the reply to each.
fn send(connection: &mut Connection, commands: &Commands) -> Result<Vec<Value>, SinkError> {
    connection
        .req_packed_commands(&commands.bytes, 0, commands.count)
        .map_err(|error| failed(&error, "writing into Redis"))
}

/// The error of a command, if a reply is one.
fn refused(reply: &Value, command: impl FnOnce() -> Option<String>) -> Result<(), SinkError> {
    let Value::ServerError(error) = reply else { return Ok(()) };
    let command = command().map(|command| format!(" `{command}`")).unwrap_or_default();
    let message = format!(
        "Redis refuses the command{command}: {} {}",
        error.code(),
        error.details().unwrap_or_default()
    );
    match passes(error.code()) {
        true => Err(SinkError::transient(message)),
        false => Err(SinkError::permanent(message)),
    }
}

impl<T: Send + Sync + 'static> Sink<T> for Redis<T> {
    type Part = Commands;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        if self.write.is_none() {
            return Err(SinkError::permanent(
                "nothing says what is written: add `.commands(|record, redis| ..)`",
            ));
        }
        if context.application() == UNNAMED {
            return Err(SinkError::permanent(
                "the application has no name, by which Redis knows what it has written: give it one of its \
                 own, `stream!(name = \"shop\", ..)`",
            ));
        }
        self.context = Some(context.clone());
        self.connected().map(drop)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.connected()?;
        Ok(if batch.records() == 0 { Begin::AlreadyWritten } else { Begin::Write })
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<Commands, SinkError> {
        let mut commands = Commands::default();
        if let Some(write) = &self.write {
            partition.iter().for_each(|record| write(record, &mut commands));
        }
        Ok(commands)
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Commands>) -> Result<(), SinkError> {
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut();
        let connection = connection.ok_or("the sink is not open")?;
        let (ledger, time) = (ledger(batch.context()), batch.time().as_millis());
        // If an earlier attempt over a connection that was lost is still to run, it changes what is watched.
        let mut look = Commands::default();
        look.command("WATCH", &[ledger.as_bytes()]);
        look.command("ZSCORE", &[ledger.as_bytes(), time.to_string().as_bytes()]);
        let replies = send(connection, &look)?;
        replies.iter().try_for_each(|reply| refused(reply, || Some(format!("ZSCORE {ledger} {time}"))))?;
        if !matches!(replies.last(), Some(Value::Nil)) {
            let mut leave = Commands::default();
            leave.command("UNWATCH", &[]);
            send(connection, &leave)?;
            return if batch.may_be_written() { Ok(()) } else { Err(written_by_another(batch, &ledger)) };
        }
        let mut commands = Commands::default();
        commands.command("MULTI", &[]);
        for part in &parts {
            commands.bytes.extend_from_slice(&part.bytes);
            commands.count += part.count;
        }
        commands.zadd(&ledger, time, time);
        let oldest = format!("({}", batch.rerun_from().as_millis());
        commands.command("ZREMRANGEBYSCORE", &[ledger.as_bytes(), b"-inf", oldest.as_bytes()]);
        commands.command("EXEC", &[]);
        let replies = send(connection, &commands)?;
        // Where one is not even queued, none runs.
        for (at, reply) in replies[..replies.len().saturating_sub(1)].iter().enumerate() {
            refused(reply, || shown(&commands.bytes, at))?;
        }
        match replies.last() {
            Some(Value::Array(replies)) => {
                // Behind `MULTI`.
                let refusal = replies
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, reply)| refused(reply, || shown(&commands.bytes, at + 1)));
                refusal.map_err(|error| {
                    SinkError::permanent(format!(
                        "{error}; the other commands of the batch have run, and do not run again"
                    ))
                })
            }
            Some(Value::Nil) => {
                Err(SinkError::transient("another connection has written into the ledger at the same time"))
            }
            Some(reply) => refused(reply, || Some("EXEC".into())),
            None => Err(SinkError::transient("Redis has not answered")),
        }
    }

    fn abort(&mut self, _: &SinkBatch) {
        // It may be in the middle of a transaction, or of the replies.
        *self.connection.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn close(&mut self) {
        *self.connection.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn written_by_another(batch: &SinkBatch, ledger: &str) -> SinkError {
    SinkError::permanent(format!(
        "`{ledger}` has the batch at {} already, and not from this program: another one writes under the \
         same names to the same database, so give one of them another `name`",
        batch.time()
    ))
}

impl<T> fmt::Debug for Redis<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.url.as_str().into_connection_info().map(|info| info.addr().to_string());
        f.debug_struct("Redis").field("address", &address.unwrap_or_default()).finish_non_exhaustive()
    }
}
