//! A small site for testing the browser harness.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The console's content security policy.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                          connect-src 'self'; form-action 'self'";

/// Serves these bodies by path, as HTML unless the path ends with `.js`, with [`POLICY`]. A path that starts with a number
/// returns that status; `/form` shows the submitted form; `/cookie` sets a cookie.
pub struct Site {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Site {
    pub fn start(pages: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, ends) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&ends);
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // Chromium opens connections that it may not use. None of them may block the others.
                std::thread::spawn(move || stream.and_then(|stream| answer(stream, pages)));
            }
        });
        Self { address, ends, server: Some(server) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn answer(mut stream: TcpStream, pages: &[(&str, &str)]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        request.extend(&buffer[..count]);
    }
    let request = String::from_utf8_lossy(&request);
    let (head, sent) = request.split_once("\r\n\r\n").unwrap_or_default();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let status: u16 = path[1..].split('/').next().and_then(|first| first.parse().ok()).unwrap_or(200);
    let page = pages.iter().find(|(name, _)| *name == path).map(|(_, page)| (*page).to_owned());
    let (status, body) = match (path, page) {
        ("/form", None) => (200, format!("<!doctype html><html lang=en><title>Sent</title><h1>{sent}</h1>")),
        (_, Some(page)) => (status, page),
        ("/favicon.ico", None) => (204, String::new()),
        (_, None) => (404, "<!doctype html><html lang=en><title>None</title>".into()),
    };
    let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html; charset=utf-8" };
    let cookie = if path == "/cookie" { "Set-Cookie: who=first; Path=/; HttpOnly; SameSite=Lax\r\n" } else { "" };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n{cookie}\
         Content-Security-Policy: {POLICY}\r\n\r\n{body}"
    )
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
