use dstream::prelude::*;

#[derive(Clone, Record)]
struct Session {
    clicks: u64,
}

fn main() {
    let _ = dstream::stream!(batch = 1s, checkpoint = "checkpoint", {
        let pairs = queue_stream(vec![vec![("a", 1u64)]]);
        let sessions = pairs.update_state_by_key(|new: &[u64], _old| Some(Session { clicks: new.len() as u64 }));
        sessions.map(|(_, session)| session.clicks).print();
    });
}
