//! The overview.

use serde_json::json;

use super::visiting;
use crate::support::Visitor;

#[test]
fn counts_lead_to_the_lists_behind_them() {
    let (_server, owner, visitor) = visiting();
    owner.make(&json!({ "name": "soon", "expires_in_seconds": 3600, "allowed_cidrs": ["10.0.0.0/8"] }));
    owner.make(&json!({ "name": "open" }));
    assert_eq!(visitor.led_to(&visitor.get("")), "/overview");
    let page = visitor.page("/overview");
    let count = |label: &str| {
        let (before, _) = page.split_once(&format!("<strong>{label}</strong>")).unwrap();
        let tag = before.rsplit("<a class=\"tally").next().unwrap();
        let link = tag.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        let count = tag.rsplit("class=\"figure\">").next().unwrap().split('<').next().unwrap().to_owned();
        (link.strip_prefix(&visitor.root).unwrap().to_owned(), count)
    };
    for label in [
        "Expiring in 14 days",
        "Violating the policy",
        "Full access",
        "Any network",
        "No expiry",
        "Unused for 90 days",
        "Never used",
        "Rotating",
    ] {
        let (link, count) = count(label);
        let list = visitor.read(&link);
        let says = match count.as_str() {
            "0" => "No keys match these filters.".to_owned(),
            "1" => "1 key".to_owned(),
            many => format!("{many} keys"),
        };
        assert!(list.contains(&says), "{label} {count}: {list}");
    }
    assert_eq!(count("Expiring in 14 days").1, "1");
    assert_eq!(count("Any network").1, "2", "the first key and the open one");
}

#[test]
fn developers_see_the_counts_of_their_own_keys() {
    let (server, owner, _visitor) = visiting();
    owner.make(&json!({ "name": "open" }));
    let developer = owner.add(&server, "developer");
    let page = Visitor::of(&server, &developer).read("/overview");
    assert!(page.contains("0 active keys of yours") && !page.contains("Failed webhook deliveries"), "{page}");
    let viewer = owner.add(&server, "viewer");
    let page = Visitor::of(&server, &viewer).read("/overview");
    assert!(page.contains("2 active keys") && !page.contains("Create API key"), "{page}");
}
