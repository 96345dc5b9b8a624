//! Properties of scopes.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> ResourceFilter {
    ResourceFilter::parse(text).unwrap()
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

/// Every path of 1 to `depth` of these segments.
fn paths(names: &[&str], depth: usize) -> Vec<String> {
    let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut last = all.clone();
    for _ in 1..depth {
        last = last.iter().flat_map(|p| names.iter().map(move |n| format!("{p}/{n}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// The definition of matching, implemented differently from the code under test.
fn by_definition(filter: &str, resource: &str) -> bool {
    let (filter, resource): (Vec<_>, Vec<_>) = (filter.split('/').collect(), resource.split('/').collect());
    let (fixed, open) = match filter.split_last() {
        Some((&"*", fixed)) => (fixed, true),
        _ => (&filter[..], false),
    };
    let long_enough = if open { resource.len() > fixed.len() } else { resource.len() == fixed.len() };
    long_enough
        && fixed.iter().zip(&resource).all(|(f, r)| *f == "#" || f == r)
        && (resource[0] != "keyturn" || filter[0] == "keyturn")
}

/// No filter contains `z`, and resources are one segment deeper than any filter, so the result holds for all resources.
#[test]
fn containment_is_inclusion_of_matches() {
    let filters: Vec<_> = paths(&["keyturn", "a", "b", "#"], 3)
        .into_iter()
        .chain(["*".to_owned()])
        .chain(paths(&["keyturn", "a", "b", "#"], 2).iter().map(|p| format!("{p}/*")))
        .collect();
    let resources: Vec<_> =
        paths(&["keyturn", "a", "b", "z"], 4).iter().map(|text| Resource::parse(text).unwrap()).collect();
    let table: Vec<(ResourceFilter, HashSet<&Resource>)> = filters
        .iter()
        .map(|text| {
            let f = filter(text);
            let matched: HashSet<_> = resources.iter().filter(|r| f.matches(r)).collect();
            let defined = resources.iter().filter(|r| by_definition(text, r.as_str())).collect();
            assert_eq!(matched, defined, "{text}");
            (f, matched)
        })
        .collect();
    for (a, matched_by_a) in &table {
        for (b, matched_by_b) in &table {
            assert_eq!(a.contains(b), matched_by_b.is_subset(matched_by_a), "{a:?} {b:?}");
            assert_eq!(a == b, matched_by_a == matched_by_b, "one meaning, one spelling");
        }
    }
}

fn any_filter() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["keyturn", "a", "b", "#", "x:y", "~!$&'()+;=@"]);
    (prop::collection::vec(segment, 0..6), any::<bool>()).prop_map(|(mut segments, open)| {
        if open || segments.is_empty() {
            segments.push("*");
        }
        segments.join("/")
    })
}

fn any_scope() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["*", "read", "write", "x.y_z-0"]), any_filter(), any::<bool>())
        .prop_map(|(action, filter, is_bare)| if is_bare { action.to_owned() } else { format!("{action}:{filter}") })
}

proptest! {
    #[test]
    fn containment_is_a_partial_order(a in any_scope(), b in any_scope(), c in any_scope()) {
        let (a, b, c) = (scope(&a), scope(&b), scope(&c));
        prop_assert!(a.contains(&a));
        prop_assert!(!(a.contains(&b) && b.contains(&c)) || a.contains(&c));
        prop_assert!(!(a.contains(&b) && b.contains(&a)) || a == b);
    }

    #[test]
    fn contained_scopes_are_allowed(a in any_scope(), b in any_scope()) {
        let (a, b) = (scope(&a), scope(&b));
        let (action, filter) = b.parts().unwrap();
        let resource = Resource::parse(&filter.as_str().replace(['#', '*'], "q")).unwrap();
        prop_assert!(b.allows(action, &resource));
        prop_assert!(!a.contains(&b) || a.allows(action, &resource));
    }

    #[test]
    fn no_wildcard_matches_keyturn(f in any_filter(), rest in "(/[a-z]{1,3}){0,3}") {
        let resource = Resource::parse(&format!("keyturn{rest}")).unwrap();
        prop_assert!(!filter(&f).matches(&resource) || f.split('/').next() == Some("keyturn"));
    }

    #[test]
    fn printing_and_reading_are_inverse(texts in prop::collection::vec(any_scope(), 0..9)) {
        let read = set(&texts.join(" "));
        prop_assert!(set(&read.to_string()).is_same_text(&read));
        prop_assert_eq!(&ScopeSet::from_scopes(texts.iter().map(|t| scope(t))).unwrap(), &read);
        prop_assert!(read.contains_all(&read));
        let json = serde_json::to_string(&read).unwrap();
        prop_assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), read);
    }

    #[test]
    fn errors_are_ascii(text in "(\\PC|[a/*#.:% \"]){0,40}") {
        let checks = [
            Action::parse(&text).err(), Resource::parse(&text).err(), Scope::parse(&text).err(),
            ResourceFilter::parse(&text).err(), ScopeSet::parse(&text).err(),
        ];
        for message in checks.into_iter().flatten().map(|error| error.to_string()) {
            let plain = |b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
            prop_assert!(message.bytes().all(plain), "{}", message);
        }
        if let Ok(read) = ScopeSet::parse(&text) {
            prop_assert_eq!(ScopeSet::parse(&read.to_string()), Ok(read));
        }
    }
}

#[test]
fn error_messages() {
    for (text, part) in [
        ("", "the action is empty"),
        (":a", "the action is empty"),
        ("read:", "the resource filter is empty"),
        ("Read:a", "the action is unreadable"),
        ("**:a", "the action is unreadable"),
        ("projects/a", "the action is unreadable"),
        ("r\u{e9}ad:a", "the action is unreadable"),
        ("read:a%2Fb", "character 2 of the resource filter is %: escapes are not decoded"),
        ("read:a\\b", "character 2 of the resource filter is U+005C"),
        ("read:a\tb", "U+0009"),
        ("read:a\u{7f}", "U+007F"),
        ("read:\u{e9}", "character 1 of the resource filter is U+00E9"),
        ("read:/a", "segment 1 of the resource filter is empty"),
        ("read:a/", "segment 2 of the resource filter is empty"),
        ("read:a/../b", "segment 2 of the resource filter is '.' or '..'"),
        ("read:a/*/b", "segment 2 of the resource filter is * but not the last"),
        ("read:a/b*", "segment 2 of the resource filter mixes"),
        ("read:##", "segment 1 of the resource filter mixes"),
        ("read,write", "a comma is not allowed: separate scopes by spaces"),
        ("read:a,read:b", "a comma is not allowed"),
    ] {
        let message = Scope::parse(text).unwrap_err().to_string();
        assert!(message.starts_with(part) || message.contains(part), "{text}: {message}");
    }
    let second = ScopeSet::parse("read write:a//b").unwrap_err().to_string();
    assert!(second.starts_with("scope 2: segment 2 "), "{second}");
    let misplaced = Action::parse("kt_Secret").unwrap_err().to_string();
    assert!(!misplaced.contains("Secret"), "{misplaced}");
    assert!(serde_json::from_str::<Scope>("\"read:a//b\"").is_err());
}

#[test]
fn limits_are_inclusive() {
    assert!(Action::parse(&"a".repeat(32)).is_ok());
    assert!(Action::parse(&"a".repeat(33)).is_err());
    assert!(ResourceFilter::parse(&"a".repeat(256)).is_ok());
    assert!(ResourceFilter::parse(&"a".repeat(257)).is_err());
    assert!(ResourceFilter::parse(&vec!["a"; 32].join("/")).is_ok());
    assert!(ResourceFilter::parse(&vec!["a"; 33].join("/")).is_err());
    assert!(filter("a/*").matches(&Resource::parse(&vec!["a"; 999].join("/")).unwrap()));
    assert!(Resource::parse(&"a".repeat(8192)).is_ok());
    assert!(Resource::parse(&"a".repeat(8193)).is_err());
    assert_eq!(set(&vec!["read"; 50].join(" ")).len(), 1);
    let many = vec!["read"; 51];
    assert_eq!(ScopeSet::parse(&many.join(" ")), Err(ScopeError::TooManyScopes));
    let many = many.into_iter().map(scope);
    assert_eq!(ScopeSet::from_scopes(many), Err(ScopeError::TooManyScopes));
}

#[test]
fn sets_do_not_combine_scopes() {
    let held = set("read:a/* *:b");
    assert!(held.contains_all(&set("read:a/x write:b")));
    assert!(held.contains_all(&ScopeSet::default()));
    assert!(!held.contains(&scope("write:a/x")));
    assert!(!ScopeSet::default().contains(&scope("read:b")));
    assert!(!set("read:a write:a").contains(&scope("*:a")), "members are not pieced together");
    let (read, b) = (Action::parse("read").unwrap(), Resource::parse("b").unwrap());
    assert!(held.allows(&read, &b) && !set("write").allows(&read, &b));
}

#[test]
fn spelling_is_kept_and_does_not_affect_equality() {
    let given = set("photos.read read:* write");
    assert_eq!(given, set("photos.read:* read write:*"));
    assert!(!given.is_same_text(&set("photos.read:* read write:*")));
    assert_eq!(given.to_string(), "photos.read read:* write");
    assert_eq!(set("read read:*").to_string(), "read");
    assert_eq!(HashSet::from([scope("read"), scope("read:*")]).len(), 1);
}

#[test]
fn parts_take_the_spelling_of_another_set() {
    let in_parts = |text: &str| {
        let scope = scope(text);
        let (action, filter) = scope.parts().unwrap();
        Scope::new(action.clone(), filter.clone())
    };
    let parts = ScopeSet::from_scopes(["read:*", "write:*", "read:a"].map(in_parts)).unwrap();
    assert_eq!(parts.to_string(), "read:* write:* read:a");
    assert_eq!(parts.spelled_like(&set("write:* read")).to_string(), "read write:* read:a");
    assert_eq!(set("read:*").spelled_like(&set("read")).to_string(), "read:*", "text is not respelled");
}

#[test]
fn common_scopes_count_once_towards_the_limit() {
    let same: Vec<String> = (0..30).map(|n| format!("read:{n}")).collect();
    let set = |more: &str| ScopeSet::parse(&format!("{} {more}", same.join(" "))).unwrap();
    let common = set("write:*").common(&set("write:x"));
    assert_eq!(common.to_string(), set("write:x").to_string());
    let many = |wide: &str, narrow: &str| {
        let narrow: Vec<String> = (0..MAX_SCOPES - 1).map(|n| format!("{narrow}:{n}")).collect();
        ScopeSet::parse(&format!("{wide}:* {}", narrow.join(" "))).unwrap()
    };
    assert_eq!(many("read", "write").common(&many("write", "read")).len(), MAX_SCOPES);
}
