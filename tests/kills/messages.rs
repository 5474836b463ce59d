//! A sender that repeats what was not acknowledged, and a program that acknowledges what is in its log.

use std::{
    error::Error,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use dstream::{
    prelude::*,
    receiver::{Receiver, ReceiverContext},
};

use crate::{
    Written,
    process::{self, Program},
    text,
};

/// Receives lines `NUMBER TEXT`, and answers with the number of the last one that is safe.
struct Messages(u16);

impl Receiver for Messages {
    type Block = Vec<(u64, String)>;

    fn name(&self) -> String {
        format!("messages({})", self.0)
    }

    fn run(&mut self, ctx: &ReceiverContext<Self::Block>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0))?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        stream.set_nodelay(true)?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let (mut line, mut block) = (Vec::new(), Vec::new());
        while !ctx.is_stopping() {
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                Ok(_) if line.last() == Some(&b'\n') => {}
                Ok(_) => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(e) => return Err(e.into()),
            }
            let message = std::str::from_utf8(&line)?.trim_end();
            let (number, text) = message.split_once(' ').ok_or("a line without a number")?;
            let number: u64 = number.parse()?;
            block.push((number, text.to_owned()));
            line.clear();
            // A block is what has arrived together.
            if !lines.buffer().contains(&b'\n') && ctx.store_block(std::mem::take(&mut block)) {
                writeln!(stream, "{number}")?;
            }
        }
        Ok(())
    }
}

/// Saves each message once, and how often each word was there.
pub(crate) fn run(dir: &Path, port: u16) -> dstream::Result<()> {
    let conf = Config::new().threads(2).partitions(2).restart_delay(Duration::from_millis(10));
    let (lines_to, totals_to) = (text(dir, "out/lines"), text(dir, "out/totals"));
    let messages = Messages(port);
    let ssc = dstream::stream!(batch = 50ms, conf = conf, checkpoint = dir.join("checkpoint"), {
        // Numbers rise, also within a lane; what was sent again has one that was there.
        let lanes = messages.map(|(number, text)| (number % 8, (number, text)));
        let (new, _last) =
            lanes.map_with_state(|_lane: &u64, message: Option<(u64, String)>, last: &mut State<u64>| {
                let (number, text) = message?;
                let is_new = last.get().is_none_or(|last| *last < number);
                if is_new {
                    last.update(number);
                }
                is_new.then(|| format!("{number} {text}"))
            });
        new.save_as_text_files(lines_to, "");
        let totals = new
            .flat_map(|message| message.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>())
            .map(|word| (word, 1u64))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.save_as_text_files(totals_to, "");
    })?;
    ssc.start()?;
    ssc.await_termination()
}

/// What the sender knows.
#[derive(Default)]
struct Sent {
    /// So many messages there are.
    limit: u64,
    /// The last one that was acknowledged.
    acknowledged: u64,
    /// How many were sent, each time that they were.
    sent: u64,
    /// The connection has ended.
    broken: bool,
}

#[derive(Clone, Default)]
struct Sender(Arc<(Mutex<Sent>, Condvar)>);

/// So many messages are sent before one of them must be acknowledged.
const WINDOW: u64 = 64;

impl Sender {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sent)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    /// Serves one program after the other.
    fn serve(self, server: TcpListener) {
        for stream in server.incoming().flatten() {
            self.change(|sent| sent.broken = false);
            thread::scope(|scope| {
                let Ok(answers) = stream.try_clone() else { return };
                scope.spawn(|| {
                    for number in BufReader::new(answers).lines().map_while(Result::ok) {
                        let number: u64 = number.parse().unwrap_or(0);
                        self.change(|sent| sent.acknowledged = sent.acknowledged.max(number));
                    }
                    self.change(|sent| sent.broken = true);
                });
                self.send(stream);
            });
        }
    }

    fn send(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut next = self.lock().acknowledged + 1;
        loop {
            let wait = |sent: &mut Sent| !sent.broken && next > sent.limit.min(sent.acknowledged + WINDOW);
            let sent = self.0.1.wait_while(self.lock(), wait).unwrap_or_else(PoisonError::into_inner);
            if sent.broken {
                return;
            }
            let until = sent.limit.min(sent.acknowledged + WINDOW);
            drop(sent);
            let lines: Vec<_> =
                (next..=until).map(|n| format!("{n} message about {} and {}\n", n % 13, n % 5)).collect();
            if stream.write_all(lines.concat().as_bytes()).is_err() {
                // Its answers end, too.
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
            self.change(|sent| sent.sent += until + 1 - next);
            next = until + 1;
        }
    }
}

#[test]
fn every_acknowledged_message_is_written_once() {
    const PER_ROUND: u64 = 1_500;
    let run = |kills: u64| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
        let port = server.local_addr().map_or(0, |address| address.port());
        let (sender, mut program) = (Sender::default(), Program::new(&format!("messages:{port}")));
        thread::spawn({
            let sender = sender.clone();
            move || sender.serve(server)
        });
        program.start();
        for round in 0..process::kills() {
            sender.change(|sent| sent.limit += PER_ROUND);
            if round < kills {
                program.kill();
            }
        }
        let limit = sender.lock().limit;
        program.wait_until(|_| sender.lock().acknowledged == limit);
        // A stop processes all that is in the log, so the next start finds nothing there.
        program.stop();
        let stopped = Written::by(&program);
        program.start();
        program.wait_for_batches(3);
        program.stop();
        let written = Written::by(&program);
        assert!(written == stopped, "a restart has changed what was written");
        let again = sender.lock().sent - limit;
        (written, again, program)
    };
    let (undisturbed, ..) = run(0);
    let (written, again, program) = run(process::kills());
    written.check(&undisturbed, &program);
    program.report(&format!("messages, of which {again} were sent again"), written.lines.len());
}
