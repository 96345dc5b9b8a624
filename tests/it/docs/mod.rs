//! The documentation is complete and agrees with the program.
//!
//! `scripts/docs` builds the site and checks its links; `scripts/examples` runs the programs that it shows.

mod errors;
mod limits;
mod logs;
mod metrics;
mod policy;
mod scopes;
mod secret_scanning;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The path of a file in the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a file in the repository.
fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the first columns of the tables of a page, if they are in backticks.
fn first_columns(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(first, _)| first.to_owned()).collect()
}

/// Returns the texts of all source files below a folder.
fn sources(folder: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    walk(&path(folder), &mut found);
    assert!(!found.is_empty(), "{folder}");
    found
}
