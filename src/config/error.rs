//! The error of this folder.

/// An error in the configuration, with its place: one line, without the value of a secret.
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub struct ConfigError {
    line: String,
}

impl ConfigError {
    /// Escapes control characters (in a path, in a quoted key), so that the error stays one line.
    pub(super) fn new(line: &str) -> Self {
        let mut one_line = String::with_capacity(line.len());
        for c in line.chars() {
            if c.is_control() {
                one_line.extend(c.escape_default());
            } else {
                one_line.push(c);
            }
        }
        Self { line: one_line }
    }
}

#[cfg(test)]
mod tests {
    use super::ConfigError;

    #[test]
    fn stays_on_one_line() {
        assert_eq!(ConfigError::new("a\nb\u{1b}[0m").to_string(), "a\\nb\\u{1b}[0m");
    }
}
