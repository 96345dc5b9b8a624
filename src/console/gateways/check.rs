//! The last step: the requests of a gateway as Keyturn sees them.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::gateways::observed::Observed;
use crate::console::gateways::{Chosen, Steps, Values};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Moment, Notice, Tone, format_count};
use crate::domain::timestamp::Timestamp;
use crate::http::permission::ReadUsage;
use crate::store::GatewayRequest;

#[derive(Template)]
#[template(path = "console/gateways/check.html")]
struct Page {
    frame: Frame,
    steps: Steps,
    gateway: &'static str,
    number: usize,
    /// The values as fields of the form.
    sent: Vec<(&'static str, String)>,
    /// The path of this page with the values, below `/console/gateways`.
    path: String,
    /// `None` if Keyturn does not see the gateway's requests, or sees no client in them.
    seen: Option<Seen>,
    is_local: bool,
    scope: String,
    test: String,
}

/// The requests and addresses that Keyturn sees.
struct Seen {
    until: Option<Moment>,
    verdict: Notice,
    rows: Vec<Row>,
    observed: Observed,
    /// `server.trusted_proxies` with the missing peers, for those who run the server.
    setting: Option<String>,
}

struct Row {
    peer: String,
    is_trusted: bool,
    client: Result<String, String>,
    result: Badge,
    advice: Option<&'static str>,
    count: String,
    last: Moment,
}

pub(super) async fn show(
    visit: ConsoleRequest<ReadUsage>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let chosen = Chosen::read(&visit, &name, &request)?;
    if chosen.gateway.id == "tokens" {
        return Err(ErrorPage::not_found());
    }
    if !chosen.errors.is_empty() {
        return Err(ErrorPage::unreadable_form("a value is not valid"));
    }
    let seen = match chosen.is_verified() {
        true => Some(Seen::read(&visit, &request).await?),
        false => None,
    };
    page(&Page {
        frame: visit.frame(Section::Gateways, format!("Check {}", chosen.gateway.name)),
        steps: Steps::new(3, Some(&chosen)),
        gateway: chosen.gateway.id,
        number: chosen.number,
        path: chosen.path("/check"),
        is_local: chosen.is_local(),
        scope: chosen.test_scope().to_owned(),
        test: test_commands(&visit.node().settings.public_url, &chosen),
        sent: chosen.sent,
        seen,
    })
}

/// Starts to observe the organization's requests.
pub(super) async fn start(submitted: Submitted<ReadUsage>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let chosen = Chosen::new(&visit, &name, form)?;
    let started = visit.node().watch_gateway(visit.organization(), visit.now).await;
    let message = match started.map_err(|cause| ErrorPage::unavailable(&cause))? {
        true => "Watching for requests.",
        false => "Too many organizations check a gateway now. Try again in a few minutes.",
    };
    visit.done(&format!("/gateways{}", chosen.path("/check")), message)
}

impl Chosen {
    /// The scope that the test request needs.
    fn test_scope(&self) -> &str {
        if self.recipe.has(super::EXAMPLE_REQUIREMENT) { &self.values.scope } else { super::fill::EXAMPLE_SCOPE }
    }
}

impl Seen {
    async fn read(visit: &ConsoleRequest<ReadUsage>, request: &HttpRequest) -> Result<Self, ErrorPage> {
        let read = visit.node().observed_requests(visit.organization(), visit.now).await;
        let (until, requests) = read.map_err(|cause| ErrorPage::unavailable(&cause))?;
        let observed = Observed::new(visit, request);
        // Requests from trusted peers have a client of their own, so it is the gateway that is missing.
        let mut missing: Vec<&str> =
            requests.iter().filter(|request| !request.is_trusted).map(|request| request.peer.as_str()).collect();
        missing.sort_unstable();
        missing.dedup();
        let setting = observed.trusted.as_ref().filter(|_| observed.more == 0 && !missing.is_empty()).map(|trusted| {
            let all = trusted.iter().map(String::as_str).chain(missing.iter().copied());
            let all: Vec<String> = all.map(|network| format!("\"{network}\"")).collect();
            format!("[server]\ntrusted_proxies = [{}]", all.join(", "))
        });
        Ok(Self {
            until: until.map(|until| Moment::from_now(until, visit.now)),
            verdict: verdict(&requests, until.is_some()),
            rows: requests.into_iter().map(|request| Row::new(request, visit.now)).collect(),
            observed,
            setting,
        })
    }
}

impl Row {
    fn new(request: GatewayRequest, now: Timestamp) -> Self {
        let client = match (request.client, request.address_error) {
            (Some(client), _) => Ok(client),
            (None, error) => Err(error.unwrap_or_else(|| "not known".into())),
        };
        Self {
            peer: request.peer,
            is_trusted: request.is_trusted,
            client,
            result: match &request.code {
                None => Badge::new(Tone::Good, "Allowed"),
                Some(code) => Badge::new(Tone::Bad, code.clone()),
            },
            advice: request.code.as_deref().and_then(advice),
            count: format_count(request.count),
            last: Moment::from_now(request.last_at, now),
        }
    }
}

/// Says what the requests mean.
fn verdict(requests: &[GatewayRequest], is_watching: bool) -> Notice {
    let is_good = |request: &&GatewayRequest| request.is_trusted && request.code.is_none() && request.client.is_some();
    let (trusted, all) = (requests.iter().filter(|request| request.is_trusted).count(), requests.len());
    match (requests.iter().find(is_good), trusted, all) {
        (Some(request), ..) => Notice::new(
            Tone::Good,
            format!(
                "The gateway works. A request through the trusted proxy {} was allowed, and Keyturn saw the client {}.",
                request.peer,
                request.client.as_deref().unwrap_or_default()
            ),
        ),
        (None, 0, 0) if is_watching => {
            Notice::new(Tone::Plain, "No request yet. Send the test request through the gateway.")
        }
        (None, 0, 0) => Notice::new(Tone::Plain, "Start the check, then send the test request through the gateway."),
        (None, 0, _) => Notice::new(
            Tone::Warning,
            "The gateway reaches Keyturn, but Keyturn doesn’t trust it: the gateway’s address is taken for the client’s. Keys that are \
             restricted to networks are denied, or allowed from everywhere if the gateway is in their networks.",
        ),
        (None, _, _) => Notice::new(
            Tone::Warning,
            "The gateway reaches Keyturn and is trusted. No request was allowed yet; the table says why.",
        ),
    }
}

/// Says what to do about a denial.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "API_KEY_REQUIRED" => {
            "The request had no credential. Send one, and check that the gateway forwards Authorization."
        }
        "API_KEY_INVALID" => "The credential isn’t one of this organization, or it is for another audience.",
        "API_KEY_IP_NOT_ALLOWED" => "The key isn’t allowed from this client address.",
        "INSUFFICIENT_SCOPE" => "The key lacks the scope that the route requires.",
        "VALIDATION_FAILED" => "The configuration asks Keyturn for something that it doesn’t understand.",
        "API_KEY_EXPIRED" => "The key has expired.",
        "API_KEY_DISABLED" => "The key is disabled.",
        _ => return None,
    })
}

/// Returns commands that send a request through the gateway. Local validation needs a token instead of a key.
fn test_commands(public_url: &str, chosen: &Chosen) -> String {
    let Values { path, audience, .. } = &chosen.values;
    let path = if chosen.recipe.has(super::EXAMPLE_REQUIREMENT) { path.as_str() } else { super::fill::EXAMPLE_PATH };
    let request = format!("curl -i http://127.0.0.1:8000{path}1 -H \"Authorization: Bearer");
    if !chosen.is_local() {
        return format!("{request} $KEYTURN_API_KEY\"");
    }
    format!(
        "TOKEN=$(curl -s {public_url}/oauth/token -d grant_type=client_credentials \\\n  \
         --data-urlencode \"client_secret=$KEYTURN_API_KEY\" --data-urlencode \"audience={audience}\" \\\n  \
         | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n{request} $TOKEN\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::slug::Slug;

    fn request(is_trusted: bool, code: Option<&str>, client: Option<&str>) -> GatewayRequest {
        GatewayRequest {
            organization: Slug::default_organization(),
            peer: "10.0.0.5".into(),
            is_trusted,
            code: code.map(str::to_owned),
            address_error: client.is_none().then(|| "the trusted proxy sent no forwarding header".into()),
            client: client.map(str::to_owned),
            count: 1,
            first_at: Timestamp::from_seconds(1),
            last_at: Timestamp::from_seconds(1),
        }
    }

    #[test]
    fn only_an_allowed_request_of_a_trusted_peer_means_that_it_works() {
        let client = Some("192.0.2.1");
        for (requests, tone) in [
            (vec![], Tone::Plain),
            (vec![request(false, None, client)], Tone::Warning),
            (vec![request(true, Some("API_KEY_REQUIRED"), client)], Tone::Warning),
            (vec![request(true, None, None)], Tone::Warning),
            (vec![request(false, None, client), request(true, None, client)], Tone::Good),
        ] {
            assert_eq!(verdict(&requests, true).tone, tone, "{requests:?}");
        }
    }
}
