//! What the pages of this project point at is there, and no line is too long to be read.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGES: [&str; 4] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs"];

#[test]
fn links_between_pages_and_into_the_source_lead_somewhere() {
    let mut links = 0;
    let mut dead = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for link in targets(&text).filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap_or(Path::new("")).join(file),
            };
            let found = match anchor {
                "" => target.exists(),
                anchor => fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor)),
            };
            if !found {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 20, "only {links} links were found");
    assert!(dead.is_empty(), "{dead:#?}");
}

/// The last column of a line, as in `rustfmt.toml`, which leaves comments, texts and macros alone.
const LAST_COLUMN: usize = 110;

/// What need not keep to it: compiler output and badly formatted programs that tests compare with.
const FOR_COMPARISON: [&str; 2] = ["tests/ui", "tests/rustfmt.rs"];

/// What has longer lines still.
const NOT_YET: [&str; 14] = [
    "CHANGELOG.md",
    "connectors/kinesis",
    "dstream-cluster",
    "dstream-core/src/context/cluster.rs",
    "dstream-core/src/exchange",
    "dstream-core/src/ops/foreach_rdd.rs",
    "dstream-core/src/ops/transform.rs",
    "dstream-core/src/private.rs",
    "dstream-core/src/rdd",
    "dstream-core/src/sink/gathered.rs",
    "dstream-sql",
    "examples/kinesis_word_count.rs",
    "examples/sql_network_word_count.rs",
    "tests/operators.rs",
];

#[test]
fn lines_end_by_the_last_column() {
    let exempt = |file: &Path| FOR_COMPARISON.iter().chain(&NOT_YET).any(|it| file.starts_with(it));
    let files: Vec<PathBuf> = files_below(Path::new("")).into_iter().filter(|file| !exempt(file)).collect();
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut beyond = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let is_page = file.extension().is_some_and(|extension| extension == "md");
        let mut in_code = false;
        for (at, line) in text.lines().enumerate() {
            in_code ^= is_page && line.trim_start().starts_with("```");
            if line.chars().count() > LAST_COLUMN && !(in_code || is_row(line) || line.contains("r#\"")) {
                beyond.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    assert!(beyond.is_empty(), "lines end beyond column {LAST_COLUMN}: {beyond:#?}");
}

/// Whether a line is a row of a table, which can't be wrapped, in a page or in the documentation of an item.
fn is_row(line: &str) -> bool {
    line.trim_start().trim_start_matches("//").trim_start_matches(['/', '!']).trim_start().starts_with('|')
}

/// The Rust files and pages below a folder of this project, by their paths from its root.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let shown = if folder == Path::new("") { Path::new(".") } else { folder };
    let mut files = Vec::new();
    for entry in fs::read_dir(shown).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().expect("a kind").is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            files.push(path);
        }
    }
    files
}

/// The project's pages.
fn pages() -> Vec<PathBuf> {
    let in_docs = |folder: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
    };
    let found =
        PAGES.iter().map(|page| if Path::new(page).is_dir() { in_docs(page) } else { vec![page.into()] });
    found.flatten().collect()
}

/// What stands in the parentheses of `[text](..)`, outside of code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    // Every other part is between fences.
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()))
}

/// The anchors of a page's headings, as Markdown viewers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
