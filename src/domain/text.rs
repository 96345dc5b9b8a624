//! Allowed characters in names and descriptions.
//!
//! Invisible characters, control characters and characters that change the writing direction are rejected, because they
//! make different names look alike (Unicode TR 36, sections 2.7 and 2.10.2).

/// Returns why a single-line name is invalid.
///
/// ```
/// use keyturn::domain::text::name_fault;
/// assert_eq!(name_fault("Orders, nightly \u{1f319}"), None);
/// assert!(name_fault("orders\u{202e}").is_some() && name_fault(" orders").is_some());
/// ```
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.trim() != name {
        return Some("white space at the beginning or end is not allowed");
    }
    if name.chars().any(char::is_control) {
        return Some("control characters are not allowed");
    }
    invisible_fault(name)
}

/// Returns why a text of several lines is invalid.
pub fn text_fault(text: &str) -> Option<&'static str> {
    if text.replace("\r\n", "\n").chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Some("control characters are not allowed");
    }
    invisible_fault(text)
}

fn invisible_fault(text: &str) -> Option<&'static str> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if is_unseen(c) && !(is_joiner(c) && joins(before) && joins(rest.peek().copied())) {
            return Some("invisible characters and characters that change the writing direction are not allowed");
        }
        before = Some(c);
    }
    None
}

/// The joiners that scripts such as Persian and Devanagari, and emoji, require.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a joiner is meaningful next to this character. Next to ASCII it is only invisible.
fn joins(neighbor: Option<char>) -> bool {
    neighbor.is_some_and(|c| !c.is_ascii() && !c.is_whitespace() && !is_unseen(c))
}

/// Whether a character is invisible or changes the writing direction.
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_in_names() {
        for good in [
            "",
            "orders",
            "a b",
            "caf\u{e9}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{1f469}\u{200d}\u{1f4bb}",
        ] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in [
            " orders",
            "orders ",
            "\u{a0}orders",
            "orders\n",
            "or\tders",
            "or\u{0}ders",
            "or\u{202e}ders",
            "or\u{200b}ders",
            "or\u{200d}ders",
            "\u{200d}",
            "orders\u{2066}x\u{2069}",
            "\u{feff}orders",
            "or\u{ad}ders",
            "or\u{85}ders",
        ] {
            assert!(name_fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn line_breaks_in_texts() {
        for good in ["", "one\ntwo", "one\r\ntwo\n", "\tone "] {
            assert_eq!(text_fault(good), None, "{good:?}");
        }
        for bad in ["a\rb", "a\u{7}b", "a\u{202e}b", "a\u{200b}b"] {
            assert!(text_fault(bad).is_some(), "{bad:?}");
        }
    }
}
