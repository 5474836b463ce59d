use std::{sync::mpsc, thread, time::Duration};

use dstream_core::{
    clock::{CancellationToken, Clock, SystemClock},
    testing::ManualClock,
};

use crate::{LONG, at};

#[test]
fn a_manual_clock_wakes_those_whose_deadline_it_reaches() {
    let clock = ManualClock::new(at(100));
    let (send, woken) = mpsc::channel();
    for deadline in [200, 300] {
        let (clock, send) = (clock.clone(), send.clone());
        thread::spawn(move || {
            send.send((deadline, clock.wait_until(at(deadline), &CancellationToken::new())))
        });
    }
    assert!(clock.wait_for_waiter(at(200)) && clock.wait_for_waiter(at(300)));
    clock.advance(Duration::from_millis(150));
    assert_eq!(woken.recv_timeout(LONG), Ok((200, true)));
    assert!(woken.try_recv().is_err());
    clock.set(at(300));
    assert_eq!(woken.recv_timeout(LONG), Ok((300, true)));
}

#[test]
fn a_cancelled_token_ends_every_wait() {
    let manual = ManualClock::new(at(0));
    let stop = CancellationToken::new();
    let (send, woken) = mpsc::channel();
    let clocks: [Box<dyn Clock>; 2] = [Box::new(manual.clone()), Box::new(SystemClock)];
    for clock in clocks {
        let (stop, send) = (stop.clone(), send.clone());
        thread::spawn(move || send.send(clock.wait_until(clock.now() + LONG * 10, &stop)));
    }
    assert!(manual.wait_for_waiter(at(100_000)));
    stop.cancel();
    for _ in 0..2 {
        assert_eq!(woken.recv_timeout(LONG), Ok(false));
    }
    assert!(stop.wait_timeout(LONG));
    assert!(!manual.wait_until(at(0), &stop), "also when the deadline has passed");
    assert!(!CancellationToken::new().wait_timeout(Duration::from_millis(1)));
}

#[test]
fn the_system_clock_never_wakes_early() {
    let deadline = SystemClock.now() + Duration::from_millis(20);
    assert!(SystemClock.wait_until(deadline, &CancellationToken::new()));
    assert!(SystemClock.now() >= deadline);
}
