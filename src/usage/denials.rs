//! Recent denials of an organization.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};
use crate::store::{DenialFilter, DeniedRequest};

/// Returns the denials that match a filter, the latest first.
pub async fn denials(node: &Node, filter: &DenialFilter) -> Result<Page<DeniedRequest>, Unavailable> {
    // Includes those that this node has not written yet.
    node.write_denials().await?;
    let one_more = DenialFilter { limit: Page::<DeniedRequest>::read_limit(filter.limit), ..filter.clone() };
    Ok(Page::new(node.store.denials(&one_more).await?, filter.limit))
}

/// Returns a denial by its ID.
pub async fn denial(node: &Node, organization: &Slug, id: &str) -> Result<Option<DeniedRequest>, Unavailable> {
    Ok(node.store.denial(organization, id).await?)
}

/// Returns the cursor behind a denial.
pub fn denials_cursor(denied: &DeniedRequest) -> String {
    URL_SAFE_NO_PAD.encode(format!("denials.{}.{}", denied.last_at.as_millis(), denied.id))
}

/// Parses a cursor of [`denials_cursor`].
pub fn read_denials_cursor(text: &str) -> Option<(Timestamp, String)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.strip_prefix("denials.")?.split_once('.')?;
    let at = at.parse().ok().filter(|at| *at >= 0)?;
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| (Timestamp::from_millis(at), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_other_lists_are_refused() {
        let id = "00112233445566aa";
        let text = URL_SAFE_NO_PAD.encode(format!("denials.7.{id}"));
        assert_eq!(read_denials_cursor(&text), Some((Timestamp::from_millis(7), id.into())));
        for wrong in [
            "",
            "!",
            &URL_SAFE_NO_PAD.encode("audit.7.00112233445566aa"),
            &URL_SAFE_NO_PAD.encode("denials.-1.00112233445566aa"),
        ] {
            assert_eq!(read_denials_cursor(wrong), None, "{wrong}");
        }
    }
}
