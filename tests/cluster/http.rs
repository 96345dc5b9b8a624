//! A minimal HTTP/1.1 client: one kept connection, and connections that are reset.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection that is opened when it is needed; one call at a time.
pub struct Connection {
    address: SocketAddr,
    open: Option<(TcpStream, Instant)>,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

/// Reason why there is no response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Silence {
    /// Nothing was sent.
    Unreached,
    /// The server may have received something.
    Unknown,
}

/// The server closes connections that are idle for five seconds; a call must not coincide with that.
const IDLE: Duration = Duration::from_secs(3);

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the first cookie that it sets, for a later request.
    pub fn cookie(&self) -> Option<String> {
        let is_cookie = |name: &str| name.eq_ignore_ascii_case("set-cookie");
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(name, _)| is_cookie(name))?;
        value.trim().split(';').next().map(str::to_owned)
    }
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    /// Opens the connection unless it is open.
    pub async fn connect(&mut self) -> Result<(), Silence> {
        if self.open.as_ref().is_none_or(|(_, used)| used.elapsed() > IDLE) {
            let stream = timeout(Duration::from_secs(3), TcpStream::connect(self.address)).await;
            let stream = stream.ok().and_then(Result::ok).ok_or(Silence::Unreached)?;
            let _ = stream.set_nodelay(true);
            self.open = Some((stream, Instant::now()));
        }
        Ok(())
    }

    pub async fn call(&mut self, request: &[u8], limit: Duration) -> Result<Answer, Silence> {
        self.connect().await?;
        let (mut stream, _) = self.open.take().ok_or(Silence::Unreached)?;
        let exchange = async {
            stream.write_all(request).await?;
            read(&mut stream).await
        };
        match timeout(limit, exchange).await {
            Ok(Ok(answer)) => {
                self.open = Some((stream, Instant::now()));
                Ok(answer)
            }
            _ => Err(Silence::Unknown),
        }
    }

    /// Sends a request on a new connection and resets it when `until` completes.
    pub async fn send_and_reset(&self, request: &[u8], until: impl Future<Output = ()>) -> Result<(), Silence> {
        let stream = timeout(Duration::from_secs(3), TcpStream::connect(self.address)).await;
        let mut stream = stream.ok().and_then(Result::ok).ok_or(Silence::Unreached)?;
        stream.write_all(request).await.map_err(|_| Silence::Unknown)?;
        until.await;
        set_socket_linger(&stream, Some(Duration::ZERO)).map_err(|_| Silence::Unknown)
    }
}

/// Returns a request with a credential and a body of this type.
pub fn request(method: &str, target: &str, credential: Option<&str>, body: Option<(&str, &str)>) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: cluster\r\n");
    if let Some(credential) = credential {
        text += &format!("Authorization: Bearer {credential}\r\n");
    }
    if let Some((kind, body)) = body {
        text += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    } else {
        text += "Content-Length: 0\r\n\r\n";
    }
    text.into_bytes()
}

/// Returns a `GET` request with a cookie.
pub fn request_with_cookie(target: &str, cookie: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: cluster\r\nCookie: {cookie}\r\n\r\n").into_bytes()
}

async fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut bytes = Vec::with_capacity(1024);
    let head = loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break head + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head_text = String::from_utf8_lossy(bytes.get(..head).unwrap_or_default()).into_owned();
    let text = head_text.to_ascii_lowercase();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(wrong("no status"))?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    // A 204 has no body and no length (RFC 9110 section 8.6).
    let length = if status == 204 { Some("0") } else { length };
    let length: usize = length.and_then(|length| length.trim().parse().ok()).ok_or(wrong("no length"))?;
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer { status, head: head_text, body: bytes.get(head..head + length).unwrap_or_default().to_vec() })
}
