//! The text of an error, within the characters that RFC 6749 §5.2 and RFC 6750 §3 allow.

use std::borrow::Cow;

/// Whether a character may stand in an `error_description`.
fn is_allowed(c: char) -> bool {
    matches!(c, ' '..='!' | '#'..='[' | ']'..='~')
}

/// The text as an `error_description`: an apostrophe for each double quote, a question mark for everything else that
/// is not allowed. Strict clients refuse the whole response otherwise, and a header could not carry it.
pub fn error_description(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_allowed) {
        return Cow::Borrowed(text);
    }
    let replace = |c| match c {
        '"' => '\'',
        c if is_allowed(c) => c,
        _ => '?',
    };
    Cow::Owned(text.chars().map(replace).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disallowed_characters_are_replaced() {
        assert_eq!(error_description("scope: item 1 isn't [granted]"), "scope: item 1 isn't [granted]");
        assert_eq!(error_description("a \"b\" \\ caf\u{e9}\r\n\u{7f}"), "a 'b' ? caf????");
    }
}
