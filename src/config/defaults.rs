//! `config/default.toml`, rendered from the declaration of the settings.

use super::declaration::{Section, Setting};
use super::settings::SECTIONS;

const INTRODUCTION: &[&str] = &[
    "All settings of Keyturn with their defaults, which are built into the program.",
    "To change a setting, write it to config/keyturn.toml (or to the file given with --config), or set the environment \
     variable KEYTURN_SECTION__NAME, for example KEYTURN_TOKEN__TTL_SECONDS=300. Variables take precedence over the file. \
     In a variable, a list is comma-separated or written as here. An empty string means \"not set\". Relative paths start \
     at the working directory.",
    "`keyturn check-config` prints the settings in effect and the source of each.",
    "Generated from src/config/settings.rs. To update it: UPDATE=1 cargo test --lib default_toml",
];

/// The longest comment line.
const WIDTH: usize = 100;

/// The whole file.
pub(super) fn render() -> String {
    let mut file = String::new();
    for (index, paragraph) in INTRODUCTION.iter().enumerate() {
        if index > 0 {
            file.push_str("#\n");
        }
        push_comment(&mut file, paragraph);
    }
    for Section { name, settings } in SECTIONS {
        file.push_str(&format!("\n[{name}]\n"));
        for (index, setting) in settings.iter().enumerate() {
            if index > 0 {
                file.push('\n');
            }
            let Setting { name, documentation, default, about } = setting;
            let secret = if about.is_secret { " Secret." } else { "" };
            push_comment(&mut file, &format!("{documentation}{secret}"));
            let allowed = format!("Allowed: {}.", about.allowed);
            let default_in_words = format!("Default: {}.", default_in_words(setting));
            // On one line if they fit.
            if allowed.len() + default_in_words.len() + "#  ".len() <= WIDTH {
                push_comment(&mut file, &format!("{allowed} {default_in_words}"));
            } else {
                push_comment(&mut file, &allowed);
                push_comment(&mut file, &default_in_words);
            }
            file.push_str(&format!("{name} = {default}\n"));
        }
    }
    file
}

fn default_in_words(setting: &Setting) -> &'static str {
    match (setting.about.default, setting.default) {
        (Some(words), _) => words,
        (None, "\"\"") => "not set",
        (None, "[]") => "none",
        (None, value) => value.trim_matches('"'),
    }
}

/// Appends text as comment lines.
fn push_comment(file: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            file.push_str(&line);
            file.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    file.push_str(&line);
    file.push('\n');
}
