//! HTTP requests to URLs that users chose, restricted to allowed destinations, with time limits and without retries.
//!
//! Imports `domain` only. No redirects, no proxy, no cookies; only the status and `Retry-After` of a response are used, and its
//! beginning is returned for display.
//! Destinations are checked at each attempt, at the addresses that are connected to.

mod resolver;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response};

use crate::domain::delivery_attempt::ResponseStart;
use crate::domain::delivery_error::{ATTEMPT_SECONDS, DeliveryError};
use crate::domain::destination::{AllowedDestinations, Destination};
use crate::domain::webhook_headers::CustomHeaders;
use crate::outbound::resolver::{AllowedOnly, NoAddress};

/// Time limit of one attempt, from resolving the name to the end of the response.
const TIMEOUT: Duration = Duration::from_secs(ATTEMPT_SECONDS);

/// Time limit of resolving, connecting and the TLS handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of response bytes that are read.
const MAX_RESPONSE: usize = 64 * 1024;

/// Maximum number of response bytes and headers that are returned.
const MAX_START: usize = 16 * 1024;
const MAX_HEADERS: usize = 40;
/// Maximum length of a returned header value. Longer ones are omitted, because a part of a secret may not be recognized.
const MAX_VALUE: usize = 1024;

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("Keyturn/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub struct Sender {
    allowed: AllowedDestinations,
    client: OnceLock<Client>,
    /// Used for `http` URLs if `client` cannot be created.
    plain_client: OnceLock<Client>,
}

/// A POST request with a JSON body.
#[derive(Debug)]
pub struct OutboundRequest<'a> {
    pub destination: &'a Destination,
    /// Custom headers, whose values are secrets.
    pub custom: &'a CustomHeaders,
    /// Headers by lower-case name.
    pub headers: [(&'static str, String); 3],
    pub body: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub status: u16,
    /// Seconds to wait before the next request (RFC 9110 §10.2.3; dates are ignored).
    pub retry_after: Option<u64>,
    pub start: ResponseStart,
    /// Whether the response came from a public address.
    pub is_public: bool,
}

impl Sender {
    pub fn new(allowed: AllowedDestinations) -> Self {
        Self { allowed, client: OnceLock::new(), plain_client: OnceLock::new() }
    }

    /// Sends a request and waits for its response.
    pub async fn send(&self, outgoing: OutboundRequest<'_>) -> Result<Reply, DeliveryError> {
        // Literal addresses are not resolved, so they are checked here. The allowed destinations may have changed since
        // the URL was stored.
        let destination = Destination::parse(outgoing.destination.url().as_str(), self.allowed)?;
        let map_error = |error| map_error(error, &destination);
        let request =
            self.client(&destination)?.post(destination.url().clone()).header(CONTENT_TYPE, "application/json");
        let request =
            outgoing.custom.iter().fold(request, |request, (name, value)| request.header(name, sensitive(value)));
        let request = outgoing.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = request.body(outgoing.body).send().await.map_err(map_error)?;
        let headers = response.headers().iter().take(MAX_HEADERS).filter(|(_, value)| value.len() <= MAX_VALUE);
        let mut start = ResponseStart {
            headers: headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
            ..ResponseStart::default()
        };
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let is_public = response.remote_addr().is_some_and(|peer| AllowedDestinations::Public.allows(peer.ip()));
        let mut read = 0;
        while read < MAX_RESPONSE {
            match response.chunk().await {
                Ok(Some(part)) => {
                    read += part.len();
                    let fits = part.len().min(MAX_START - start.body.len());
                    start.body.extend_from_slice(part.split_at(fits).0);
                }
                Ok(None) => {
                    start.is_complete = true;
                    break;
                }
                // The status has been received, so the response counts.
                Err(_) => break,
            }
        }
        start.bytes = read.min(MAX_RESPONSE) as u64;
        Ok(Reply { status, retry_after, start, is_public })
    }

    /// Creates the client when it is first needed: without certificate authorities on the system this fails, and a node
    /// without webhooks must start anyway.
    fn client(&self, destination: &Destination) -> Result<&Client, DeliveryError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = match self.builder().build() {
            Ok(client) => client,
            // Without certificate authorities, receivers without TLS can still be reached.
            Err(_) if destination.url().scheme() == "http" => {
                return self.plain_client(destination);
            }
            Err(error) => return Err(map_error(error, destination)),
        };
        Ok(self.client.get_or_init(|| client))
    }

    fn plain_client(&self, destination: &Destination) -> Result<&Client, DeliveryError> {
        if let Some(client) = self.plain_client.get() {
            return Ok(client);
        }
        let client = self.builder().tls_certs_only([]).build().map_err(|error| map_error(error, destination))?;
        Ok(self.plain_client.get_or_init(|| client))
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Each attempt resolves and connects again.
            .pool_max_idle_per_host(0)
            .https_only(!self.allowed.allows_http())
            .user_agent(USER_AGENT)
            .dns_resolver(Arc::new(AllowedOnly { allowed: self.allowed }))
    }
}

/// Creates a value that is excluded from logs and from header compression. Its characters were validated before.
fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Returns the stored and displayed reason. Messages of libraries are only logged, at debug level.
fn map_error(error: reqwest::Error, destination: &Destination) -> DeliveryError {
    let error = error.without_url();
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    let mut has_address = true;
    while let Some(inner) = cause.source() {
        cause = inner;
        has_address &= cause.downcast_ref::<NoAddress>().is_none();
    }
    tracing::debug!(%destination, cause = %cause, "webhook request failed");
    match (has_address, error.is_connect() || error.is_builder(), error.is_timeout()) {
        (false, _, _) => DeliveryError::NoAddress,
        (true, true, _) => DeliveryError::CouldNotConnect,
        (true, false, true) => DeliveryError::TimedOut,
        (true, false, false) => DeliveryError::InvalidResponse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::destination::DestinationError;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn send(reach: AllowedDestinations, url: &str) -> Result<Reply, DeliveryError> {
        let destination = Destination::parse(url, AllowedDestinations::Anywhere).unwrap();
        let headers =
            [("webhook-id", "a".into()), ("webhook-timestamp", "1".into()), ("webhook-signature", "s".into())];
        let custom = CustomHeaders::default();
        Sender::new(reach)
            .send(OutboundRequest { destination: &destination, custom: &custom, headers, body: "{}".into() })
            .await
    }

    #[tokio::test]
    async fn non_public_addresses_are_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
            let refused = send(AllowedDestinations::Public, &format!("https://{host}:{port}/")).await.unwrap_err();
            assert_eq!(refused, DeliveryError::Destination(DestinationError::NotPublic));
        }
        let refused =
            send(AllowedDestinations::Public, &format!("https://localhost:{port}/secret?token")).await.unwrap_err();
        assert_eq!(refused, DeliveryError::NoAddress);
        let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(accepted.is_err(), "nobody has come");
        // The same listener is reachable if its address is allowed.
        let url = format!("http://localhost:{port}/");
        let (reply, ()) = tokio::join!(send(AllowedDestinations::Anywhere, &url), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
        });
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.retry_after, reply.is_public), (503, Some(7), false));
        assert_eq!((&*reply.start.body, reply.start.bytes, reply.start.is_complete), (&b"no"[..], 2, true));
        assert!(reply.start.headers.contains(&("retry-after".into(), b"7".to_vec())));
    }

    #[tokio::test]
    async fn missing_names_and_private_names_give_the_same_error() {
        for host in ["localhost", "does-not-exist.invalid"] {
            let error = send(AllowedDestinations::Public, &format!("https://{host}/")).await.unwrap_err();
            assert_eq!(error, DeliveryError::NoAddress, "{host}");
        }
    }

    /// Accepts connections and responds to each with the given bytes, or never.
    async fn listen(answer: Option<&'static [u8]>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(bytes) = answer {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(bytes).await;
                } else {
                    open.push(stream);
                }
            }
        });
        port
    }

    #[tokio::test]
    async fn open_and_closed_ports_give_the_same_error_over_https() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let ports = [
            closed,
            listen(None).await,
            listen(Some(b"SSH-2.0-OpenSSH_9.6\r\n")).await,
            listen(Some(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await,
            listen(Some(b"")).await,
        ];
        for port in ports {
            let error = send(AllowedDestinations::Anywhere, &format!("https://127.0.0.1:{port}/secret?token"))
                .await
                .unwrap_err();
            assert_eq!((error, error.to_string().as_str()), (DeliveryError::CouldNotConnect, "could not connect"));
        }
    }

    #[tokio::test]
    async fn invalid_http_and_silence_have_different_errors() {
        for answer in [b"SSH-2.0-OpenSSH_9.6\r\n".as_slice(), b""] {
            let port = listen(Some(answer)).await;
            let error = send(AllowedDestinations::Anywhere, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
            assert_eq!(error, DeliveryError::InvalidResponse);
        }
    }
}
