//! Checks of fields while they are typed, for the script; the form's own answer says the same.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::console::keys::entries;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::domain::networks::Networks;
use crate::domain::scope::ResourceFilter;
use crate::http::form::Form;
use crate::http::permission::Anyone;

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/check/{what:networks|filter}").route(web::get().to(check)));
}

/// What to say beside a field: `tone` is a class of the style.
#[derive(Serialize, PartialEq, Eq, Debug)]
struct Said {
    tone: &'static str,
    message: String,
}

async fn check(_: Visit<Anyone>, what: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    let query =
        Form::parse(request.query_string().as_bytes()).map_err(|error| Trouble::bad_form(&error.to_string()))?;
    let value = query.value("value").unwrap_or_default();
    let said = if *what == "networks" { networks(value) } else { filter(value.trim()) };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(said))
}

fn networks(text: &str) -> Said {
    let entries = entries(text);
    match Networks::parse(&entries) {
        Err(error) => Said { tone: "bad", message: format!("Entry {}: {error}", error.index + 1) },
        Ok(networks) if networks.has_wildcard() => Said {
            tone: "warning",
            message: "A wildcard lets every address in. Name the networks that the key is used from.".into(),
        },
        Ok(networks) if !networks.is_restricted() => {
            Said { tone: "warning", message: "Together these let every address in.".into() }
        }
        Ok(networks) => {
            let number = networks.iter().len();
            let plural = if number == 1 { "network" } else { "networks" };
            Said { tone: "good", message: format!("{number} {plural}: {}", networks.to_strings().join(", ")) }
        }
    }
}

fn filter(text: &str) -> Said {
    match ResourceFilter::parse(text) {
        Err(error) => Said { tone: "bad", message: error.to_string() },
        Ok(filter) if filter.as_str() == "*" => {
            Said { tone: "warning", message: "Every resource, but for Keyturn’s own management API.".into() }
        }
        Ok(filter) => Said { tone: "good", message: told(filter.as_str()) },
    }
}

/// A filter in words.
fn told(filter: &str) -> String {
    if let Some(prefix) = filter.strip_suffix("/*") {
        return format!("Everything below {prefix}.");
    }
    if filter.split('/').any(|segment| segment == "#") {
        return "One resource for each value of #.".into();
    }
    format!("Exactly {filter}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_told_at_once() {
        assert_eq!(networks("10.0.0.0/8").tone, "good");
        assert_eq!(networks("10.0.0.0/8\n0.0.0.0/0").tone, "warning");
        assert_eq!(networks("0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1").tone, "warning");
        let wrong = networks("192.0.2.1\n10.0.0.1/8");
        assert_eq!(wrong.tone, "bad");
        assert!(wrong.message.starts_with("Entry 2: 10.0.0.1/8 has bits set"), "{wrong:?}");
        assert_eq!((filter("*").tone, filter("a//b").tone, filter("a/*").tone), ("warning", "bad", "good"));
        assert_eq!(filter("projects/*").message, "Everything below projects.");
    }
}
