//! A TCP proxy between one node and one server, and the faults of a network: cut, silence and delay, by direction.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::dice::Dice;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Flow {
    #[default]
    Pass,
    /// Nothing is forwarded and nothing is closed; what is held goes on when the fault is over.
    Hold,
    /// Each chunk waits for a random time from the range, in milliseconds.
    Delay(u64, u64),
    /// Every two seconds it is thrown anew which half of the connections is slow: each chunk of theirs waits for
    /// half of so many milliseconds or more. So what is read on one connection is overtaken on another.
    Uneven(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Mode {
    cut: bool,
    to: Flow,
    from: Flow,
    target: SocketAddr,
}

/// Listens for as long as it lives.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    task: tokio::task::JoinHandle<()>,
}

/// How often a fault has bitten.
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

    /// Closes what is open and refuses what is new.
    pub fn cut(&self) {
        self.mode.send_modify(|mode| mode.cut = true);
    }

    /// Sets what happens to the bytes to the server and from it.
    pub fn flow(&self, to: Flow, from: Flow) {
        self.mode.send_modify(|mode| (mode.to, mode.from) = (to, from));
    }

    /// Back to normal.
    pub fn pass(&self) {
        self.mode.send_modify(|mode| (mode.cut, mode.to, mode.from) = (false, Flow::Pass, Flow::Pass));
    }

    /// Another server from now on; connections to the one before are closed.
    pub fn point_to(&self, port: u16) {
        self.mode.send_modify(|mode| mode.target = SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }

    /// Connections refused, chunks held and chunks delayed so far.
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
    tokio::select! {
        _ = pump(from_client, to_server, state.clone(), |mode| mode.to, &counts) => {}
        _ = pump(from_server, to_client, state, |mode| mode.from, &counts) => {}
        _ = gone.wait_for(|mode| mode.cut || mode.target != target) => {}
    }
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Mode>,
    flow: fn(&Mode) -> Flow,
    counts: &Counts,
) -> io::Result<()> {
    let mut dice = Dice::another();
    let (mut thrown, mut is_slow) = (Instant::now(), dice.one_in(2));
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        if thrown.elapsed() > Duration::from_secs(2) {
            (thrown, is_slow) = (Instant::now(), dice.one_in(2));
        }
        let now = flow(&state.borrow());
        let range = match now {
            Flow::Delay(least, most) => Some((least, most)),
            Flow::Uneven(most) if is_slow => Some((most / 2, most)),
            _ => None,
        };
        if let Some((least, most)) = range {
            counts.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(dice.between(least, most))).await;
        }
        if flow(&state.borrow()) == Flow::Hold {
            counts.held.fetch_add(1, Ordering::Relaxed);
            let _ = state.wait_for(|mode| flow(mode) != Flow::Hold).await;
        }
        to.write_all(buffer.get(..length).unwrap_or_default()).await?;
    }
}
