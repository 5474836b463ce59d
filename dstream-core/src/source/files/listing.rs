//! Which files a batch takes.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, Metadata},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    Time,
    checkpoint::{Changes, Stateful, decode},
};

/// What the user has said about the files.
pub(super) struct Rules {
    pub(super) settle: Duration,
    pub(super) filter: Option<Filter>,
}

type Filter = Box<dyn Fn(&Path) -> bool + Send>;

/// What a stream of files knows from batch to batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    folders: HashMap<PathBuf, HashMap<OsString, Mark>>,
    /// When the stream began.
    start: Time,
    /// Counts listings: what is not in the latest one has gone.
    listing: u64,
    /// What no checkpoint has been told yet; `None` before the first.
    untold: Option<Vec<(PathBuf, OsString)>>,
    /// Whether what is known came back from a checkpoint.
    restored: bool,
}

/// The keys under which a checkpoint has it.
#[derive(Serialize, Deserialize)]
enum Known {
    Start,
    File(OsString, OsString),
}

impl Stateful for Seen {
    fn fingerprint(&self) -> String {
        "files".into()
    }

    fn changes(&mut self, out: &mut Changes) {
        match self.untold.replace(Vec::new()) {
            Some(untold) => {
                for (folder, name) in untold {
                    let mark =
                        self.folders.get(&folder).and_then(|marks| marks.get(&name)).map(|mark| mark.state);
                    let key = Known::File(folder.into(), name);
                    match mark {
                        Some(state) => out.put(&key, &state),
                        None => out.delete(&key),
                    }
                }
            }
            None => {
                out.clear();
                out.put(&Known::Start, &self.start);
                for (folder, marks) in &self.folders {
                    for (name, mark) in marks {
                        out.put(&Known::File(folder.clone().into(), name.clone()), &mark.state);
                    }
                }
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if !std::mem::replace(&mut self.restored, true) {
            // What was there at this start says nothing: some of it came while the program was down.
            self.folders.clear();
        }
        match decode(key)? {
            Known::Start => self.start = decode(value)?,
            Known::File(folder, name) => {
                let mark = Mark { state: decode(value)?, listing: 0 };
                self.folders.entry(folder.into()).or_default().insert(name, mark);
            }
        }
        Ok(())
    }

    fn finish_restore(&mut self) -> Result<(), String> {
        self.untold = Some(Vec::new());
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    state: MarkState,
    listing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MarkState {
    /// It was there at the start.
    Left,
    /// It belongs to a batch.
    Taken,
    /// It can't even be looked at, and that has been reported.
    Broken,
}

/// Paths with their lengths, in the order in which they are processed.
type Found = Vec<(PathBuf, u64)>;
type Broken = Vec<(PathBuf, io::Error)>;

impl Seen {
    /// Leaves what is there at the start.
    pub(super) fn leave(&mut self, listing: &Listing, start: Time) {
        self.start = start;
        for (folder, names) in &listing.folders {
            let mark = Mark { state: MarkState::Left, listing: 0 };
            self.folders.insert(folder.clone(), names.iter().map(|name| (name.clone(), mark)).collect());
        }
    }

    /// How many files are left in each folder since they were there at this start; none are if it goes on
    /// from a checkpoint.
    pub(super) fn left(&self, rules: &Rules) -> Vec<(PathBuf, usize)> {
        let folders = self.folders.iter().filter(|_| !self.restored).map(|(folder, marks)| {
            let left = marks.iter().filter(|(name, mark)| {
                let path = folder.join(name);
                mark.state == MarkState::Left
                    && path.is_file()
                    && rules.filter.as_ref().is_none_or(|accept| accept(&path))
            });
            (folder.clone(), left.count())
        });
        folders.filter(|(_, files)| *files > 0).collect()
    }

    /// What belongs to the batch at `time`; with a limit the oldest files until there are `allowed` bytes,
    /// and the others later.
    pub(super) fn take(
        &mut self,
        listing: &Listing,
        time: Time,
        rules: &Rules,
        allowed: Option<u64>,
    ) -> (Found, Broken) {
        let settled = since_epoch(time - rules.settle);
        let start = since_epoch(self.start);
        self.choose(listing, rules, allowed, |modified, mark| {
            modified <= settled && (mark != Some(MarkState::Left) || modified > start)
        })
    }

    /// All that is there.
    pub(super) fn take_all(&mut self, listing: &Listing, rules: &Rules) -> (Found, Broken) {
        self.choose(listing, rules, None, |_, _| true)
    }

    fn choose(
        &mut self,
        listing: &Listing,
        rules: &Rules,
        allowed: Option<u64>,
        due: impl Fn(Duration, Option<MarkState>) -> bool,
    ) -> (Found, Broken) {
        let mut found = Vec::new();
        let mut broken = Vec::new();
        self.listing += 1;
        for (folder, names) in &listing.folders {
            let marks = self.folders.entry(folder.clone()).or_default();
            for name in names {
                let mark = marks.get_mut(name).map(|mark| {
                    mark.listing = self.listing;
                    mark.state
                });
                // Not looked at any more: a folder may hold many that are done with.
                if mark == Some(MarkState::Taken) {
                    continue;
                }
                let path = folder.join(name);
                if rules.filter.as_ref().is_some_and(|accept| !accept(&path)) {
                    continue;
                }
                match fs::metadata(&path) {
                    Ok(file) if file.is_file() && file.len() > 0 => {
                        let modified = modified(&file);
                        if due(modified, mark) {
                            found.push((modified, folder, name, file.len()));
                        }
                    }
                    Ok(_) => {}
                    // It went after it was listed, unless it is a link to nothing.
                    Err(e) if e.kind() == ErrorKind::NotFound && !path.is_symlink() => {}
                    Err(_) if mark == Some(MarkState::Broken) => {}
                    Err(error) => broken.push((folder, name, error)),
                }
            }
        }
        found.sort_unstable_by_key(|(modified, folder, name, _)| (*modified, *folder, *name));
        if let Some(allowed) = allowed {
            let mut bytes = 0u64;
            let fit = found.iter().take_while(|(_, _, _, len)| {
                let fits = bytes < allowed;
                bytes = bytes.saturating_add(*len);
                fits
            });
            found.truncate(fit.count());
        }
        // Nothing is marked before this point: a filter that panics loses no file.
        for (_, folder, name, _) in &found {
            self.mark(folder, name, MarkState::Taken);
        }
        for (folder, name, _) in &broken {
            self.mark(folder, name, MarkState::Broken);
        }
        self.forget(listing);
        (
            found.into_iter().map(|(_, folder, name, len)| (folder.join(name), len)).collect(),
            broken.into_iter().map(|(folder, name, error)| (folder.join(name), error)).collect(),
        )
    }

    fn mark(&mut self, folder: &PathBuf, name: &OsString, state: MarkState) {
        if let Some(marks) = self.folders.get_mut(folder) {
            marks.insert(name.clone(), Mark { state, listing: self.listing });
            if let Some(untold) = &mut self.untold {
                untold.push((folder.clone(), name.clone()));
            }
        }
    }

    /// Forgets names that have gone, so that this does not grow for ever. But not what was in a folder that
    /// can't be listed, nor everything at once: it may come back as it was.
    fn forget(&mut self, listing: &Listing) {
        if listing.folders.iter().all(|(folder, _)| listing.incomplete.contains(folder)) {
            return;
        }
        let listed: HashSet<&PathBuf> = listing.folders.iter().map(|(folder, _)| folder).collect();
        let mut untold = self.untold.take();
        let mut gone = |folder: &PathBuf, name: &OsString| {
            if let Some(untold) = &mut untold {
                untold.push((folder.clone(), name.clone()));
            }
        };
        self.folders.retain(|folder, marks| {
            let stays = listed.contains(folder);
            if !stays {
                marks.keys().for_each(|name| gone(folder, name));
            }
            stays
        });
        for (folder, marks) in &mut self.folders {
            if !listing.incomplete.contains(folder) {
                marks.retain(|name, mark| {
                    let stays = mark.listing == self.listing;
                    if !stays {
                        gone(folder, name);
                    }
                    stays
                });
            }
        }
        self.untold = untold;
    }
}

/// A batch time as files count.
fn since_epoch(time: Time) -> Duration {
    Duration::from_millis(time.as_millis())
}

fn modified(file: &Metadata) -> Duration {
    // A file system without such times, or a file from before 1970: old enough.
    file.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The names in each folder, without those that are hidden.
#[derive(Default)]
pub(super) struct Listing {
    folders: Vec<(PathBuf, Vec<OsString>)>,
    /// The folders whose listing may lack something.
    incomplete: HashSet<PathBuf>,
    /// What could not be listed, and why.
    pub(super) problems: Vec<String>,
}

impl Listing {
    /// Lists a folder, or the folders that match a pattern.
    pub(super) fn of(folders: &Path) -> Listing {
        let mut listing = Listing::default();
        for folder in listing.matching(folders) {
            let mut names = Vec::new();
            if let Err(error) = list(&folder, &mut names) {
                listing.problems.push(format!("the folder `{}` can't be listed: {error}", folder.display()));
                listing.incomplete.insert(folder.clone());
            }
            listing.folders.push((folder, names));
        }
        listing
    }

    /// The folder itself, or the folders that match it as a pattern.
    fn matching(&mut self, folders: &Path) -> Vec<PathBuf> {
        let Some(pattern) = pattern(folders) else { return vec![folders.to_owned()] };
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let mut found = Vec::new();
        // A pattern that can't be read is refused at the start.
        for path in glob::glob_with(pattern, options).into_iter().flatten() {
            match path {
                Ok(path) if path.is_dir() => found.push(path),
                Ok(_) => {}
                Err(error) => self.problems.push(format!("`{}`: {}", error.path().display(), error.error())),
            }
        }
        if found.is_empty() {
            self.problems.push("no folder matches".to_owned());
        }
        found
    }
}

/// The folders as a pattern, if they are one and not a folder that is named like one.
fn pattern(folders: &Path) -> Option<&str> {
    folders.to_str().filter(|text| text.contains(['*', '?', '[']) && !folders.is_dir())
}

/// Says what is wrong with a pattern.
pub(super) fn check(folders: &Path) -> Result<(), glob::PatternError> {
    pattern(folders).map_or(Ok(()), |pattern| glob::Pattern::new(pattern).map(drop))
}

fn list(folder: &Path, names: &mut Vec<OsString>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !is_hidden(&name) {
            names.push(name);
        }
    }
    Ok(())
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing of folders without files, some of which could not be listed.
    fn listing(folders: &[(&str, bool)]) -> Listing {
        let paths = || folders.iter().map(|(folder, _)| PathBuf::from(folder));
        let incomplete = folders.iter().filter(|(_, complete)| !complete).map(|(folder, _)| folder.into());
        Listing {
            folders: paths().map(|folder| (folder, Vec::new())).collect(),
            incomplete: incomplete.collect(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn only_what_has_surely_gone_is_forgotten() {
        let remembered = |listing: &Listing| {
            let mut seen = Seen { listing: 7, ..Seen::default() };
            for folder in ["a", "b", "c"] {
                seen.folders.entry(folder.into()).or_default();
                seen.mark(&folder.into(), &"file".into(), MarkState::Taken);
            }
            seen.listing = 8;
            seen.forget(listing);
            let mut kept: Vec<_> = seen
                .folders
                .into_iter()
                .filter(|(_, marks)| !marks.is_empty())
                .map(|(folder, _)| folder)
                .collect();
            kept.sort();
            kept
        };
        let all = ["a", "b", "c"].map(PathBuf::from);
        assert_eq!(remembered(&listing(&[("a", true), ("b", false)])), all[1..2]);
        assert_eq!(remembered(&listing(&[("a", false), ("b", false), ("c", false)])), all);
        assert_eq!(remembered(&listing(&[])), all);
    }
}
