//! A TCP proxy between a node and a server that injects network faults: cuts, silence and delays, by direction.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::dice::Dice;

/// Fault of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Flow {
    #[default]
    Pass,
    /// Nothing is forwarded and nothing is closed; held bytes are forwarded after the fault.
    Hold,
    /// Each chunk is delayed by a random time from the range, in milliseconds.
    Delay(u64, u64),
    /// The same, but the connection that polls for changes of other nodes is not delayed: changes overtake reads.
    DelayReads(u64, u64),
    /// Only the connection that polls for changes is delayed: everything else learns of changes first.
    DelayPolls(u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Mode {
    cut: bool,
    to: Flow,
    from: Flow,
    target: SocketAddr,
}

/// Listens until it is dropped.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    task: tokio::task::JoinHandle<()>,
}

/// How often faults had an effect.
#[derive(Default)]
struct Counts {
    refused: AtomicU64,
    held: AtomicU64,
    delayed: AtomicU64,
}

impl Proxy {
    pub async fn start(target: u16) -> Result<Self, String> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| format!("a proxy: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let (mode, state) = watch::channel(Mode { cut: false, to: Flow::Pass, from: Flow::Pass, target });
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(listen(listener, state, counts.clone()));
        Ok(Self { port, mode, counts, task })
    }

    /// Closes open connections and rejects new ones.
    pub fn cut(&self) {
        self.mode.send_modify(|mode| mode.cut = true);
    }

    /// Sets the faults of the bytes to the server and from it.
    pub fn flow(&self, to: Flow, from: Flow) {
        self.mode.send_modify(|mode| (mode.to, mode.from) = (to, from));
    }

    /// Ends all faults.
    pub fn pass(&self) {
        self.mode.send_modify(|mode| (mode.cut, mode.to, mode.from) = (false, Flow::Pass, Flow::Pass));
    }

    /// Connects to another server from now on; connections to the previous one are closed.
    pub fn point_to(&self, port: u16) {
        self.mode.send_modify(|mode| mode.target = SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }

    /// Returns the numbers of rejected connections, held chunks and delayed chunks.
    pub fn bites(&self) -> [u64; 3] {
        [&self.counts.refused, &self.counts.held, &self.counts.delayed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, state: watch::Receiver<Mode>, counts: Arc<Counts>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.borrow().cut {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            let _ = set_socket_linger(&client, Some(Duration::ZERO));
            continue;
        }
        tokio::spawn(connection(client, state.clone(), counts.clone()));
    }
}

async fn connection(client: TcpStream, state: watch::Receiver<Mode>, counts: Arc<Counts>) -> io::Result<()> {
    let target = state.borrow().target;
    let server = TcpStream::connect(target).await?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut gone = state.clone();
    let is_polling = AtomicBool::new(false);
    tokio::select! {
        _ = pump(from_client, to_server, state.clone(), |mode| mode.to, &counts, &is_polling) => {}
        _ = pump(from_server, to_client, state, |mode| mode.from, &counts, &is_polling) => {}
        _ = gone.wait_for(|mode| mode.cut || mode.target != target) => {}
    }
    Ok(())
}

/// Bytes that only the connection that polls for changes sends.
const FOLLOWING: &str = "LEFT JOIN key_changes";

fn is_marked(chunk: &[u8]) -> bool {
    chunk.windows(FOLLOWING.len()).any(|window| window == FOLLOWING.as_bytes())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Mode>,
    flow: fn(&Mode) -> Flow,
    counts: &Counts,
    is_polling: &AtomicBool,
) -> io::Result<()> {
    let mut dice = Dice::another();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let chunk = buffer.get(..length).unwrap_or_default();
        let now = flow(&state.borrow());
        let range = match now {
            Flow::Delay(least, most) => Some((least, most)),
            Flow::DelayReads(least, most) if !is_polling.load(Ordering::Relaxed) => Some((least, most)),
            Flow::DelayPolls(least, most) if is_polling.load(Ordering::Relaxed) => Some((least, most)),
            _ => None,
        };
        if is_marked(chunk) {
            is_polling.store(true, Ordering::Relaxed);
        }
        if let Some((least, most)) = range {
            counts.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(dice.between(least, most))).await;
        }
        if flow(&state.borrow()) == Flow::Hold {
            counts.held.fetch_add(1, Ordering::Relaxed);
            let _ = state.wait_for(|mode| flow(mode) != Flow::Hold).await;
        }
        to.write_all(chunk).await?;
    }
}
