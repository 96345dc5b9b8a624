//! Requests to addresses that others have given: sent once, nowhere but where they may go, and not for long.
//!
//! Imports `domain` only. No redirects, no proxy, no cookies; of an answer its status counts. The answer to "where may
//! it go" is found at each attempt, from the addresses that are connected to.

mod resolver;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response};

use crate::domain::delivery_error::{ATTEMPT_SECONDS, DeliveryError};
use crate::domain::destination::{AllowedDestinations, Destination};
use crate::domain::webhook_headers::CustomHeaders;
use crate::outbound::resolver::{NoAddress, PublicOnly};

/// How long one attempt may take, from resolving the name to the end of the response.
const TIMEOUT: Duration = Duration::from_secs(ATTEMPT_SECONDS);

/// How long resolving the name, connecting and the TLS handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read, and dropped.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends requests.
#[derive(Debug)]
pub struct Sender {
    reach: AllowedDestinations,
    client: OnceLock<Client>,
    /// Used without TLS where `client` cannot be made.
    plain_client: OnceLock<Client>,
}

/// One request: a POST of JSON.
#[derive(Debug)]
pub struct OutboundRequest<'a> {
    /// Where to.
    pub destination: &'a Destination,
    /// Headers that the receiver wants, whose values are secrets.
    pub custom: &'a CustomHeaders,
    /// Headers, by their lower-case names.
    pub headers: [(&'static str, String); 3],
    /// The body.
    pub body: String,
}

/// What was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// For how many seconds the receiver wants to be left alone (RFC 9110 §10.2.3, in seconds; dates are not read).
    pub retry_after: Option<u64>,
}

impl Sender {
    /// Whoever sends where it may.
    pub fn new(reach: AllowedDestinations) -> Self {
        Self { reach, client: OnceLock::new(), plain_client: OnceLock::new() }
    }

    /// Sends a request and waits for its answer.
    pub async fn send(&self, letter: OutboundRequest<'_>) -> Result<Reply, DeliveryError> {
        // An address that stands in the URL is asked of no resolver. What may be reached may have changed since.
        let destination = Destination::parse(letter.destination.url().as_str(), self.reach)?;
        let explain = |error| explain(error, &destination);
        let request =
            self.client(&destination)?.post(destination.url().clone()).header(CONTENT_TYPE, "application/json");
        let request =
            letter.custom.iter().fold(request, |request, (name, value)| request.header(name, sensitive(value)));
        let request = letter.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = request.body(letter.body).send().await.map_err(explain)?;
        let reply = Reply { status: response.status().as_u16(), retry_after: retry_after(&response) };
        let mut read = 0;
        while let Ok(Some(part)) = response.chunk().await {
            read += part.len();
            if read >= MAX_ANSWER {
                break;
            }
        }
        Ok(reply)
    }

    /// The client, made when it is first needed: without certificate authorities on this machine there is none, and a
    /// node that sends nothing must start all the same.
    fn client(&self, destination: &Destination) -> Result<&Client, DeliveryError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = match self.builder().build() {
            Ok(client) => client,
            // Without certificate authorities on this machine, receivers without TLS can still be reached.
            Err(_) if destination.url().scheme() == "http" => {
                return self.plain_client(destination);
            }
            Err(error) => return Err(explain(error, destination)),
        };
        Ok(self.client.get_or_init(|| client))
    }

    fn plain_client(&self, destination: &Destination) -> Result<&Client, DeliveryError> {
        if let Some(client) = self.plain_client.get() {
            return Ok(client);
        }
        let client = self.builder().tls_certs_only([]).build().map_err(|error| explain(error, destination))?;
        Ok(self.plain_client.get_or_init(|| client))
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Each attempt resolves and connects anew.
            .pool_max_idle_per_host(0)
            .https_only(!self.reach.allows_http())
            .user_agent(concat!("Keyturn/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicOnly { reach: self.reach }))
    }
}

/// A value that is not shown in logs or kept in tables of compressed headers. Its characters were checked before.
fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Returns the reason that is stored and shown. What the libraries say goes to the log alone, at debug level.
fn explain(error: reqwest::Error, destination: &Destination) -> DeliveryError {
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
    async fn an_address_that_is_not_public_is_not_connected_to_however_it_is_written() {
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
        // The same listener is reached where that is allowed.
        let url = format!("http://localhost:{port}/");
        let (reply, ()) = tokio::join!(send(AllowedDestinations::Anywhere, &url), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
        });
        assert_eq!(reply.unwrap(), Reply { status: 503, retry_after: Some(7) });
    }

    #[tokio::test]
    async fn missing_names_and_private_names_give_the_same_error() {
        for host in ["localhost", "does-not-exist.invalid"] {
            let error = send(AllowedDestinations::Public, &format!("https://{host}/")).await.unwrap_err();
            assert_eq!(error, DeliveryError::NoAddress, "{host}");
        }
    }

    /// Accepts connections and answers each with the given bytes, or never.
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
    async fn a_receiver_that_does_not_speak_http_is_told_apart_from_a_silent_one() {
        for answer in [b"SSH-2.0-OpenSSH_9.6\r\n".as_slice(), b""] {
            let port = listen(Some(answer)).await;
            let error = send(AllowedDestinations::Anywhere, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
            assert_eq!(error, DeliveryError::InvalidResponse);
        }
    }
}
