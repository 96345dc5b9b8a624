//! A Redis server: starting, stopping, killing, emptying, restoring an old file, and queries.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{Process, Wrapper, find, free_port};

const MISSING: &str = "Redis is missing: apt-get install redis-server (or what your system calls it)";

pub struct Redis {
    pub port: u16,
    program: PathBuf,
    folder: PathBuf,
    process: Option<Process>,
}

impl Redis {
    pub async fn start(folder: &Path) -> Result<Self, String> {
        let program = find("redis-server", &[]).or_else(|| find("valkey-server", &[])).ok_or(MISSING)?;
        fs::create_dir(folder).map_err(|error| format!("{folder:?}: {error}"))?;
        let mut redis = Self { port: free_port()?, program, folder: folder.to_owned(), process: None };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts the server with the existing file and waits until it responds. It saves only on request.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let mut command = Wrapper::PLAIN.command(&self.program);
        command.current_dir(&self.folder);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"]);
        let log = self.folder.with_extension("log");
        let mut process = Process::start("Redis", &Wrapper::PLAIN, command, &log)?;
        let begun = Instant::now();
        while !self.answers().await {
            if process.ended().is_some() || begun.elapsed() > Duration::from_secs(20) {
                return Err(format!("Redis did not start:\n{}", fs::read_to_string(&log).unwrap_or_default()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub async fn kill(&mut self) -> Result<(), String> {
        self.process.take().ok_or("Redis does not run")?.end(Signal::KILL).await.map(drop)
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        self.process.as_ref().ok_or("Redis does not run")?.signal(signal)
    }

    /// Saves the file and keeps a copy.
    pub async fn keep_file(&self) -> Result<(), String> {
        self.ask("SAVE").await?;
        fs::copy(self.folder.join("dump.rdb"), self.folder.join("old.rdb"))
            .map(drop)
            .map_err(|error| format!("dump.rdb: {error}"))
    }

    /// Restores the copy for the next start.
    pub fn put_file_back(&self) -> Result<(), String> {
        fs::copy(self.folder.join("old.rdb"), self.folder.join("dump.rdb"))
            .map(drop)
            .map_err(|error| format!("old.rdb: {error}"))
    }

    /// Deletes the file for the next start.
    pub fn remove_file(&self) {
        let _ = fs::remove_file(self.folder.join("dump.rdb"));
    }

    pub async fn answers(&self) -> bool {
        self.ask("PING").await.is_ok_and(|answer| answer == "PONG")
    }

    pub async fn run_id(&self) -> Result<String, String> {
        self.info("run_id").await
    }

    pub async fn keys(&self) -> Result<u64, String> {
        let answer = self.ask("DBSIZE").await?;
        answer.parse().map_err(|_| format!("DBSIZE: {answer}"))
    }

    /// Returns a field of `INFO`.
    pub async fn info(&self, field: &str) -> Result<String, String> {
        let info = self.ask("INFO").await?;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == field).map(|(_, value)| value.to_owned()).ok_or(format!("INFO has no {field}"))
    }

    /// Sends a command and returns its response: a line, a number or a text.
    pub async fn ask(&self, command: &str) -> Result<String, String> {
        let ask = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            let mut stream = BufReader::new(stream);
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim_end().to_owned();
            let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) else {
                return Ok(line);
            };
            let mut text = vec![0; length];
            stream.read_exact(&mut text).await?;
            Ok::<_, std::io::Error>(format!("+{}", String::from_utf8_lossy(&text)))
        };
        let answer =
            timeout(Duration::from_secs(2), ask).await.map_err(|_| format!("Redis: {command}: no answer in 2 s"))?;
        let answer = answer.map_err(|error| format!("Redis: {command}: {error}"))?;
        answer.strip_prefix(['+', ':']).map(str::to_owned).ok_or(format!("Redis: {command}: {answer}"))
    }
}
