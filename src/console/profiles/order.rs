//! The order of a list of profiles or networks, which is shown as a whole.

use actix_web::HttpRequest;

use crate::domain::slug::Slug;
use crate::http::form::Form;

/// By name or by number of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::console) struct Order {
    by_keys: bool,
    is_descending: bool,
}

/// The links of the headers of the columns, and their `aria-sort` attributes, which can be empty.
pub(in crate::console) struct Sorting {
    pub(in crate::console) name: (String, &'static str),
    pub(in crate::console) keys: (String, &'static str),
}

impl Order {
    /// Reads the query of a list. The default is by name.
    pub(in crate::console) fn of_request(request: &HttpRequest) -> Self {
        let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
        Self::parse(query.value("sort").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let name = text.strip_prefix('-').unwrap_or(text);
        Self { by_keys: name == "keys", is_descending: matches!(text, "-keys" | "-name") }
    }

    /// Sorts rows by their name and number of keys. Equal numbers are sorted by name.
    pub(in crate::console) fn sort<T>(self, rows: &mut [T], key: impl Fn(&T) -> (&Slug, u64)) {
        rows.sort_by(|one, other| {
            let ((one, keys), (other, other_keys)) = (key(one), key(other));
            let (by_name, by_keys) = (one.cmp(other), keys.cmp(&other_keys));
            match (self.by_keys, self.is_descending) {
                (false, false) => by_name,
                (false, true) => by_name.reverse(),
                (true, false) => by_keys.then(by_name),
                (true, true) => by_keys.reverse().then(by_name),
            }
        });
    }

    /// Returns the headers of the list with this absolute path.
    pub(in crate::console) fn head(self, path: &str) -> Sorting {
        let sorted = |is_this| match (is_this, self.is_descending) {
            (false, _) => "",
            (true, true) => "descending",
            (true, false) => "ascending",
        };
        // A first click on the number of keys shows the most used first.
        let name = if self == Self::parse("name") { "-name" } else { "name" };
        let keys = if self == Self::parse("-keys") { "keys" } else { "-keys" };
        Sorting {
            name: (format!("{path}?sort={name}"), sorted(!self.by_keys)),
            keys: (format!("{path}?sort={keys}"), sorted(self.by_keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_by_name_or_number_of_keys() {
        let slug = |text: &str| Slug::parse(text).unwrap();
        let rows = [(slug("b"), 2), (slug("c"), 1), (slug("a"), 2)];
        let sorted = |order: &str| {
            let mut rows = rows.clone();
            Order::parse(order).sort(&mut rows, |(name, keys)| (name, *keys));
            rows.map(|(name, _)| name.to_string()).concat()
        };
        for (order, names) in
            [("", "abc"), ("name", "abc"), ("-name", "cba"), ("keys", "cab"), ("-keys", "abc"), ("x", "abc")]
        {
            assert_eq!(sorted(order), names, "{order}");
        }
        let head = Order::parse("-keys").head("/console/profiles");
        assert_eq!(head.keys, ("/console/profiles?sort=keys".to_owned(), "descending"));
        assert_eq!(head.name, ("/console/profiles?sort=name".to_owned(), ""));
    }
}
