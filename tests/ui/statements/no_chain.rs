use dstream::prelude::*;

fn main() {
    let verbose = true;
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        println!("built");
        if verbose {
            lines.print();
        }
        lines.print();
    });
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        for n in 1..3 {
            lines.filter(|line| line.len() > n).print();
        }
        match verbose {
            true => lines.print(),
            false => lines.count().print(),
        }
        while verbose { lines.print(); }
        loop { lines.print(); }
        if let Some(n) = Some(1) { lines.print(); } else { lines.count().print(); }
        return;
    });
    let _ = dstream::stream!(batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        #[cfg(debug_assertions)]
        lines.print();
        let n = if verbose { 1 } else { 2 };
        fn len(line: &str) -> usize { line.len() }
        use std::collections::HashMap;
        let longest = lines.map(len).reduce(usize::max)?;
        longest.print()?;
        lines.map(len)
            .print()
        lines.print();
    });
}
