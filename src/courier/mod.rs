//! Requests to addresses that others have given: sent once, nowhere but where they may go, and not for long.
//!
//! Imports `domain` only. No redirects, no proxy, no cookies; of an answer its status counts. The answer to "where may
//! it go" is found at each attempt, from the addresses that are connected to.

mod resolver;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response};

use crate::courier::resolver::{PublicOnly, Refused};
use crate::domain::destination::{Destination, DestinationError, Reach};

/// How long one attempt may take, from resolving the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of an answer that are read, and dropped.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends requests.
#[derive(Debug)]
pub struct Courier {
    reach: Reach,
    client: OnceLock<Client>,
}

/// One request: a POST of JSON.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Where to.
    pub destination: &'a Destination,
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

/// Why there is no answer. Never shows the path or the query of a URL.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// It may not go there.
    #[error("{0}")]
    Destination(#[from] DestinationError),
    /// It may not go where its name leads.
    #[error("{0}")]
    Refused(Refused),
    /// It took too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// No connection, or none that can be trusted: closed ports, open ports without TLS and certificates of another name
    /// look the same, so that nobody probes networks with webhooks.
    #[error("could not connect")]
    NotConnected,
    /// The connection broke before there was a response.
    #[error("no response")]
    NoResponse,
    /// This node cannot send requests.
    #[error("the node cannot send requests")]
    Unusable,
}

impl Courier {
    /// Whoever sends where it may.
    pub fn new(reach: Reach) -> Self {
        Self { reach, client: OnceLock::new() }
    }

    /// Where it may go.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Sends a request and waits for its answer.
    pub async fn send(&self, letter: Letter<'_>) -> Result<Reply, CourierError> {
        // An address that stands in the URL is asked of no resolver. What may be reached may have changed since.
        let destination = Destination::parse(letter.destination.url().as_str(), self.reach)?;
        let request = self.client()?.post(destination.url().clone()).header(CONTENT_TYPE, "application/json");
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
    fn client(&self) -> Result<&Client, CourierError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            // Each attempt resolves and connects anew.
            .pool_max_idle_per_host(0)
            .https_only(self.reach == Reach::Public)
            .user_agent(concat!("Keyturn/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicOnly { reach: self.reach }));
        let client = builder.build().map_err(|error| {
            tracing::error!(%error, "failed to prepare requests to webhooks");
            CourierError::Unusable
        })?;
        Ok(self.client.get_or_init(|| client))
    }
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Why there is no answer, out of a fixed list: what a library says may tell of the network that a node is in.
fn explain(error: reqwest::Error) -> CourierError {
    if error.is_timeout() {
        return CourierError::TimedOut;
    }
    let is_connecting = error.is_connect();
    let error = error.without_url();
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    while let Some(inner) = cause.source() {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return CourierError::Refused(*refused);
        }
        cause = inner;
    }
    if is_connecting { CourierError::NotConnected } else { CourierError::NoResponse }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn send(reach: Reach, url: &str) -> Result<Reply, CourierError> {
        let destination = Destination::parse(url, Reach::Anywhere).unwrap();
        let headers =
            [("webhook-id", "a".into()), ("webhook-timestamp", "1".into()), ("webhook-signature", "s".into())];
        Courier::new(reach).send(Letter { destination: &destination, headers, body: "{}".into() }).await
    }

    #[tokio::test]
    async fn an_address_that_is_not_public_is_not_connected_to_however_it_is_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
            let refused = send(Reach::Public, &format!("https://{host}:{port}/")).await.unwrap_err();
            assert!(matches!(refused, CourierError::Destination(DestinationError::NotPublic)), "{refused}");
        }
        let refused = send(Reach::Public, &format!("https://localhost:{port}/secret?token")).await.unwrap_err();
        assert!(matches!(refused, CourierError::Refused(Refused::NotPublic)), "{refused}");
        assert!(!refused.to_string().contains("token"));
        let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(accepted.is_err(), "nobody has come");
        // The same listener is reached where that is allowed.
        let url = format!("http://localhost:{port}/");
        let (reply, ()) = tokio::join!(send(Reach::Anywhere, &url), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
        });
        assert_eq!(reply.unwrap(), Reply { status: 503, retry_after: Some(7) });
    }

    #[tokio::test]
    async fn what_went_wrong_is_said_without_the_url() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let answering = async {
            let (mut stream, _) = open.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
        };
        let url = |port| format!("https://127.0.0.1:{port}/secret?token");
        let (closed, open) = (url(closed), url(port));
        let (closed, (open, ())) = tokio::join!(send(Reach::Anywhere, &closed), async {
            tokio::join!(send(Reach::Anywhere, &open), answering)
        });
        assert_eq!(closed.unwrap_err().to_string(), "could not connect");
        assert_eq!(open.unwrap_err().to_string(), "could not connect");
    }
}
