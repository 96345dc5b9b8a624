//! The networks of a key or a profile as fields of a form: addresses and ranges, and named networks.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::keys::split_entries;
use crate::console::submitted::check_fields;
use crate::console::ui::{Area, Choice, ChoiceOption, Errors, html, html_size};
use crate::domain::networks::Networks;
use crate::domain::profile::{NamedNetwork, SharedAccess};
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::checks::Checks;
use crate::http::form::Form;

/// Value of the choice with a list of addresses.
const LISTED: &str = "listed";
/// Value of the choice without a restriction.
const ANY: &str = "any";
/// Name of the checkboxes, and of the field with names.
pub(in crate::console) const NAMED: &str = "named";
/// Up to this many named networks are checkboxes; more are entered as text.
const MAX_BOXES: usize = 40;
/// Maximum length of the addresses that a checkbox shows, in characters. The network's page has all of them.
const SHORT: usize = 80;

/// The raw values.
#[derive(Clone, Debug)]
pub(in crate::console) struct NetworkFields {
    access: String,
    /// Addresses and ranges, one per line.
    listed: String,
    /// Names of networks.
    named: Vec<String>,
}

/// The texts of the fields.
#[derive(Clone, Copy, Debug)]
pub(in crate::console) struct NetworkTexts {
    pub(in crate::console) hint: &'static str,
    /// The hint of the choice without a restriction.
    pub(in crate::console) any: &'static str,
}

html! { NetworkInputs }

/// The fields as rendered.
#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/network_fields.html")]
pub(in crate::console) struct NetworkInputs {
    access: Choice,
    listed: Area,
    /// The named networks. Empty if the organization has none.
    boxes: Vec<NetworkBox>,
    /// Names of networks, if there are too many for checkboxes.
    text: Option<String>,
    error: Option<String>,
}

#[derive(Clone, Debug)]
struct NetworkBox {
    name: String,
    addresses: String,
    is_checked: bool,
}

impl NetworkFields {
    /// Without an address.
    pub(in crate::console) fn empty() -> Self {
        Self { access: LISTED.into(), listed: String::new(), named: Vec::new() }
    }

    pub(in crate::console) fn of(networks: &Networks, named: &[Slug]) -> Self {
        let is_any = networks.iter().len() == 0 && named.is_empty();
        Self {
            access: if is_any { ANY } else { LISTED }.into(),
            listed: networks.to_strings().join("\n"),
            named: named.iter().map(Slug::to_string).collect(),
        }
    }

    /// Reads submitted fields.
    pub(in crate::console) fn read(form: &Form) -> Result<Self, ErrorPage> {
        check_fields(form, &["networks"])?;
        let access = form.value("networks").unwrap_or_default();
        // The list is hidden while any network is allowed, so browsers do not send it.
        if access != ANY {
            check_fields(form, &["allowed_cidrs"])?;
        }
        Ok(Self {
            access: access.to_owned(),
            listed: form.value("allowed_cidrs").unwrap_or_default().replace("\r\n", "\n"),
            named: form.values(NAMED).flat_map(split_entries).collect(),
        })
    }

    /// Adds an address to the list, if the list restricts anything.
    pub(super) fn add(&mut self, address: std::net::IpAddr) {
        if self.access == LISTED {
            self.listed.push_str(&format!("\n{address}"));
        }
    }

    /// Parses the networks. No restriction must be chosen; an empty list is an error, and so is a list that would be ignored.
    pub(in crate::console) fn parse(&self, checks: &mut Checks) -> (Networks, Vec<Slug>) {
        let entries = split_entries(&self.listed);
        let is_empty = entries.is_empty() && self.named.is_empty();
        match (self.access.as_str(), is_empty) {
            (ANY, true) => return (Networks::all(), Vec::new()),
            (ANY, false) => checks.wrong("networks", "Choose “Only these addresses”, or clear the list."),
            (LISTED, true) => checks.wrong("allowed_cidrs", "Enter an address or range, or choose “Any network”."),
            (LISTED, false) => {
                let named = self.named.iter().filter_map(|name| parse_name(checks, name)).collect();
                return (checks.networks(&entries), named);
            }
            _ => checks.wrong("networks", "Choose which networks are allowed."),
        }
        (Networks::all(), Vec::new())
    }

    /// Moves the errors of a use case about named networks, `networks[index]`, to their field.
    pub(in crate::console) fn locate(mut violation: Violation) -> Violation {
        if violation.field.name == "networks" && violation.field.index.is_some() {
            violation.field.name = NAMED.into();
            violation.field.index = None;
        }
        violation
    }

    /// Renders the fields with their errors.
    pub(in crate::console) fn inputs(
        &self,
        shared: &SharedAccess,
        texts: NetworkTexts,
        errors: &Errors,
    ) -> NetworkInputs {
        let offered = |network: &NamedNetwork| NetworkBox {
            name: network.name.to_string(),
            addresses: shorten(&describe(network)),
            is_checked: self.named.iter().any(|name| name == network.name.as_str()),
        };
        let is_few = shared.networks().len() <= MAX_BOXES;
        let options = vec![
            ChoiceOption::new(LISTED, "Only these addresses"),
            ChoiceOption::new(ANY, "Any network").hint(texts.any),
        ];
        NetworkInputs {
            access: Choice::new("networks", "Network access", options, &*self.access).hint(texts.hint).errors(errors),
            listed: Area::new("allowed_cidrs", "Allowed networks", &*self.listed)
                .hint("One address or CIDR range per line, for example 10.0.0.0/8.")
                .live("networks")
                .errors(errors),
            boxes: if is_few { shared.networks().map(offered).collect() } else { Vec::new() },
            text: (!is_few).then(|| self.named.join(" ")),
            error: errors.of(NAMED),
        }
    }
}

fn parse_name(checks: &mut Checks, text: &str) -> Option<Slug> {
    let name = Slug::parse(text);
    if name.is_none() {
        checks.wrong(NAMED, "Choose networks of the organization.");
    }
    name
}

/// Describes the addresses of a network: `10.0.0.0/8 without 10.1.0.0/16`.
fn describe(network: &NamedNetwork) -> String {
    let excluded: Vec<String> = network.excluded.iter().map(ToString::to_string).collect();
    let addresses = network.cidrs.to_strings().join(", ");
    if excluded.is_empty() { addresses } else { format!("{addresses} without {}", excluded.join(", ")) }
}

/// Shortens a list to fit beside its checkbox.
fn shorten(text: &str) -> String {
    let kept: String = text.chars().take(SHORT).collect();
    if html_size(&kept) < html_size(text) { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(access: &str, listed: &str, named: &[&str]) -> Option<(Vec<String>, usize)> {
        let named = named.iter().map(|name| (*name).to_owned()).collect();
        let fields = NetworkFields { access: access.into(), listed: listed.into(), named };
        let mut checks = Checks::default();
        let (networks, named) = fields.parse(&mut checks);
        checks.done().ok().map(|()| (networks.to_strings(), named.len()))
    }

    #[test]
    fn networks_are_listed_or_any_but_not_both() {
        assert_eq!(parsed("any", " ", &[]), Some((vec![], 0)));
        assert_eq!(parsed("listed", "10.0.0.0/8", &[]), Some((vec!["10.0.0.0/8".to_owned()], 0)));
        assert_eq!(parsed("listed", "", &["office"]), Some((vec![], 1)));
        for (access, listed) in [("any", "10.0.0.0/8"), ("listed", ""), ("", ""), ("", "10.0.0.0/8"), ("listed", "x")] {
            assert_eq!(parsed(access, listed, &[]), None, "{access} {listed}");
        }
        assert_eq!(parsed("any", "", &["office"]), None, "a named network would be ignored");
        assert_eq!(parsed("listed", "", &["No"]), None);
    }

    #[test]
    fn unchanged_fields_change_nothing() {
        let office = Slug::parse("office").unwrap();
        for (cidrs, named) in [(&[] as &[&str], vec![]), (&["10.0.0.0/8"], vec![office.clone()]), (&[], vec![office])] {
            let networks = Networks::parse(cidrs).unwrap();
            let mut checks = Checks::default();
            assert_eq!(NetworkFields::of(&networks, &named).parse(&mut checks), (networks, named));
            assert!(checks.done().is_ok());
        }
    }
}
