//! The form of a policy: what was typed, and the policy that it stands for.

use std::collections::BTreeMap;

use crate::console::submitted::check_fields;
use crate::console::trouble::Trouble;
use crate::console::ui::{Area, Errors, Field, Offer, Select, Tick};
use crate::domain::key_text::KeyPrefix;
use crate::domain::member::Role;
use crate::domain::policy::{ExpirationChoices, Policy, Violation};
use crate::domain::scope::{Action, Scope};
use crate::http::form::Form;

/// Every field of the form.
const FIELDS: [&str; 19] = [
    "max_keys",
    "max_keys_per_user",
    "expiration",
    "expiration_days",
    "expiration_none",
    "max_lifetime_days",
    "expiry_required",
    "name_required",
    "scopes_required",
    "granting",
    "grantable_scopes",
    "create_role",
    "key_prefix",
    "actions",
    "audiences",
    "token_ttl_seconds",
    "max_grace_seconds",
    "stale_after_days",
    "disable_when_stale",
];

/// Those that are boxes to tick, which a browser sends only where they are.
const TICKS: [&str; 5] =
    ["expiration_none", "expiry_required", "name_required", "scopes_required", "disable_when_stale"];

/// What is in the fields, by their names.
#[derive(Clone, Debug)]
pub(super) struct Typed(BTreeMap<&'static str, String>);

/// The fields as they are shown.
pub(super) struct Fields {
    pub(super) max_keys: Field,
    pub(super) max_keys_per_user: Field,
    pub(super) expiration: Select,
    pub(super) expiration_days: Field,
    pub(super) expiration_none: Tick,
    pub(super) expiration_none_error: Option<String>,
    pub(super) max_lifetime_days: Field,
    pub(super) expiry_required: Tick,
    pub(super) name_required: Tick,
    pub(super) scopes_required: Tick,
    pub(super) granting: Select,
    pub(super) grantable_scopes: Area,
    pub(super) create_role: Select,
    pub(super) key_prefix: Field,
    pub(super) actions: Area,
    pub(super) audiences: Area,
    pub(super) token_ttl_seconds: Field,
    pub(super) max_grace_seconds: Field,
    pub(super) stale_after_days: Field,
    pub(super) disable_when_stale: Tick,
    pub(super) disable_when_stale_error: Option<String>,
}

impl Typed {
    /// A policy as it is typed.
    pub(super) fn of(policy: &Policy) -> Self {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let tick = |on: bool| if on { "yes".to_owned() } else { String::new() };
        let choices = policy.expiration_choices.as_ref();
        let days = choices.map(|choices| choices.days.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
        let actions: Vec<&str> = policy.actions.iter().map(Action::as_str).collect();
        let grantable: Vec<_> = policy.grantable_scopes.iter().flatten().map(ToString::to_string).collect();
        let value = |name| match name {
            "max_keys" => number(policy.max_keys),
            "max_keys_per_user" => number(policy.max_keys_per_user),
            "expiration" => if choices.is_some() { "choices" } else { "any" }.to_owned(),
            "expiration_days" => days.clone().unwrap_or_default(),
            "expiration_none" => tick(choices.is_some_and(|choices| choices.none)),
            "max_lifetime_days" => number(policy.max_lifetime_days),
            "expiry_required" => tick(policy.expiry_required),
            "name_required" => tick(policy.name_required),
            "scopes_required" => tick(policy.scopes_required),
            "granting" => if policy.grantable_scopes.is_some() { "listed" } else { "any" }.to_owned(),
            "grantable_scopes" => grantable.join("\n"),
            "create_role" => policy.create_role.to_string(),
            "key_prefix" => policy.key_prefix.to_string(),
            "actions" => actions.join("\n"),
            "audiences" => policy.audiences.join("\n"),
            "token_ttl_seconds" => number(policy.token_ttl_seconds),
            "max_grace_seconds" => policy.max_grace_seconds.to_string(),
            "stale_after_days" => number(policy.stale_after_days),
            "disable_when_stale" => tick(policy.disable_when_stale),
            _ => String::new(),
        };
        Self(FIELDS.into_iter().map(|name| (name, value(name))).collect())
    }

    /// What was sent: all of it, for what is missing would be taken for none.
    pub(super) fn read(form: &Form) -> Result<Self, Trouble> {
        let typed: Vec<&str> = FIELDS.into_iter().filter(|name| !TICKS.contains(name)).collect();
        check_fields(form, &typed)?;
        let value = |name| form.value(name).unwrap_or_default().to_owned();
        Ok(Self(FIELDS.into_iter().map(|name| (name, value(name))).collect()))
    }

    /// Every field as it is sent: boxes only where they are ticked.
    pub(super) fn sent(&self) -> Vec<(&'static str, String)> {
        let is_sent = |(name, value): &(&&str, &String)| !value.is_empty() || !TICKS.contains(name);
        self.0.iter().filter(is_sent).map(|(name, value)| (*name, value.clone())).collect()
    }

    /// The policy, or what is wrong with it, by the names of the fields.
    pub(super) fn policy(&self) -> Result<Policy, Vec<Violation>> {
        let mut wrong = Vec::new();
        let policy = Policy {
            max_keys: self.number("max_keys", &mut wrong),
            max_keys_per_user: self.number("max_keys_per_user", &mut wrong),
            expiration_choices: self.choices(&mut wrong),
            max_lifetime_days: self.number("max_lifetime_days", &mut wrong),
            expiry_required: self.is_ticked("expiry_required"),
            name_required: self.is_ticked("name_required"),
            scopes_required: self.is_ticked("scopes_required"),
            grantable_scopes: self.grantable_scopes(&mut wrong),
            create_role: Role::parse(self.value("create_role")).unwrap_or_else(|| {
                wrong.push(Violation::new("create_role", "allowed is developer, admin or owner"));
                Role::Owner
            }),
            key_prefix: KeyPrefix::parse(self.value("key_prefix").trim()).unwrap_or_else(|error| {
                wrong.push(Violation::new("key_prefix", error.to_string()));
                KeyPrefix::default()
            }),
            actions: self.actions(&mut wrong),
            audiences: without_repeats(self.value("audiences").split_whitespace().map(str::to_owned)),
            token_ttl_seconds: self.number("token_ttl_seconds", &mut wrong),
            max_grace_seconds: self.number("max_grace_seconds", &mut wrong).unwrap_or_default(),
            stale_after_days: self.number("stale_after_days", &mut wrong),
            disable_when_stale: self.is_ticked("disable_when_stale"),
        };
        let faults = policy.faults().into_iter().map(fault);
        // What could not be read has a fault for its stead as well.
        let more: Vec<_> = faults.filter(|fault| wrong.iter().all(|known| known.field != fault.field)).collect();
        wrong.extend(more);
        if wrong.is_empty() { Ok(policy) } else { Err(wrong) }
    }

    /// The fields, with what was wrong.
    pub(super) fn fields(&self, errors: &Errors) -> Fields {
        let number = |name, label| Field::text(name, label, self.value(name)).kind("text").most(10).errors(errors);
        let tick = |name, label: &str| Tick::new(name, label, self.is_ticked(name));
        let roles = [Role::Developer, Role::Admin, Role::Owner]
            .into_iter()
            .map(|role| Offer::new(role.as_str(), format!("{role} or higher")));
        let expiries =
            vec![Offer::new("any", "Any date in the future"), Offer::new("choices", "Only the lifetimes named below")];
        let granting = vec![Offer::new("any", "Any scope"), Offer::new("listed", "Only the scopes listed below")];
        Fields {
            max_keys: number("max_keys", "Most keys of the organization")
                .hint("A number of keys. Revoked and expired ones do not count. Empty: no limit."),
            max_keys_per_user: number("max_keys_per_user", "Most keys of one member")
                .hint("A number of keys that one member owns. Revoked and expired ones do not count. Empty: no limit."),
            expiration: Select::new("expiration", "Expiry on offer", expiries, self.value("expiration"))
                .hint("What somebody who makes a key can choose as its end.")
                .errors(errors),
            expiration_days: Field::text("expiration_days", "Lifetimes", self.value("expiration_days"))
                .hint("Days, with commas between them, as in 7, 30, 90. Used only with “Only the lifetimes named below”.")
                .errors(errors),
            expiration_none: tick("expiration_none", "“No expiry” is one of them"),
            expiration_none_error: errors.of("expiration_none"),
            max_lifetime_days: number("max_lifetime_days", "Longest life")
                .hint("Days from the creation or the last rotation of a key. With it, every new key has an expiry. Empty: no limit."),
            expiry_required: tick("expiry_required", "A key must have an expiry"),
            name_required: tick("name_required", "A key must have a name"),
            scopes_required: tick("scopes_required", "A key must have at least one scope"),
            granting: Select::new("granting", "Scopes that can be granted", granting, self.value("granting"))
                .hint("Applies to new keys and to scopes that are added to a key. Existing keys keep theirs.")
                .errors(errors),
            grantable_scopes: Area::new("grantable_scopes", "Grantable scopes", self.value("grantable_scopes"))
                .hint("One scope per line, as in read:projects/*. Used only with “Only the scopes listed below”; empty then means none.")
                .errors(errors),
            create_role: Select::new("create_role", "Who makes keys", roles.collect(), self.value("create_role"))
                .hint("The least role that may.")
                .errors(errors),
            key_prefix: Field::text("key_prefix", "Prefix of key texts", self.value("key_prefix"))
                .hint("2 to 16 of a-z and 0-9. Secret scanners find your keys by it. Keys keep theirs until they are rotated.")
                .required(true)
                .most(16)
                .errors(errors),
            actions: Area::new("actions", "Actions", self.value("actions"))
                .hint("The words that scopes begin with, one per line: a-z, 0-9, . _ and -. * is always allowed and not listed.")
                .errors(errors),
            audiences: Area::new("audiences", "More audiences", self.value("audiences"))
                .hint("Names of APIs that tokens may be asked for, one per line, beside the default one and the issuer. Empty: none.")
                .errors(errors),
            token_ttl_seconds: number("token_ttl_seconds", "Life of a token")
                .hint("Seconds, 60 to 3600. A gateway that checks tokens alone notices a revocation after that long. Empty: as the server is set up."),
            max_grace_seconds: number("max_grace_seconds", "Longest grace of a rotation")
                .hint("Seconds for which the old secret may work on. 86400 is a day, 2592000 are 30 days. Empty or 0: none."),
            stale_after_days: number("stale_after_days", "Out of use after")
                .hint("Days without use after which a key counts as out of use. Empty: never."),
            disable_when_stale: tick("disable_when_stale", "Keys that are out of use are disabled")
                .hint("Within the hour. A disabled key is refused until somebody enables it again."),
            disable_when_stale_error: errors.of("disable_when_stale"),
        }
    }

    /// What was wrong, told beside the fields.
    pub(super) fn errors(wrong: Vec<Violation>) -> Errors {
        Errors::new(wrong, &FIELDS)
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn is_ticked(&self, name: &str) -> bool {
        !self.value(name).is_empty()
    }

    fn number(&self, name: &'static str, wrong: &mut Vec<Violation>) -> Option<u32> {
        let text = self.value(name).trim();
        if text.is_empty() {
            return None;
        }
        let number = text.parse().ok();
        if number.is_none() {
            wrong.push(Violation::new(name, "a whole number is expected, or nothing"));
        }
        number
    }

    fn choices(&self, wrong: &mut Vec<Violation>) -> Option<ExpirationChoices> {
        match self.value("expiration") {
            "any" => return None,
            "choices" => {}
            _ => {
                wrong.push(Violation::new("expiration", "choose one of the two"));
                return None;
            }
        }
        let words = self.value("expiration_days").split([',', ' ', '\n', '\r', '\t', ';']);
        let days: Option<Vec<u32>> = words.filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect();
        if days.is_none() {
            wrong.push(Violation::new("expiration_days", "whole numbers of days are expected, as in 7, 30, 90"));
        }
        let days = without_repeats(days.unwrap_or_default());
        Some(ExpirationChoices { days, none: self.is_ticked("expiration_none") })
    }

    fn grantable_scopes(&self, wrong: &mut Vec<Violation>) -> Option<Vec<Scope>> {
        match self.value("granting") {
            "any" => return None,
            "listed" => {}
            _ => wrong.push(Violation::new("granting", "choose one of the two")),
        }
        let scopes = self.value("grantable_scopes").split_whitespace().map(Scope::parse).collect::<Result<Vec<_>, _>>();
        Some(without_repeats(scopes.unwrap_or_else(|error| {
            wrong.push(Violation::new("grantable_scopes", error.to_string()));
            Vec::new()
        })))
    }

    fn actions(&self, wrong: &mut Vec<Violation>) -> Vec<Action> {
        let words = self.value("actions").split(|c: char| c.is_whitespace() || c == ',');
        let read = words.filter(|word| !word.is_empty()).map(Action::parse).collect::<Result<Vec<_>, _>>();
        without_repeats(read.unwrap_or_else(|error| {
            wrong.push(Violation::new("actions", error.to_string()));
            Vec::new()
        }))
    }
}

/// A fault of a policy, by the name of the field where it is put right.
fn fault(fault: Violation) -> Violation {
    let field = match fault.field.as_str() {
        "expiration_choices.days" => "expiration_days".to_owned(),
        "expiration_choices.none" => "expiration_none".to_owned(),
        _ => fault.field,
    };
    Violation::new(field, in_words(&fault.message))
}

/// What the API calls by its own names.
fn in_words(message: &str) -> String {
    [
        (", or null", ", or nothing"),
        ("contradicts expiry_required or max_lifetime_days", "contradicts a required expiry or a longest life"),
        ("a choice is longer than max_lifetime_days", "one is longer than the longest life"),
        ("stale_after_days is needed as well", "it must be said as well after how many days a key is out of use"),
    ]
    .into_iter()
    .fold(message.to_owned(), |message, (from, to)| message.replace(from, to))
}

fn without_repeats<T: PartialEq>(list: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_survives_its_form() {
        let choices = ExpirationChoices { days: vec![7, 30], none: true };
        let policy = Policy {
            max_keys: Some(9),
            expiration_choices: Some(choices),
            audiences: vec!["https://a.example".into(), "b".into()],
            stale_after_days: Some(90),
            grantable_scopes: Some(vec![Scope::parse("read:a/*").unwrap(), Scope::parse("write:b").unwrap()]),
            disable_when_stale: true,
            ..Policy::default()
        };
        let nothing = Policy { grantable_scopes: Some(Vec::new()), ..Policy::default() };
        for policy in [Policy::default(), policy, nothing] {
            assert_eq!(Typed::of(&policy).policy(), Ok(policy));
        }
    }

    #[test]
    fn every_mistake_is_told_at_once_and_once() {
        let wrong = Form::parse(b"max_keys=-1&max_keys_per_user=&expiration=choices&expiration_days=x&max_lifetime_days=&granting=any&grantable_scopes=&create_role=god&key_prefix=K!&actions=*+a!&audiences=&token_ttl_seconds=5&max_grace_seconds=0&stale_after_days=&disable_when_stale=yes").unwrap();
        let wrong = Typed::read(&wrong).unwrap().policy().unwrap_err();
        let fields: Vec<&str> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "max_keys",
                "expiration_days",
                "create_role",
                "key_prefix",
                "actions",
                "disable_when_stale",
                "token_ttl_seconds"
            ]
        );
    }

    #[test]
    fn an_empty_form_is_no_policy() {
        assert!(Typed::read(&Form::default()).is_err());
    }
}
