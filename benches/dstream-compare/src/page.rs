//! `docs/performance.md`: written by hand, but for the parts between two markers, which runs replace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, bail};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Replaces the part of the page with this name.
pub(crate) fn replace(part: &str, text: &str) -> anyhow::Result<()> {
    let path = root().join("docs/performance.md");
    let page = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    fs::write(&path, with_part(&page, part, text)?).with_context(|| format!("can't write {}", path.display()))
}

fn with_part(page: &str, part: &str, text: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- begin {part} -->\n"), format!("<!-- end {part} -->"));
    match (page.split_once(&begin), page.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => {
            Ok(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
        }
        _ => bail!("docs/performance.md has no `{}` with `{end}` behind it", begin.trim()),
    }
}

/// Where and when, for the head of a part.
pub(crate) fn setting(command: &str) -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    let output = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(root()).output();
        output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
    };
    let allocator = if cfg!(feature = "mimalloc") { "mimalloc" } else { "the system's" };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "`{command}` on {}, at commit {}: {}, {} threads, {} of memory, {}; allocator: {allocator}; load \
         before: {}.\n",
        output("date", &["+%Y-%m-%d %H:%M"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
        first("/proc/cpuinfo", "model name"),
        thread::available_parallelism().map_or(1, |n| n.get()),
        first("/proc/meminfo", "MemTotal"),
        output("rustc", &["--version"]),
        load.split(' ').next().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_is_replaced() -> anyhow::Result<()> {
        let page = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        let new = with_part(page, "x", "new")?;
        assert_eq!(new, "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n");
        assert_eq!(with_part(&new, "x", "new")?, new);
        assert!(with_part(page, "y", "new").is_err());
        Ok(())
    }
}
