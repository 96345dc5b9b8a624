//! The grants for APIs besides the default one, as fields of the key form: a checkbox for each API, and its scopes as checkboxes, or
//! one per line if there are many or they are filters.

use askama::Template;

use crate::console::ui::{Errors, html, html_size};
use crate::domain::apis::{ApiId, ServedApi};
use crate::domain::choices::ScopeStyle;
use crate::domain::grants::{Grant, Grants};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::form::Form;

/// Name of the checkboxes: the ID of an API, or the ID, a space and a scope.
pub(in crate::console) const GRANT: &str = "grant";
/// Name of the hidden fields with the IDs of the APIs that a form shows. Grants for other APIs stay as they are.
pub(in crate::console) const OFFERED: &str = "offered";
/// Up to this many scopes of an API are checkboxes.
const MAX_BOXES: usize = 40;
/// Up to this size of a form, in bytes of HTML, scopes are checkboxes.
const MAX_SIZE: usize = 50_000;
/// Markup of a checkbox, in bytes of HTML.
const MARKUP: usize = 380;
/// Maximum length of a displayed description, in characters. The API's page has all of it.
const SHORT: usize = 120;

html! { ApiFields }

/// The raw values for all APIs besides the default one.
#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/api_fields.html")]
pub(in crate::console) struct ApiFields {
    apis: Vec<ApiField>,
}

#[derive(Clone, Debug)]
struct ApiField {
    id: ApiId,
    name: String,
    audience: String,
    style: ScopeStyle,
    is_granted: bool,
    /// The scopes as checkboxes. Empty if they are entered as text.
    boxes: Vec<ScopeBox>,
    /// The scopes as text, one per line.
    text: Option<String>,
    hint: String,
    error: Option<String>,
}

#[derive(Clone, Debug)]
struct ScopeBox {
    scope: String,
    description: String,
    is_checked: bool,
    /// Whether the API no longer has the scope that the key was granted.
    is_gone: bool,
}

impl ApiFields {
    /// Fills the fields from the grants of a key.
    pub(in crate::console) fn of(grants: &Grants, apis: &[ServedApi]) -> Self {
        let held = |served: &ServedApi| {
            let scopes = grants.get(served.api.id);
            let list = scopes.into_iter().flat_map(ScopeSet::iter).map(ToString::to_string).collect();
            (scopes.is_some(), list, None)
        };
        Self::build(apis, held)
    }

    /// Reads submitted fields. APIs that the form did not show are left out.
    pub(in crate::console) fn read(form: &Form, apis: &[ServedApi]) -> Self {
        let offered: Vec<&str> = form.values(OFFERED).collect();
        let shown: Vec<ServedApi> =
            apis.iter().filter(|served| offered.contains(&served.api.id.as_str())).cloned().collect();
        Self::build(&shown, |served| {
            let id = served.api.id.as_str();
            let is_granted = form.values(GRANT).any(|value| value == id);
            let ticked = form.values(GRANT).filter_map(|value| value.strip_prefix(id)?.strip_prefix(' '));
            let text = form.value(&text_name(served.api.id)).map(|text| text.replace("\r\n", "\n").trim().to_owned());
            (is_granted, ticked.map(str::to_owned).collect(), text)
        })
    }

    fn build(apis: &[ServedApi], held: impl Fn(&ServedApi) -> (bool, Vec<String>, Option<String>)) -> Self {
        let mut size = 0;
        let field = |served: &ServedApi| {
            let (is_granted, scopes, text) = held(served);
            ApiField::new(served, is_granted, scopes, text, &mut size)
        };
        Self { apis: apis.iter().filter(|served| !served.api.is_default()).map(field).collect() }
    }

    /// Whether the organization has only the default API.
    fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }

    /// Grants an API, with one more scope if it is in the API's style.
    pub(in crate::console) fn add(&mut self, api: ApiId, scope: Option<&str>) {
        let Some(field) = self.apis.iter_mut().find(|field| field.id == api) else { return };
        field.is_granted = true;
        let Some(scope) = scope.filter(|scope| Scope::parse_as(field.style, scope).is_ok()) else { return };
        match (&mut field.text, field.boxes.iter_mut().find(|listed| listed.scope == scope)) {
            (Some(text), _) => *text = format!("{text}\n{scope}").trim().to_owned(),
            (None, Some(listed)) => listed.is_checked = true,
            (None, None) => {}
        }
    }

    /// Parses the grants for these APIs: the scopes of each, `None` without a grant.
    pub(in crate::console) fn parse(&self) -> Result<Vec<(ApiId, Option<ScopeSet>)>, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut parsed = Vec::new();
        for field in &self.apis {
            if !field.is_granted {
                parsed.push((field.id, None));
                continue;
            }
            let mut scopes = Vec::new();
            for (index, text) in field.scopes().into_iter().enumerate() {
                match Scope::parse_as(field.style, text) {
                    Ok(scope) => scopes.push(scope),
                    Err(error) => violations.push(field.violation(Some(index), error.into())),
                }
            }
            match ScopeSet::from_scopes(scopes) {
                Ok(scopes) => parsed.push((field.id, Some(scopes))),
                Err(error) => violations.push(field.violation(None, error.into())),
            }
        }
        if violations.is_empty() { Ok(parsed) } else { Err(violations) }
    }

    /// Moves the errors of a use case about `apis[index]`, as [`split`] returns them for these grants, to the field of the API.
    pub(in crate::console) fn locate(&self, violation: Violation, grants: &Grants) -> Violation {
        let index = violation.field.index.filter(|_| violation.field.name == "apis");
        let mut requested = grants.iter().filter(|grant| grant.api != ApiId::DEFAULT);
        let grant = index.and_then(|index| requested.nth(index));
        match grant.and_then(|grant| self.apis.iter().find(|field| field.id == grant.api)) {
            Some(field) => field.violation(None, violation.kind),
            None => violation,
        }
    }

    /// The names and labels of the fields, for the summary of errors.
    pub(in crate::console) fn labels(&self) -> impl Iterator<Item = (String, String)> {
        self.apis.iter().map(|field| (field_name(field.id), format!("API {}", field.name)))
    }

    /// Adds the errors of each API.
    pub(in crate::console) fn errors(mut self, errors: &Errors) -> Self {
        for field in &mut self.apis {
            field.error = errors.of(&field_name(field.id));
        }
        self
    }
}

impl ApiField {
    fn new(served: &ServedApi, is_granted: bool, scopes: Vec<String>, text: Option<String>, size: &mut usize) -> Self {
        let api = &served.api;
        let listed = api.scopes.iter().map(|listed| ScopeBox {
            scope: listed.scope.to_string(),
            description: shorten(&listed.description),
            is_checked: false,
            is_gone: false,
        });
        let mut boxes: Vec<ScopeBox> = listed.collect();
        for scope in &scopes {
            match boxes.iter_mut().find(|listed| listed.scope == *scope) {
                Some(listed) => listed.is_checked = true,
                None => boxes.push(ScopeBox {
                    scope: scope.clone(),
                    description: String::new(),
                    is_checked: true,
                    is_gone: true,
                }),
            }
        }
        let size_of = |listed: &ScopeBox| MARKUP + 4 * html_size(&listed.scope) + html_size(&listed.description);
        let more: usize = boxes.iter().map(size_of).sum();
        let has_boxes = text.is_none()
            && api.style == ScopeStyle::Plain
            && boxes.len() <= MAX_BOXES
            && size.saturating_add(more) <= MAX_SIZE;
        if has_boxes {
            *size = size.saturating_add(more);
        }
        let hint = match (api.style, api.scopes.first()) {
            (ScopeStyle::Plain, Some(first)) => {
                format!("One of its {} scopes per line, for example {}.", api.scopes.len(), first.scope)
            }
            (ScopeStyle::Plain, None) => "This API has no scopes.".into(),
            (ScopeStyle::Filters, None) => "One scope per line, for example read:projects/*.".into(),
            (ScopeStyle::Filters, Some(_)) => {
                let first: Vec<String> = api.scopes.iter().take(5).map(|listed| listed.scope.to_string()).collect();
                let more = if api.scopes.len() > first.len() { ", …" } else { "" };
                format!("One scope per line. The API has {}{more} and scopes within them.", first.join(", "))
            }
        };
        Self {
            id: api.id,
            name: api.name.to_string(),
            audience: shorten(&served.audience),
            style: api.style,
            is_granted,
            boxes: if has_boxes { boxes } else { Vec::new() },
            text: (!has_boxes).then(|| text.unwrap_or_else(|| scopes.join("\n"))),
            hint,
            error: None,
        }
    }

    /// The scopes as entered.
    fn scopes(&self) -> Vec<&str> {
        match &self.text {
            Some(text) => text.split_whitespace().collect(),
            None => self.boxes.iter().filter(|listed| listed.is_checked).map(|listed| listed.scope.as_str()).collect(),
        }
    }

    /// Returns an error of this field.
    fn violation(&self, index: Option<usize>, kind: ViolationKind) -> Violation {
        let kind = match (index, kind) {
            (Some(index), ViolationKind::Scope(error)) => {
                let message = crate::console::ui::describe_scope_error(&error);
                ViolationKind::Other(format!("Scope {}: {message}", index + 1))
            }
            (_, kind) => kind,
        };
        Violation::new(field_name(self.id), kind)
    }

    fn field(&self) -> String {
        field_name(self.id)
    }

    fn text_field(&self) -> String {
        text_name(self.id)
    }
}

/// Returns the grants of a key with its scopes for the default API and for the APIs of a form. `held` are the grants of an existing
/// key.
///
/// A new key without scopes for the default API is granted it only if it is granted no other one. An existing key keeps a grant
/// without scopes, but loses it with its last scope if it is granted another API.
pub(in crate::console) fn combine(
    default: ScopeSet,
    others: Vec<(ApiId, Option<ScopeSet>)>,
    held: Option<&Grants>,
) -> Grants {
    let has_other = others.iter().any(|(_, scopes)| scopes.is_some());
    let is_granted = !default.is_empty()
        || match held.map(Grants::default_scopes) {
            None => !has_other,
            Some(None) => false,
            Some(Some(scopes)) => scopes.is_empty() || !has_other,
        };
    let mut grants = held.cloned().unwrap_or_default();
    for (api, scopes) in others {
        // Checkboxes are in the order of the API. Another order alone is no change.
        let is_same = grants.get(api).zip(scopes.as_ref()).is_some_and(|(held, scopes)| {
            held.len() == scopes.len() && held.iter().all(|scope| scopes.iter().any(|other| other == scope))
        });
        if !is_same {
            grants = grants.with(api, scopes);
        }
    }
    grants.with(ApiId::DEFAULT, is_granted.then_some(default))
}

/// Returns the grants of a key with a profile, or of a profile, without a grant for the default API that has no scopes, unless
/// `held` has it too. Without it, a key has all that its profile grants.
pub(in crate::console) fn without_empty(grants: Grants, held: Option<&Grants>) -> Grants {
    let has_empty = |grants: &Grants| grants.default_scopes().is_some_and(ScopeSet::is_empty);
    if has_empty(&grants) && !held.is_some_and(has_empty) { grants.with(ApiId::DEFAULT, None) } else { grants }
}

/// Returns the grants as a list, the default API's apart.
pub(in crate::console) fn split(grants: &Grants, apis: &[ServedApi]) -> crate::keys::RequestedGrants {
    let name = |grant: &Grant| Some(apis.iter().find(|served| served.api.id == grant.api)?.api.name.to_string());
    let others: Vec<crate::keys::RequestedGrant> = grants
        .iter()
        .filter(|grant| grant.api != ApiId::DEFAULT)
        .filter_map(|grant| {
            let scopes = grant.scopes.iter().map(ToString::to_string).collect();
            Some(crate::keys::RequestedGrant { api: name(grant)?, scopes })
        })
        .collect();
    crate::keys::RequestedGrants {
        scopes: grants.default_scopes().cloned(),
        apis: (!others.is_empty()).then_some(others),
    }
}

fn field_name(api: ApiId) -> String {
    format!("api-{api}")
}

fn text_name(api: ApiId) -> String {
    format!("scopes-{api}")
}

fn shorten(text: &str) -> String {
    let kept: String = text.chars().take(SHORT).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::{Api, ApiScope};
    use crate::domain::choices::{Algorithm, TokenType};
    use crate::domain::slug::Slug;
    use crate::domain::timestamp::Timestamp;

    fn id(byte: u8) -> ApiId {
        ApiId::from_random([byte; 16])
    }

    fn served(byte: u8, style: ScopeStyle, scopes: &[&str]) -> ServedApi {
        let base = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        let listed =
            |text: &&str| ApiScope { scope: Scope::parse_as(style, text).unwrap(), description: "what".into() };
        let api = Api {
            id: id(byte),
            name: Slug::parse(&format!("api{byte}")).unwrap(),
            style,
            scopes: scopes.iter().map(listed).collect(),
            ..base
        };
        ServedApi {
            api,
            audience: "https://a.example".into(),
            aliases: vec![],
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }
    }

    fn plain(text: &str) -> ScopeSet {
        ScopeSet::parse_as(ScopeStyle::Plain, text).unwrap()
    }

    fn pairs(pairs: &[(&str, String)]) -> Form {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs);
        Form::parse(text.finish().as_bytes()).unwrap()
    }

    #[test]
    fn boxes_and_text_are_read() {
        let apis = [served(1, ScopeStyle::Plain, &["a.read", "a.write"]), served(2, ScopeStyle::Filters, &[])];
        let form = pairs(&[
            ("offered", id(1).to_string()),
            ("offered", id(2).to_string()),
            ("grant", id(1).to_string()),
            ("grant", format!("{} a.write", id(1))),
            ("grant", id(2).to_string()),
            (&format!("scopes-{}", id(2)), "read:x/*\r\nwrite:y".into()),
        ]);
        let parsed = ApiFields::read(&form, &apis).parse().unwrap();
        let filters = ScopeSet::parse("read:x/* write:y").unwrap();
        assert_eq!(parsed, [(id(1), Some(plain("a.write"))), (id(2), Some(filters))]);
    }

    #[test]
    fn an_api_without_its_box_is_not_granted_and_one_that_was_not_shown_is_kept() {
        let apis = [served(1, ScopeStyle::Plain, &["a.read"]), served(2, ScopeStyle::Plain, &["b.read"])];
        let form = pairs(&[("offered", id(1).to_string()), ("grant", format!("{} a.read", id(1)))]);
        let parsed = ApiFields::read(&form, &apis).parse().unwrap();
        assert_eq!(parsed, [(id(1), None)]);
        let held = Grants::new([1, 2].map(|byte| Grant { api: id(byte), scopes: plain("b.read") }));
        let combined = combine(ScopeSet::default(), parsed, Some(&held));
        assert_eq!(combined.iter().map(|grant| grant.api).collect::<Vec<_>>(), [id(2)]);
    }

    #[test]
    fn default_api_is_granted_with_scopes_or_alone() {
        let other = |granted: bool| vec![(id(1), granted.then(|| plain("a")))];
        let has_default = |grants: Grants| grants.default_scopes().is_some();
        let read = ScopeSet::parse("read").unwrap();
        let (empty, held) = (Grants::of_default(ScopeSet::default()), Grants::of_default(read.clone()));
        let none = Grants::new([Grant { api: id(1), scopes: plain("a") }]);
        for (scopes, granted, held, expected) in [
            (ScopeSet::default(), false, None, true),
            (ScopeSet::default(), true, None, false),
            (read, true, None, true),
            (ScopeSet::default(), true, Some(&empty), true),
            (ScopeSet::default(), true, Some(&held), false),
            (ScopeSet::default(), false, Some(&held), true),
            (ScopeSet::default(), true, Some(&none), false),
        ] {
            assert_eq!(
                has_default(combine(scopes.clone(), other(granted), held)),
                expected,
                "{scopes} {granted} {held:?}"
            );
        }
    }

    #[test]
    fn scopes_that_the_api_no_longer_has_stay_ticked() {
        let apis = [served(1, ScopeStyle::Plain, &["a.read"])];
        let held = Grants::new([Grant { api: id(1), scopes: plain("a.read a.gone") }]);
        let fields = ApiFields::of(&held, &apis);
        assert!(fields.apis[0].boxes[1].is_gone && !fields.apis[0].boxes[0].is_gone);
        assert_eq!(fields.parse().unwrap(), [(id(1), Some(plain("a.read a.gone")))]);
    }

    #[test]
    fn an_unchanged_form_changes_nothing() {
        let apis = [served(1, ScopeStyle::Plain, &["a.read", "a.write"])];
        let held = Grants::of_default(ScopeSet::default()).with(id(1), Some(plain("a.write a.read")));
        let parsed = ApiFields::of(&held, &apis).parse().unwrap();
        assert!(combine(ScopeSet::default(), parsed, Some(&held)).is_same_text(&held));
    }

    #[test]
    fn many_scopes_are_text() {
        let names: Vec<String> = (0..200).map(|number| format!("scope.{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let apis: Vec<ServedApi> = (1..100).map(|byte| served(byte, ScopeStyle::Plain, &names)).collect();
        let html = ApiFields::of(&Grants::default(), &apis).render().unwrap();
        assert!(html.len() < 100_000, "{}", html.len());
        let apis: Vec<ServedApi> = (1..100).map(|byte| served(byte, ScopeStyle::Plain, &names[..40])).collect();
        let html = ApiFields::of(&Grants::default(), &apis).render().unwrap();
        assert!(html.contains("type=\"checkbox\" name=\"grant\"") && html.len() < 130_000, "{}", html.len());
    }
}
