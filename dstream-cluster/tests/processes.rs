//! The example as processes of their own, which are killed, stopped and cut off.

#[path = "processes/cut_off.rs"]
mod cut_off;
#[path = "processes/place.rs"]
mod place;

use std::{io::Write, net::TcpStream, process::Command, time::Instant};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use place::{LONG, Launched, Place, example, hosts, signal};

#[test]
fn processes_that_die_cost_nothing_but_time() {
    let mut place = Place::new();
    let mut random = SmallRng::seed_from_u64(7);
    let kills = std::env::var("CLUSTER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12);
    let mut launched = Launched::launch(&place, 3, "2");
    let mut recoveries = Vec::new();
    for kill in 0..kills {
        place.add(random.random_range(1..2_000));
        if random.random_bool(0.5) {
            place.wait_for_all(&launched);
            place.add(50);
        }
        let pids = launched.pids();
        if !pids.is_empty() {
            // One that hangs is noticed after the timeout.
            let how = if kill % 4 == 3 { "STOP" } else { "KILL" };
            signal(pids[random.random_range(0..pids.len())], how);
        }
        place.add(50);
        let began = Instant::now();
        place.wait_for_all(&launched);
        recoveries.push(began.elapsed());
    }
    recoveries.sort_unstable();
    let mut out = std::io::stdout();
    writeln!(out, "recovery: median {:?}, longest {:?}", recoveries[recoveries.len() / 2], recoveries.last())
        .unwrap();
    launched.stop();
    assert_eq!(place.totals(), place.expected);
    // Others go on with it: more processes, and one alone.
    for processes in [4, 1] {
        place.add(700);
        let mut launched = Launched::launch(&place, processes, "10");
        place.wait_for_all(&launched);
        launched.stop();
    }
    place.add(80);
    let alone = Launched::spawn(Command::new(example()).args(place.arguments()));
    place.wait_for_all(&alone);
}

#[test]
fn strangers_are_refused_and_disturb_nobody() {
    let mut place = Place::new();
    place.add(100);
    let hosts = hosts(2);
    let address = hosts.split(',').next().unwrap().to_owned();
    let mut first = Launched::one(&place, &hosts, 0, "open sesame");
    let deadline = Instant::now() + LONG;
    let mut garbage = loop {
        match TcpStream::connect(&address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    // Some say nothing, some say something else.
    let _silent: Vec<_> = (0..20).map(|_| TcpStream::connect(&address).unwrap()).collect();
    garbage.write_all(&[0xA5; 4096]).unwrap();
    first.wait_for_log("is no process of a dstream program");
    let mut stranger = Launched::one(&place, &hosts, 1, "friend");
    first.wait_for_log("has another secret");
    signal(stranger.process.id(), "TERM");
    // It waits for the others, and ends all the same.
    drop(stranger.process.wait());
    let second = Launched::one(&place, &hosts, 1, "open sesame");
    place.wait_for_all(&first);
    // Whoever is told to stop, all do.
    signal(second.process.id(), "TERM");
    assert!(first.process.wait().unwrap().success(), "{}", first.log());
    drop(second);
}

#[test]
fn who_is_missing_is_said_and_a_launcher_gives_up_on_a_program_that_fails() {
    let place = Place::new();
    let hosts = hosts(2);
    let mut first = Launched::one(&place, &hosts, 0, "");
    first.wait_for_log("process 0 waits for process 1 at 127.0.0.1:");
    signal(first.process.id(), "TERM");
    assert!(!first.process.wait().unwrap().success(), "it has not started");

    let mut failing = Launched::spawn(Command::new(env!("CARGO_BIN_EXE_dstream-launch")).args([
        "-n",
        "2",
        "--restarts",
        "2",
        "--",
        "sh",
        "-c",
        "exit 3",
    ]));
    assert_eq!(failing.process.wait().unwrap().code(), Some(3));
    failing.wait_for_log("giving up, since the program has failed 3 times in a row");
}
