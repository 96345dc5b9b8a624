//! The orders of a list of keys by their names, and where such a list goes on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::key_text::KeyId;
use crate::store::{KeyOrder, KeyPlace};

const ORDERS: [(&str, KeyOrder); 4] = [
    ("created_at", KeyOrder::Created),
    ("name", KeyOrder::Name),
    ("expires_at", KeyOrder::Expiry),
    ("last_used_at", KeyOrder::LastUse),
];

/// Reads an order: one of `created_at`, `name`, `expires_at` and `last_used_at`, with `-` before it for the last first.
pub fn read_order(text: &str) -> Option<(KeyOrder, bool)> {
    let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let (_, order) = ORDERS.iter().find(|(known, _)| *known == name)?;
    Some((*order, is_descending))
}

fn order_name(order: KeyOrder, is_descending: bool) -> String {
    let name = ORDERS.iter().find(|(_, known)| *known == order).map_or("", |(name, _)| name);
    format!("{}{name}", if is_descending { "-" } else { "" })
}

/// Where a list goes on, as a text: the order, the value and the id of the last key on a page; the value comes last, for a name may be anything.
pub fn cursor(order: KeyOrder, is_descending: bool, place: &KeyPlace) -> String {
    let (id, value) = match place {
        KeyPlace::At(at, id) => (id, at.to_string()),
        KeyPlace::Named(name, id) => (id, name.clone()),
    };
    URL_SAFE_NO_PAD.encode(format!("{} {id} {value}", order_name(order, is_descending)))
}

/// Reads such a text, if it was given for a list in that order.
pub fn read_cursor(text: &str, order: KeyOrder, is_descending: bool) -> Option<KeyPlace> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = plain.splitn(3, ' ');
    if parts.next()? != order_name(order, is_descending) {
        return None;
    }
    let (id, value) = (KeyId::parse(parts.next()?)?, parts.next()?);
    Some(match order {
        KeyOrder::Name if !value.contains('\0') => KeyPlace::Named(value.to_owned(), id),
        KeyOrder::Name => return None,
        KeyOrder::Created | KeyOrder::Expiry | KeyOrder::LastUse => KeyPlace::At(value.parse().ok()?, id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_the_order_it_was_given_in() {
        let id = KeyId::from_random([3; 16]);
        let named = KeyPlace::Named("a name - with spaces".into(), id);
        let text = cursor(KeyOrder::Name, true, &named);
        assert_eq!(read_cursor(&text, KeyOrder::Name, true), Some(named));
        assert_eq!(read_cursor(&text, KeyOrder::Name, false), None);
        assert_eq!(read_cursor(&text, KeyOrder::Created, true), None);
        let at = KeyPlace::At(-5, id);
        assert_eq!(read_cursor(&cursor(KeyOrder::LastUse, false, &at), KeyOrder::LastUse, false), Some(at));
        for junk in ["", "!", "AAAA", &URL_SAFE_NO_PAD.encode("created_at x y")] {
            assert_eq!(read_cursor(junk, KeyOrder::Created, false), None, "{junk}");
        }
    }
}
