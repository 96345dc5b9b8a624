//! Redis servers that are stopped with their test.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::support::eventually;

/// A server without persistence; killed when it is dropped.
pub struct Redis {
    child: Option<Child>,
    folder: TempDir,
    arguments: Vec<String>,
    pub port: u16,
}

impl Redis {
    #[track_caller]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more arguments; it keeps its port when it is started again.
    #[track_caller]
    pub fn with(arguments: &[&str]) -> Self {
        let mut redis = Self::prepared(arguments);
        redis.run();
        redis
    }

    /// Prepares a server without starting it.
    pub fn prepared(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { child: None, folder: tempfile::tempdir().unwrap(), arguments, port: free_port() }
    }

    /// Starts it empty.
    #[track_caller]
    pub fn run(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("redis-server");
        // A Sentinel requires its file.
        let (file, rest): (Vec<_>, Vec<_>) = self.arguments.iter().partition(|argument| argument.ends_with(".conf"));
        command.args(file).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"]);
        command.arg(self.folder.path());
        if !rest.iter().any(|argument| *argument == "--sentinel") {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command.args(rest).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().expect("redis-server");
        eventually("Redis", || {
            assert!(child.try_wait().unwrap().is_none(), "Redis ended: {}", self.log());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.child = Some(child);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Runs a command and returns its output.
    #[track_caller]
    pub fn ask(&self, command: &[&str]) -> String {
        self.ask_with(&[], command)
    }

    /// Same, with options of `redis-cli`.
    #[track_caller]
    pub fn ask_with(&self, options: &[&str], command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(options).args(command);
        let done = cli.stdin(Stdio::null()).output().expect("redis-cli");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Returns its keys, sorted.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["--raw", "KEYS", pattern]).lines().map(str::to_owned).collect();
        keys.retain(|key| !key.is_empty());
        keys.sort_unstable();
        keys
    }

    /// Sends a signal such as `STOP` or `CONT`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Subscribes to a channel.
    #[track_caller]
    pub fn listen(&self, channel: &str) -> Listening {
        let path = self.folder.path().join(format!("heard-{}", free_port()));
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "SUBSCRIBE", channel]);
        let child = cli.stdin(Stdio::null()).stdout(File::create(&path).unwrap()).spawn().expect("redis-cli");
        let listening = Listening { child, path };
        eventually("the subscription", || listening.text().contains("subscribe").then_some(()));
        listening
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A subscriber of a channel.
pub struct Listening {
    child: Child,
    path: PathBuf,
}

impl Listening {
    /// Returns the received messages.
    pub fn messages(&self) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let heard = lines.chunks(3).filter(|chunk| chunk.first().is_some_and(|kind| kind.ends_with("message")));
        heard.filter_map(|chunk| chunk.get(2).map(|text| text.trim_matches('"').to_owned())).collect()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a free port below the ephemeral range, so that it is still free when a server is started again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + ((std::process::id() * 131) as u16).wrapping_add(step) % 11_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
