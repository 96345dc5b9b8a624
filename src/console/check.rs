//! Live checks of form fields. Submitting the form runs the same checks.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::console::error_page::ErrorPage;
use crate::console::keys::split_entries;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource};
use crate::console::ui::{describe_networks_error, describe_scope_error};
use crate::domain::networks::{Networks, NetworksError};
use crate::domain::scope::{RESERVED, ResourceFilter};
use crate::http::form::Form;
use crate::http::permission::AnyCredential;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/check/{what:networks|filter}", [get(check)]));
}

/// The feedback beside a field. `tone` is a CSS class.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Feedback {
    tone: &'static str,
    message: String,
}

async fn check(
    _: ConsoleRequest<AnyCredential>,
    what: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes())
        .map_err(|error| ErrorPage::unreadable_form(&error.to_string()))?;
    let value = query.value("value").unwrap_or_default();
    let feedback = if *what == "networks" { networks(value) } else { filter(value.trim()) };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(feedback))
}

fn networks(text: &str) -> Feedback {
    let entries = split_entries(text);
    let wrong = Networks::errors(&entries);
    if !wrong.is_empty() {
        let describe = |error: &NetworksError| format!("Line {}: {}", error.index + 1, describe_networks_error(error));
        return Feedback { tone: "bad", message: wrong.iter().map(describe).collect::<Vec<_>>().join(" ") };
    }
    match Networks::parse(&entries) {
        // Too many.
        Err(error) => Feedback { tone: "bad", message: describe_networks_error(&error) },
        Ok(networks) if networks.has_wildcard() => {
            Feedback { tone: "warning", message: "This allows any address. List the networks you use.".into() }
        }
        Ok(networks) if !networks.is_restricted() => {
            Feedback { tone: "warning", message: "Together, these ranges allow any address.".into() }
        }
        Ok(networks) => {
            let number = networks.iter().len();
            let noun = if number == 1 { "network" } else { "networks" };
            Feedback { tone: "good", message: format!("{number} {noun}: {}", networks.to_strings().join(", ")) }
        }
    }
}

fn filter(text: &str) -> Feedback {
    match ResourceFilter::parse(text) {
        Err(error) => Feedback { tone: "bad", message: describe_scope_error(&error) },
        Ok(filter) if filter.as_str() == "*" => {
            Feedback { tone: "warning", message: "Matches every resource except the Keyturn management API.".into() }
        }
        Ok(filter) if filter.as_str().split('/').next() == Some(RESERVED) => {
            Feedback { tone: "warning", message: format!("Keyturn management API. {}", describe(filter.as_str())) }
        }
        Ok(filter) => Feedback { tone: "good", message: describe(filter.as_str()) },
    }
}

/// Describes a filter.
fn describe(filter: &str) -> String {
    if let Some(prefix) = filter.strip_suffix("/*") {
        return format!("Matches everything under {prefix}/.");
    }
    if filter.split('/').any(|segment| segment == "#") {
        return "# matches any single segment.".into();
    }
    format!("Matches only {filter}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_has_tone_and_message() {
        assert_eq!(networks("10.0.0.0/8").tone, "good");
        assert_eq!(networks("10.0.0.0/8\n0.0.0.0/0").tone, "warning");
        assert_eq!(networks("0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1").tone, "warning");
        let wrong = networks("192.0.2.1\n10.0.0.1/8");
        assert_eq!(wrong.tone, "bad");
        assert!(wrong.message.starts_with("Line 2: 10.0.0.1/8 has host bits set."), "{wrong:?}");
        let both = networks("10.0.0.1/8\n192.0.2.1\nx");
        assert!(both.message.contains("Line 1:") && both.message.contains("Line 3:"), "{both:?}");
        assert_eq!((filter("keyturn/*").tone, filter("keyturns/*").tone), ("warning", "good"));
        assert_eq!((filter("*").tone, filter("a//b").tone, filter("a/*").tone), ("warning", "bad", "good"));
        assert_eq!(filter("projects/*").message, "Matches everything under projects/.");
    }
}
