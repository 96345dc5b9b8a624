//! Cursors of a list of customers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::customer::{Customer, CustomerId};
use crate::domain::timestamp::Timestamp;

/// Formats the position of a customer in a list.
pub fn cursor(customer: &Customer) -> String {
    URL_SAFE_NO_PAD.encode(format!("customers.{}.{}", customer.created_at.as_millis(), customer.id))
}

/// Parses a cursor.
pub fn read_cursor(text: &str) -> Option<(Timestamp, CustomerId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.strip_prefix("customers.")?.split_once('.')?;
    let at = at.parse().ok().filter(|at| *at >= 0)?;
    Some((Timestamp::from_millis(at), CustomerId::parse(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::customer::tests::customer;

    #[test]
    fn cursor_round_trips() {
        let customer = Customer { created_at: Timestamp::from_millis(7), ..customer() };
        assert_eq!(read_cursor(&cursor(&customer)), Some((Timestamp::from_millis(7), customer.id)));
        for junk in ["", "!", "AAAA", &URL_SAFE_NO_PAD.encode("customers.-1.0000000000000000")] {
            assert_eq!(read_cursor(junk), None, "{junk}");
        }
    }
}
