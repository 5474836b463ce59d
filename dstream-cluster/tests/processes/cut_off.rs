//! Two processes whose connection is slow, and is cut so that neither sees it closed.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use crate::place::{LONG, Launched, Place, example, hosts};

/// What stands between two processes.
#[derive(Clone, Default)]
struct Network {
    /// How long each piece of what they send takes.
    millis: Arc<AtomicU64>,
    /// Nothing arrives, and nothing is closed.
    cut: Arc<AtomicBool>,
}

impl Network {
    /// An address from which everything goes to `target`.
    fn before(&self, target: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let network = self.clone();
        thread::spawn(move || {
            for accepted in listener.incoming().flatten() {
                let Ok(to) = TcpStream::connect(&target) else { continue };
                let (back_from, back_to) = (to.try_clone().unwrap(), accepted.try_clone().unwrap());
                let (there, back) = (network.clone(), network.clone());
                thread::spawn(move || there.carry(accepted, to));
                thread::spawn(move || back.carry(back_from, back_to));
            }
        });
        address
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            thread::sleep(Duration::from_millis(self.millis.load(SeqCst)));
            while self.cut.load(SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            if to.write_all(&piece[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

struct Two {
    hosts: String,
    listen: String,
}

impl Two {
    fn start(&self, place: &Place, index: usize) -> Launched {
        let mut command = Command::new(example());
        command
            .args(place.arguments())
            .env("DSTREAM_HOSTS", &self.hosts)
            .env("DSTREAM_INDEX", index.to_string());
        command.env("DSTREAM_TIMEOUT", "2");
        if index == 0 {
            command.env("DSTREAM_LISTEN", &self.listen);
        }
        Launched::spawn(&mut command)
    }
}

#[test]
fn a_network_that_is_slow_or_cut_costs_nothing_but_time() {
    let mut place = Place::new();
    let network = Network::default();
    let addresses = hosts(2);
    let (listen, other) = addresses.split_once(',').unwrap();
    let two =
        Two { hosts: format!("{},{other}", network.before(listen.to_owned())), listen: listen.to_owned() };
    network.millis.store(30, SeqCst);
    place.add(500);
    let mut processes = [two.start(&place, 0), two.start(&place, 1)];
    place.wait_for_all(&processes[0]);

    network.cut.store(true, SeqCst);
    place.add(500);
    // Both notice, and end.
    let deadline = Instant::now() + LONG;
    for process in &mut processes {
        while process.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "{}", process.log());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(process.log().contains("has said nothing for 2s"), "{}", process.log());
    }
    // They are started again before it is mended.
    processes = [two.start(&place, 0), two.start(&place, 1)];
    place.add(50);
    network.cut.store(false, SeqCst);
    place.wait_for_all(&processes[0]);
}
