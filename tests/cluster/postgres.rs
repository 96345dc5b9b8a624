//! A PostgreSQL server: creating, starting, stopping, breaking, and checking that it responds.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{Process, Wrapper, find, free_port, run};

const MISSING: &str = "PostgreSQL is missing: apt-get install postgresql (or what your system calls it); \
    its folder of programs may also be in PATH";

pub struct Postgres {
    pub port: u16,
    programs: PathBuf,
    folder: PathBuf,
    wrapper: Wrapper,
    process: Option<Process>,
}

impl Postgres {
    /// Creates a database in this folder and starts it.
    pub async fn start(folder: &Path) -> Result<Self, String> {
        let initdb = find("initdb", &installed()).ok_or(MISSING)?;
        // The program in PATH may be a link; the other programs are in the folder of its target.
        let initdb = initdb.canonicalize().map_err(|error| format!("{}: {error}", initdb.display()))?;
        // PostgreSQL refuses to run as root. On SIGQUIT it stops immediately and removes its shared memory.
        let user = geteuid().is_root().then_some("postgres");
        let wrapper = Wrapper { user, last_resort: Signal::QUIT };
        std::fs::create_dir(folder).map_err(|error| format!("{folder:?}: {error}"))?;
        if let Some(user) = user {
            let mut chown = std::process::Command::new("chown");
            chown.arg(user).arg(folder);
            run(chown)?;
        }
        let data = folder.join("data");
        let mut command = wrapper.command(&initdb);
        command.current_dir(folder).args([
            "-U",
            "keyturn",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        command.arg(&data);
        run(command)?;

        let programs = initdb.parent().unwrap_or(Path::new("/")).to_owned();
        let mut postgres = Self { port: free_port()?, programs, folder: folder.to_owned(), wrapper, process: None };
        postgres.start_again().await?;
        postgres.program("createdb", &["keyturn"])?;
        Ok(postgres)
    }

    /// Returns the URL of the database behind a proxy.
    pub fn url(port: u16) -> String {
        format!("postgres://keyturn@127.0.0.1:{port}/keyturn")
    }

    /// Starts the server on the existing data and waits until it responds.
    ///
    /// Without fsync: only processes are killed, not the machine.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let mut command = self.wrapper.command(&self.programs.join("postgres"));
        command.current_dir(&self.folder).arg("-D").arg(self.folder.join("data"));
        command.args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "max_connections=200",
            "shared_buffers=32MB",
            "log_line_prefix=%m [%p] ",
        ] {
            command.args(["-c", setting]);
        }
        let log = self.folder.with_extension("log");
        let mut process = Process::start("PostgreSQL", &self.wrapper, command, &log)?;
        let begun = Instant::now();
        while !self.answers().await {
            if process.ended().is_some() || begun.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("PostgreSQL did not start:\n{log}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Stops like `pg_ctl stop -m immediate` or `-m fast`.
    pub async fn stop(&mut self, immediate: bool) -> Result<(), String> {
        let process = self.process.take().ok_or("PostgreSQL does not run")?;
        process.end(if immediate { Signal::QUIT } else { Signal::INT }).await.map(drop)
    }

    /// Writes a consistent backup of the database to its folder.
    pub fn back_up(&self) -> Result<(), String> {
        let file = self.folder.join("backup");
        let _ = std::fs::remove_file(&file);
        self.program("pg_dump", &["--format=custom", "--compress=0", "--file", &file.to_string_lossy(), "keyturn"])
            .map(drop)
    }

    /// Replaces the database with the backup.
    pub fn restore(&self) -> Result<(), String> {
        self.program("dropdb", &["--force", "keyturn"])?;
        self.program("createdb", &["keyturn"])?;
        let file = self.folder.join("backup");
        self.program("pg_restore", &["--exit-on-error", "--dbname=keyturn", &file.to_string_lossy()]).map(drop)
    }

    /// Runs SQL and returns what it prints.
    pub fn sql(&self, sql: &str) -> Result<String, String> {
        self.program("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, "keyturn"])
    }

    /// Returns the only number of a query's result.
    pub fn number(&self, sql: &str) -> Result<u64, String> {
        let printed = self.sql(sql)?;
        printed.trim().parse().map_err(|_| format!("not a number: {sql}: {printed}"))
    }

    /// Runs one of PostgreSQL's client programs.
    fn program(&self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.wrapper.command(&self.programs.join(name));
        command.current_dir(&self.folder).args(["-h", "127.0.0.1", "-U", "keyturn", "-p", &self.port.to_string()]);
        command.args(arguments);
        run(command)
    }

    /// Whether it accepts a session.
    pub async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            let parameters = b"user\0keyturn\0database\0postgres\0\0";
            let mut message = (8 + parameters.len() as u32).to_be_bytes().to_vec();
            message.extend(196_608_u32.to_be_bytes());
            message.extend(parameters);
            stream.write_all(&message).await?;
            let kind = stream.read_u8().await?;
            stream.write_all(b"X\0\0\0\x04").await?;
            Ok::<_, std::io::Error>(kind == b'R')
        };
        timeout(Duration::from_secs(2), ask).await.is_ok_and(|answer| answer.unwrap_or(false))
    }
}

/// Folders in which distributions install PostgreSQL's programs, newest first.
fn installed() -> Vec<PathBuf> {
    let version = |path: &PathBuf| path.to_string_lossy().split('/').rev().find_map(|part| part.parse::<u32>().ok());
    let entries = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort_by_key(|path| std::cmp::Reverse(version(path)));
    folders
}
