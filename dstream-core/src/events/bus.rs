//! How events reach the listeners: each has a thread, and a queue that is bounded.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use super::{ContextView, Event, EventsDropped, Listener};
use crate::{
    Error, Result,
    clock::{CancellationToken, Stopwatch},
    panics::catch,
    sync::Unpoisoned,
    threads::Threads,
};

/// How many events wait for one listener, at most.
const CAPACITY: usize = 8192;

/// Hands the events of one context to its listeners. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Bus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there is a listener: all that is asked where there is none.
    listened: AtomicBool,
    queues: Mutex<Vec<Arc<Queue>>>,
    /// The context, when it has started.
    context: OnceLock<ContextView>,
    threads: Threads,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("listened", &self.is_listened()).finish_non_exhaustive()
    }
}

impl Bus {
    /// A bus with these listeners.
    pub(crate) fn new(listeners: &[Arc<dyn Listener>], threads: &Threads) -> Result<Bus> {
        let bus = Bus(Arc::new(Shared {
            listened: AtomicBool::new(false),
            queues: Mutex::default(),
            context: OnceLock::new(),
            threads: threads.clone(),
        }));
        listeners.iter().try_for_each(|listener| bus.add(Arc::clone(listener)))?;
        Ok(bus)
    }

    /// Adds a listener: it is told of what happens from now on.
    pub(crate) fn add(&self, listener: Arc<dyn Listener>) -> Result<()> {
        self.add_bounded(listener, CAPACITY)
    }

    fn add_bounded(&self, listener: Arc<dyn Listener>, capacity: usize) -> Result<()> {
        if let Some(context) = self.0.context.get() {
            attach(&*listener, context)?;
        }
        let mut queues = self.queues();
        let queue = Arc::new(Queue::new(listener, capacity));
        let thread = self.0.threads.spawn(format!("dstream-listener-{}", queues.len()), {
            let queue = Arc::clone(&queue);
            move || queue.run()
        });
        let thread = thread.map_err(|error| {
            if self.0.context.get().is_some() {
                detach(&*queue.listener);
            }
            Error::io("the thread of a listener can't be started", error)
        })?;
        queue.lock().thread = Some(thread.thread().id());
        queues.push(queue);
        self.0.listened.store(true, Ordering::Release);
        Ok(())
    }

    /// The context starts: every listener may open what it needs.
    pub(crate) fn attach(&self, context: ContextView) -> Result<()> {
        let queues = self.queues().clone();
        for (at, queue) in queues.iter().enumerate() {
            if let Err(error) = attach(&*queue.listener, &context) {
                queues[..at].iter().rev().for_each(|attached| detach(&*attached.listener));
                return Err(error);
            }
        }
        self.0.context.get_or_init(|| context);
        Ok(())
    }

    /// Whether anybody listens. What is gathered for events need not be, else.
    pub(crate) fn is_listened(&self) -> bool {
        self.0.listened.load(Ordering::Acquire)
    }

    /// Tells the listeners, if there are any; only then `event` is called. Never waits for a listener.
    pub(crate) fn emit<E: Into<Event>>(&self, event: impl FnOnce() -> E) {
        if self.is_listened() {
            self.send(event().into());
        }
    }

    #[cold]
    fn send(&self, event: Event) {
        let event = Arc::new(event);
        self.queues().iter().for_each(|queue| queue.push(&event));
    }

    /// Takes no more events, and waits until those that there are have been delivered, for `limit` at most.
    pub(crate) fn close(&self, limit: Duration) {
        let queues = self.queues().clone();
        let stopwatch = Stopwatch::start();
        for queue in queues {
            let own = queue.close() == Some(thread::current().id());
            // A listener that stops its context gets the rest when it returns.
            if !own && !queue.ended.wait_timeout(limit.saturating_sub(stopwatch.elapsed())) {
                let left = queue.lock().events.len();
                crate::logs::warn!(
                    "a listener still has {left} events before it after {limit:?}: the context stops without \
                     waiting for it"
                );
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Arc<Queue>>> {
        self.0.queues.lock().unpoisoned()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let queues = self.queues.get_mut().unpoisoned();
        queues.iter().for_each(|queue| {
            queue.close();
        });
    }
}

/// A listener is somebody's code.
fn attach(listener: &dyn Listener, context: &ContextView) -> Result<()> {
    catch(|| listener.attached(context)).unwrap_or_else(|panic| {
        Err(Error::Invalid(format!(
            "a listener panicked when it was attached to the context: {}",
            panic.message()
        )))
    })
}

fn detach(listener: &dyn Listener) {
    if let Err(panic) = catch(|| listener.detached()) {
        crate::logs::error!("a listener panicked when the start was refused: {}", panic.message());
    }
}

/// The events that one listener has before it.
struct Queue {
    listener: Arc<dyn Listener>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    capacity: usize,
    /// Set when the thread ends.
    ended: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    /// How many were dropped behind the last of them.
    dropped: u64,
    /// How many were dropped at all.
    dropped_ever: u64,
    closed: bool,
    thread: Option<ThreadId>,
}

impl Queue {
    fn new(listener: Arc<dyn Listener>, capacity: usize) -> Queue {
        Queue {
            listener,
            waiting: Mutex::default(),
            changed: Condvar::new(),
            capacity,
            ended: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unpoisoned()
    }

    fn push(&self, event: &Arc<Event>) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        if waiting.events.len() >= self.capacity {
            waiting.dropped += 1;
            waiting.dropped_ever += 1;
            let ever = waiting.dropped_ever;
            drop(waiting);
            if ever.is_power_of_two() {
                crate::logs::warn!("a listener does not keep up: {ever} events are dropped so far");
            }
            return;
        }
        let missing = waiting.missing();
        waiting.events.extend(missing);
        waiting.events.push_back(Arc::clone(event));
        drop(waiting);
        self.changed.notify_all();
    }

    /// The next event; `None` when there will be no more.
    fn next(&self) -> Option<Arc<Event>> {
        let empty =
            |waiting: &mut Waiting| waiting.events.is_empty() && waiting.dropped == 0 && !waiting.closed;
        let mut waiting = self.changed.wait_while(self.lock(), empty).unpoisoned();
        waiting.events.pop_front().or_else(|| waiting.missing())
    }

    fn close(&self) -> Option<ThreadId> {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.changed.notify_all();
        waiting.thread
    }

    /// The listener's thread.
    fn run(&self) {
        let mut panics = 0u64;
        while let Some(event) = self.next() {
            // A listener is somebody's code: its panic costs this event, and nothing else.
            if let Err(panic) = catch(|| event.deliver(&*self.listener)) {
                panics += 1;
                if panics == 1 {
                    crate::logs::error!(
                        "a listener panicked, and does not know of this event; it is told of the next ones: \
                         {}: {event:?}",
                        panic.message()
                    );
                }
            }
        }
        self.ended.cancel();
    }
}

impl Waiting {
    /// Says, once, how many events are missing at the end of the queue.
    fn missing(&mut self) -> Option<Arc<Event>> {
        let count = std::mem::take(&mut self.dropped);
        (count > 0).then(|| Arc::new(EventsDropped { count }.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{Time, events::BatchPlanned, testing::Events};

    const LONG: Duration = Duration::from_secs(10);

    fn planned(n: u64) -> BatchPlanned {
        BatchPlanned { batch: Time::from_millis(n), at: Time::from_millis(n), intervals: 1 }
    }

    /// Each event in short: the number of a batch, or how many are missing.
    fn short(events: &[Event]) -> Vec<String> {
        let short = |event: &Event| match event {
            Event::BatchPlanned(event) => event.batch.as_millis().to_string(),
            Event::EventsDropped(event) => format!("-{}", event.count),
            other => format!("{other:?}"),
        };
        events.iter().map(short).collect()
    }

    /// Waits at each event until it is let go.
    struct Gate {
        arrived: mpsc::Sender<()>,
        open: Mutex<mpsc::Receiver<()>>,
        events: Events,
    }

    impl Listener for Gate {
        fn any(&self, event: &Event) {
            let _ = self.arrived.send(());
            let _ = self.open.lock().unwrap().recv();
            self.events.any(event);
        }
    }

    fn gate() -> (Gate, mpsc::Receiver<()>, mpsc::Sender<()>, Events) {
        let (arrived, arrival) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        let events = Events::new();
        (Gate { arrived, open: Mutex::new(open), events: events.clone() }, arrival, opener, events)
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let bus = Bus::default();
        bus.emit(|| -> Event { panic!("nobody listens") });
        bus.close(LONG);
    }

    #[test]
    fn all_listeners_have_all_events_in_order() {
        let bus = Bus::default();
        let listeners = [Events::new(), Events::new()];
        listeners.iter().for_each(|listener| bus.add(Arc::new(listener.clone())).unwrap());
        (0..100).for_each(|n| bus.emit(|| planned(n)));
        bus.close(LONG);
        bus.emit(|| planned(100));
        let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        for listener in listeners {
            assert_eq!(short(&listener.recorded()), expected);
        }
    }

    /// What does not fit is dropped, never waited for, and the listener is told where, and how many.
    #[test]
    fn a_slow_listener_loses_events_and_knows_it() {
        let bus = Bus::default();
        let (gate, arrived, opener, events) = gate();
        bus.add_bounded(Arc::new(gate), 3).unwrap();
        bus.emit(|| planned(0));
        arrived.recv_timeout(LONG).unwrap();
        (1..=8).for_each(|n| bus.emit(|| planned(n)));
        for _ in 0..2 {
            opener.send(()).unwrap();
            arrived.recv_timeout(LONG).unwrap();
        }
        bus.emit(|| planned(9));
        drop(opener);
        bus.close(LONG);
        assert_eq!(short(&events.recorded()), ["0", "1", "2", "3", "-5", "9"]);
    }

    #[test]
    fn what_is_missing_at_the_end_is_said_too() {
        let bus = Bus::default();
        let (gate, arrived, opener, events) = gate();
        bus.add_bounded(Arc::new(gate), 1).unwrap();
        bus.emit(|| planned(0));
        arrived.recv_timeout(LONG).unwrap();
        (1..=3).for_each(|n| bus.emit(|| planned(n)));
        drop(opener);
        bus.close(LONG);
        assert_eq!(short(&events.recorded()), ["0", "1", "-2"]);
    }

    struct Panics(Events);

    impl Listener for Panics {
        fn batch_planned(&self, event: &BatchPlanned) {
            self.0.any(&event.clone().into());
            assert!(event.batch.as_millis().is_multiple_of(2), "odd");
        }
    }

    #[test]
    fn a_panic_costs_a_listener_one_event_and_others_nothing() {
        let bus = Bus::default();
        let (panics, calm) = (Events::new(), Events::new());
        bus.add(Arc::new(Panics(panics.clone()))).unwrap();
        bus.add(Arc::new(calm.clone())).unwrap();
        (0..5).for_each(|n| bus.emit(|| planned(n)));
        bus.close(LONG);
        assert_eq!(short(&panics.recorded()), ["0", "1", "2", "3", "4"]);
        assert_eq!(short(&calm.recorded()), ["0", "1", "2", "3", "4"]);
    }

    /// One that never returns is left behind.
    #[test]
    fn a_stop_does_not_wait_for_ever() {
        let bus = Bus::default();
        let (gate, arrived, opener, events) = gate();
        let calm = Events::new();
        bus.add(Arc::new(gate)).unwrap();
        bus.add(Arc::new(calm.clone())).unwrap();
        (0..3).for_each(|n| bus.emit(|| planned(n)));
        arrived.recv_timeout(LONG).unwrap();
        bus.close(Duration::from_millis(1));
        assert_eq!(short(&events.recorded()), [""; 0]);
        drop(opener);
        assert!(events.wait_for(LONG, |events| events.len() == 3));
        assert!(calm.wait_for(LONG, |events| events.len() == 3));
    }

    struct Closes(Bus, Events);

    impl Listener for Closes {
        fn any(&self, event: &Event) {
            self.0.close(LONG);
            self.1.any(event);
        }
    }

    #[test]
    fn a_listener_may_stop_its_context() {
        let bus = Bus::default();
        let events = Events::new();
        bus.add(Arc::new(Closes(bus.clone(), events.clone()))).unwrap();
        bus.emit(|| planned(0));
        assert!(events.wait_for(LONG / 2, |events| events.len() == 1));
    }

    #[test]
    fn threads_end_with_the_bus() {
        let bus = Bus::default();
        let events = Events::new();
        bus.add(Arc::new(events.clone())).unwrap();
        let queue = Arc::clone(&bus.queues()[0]);
        drop(bus);
        assert!(queue.ended.wait_timeout(LONG));
    }
}
