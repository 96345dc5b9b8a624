//! Processes that end with the driver in any case, and functions to find programs and ports.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A child process; killed and awaited when it is dropped.
pub struct Process {
    name: String,
    child: Child,
    /// The signal that stops it without leaving anything behind.
    last_resort: Signal,
}

/// The user of a program, and the signal that it gets when the driver ends.
pub struct Wrapper {
    pub user: Option<&'static str>,
    pub last_resort: Signal,
}

impl Wrapper {
    /// The same user; SIGKILL.
    pub const PLAIN: Self = Self { user: None, last_resort: Signal::KILL };

    /// Returns a command that changes the user, requests the signal from the kernel, and then executes the program.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = self.user {
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
        }
        let signal = if self.last_resort == Signal::QUIT { "QUIT" } else { "KILL" };
        command.args(["--pdeathsig", signal, "--"]).arg(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command
    }
}

impl Process {
    /// Starts a command of [`Wrapper::command`]; its output is appended to the log.
    ///
    /// Only from the driver's main thread: the kernel sends the signal when the *thread* that forked ends.
    pub fn start(name: &str, wrapper: &Wrapper, mut command: Command, log: &Path) -> Result<Self, String> {
        let open = || File::options().create(true).append(true).open(log);
        let (out, err) =
            open().and_then(|out| Ok((out.try_clone()?, out))).map_err(|error| format!("{log:?}: {error}"))?;
        let child = command.stdout(out).stderr(err).spawn();
        let child =
            child.map_err(|error| format!("{name} could not be started through setpriv (util-linux): {error}"))?;
        Ok(Self { name: name.into(), child, last_resort: wrapper.last_resort })
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| format!("{}: {signal:?}: {error}", self.name))
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the end; other tasks of the driver continue.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(format!("{} did not end within {limit:?}", self.name))
    }

    /// Sends the signal and waits for the end.
    pub async fn end(mut self, signal: Signal) -> Result<ExitStatus, String> {
        self.signal(signal)?;
        self.wait(Duration::from_secs(40)).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let _ = self.signal(self.last_resort);
        let _ = self.signal(Signal::CONT);
        for _ in 0..300 {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command and returns its output.
pub fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// Finds a program in `PATH` or these folders.
pub fn find(program: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(more.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Returns a free port below the ephemeral range.
pub fn free_port() -> Result<u16, String> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let from = u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    for _ in 0..11_000 {
        let port = 20_000 + (from + NEXT.fetch_add(1, Ordering::Relaxed)) % 11_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port between 20000 and 31000".into())
}
