//! The thread that owns timely's channels: it sends what it is given, and delivers what arrives.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dstream_core::Time;
use timely_communication::{
    Bytesable, Hooks, Pull, Push,
    allocator::{
        Allocator, ProcessBuilder,
        zero_copy::{initialize::initialize_networking_from_sockets, stream::Stream},
    },
};

use crate::{
    link::Link,
    mailbox::{Mailbox, Tag},
};

/// What goes over a channel: the kind of a message, who has sent it, the step, and what it says.
struct Frame {
    kind: Kind,
    from: usize,
    tag: Tag,
    message: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The sender is alive.
    Alive = 1,
    Step = 2,
    Announcement = 3,
    /// What can't be read: a message of a process that went while it was sent.
    Broken = 0,
}

/// Kind, sender, batch, number.
const PREFIX: usize = 1 + 4 + 8 + 4;

/// Timely's bytes, as what owns a part of them.
struct Received(timely_bytes::arc::Bytes);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Bytesable for Frame {
    fn from_bytes(bytes: timely_bytes::arc::Bytes) -> Frame {
        let mut message = Bytes::from_owner(Received(bytes));
        let broken = || Frame { kind: Kind::Broken, from: 0, tag: Tag::default(), message: Bytes::new() };
        if message.len() < PREFIX {
            return broken();
        }
        let prefix = message.split_to(PREFIX);
        let number = |from: usize, to: usize| {
            prefix[from..to].iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let kind = match prefix[0] {
            1 => Kind::Alive,
            2 => Kind::Step,
            3 => Kind::Announcement,
            _ => return broken(),
        };
        let tag = (Time::from_millis(number(5, 13)), number(13, 17) as u32);
        Frame { kind, from: number(1, 5) as usize, tag, message }
    }

    fn length_in_bytes(&self) -> usize {
        PREFIX + self.message.len()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let mut prefix = [0; PREFIX];
        prefix[0] = self.kind as u8;
        prefix[1..5].copy_from_slice(&(self.from as u32).to_le_bytes());
        prefix[5..13].copy_from_slice(&self.tag.0.as_millis().to_le_bytes());
        prefix[13..].copy_from_slice(&self.tag.1.to_le_bytes());
        // It is memory of the right size.
        let _ = writer.write_all(&prefix).and_then(|()| writer.write_all(&self.message));
    }
}

/// What the thread is to send.
pub(crate) enum Outgoing {
    /// One message for each process, of one step.
    Step(Tag, Vec<Bytes>),
    /// The same for all.
    Announcement(Bytes),
}

/// The connections to all other processes.
pub(crate) struct Transport {
    outgoing: Option<Sender<Outgoing>>,
    worker: Thread,
    thread: Option<JoinHandle<()>>,
    mailbox: Arc<Mailbox>,
}

impl Transport {
    /// Starts to send and to receive over these connections, by process; process `own` has none to itself.
    pub(crate) fn start(
        links: Vec<Option<Link>>,
        own: usize,
        timeout: Duration,
        mailbox: &Arc<Mailbox>,
    ) -> io::Result<Transport> {
        let (outgoing, queue) = mpsc::channel();
        let (started, wait) = mpsc::channel();
        let mail = Arc::clone(mailbox);
        let thread = thread::Builder::new().name("dstream-cluster".to_owned()).spawn(move || {
            let closers = links.iter().flatten().map(Stream::try_clone).collect::<io::Result<Vec<Link>>>();
            let hooks = Hooks::default();
            let process = ProcessBuilder::new_typed_vector(1, hooks.refill.clone(), None);
            let network = closers.and_then(|closers| {
                Ok((closers, initialize_networking_from_sockets(process, links, own, 1, hooks)?))
            });
            let (closers, (builders, threads)) = match network {
                Ok(network) => network,
                Err(error) => return drop(started.send(Err(error))),
            };
            let Some(builder) = builders.into_iter().next() else { return };
            let allocator = Allocator::Tcp(builder.build());
            drop(started.send(Ok(())));
            carry(allocator, own, &queue, timeout, &mail);
            // The allocator is gone, so that its threads write what is left, and end.
            closers.iter().for_each(|link| drop(link.shutdown(std::net::Shutdown::Read)));
            drop(threads);
        })?;
        wait.recv().unwrap_or_else(|_| Err(io::Error::other("the thread of the connections has ended")))?;
        let worker = thread.thread().clone();
        Ok(Transport { outgoing: Some(outgoing), worker, thread: Some(thread), mailbox: Arc::clone(mailbox) })
    }

    /// Hands something to the thread.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        if let Some(queue) = &self.outgoing {
            drop(queue.send(outgoing));
        }
        self.worker.unpark();
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.mailbox.close();
        drop(self.outgoing.take());
        self.worker.unpark();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the connections to other processes has ended by a panic");
        }
    }
}

/// Sends and delivers until nothing more is to be sent.
fn carry(
    mut allocator: Allocator,
    own: usize,
    queue: &Receiver<Outgoing>,
    timeout: Duration,
    mailbox: &Mailbox,
) {
    let (mut pushers, mut puller) = allocator.allocate::<Frame>(0);
    // Several are lost before a process counts as gone.
    let interval = timeout / 5;
    let mut next_sign = Instant::now();
    loop {
        let mut open = true;
        loop {
            match queue.try_recv() {
                Ok(Outgoing::Step(tag, messages)) => {
                    for (to, message) in messages.into_iter().enumerate().filter(|(to, _)| *to != own) {
                        if let Some(pusher) = pushers.get_mut(to) {
                            pusher.send(Frame { kind: Kind::Step, from: own, tag, message });
                        }
                    }
                }
                Ok(Outgoing::Announcement(message)) => {
                    for (_, pusher) in pushers.iter_mut().enumerate().filter(|(to, _)| *to != own) {
                        let message = message.clone();
                        pusher.send(Frame {
                            kind: Kind::Announcement,
                            from: own,
                            tag: Tag::default(),
                            message,
                        });
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    open = false;
                    break;
                }
            }
        }
        let now = Instant::now();
        if now >= next_sign {
            next_sign = now + interval;
            for (_, pusher) in pushers.iter_mut().enumerate().filter(|(to, _)| *to != own) {
                pusher.send(Frame {
                    kind: Kind::Alive,
                    from: own,
                    tag: Tag::default(),
                    message: Bytes::new(),
                });
            }
        }
        pushers.iter_mut().for_each(Push::done);
        allocator.receive();
        while let Some(Frame { kind, from, tag, message }) = puller.recv() {
            match kind {
                Kind::Alive | Kind::Broken => {}
                Kind::Step => mailbox.deliver(from, tag, message),
                Kind::Announcement => mailbox.announced(message),
            }
        }
        allocator.release();
        if !open {
            return;
        }
        allocator.events().borrow_mut().clear();
        allocator.await_events(Some(next_sign.saturating_duration_since(Instant::now())));
    }
}
