use std::{cell::RefCell, rc::Rc};

use dstream::prelude::*;

fn main() {
    let names = Rc::new(vec!["a"]);
    let seen = RefCell::new(0);
    let last = Rc::new(RefCell::new(0));
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        lines.filter(|line| names.contains(line)).print();
        lines.map(|line| {
            *seen.borrow_mut() += 1;
            line.len()
        }).print();
        lines.foreach_rdd(|rdd| *last.borrow_mut() = rdd.count());
    });
}
