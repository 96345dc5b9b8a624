//! The console decides by types, never by the text of another surface: an API sentence may change at any time.

use std::path::{Path, PathBuf};

/// Words by which a text is inspected or rewritten.
const INSPECTS: [&str; 8] =
    ["contains", "starts_with", "ends_with", "replace", "split", "split_once", "strip_prefix", "find"];

/// Expressions that yield the message of a violation or an error.
const MESSAGES: [&str; 7] =
    ["message", "message()", "detail", "effect", "error.to_string()", "fault.to_string()", "kind.to_string()"];

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Whether a line asks for the API's message of a violation, or inspects the text of an error.
fn reads_a_message(line: &str) -> bool {
    let inspects = |message: &&str| INSPECTS.iter().any(|verb| line.contains(&format!("{message}.{verb}(")));
    line.contains(".message()") || MESSAGES.iter().any(inspects)
}

#[test]
fn no_decision_depends_on_a_message() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console"));
    assert!(files.len() > 50, "{}", files.len());
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let found: Vec<&str> = code.lines().filter(|line| reads_a_message(line)).collect();
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn reading_a_message_is_noticed() {
    for line in [
        r#"if violation.message.starts_with("the action is empty") {"#,
        r#"violation.message().contains("null")"#,
        r#"let text = message.replace(", or null", "");"#,
        r#"if error.to_string().contains("expired") {"#,
    ] {
        assert!(reads_a_message(line), "{line}");
    }
    assert!(!reads_a_message("text.split(' ').next()"));
}
