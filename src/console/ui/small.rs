//! Badges, notices, the CSRF field and number formatting.

use askama::Template;

use crate::console::ui::html;
use crate::domain::api_key::Status;

html! { CsrfField Badge Notice Icon<'a> Copyable }

/// The hidden field of every form: the CSRF token, and the member whose page the form is on.
#[derive(Template, Clone)]
#[template(
    source = r#"<input type="hidden" name="csrf" value="{{ token }}{% if let Some(member) = member %}.{{ member }}{% endif %}">"#,
    ext = "html"
)]
pub(in crate::console) struct CsrfField {
    /// The masked token.
    pub(in crate::console) token: String,
    /// The member whose page the form is on.
    pub(in crate::console) member: Option<String>,
}

/// The tone of a badge or notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::console) enum Tone {
    Good,
    Warning,
    Bad,
    Plain,
}

impl Tone {
    /// The CSS class.
    pub(in crate::console) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

/// A colored label.
#[derive(Template, Clone, Debug)]
#[template(source = r#"<span class="badge {{ tone.class() }}">{{ text }}</span>"#, ext = "html")]
pub(in crate::console) struct Badge {
    pub(in crate::console) tone: Tone,
    pub(in crate::console) text: String,
}

impl Badge {
    pub(in crate::console) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

impl From<Status> for Badge {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::new(Tone::Good, "Active"),
            Status::Expired => Self::new(Tone::Plain, "Expired"),
            Status::Disabled => Self::new(Tone::Warning, "Disabled"),
            Status::Revoked => Self::new(Tone::Bad, "Revoked"),
        }
    }
}

/// A symbol of the sprite `assets/icons.svg`.
#[derive(Template, Clone)]
#[template(
    source = r#"<svg class="icon" aria-hidden="true"><use href="{{ root }}/assets/{{ sprite }}#{{ symbol }}"/></svg>"#,
    ext = "html"
)]
pub(in crate::console) struct Icon<'a> {
    pub(in crate::console) root: &'a str,
    pub(in crate::console) sprite: &'a str,
    pub(in crate::console) symbol: &'static str,
}

/// An ID or URL with a copy button.
#[derive(Template, Clone)]
#[template(
    source = r#"<span class="copyable">{% if is_link %}<a id="{{ id }}" href="{{ text }}">{{ text }}</a>{% else %}<code id="{{ id }}">{{ text }}</code>{% endif %}<button type="button" class="copy" data-copy="{{ id }}" aria-label="Copy {{ name }}"></button></span>"#,
    ext = "html"
)]
pub(in crate::console) struct Copyable {
    id: String,
    text: String,
    /// Completes "Copy" in the name of the button.
    name: String,
    is_link: bool,
}

impl Copyable {
    pub(in crate::console) fn new(id: impl Into<String>, text: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), name: name.into(), is_link: false }
    }

    /// A URL that is also a link.
    pub(in crate::console) fn link(id: impl Into<String>, url: impl Into<String>, name: impl Into<String>) -> Self {
        Self { is_link: true, ..Self::new(id, url, name) }
    }
}

/// A highlighted paragraph.
#[derive(Template, Clone)]
#[template(source = r#"<p class="notice {{ tone.class() }}">{{ text }}</p>"#, ext = "html")]
pub(in crate::console) struct Notice {
    pub(in crate::console) tone: Tone,
    pub(in crate::console) text: String,
}

impl Notice {
    pub(in crate::console) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

#[derive(Template)]
#[template(source = "{{ self.0 }}", ext = "html")]
struct Escaped<'a>(&'a str);

/// Escapes a text for HTML.
pub(in crate::console) fn escape(text: &str) -> String {
    Escaped(text).render().unwrap_or_default()
}

/// Returns a label with a capital letter.
pub(in crate::console) fn capitalize(label: &str) -> String {
    let mut rest = label.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// Returns the size of a text in bytes once it is escaped for HTML.
pub(in crate::console) fn html_size(text: &str) -> usize {
    // Each of these becomes five bytes.
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'<' | b'>' | b'&' | b'\'')).count();
    text.len() + 4 * escaped
}

/// Formats a number with thin spaces between thousands.
pub(in crate::console) fn format_count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(format_count(number).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn input_is_escaped() {
        let html = Badge::new(Tone::Bad, "\"><script>alert(1)</script>").render().unwrap();
        assert!(html.contains(">&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;<"), "{html}");
    }
}
