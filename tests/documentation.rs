//! What the pages of this project point at is there.

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
