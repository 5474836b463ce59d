//! A source with plans: journals, which are files that lines are appended to. A batch is a range of bytes of
//! each.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use dstream::{
    Bytes, Result, Time,
    checkpoint::Stateful,
    source::{Block, Checkpointed, Limits, Source, TextBlock},
};
use serde::{Deserialize, Serialize};

/// The lines that are appended to the files of a folder.
pub struct Journals {
    folder: PathBuf,
    /// How many bytes of each file belong to a batch.
    read: Checkpointed<BTreeMap<String, u64>>,
}

impl Journals {
    pub fn new(folder: impl Into<PathBuf>) -> Journals {
        Journals { folder: folder.into(), read: Checkpointed::new(BTreeMap::new()) }
    }

    /// What has been appended and belongs to no batch.
    fn appended(&self) -> std::io::Result<Vec<Range>> {
        let mut ranges = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            let (from, until) = (self.read.get(&file).copied().unwrap_or(0), entry.metadata()?.len());
            if from < until {
                ranges.push(Range { file, from, until });
            }
        }
        ranges.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(ranges)
    }

    /// The range up to its last whole line, and no longer than `most` lines.
    fn whole_lines(&self, range: &Range, most: &mut u64) -> std::io::Result<Option<Range>> {
        let text = read(&self.folder, range)?;
        let mut end = 0;
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            if *most == 0 {
                break;
            }
            *most -= 1;
            end = at as u64 + 1;
        }
        Ok((end > 0).then(|| Range { until: range.from + end, ..range.clone() }))
    }
}

/// A range of bytes of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    file: String,
    from: u64,
    until: u64,
}

fn read(folder: &std::path::Path, range: &Range) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(folder.join(&range.file))?;
    file.seek(SeekFrom::Start(range.from))?;
    let mut text = Vec::new();
    file.take(range.until - range.from).read_to_end(&mut text)?;
    Ok(text)
}

impl Source for Journals {
    type Block = Part;
    type Plan = Vec<Range>;

    fn name(&self) -> String {
        format!("journals({})", self.folder.display())
    }

    fn plan(&mut self, _: Time, limits: &Limits) -> Result<Option<Vec<Range>>> {
        let failed = |error| dstream::Error::source(self.name(), error);
        let mut most = limits.at_most(u64::MAX);
        let mut plan = Vec::new();
        for range in self.appended().map_err(failed)? {
            plan.extend(self.whole_lines(&range, &mut most).map_err(failed)?);
        }
        for range in &plan {
            self.read.insert(range.file.clone(), range.until);
        }
        Ok((!plan.is_empty()).then_some(plan))
    }

    fn blocks(&mut self, _: Time, plan: &Vec<Range>) -> Result<Vec<Part>> {
        let part = |range: &Range| Part { folder: self.folder.clone(), range: range.clone(), text: None };
        Ok(plan.iter().map(part).collect())
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.read)
    }

    fn has_pending(&self) -> bool {
        let whole = |range: &Range| matches!(self.whole_lines(range, &mut 1), Ok(Some(_)));
        self.appended().is_ok_and(|ranges| ranges.iter().any(whole))
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(!self.has_pending())
    }
}

/// The lines of one range: read when their task begins.
pub struct Part {
    folder: PathBuf,
    range: Range,
    text: Option<TextBlock>,
}

impl Block for Part {
    type Record<'a> = &'a str;

    fn open(&mut self) -> Result<()> {
        let text = read(&self.folder, &self.range)
            .map_err(|error| dstream::Error::io(format_args!("reading `{}`", self.range.file), error))?;
        self.text = Some(TextBlock::new(Bytes::from(text)));
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = &str> {
        self.text.iter_mut().flat_map(|text| text.records())
    }

    fn weight(&self) -> usize {
        (self.range.until - self.range.from) as usize
    }
}
