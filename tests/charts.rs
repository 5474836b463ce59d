//! The output `dashboard`: what charts show of each batch, for whoever listens.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use dstream::{
    chart::{Cell, ChartData, ChartKind},
    events::{ChartUpdated, Event},
    prelude::*,
    testing::{Events, TestSource},
};

/// The charts of all batches, in order.
fn updated(events: &Events) -> Vec<ChartUpdated> {
    let charts = events.recorded().into_iter().filter_map(|event| match event {
        Event::ChartUpdated(updated) => Some(updated),
        _ => None,
    });
    charts.collect()
}

fn shown(events: &Events, id: &str) -> Vec<ChartData> {
    updated(events).into_iter().filter(|updated| updated.chart.id == id).map(|updated| updated.data).collect()
}

fn bars(bars: &[(&str, f64)]) -> ChartData {
    ChartData::Bar { bars: bars.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect() }
}

fn line(points: &[(&str, f64)]) -> ChartData {
    ChartData::Line { points: points.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect() }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, Record)]
struct Alert {
    user: String,
    why: &'static str,
    times: Option<u32>,
}

#[test]
fn each_kind_shows_its_records() -> dstream::Result<()> {
    let events = Events::new();
    let pairs = vec![vec![("a", 1u64), ("b", 5), ("c", 5), ("d", 3)], vec![], vec![("e", 2)]];
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(events.clone()), {
        let pairs = queue_stream(pairs);
        pairs.dashboard("Bars", Chart::bar().top(2).unit("posts"));
        pairs.dashboard("Lines", Chart::line().top(3));
        pairs.count().dashboard("One line", Chart::line());
        pairs.values().map(|n| n as f32 / 2.0).dashboard("Number", Chart::number());
        pairs.map(|(name, n)| (f64::from(n as u32), -1.5, name, n)).dashboard("Map", Chart::map().top(1));
        pairs
            .map(|(name, n)| Alert { user: name.to_owned(), why: "loud", times: (n > 1).then_some(n as u32) })
            .dashboard("Table", Chart::table().rows(2).columns(["who"]));
    })?;
    ssc.run_batches(3)?;
    ssc.stop();

    assert_eq!(shown(&events, "Bars"), [bars(&[("b", 5.0), ("c", 5.0)]), bars(&[]), bars(&[("e", 2.0)])]);
    assert_eq!(shown(&events, "Lines")[0], line(&[("b", 5.0), ("c", 5.0), ("d", 3.0)]));
    assert_eq!(shown(&events, "One line"), [4.0, 0.0, 1.0].map(|n| line(&[("", n)])));
    let numbers = [Some(0.5), None, Some(1.0)].map(|value| ChartData::Number { value });
    assert_eq!(shown(&events, "Number"), numbers);
    let columns: Vec<String> = ["who", "why", "times"].map(String::from).to_vec();
    let text = |text: &str| Cell::Text(text.into());
    let rows = vec![vec![text("a"), text("loud"), Cell::Null], vec![text("b"), text("loud"), Cell::UInt(5)]];
    assert_eq!(shown(&events, "Table")[0], ChartData::Table { columns, rows });
    assert_eq!(shown(&events, "Table")[1], ChartData::Table { columns: vec!["who".into()], rows: vec![] });
    let ChartData::Map { points } = &shown(&events, "Map")[0] else { panic!("a map") };
    assert_eq!((points.len(), points[0].latitude, points[0].longitude), (1, 5.0, -1.5));
    assert_eq!((points[0].label.as_deref(), points[0].weight), (Some("b"), 5.0));

    let first = updated(&events).swap_remove(0).chart;
    assert_eq!((first.id.as_str(), first.title.as_str(), first.kind), ("Bars", "Bars", ChartKind::Bar));
    assert_eq!(first.unit.as_deref(), Some("posts"));
    Ok(())
}

/// A result that is there as a whole, a state that stages borrow from, and records of the loop, in many
/// blocks.
#[test]
fn the_largest_are_found_wherever_the_records_are() -> dstream::Result<()> {
    let events = Events::new();
    // Each number n from 1 to 300 is there n % 7 times, and no two blocks have the same.
    let numbers: Vec<u64> = (1..=300).flat_map(|n| vec![n; n % 7]).map(|n| n as u64).collect();
    let conf = Config::new().listener(events.clone()).volatile_state(true);
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = queue_stream(vec![numbers]).repartition(5);
        let counts = numbers.map(|n| (n, 1u64)).reduce_by_key(|a, b| a + b);
        counts.dashboard("whole", Chart::bar().top(43));
        counts.map(|(n, count)| (n, count)).dashboard("loop", Chart::bar().top(43));
        let totals = numbers
            .map(|n| (n, 1u64))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.dashboard("state", Chart::bar().top(43));
    })?;
    ssc.run_batches(1)?;
    ssc.stop();

    // 43 numbers from 1 to 300 leave 6 when divided by 7.
    let expected: Vec<u64> = (1..=300).filter(|n| n % 7 == 6).collect();
    for id in ["whole", "loop", "state"] {
        let [ChartData::Bar { bars }] = &*shown(&events, id) else { panic!("one batch of {id}") };
        let mut largest: Vec<u64> = bars.iter().map(|(label, _)| label.parse().expect("a number")).collect();
        largest.sort_unstable();
        assert_eq!(largest, expected, "{id}");
        assert!(bars.iter().all(|(_, count)| *count == 6.0), "{id}: {bars:?}");
    }
    Ok(())
}

#[test]
fn what_can_not_be_drawn_is_left_out() -> dstream::Result<()> {
    let events = Events::new();
    let values = vec![vec![("a", f64::NAN), ("b", f64::INFINITY), ("c", -2.0)]];
    let places = vec![vec![(91.0, 0.0), (0.0, 180.5), (f64::NAN, 0.0), (-90.0, 180.0)]];
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(events.clone()), {
        queue_stream(values).dashboard("bars", Chart::bar());
        queue_stream(places).dashboard("map", Chart::map());
    })?;
    ssc.run_batches(1)?;
    ssc.stop();
    assert_eq!(shown(&events, "bars"), [bars(&[("c", -2.0)])]);
    let ChartData::Map { points } = &shown(&events, "map")[0] else { panic!("a map") };
    assert_eq!(points.iter().map(|point| point.latitude).collect::<Vec<_>>(), [-90.0]);
    Ok(())
}

/// It comes between the events of its output, and looks as documented for whoever reads JSON.
#[test]
fn a_chart_is_an_event_of_its_output() -> dstream::Result<()> {
    let events = Events::new();
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(events.clone()), {
        queue_stream(vec![vec![7u8]]).dashboard("n", Chart::number()).named("newest number");
    })?;
    ssc.run_batches(1)?;
    ssc.stop();
    let recorded = events.recorded();
    let names: Vec<String> = recorded
        .iter()
        .filter_map(|event| match event {
            Event::OutputStarted(event) => Some(format!("started {}", event.output)),
            Event::ChartUpdated(event) => Some(format!("updated {}, {}", event.chart.id, event.chart.title)),
            Event::OutputCompleted(event) => Some(format!("completed {}", event.output)),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["started newest number", "updated newest number, n", "completed newest number"]);
    Ok(())
}

/// Where nobody listens no record is kept for a chart; who comes later is told of what follows.
#[test]
fn a_listener_may_come_later() -> dstream::Result<()> {
    let (events, words) = (Events::new(), TestSource::new());
    let source = words.clone();
    let ssc = dstream::stream!(batch = 1s, {
        source.map(|word| (word, 1)).dashboard("words", Chart::bar());
    })?;
    words.push(vec!["early"]);
    ssc.run_batches(1)?;
    ssc.add_listener(events.clone())?;
    words.push(vec!["late"]);
    ssc.run_batches(1)?;
    assert!(events.wait_for(Duration::from_secs(10), |events| {
        events.iter().any(|event| matches!(event, Event::BatchCompleted(_)))
    }));
    assert_eq!(shown(&events, "words"), [bars(&[("late", 1.0)])]);
    ssc.stop();
    Ok(())
}

/// The tasks of its first batch have dropped their records, since nobody listened when they began.
#[test]
fn who_comes_within_a_batch_is_told_of_the_next() -> dstream::Result<()> {
    let (events, context) = (Events::new(), Arc::new(OnceLock::<StreamingContext>::new()));
    let (listener, joined) = (events.clone(), context.clone());
    let ssc = dstream::stream!(batch = 1s, {
        let words = queue_stream(vec![vec!["early"], vec!["late"]]);
        let joining = words.inspect(move |word| {
            if let (&"early", Some(ssc)) = (word, joined.get()) {
                ssc.add_listener(listener.clone()).expect("a listener");
            }
        });
        joining.map(|word| (word, 1)).dashboard("words", Chart::bar());
    })?;
    context.set(ssc.clone()).expect("the context");
    ssc.run_batches(2)?;
    ssc.stop();
    assert_eq!(shown(&events, "words"), [bars(&[("late", 1.0)])]);
    Ok(())
}

#[test]
fn two_charts_of_one_name_are_refused() -> dstream::Result<()> {
    let ssc = dstream::stream!(batch = 1s, {
        let numbers = queue_stream(vec![vec![1u8]]);
        numbers.count().dashboard("n", Chart::number());
        numbers.dashboard("n", Chart::number());
    })?;
    let error = ssc.run_batches(1).expect_err("two of them").to_string();
    assert!(
        error.contains("two charts of this context are called `n`") && error.contains(".named"),
        "{error}"
    );
    Ok(())
}

/// The title as the name of the output: two charts of a stream need no other one beside a checkpoint.
#[test]
fn titles_are_names() -> dstream::Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let dynamic = String::from("third");
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        let pairs = queue_stream(vec![vec![("a", 1u8)]]);
        pairs.dashboard("first", Chart::bar());
        pairs.dashboard("second", Chart::line());
        pairs.dashboard(dynamic, Chart::table());
    })?;
    let outputs: Vec<_> =
        ssc.plan().pipelines[0].outputs().filter_map(|output| output.name.clone()).collect();
    assert_eq!(outputs, ["first", "second", "pairs.dashboard"]);
    ssc.run_batches(1)
}
