use dstream::prelude::*;

#[derive(Clone, Record)]
struct Tweet {
    text: std::rc::Rc<str>,
}

fn main() {}
