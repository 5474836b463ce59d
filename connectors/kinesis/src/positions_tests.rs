use super::*;
use crate::page::HashRange;

fn shard(id: &str, parents: &[&str], closed: bool) -> Listed {
    let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
    Listed { id: id.to_owned(), parents, closed, hashes: HashRange::ALL }
}

/// The shards that begin.
fn begun(positions: &mut Positions, listing: &[Listed], start: Start) -> Vec<String> {
    let followed = positions.follow(listing, 5_000, start, false);
    assert_eq!(followed.losses, [""; 0]);
    followed.ready.into_iter().map(|ready| ready.shard.id).collect()
}

/// What a restart has.
fn restarted(positions: &mut Positions, into: &mut Positions) {
    let (origin, changed, removed) = positions.take_changed();
    into.origin = origin.or(into.origin);
    for (name, position) in changed {
        into.shards.insert(name.to_owned(), Kept { position: position.clone(), changed: false });
    }
    removed.iter().for_each(|name| drop(into.shards.remove(name)));
}

#[test]
fn children_begin_when_all_parents_have_been_read() {
    let mut positions = Positions::default();
    // 0 and 1 are merged into 2, which is split into 3 and 4.
    let listing = [
        shard("0", &[], true),
        shard("1", &["gone"], true),
        shard("2", &["0", "1"], true),
        shard("3", &["2"], false),
        shard("4", &["2"], false),
    ];
    let mut next = |done: &str| {
        positions.finish(done);
        let mut saved = Positions::default();
        restarted(&mut positions, &mut saved);
        begun(&mut positions, &listing, Start::TrimHorizon)
    };
    assert_eq!(next(""), ["0", "1"]);
    assert_eq!(next("1"), [""; 0]);
    assert_eq!(next("0"), ["2"]);
    assert_eq!(next("2"), ["3", "4"]);
}

#[test]
fn a_restart_reads_neither_what_was_done_nor_a_child_too_early() {
    let (mut positions, mut saved) = (Positions::default(), Positions::default());
    let listing = [shard("0", &[], true), shard("1", &[], true), shard("2", &["0", "1"], false)];
    begun(&mut positions, &listing, Start::TrimHorizon);
    positions.finish("0");
    positions.advance("1", "77");
    restarted(&mut positions, &mut saved);
    let followed = saved.follow(&listing, 9_000, Start::TrimHorizon, false);
    let position = Position::At { number: "77".into(), until: 0 };
    assert_eq!(followed.ready, [Ready { shard: listing[1].clone(), position, at_latest: false }]);
    // It is removed when the stream does not have it any more, and its children don't wait for it.
    assert_eq!(begun(&mut saved, &listing[1..], Start::TrimHorizon), [""; 0]);
    saved.finish("1");
    restarted(&mut saved, &mut positions);
    assert_eq!(positions.all().keys().collect::<Vec<_>>(), [&"1", &"2"]);
    assert_eq!(begun(&mut saved, &listing[2..], Start::TrimHorizon), ["2"]);
}

#[test]
fn a_stream_that_is_read_from_now_on_has_what_was_closed_before_in_no_batch() {
    let (mut positions, mut saved) = (Positions::default(), Positions::default());
    let listing = [shard("0", &[], true), shard("1", &["0"], false)];
    let followed = positions.follow(&listing, 5_000, Start::Latest, false);
    let ready = Ready { shard: listing[1].clone(), position: Position::Start, at_latest: true };
    assert_eq!(followed.ready, std::slice::from_ref(&ready));
    // A restart goes on from the time of the first start, whatever is set by then.
    restarted(&mut positions, &mut saved);
    let followed = saved.follow(&listing, 6_000, Start::TrimHorizon, false);
    assert_eq!(followed.ready, [Ready { at_latest: false, ..ready }]);
    assert_eq!(saved.origin(), Origin::Time(5_000));
}

#[test]
fn shards_that_are_gone_are_losses_unless_they_were_read_to_their_end() {
    let mut positions = Positions::default();
    let listing = [shard("0", &[], false), shard("1", &[], false), shard("2", &[], false)];
    begun(&mut positions, &listing, Start::TrimHorizon);
    positions.advance("0", "77");
    positions.finish("1");
    positions.take_changed();
    let losses = positions.follow(&[], 5_000, Start::TrimHorizon, false).losses;
    assert_eq!((losses.len(), positions.all().len()), (2, 3));
    assert!(positions.take_changed().2.is_empty());
    // Only where they are skipped a restart does not find them again.
    assert_eq!(positions.follow(&[], 5_000, Start::TrimHorizon, true).losses, losses);
    assert_eq!((positions.all().len(), positions.take_changed().2.len()), (0, 3));
    assert!(losses[0].contains("0, which had been read up to 77"), "{losses:?}");
    assert!(losses[1].contains("2, of which nothing had been read"), "{losses:?}");

    let mut positions = Positions::default();
    begun(&mut positions, &listing[..1], Start::TrimHorizon);
    positions.finish("0");
    let followed = positions.follow(&listing[..1], 5_000, Start::TrimHorizon, false);
    assert!(followed.losses[0].contains("made anew") && followed.ready.is_empty(), "{followed:?}");
    let followed = positions.follow(&listing[..1], 5_000, Start::TrimHorizon, true);
    assert_eq!(followed.ready.len(), 1);
}

#[test]
fn quiet_shards_are_written_rarely() {
    let mut positions = Positions::default();
    begun(&mut positions, &[shard("0", &[], false)], Start::TrimHorizon);
    positions.advance("0", "7");
    positions.take_changed();
    let mut changed = |time| {
        positions.read_until("0", time);
        positions.take_changed().1.len()
    };
    let now = 1_796_083_200_000;
    // The first time is far from none.
    assert_eq!([now, now + 1_000, now + 2_000].map(&mut changed), [1, 0, 0]);
    assert_eq!((0..1_200).map(|second| changed(now + 1_000 * second)).sum::<usize>(), 1);
}
