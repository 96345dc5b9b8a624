//! The regular expression for secret scanners finds secrets and nothing else.

use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};
use regex::RegexBuilder;

use crate::docs::read;
use crate::support::Server;

/// The expression of each file, compiled.
fn patterns() -> Vec<(String, regex::Regex)> {
    let between = |name: &str, begin: &str, end: &str| {
        let text = read(name);
        let rest = text.split_once(begin).unwrap_or_else(|| panic!("{name}: {begin}")).1;
        (name.to_owned(), rest.split(end).next().unwrap().to_owned())
    };
    let folder = "docs/reference/secret-scanning";
    let patterns = [
        between(&format!("{folder}/pattern.txt"), "", "\n"),
        between(&format!("{folder}/gitleaks.toml"), "regex = '''", "'''"),
        between(&format!("{folder}/trufflehog.yaml"), "key: '", "'"),
    ];
    let compile = |(name, pattern): (String, String)| {
        (name, RegexBuilder::new(&pattern).unicode(false).build().unwrap_or_else(|error| panic!("{pattern}: {error}")))
    };
    patterns.into_iter().map(compile).collect()
}

#[test]
fn real_secrets_are_found() {
    let minted = (0..100_u8).map(|n| {
        let id = KeyId::from_random([n.wrapping_mul(37); 16]);
        KeyText::new(KeyPrefix::default(), id, [n.wrapping_mul(91); 32]).reveal().to_string()
    });
    let secrets: Vec<_> = minted.chain([Server::start().key.text.clone()]).collect();
    for (name, pattern) in patterns() {
        for secret in &secrets {
            for text in
                [secret.clone(), format!("KEY={secret}\n"), format!("\"{secret}\""), format!("https://a/?k={secret}&x")]
            {
                assert_eq!(pattern.find(&text).map(|found| found.as_str()), Some(secret.as_str()), "{name}: {text}");
            }
        }
    }
}

#[test]
fn example_of_the_page_is_a_secret() {
    let page = read("docs/reference/key-format.md");
    let example = page.lines().find(|line| line.starts_with("kt_")).unwrap();
    assert!(KeyText::parse(example).is_ok(), "{example}");
    for (name, pattern) in patterns() {
        assert_eq!(pattern.find_iter(&page).map(|found| found.as_str()).collect::<Vec<_>>(), [example], "{name}");
    }
}

#[test]
fn near_misses_are_not_found() {
    let secret = KeyText::new(KeyPrefix::default(), KeyId::from_random([1; 16]), [2; 32]).reveal().to_string();
    let (id, random) = (&secret[3..19], &secret[20..]);
    for (name, pattern) in patterns() {
        assert!(pattern.is_match(&secret));
        for text in [
            format!("kt_{id}_{}", &random[1..]),
            format!("kt_{id}_{random}A"),
            format!("kt_{}_{random}", &id[1..]),
            format!("kt_{id}0_{random}"),
            format!("kt_{id}-{random}"),
            format!("kt-{id}_{random}"),
            format!("kx_{id}_{random}"),
            format!("xkt_{id}_{random}"),
            format!("kt_{id}_{}", random.replacen(|c: char| c.is_ascii_alphanumeric(), "-", 1)),
            format!("kt_{id}_..."),
            "kt_...ngIQ".to_owned(),
        ] {
            assert!(!pattern.is_match(&text), "{name}: {text}");
        }
    }
}
