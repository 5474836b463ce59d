//! The average of each sensor, once a second, from readings that arrive over UDP: a receiver of one's own.
//!
//! ```text
//! cargo run --release --example custom_receiver                      five seconds of sensors of its own
//! cargo run --release --example custom_receiver -- 127.0.0.1:9999    readings like `kitchen 21.5`
//! ```
use std::{
    error::Error,
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use dstream::receiver::{Receiver, ReceiverContext};

/// Receives one reading a datagram: the sensor's name and the value.
struct Sensors(UdpSocket);

impl Receiver for Sensors {
    type Block = Vec<(String, f64)>;

    fn name(&self) -> String {
        "sensors".into()
    }

    fn run(&mut self, ctx: &ReceiverContext<Self::Block>) -> Result<(), Box<dyn Error + Send + Sync>> {
        // So that a stop is noticed when nothing arrives.
        self.0.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut datagram = [0; 1500];
        while !ctx.is_stopping() {
            match self.0.recv(&mut datagram) {
                Ok(n) => match parse(&datagram[..n]) {
                    Some(reading) => drop(ctx.store(reading)),
                    None => ctx.report_error("a datagram that is no reading"),
                },
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // Run again after a delay, as after any other error.
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

fn parse(datagram: &[u8]) -> Option<(String, f64)> {
    let (sensor, value) = str::from_utf8(datagram).ok()?.trim().split_once(' ')?;
    Some((sensor.to_owned(), value.parse().ok()?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let socket = UdpSocket::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let bound = socket.local_addr()?;
    let sensors = Sensors(socket);

    let ssc = dstream::stream!(batch = 1s, {
        let sums = sensors.map(|(sensor, value)| (sensor, (value, 1u64)));
        let sums = sums.reduce_by_key(|(a, n), (b, m)| (a + b, n + m));
        sums.map_values(|(sum, n)| sum / n as f64).print();
    })?;
    ssc.start()?;
    if address.is_some() {
        return Ok(ssc.await_termination()?);
    }
    demonstrate(bound)?;
    ssc.stop_gracefully();
    Ok(())
}

/// Two sensors that send for five seconds.
fn demonstrate(to: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for tick in 0..50 {
        socket.send_to(format!("kitchen {}", 21 + tick % 3).as_bytes(), to)?;
        socket.send_to(format!("garden {}", tick % 10).as_bytes(), to)?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
