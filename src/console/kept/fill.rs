//! Filling in a form on a rendered page. The pages are our own: attributes are quoted, and values contain no `<` or `>`.

use askama::Template;

use crate::console::ui::escape;

/// Maximum number of rows that are added to a list of rows.
const MAX_ROWS: usize = 100;

/// The notice above the page.
#[derive(Template)]
#[template(
    source = r#"<div class="notice warning" role="status"><p>This form was not submitted because your session had expired. Nothing was changed. Check the values and submit it again.</p>{% if !lost.is_empty() %}<p>These values could not be filled in:</p><ul>{% for (name, value) in lost %}<li>{{ name }}: {{ value }}</li>{% endfor %}</ul>{% endif %}</div>"#,
    ext = "html"
)]
struct Notice<'a> {
    lost: Vec<(&'a str, &'a str)>,
}

/// Returns the page with the values in its form with this action. Values without a field are listed above it.
pub(super) fn fill(page: &str, action: &str, fields: &[(String, String)]) -> String {
    let opening = format!("action=\"{}\"", escape(action));
    let found = page.find(&opening).and_then(|begin| Some((begin, begin + page.get(begin..)?.find("</form>")?)));
    let Some((begin, end)) = found else { return with_notice(page, fields, &[]) };
    let (before, form, after) = (part(page, 0, begin), part(page, begin, end), part(page, end, page.len()));
    let form = with_rows(form, fields);
    let (form, placed) = Filler { fields, placed: Vec::new() }.run(&form);
    with_notice(&format!("{before}{form}{after}"), fields, &placed)
}

fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// Inserts the notice at the top of the main content.
fn with_notice(page: &str, fields: &[(String, String)], placed: &[String]) -> String {
    let is_lost = |name: &str, value: &str| !value.is_empty() && !placed.iter().any(|placed| placed == name);
    let lost = fields.iter().filter(|(name, value)| is_lost(name, value));
    let notice = Notice { lost: lost.map(|(name, value)| (name.as_str(), value.as_str())).collect() };
    let notice = notice.render().unwrap_or_default();
    let Some(place) = page.find("<main").and_then(|main| Some(main + page.get(main..)?.find('>')? + 1)) else {
        return page.to_owned();
    };
    format!("{}\n{notice}{}", part(page, 0, place), part(page, place, page.len()))
}

/// Adds rows to a list of rows until each value has one, by copying the last row. Row `n` has fields `scope-n-…`.
fn with_rows(form: &str, fields: &[(String, String)]) -> String {
    let number = |name: &str| name.strip_prefix("scope-")?.split('-').next()?.parse::<usize>().ok();
    let filled = fields.iter().filter(|(_, value)| !value.is_empty());
    let most = filled.filter_map(|(name, _)| number(name)).max().map_or(0, |last| last.saturating_add(1)).min(MAX_ROWS);
    let rows = form.matches("<div class=\"row\">").count();
    let last =
        form.rfind("<div class=\"row\">").and_then(|begin| Some((begin, begin + end_of_div(form.get(begin..)?)?)));
    let Some((begin, end)) = last.filter(|_| rows > 0 && most > rows) else { return form.to_owned() };
    let row = part(form, begin, end);
    let renumbered = |place: usize| {
        let was = rows - 1;
        row.replace(&format!("-{was}-"), &format!("-{place}-"))
            .replace(&format!(" {rows}\""), &format!(" {}\"", place + 1))
            .replace(&format!("value=\"{was}\""), &format!("value=\"{place}\""))
    };
    let added: String = (rows..most).map(|place| format!("\n{}", renumbered(place))).collect();
    format!("{}{added}{}", part(form, 0, end), part(form, end, form.len()))
}

/// Returns the length of a `div` element at the start of a text.
fn end_of_div(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, _) in text.match_indices('<') {
        let tag = text.get(place..)?;
        if tag.starts_with("<div") {
            depth += 1;
        } else if tag.starts_with("</div>") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(place + "</div>".len());
            }
        }
    }
    None
}

struct Filler<'a> {
    fields: &'a [(String, String)],
    /// The names of the fields that exist on the page.
    placed: Vec<String>,
}

impl Filler<'_> {
    fn run(mut self, form: &str) -> (String, Vec<String>) {
        let mut out = String::with_capacity(form.len());
        let mut rest = form;
        // The select element that is open, with its name.
        let mut select: Option<String> = None;
        while let Some(begin) = rest.find('<') {
            out.push_str(part(rest, 0, begin));
            rest = part(rest, begin, rest.len());
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            let tag = part(rest, 0, end);
            rest = part(rest, end, rest.len());
            let name = attribute(tag, "name").unwrap_or_default();
            if tag.starts_with("<input ") {
                out.push_str(&self.input(tag, &name));
            } else if tag.starts_with("<textarea ") {
                out.push_str(tag);
                let close = rest.find("</textarea>").unwrap_or(rest.len());
                match self.value(&name) {
                    Some(value) => {
                        out.push('\n');
                        out.push_str(&escape(&value));
                    }
                    None => out.push_str(part(rest, 0, close)),
                }
                rest = part(rest, close, rest.len());
            } else if tag.starts_with("<select ") {
                select = Some(name);
                out.push_str(tag);
            } else if tag.starts_with("<option ") {
                let wanted = select.clone().and_then(|name| self.value(&name));
                match wanted {
                    Some(wanted) => {
                        let is_it = attribute(tag, "value").as_deref() == Some(wanted.as_str());
                        out.push_str(&flagged(tag, "selected", is_it));
                    }
                    None => out.push_str(tag),
                }
            } else {
                if tag == "</select>" {
                    select = None;
                }
                out.push_str(tag);
            }
        }
        out.push_str(rest);
        (out, self.placed)
    }

    fn input(&mut self, tag: &str, name: &str) -> String {
        match attribute(tag, "type").as_deref().unwrap_or("text") {
            // The version shows whether someone else changed the object meanwhile, so it must be the old one.
            "hidden" if name == "version" => {
                self.value(name).map_or_else(|| tag.to_owned(), |value| valued(tag, &value))
            }
            "hidden" | "password" | "submit" | "file" => {
                self.placed.push(name.to_owned());
                tag.to_owned()
            }
            "checkbox" | "radio" if !name.is_empty() => {
                self.placed.push(name.to_owned());
                let value = attribute(tag, "value").unwrap_or_else(|| "on".into());
                let is_ticked = self.fields.iter().any(|(other, sent)| *other == name && *sent == value);
                flagged(tag, "checked", is_ticked)
            }
            "checkbox" | "radio" => tag.to_owned(),
            _ => self.value(name).map_or_else(|| tag.to_owned(), |value| valued(tag, &value)),
        }
    }

    /// Returns the kept value of a field, which the page has.
    fn value(&mut self, name: &str) -> Option<String> {
        let (name, value) = self.fields.iter().find(|(other, _)| other == name)?;
        self.placed.push(name.clone());
        Some(value.clone())
    }
}

/// Returns the unescaped value of an attribute.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!(" {name}=\""))?.1.split('"').next()?;
    let entities = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    Some(entities.into_iter().fold(value.to_owned(), |text, (entity, plain)| text.replace(entity, plain)))
}

/// Returns the tag with another value.
fn valued(tag: &str, value: &str) -> String {
    let new = format!(" value=\"{}\"", escape(value));
    match tag.split_once(" value=\"").and_then(|(before, rest)| Some((before, rest.split_once('"')?.1))) {
        Some((before, after)) => format!("{before}{new}{after}"),
        None => format!("{}{new}>", tag.trim_end_matches('>')),
    }
}

/// Returns the tag with or without a boolean attribute.
fn flagged(tag: &str, flag: &str, is_set: bool) -> String {
    let plain = tag.replace(&format!(" {flag}"), "");
    if is_set { format!("{} {flag}>", plain.trim_end_matches('>')) } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_kind_of_field_is_filled() {
        let page = "<main id=\"main\"><form action=\"/other\"><input name=\"name\" value=\"kept\"></form>\
            <form method=\"post\" action=\"/it\"><input type=\"hidden\" name=\"csrf\" value=\"new\">\
            <input type=\"hidden\" name=\"version\" value=\"9\"><input name=\"name\" type=\"text\" value=\"old\" required>\
            <input name=\"password\" type=\"password\" value=\"\"><textarea name=\"note\">\nold</textarea>\
            <select name=\"role\"><option value=\"a\" selected>A</option><option value=\"b\">B</option></select>\
            <input name=\"events\" type=\"checkbox\" value=\"x\" checked><input name=\"events\" type=\"checkbox\" value=\"y\">\
            </form></main>";
        let kept = fields(&[
            ("name", "\"><script>"),
            ("version", "3"),
            ("note", "</textarea>two\nlines"),
            ("role", "b"),
            ("events", "y"),
            ("password", "never"),
            ("csrf", "stolen"),
            ("gone", "<b>"),
        ]);
        let html = fill(page, "/it", &kept);
        for part in [
            "<form action=\"/other\"><input name=\"name\" value=\"kept\">",
            "name=\"csrf\" value=\"new\"",
            "name=\"version\" value=\"3\"",
            "name=\"name\" type=\"text\" value=\"&#34;&#62;&#60;script&#62;\" required>",
            "name=\"password\" type=\"password\" value=\"\">",
            "<textarea name=\"note\">\n&#60;/textarea&#62;two\nlines</textarea>",
            "<option value=\"a\">A</option><option value=\"b\" selected>B</option>",
            "value=\"x\"><input name=\"events\" type=\"checkbox\" value=\"y\" checked>",
            "<li>gone: &#60;b&#62;</li></ul></div><form action=\"/other\">",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert_eq!(html.matches("<li>").count(), 1, "{html}");
        assert!(!html.contains("<script>") && !html.contains("stolen") && !html.contains("never"), "{html}");
    }

    #[test]
    fn rows_are_added() {
        let row = "<div class=\"row\"><select name=\"scope-0-action\" aria-label=\"Action for scope 1\">\
            <option value=\"read\">read</option></select><div><input name=\"scope-0-resource\" value=\"\"></div>\
            <button name=\"remove\" value=\"0\">x</button></div>";
        let page = format!("<main><form action=\"/it\">{row}<p>end</p></form></main>");
        let html = fill(&page, "/it", &fields(&[("scope-2-action", "read"), ("scope-2-resource", "a/b")]));
        assert_eq!(html.matches("class=\"row\"").count(), 3);
        assert!(
            html.contains("name=\"scope-2-resource\" value=\"a/b\"") && html.contains("Action for scope 3"),
            "{html}"
        );
        assert!(html.contains("value=\"2\">x</button></div><p>end</p>") && !html.contains("<li>"), "{html}");
        let many = fill(&page, "/it", &fields(&[("scope-999999999-resource", "a")]));
        assert_eq!(many.matches("class=\"row\"").count(), MAX_ROWS);
        assert!(many.contains("<li>scope-999999999-resource: a</li>"));
    }

    #[test]
    fn a_page_without_the_form_lists_the_values() {
        let html = fill("<main><p>Gone</p></main>", "/it", &fields(&[("name", "x"), ("empty", "")]));
        assert!(html.contains("<li>name: x</li></ul></div><p>Gone</p>") && !html.contains("empty"), "{html}");
    }
}
