//! A TCP connection between a node and a server that can be held.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::support::redis::free_port;

const PASSES: u8 = 0;
const HOLDS: u8 = 1;
const IS_GONE: u8 = 2;

/// Forwards bytes in both directions. While it is held, nothing is forwarded and nothing is closed.
pub(super) struct Wire {
    pub(super) port: u16,
    state: Arc<AtomicU8>,
}

impl Wire {
    /// A wire to a local port.
    pub(super) fn to(port: u16) -> Self {
        Self::from(free_port(), port)
    }

    pub(super) fn from(port: u16, to: u16) -> Self {
        let state = Arc::new(AtomicU8::new(PASSES));
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = state.clone();
        std::thread::spawn(move || {
            while shared.load(Ordering::SeqCst) != IS_GONE {
                match listener.accept() {
                    Ok((near, _)) => {
                        near.set_nonblocking(false).unwrap();
                        if let Ok(far) = TcpStream::connect(("127.0.0.1", to)) {
                            pass(near.try_clone().unwrap(), far.try_clone().unwrap(), shared.clone());
                            pass(far, near, shared.clone());
                        }
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { port, state }
    }

    pub(super) fn hold(&self) {
        self.state.store(HOLDS, Ordering::SeqCst);
    }

    pub(super) fn release(&self) {
        self.state.store(PASSES, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.store(IS_GONE, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: Arc<AtomicU8>) {
    from.set_nodelay(true).unwrap();
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                Err(_) => break,
            };
            while state.load(Ordering::SeqCst) == HOLDS {
                std::thread::sleep(Duration::from_millis(5));
            }
            if state.load(Ordering::SeqCst) == IS_GONE || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
