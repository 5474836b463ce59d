//! A plan as text for people.

use std::fmt;

use super::{Keeps, OperatorKind, OperatorPlan, PipelinePlan, Plan, Setting};

/// Where the places in the source begin.
const PLACES: usize = 72;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { name, batch_interval, checkpoint, settings, pipelines } = self;
        write!(f, "{name}: a batch every {batch_interval:?}, ")?;
        match checkpoint {
            Some(checkpoint) => writeln!(f, "checkpoint in {checkpoint}")?,
            None => writeln!(f, "no checkpoint")?,
        }
        let settings: Vec<_> =
            settings.iter().map(|Setting { name, value }| format!("{name} {value}")).collect();
        writeln!(f, "settings: {}", settings.join(", "))?;
        pipelines.iter().try_for_each(|pipeline| write!(f, "{pipeline}"))
    }
}

/// One stage after another, as a tree below what it reads; then what reads the whole result of an operator.
impl fmt::Display for PipelinePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\npipeline {}", self.id)?;
        for op in &self.operators {
            let stage = self.stages.iter().find(|stage| stage.reads == op.id);
            let members = stage.map(|stage| stage.operators.as_slice()).unwrap_or_default();
            let whole = self.readers(op.id).filter(|id| !members.contains(id));
            let whole: Vec<usize> = whole.filter(|_| op.kind == OperatorKind::Wide && op.computed).collect();
            if stage.is_none() && whole.is_empty() {
                continue;
            }
            line(f, 2, &op.describe(), op)?;
            if let Some(stage) = stage {
                writeln!(f, "    stage {}, a loop over its records:", stage.id)?;
                self.tree(f, op.id, members, 6)?;
            }
            if !whole.is_empty() {
                writeln!(f, "    its whole result goes to:")?;
                for id in whole {
                    self.operators.get(id).map_or(Ok(()), |op| line(f, 6, &op.describe(), op))?;
                }
            }
        }
        let mut unused = self.operators.iter().filter(|op| !op.computed).peekable();
        if unused.peek().is_some() {
            writeln!(f, "  not computed, as no output needs it:")?;
            unused.try_for_each(|op| line(f, 6, &op.describe(), op))?;
        }
        Ok(())
    }
}

impl PipelinePlan {
    /// The operators that read `id`, each once.
    fn readers(&self, id: usize) -> impl Iterator<Item = usize> {
        self.operators.iter().filter(move |op| op.inputs.contains(&id)).map(|op| op.id)
    }

    fn tree(&self, f: &mut fmt::Formatter<'_>, from: usize, members: &[usize], depth: usize) -> fmt::Result {
        for id in self.readers(from).filter(|id| members.contains(id)) {
            let Some(op) = self.operators.get(id) else { continue };
            line(f, depth, &op.describe(), op)?;
            if matches!(op.kind, OperatorKind::Narrow | OperatorKind::Forward) {
                self.tree(f, id, members, depth + 2)?;
            }
        }
        Ok(())
    }
}

impl OperatorPlan {
    /// `counts = reduce_by_key(|a, b| ..), 16 partitions`.
    fn describe(&self) -> String {
        let mut text = self.stream.as_ref().map(|stream| format!("{stream} = ")).unwrap_or_default();
        match (self.kind, &self.name) {
            (OperatorKind::Source, name) => text += name.as_ref().unwrap_or(&self.operator),
            (OperatorKind::Handle, _) => text += "published",
            (OperatorKind::Output, Some(name)) => {
                text += &format!("{}({}), output `{name}`", self.operator, self.arguments);
            }
            (_, Some(name)) if self.stream.as_ref() != Some(name) => {
                text += &format!("{}({}), `{name}`", self.operator, self.arguments);
            }
            _ => text += &format!("{}({})", self.operator, self.arguments),
        }
        match self.keeps {
            Keeps::Nothing => {}
            Keeps::Window => text += ", keeps a window",
            Keeps::State => text += ", keeps state",
        }
        text
    }
}

fn line(f: &mut fmt::Formatter<'_>, depth: usize, text: &str, op: &OperatorPlan) -> fmt::Result {
    let width = PLACES.saturating_sub(depth);
    writeln!(f, "{:depth$}{text:width$} {}:{}", "", op.file, op.line)
}
