//! What each visitor of a site looked at, from the first page until nothing came for two seconds.
//!
//! `cargo run --example sessions`

use dstream::{Str, prelude::*};

fn main() -> anyhow::Result<()> {
    // Visitor and page, a second a batch.
    let clicks = vec![
        vec![("ann", "/"), ("bob", "/")],
        vec![("ann", "/books"), ("ann", "/books/dune")],
        vec![("cy", "/")],
        vec![],
        vec![("bob", "/help")],
    ];
    let checkpoint = tempfile::tempdir()?;

    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let visits = queue_stream(clicks);
        let ended = visits.map_with_state(
            |visitor: &Str, page: Option<Str>, path: &mut State<Vec<Str>>| {
                let mut pages = path.get().cloned().unwrap_or_default();
                let Some(page) = page else {
                    // The last call for this visitor: the state is removed behind it.
                    return Some((visitor.clone(), pages.join(" ")));
                };
                pages.push(page);
                path.update(pages);
                None
            },
            timeout = 2s,
        );
        ended.print();
    })?;
    Ok(ssc.run_batches(8)?)
}
