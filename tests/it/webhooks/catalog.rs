//! `docs/reference/events.md` lists every audit action and every event, and no other.

use std::collections::BTreeSet;

use keyturn::domain::event::{EventFilter, KNOWN, TEST, event_of};

/// The first two columns of the table: action, and event if it has one.
fn documented() -> Vec<(String, Option<String>)> {
    let page = std::fs::read_to_string("docs/reference/events.md").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (action, rest) = row.split_once("` | ").unwrap();
        let event = rest.split(" |").next().unwrap();
        let event = event.strip_prefix('`').and_then(|event| event.strip_suffix('`'));
        assert!(event.is_some() || rest.starts_with("none |"), "{row}");
        assert_eq!(rest.matches(" |").count(), 4, "five columns: {row}");
        (action.to_owned(), event.map(str::to_owned))
    })
    .collect()
}

/// Returns the values of the constants of `store::action`.
fn written() -> BTreeSet<String> {
    let source = std::fs::read_to_string("src/store/audit_entry.rs").unwrap();
    let module = source.split_once("pub mod action {").unwrap().1.split_once("\n}").unwrap().0;
    let values = module.lines().filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": &str = \""));
    let values: BTreeSet<String> = values.map(|(_, rest)| rest.split('"').next().unwrap().to_owned()).collect();
    assert!(values.len() > 30, "{values:?}");
    values
}

#[test]
fn every_action_is_documented_with_its_event() {
    let documented = documented();
    let actions: BTreeSet<String> = documented.iter().map(|(action, _)| action.clone()).collect();
    assert_eq!(actions.len(), documented.len(), "an action is listed twice");
    assert_eq!(actions, written());
    for (action, event) in &documented {
        assert_eq!(event_of(action).as_deref(), event.as_deref(), "{action}");
    }
}

#[test]
fn every_event_can_be_selected_and_comes_from_an_action() {
    let mut events: BTreeSet<String> = documented().into_iter().filter_map(|(_, event)| event).collect();
    events.insert(TEST.to_owned());
    assert_eq!(events, KNOWN.into_iter().map(str::to_owned).collect());
    for event in &events {
        assert!(EventFilter::parse(&[event]).is_ok_and(|filter| filter.matches(event)), "{event}");
    }
}
