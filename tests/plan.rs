//! The plan that a context gives of itself.

use std::time::Duration;

use dstream::{
    Config, StreamingContext,
    plan::{Keeps, OperatorKind, OperatorPlan, Plan},
    prelude::*,
};

fn source() -> dstream::source::QueueStream<String> {
    queue_stream(vec![vec!["a b".to_owned()]])
}

fn context() -> StreamingContext {
    StreamingContext::with_config(Duration::from_secs(1), Config::new().threads(2)).unwrap()
}

fn at<'a>(plan: &'a Plan, stream: &str) -> &'a OperatorPlan {
    let operators = plan.pipelines.iter().flat_map(|pipeline| &pipeline.operators);
    operators.into_iter().find(|op| op.stream.as_deref() == Some(stream)).unwrap()
}

#[test]
fn a_plan_says_what_each_operator_is_and_where() {
    let ssc = context();
    let pages = 3;
    dstream::stream!(ssc, {
        let lines = source();
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        let recent =
            pairs.reduce_by_key_and_window(|a, b| a + b, 4s, Duration::from_secs(2), partitions = pages);
        recent.print();
        let totals =
            pairs.update_state_by_key(|new: &[u64], old| Some(new.len() as u64 + old.unwrap_or(0u64)));
        totals.count().print();
        let _nobody = lines.map(|line| line.len());
    })
    .unwrap();
    let words = dstream::stream!(ssc, { source().union(source()).words() }).unwrap();
    dstream::stream!(ssc, { (&words).count().print() }).unwrap();
    let plan = ssc.plan();

    let recent = at(&plan, "recent");
    assert_eq!(recent.operator, "reduce_by_key_and_window");
    assert_eq!(recent.arguments, "|a, b| .., 4s, .., partitions = pages");
    assert_eq!((recent.kind, recent.keeps, recent.partitions), (OperatorKind::Wide, Keeps::Window, Some(3)));
    let window = recent.window.unwrap();
    assert_eq!((window.length, window.slide), (Duration::from_secs(4), Duration::from_secs(2)));
    let totals = at(&plan, "totals");
    assert_eq!((totals.keeps, totals.name.as_deref()), (Keeps::State, Some("totals")));
    assert_eq!(totals.inputs, [at(&plan, "pairs").id]);
    assert_eq!(at(&plan, "lines").name.as_deref(), Some("queue_stream"));
    assert!(!at(&plan, "_nobody").computed);

    let source = include_str!("plan.rs");
    let lines: Vec<&str> = source.lines().collect();
    let [first, second, third] = &plan.pipelines[..] else { panic!("{plan}") };
    for op in plan.pipelines.iter().flat_map(|pipeline| &pipeline.operators) {
        assert!(op.file.ends_with("tests/plan.rs"), "{op:?}");
        let text = &lines[op.line as usize - 1][op.column as usize - 1..];
        let found = match op.kind {
            // A stream that is published is that of the last call, and what reads it is in parentheses.
            OperatorKind::Handle => "words",
            OperatorKind::Source if text.starts_with('(') => "(&words)",
            _ => &op.operator,
        };
        assert!(text.starts_with(found), "{op:?}: {text}");
    }
    assert_eq!(first.stages.len(), 1, "{plan}");
    assert_eq!(first.outputs().count(), 2);
    assert_eq!(second.stages.iter().map(|stage| stage.reads).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(second.outputs().map(|op| op.kind).collect::<Vec<_>>(), [OperatorKind::Handle]);
    assert_eq!(
        second.edges().map(|edge| (edge.from, edge.to)).collect::<Vec<_>>(),
        [(0, 2), (1, 2), (2, 3), (3, 4)]
    );
    assert_eq!(third.sources().count(), 1);
}

/// Every operator is in the text, in DOT and in Mermaid; no name breaks their syntax.
#[test]
fn a_plan_is_text_and_graphs() {
    let ssc = dstream::stream!(batch = 1s, name = r#"a "quoted" \ name"#, {
        let lines = source();
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        let counts = pairs.reduce_by_key(|a, b| a + b);
        counts.print();
        counts.filter(|(_, n)| *n > 1).count().print(3);
    })
    .unwrap();
    let plan = ssc.plan();
    let text = plan.to_string();
    let without_places: Vec<&str> =
        text.lines().map(|line| line.split(" tests/").next().unwrap_or_default().trim_end()).collect();
    assert_eq!(
        without_places[2..],
        [
            "",
            "pipeline 0",
            "  lines = queue_stream",
            "    stage 0, a loop over its records:",
            "      flat_map(|line| ..)",
            "        pairs = map(|word| ..)",
            "          counts = reduce_by_key(|a, b| ..)",
            "  counts = reduce_by_key(|a, b| ..)",
            "    stage 1, a loop over its records:",
            "      filter(|(_, n)| ..)",
            "        count()",
            "    its whole result goes to:",
            "      print(), output `counts.print`",
            "  count()",
            "    its whole result goes to:",
            "      print(3), output `counts.filter.count.print`",
        ],
        "{text}"
    );
    assert!(text.contains("tests/plan.rs:"), "{text}");
    assert!(text.contains("settings: threads "), "{text}");
    for graph in [plan.to_dot(), plan.to_mermaid()] {
        for node in (0..7).map(|id| format!("p0_{id}")) {
            assert!(graph.contains(&node), "{graph}");
        }
        assert!(graph.contains("counts: reduce_by_key"), "{graph}");
    }
    assert!(plan.to_dot().starts_with(r#"digraph "a \"quoted\" \\ name" {"#));
}
