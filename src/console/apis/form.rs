//! The form of an API, shared by creating and editing one.

use askama::Template;

use crate::console::apis::style_name;
use crate::console::error_page::ErrorPage;
use crate::console::policy::{format_seconds, parse_lifetime};
use crate::console::submitted::{check_fields, parse_name};
use crate::console::ui::attributes::{from_lines, to_lines};
use crate::console::ui::{
    Area, Choice as ChoiceField, ChoiceOption, Errors, Field, Labels, Select, SelectOption, html,
};
use crate::domain::apis::{Api, ServedApi};
use crate::domain::attribute::Attributes;
use crate::domain::choices::{Algorithm, Choice, ScopeStyle, TokenType};
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::node::NodeSettings;
use crate::organizations::{ApiEdit, NewApi, ScopeText};

/// The fields that show their own errors, with their labels.
pub(super) const FIELDS: &Labels = &[
    ("name", "Name"),
    ("audience", "Audience"),
    ("scope_style", "Scope style"),
    ("scopes", "Scopes"),
    ("token_ttl_seconds", "Token lifetime"),
    ("token_typ", "Token type"),
    ("token_claims", "Custom claims"),
    ("algorithm", "Algorithm"),
    ("description", "Description"),
];

/// The raw values of the form.
#[derive(Clone, Debug)]
pub(super) struct ApiForm {
    name: String,
    audience: String,
    style: String,
    /// One scope per line, with its description after a space.
    scopes: String,
    lifetime: String,
    typ: String,
    /// One claim per line.
    claims: String,
    algorithm: String,
    description: String,
}

/// The settings that the API gets without its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited<'a> {
    pub(super) node: &'a NodeSettings,
    /// Lifetime of the organization's tokens.
    pub(super) ttl_seconds: u32,
}

html! { ApiFields }

/// The fields as rendered.
#[derive(Template)]
#[template(path = "console/apis/fields.html")]
pub(super) struct ApiFields {
    /// `None` for the default API, which cannot be renamed.
    name: Option<Field>,
    audience: Field,
    /// `None` for an existing API: its style cannot be changed.
    style: Option<ChoiceField>,
    fixed_style: &'static str,
    scopes: Area,
    lifetime: Field,
    typ: Select,
    claims: Area,
    algorithm: Select,
    description: Area,
}

/// The values that both a new and an edited API have.
struct Parsed {
    scopes: Vec<ScopeText>,
    token_ttl_seconds: Option<u32>,
    typ: Option<TokenType>,
    token_claims: Attributes,
    algorithm: Option<Algorithm>,
}

impl ApiForm {
    pub(super) fn empty() -> Self {
        let empty = String::new;
        Self {
            name: empty(),
            audience: empty(),
            style: ScopeStyle::Plain.as_str().into(),
            scopes: empty(),
            lifetime: empty(),
            typ: empty(),
            claims: empty(),
            algorithm: empty(),
            description: empty(),
        }
    }

    /// Fills the form from an API.
    pub(super) fn of(api: &Api) -> Self {
        let line = |listed: &crate::domain::apis::ApiScope| {
            // A description of several lines would be read as several scopes.
            let description = listed.description.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{} {description}", listed.scope).trim_end().to_owned()
        };
        Self {
            name: api.name.to_string(),
            audience: api.audience.clone().unwrap_or_default(),
            style: api.style.as_str().into(),
            scopes: api.scopes.iter().map(line).collect::<Vec<_>>().join("\n"),
            lifetime: api.token_ttl_seconds.map(format_seconds).unwrap_or_default(),
            typ: api.typ.map(|typ| typ.as_str().to_owned()).unwrap_or_default(),
            claims: to_lines(&api.token_claims).join("\n"),
            algorithm: api.algorithm.chosen().as_str().into(),
            description: api.description.clone(),
        }
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, edited: Option<&Api>) -> Result<Self, ErrorPage> {
        check_fields(form, &["audience", "scopes", "token_ttl_seconds", "token_typ", "token_claims", "description"])?;
        match edited {
            None => check_fields(form, &["name"])?,
            Some(api) if !api.is_default() => check_fields(form, &["name"])?,
            Some(_) => {}
        }
        let value = |name| form.value(name).unwrap_or_default();
        let line = |name| value(name).trim().to_owned();
        let lines = |name| value(name).replace("\r\n", "\n").trim().to_owned();
        Ok(Self {
            name: edited.filter(|api| api.is_default()).map_or_else(|| line("name"), |api| api.name.to_string()),
            audience: line("audience"),
            style: edited.map_or_else(|| line("scope_style"), |api| api.style.as_str().to_owned()),
            scopes: lines("scopes"),
            lifetime: line("token_ttl_seconds"),
            typ: line("token_typ"),
            claims: lines("token_claims"),
            algorithm: line("algorithm"),
            description: lines("description"),
        })
    }

    /// Parses the values of a new API.
    pub(super) fn parse_new(&self) -> Result<NewApi, Vec<Violation>> {
        let mut checks = Checks::default();
        let name = parse_name(&mut checks, &self.name);
        if self.audience.is_empty() {
            checks.wrong("audience", "Enter an audience, such as the API’s URL.");
        }
        let style = ScopeStyle::parse(&self.style);
        if style.is_none() {
            checks.wrong("scope_style", "Choose a scope style.");
        }
        let parsed = self.parse(&mut checks);
        checks.done()?;
        let missing = |field: &str| vec![Violation::new(field, "Enter a value.")];
        Ok(NewApi {
            name: name.ok_or_else(|| missing("name"))?,
            description: self.description.clone(),
            audience: self.audience.clone(),
            style: style.ok_or_else(|| missing("scope_style"))?,
            scopes: parsed.scopes,
            grantable: None,
            token_ttl_seconds: parsed.token_ttl_seconds,
            typ: parsed.typ,
            token_claims: parsed.token_claims,
            algorithm: parsed.algorithm,
        })
    }

    /// Parses the values of an edited API.
    pub(super) fn parse_edit(&self, api: &Api) -> Result<ApiEdit, Vec<Violation>> {
        let mut checks = Checks::default();
        let name = if api.is_default() { None } else { parse_name(&mut checks, &self.name) };
        if self.audience.is_empty() && !api.is_default() {
            checks.wrong("audience", "Enter an audience, such as the API’s URL.");
        }
        let parsed = self.parse(&mut checks);
        checks.done()?;
        Ok(ApiEdit {
            name,
            description: Some(self.description.clone()),
            audience: Some(Some(self.audience.clone()).filter(|audience| !audience.is_empty())),
            scopes: Some(parsed.scopes),
            // Set over the API.
            grantable: None,
            token_ttl_seconds: Some(parsed.token_ttl_seconds),
            typ: Some(parsed.typ),
            token_claims: Some(parsed.token_claims),
            algorithm: parsed.algorithm,
        })
    }

    fn parse(&self, checks: &mut Checks) -> Parsed {
        checks.text("description", &self.description);
        let lines = self.scopes.lines().map(str::trim).filter(|line| !line.is_empty());
        let scope = |line: &str| {
            let (scope, description) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            ScopeText { scope: scope.to_owned(), description: description.trim().to_owned() }
        };
        let scopes: Vec<ScopeText> = lines.map(scope).collect();
        for (index, listed) in scopes.iter().enumerate() {
            if let Some(fault) = crate::domain::text::text_fault(&listed.description) {
                checks.wrong(format!("scopes[{index}].description"), fault);
            }
        }
        let token_ttl_seconds = parse_lifetime(checks, &self.lifetime);
        let typ = match self.typ.as_str() {
            "" => None,
            text => {
                let typ = TokenType::parse(text);
                if typ.is_none() {
                    checks.wrong("token_typ", "Choose a token type.");
                }
                typ
            }
        };
        let (token_claims, wrong) = from_lines("token_claims", &self.claims);
        for violation in wrong {
            checks.wrong(violation.field, violation.kind);
        }
        let algorithm = match self.algorithm.as_str() {
            "" => None,
            text => {
                let algorithm = Algorithm::parse(text);
                if algorithm.is_none() {
                    checks.wrong("algorithm", "Choose an algorithm.");
                }
                algorithm
            }
        };
        Parsed { scopes, token_ttl_seconds, typ, token_claims, algorithm }
    }

    /// Renders the fields with their errors. `edited` is the API as it is; without it, the API is new.
    pub(super) fn fields(&self, edited: Option<&ServedApi>, inherited: Inherited<'_>, errors: &Errors) -> ApiFields {
        let is_default = edited.is_some_and(|served| served.api.is_default());
        let is_filters = edited.is_some_and(|served| served.api.style == ScopeStyle::Filters);
        let style = ChoiceField::new(
            "scope_style",
            "Scope style",
            vec![
                ChoiceOption::new("plain", "Plain").hint(
                    "Any text without spaces, such as orders.read. Compared exactly, as most validators do.",
                ),
                ChoiceOption::new("filters", "Filters").hint(
                    "action:resource, such as read:projects/*, where one scope can contain others. For resources that form a tree.",
                ),
            ],
            &*self.style,
        );
        let audience = Field::text("audience", "Audience", &*self.audience).max_length(256).errors(errors);
        let scopes = Area { rows: 6, ..Area::new("scopes", "Scopes", &*self.scopes) };
        let every = if is_filters { " Leave blank to allow every scope." } else { "" };
        let types = [("", format!("Server default ({})", inherited.node.typ))]
            .into_iter()
            .chain(TokenType::NAMES.iter().map(|name| (*name, (*name).to_owned())));
        let names = Algorithm::NAMES.iter().map(|name| SelectOption::new(*name, *name));
        let (algorithms, algorithm_hint) = match edited {
            None => (
                std::iter::once(SelectOption::new("", "That of the default API")).chain(names).collect(),
                "Signs its tokens. RS256 is for validators and gateways that support only RSA.".to_owned(),
            ),
            Some(_) => (
                names.collect(),
                format!(
                    "Signs its tokens. The key of another algorithm is published {} before it signs; earlier tokens stay valid.",
                    format_seconds(inherited.node.publish_ahead_seconds)
                ),
            ),
        };
        ApiFields {
            name: (!is_default).then(|| {
                Field::text("name", "Name", &*self.name)
                    .hint("Used in grants and on the command line: lowercase letters, digits and hyphens.")
                    .required(true)
                    .max_length(40)
                    .errors(errors)
            }),
            audience: if is_default {
                audience.hint(format!(
                    "The aud claim of its tokens. Leave blank for the configured audience, {}.",
                    inherited.node.audience
                ))
            } else {
                audience.hint("The aud claim of its tokens, usually the API’s URL.").required(true)
            },
            style: edited.is_none().then(|| style.hint("Can’t be changed later.").errors(errors)),
            fixed_style: edited.map_or("", |served| style_name(served.api.style)),
            scopes: scopes
                .hint(format!("One scope per line, then a space and its description: orders.read See orders.{every}"))
                .errors(errors),
            lifetime: Field::text("token_ttl_seconds", "Token lifetime", &*self.lifetime)
                .hint(format!(
                    "From 1 minute to 1 hour, for example 10 minutes. Leave blank for the organization’s, {}.",
                    format_seconds(inherited.ttl_seconds)
                ))
                .errors(errors),
            typ: Select::new(
                "token_typ",
                "Token type (typ)",
                types.map(|(value, text)| SelectOption::new(value, text)).collect(),
                &*self.typ,
            )
            .hint("Choose JWT if a validator rejects at+jwt.")
            .errors(errors),
            claims: Area::new("token_claims", "Custom claims", &*self.claims)
                .hint("Of this API’s tokens, besides those of the policy. One per line, for example plan = metadata.plan. Sources: metadata.NAME, customer.external_id, customer.metadata.NAME, owner, or a constant.")
                .errors(errors),
            algorithm: Select::new("algorithm", "Algorithm", algorithms, &*self.algorithm)
                .hint(algorithm_hint)
                .errors(errors),
            description: Area { rows: 2, ..Area::new("description", "Description", &*self.description) }
                .hint("Notes for your team: what the API is, who owns it.")
                .errors(errors),
        }
    }
}

/// Describes the errors of an API, those of parts of scopes with the scope.
pub(super) fn errors(violations: Vec<Violation>) -> Errors {
    let described = |mut violation: Violation| {
        if violation.field.name == "scopes" && violation.field.part.as_deref() == Some("description") {
            violation.field.part = None;
            if let ViolationKind::TooLong(most) = violation.kind {
                violation.kind = format!("The description must be {most} characters or fewer.").into();
            }
        }
        violation
    };
    Errors::new(violations.into_iter().map(described), FIELDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(scopes: &str) -> ApiForm {
        ApiForm { name: "a".into(), audience: "b".into(), scopes: scopes.into(), ..ApiForm::empty() }
    }

    #[test]
    fn scopes_are_lines_with_a_description() {
        let new =
            form("orders.read   See orders \n\n  orders.write\nhttps://a.example/x\tEverything").parse_new().unwrap();
        let read: Vec<(&str, &str)> =
            new.scopes.iter().map(|listed| (listed.scope.as_str(), listed.description.as_str())).collect();
        assert_eq!(read, [("orders.read", "See orders"), ("orders.write", ""), ("https://a.example/x", "Everything")]);
    }

    #[test]
    fn invalid_values_are_reported_together() {
        let wrong = ApiForm { name: "No".into(), lifetime: "5".into(), typ: "jwt".into(), ..ApiForm::empty() };
        let fields: Vec<String> =
            wrong.parse_new().unwrap_err().into_iter().map(|violation| violation.field.to_string()).collect();
        assert_eq!(fields, ["name", "audience", "token_ttl_seconds", "token_typ"]);
        let long = ApiForm { lifetime: "2 hours".into(), ..form("") };
        assert_eq!(long.parse_new().unwrap_err()[0].field.to_string(), "token_ttl_seconds");
    }
}
