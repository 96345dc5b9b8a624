//! The table of open connections: how many one network may hold, and which one is closed at a limit or when its time is up.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::domain::networks::fold;
use crate::http::client_address::TrustedProxies;
use crate::server::guarded_stream::GuardedStream;

/// Connections that wait for their client to read. Each holds up to 1 MiB, so all of them stay near 128 MiB.
const MAX_BLOCKED: usize = 128;

/// Bytes of a response that the kernel buffers for one connection. Linux doubles the value.
const SEND_BUFFER: usize = 128 * 1024;

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// Open connections.
    pub total: usize,
    /// Open connections from one IPv4 address or IPv6 /64.
    pub per_address: usize,
    /// Open connections from one IPv4 /24 or IPv6 /48.
    pub per_network: usize,
    /// Seconds that a response may wait for the client to read.
    pub write_seconds: u32,
    /// Seconds without any response.
    pub idle_seconds: u32,
}

/// The open connections.
pub(super) struct Connections {
    pub(super) limits: ConnectionLimits,
    proxies: TrustedProxies,
    /// Seconds since the start. Reading it costs less than reading a clock.
    pub(super) tick: AtomicU32,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    /// By network. Trusted proxies are under `None`.
    networks: HashMap<Option<IpAddr>, Vec<Arc<Connection>>>,
}

/// The state of one connection that others may read.
pub(super) struct Connection {
    address: IpAddr,
    network: Option<IpAddr>,
    /// The tick of the last byte written, or of the accept.
    pub(super) last_write: AtomicU32,
    /// The tick at which a waiting response times out; 0 if none waits.
    pub(super) write_deadline: AtomicU32,
    pub(super) is_closed: AtomicBool,
    pub(super) waker: AtomicWaker,
}

impl Connection {
    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Connections with a lower rank are closed first: those whose client does not read, then the idlest.
    fn rank(&self) -> (bool, u32) {
        let is_blocked = self.write_deadline.load(Ordering::Relaxed) != 0;
        (!is_blocked, self.last_write.load(Ordering::Relaxed))
    }
}

impl Connections {
    pub fn new(limits: ConnectionLimits, proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { limits, proxies, tick: AtomicU32::new(1), open: Mutex::default() })
    }

    /// Takes over an accepted connection. At a limit, another connection of the holder is closed for it.
    pub fn admit(self: &Arc<Self>, stream: TcpStream, peer: IpAddr) -> GuardedStream {
        // A failure leaves the kernel's defaults, which only cost memory.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, self.limits.write_seconds.saturating_mul(1000));
        GuardedStream::new(stream, self.register(peer), self.clone())
    }

    fn register(&self, peer: IpAddr) -> Arc<Connection> {
        let peer = fold(peer);
        let (address, network) = blocks(peer);
        let network = (!self.proxies.trusts(peer)).then_some(network);
        let connection = Arc::new(Connection {
            address,
            network,
            last_write: AtomicU32::new(self.tick.load(Ordering::Relaxed)),
            write_deadline: AtomicU32::new(0),
            is_closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let mut open = self.open.lock();
        if network.is_some() {
            let held = open.networks.get(&network).map_or(&[][..], Vec::as_slice);
            let from_address = held.iter().filter(|other| other.address == address).count();
            if from_address >= self.limits.per_address {
                open.close_idlest(network, |other| other.address == address);
            } else if held.len() >= self.limits.per_network {
                open.close_idlest(network, |_| true);
            }
        }
        if open.total >= self.limits.total {
            // The proxies carry the traffic of many clients, so they lose a connection last.
            let largest = (open.networks.iter()).max_by_key(|(network, held)| (network.is_some(), held.len()));
            if let Some(largest) = largest.map(|(network, _)| *network) {
                open.close_idlest(largest, |_| true);
            }
        }
        open.total += 1;
        open.networks.entry(network).or_default().push(connection.clone());
        connection
    }

    pub(super) fn unregister(&self, connection: &Arc<Connection>) {
        self.open.lock().remove(connection);
    }

    /// Advances the clock and closes the connections whose time is up. Never returns.
    pub async fn sweep_every_second(self: Arc<Self>) {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        loop {
            interval.tick().await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let now = self.tick.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let mut open = self.open.lock();
        let mut expired = Vec::new();
        let mut blocked = Vec::new();
        for connection in open.networks.values().flatten() {
            let deadline = connection.write_deadline.load(Ordering::Relaxed);
            let idle = now.saturating_sub(connection.last_write.load(Ordering::Relaxed));
            if (deadline != 0 && deadline <= now) || idle > self.limits.idle_seconds {
                expired.push(connection.clone());
            } else if deadline != 0 {
                blocked.push((Reverse(connection.network.is_some()), deadline, connection.clone()));
            }
        }
        let excess = blocked.len().saturating_sub(MAX_BLOCKED);
        blocked.sort_by_key(|(is_stranger, deadline, _)| (*is_stranger, *deadline));
        expired.extend(blocked.into_iter().take(excess).map(|(.., connection)| connection));
        for connection in expired {
            open.remove(&connection);
            connection.close();
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.open.lock().total
    }
}

impl Open {
    fn close_idlest(&mut self, network: Option<IpAddr>, is_candidate: impl Fn(&Connection) -> bool) {
        let held = self.networks.get(&network).map_or(&[][..], Vec::as_slice);
        let idlest =
            held.iter().filter(|connection| is_candidate(connection)).min_by_key(|connection| connection.rank());
        if let Some(idlest) = idlest.cloned() {
            self.remove(&idlest);
            idlest.close();
        }
    }

    fn remove(&mut self, connection: &Arc<Connection>) {
        let Some(held) = self.networks.get_mut(&connection.network) else { return };
        let Some(at) = held.iter().position(|other| Arc::ptr_eq(other, connection)) else { return };
        // Keeps the order of arrival: of equally idle connections, the oldest is closed.
        held.remove(at);
        self.total -= 1;
        if held.is_empty() {
            self.networks.remove(&connection.network);
        }
    }
}

/// The two blocks that an address is counted in: itself and its /24, or its /64 and its /48.
fn blocks(address: IpAddr) -> (IpAddr, IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            (address, Ipv4Addr::new(a, b, c, 0).into())
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            (Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into(), Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::choices::ForwardingHeader;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMITS: ConnectionLimits =
        ConnectionLimits { total: 6, per_address: 2, per_network: 4, write_seconds: 3, idle_seconds: 10 };

    fn connections() -> Arc<Connections> {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], ForwardingHeader::Auto);
        Connections::new(LIMITS, proxies)
    }

    fn closed(connection: &Connection) -> bool {
        connection.is_closed.load(Ordering::Acquire)
    }

    fn open(connections: &Connections, addresses: &[&str]) -> Vec<Arc<Connection>> {
        addresses.iter().map(|address| connections.register(address.parse().unwrap())).collect()
    }

    fn left(all: &[Arc<Connection>]) -> Vec<bool> {
        all.iter().map(|connection| !closed(connection)).collect()
    }

    #[test]
    fn address_over_its_limit_loses_its_idlest() {
        let connections = connections();
        let all = open(&connections, &["192.0.2.1", "192.0.2.1"]);
        all[0].last_write.store(9, Ordering::Relaxed);
        let more = open(&connections, &["192.0.2.1", "::ffff:192.0.2.9"]);
        assert_eq!((left(&all), left(&more)), (vec![true, false], vec![true, true]));
        let v6 = open(&connections, &["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(left(&v6), [false, true, true], "one /64 is one address");
    }

    #[test]
    fn network_over_its_limit_loses_its_idlest() {
        let connections = connections();
        let all = open(&connections, &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]);
        assert_eq!(left(&all), [false, true, true, true, true]);
        assert_eq!(connections.len(), 4);
    }

    #[test]
    fn client_that_does_not_read_goes_first() {
        let connections = connections();
        let all = open(&connections, &["192.0.2.1", "192.0.2.1"]);
        all[1].last_write.store(9, Ordering::Relaxed);
        all[1].write_deadline.store(20, Ordering::Relaxed);
        open(&connections, &["192.0.2.1"]);
        assert_eq!(left(&all), [true, false]);
    }

    #[test]
    fn largest_holder_pays_at_the_total() {
        let connections = connections();
        let good = open(&connections, &["203.0.113.1"]);
        let proxies = open(&connections, &["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
        let many = open(&connections, &["192.0.2.1", "192.0.2.2"]);
        let late = open(&connections, &["198.51.100.1"]);
        assert_eq!((left(&good), left(&proxies), left(&late)), (vec![true], vec![true; 3], vec![true]));
        assert_eq!(left(&many), [false, true]);
        assert_eq!(connections.len(), LIMITS.total);
    }

    #[test]
    fn idle_connections_are_closed() {
        let connections = connections();
        let all = open(&connections, &["192.0.2.1"]);
        (0..LIMITS.idle_seconds).for_each(|_| connections.sweep());
        assert_eq!(left(&all), [true]);
        connections.sweep();
        assert_eq!(left(&all), [false]);
    }

    #[test]
    fn blocked_connections_have_a_budget() {
        let limits = ConnectionLimits { total: 1000, ..LIMITS };
        let connections = Connections::new(limits, TrustedProxies::default());
        let all: Vec<_> = (0..=u16::try_from(MAX_BLOCKED).unwrap())
            .map(|n| connections.register(Ipv6Addr::new(0x2001, n, 0, 0, 0, 0, 0, 0).into()))
            .collect();
        all.iter().for_each(|connection| connection.write_deadline.store(100, Ordering::Relaxed));
        all[7].write_deadline.store(99, Ordering::Relaxed);
        connections.sweep();
        assert!(closed(&all[7]));
        assert_eq!(connections.len(), MAX_BLOCKED);
    }

    /// A server end and a client end.
    async fn pair(connections: &Arc<Connections>) -> (GuardedStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        (connections.admit(server, peer.ip()), client)
    }

    #[tokio::test]
    async fn client_that_does_not_read_is_cut_off() {
        let connections = connections();
        let (mut server, _client) = pair(&connections).await;
        let writing = tokio::spawn(async move { server.write_all(&vec![0; 32 << 20]).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!writing.is_finished());
        (0..=LIMITS.write_seconds).for_each(|_| connections.sweep());
        let result = tokio::time::timeout(Duration::from_secs(5), writing).await.unwrap().unwrap();
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(connections.len(), 0);
    }

    #[tokio::test]
    async fn client_that_reads_slowly_is_served() {
        let connections = connections();
        let (mut server, mut client) = pair(&connections).await;
        let writing = tokio::spawn(async move {
            server.write_all(&vec![0; 8 << 20]).await?;
            server.flush().await
        });
        let mut left = 8 << 20;
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            connections.sweep();
            left -= client.read(&mut buffer).await.unwrap();
            if left == 0 {
                break;
            }
        }
        assert_eq!(left, 0);
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn idle_read_ends_when_the_connection_is_closed() {
        let connections = connections();
        let (mut server, _client) = pair(&connections).await;
        let reading = tokio::spawn(async move { server.read_u8().await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        (0..=LIMITS.idle_seconds).for_each(|_| connections.sweep());
        let result = tokio::time::timeout(Duration::from_secs(5), reading).await.unwrap().unwrap();
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    }
}
