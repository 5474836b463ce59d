//! The modules of the runtime depend one way: no module uses one that uses it in turn. The test is here,
//! since this crate can read Rust.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Ident, Item, ItemMod, ItemUse, Meta, UseTree, visit::Visit};

/// What is no part of the order: the crate's root, and what only gathers names of all other modules.
const ABOVE_ALL: [&str; 3] = ["lib", "prelude", "private"];

#[test]
fn modules_of_the_runtime_depend_one_way() {
    one_way(Path::new("../dstream-core/src"));
}

fn one_way(root: &Path) {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut tests = BTreeSet::new();
    let files = sources(root);
    for file in &files {
        let text = fs::read_to_string(file).expect("a source file");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut found = Used { folder: file.with_extension(""), tests: &mut tests, modules: BTreeSet::new() };
        if file.ends_with("mod.rs") || file.ends_with("lib.rs") {
            found.folder = file.parent().expect("a folder").to_owned();
        }
        found.visit_file(&parsed);
        let found = found.modules;
        let module = module(root, file);
        if !ABOVE_ALL.contains(&module.as_str()) && !tests.iter().any(|test| file.starts_with(test)) {
            uses.entry(module).or_default().extend(found);
        }
    }
    assert!(uses.len() > 5, "modules of {}", root.display());
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    let at_root = exported(root);
    for (module, used) in &mut uses {
        *used = std::mem::take(used)
            .into_iter()
            .map(|name| at_root.get(&name).cloned().unwrap_or(name))
            .collect();
        used.retain(|other| other != module && modules.contains(other));
    }
    // What uses nothing that is left is taken away, again and again: a cycle stays.
    while let Some(bottom) = uses.iter().find(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()) {
        uses.remove(&bottom);
        for used in uses.values_mut() {
            used.remove(&bottom);
        }
    }
    assert!(uses.is_empty(), "modules of {} that use one another, or what does: {uses:#?}", root.display());
}

/// The names that the root of a crate has from its modules, with the module of each.
fn exported(root: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root.join("lib.rs")).expect("a root");
    let uses = syn::parse_file(&text).expect("a root").items.into_iter().filter_map(|item| match item {
        Item::Use(item) => Some(item.tree),
        _ => None,
    });
    let mut names = BTreeMap::new();
    for tree in uses {
        if let UseTree::Path(path) = &tree {
            leaves(&path.tree, &path.ident.to_string(), &mut names);
        }
    }
    names
}

fn leaves(tree: &UseTree, module: &str, names: &mut BTreeMap<String, String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, module, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string(), module.to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, module, names)),
        _ => {}
    }
}

/// The source files below a folder, such that a module comes before those inside it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true => folders.push(entry),
            false if entry.extension().is_some_and(|extension| extension == "rs") => files.push(entry),
            false => {}
        }
    }
    files.sort_by_key(|file| (!file.ends_with("mod.rs"), file.clone()));
    files.extend(folders.iter().flat_map(|folder| sources(folder)));
    files
}

/// The module of the crate's root that a file belongs to.
fn module(root: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(root).expect("a file of the crate");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a file names by `crate::`, without those that only its tests name.
struct Used<'a> {
    /// Where the files of its inner modules are.
    folder: PathBuf,
    /// Files and folders that only tests have.
    tests: &'a mut BTreeSet<PathBuf>,
    modules: BTreeSet<String>,
}

impl Used<'_> {
    fn below_crate(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                self.modules.insert(path.ident.to_string());
            }
            UseTree::Name(name) => {
                self.modules.insert(name.ident.to_string());
            }
            UseTree::Rename(name) => {
                self.modules.insert(name.ident.to_string());
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.below_crate(tree)),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Used<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_for_tests(&item.attrs) {
            let path = self.folder.join(item.ident.to_string());
            self.tests.insert(path.with_extension("rs"));
            self.tests.insert(path);
        } else {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        match &item.tree {
            UseTree::Path(path) if path.ident == "crate" && !is_for_tests(&item.attrs) => {
                self.below_crate(&path.tree);
            }
            _ => {}
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<&Ident> = path.segments.iter().map(|segment| &segment.ident).collect();
        if let [first, second, ..] = names.as_slice()
            && *first == "crate"
        {
            self.modules.insert(second.to_string());
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_for_tests(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| match &attr.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}
