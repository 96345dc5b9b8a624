//! Values of single settings, right and wrong.

use super::{load, load_variable, refusal};
use crate::domain::choices::{Algorithm, LogFormat, LoggedRequests, TokenType};

#[test]
fn algorithms_are_read_by_name() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        assert_eq!(load_variable("KEYTURN_TOKEN__ALGORITHM", algorithm.as_str()).token.algorithm, algorithm);
    }
    assert_eq!(
        refusal("KEYTURN_TOKEN__ALGORITHM", "HS256"),
        "KEYTURN_TOKEN__ALGORITHM: token.algorithm is \"HS256\"; allowed: ES256, EdDSA or RS256"
    );
}

#[test]
fn typ_is_one_of_two() {
    for typ in [TokenType::AtJwt, TokenType::Jwt] {
        assert_eq!(load_variable("KEYTURN_TOKEN__TYP", typ.as_str()).token.typ, typ);
    }
    assert_eq!(
        refusal("KEYTURN_TOKEN__TYP", "jwt"),
        "KEYTURN_TOKEN__TYP: token.typ is \"jwt\"; allowed: at+jwt or JWT"
    );
}

#[test]
fn audience_is_the_public_url_unless_set() {
    assert_eq!(load(&[("KEYTURN_SERVER__PUBLIC_URL", "https://k.example")]).audience(), "https://k.example");
    for audience in ["https://api.example/v1/", "urn:example:api", "orders", &"a".repeat(256)] {
        assert_eq!(load_variable("KEYTURN_TOKEN__AUDIENCE", audience).audience(), audience);
    }
}

#[test]
fn audience_has_no_spaces_and_an_end() {
    let allowed = "allowed: a URI or another name, 1 to 256 printable ASCII characters without spaces";
    let long = "a".repeat(257);
    let cut = format!("{}…", "a".repeat(80));
    for (given, shown) in [("a b", "a b"), ("\u{e9}", "\u{e9}"), (" ", " "), (long.as_str(), cut.as_str())] {
        assert_eq!(
            refusal("KEYTURN_TOKEN__AUDIENCE", given),
            format!("KEYTURN_TOKEN__AUDIENCE: token.audience is \"{shown}\"; {allowed}")
        );
    }
}

#[test]
fn level_is_printable() {
    let directives = "info,keyturn::store[span{field=\"a b\"}]=debug";
    assert_eq!(load_variable("KEYTURN_LOG__LEVEL", directives).log.level, directives);
    for (given, shown) in [("", "empty"), ("  ", "\"  \""), ("a\tb", "\"a\\tb\"")] {
        assert_eq!(
            refusal("KEYTURN_LOG__LEVEL", given),
            format!(
                "KEYTURN_LOG__LEVEL: log.level is {shown}; allowed: error, warn, info, debug, trace or \
                 filter directives, in printable ASCII"
            )
        );
    }
}

#[test]
fn format_is_one_of_two() {
    assert_eq!(load_variable("KEYTURN_LOG__FORMAT", "json").log.format, LogFormat::Json);
    assert_eq!(
        refusal("KEYTURN_LOG__FORMAT", "JSON"),
        "KEYTURN_LOG__FORMAT: log.format is \"JSON\"; allowed: human or json"
    );
}

#[test]
fn requests_are_one_of_three() {
    for (given, requests) in
        [("failed", LoggedRequests::Failed), ("all", LoggedRequests::All), ("none", LoggedRequests::None)]
    {
        assert_eq!(load_variable("KEYTURN_LOG__REQUESTS", given).log.requests, requests);
    }
    assert_eq!(
        refusal("KEYTURN_LOG__REQUESTS", "some"),
        "KEYTURN_LOG__REQUESTS: log.requests is \"some\"; allowed: failed, all or none"
    );
}

#[test]
fn a_schedule_is_a_list_of_seconds() {
    let read = |text| load_variable("KEYTURN_WEBHOOKS__RETRY_SECONDS", text).webhooks.retry_seconds;
    assert_eq!(read("1, 2"), [1, 2]);
    assert_eq!(read("[1, 604800]"), [1, 604_800]);
    assert!(read("").is_empty());
    let many = vec!["1"; 21].join(",");
    for wrong in ["0", "604801", "-1", "1.5", "x", "[[1]]", "[true]", many.as_str()] {
        let line = refusal("KEYTURN_WEBHOOKS__RETRY_SECONDS", wrong);
        assert!(line.starts_with("KEYTURN_WEBHOOKS__RETRY_SECONDS: webhooks.retry_seconds is "), "{line}");
        assert!(line.ends_with("allowed: a list of at most 20 numbers of seconds, each 1 to 604800"), "{line}");
    }
    let line = refusal("KEYTURN_WEBHOOKS__PRIVATE_ADDRESSES", "yes");
    assert!(line.ends_with("webhooks.private_addresses is \"yes\"; allowed: true or false"), "{line}");
}
