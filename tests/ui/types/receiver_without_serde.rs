use std::error::Error;

use dstream::receiver::{Receiver, ReceiverContext};

struct Reading(f64);

struct Sensors;

impl Receiver for Sensors {
    type Block = Vec<Reading>;

    fn name(&self) -> String {
        "sensors".into()
    }

    fn run(&mut self, _: &ReceiverContext<Vec<Reading>>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

fn main() {}
