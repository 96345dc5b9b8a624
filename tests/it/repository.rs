//! `CONTRIBUTING.md` names files and functions that exist, and `CHANGELOG.md` has the form of Keep a Changelog.

use std::fs;
use std::path::Path;

/// Folders and file types that make a text in backticks a path.
const TOP: [&str; 10] =
    [".ci", ".github", "benches", "config", "docs", "fuzz", "migrations", "scripts", "src", "tests"];
const TYPES: [&str; 6] = [".json", ".md", ".rs", ".toml", ".html", ".css"];

/// Returns the references of a guide: paths, and names with the path of the file that should contain them.
fn references(text: &str) -> (Vec<String>, Vec<(String, String)>) {
    let is_path = |text: &str| {
        let first = text.split('/').next().unwrap_or_default();
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
            && (text.contains('/') && TOP.contains(&first) || TYPES.iter().any(|end| text.ends_with(end)))
    };
    let (mut paths, mut names) = (Vec::new(), Vec::new());
    for block in text.split("\n\n") {
        // Code, and the text between code.
        let pieces: Vec<&str> = block.split('`').collect();
        for (place, code) in pieces.iter().enumerate().filter(|(place, _)| place % 2 == 1) {
            let command = code.split(' ').next().unwrap_or_default();
            if is_path(command) {
                paths.push(command.to_owned());
            }
            // "`name` in `path`" and "`name` (`path`)".
            let joins = pieces.get(place + 1).is_some_and(|between| {
                matches!(between.split_whitespace().collect::<Vec<_>>().join(" ").as_str(), "in" | "(" | "to" | "from")
            });
            let file = pieces.get(place + 2).filter(|file| joins && is_path(file) && file.contains('.'));
            if let Some(file) = file.filter(|_| !is_path(command)) {
                names.push(((*code).to_owned(), (*file).to_owned()));
            }
        }
        for link in block.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                paths.push(link.to_owned());
            }
        }
    }
    (paths, names)
}

/// The part of a name that its file has: `ConsoleRequest` of `ConsoleRequest<P>`, `of` of `AuditEntry::of`.
fn identifier(name: &str) -> &str {
    let name = name.split('<').next().unwrap_or_default();
    name.rsplit("::").next().unwrap_or_default()
}

fn mistakes(text: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (paths, names) = references(text);
    let missing = paths.into_iter().filter(|path| !root.join(path).exists()).map(|path| format!("there is no {path}"));
    let unknown = names.into_iter().filter_map(|(name, file)| {
        let text = fs::read_to_string(root.join(&file)).unwrap_or_default();
        let word = identifier(&name);
        let is_there = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word);
        (!is_there).then(|| format!("{file} has no {name}"))
    });
    missing.chain(unknown).collect()
}

#[test]
fn paths_and_functions_exist() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    let (paths, names) = references(&text);
    assert!(paths.len() > 50 && names.len() > 12, "{} paths and {} names are found", paths.len(), names.len());
    assert_eq!(mistakes(&text), Vec::<String>::new());
}

#[test]
fn wrong_references_are_found() {
    for (text, expected) in [
        ("see `src/no/such.rs`", "there is no src/no/such.rs"),
        ("run `scripts/none --now`", "there is no scripts/none"),
        ("see [that](NONE.md)", "there is no NONE.md"),
        ("`nothing_like_it` in `src/lib.rs`", "src/lib.rs has no nothing_like_it"),
        ("`Wrong<P>` (`src/lib.rs`)", "src/lib.rs has no Wrong<P>"),
    ] {
        assert_eq!(mistakes(text), [expected]);
    }
    assert!(mistakes("`cargo test`, `domain` in `src/lib.rs`, [a](https://example.com/a.md)").is_empty());
}

/// The headings of a version's section, in this order.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// Deviations from the form of Keep a Changelog.
fn changelog_mistakes(text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let (mut versions, mut kinds) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let mut mistake = |what: &str| mistakes.push(format!("line {number}: {what}"));
        if let Some(version) = line.strip_prefix("## ") {
            let is_release = version
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("] - "))
                .is_some_and(|(version, date)| version.split('.').count() == 3 && date.split('-').count() == 3);
            if version != "[Unreleased]" && !is_release {
                mistake("a version is [Unreleased] or [1.2.3] - 2006-01-02");
            }
            versions.push(version);
            kinds.clear();
        } else if let Some(kind) = line.strip_prefix("### ") {
            match KINDS.iter().position(|known| *known == kind) {
                Some(place) if kinds.last().is_none_or(|last| *last < place) => kinds.push(place),
                _ => mistake("a heading is repeated, unknown or out of order"),
            }
        } else if line.starts_with("- ") && kinds.is_empty() {
            mistake("an entry without a heading such as ### Added");
        } else if line.starts_with("- Changed: ") || line.starts_with("- Breaking: ") {
            mistake("the heading says so; breaking changes begin with **Breaking**");
        }
    }
    if versions.first() != Some(&"[Unreleased]") {
        mistakes.push("the first section is not [Unreleased]".to_owned());
    }
    mistakes
}

#[test]
fn changelog_has_its_form() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert_eq!(changelog_mistakes(&text), Vec::<String>::new());
    let wrong = "# Changelog\n\n## Unreleased\n\n- Changed: a\n\n### Fixed\n\n- a\n\n### Added\n\n## [1.0] - 2026\n";
    let lines: Vec<String> = changelog_mistakes(wrong).iter().map(|mistake| mistake[..7].to_owned()).collect();
    assert_eq!(lines, ["line 3:", "line 5:", "line 11", "line 13", "the fir"]);
}
