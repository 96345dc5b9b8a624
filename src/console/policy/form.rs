//! The policy form: raw values, and parsing them into a policy.

use std::collections::BTreeMap;

use crate::console::error_page::ErrorPage;
use crate::console::policy::length::{format_days, format_seconds, parse_days, parse_seconds};
use crate::console::submitted::check_fields;
use crate::console::ui::attributes::{from_lines, to_lines};
use crate::console::ui::{Area, Checkbox, Errors, Field, Select, SelectOption};
use crate::domain::attribute::Attributes;
use crate::domain::key_text::KeyPrefix;
use crate::domain::member::Role;
use crate::domain::policy::{ExpirationChoices, Policy};
use crate::domain::scope::{Action, Scope};
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::form::Form;

/// Every field of the form, with its label.
const FIELDS: [(&str, &str); 21] = [
    ("max_keys", "Maximum keys per organization"),
    ("max_keys_per_user", "Maximum keys per member"),
    ("expiration", "Expiry choices"),
    ("expiration_days", "Allowed lifetimes"),
    ("expiration_none", "Also offer “No expiry”"),
    ("max_lifetime_days", "Maximum lifetime"),
    ("expiry_required", "Require an expiry"),
    ("name_required", "Require a name"),
    ("scopes_required", "Require at least one scope"),
    ("granting", "Scopes that can be granted"),
    ("grantable_scopes", "Grantable scopes"),
    ("create_role", "Who can create keys"),
    ("key_prefix", "Secret prefix"),
    ("actions", "Actions"),
    ("audiences", "Additional audiences"),
    ("token_ttl_seconds", "Token lifetime"),
    ("token_claims", "Custom claims"),
    ("verify_headers", "Headers for gateways"),
    ("max_grace_seconds", "Maximum grace period"),
    ("stale_after_days", "Mark as stale after"),
    ("disable_when_stale", "Disable stale keys automatically"),
];

/// The checkboxes. Browsers submit them only if they are checked.
const CHECKBOXES: [&str; 5] =
    ["expiration_none", "expiry_required", "name_required", "scopes_required", "disable_when_stale"];

/// The raw values by field name.
#[derive(Clone, Debug)]
pub(super) struct RawForm(BTreeMap<&'static str, String>);

/// The fields as rendered.
pub(super) struct FormFields {
    pub(super) max_keys: Field,
    pub(super) max_keys_per_user: Field,
    pub(super) expiration: Select,
    pub(super) expiration_days: Field,
    pub(super) expiration_none: Checkbox,
    pub(super) expiration_none_error: Option<String>,
    pub(super) max_lifetime_days: Field,
    pub(super) expiry_required: Checkbox,
    pub(super) name_required: Checkbox,
    pub(super) scopes_required: Checkbox,
    pub(super) granting: Select,
    pub(super) grantable_scopes: Area,
    pub(super) create_role: Select,
    pub(super) key_prefix: Field,
    pub(super) actions: Area,
    pub(super) audiences: Area,
    pub(super) token_ttl_seconds: Field,
    pub(super) token_claims: Area,
    pub(super) verify_headers: Area,
    pub(super) max_grace_seconds: Field,
    pub(super) stale_after_days: Field,
    pub(super) disable_when_stale: Checkbox,
    pub(super) disable_when_stale_error: Option<String>,
}

impl RawForm {
    /// Fills the form from a policy.
    pub(super) fn of(policy: &Policy) -> Self {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let days_of = |days: Option<u32>| days.map(format_days).unwrap_or_default();
        let checkbox = |on: bool| if on { "yes".to_owned() } else { String::new() };
        let choices = policy.expiration_choices.as_ref();
        let days = choices.map(|choices| choices.days.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
        let actions: Vec<&str> = policy.actions.iter().map(Action::as_str).collect();
        let grantable: Vec<_> = policy.grantable_scopes.iter().flatten().map(ToString::to_string).collect();
        let value = |name| match name {
            "max_keys" => number(policy.max_keys),
            "max_keys_per_user" => number(policy.max_keys_per_user),
            "expiration" => if choices.is_some() { "choices" } else { "any" }.to_owned(),
            "expiration_days" => days.clone().unwrap_or_default(),
            "expiration_none" => checkbox(choices.is_some_and(|choices| choices.none)),
            "max_lifetime_days" => days_of(policy.max_lifetime_days),
            "expiry_required" => checkbox(policy.expiry_required),
            "name_required" => checkbox(policy.name_required),
            "scopes_required" => checkbox(policy.scopes_required),
            "granting" => if policy.grantable_scopes.is_some() { "listed" } else { "any" }.to_owned(),
            "grantable_scopes" => grantable.join("\n"),
            "create_role" => policy.create_role.to_string(),
            "key_prefix" => policy.key_prefix.to_string(),
            "actions" => actions.join("\n"),
            "audiences" => policy.audiences.join("\n"),
            "token_ttl_seconds" => policy.token_ttl_seconds.map(format_seconds).unwrap_or_default(),
            "token_claims" => to_lines(&policy.token_claims).join("\n"),
            "verify_headers" => to_lines(&policy.verify_headers).join("\n"),
            "max_grace_seconds" => match policy.max_grace_seconds {
                0 => "0".to_owned(),
                seconds => format_seconds(seconds),
            },
            "stale_after_days" => days_of(policy.stale_after_days),
            "disable_when_stale" => checkbox(policy.disable_when_stale),
            _ => String::new(),
        };
        Self(FIELDS.into_iter().map(|(name, _)| (name, value(name))).collect())
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form) -> Result<Self, ErrorPage> {
        let required = FIELDS.into_iter().map(|(name, _)| name).filter(|name| !CHECKBOXES.contains(name));
        check_fields(form, &required.collect::<Vec<_>>())?;
        let value = |name| form.value(name).unwrap_or_default().to_owned();
        Ok(Self(FIELDS.into_iter().map(|(name, _)| (name, value(name))).collect()))
    }

    /// Returns the fields as a browser submits them: checkboxes only if they are checked.
    pub(super) fn sent(&self) -> Vec<(&'static str, String)> {
        let is_sent = |(name, value): &(&&str, &String)| !value.is_empty() || !CHECKBOXES.contains(name);
        self.0.iter().filter(is_sent).map(|(name, value)| (*name, value.clone())).collect()
    }

    /// Parses the policy, or returns everything that is wrong with it by form field.
    pub(super) fn policy(&self) -> Result<Policy, Vec<Violation>> {
        let mut violations = Vec::new();
        let policy = Policy {
            max_keys: self.number("max_keys", whole_number, &mut violations),
            max_keys_per_user: self.number("max_keys_per_user", whole_number, &mut violations),
            expiration_choices: self.choices(&mut violations),
            max_lifetime_days: self.number("max_lifetime_days", parse_days, &mut violations),
            expiry_required: self.is_checked("expiry_required"),
            name_required: self.is_checked("name_required"),
            scopes_required: self.is_checked("scopes_required"),
            grantable_scopes: self.grantable_scopes(&mut violations),
            create_role: Role::parse(self.value("create_role")).unwrap_or_else(|| {
                violations.push(Violation::new("create_role", ViolationKind::CreateRole));
                Role::Owner
            }),
            key_prefix: KeyPrefix::parse(self.value("key_prefix").trim()).unwrap_or_else(|_| {
                violations.push(Violation::new("key_prefix", "Use 2–16 lowercase letters or digits."));
                KeyPrefix::default()
            }),
            actions: self.actions(&mut violations),
            audiences: without_repeats(self.value("audiences").split_whitespace().map(str::to_owned)),
            token_ttl_seconds: self.number("token_ttl_seconds", parse_seconds, &mut violations),
            max_grace_seconds: self.number("max_grace_seconds", parse_seconds, &mut violations).unwrap_or_default(),
            stale_after_days: self.number("stale_after_days", parse_days, &mut violations),
            disable_when_stale: self.is_checked("disable_when_stale"),
            token_claims: self.attributes("token_claims", &mut violations),
            verify_headers: self.attributes("verify_headers", &mut violations),
        };
        let faults = policy.validate().into_iter().map(at_form_field);
        // A field that could not be parsed has a placeholder value, whose faults do not count. Neither do faults of other
        // fields that follow only from the placeholder.
        let is_wrong = |name: &str| violations.iter().any(|known| known.field.name == name);
        let is_real = |fault: &Violation| match &fault.kind {
            ViolationKind::LifetimeOverMaximum if is_wrong("max_lifetime_days") => false,
            ViolationKind::GrantableAction(_) if is_wrong("actions") => false,
            _ => !is_wrong(&fault.field.name),
        };
        let more: Vec<_> = faults.filter(is_real).collect();
        violations.extend(more);
        if violations.is_empty() { Ok(policy) } else { Err(violations) }
    }

    /// Renders the fields with their errors.
    pub(super) fn fields(&self, errors: &Errors) -> FormFields {
        let number = |name| Field::text(name, label(name), self.value(name)).max_length(24).errors(errors);
        let checkbox = |name| Checkbox::new(name, label(name), self.is_checked(name));
        let roles = [Role::Developer, Role::Admin, Role::Owner]
            .into_iter()
            .map(|role| SelectOption::new(role.as_str(), plural_and_above(role)));
        let expiries =
            vec![SelectOption::new("any", "Any future date"), SelectOption::new("choices", "Only these lifetimes")];
        let granting = vec![SelectOption::new("any", "Any scope"), SelectOption::new("listed", "Only these scopes")];
        FormFields {
            max_keys: number("max_keys")
                .hint("Revoked and expired keys don’t count. Leave blank for no limit."),
            max_keys_per_user: number("max_keys_per_user")
                .hint("Revoked and expired keys don’t count. Leave blank for no limit."),
            expiration: Select::new("expiration", label("expiration"), expiries, self.value("expiration"))
                .hint("What people can choose when they create a key.")
                .controls_fields()
                .errors(errors),
            expiration_days: Field::text("expiration_days", label("expiration_days"), self.value("expiration_days"))
                .hint("Days, separated by commas, for example 7, 30, 90. Applies to “Only these lifetimes”.")
                .errors(errors),
            expiration_none: checkbox("expiration_none")
                .hint("Can’t be combined with a maximum lifetime or a required expiry."),
            expiration_none_error: errors.of("expiration_none"),
            max_lifetime_days: number("max_lifetime_days")
                .hint("For example 90 days, from a key’s creation or last rotation. Leave blank for no limit."),
            expiry_required: checkbox("expiry_required").hint("A maximum lifetime always requires an expiry."),
            name_required: checkbox("name_required"),
            scopes_required: checkbox("scopes_required"),
            granting: Select::new("granting", label("granting"), granting, self.value("granting"))
                .hint("Applies to new keys and to scopes added to a key. Existing keys keep their scopes.")
                .controls_fields()
                .errors(errors),
            grantable_scopes: Area::new("grantable_scopes", label("grantable_scopes"), self.value("grantable_scopes"))
                .hint("One scope per line, for example read:projects/*. Applies to “Only these scopes”; blank then means none.")
                .errors(errors),
            create_role: Select::new("create_role", label("create_role"), roles.collect(), self.value("create_role"))
                .errors(errors),
            key_prefix: Field::text("key_prefix", label("key_prefix"), self.value("key_prefix"))
                .hint("2–16 lowercase letters or digits. Secret scanners use it to detect leaked secrets. Existing secrets keep their prefix until rotated.")
                .required(true)
                .max_length(16)
                .errors(errors),
            actions: Area::new("actions", label("actions"), self.value("actions"))
                .hint("Allowed scope actions, one per line (a-z, 0-9, . _ -). * (any) is always allowed.")
                .errors(errors),
            audiences: Area::new("audiences", label("audiences"), self.value("audiences"))
                .hint("Further audiences of the default API, one per line, in addition to its own and the issuer. Other APIs have audiences of their own.")
                .errors(errors),
            token_ttl_seconds: number("token_ttl_seconds")
                .hint("From 1 minute to 1 hour, for example 10 minutes. Services that check tokens locally notice a revocation only after this time. Leave blank for the server default."),
            token_claims: Area::new("token_claims", label("token_claims"), self.value("token_claims"))
                .hint("For tokens of every API, one per line, for example plan = metadata.plan. Sources: metadata.NAME, customer.external_id, customer.metadata.NAME, owner, or a constant.")
                .errors(errors),
            verify_headers: Area::new("verify_headers", label("verify_headers"), self.value("verify_headers"))
                .hint("Headers of /verify with the same sources, for example X-Plan = metadata.plan. The gateway must pass them on.")
                .errors(errors),
            max_grace_seconds: number("max_grace_seconds")
                .hint("How long the previous secret can keep working, for example 24 hours or 30 days. 0 or blank: not at all."),
            stale_after_days: number("stale_after_days")
                .hint("Time without use, for example 90 days. Leave blank to never mark keys as stale."),
            disable_when_stale: checkbox("disable_when_stale")
                .hint("Applies only if keys are marked as stale. Keys are disabled one day after they become stale, and can be enabled again."),
            disable_when_stale_error: errors.of("disable_when_stale"),
        }
    }

    fn attributes(&self, name: &'static str, violations: &mut Vec<Violation>) -> Attributes {
        let (attributes, wrong) = from_lines(name, self.value(name));
        violations.extend(wrong);
        attributes
    }

    pub(super) fn errors(violations: Vec<Violation>) -> Errors {
        Errors::new(violations, &FIELDS)
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn is_checked(&self, name: &str) -> bool {
        !self.value(name).is_empty()
    }

    /// Reads an optional number. One that cannot be read becomes 1, so that contradictions with it are still found.
    fn number(
        &self,
        name: &'static str,
        read: fn(&str) -> Result<u32, String>,
        violations: &mut Vec<Violation>,
    ) -> Option<u32> {
        let text = self.value(name).trim();
        if text.is_empty() {
            return None;
        }
        Some(read(text).unwrap_or_else(|message| {
            violations.push(Violation::new(name, message));
            1
        }))
    }

    fn choices(&self, violations: &mut Vec<Violation>) -> Option<ExpirationChoices> {
        match self.value("expiration") {
            "any" => return None,
            "choices" => {}
            _ => {
                violations.push(Violation::new("expiration", "Choose one."));
                return None;
            }
        }
        let words = self.value("expiration_days").split([',', ' ', '\n', '\r', '\t', ';']);
        let words = words.filter(|word| !matches!(*word, "" | "day" | "days"));
        let days: Option<Vec<u32>> = words.map(|word| parse_days(word).ok()).collect();
        if days.is_none() {
            violations.push(Violation::new(
                "expiration_days",
                "Enter whole numbers of days, separated by commas, for example 7, 30, 90.",
            ));
        }
        let days = without_repeats(days.unwrap_or_default());
        Some(ExpirationChoices { days, none: self.is_checked("expiration_none") })
    }

    fn grantable_scopes(&self, violations: &mut Vec<Violation>) -> Option<Vec<Scope>> {
        match self.value("granting") {
            "any" => return None,
            "listed" => {}
            _ => violations.push(Violation::new("granting", "Choose one.")),
        }
        let scopes = self.value("grantable_scopes").split_whitespace().map(Scope::parse).collect::<Result<Vec<_>, _>>();
        Some(without_repeats(scopes.unwrap_or_else(|error| {
            violations.push(Violation::new("grantable_scopes", error));
            Vec::new()
        })))
    }

    fn actions(&self, violations: &mut Vec<Violation>) -> Vec<Action> {
        let words = self.value("actions").split(|c: char| c.is_whitespace() || c == ',');
        let read = words.filter(|word| !word.is_empty()).map(Action::parse).collect::<Result<Vec<_>, _>>();
        without_repeats(read.unwrap_or_else(|error| {
            violations.push(Violation::new("actions", error));
            Vec::new()
        }))
    }
}

fn whole_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "Enter a whole number or leave blank.".to_owned())
}

/// Moves a fault to the form field where it can be fixed, and states limits in the units of the form.
fn at_form_field(fault: Violation) -> Violation {
    if let ViolationKind::OutOfRange { least, most, .. } = &fault.kind {
        let message = match fault.field.name.as_str() {
            "token_ttl_seconds" => {
                format!("Enter a time from {} to {}, or leave blank.", format_seconds(*least), format_seconds(*most))
            }
            "max_grace_seconds" => format!("Enter a time of up to {}, or 0.", format_seconds(*most)),
            _ => format!("Enter a time from {} to {}, or leave blank.", format_days(*least), format_days(*most)),
        };
        return Violation::new(fault.field.name.as_str(), message);
    }
    match (fault.field.name.as_str(), fault.field.part.as_deref()) {
        ("expiration_choices", Some("days")) => Violation::new("expiration_days", fault.kind),
        ("expiration_choices", Some("none")) => Violation::new("expiration_none", fault.kind),
        _ => fault,
    }
}

/// Returns the label of a field.
fn label(name: &str) -> &'static str {
    FIELDS.into_iter().find(|(field, _)| *field == name).map_or("", |(_, label)| label)
}

/// Returns a role and all higher ones, for example "Admins and owners".
pub(super) fn plural_and_above(role: Role) -> &'static str {
    match role {
        Role::Viewer => "All members",
        Role::Developer => "Developers, admins and owners",
        Role::Admin => "Admins and owners",
        Role::Owner => "Owners",
    }
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
    fn policies_round_trip() {
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
            assert_eq!(RawForm::of(&policy).policy(), Ok(policy));
        }
    }

    #[test]
    fn every_error_is_reported_once() {
        let form = Form::parse(b"max_keys=-1&max_keys_per_user=&expiration=choices&expiration_days=x&max_lifetime_days=&granting=any&grantable_scopes=&create_role=god&key_prefix=K!&actions=*+a!&audiences=&token_ttl_seconds=5&token_claims=sub%3Downer&verify_headers=X-Plan&max_grace_seconds=0&stale_after_days=&disable_when_stale=yes").unwrap();
        let violations = RawForm::read(&form).unwrap().policy().unwrap_err();
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.name.as_str()).collect();
        assert_eq!(
            fields,
            [
                "max_keys",
                "expiration_days",
                "create_role",
                "key_prefix",
                "actions",
                "token_ttl_seconds",
                "verify_headers",
                "disable_when_stale",
                "token_claims"
            ]
        );
    }

    #[test]
    fn contradictions_are_reported_with_unreadable_fields() {
        let errors = |fields: &[(&str, &str)]| {
            let mut raw = RawForm::of(&Policy::default());
            for (name, value) in fields {
                let known = FIELDS.into_iter().find(|(field, _)| field == name).unwrap().0;
                raw.0.insert(known, (*value).to_owned());
            }
            let violations = raw.policy().unwrap_err();
            violations.iter().map(|violation| violation.field.name.clone()).collect::<Vec<_>>()
        };
        let choices = [("expiration", "choices"), ("expiration_days", "400"), ("expiration_none", "yes")];
        let lifetime = [&choices[..], &[("max_lifetime_days", "long")]].concat();
        assert_eq!(errors(&lifetime), ["max_lifetime_days", "expiration_none"]);
        // Nothing is reported that follows only from a value that could not be read.
        assert_eq!(errors(&[("stale_after_days", "x"), ("disable_when_stale", "yes")]), ["stale_after_days"]);
        let granting = [("actions", "a!"), ("granting", "listed"), ("grantable_scopes", "read:a")];
        assert_eq!(errors(&granting), ["actions"]);
    }

    #[test]
    fn limits_are_stated_in_the_units_of_the_form() {
        let mut raw = RawForm::of(&Policy::default());
        for (name, value) in
            [("token_ttl_seconds", "2 hours"), ("max_grace_seconds", "9999 days"), ("stale_after_days", "0")]
        {
            raw.0.insert(name, value.to_owned());
        }
        let violations = raw.policy().unwrap_err();
        let messages: Vec<_> = violations.iter().map(Violation::message).collect();
        assert_eq!(
            messages,
            [
                "Enter a time from 1 day to 36525 days, or leave blank.",
                "Enter a time from 1 minute to 1 hour, or leave blank.",
                "Enter a time of up to 3660 days, or 0."
            ]
        );
    }

    #[test]
    fn incomplete_forms_are_rejected() {
        assert!(RawForm::read(&Form::default()).is_err());
    }
}
