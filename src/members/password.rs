//! Checks new passwords (NIST SP 800-63B §3.1.1.2: length, no common or expected values).

use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use crate::domain::member::{self, Password};
use crate::domain::slug::Slug;
use crate::node::Unavailable;

/// Characters that are examined. The cost of the estimate grows faster than the length.
const EXAMINED: usize = 100;

/// Minimum number of characters besides expected words.
const MIN_UNEXPECTED: usize = 6;

/// Returns why a new password is not acceptable. The estimate takes milliseconds, so it runs on the blocking pool.
pub(super) async fn password_error(
    password: &Password,
    organization: &Slug,
    email: &str,
) -> Result<Option<String>, Unavailable> {
    if let Some(fault) = member::password_error(password.expose(), email) {
        return Ok(Some(fault));
    }
    let examined: Zeroizing<String> = Zeroizing::new(password.expose().chars().take(EXAMINED).collect());
    let expected = expected_words(organization, email);
    let estimate = tokio::task::spawn_blocking(move || weakness(&examined, &expected));
    estimate.await.map_err(|_| Unavailable::Lost)
}

/// Returns the words that an attacker tries first for this login.
fn expected_words(organization: &Slug, email: &str) -> Vec<String> {
    let parts = email.split(['@', '.', '+', '-', '_']).filter(|part| part.len() > 2);
    [email, organization.as_str(), "keyturn"].into_iter().chain(parts).map(str::to_lowercase).collect()
}

fn weakness(password: &str, expected: &[String]) -> Option<String> {
    if consists_of(password, expected) {
        return Some(too_easy("It consists of the login, the organization or the product."));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let estimate = zxcvbn(password, &expected);
    if estimate.score() >= Score::Three {
        return None;
    }
    let warning = estimate.feedback().and_then(|feedback| feedback.warning()).map(|warning| warning.to_string());
    Some(too_easy(warning.as_deref().unwrap_or("Patterns and repetitions are guessed quickly.")))
}

fn too_easy(reason: &str) -> String {
    format!("too easy to guess. {reason} Use several unrelated words or a generated password")
}

/// Whether a password contains expected words and little else.
fn consists_of(password: &str, expected: &[String]) -> bool {
    let whole = Zeroizing::new(password.to_lowercase());
    let mut words: Vec<&String> = expected.iter().filter(|word| word.len() > 2).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = whole.clone();
    for word in words {
        rest = Zeroizing::new(rest.replace(word.as_str(), " "));
    }
    rest != whole && rest.chars().filter(|character| !character.is_whitespace()).count() < MIN_UNEXPECTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(password: &str) -> Option<String> {
        let slug = Slug::parse("acme-rockets").unwrap();
        weakness(password, &expected_words(&slug, "owner@localhost"))
    }

    #[test]
    fn guessable_passwords_are_rejected_with_a_reason() {
        for bad in [
            "123456789012",
            "password1234",
            "owner@localhost1",
            "Owner@Localhost2026",
            "ownerlocalhost1",
            "Localhost-Owner-07",
            "ownerAcme-rockets!9",
            "aaaaaaaaaaab",
            "            x",
            "qwertyuiop12",
            "acme-rockets1",
            "keyturnkeyturn",
            "abcabcabcabc",
            "P@ssw0rd1234",
        ] {
            let fault = error(bad).unwrap_or_else(|| panic!("{bad} was accepted"));
            assert!(fault.starts_with("too easy to guess. ") && !fault.contains(bad), "{fault}");
        }
    }

    #[test]
    fn passphrases_and_generated_passwords_are_accepted() {
        for good in [
            "correct horse battery staple",
            "f7Kq-92vL-xoPz",
            "h8f3k2j5n9d7s1qw",
            "owner-f7Kq92vLxo",
            "Blaue Möwen essen 17 Waffeln",
        ] {
            assert_eq!(error(good), None, "{good}");
        }
    }

    #[tokio::test]
    async fn longest_password_is_examined_quickly() {
        let started = crate::clock::stopwatch();
        let slug = Slug::parse("default").unwrap();
        for unit in ["password", "aA1!", "ab"] {
            let long = Password::from(unit.repeat(256 / unit.len()));
            assert!(password_error(&long, &slug, "a@b").await.unwrap().is_some(), "{unit}");
        }
        assert!(started.elapsed().as_secs() < 5);
    }
}
