//! Properties of the chain: every manipulation of a log is detected at the right entry.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// An entry that is not chained yet.
fn any_row() -> impl Strategy<Value = AuditRow> {
    let text = || "[a-z:.\\x00é]{0,6}";
    let value = || prop::option::of("[a-z\"{}]{0,6}");
    (text(), text(), text(), value(), value(), value(), 0..100i64).prop_map(
        |(actor, action, subject, address, old, new, at)| AuditRow {
            id: 0,
            organization: "acme".into(),
            position: None,
            at: Timestamp::from_millis(at),
            actor,
            action,
            subject,
            address,
            old,
            new,
            hash: None,
        },
    )
}

/// Chains entries as the store does, with gaps between the IDs.
fn chained(mut rows: Vec<AuditRow>) -> (Vec<AuditRow>, AuditHead) {
    let mut head = AuditHead { id: 0, rows: 0, hash: ChainHash::START };
    for row in &mut rows {
        (row.id, row.position) = (head.id + 3, Some(head.rows + 1));
        let hash = row.hash_after(&head.hash);
        row.hash = Some(hash);
        head = AuditHead { id: row.id, rows: head.rows + 1, hash };
    }
    (rows, head)
}

fn log() -> impl Strategy<Value = (Vec<AuditRow>, AuditHead)> {
    prop::collection::vec(any_row(), 3..12).prop_map(chained)
}

fn check(rows: &[AuditRow], head: Option<AuditHead>, notes: &[NotedHead]) -> Result<AuditHead, Fault> {
    let mut check = ChainCheck::new(notes.to_vec());
    rows.iter().for_each(|row| check.row(row));
    check.end(head, None)
}

/// Changes one column of an entry, chosen by number.
fn change(row: &mut AuditRow, column: usize) {
    let other = |text: &Option<String>| match text {
        None => Some(String::new()),
        Some(text) if text.is_empty() => None,
        Some(text) => Some(format!("{text}x")),
    };
    match column {
        0 => row.id += 1,
        1 => row.organization.push('x'),
        2 => row.position = row.position.map(|position| position + 100),
        3 => row.at = row.at.plus_millis(1),
        4 => row.actor.push('x'),
        5 => row.action.push('x'),
        6 => row.subject.push('x'),
        7 => row.address = other(&row.address),
        8 => row.old = other(&row.old),
        9 => row.new = other(&row.new),
        10 => row.hash = Some(ChainHash([7; 32])),
        11 => {
            // A character that moves from one column to the next.
            let moved = row.actor.pop().unwrap_or('x');
            row.action.insert(0, moved);
        }
        _ => std::mem::swap(&mut row.old, &mut row.new),
    }
}

proptest! {
    #[test]
    fn unchanged_log_is_valid((rows, head) in log(), at: Index) {
        prop_assert_eq!(check(&rows, Some(head), &[]), Ok(head));
        let row = at.get(&rows);
        let note = NotedHead { id: row.id, hash: row.hash.unwrap() };
        let mut whole = ChainCheck::new(vec![note]);
        rows.iter().for_each(|row| whole.row(row));
        prop_assert!(whole.ends_at(Some(&head)));
        prop_assert_eq!(whole.confirmed(), &[note]);
    }

    #[test]
    fn changed_entry_is_reported((rows, head) in log(), at: Index, column in 0..13usize) {
        let (mut rows, at) = (rows.clone(), at.index(rows.len()));
        change(&mut rows[at], column);
        let unchanged = column == 12 && rows[at].old == rows[at].new;
        prop_assume!(!unchanged);
        let fault = check(&rows, Some(head), &[]).unwrap_err();
        prop_assert_eq!(fault, Fault { id: rows[at].id, kind: FaultKind::Changed });
    }

    #[test]
    fn entry_without_hash_is_reported((rows, head) in log(), at: Index) {
        let (mut rows, at) = (rows.clone(), at.index(rows.len()));
        rows[at].hash = None;
        let fault = Fault { id: rows[at].id, kind: FaultKind::NotChained };
        prop_assert_eq!(check(&rows, Some(head), &[]), Err(fault));
    }

    #[test]
    fn entry_after_missing_ones_is_reported((rows, head) in log(), at: Index, count in 1..4usize) {
        let at = at.index(rows.len());
        let (mut left, count) = (rows.clone(), count.min(rows.len() - at));
        left.drain(at..at + count);
        let expected = match (left.get(at), left.last()) {
            (Some(next), _) => Fault { id: next.id, kind: FaultKind::MissingBefore(count as i64) },
            (None, Some(last)) => Fault { id: last.id, kind: FaultKind::CutOff(count as i64) },
            (None, None) => Fault { id: head.id, kind: FaultKind::CutOff(count as i64) },
        };
        prop_assert_eq!(check(&left, Some(head), &[]), Err(expected));
    }

    #[test]
    fn moved_entries_are_out_of_order((rows, head) in log(), one: Index, other: Index) {
        let (one, other) = (one.index(rows.len()), other.index(rows.len()));
        prop_assume!(one != other);
        let mut moved = rows.clone();
        let row = moved.remove(one);
        moved.insert(other, row);
        let first = one.min(other);
        prop_assert_eq!(check(&moved, Some(head), &[]), Err(Fault { id: moved[first].id, kind: FaultKind::OutOfOrder }));
        // With the IDs exchanged as well, the contents are in the wrong place.
        let mut swapped = rows.clone();
        swapped.swap(one, other);
        (swapped[one].id, swapped[other].id) = (rows[one].id, rows[other].id);
        let fault = check(&swapped, Some(head), &[]).unwrap_err();
        prop_assert_eq!(fault.id, rows[first].id);
    }

    #[test]
    fn inserted_entry_is_reported((rows, head) in log(), at: Index, new in any_row(), fits: bool) {
        let at = at.index(rows.len() + 1);
        let before = at.checked_sub(1).map(|before| &rows[before]);
        let mut inserted = rows.clone();
        let mut new = AuditRow { id: before.map_or(0, |row| row.id) + 1, position: Some(at as i64 + 1), ..new };
        let previous = before.map_or(ChainHash::START, |row| row.hash.unwrap());
        new.hash = Some(if fits { new.hash_after(&previous) } else { ChainHash([1; 32]) });
        inserted.insert(at, new.clone());
        let fault = check(&inserted, Some(head), &[]).unwrap_err();
        if fits {
            // The inserted entry passes; the one after it does not.
            prop_assert!(fault.id == inserted.get(at + 1).map_or(new.id, |row| row.id));
        } else {
            prop_assert_eq!(fault, Fault { id: new.id, kind: FaultKind::Changed });
        }
    }

    #[test]
    fn rewritten_log_differs_from_note((rows, _) in log(), at: Index, noted: Index) {
        let (at, noted) = (at.index(rows.len()), noted.index(rows.len()));
        let note = NotedHead { id: rows[noted].id, hash: rows[noted].hash.unwrap() };
        let mut forged = rows;
        forged[at].subject.push('x');
        let (forged, head) = chained(forged);
        let result = check(&forged, Some(head), &[note]);
        if at <= noted {
            prop_assert_eq!(result, Err(Fault { id: note.id, kind: FaultKind::DiffersFromNote }));
        } else {
            prop_assert_eq!(result, Ok(head));
        }
    }

    #[test]
    fn partial_log_needs_a_noted_predecessor((rows, head) in log(), at: Index) {
        let at = at.index(rows.len() - 1);
        let note = NotedHead { id: rows[at].id, hash: rows[at].hash.unwrap() };
        let part = &rows[at + 1..];
        for (notes, is_good) in [(vec![note], true), (vec![], false)] {
            let mut check = ChainCheck::new(notes);
            check.start_after_note(&part[0]);
            part.iter().for_each(|row| check.row(row));
            let end = check.end(Some(head), None);
            prop_assert_eq!(end.is_ok(), is_good, "{:?}", end);
        }
    }

    #[test]
    fn noted_head_parser_accepts_any_text(text in "\\PC{0,80}") {
        let _ = NotedHead::parse(&text);
    }
}

#[test]
fn recorded_end_must_match() {
    let row = |n: i64| AuditRow {
        id: 0,
        organization: "acme".into(),
        position: None,
        at: Timestamp::from_millis(n),
        actor: String::new(),
        action: String::new(),
        subject: String::new(),
        address: None,
        old: None,
        new: None,
        hash: None,
    };
    let (rows, head) = chained((1..=4).map(row).collect());
    for (recorded, id, kind) in [
        (None, 12, FaultKind::EndGone),
        (Some(AuditHead { rows: 6, ..head }), 12, FaultKind::CutOff(2)),
        (Some(AuditHead { rows: 3, ..head }), 12, FaultKind::Added),
        (Some(AuditHead { id: 11, ..head }), 12, FaultKind::EndDiffers),
        (Some(AuditHead { hash: ChainHash::START, ..head }), 12, FaultKind::EndDiffers),
    ] {
        assert_eq!(check(&rows, recorded, &[]), Err(Fault { id, kind }));
    }
    assert_eq!(check(&[], Some(head), &[]), Err(Fault { id: 12, kind: FaultKind::CutOff(4) }));
    assert_eq!(check(&[], None, &[]), Err(Fault { id: 0, kind: FaultKind::Empty }));
}

/// The encoding must never change: existing logs stay verifiable.
#[test]
fn hash_is_stable() {
    let row = AuditRow {
        id: 7,
        organization: "default".into(),
        position: Some(3),
        at: Timestamp::from_millis(1_800_000_000_123),
        actor: "key:0123456789abcdef".into(),
        action: "key.edit".into(),
        subject: "0123456789abcdef".into(),
        address: Some("192.0.2.1".into()),
        old: None,
        new: Some(r#"{"name":"ü"}"#.into()),
        hash: None,
    };
    assert_eq!(
        row.hash_after(&ChainHash::START).to_string(),
        "10251edf848e6509b6dc3d617dabf5f13b83117ac19460aa5cf2fc4f8372a7fe"
    );
}
