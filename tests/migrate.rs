//! Programs whose state has another type than that of the program before them.

use std::{fs, path::Path, time::Duration};

use dstream::{Str, prelude::*, testing::ManualClock};
use serde::{Deserialize, Serialize};

const START: u64 = 4_000_000_000;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// Files for the batches to come; the checkpoint writes down which batch takes which.
fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text)
        .and_then(|()| fs::rename(&hidden, folder.join(name)))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn conf(batch: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis((START + batch) * 1_000)))
}

fn in_cents(price: &str) -> u64 {
    price.parse().unwrap_or(0)
}

fn in_euros(price: &str) -> f64 {
    price.parse().unwrap_or(0.0) / 100.0
}

/// What each of the operators yields in a batch.
type Yields<T> = [Vec<Vec<(Str, T)>>; 4];

/// One word or several, the sums of the prices behind them; `$convert` is the option, or nothing.
macro_rules! program {
    ($dirs:expr, $batch:expr, $crash:expr, $money:ty, $parse:ident $(, migrate = $convert:expr)?) => {{
        let ((input, checkpoint), crash): ((&Path, &Path), bool) = ($dirs, $crash);
        let [totals, latest, recent, window]: [Collected<(Str, $money)>; 4] =
            std::array::from_fn(|_| Collected::new());
        let ssc = dstream::stream!(batch = 1s, conf = conf($batch), checkpoint = checkpoint, {
            let lines = (text_file_stream(input).new_files_only(false).settle(Duration::ZERO));
            let sales = lines.flat_map(|line| line.split_once(' ')).map(|(what, price)| {
                assert!(!crash, "the program has been told to");
                (what, $parse(price))
            });
            let sums = sales.update_state_by_key(
                |new: &[$money], old: Option<$money>| {
                    Some(old.unwrap_or_default() + new.iter().sum::<$money>())
                }
                $(, migrate = $convert)?
            );
            sums.collect_to(&totals);
            let (_events, last) = sales.map_with_state(
                |_what: &Str, price: Option<$money>, state: &mut State<$money>| {
                    price.into_iter().for_each(|price| state.update(price));
                    None::<()>
                }
                $(, migrate = $convert)?
            );
            last.collect_to(&latest);
            let week = sales.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 7s, 1s
                $(, migrate = $convert)?);
            week.collect_to(&recent);
            let most = sales.map(|(_, price)| price)
                .reduce_by_window(|a, b| if a > b { a } else { b }, 7s, 1s $(, migrate = $convert)?);
            most.map(|price| ("", price)).collect_to(&window);
        })?;
        let outcome = ssc.run_batches(1);
        let sorted = |out: Collected<(Str, $money)>| {
            out.values().into_iter().map(|mut batch| { batch.sort_by(|a, b| a.0.cmp(&b.0)); batch }).collect()
        };
        let yields: Yields<$money> = [sorted(totals), sorted(latest), sorted(recent), sorted(window)];
        outcome.map(|()| yields)
    }};
}

fn cents(dirs: (&Path, &Path), batch: u64) -> dstream::Result<Yields<u64>> {
    program!(dirs, batch, false, u64, in_cents)
}

/// A number that was written as cents can be read as euros: only the checkpoint knows which it is.
fn euros(dirs: (&Path, &Path), batch: u64, crash: bool) -> dstream::Result<Yields<f64>> {
    program!(dirs, batch, crash, f64, in_euros, migrate = |cents: u64| cents as f64 / 100.0)
}

fn euros_for_ever(dirs: (&Path, &Path), batch: u64) -> dstream::Result<Yields<f64>> {
    program!(dirs, batch, false, f64, in_euros)
}

fn yields<T: Copy>(tea: (T, T, T), most: T) -> Yields<T> {
    let (total, last, recent) = tea;
    let pairs = |price| vec![vec![("tea".into(), price)]];
    [pairs(total), pairs(last), pairs(recent), vec![vec![("".into(), most)]]]
}

#[test]
fn state_of_an_older_type_is_converted_once() -> dstream::Result<()> {
    let (input, checkpoint) = (folder(), folder());
    let dirs = (input.path(), checkpoint.path());
    put(dirs.0, "monday", "tea 250\ntea 150\n");
    assert_eq!(cents(dirs, 0)?, yields((400, 150, 400), 250));
    // The new program begins a batch, and dies before it is done.
    put(dirs.0, "tuesday", "tea 100\n");
    assert!(euros(dirs, 1, true).is_err());
    assert_eq!(euros(dirs, 1, false)?, yields((5.0, 1.0, 5.0), 2.5));
    // With the option still there, what has been converted is read as it is.
    put(dirs.0, "wednesday", "tea 300\n");
    assert_eq!(euros(dirs, 2, false)?, yields((8.0, 3.0, 8.0), 3.0));
    put(dirs.0, "thursday", "tea 50\n");
    assert_eq!(euros_for_ever(dirs, 3)?, yields((8.5, 0.5, 8.5), 3.0));
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
struct Totals {
    count: u64,
    sum: u64,
}

fn sums(checkpoint: &Path, forget: Vec<&'static str>) -> dstream::Result<Vec<Vec<(Str, Totals)>>> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, forget = forget, {
        let totals = queue_stream(vec![vec![("a", 5u64)]]).update_state_by_key(
            |new: &[u64], old: Option<Totals>| {
                let old = old.unwrap_or(Totals { count: 0, sum: 0 });
                Some(Totals { count: old.count + new.len() as u64, sum: old.sum + new.iter().sum::<u64>() })
            },
            migrate = |old: u64| Totals { count: old, sum: 0 },
        );
        totals.collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    Ok(out.values())
}

#[test]
fn what_can_not_be_converted_is_refused_with_the_type_that_could() -> dstream::Result<()> {
    let checkpoint = folder();
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let totals = queue_stream(vec![vec![("a", 1u64)]])
            .update_state_by_key(|_new: &[u64], _old: Option<String>| Some("text".to_owned()));
        totals.print();
    })?;
    ssc.run_batches(1)?;
    drop(ssc);
    let error = sums(checkpoint.path(), vec![]).map_err(|error| error.to_string());
    let parts = ["`totals`", "String>", "Totals>", "`migrate` expects `u64`", "forget = [\"totals\"]"];
    assert!(error.as_ref().is_err_and(|error| parts.iter().all(|part| error.contains(part))), "{error:?}");
    // Nothing has been changed by that.
    assert!(sums(checkpoint.path(), vec![]).is_err());
    assert_eq!(sums(checkpoint.path(), vec!["totals"])?, [[("a".into(), Totals { count: 1, sum: 5 })]]);
    Ok(())
}

#[test]
fn a_struct_takes_the_place_of_a_number() -> dstream::Result<()> {
    let checkpoint = folder();
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint.path(), {
        let totals = queue_stream(vec![vec![("a", 1u64), ("a", 1)]])
            .update_state_by_key(|new, old: Option<u64>| Some(old.unwrap_or(0) + new.len() as u64));
        totals.print();
    })?;
    ssc.run_batches(1)?;
    drop(ssc);
    assert_eq!(sums(checkpoint.path(), vec![])?, [[("a".into(), Totals { count: 3, sum: 5 })]]);
    Ok(())
}
