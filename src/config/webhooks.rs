//! `[webhooks]`: where they may go, and when what was not taken is tried again.

use ipnet::IpNet;
use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting, quoted};
use super::server::network;

/// `[webhooks]`: telling others of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether `http` and addresses that are not public are allowed.
    pub private_addresses: bool,
    /// Networks that are allowed beside public addresses, over `https`.
    pub allowed_networks: Vec<IpNet>,
    /// Seconds from each attempt that failed to the next, at most 20 of 1 to 604800; after the last, none.
    pub retry_seconds: Vec<u32>,
}

impl Webhooks {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        let seconds = |number: &Number| number.read().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
        let retry_seconds: Option<Vec<u32>> = raw.retry_seconds.iter().map(seconds).collect();
        let retry_seconds = retry_seconds.filter(|list| list.len() <= MAX_RETRIES);
        let allowed = |text: &String| match network(text) {
            Ok(net) if net.prefix_len() == 0 => Err(format!("has {} in it, which is every address", quoted(text))),
            read => read,
        };
        Ok(Self {
            private_addresses: raw.private_addresses,
            allowed_networks: (raw.allowed_networks.iter())
                .map(|text| allowed(text).map_err(|why| section.refuse_because(&ALLOWED_NETWORKS, &why)))
                .collect::<Result<_, _>>()?,
            retry_seconds: retry_seconds.ok_or_else(|| section.refuse(&RETRY_SECONDS))?,
        })
    }
}

const MAX_SECONDS: u32 = 604_800;
const MAX_RETRIES: usize = 20;

const PRIVATE_ADDRESSES: Setting = Setting::words("private_addresses", "true or false");
const ALLOWED_NETWORKS: Setting =
    Setting::words("allowed_networks", "a list of IP addresses and networks, as 10.0.0.0/8");
const RETRY_SECONDS: Setting =
    Setting::words("retry_seconds", "a list of at most 20 numbers of seconds, each 1 to 604800");

pub(super) const OUTLINE: SectionOutline =
    SectionOutline { name: "webhooks", settings: &[PRIVATE_ADDRESSES, ALLOWED_NETWORKS, RETRY_SECONDS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    private_addresses: bool,
    allowed_networks: Vec<String>,
    retry_seconds: Vec<Number>,
}

/// A number; from a variable's comma-separated list it comes as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u32),
    Text(String),
}

impl Number {
    fn read(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load_variable, refusal};

    #[test]
    fn networks_are_allowed_one_by_one() {
        let read = |text| load_variable("KEYTURN_WEBHOOKS__ALLOWED_NETWORKS", text).webhooks.allowed_networks;
        assert!(read("").is_empty());
        let shown: Vec<String> = read("10.1.0.0/16, fd00::1").iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.1.0.0/16", "fd00::1/128"]);
        for (wrong, complaint) in [
            ("0.0.0.0/0", "has \"0.0.0.0/0\" in it, which is every address"),
            ("10.0.0.1/8", "has \"10.0.0.1/8\" in it, with host bits set: 10.0.0.0/8 or 10.0.0.1 was meant"),
            ("internal.example", "has \"internal.example\" in it"),
        ] {
            assert_eq!(
                refusal("KEYTURN_WEBHOOKS__ALLOWED_NETWORKS", wrong),
                format!(
                    "KEYTURN_WEBHOOKS__ALLOWED_NETWORKS: webhooks.allowed_networks {complaint}; allowed is a list of IP \
                     addresses and networks, as 10.0.0.0/8"
                )
            );
        }
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
            assert!(line.ends_with("allowed is a list of at most 20 numbers of seconds, each 1 to 604800"), "{line}");
        }
        let line = refusal("KEYTURN_WEBHOOKS__PRIVATE_ADDRESSES", "yes");
        assert!(line.ends_with("webhooks.private_addresses is \"yes\"; allowed is true or false"), "{line}");
    }
}
