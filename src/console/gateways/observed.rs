//! The addresses in the request that loads a page: the peer, the forwarding headers and the resulting client address.

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderName};

use crate::console::request::ConsoleRequest;
use crate::domain::decision::ClientAddress;
use crate::domain::networks::fold;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Maximum number of characters of a header that are shown.
const MAX_SHOWN: usize = 200;
/// Maximum number of trusted networks that are shown.
const MAX_NETWORKS: usize = 20;

pub(super) struct Observed {
    /// `server.trusted_proxies`. `None` for members of other organizations than `default`, who do not run the server.
    pub(super) trusted: Option<Vec<String>>,
    /// The number of trusted networks that are not shown.
    pub(super) more: usize,
    pub(super) peer: String,
    pub(super) is_peer_trusted: bool,
    /// The forwarding headers: name and value.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The client address, or why there is none.
    pub(super) client: Result<String, String>,
}

impl Observed {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, request: &HttpRequest) -> Self {
        let proxies = &visit.context.trusted_proxies;
        let peer = request.peer_addr().map(|peer| fold(peer.ip()));
        let header = |shown: &'static str, name: HeaderName| {
            let values =
                request.headers().get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let values = values.collect::<Vec<_>>().join(", ");
            (!values.is_empty()).then(|| (shown, values.chars().take(MAX_SHOWN).collect()))
        };
        let networks = proxies.networks();
        Self {
            trusted: visit
                .organization()
                .is_default()
                .then(|| networks.iter().take(MAX_NETWORKS).map(ToString::to_string).collect()),
            more: networks.len().saturating_sub(MAX_NETWORKS),
            peer: peer.map_or_else(|| "unknown".into(), |peer| peer.to_string()),
            is_peer_trusted: peer.is_some_and(|peer| proxies.trusts(peer)),
            headers: [header("X-Forwarded-For", X_FORWARDED_FOR), header("Forwarded", FORWARDED)]
                .into_iter()
                .flatten()
                .collect(),
            client: match visit.address {
                ClientAddress::Known(address) => Ok(address.to_string()),
                ClientAddress::Unreadable(cause) => Err(cause.to_string()),
                ClientAddress::NotTheCaller => Err("not known".into()),
            },
        }
    }
}
