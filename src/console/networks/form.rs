//! The form of a named network, shared by creating and editing one.

use askama::Template;
use ipnet::IpNet;

use crate::console::error_page::ErrorPage;
use crate::console::keys::split_entries;
use crate::console::profiles::{describe, name_field};
use crate::console::submitted::{check_fields, parse_name};
use crate::console::ui::{Area, Errors, Field, Labels, html};
use crate::domain::networks::Networks;
use crate::domain::profile::NamedNetwork;
use crate::domain::violation::Violation;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::profiles::{NetworkEdit, NewNetwork};

/// The fields that show their own errors, with their labels.
pub(super) const FIELDS: &Labels = &[
    ("name", "Name"),
    ("description", "Description"),
    ("cidrs", "Addresses"),
    ("excluded_cidrs", "Excluded addresses"),
];

/// The raw values of the form.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkForm {
    name: String,
    description: String,
    /// One per line.
    cidrs: String,
    excluded: String,
}

html! { NamedNetworkFields }

/// The fields as rendered.
#[derive(Template)]
#[template(
    source = "{% if let Some(name) = name %}{{ name }}{% endif %}\n{{ cidrs }}\n{{ excluded }}\n{{ description }}",
    ext = "html"
)]
pub(super) struct NamedNetworkFields {
    /// `None` for an existing network, which cannot be renamed.
    name: Option<Field>,
    cidrs: Area,
    excluded: Area,
    description: Area,
}

impl NetworkForm {
    /// Fills the form from a network.
    pub(super) fn of(network: &NamedNetwork) -> Self {
        let excluded: Vec<String> = network.excluded.iter().map(IpNet::to_string).collect();
        Self {
            name: network.name.to_string(),
            description: network.description.clone(),
            cidrs: network.cidrs.to_strings().join("\n"),
            excluded: excluded.join("\n"),
        }
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, edited: Option<&NamedNetwork>) -> Result<Self, ErrorPage> {
        check_fields(form, &["description", "cidrs", "excluded_cidrs"])?;
        if edited.is_none() {
            check_fields(form, &["name"])?;
        }
        let lines = |name| form.value(name).unwrap_or_default().replace("\r\n", "\n").trim().to_owned();
        Ok(Self {
            name: edited.map_or_else(|| lines("name"), |network| network.name.to_string()),
            description: lines("description"),
            cidrs: lines("cidrs"),
            excluded: lines("excluded_cidrs"),
        })
    }

    /// Parses the values of a new network.
    pub(super) fn parse_new(&self) -> Result<NewNetwork, Vec<Violation>> {
        let mut checks = Checks::default();
        let name = parse_name(&mut checks, &self.name);
        let (cidrs, excluded) = self.parse(&mut checks);
        match (checks.done(), name) {
            (Ok(()), Some(name)) => Ok(NewNetwork { name, description: self.description.clone(), cidrs, excluded }),
            (done, _) => Err(done.err().unwrap_or_default()),
        }
    }

    /// Parses the values of an edited network.
    pub(super) fn parse_edit(&self) -> Result<NetworkEdit, Vec<Violation>> {
        let mut checks = Checks::default();
        let (cidrs, excluded) = self.parse(&mut checks);
        checks.done()?;
        Ok(NetworkEdit { description: Some(self.description.clone()), cidrs: Some(cidrs), excluded: Some(excluded) })
    }

    fn parse(&self, checks: &mut Checks) -> (Networks, Vec<IpNet>) {
        checks.text("description", &self.description);
        let entries = split_entries(&self.cidrs);
        if entries.is_empty() {
            checks.wrong("cidrs", "Enter an address or range.");
        }
        let cidrs = checks.networks_in("cidrs", &entries);
        let excluded = checks.networks_in("excluded_cidrs", &split_entries(&self.excluded));
        (cidrs, excluded.iter().collect())
    }

    /// Renders the fields with their errors.
    pub(super) fn fields(&self, is_new: bool, errors: &Errors) -> NamedNetworkFields {
        NamedNetworkFields {
            name: is_new
                .then(|| name_field(&self.name, "Keys and profiles refer to the network by this name.", errors)),
            cidrs: Area { rows: 4, ..Area::new("cidrs", "Addresses", &*self.cidrs) }
                .hint("One address or CIDR range per line, for example 203.0.113.0/24.")
                .live("networks")
                .errors(errors),
            excluded: Area { rows: 2, ..Area::new("excluded_cidrs", "Excluded addresses", &*self.excluded) }
                .hint("Addresses and ranges that are not part of the network although it contains them. Optional.")
                .errors(errors),
            description: describe(&self.description, "where the network is, who runs it", errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_values_are_reported_together() {
        let form = NetworkForm { name: "No".into(), excluded: "10.0.0.1/8".into(), ..NetworkForm::default() };
        let fields: Vec<String> =
            form.parse_new().unwrap_err().into_iter().map(|violation| violation.field.to_string()).collect();
        assert_eq!(fields, ["name", "cidrs", "excluded_cidrs[0]"]);
        assert_eq!(form.parse_edit().unwrap_err().len(), 2);
    }
}
