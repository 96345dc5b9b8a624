//! Pagination of lists that are entirely in memory.

use askama::Template;

use crate::console::ui::html;

/// Entries per page.
const ROWS: usize = 100;

html! { Pages }

/// Links to the previous and next page.
#[derive(Template, Clone, Debug)]
#[template(path = "console/pages.html")]
pub(super) struct Pages {
    /// The path of the list with its filters, up to `page=`.
    link: String,
    number: usize,
    last: usize,
}

impl Pages {
    /// Returns the rows of the wanted page and the links. Pages count from 1; an invalid number selects the nearest page.
    pub(super) fn cut<T>(rows: Vec<T>, wanted: Option<&str>, link: String) -> (Vec<T>, Self) {
        let last = rows.len().div_ceil(ROWS).max(1);
        let number = wanted.and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, last);
        let on_page = rows.into_iter().skip((number - 1).saturating_mul(ROWS)).take(ROWS).collect();
        (on_page, Self { link, number, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_numbers_select_the_nearest_page() {
        let cut = |wanted| Pages::cut((0..250).collect(), wanted, "/x?page=".into());
        for (wanted, first, number) in [
            (None, 0, 1),
            (Some("2"), 100, 2),
            (Some("9"), 200, 3),
            (Some("0"), 0, 1),
            (Some("-1"), 0, 1),
            (Some("x"), 0, 1),
        ] {
            let (rows, pages) = cut(wanted);
            assert_eq!((rows.first().copied(), pages.number), (Some(first), number), "{wanted:?}");
        }
        assert!(Pages::cut(Vec::<u8>::new(), None, String::new()).0.is_empty());
        assert_eq!(Pages::cut(vec![1], None, String::new()).1.render().unwrap(), "");
        let html = cut(Some("2")).1.render().unwrap();
        assert!(html.contains("href=\"/x?page=1\"") && html.contains("href=\"/x?page=3\""), "{html}");
    }
}
