//! The files of an `Rdd`: a folder with a file a partition, as text or as binary objects.

mod folder;
mod objects;
mod sequence;
mod shape;
mod text;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

pub(crate) use folder::FolderWriter;
pub(crate) use objects::{save_objects, write_objects};
pub use text::TextLine;
pub(crate) use text::{save_text, write_text};

use crate::Time;

/// Where the batch at `time` is written: `prefix-<ms>.suffix`, without the dash or the dot if there is
/// nothing to join.
pub(crate) fn batch_path(prefix: &Path, suffix: &str, time: Time) -> PathBuf {
    let mut path = OsString::from(prefix);
    if !path.is_empty() {
        path.push("-");
    }
    path.push(time.as_millis().to_string());
    if !suffix.is_empty() {
        path.push(".");
        path.push(suffix);
    }
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_folder_of_a_batch() {
        let path = |prefix: &str, suffix| batch_path(Path::new(prefix), suffix, Time::from_millis(1_500));
        assert_eq!(path("out/counts", "txt"), PathBuf::from("out/counts-1500.txt"));
        assert_eq!(path("counts", ""), PathBuf::from("counts-1500"));
        assert_eq!(path("", "txt"), PathBuf::from("1500.txt"));
        assert_eq!(path("", ""), PathBuf::from("1500"));
    }
}
