//! The layers of `docs/explanation/architecture.md`: a folder imports only from the layers below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a file.
const MAX_LINES: usize = 700;

const ADAPTERS: &[&str] =
    &["config", "telemetry", "clock", "crypto", "outbound", "limits", "store", "revocation", "signing"];
const USE_CASES: &[&str] =
    &["tokens", "keys", "members", "customers", "profiles", "organizations", "audit", "webhooks", "usage", "portal"];
const SURFACES: &[&str] = &["oauth", "gateway", "api", "console"];
const COMPOSITION: &[&str] = &["server", "cli"];

/// The modules that a top-level module may import besides itself. `None` if the module belongs to no layer.
fn layer(module: &str) -> Option<Vec<&'static str>> {
    let with = |lists: &[&[&'static str]]| Some(lists.concat());
    match module {
        "domain" => with(&[]),
        "config" => with(&[&["domain"]]),
        // Finds long values by their digest.
        "store" => with(&[&["domain", "clock", "crypto::digest"]]),
        // Follows the changes in the store and counts them.
        "revocation" => with(&[&["domain", "clock", "crypto::random", "crypto::messages", "store", "telemetry"]]),
        _ if ADAPTERS.contains(&module) => with(&[&["domain", "clock"]]),
        // Not `store`, but for what its errors say: a process without a database decides too.
        "verification" => with(&[&[
            "domain",
            "clock",
            "crypto::argon2_gate::GateError",
            "crypto::digest",
            "crypto::random::RandomError",
            "crypto::sealing::SealError",
            "revocation::Lease",
            "revocation::RevocationList",
            "signing",
            "store::StoreError",
            "telemetry::Usage",
        ]]),
        "node" => with(&[&["domain", "verification"], ADAPTERS]),
        // A key is revoked when its bearer revokes it, or its owner, customer or profile is removed; usage reports read keys.
        "tokens" | "members" | "customers" | "profiles" | "usage" => {
            with(&[&["domain", "verification", "node", "keys"], ADAPTERS])
        }
        // A customer manages its keys and sees their use; codes and cookies are secrets like those of members' sessions.
        "portal" => with(&[&["domain", "verification", "node", "keys", "customers", "members", "usage"], ADAPTERS]),
        _ if USE_CASES.contains(&module) => with(&[&["domain", "node"], ADAPTERS]),
        "http" => with(&[&["domain", "verification", "node", "members", "clock", "limits", "crypto::random"]]),
        _ if SURFACES.contains(&module) => with(&[
            &["domain", "verification", "node", "http", "clock", "limits", "store", "telemetry", "signing"],
            USE_CASES,
        ]),
        "server" => with(&[&["domain", "verification", "node", "http"], ADAPTERS, USE_CASES, SURFACES]),
        "cli" => with(&[&["domain", "verification", "node", "http", "server"], ADAPTERS, USE_CASES, SURFACES]),
        "main" => with(&[COMPOSITION]),
        // Re-exports items for tests.
        "lib" => with(&[&["domain", "verification", "node", "http"], ADAPTERS, USE_CASES, SURFACES, COMPOSITION]),
        _ => None,
    }
}

/// Returns the imports in a file that its layer does not allow. `module` is the folder or file at the top of `src/`.
fn violations(module: &str, text: &str) -> Vec<String> {
    let Some(allowed) = layer(module) else { return vec![format!("{module} belongs to no layer")] };
    let may = |path: &str| {
        let within = |root: &str| path == root || path.starts_with(&format!("{root}::"));
        within(module) || allowed.iter().any(|root| within(root))
    };
    crate_paths(&code(text)).into_iter().filter(|path| !may(path)).collect()
}

/// Returns the text without comments and string literals.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 2;
            rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
        } else if c == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'/'") {
            3
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

/// Returns the number of `#` of a raw string that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns all paths below `crate::`, with groups expanded.
fn crate_paths(code: &str) -> Vec<String> {
    let compact: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let mut paths = Vec::new();
    for (at, _) in compact.match_indices("crate::") {
        let before = compact[..at].chars().next_back().unwrap_or(' ');
        if !before.is_alphanumeric() && before != '_' {
            read_path(&compact[at + "crate::".len()..], "", &mut paths);
        }
    }
    paths
}

/// Reads a path or a group after `prefix`, and returns the rest of the text.
fn read_path<'a>(text: &'a str, prefix: &str, paths: &mut Vec<String>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', ',']);
            if rest.is_empty() {
                return rest;
            }
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            rest = read_path(rest, prefix, paths);
            rest = rest.find([',', '}']).map_or("", |at| &rest[at..]);
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    match text[end..].strip_prefix("::") {
        Some(rest) => read_path(rest, &format!("{path}::"), paths),
        None => {
            paths.push(path);
            &text[end..]
        }
    }
}

/// Returns every file of `src/` with its top-level module.
fn sources() -> BTreeMap<PathBuf, (String, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, (String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root).unwrap().to_owned();
                let module = inside.with_extension("").iter().next().unwrap().to_str().unwrap().to_owned();
                found.insert(inside, (module, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 50, "src/ was not found");
    found
}

#[test]
fn folders_import_from_lower_layers_only() {
    let mut wrong = Vec::new();
    for (path, (module, text)) in sources() {
        wrong.extend(violations(&module, &text).into_iter().map(|what| format!("src/{}: {what}", path.display())));
    }
    assert!(wrong.is_empty(), "imports from a higher layer or from the same one:\n{}", wrong.join("\n"));
}

#[test]
fn only_signing_uses_the_jwt_library() {
    for (path, (module, text)) in sources() {
        assert!(module == "signing" || !code(&text).contains("jsonwebtoken"), "src/{}", path.display());
    }
}

#[test]
fn files_are_documented_and_short() {
    for (path, (_, text)) in sources() {
        assert!(text.starts_with("//! "), "src/{} does not begin with a description", path.display());
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "src/{} has {lines} lines, more than {MAX_LINES}", path.display());
    }
}

#[test]
fn violations_are_found_in_every_spelling() {
    for (module, text, expected) in [
        ("domain", "use crate::clock;", vec!["clock"]),
        ("domain", "use crate::domain::scope::Scope;", vec![]),
        ("domain", "fn f() { let now = crate::clock::now(); }", vec!["clock::now"]),
        ("domain", "fn f() -> crate :: clock :: Now {}", vec!["clock::Now"]),
        (
            "store",
            "use crate::{domain::scope::Scope, crypto::{random, mint::{a, b}}, clock};",
            vec!["crypto::random", "crypto::mint::a", "crypto::mint::b"],
        ),
        ("crypto", "use crate::config::Settings;\nuse crate::crypto::random;", vec!["config::Settings"]),
        ("node", "use crate::tokens::exchange as e;", vec!["tokens::exchange"]),
        ("keys", "use crate::tokens::exchange;", vec!["tokens::exchange"]),
        ("keys", "use crate::{\n    node::Node,\n    organizations,\n};", vec!["organizations"]),
        ("tokens", "use crate::http::form::Form;", vec!["http::form::Form"]),
        ("http", "use crate::crypto::random;", vec![]),
        ("http", "use crate::crypto::randomness;", vec!["crypto::randomness"]),
        ("http", "use crate::crypto::mint::mint;", vec!["crypto::mint::mint"]),
        ("oauth", "use crate::api::Problem;", vec!["api::Problem"]),
        ("api", "use crate::gateway;", vec!["gateway"]),
        ("api", "pub(crate) use crate::keys::*;", vec![]),
        ("server", "use crate::cli::run;", vec!["cli::run"]),
        ("cli", "use crate::server::{self, open};", vec![]),
        ("unknown", "", vec!["unknown belongs to no layer"]),
    ] {
        assert_eq!(violations(module, text), expected, "{module}: {text}");
    }
}

#[test]
fn comments_and_strings_are_ignored() {
    for text in [
        "// use crate::api;",
        "//! [`crate::api`]",
        "/* crate::api */",
        "const A: &str = \"crate::api\";",
        "const A: &str = r#\"\"crate::api\"#;",
        "const A: &str = \"\\\"crate::api\";",
        "const A: char = '\"'; // crate::api\"",
        "use mycrate::api;",
    ] {
        assert_eq!(violations("domain", text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(violations("domain", "const A: &str = \"a\"; use crate::api;"), ["api"]);
}
