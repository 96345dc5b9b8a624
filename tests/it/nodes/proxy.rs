//! The proxy of `docs/cluster/haproxy.cfg` in front of nodes whose database fails.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::nodes::place_at;
use crate::nodes::wire::Wire;
use crate::support::postgres::Database;
use crate::support::{Answer, Request, Server, eventually};

/// HAProxy with the shipped configuration, except for addresses; stopped when it is dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Proxy {
    #[track_caller]
    fn start(nodes: [&Server; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut shipped = fs::read_to_string("docs/cluster/haproxy.cfg").unwrap();
        for (from, to, count) in [
            ("bind :8080", format!("bind {address}"), 1),
            ("node-1:8080", nodes[0].address.to_string(), 2),
            ("node-2:8080", nodes[1].address.to_string(), 2),
        ] {
            assert_eq!(shipped.matches(from).count(), count, "{from}");
            shipped = shipped.replace(from, &to);
        }
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, shipped).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        // On Debian the program is in a folder for root only.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("haproxy");
        command.env("PATH", path).args(["-db", "-f"]).arg(&file).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut proxy = Self { child: command.spawn().expect("haproxy"), address, folder };
        eventually("haproxy", || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "{}", proxy.log());
            TcpStream::connect(address).ok()
        });
        proxy
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        Request::new(self.address, "GET", path).send()
    }

    fn exchange(&self, server: &Server) -> Answer {
        let form = [("grant_type", "client_credentials"), ("client_secret", server.key.text.as_str())];
        Request::new(self.address, "POST", "/oauth/token").form(&form).send()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn documents_stay_available_without_the_database() {
    let database = Database::create();
    let wire = Wire::to(Database::port());
    let at = |port| place_at(&database.url_at(port)).set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let a = at(wire.port).start();
    let b = at(wire.port).serve(a.key.clone());
    let proxy = Proxy::start([&a, &b]);
    eventually("a token through the proxy", || (proxy.exchange(&a).status == 200).then_some(()));
    let jwks = proxy.get("/.well-known/jwks.json").expect(200);
    let pem = format!("/.well-known/jwks/{}.pem", jwks["keys"][0]["kid"].as_str().unwrap());
    let documents = [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        &pem,
    ];
    let before = documents.map(|path| proxy.get(path).text());

    // The database is stopped: connections are closed, and new ones rejected.
    let port = wire.port;
    drop(wire);
    let refused = eventually("the proxy to see that no node can decide", || {
        Some(proxy.exchange(&a))
            .filter(|answer| answer.header("server").is_none() && answer.status == 503)
            .filter(|_| [&a, &b].iter().all(|node| node.get("/readyz").send().status == 503))
    });
    assert_eq!((refused.json()["code"].as_str(), refused.header("retry-after")), (Some("UNAVAILABLE"), Some("1")));
    assert_eq!(refused.header("content-type").map(|value| value.starts_with("application/json")), Some(true));
    // Longer than the proxy takes to remove a node.
    let begun = Instant::now();
    let mut is_given_up = false;
    while begun.elapsed() < Duration::from_secs(3) || !is_given_up {
        for (path, before) in documents.iter().zip(&before) {
            let answer = proxy.get(path);
            assert_eq!((answer.status, &answer.text()), (200, before), "{path}");
        }
        is_given_up |= proxy.exchange(&a).json()["error_description"] == json!("no node can decide; try again");
        assert!(begun.elapsed() < Duration::from_secs(20), "the proxy goes on asking nodes that are not ready");
        std::thread::sleep(Duration::from_millis(100));
    }

    let _wire = Wire::from(port, Database::port());
    eventually("a token once the database is back", || (proxy.exchange(&a).status == 200).then_some(()));
}
