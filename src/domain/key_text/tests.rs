//! Properties of secrets.
#![expect(clippy::string_slice, reason = "secrets are ASCII")]

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_key()(prefix in "[a-z0-9]{2,16}", id: [u8; 16], random: [u8; 32]) -> KeyText {
        KeyText::new(KeyPrefix::parse(&prefix).unwrap(), KeyId::from_random(id), random)
    }
}

proptest! {
    #[test]
    fn printing_and_reading_are_inverse(key in any_key()) {
        let text = key.reveal();
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        prop_assert!(looks_like_key_text(&text));
        let read = KeyText::parse(&text).unwrap();
        prop_assert_eq!((read.prefix(), read.id()), (key.prefix(), key.id()));
        prop_assert_eq!(&*read.reveal(), &*text);
        let bare = Secret::parse(read.into_secret().expose()).unwrap();
        prop_assert!(checksum_holds(key.prefix(), &key.id(), &bare));
    }

    #[test]
    fn one_changed_character_is_detected(key in any_key(), at: prop::sample::Index, to: char) {
        let mut text: Vec<char> = key.reveal().chars().collect();
        let at = at.index(text.len());
        for to in (' '..='~').chain([to]).filter(|to| *to != text[at]).collect::<Vec<_>>() {
            let right = std::mem::replace(&mut text[at], to);
            prop_assert!(KeyText::parse(&text.iter().collect::<String>()).is_err());
            text[at] = right;
        }
    }

    #[test]
    fn different_bits_make_different_secrets(a: [u8; 32], b: [u8; 32], id: [u8; 16]) {
        let secret = |random| {
            let key = KeyText::new(KeyPrefix::default(), KeyId::from_random(id), random);
            key.secret().expose()[..RANDOM_LENGTH].to_owned()
        };
        prop_assert_eq!(a == b, secret(a) == secret(b));
        // Base62 in ASCII order keeps the order of the numbers.
        prop_assert_eq!(a.cmp(&b), secret(a).cmp(&secret(b)));
    }

    #[test]
    fn debug_and_errors_hide_the_secret(key in any_key()) {
        let printed = format!("{key:?} {key:#?} {:?} {:#?}", key.secret(), key.secret());
        let (secret, id) = (key.secret().expose(), key.id());
        for window in secret.as_bytes().windows(8) {
            prop_assert!(!printed.contains(std::str::from_utf8(window).unwrap()));
        }
        prop_assert!(printed.contains(id.as_str()));
        let wrong = format!("{}_{id}_{secret}0", key.prefix());
        let error = KeyText::parse(&wrong).unwrap_err();
        let printed = format!("{error} {error:?}");
        prop_assert!(!printed.contains(&secret[..8]));
    }

    #[test]
    fn parser_accepts_any_input(text in "(\\PC|[_.a-zA-Z0-9]){0,90}") {
        if let Ok(key) = KeyText::parse(&text) {
            prop_assert_eq!(&*key.reveal(), &text);
        }
        let _ = (looks_like_key_text(&text), KeyId::parse(&text), Secret::parse(&text));
    }
}

/// Computed with a separate implementation (Python's integers and zlib.crc32).
#[test]
fn known_secrets() {
    let text = |id, random| KeyText::new(KeyPrefix::default(), KeyId::from_random(id), random).reveal();
    let mut one = [0; 32];
    one[31] = 61;
    assert_eq!(*text([0; 16], [0; 32]), VECTORS[0]);
    assert_eq!(*text([0xff; 16], [0xff; 32]), VECTORS[1]);
    assert_eq!(*text([1; 16], one), VECTORS[2]);
}

const VECTORS: [&str; 3] = [
    "kt_0000000000000000_00000000000000000000000000000000000000000003DHvU5",
    "kt_M5Tflk9n8mt7Fhc7_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13ViPcF",
    "kt_czI6jAOLpZvq3hw1_000000000000000000000000000000000000000000z3wFxjv",
];

#[test]
fn each_part_has_its_own_error() {
    let key = KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [9; 32]);
    let (id, secret) = (key.id(), key.secret().expose());
    for (text, error) in [
        (String::new(), KeyTextError::Shape),
        (format!("kt_{id}"), KeyTextError::Shape),
        (format!("kt_{id}_{secret}_"), KeyTextError::Shape),
        (format!("k_{id}_{secret}"), KeyTextError::Prefix),
        (format!("Kt_{id}_{secret}"), KeyTextError::Prefix),
        (format!("{}_{id}_{secret}", "k".repeat(17)), KeyTextError::Prefix),
        (format!("kt_{id}0_{secret}"), KeyTextError::Id),
        (format!("kt_{}-_{secret}", &id.as_str()[1..]), KeyTextError::Id),
        (format!("kt_{id}_{secret}0"), KeyTextError::Secret),
        (format!("kt_{id}_{}\u{e9}", &secret[2..]), KeyTextError::Secret),
        (format!("ktx_{id}_{secret}"), KeyTextError::Checksum),
    ] {
        assert_eq!(KeyText::parse(&text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn token_does_not_look_like_a_secret() {
    let (id, secret) = ("i".repeat(16), "s".repeat(49));
    assert!(looks_like_key_text(&format!("kt_{id}_{secret}")));
    assert!(!looks_like_key_text(&format!("kt_{id}_{}.", &secret[1..])));
    assert!(!looks_like_key_text("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwIn0.c2ln_bmF0_dXJl"));
    assert!(!looks_like_key_text(&secret));
}

#[test]
fn hints_ids_and_prefixes_have_fixed_formats() {
    let key = KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [9; 32]);
    let text = key.reveal();
    assert_eq!(key.hint(), format!("kt_...{}", &text[text.len() - 4..]));
    assert_eq!(format!("{:?} {:?}", KeyId([b'x'; 16]), key.prefix()), "KeyId(xxxxxxxxxxxxxxxx) KeyPrefix(kt)");
    let json = serde_json::to_string(&(key.id(), key.prefix())).unwrap();
    assert_eq!(json, format!("[\"{}\",\"kt\"]", key.id()));
    assert_eq!(serde_json::from_str::<(KeyId, KeyPrefix)>(&json).unwrap(), (key.id(), KeyPrefix::default()));
    assert!(serde_json::from_str::<KeyPrefix>("\"kt_\"").is_err());
    assert!(serde_json::from_str::<KeyId>("\"short\"").is_err());
}
