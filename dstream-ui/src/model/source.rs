//! What is known of a source.

use dstream_core::{
    Time,
    plan::{OperatorKind, Plan},
};

/// A source of the context.
#[derive(Debug)]
pub(crate) struct SourceRecord {
    pub(crate) name: String,
    /// Whether it is a receiver, which has a thread of its own.
    pub(crate) receiver: bool,
    pub(crate) active: bool,
    pub(crate) last_error: Option<(Time, String)>,
}

impl SourceRecord {
    /// The sources of a plan, in its order.
    pub(crate) fn of(plan: &Plan) -> Vec<SourceRecord> {
        let operators = plan.pipelines.iter().flat_map(|pipeline| &pipeline.operators);
        let sources = operators.filter(|op| op.kind == OperatorKind::Source);
        sources.filter_map(|op| op.name.as_deref()).map(SourceRecord::new).collect()
    }

    fn new(name: &str) -> SourceRecord {
        SourceRecord { name: name.to_owned(), receiver: false, active: true, last_error: None }
    }

    /// The source of this name, which is added if it is not known.
    pub(crate) fn find<'a>(sources: &'a mut Vec<SourceRecord>, name: &str) -> &'a mut SourceRecord {
        let at = sources.iter().position(|source| source.name == name).unwrap_or_else(|| {
            sources.push(SourceRecord::new(name));
            sources.len() - 1
        });
        &mut sources[at]
    }

    pub(crate) fn started(&mut self) {
        (self.receiver, self.active) = (true, true);
    }

    pub(crate) fn failed(&mut self, at: Time, error: &str) {
        (self.receiver, self.active) = (true, false);
        self.last_error = Some((at, error.to_owned()));
    }
}
