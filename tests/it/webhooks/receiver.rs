//! A receiver of webhooks with its own implementation of Standard Webhooks.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::support::tls::Authority;
use crate::support::{eventually_within, now};

/// A received request.
#[derive(Clone, Debug)]
pub struct Received {
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// The response.
#[derive(Clone)]
pub enum Reply {
    /// A status and headers.
    Status(u16, &'static str),
    /// A status and a body of this many bytes.
    Body(u16, usize),
    /// These bytes.
    Raw(Vec<u8>),
    /// A status, and a body that goes on until the client disconnects.
    Endless(u16),
    /// 204 after this many seconds.
    Late(u64),
    /// No response until the client disconnects.
    Silence,
}

/// Both ways.
trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

type Decide = dyn Fn(&Received, usize) -> Reply + Send + Sync;

/// Listens on its own port until the test's process ends.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Accepts everything.
    pub fn start() -> Self {
        Self::answering(|_, _| Reply::Status(204, ""))
    }

    /// Responds depending on the request and the number of earlier ones.
    pub fn answering(decide: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(decide, |mut stream, serve| serve(&mut stream))
    }

    /// Accepts everything, over TLS.
    pub fn over_tls(authority: &Authority) -> Self {
        let certificate = CertificateDer::from_pem_file(authority.path("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(authority.path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
        Self::serving(
            |_, _| Reply::Status(204, ""),
            move |stream, serve| {
                let connection = ServerConnection::new(config.clone()).unwrap();
                serve(&mut StreamOwned::new(connection, stream));
            },
        )
    }

    fn serving(
        decide: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream, &dyn Fn(&mut dyn ReadWrite)) + Send + Sync + 'static,
    ) -> Self {
        // On all local addresses: 127.0.0.2 is not in the certificate.
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let (noted, decide, wrap): (_, Arc<Decide>, _) = (received.clone(), Arc::new(decide), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, noted, decide, wrap) = (stream.unwrap(), noted.clone(), decide.clone(), wrap.clone());
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                std::thread::spawn(move || wrap(stream, &|stream| answer(stream, &noted, &*decide)));
            }
        });
        Self { address, received }
    }

    pub fn url(&self) -> String {
        self.url_of("/hook")
    }

    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for a number of requests and returns them.
    #[track_caller]
    pub fn await_count(&self, count: usize) -> Vec<Received> {
        eventually_within(40, &format!("{count} requests"), || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
    }
}

fn answer(stream: &mut dyn ReadWrite, noted: &Mutex<Vec<Received>>, decide: &Decide) {
    let Some(request) = read(stream) else { return };
    let before = {
        let mut noted = noted.lock().unwrap();
        noted.push(request.clone());
        noted.len() - 1
    };
    let written = match decide(&request, before) {
        Reply::Status(status, more) => {
            stream.write_all(format!("HTTP/1.1 {status} X\r\n{more}Content-Length: 0\r\n\r\n").as_bytes())
        }
        Reply::Body(status, length) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; length]))
        }
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Endless(status) => {
            let mut written = stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes());
            while written.is_ok() {
                written = stream.write_all(b"on and on ");
                std::thread::sleep(Duration::from_millis(20));
            }
            written
        }
        Reply::Late(seconds) => {
            std::thread::sleep(Duration::from_secs(seconds));
            stream.write_all(b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n")
        }
        Reply::Silence => stream.read(&mut [0]).map(|_| ()),
    };
    // The client may have disconnected.
    let _ = written;
}

fn read(stream: &mut dyn ReadWrite) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            assert_eq!(first.next(), Some("POST"));
            let target = first.next()?.to_owned();
            let header =
                |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.into()));
            let headers: HashMap<String, String> = lines.filter_map(header).collect();
            let length: usize = headers.get("content-length")?.parse().ok()?;
            if bytes.len() >= end + 4 + length {
                return Some(Received { target, headers, body: bytes[end + 4..end + 4 + length].to_vec() });
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend(&part[..count]),
        }
    }
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn timestamp(&self) -> i64 {
        self.headers["webhook-timestamp"].parse().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn event(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// Checks signature, time and format with a secret, and returns the body.
    #[track_caller]
    pub fn verified(&self, secret: &str) -> Value {
        assert!((now() - self.timestamp()).abs() < 300, "{:?}", self.headers);
        assert!(self.is_signed_with(secret), "{:?}", self.headers);
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(self.headers["user-agent"].starts_with("Keyturn/"));
        assert!(!self.id().contains('.'));
        let body = self.json();
        let members: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["data", "timestamp", "type"], "{body}");
        body
    }

    pub fn is_signed_with(&self, secret: &str) -> bool {
        let (timestamp, signature) = (&self.headers["webhook-timestamp"], &self.headers["webhook-signature"]);
        verify(secret, (self.id(), timestamp, &self.body), signature)
    }
}

/// Whether a signature matches a message: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.payload`. HMAC is
/// implemented here (RFC 2104), independently of the program.
pub fn verify(secret: &str, (id, timestamp, payload): (&str, &str, &[u8]), signatures: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("the prefix")).unwrap();
    let hash = |parts: &[&[u8]]| {
        let mut context = Context::new(&SHA256);
        parts.iter().for_each(|part| context.update(part));
        context.finish().as_ref().to_vec()
    };
    let mut block = key;
    block.resize(64, 0);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
    let inner = hash(&[&pad(0x36), id.as_bytes(), b".", timestamp.as_bytes(), b".", payload]);
    let expected = format!("v1,{}", STANDARD.encode(hash(&[&pad(0x5c), &inner])));
    signatures.split(' ').any(|signature| signature == expected)
}

#[test]
fn published_example_verifies() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (id, at, payload) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#.as_slice());
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert!(verify(secret, (id, at, payload), signature));
    assert!(verify(secret, (id, at, payload), &format!("v1,AAAA {signature}")));
    assert!(!verify(secret, (id, "1614265331", payload), signature));
    assert!(!verify(secret, (id, at, br#"{"test":2432232314}"#), signature));
    assert!(!verify(secret, ("msg_other", at, payload), signature));
    assert!(!verify("whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", (id, at, payload), signature));
}
