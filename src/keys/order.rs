//! Sort orders and cursors of a list of keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::key_text::KeyId;
use crate::store::{KeyCursor, KeyOrder};

const ORDERS: [(&str, KeyOrder); 4] = [
    ("created_at", KeyOrder::Created),
    ("name", KeyOrder::Name),
    ("expires_at", KeyOrder::Expiry),
    ("last_used_at", KeyOrder::LastUse),
];

/// Parses an order: `created_at`, `name`, `expires_at` or `last_used_at`, with a prefix `-` for descending.
pub fn read_order(text: &str) -> Option<(KeyOrder, bool)> {
    let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let (_, order) = ORDERS.iter().find(|(known, _)| *known == name)?;
    Some((*order, is_descending))
}

fn order_name(order: KeyOrder, is_descending: bool) -> String {
    let name = ORDERS.iter().find(|(_, known)| *known == order).map_or("", |(name, _)| name);
    format!("{}{name}", if is_descending { "-" } else { "" })
}

/// Formats a cursor: the order, the ID of the last key on a page, and its value, which is last because a name can
/// contain any character.
pub fn cursor(order: KeyOrder, is_descending: bool, cursor: &KeyCursor) -> String {
    let (id, value) = match cursor {
        KeyCursor::At(at, id) => (id, at.to_string()),
        KeyCursor::Named(name, id) => (id, name.clone()),
    };
    URL_SAFE_NO_PAD.encode(format!("{} {id} {value}", order_name(order, is_descending)))
}

/// Parses a cursor, if it was created for this order.
pub fn read_cursor(text: &str, order: KeyOrder, is_descending: bool) -> Option<KeyCursor> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = plain.splitn(3, ' ');
    if parts.next()? != order_name(order, is_descending) {
        return None;
    }
    let (id, value) = (KeyId::parse(parts.next()?)?, parts.next()?);
    Some(match order {
        KeyOrder::Name if !value.contains('\0') => KeyCursor::Named(value.to_owned(), id),
        KeyOrder::Name => return None,
        KeyOrder::Created | KeyOrder::Expiry | KeyOrder::LastUse => KeyCursor::At(value.parse().ok()?, id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_valid_for_its_order_only() {
        let id = KeyId::from_random([3; 16]);
        let named = KeyCursor::Named("a name - with spaces".into(), id);
        let text = cursor(KeyOrder::Name, true, &named);
        assert_eq!(read_cursor(&text, KeyOrder::Name, true), Some(named));
        assert_eq!(read_cursor(&text, KeyOrder::Name, false), None);
        assert_eq!(read_cursor(&text, KeyOrder::Created, true), None);
        let at = KeyCursor::At(-5, id);
        assert_eq!(read_cursor(&cursor(KeyOrder::LastUse, false, &at), KeyOrder::LastUse, false), Some(at));
        for junk in ["", "!", "AAAA", &URL_SAFE_NO_PAD.encode("created_at x y")] {
            assert_eq!(read_cursor(junk, KeyOrder::Created, false), None, "{junk}");
        }
    }
}
