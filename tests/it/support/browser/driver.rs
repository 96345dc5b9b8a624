//! chromedriver, shared by all browsers of the process, and the W3C WebDriver protocol over the tests' own client.
//!
//! Nothing is left behind: chromedriver stops with the last browser. If the test process is killed, the pipe to the
//! shell around chromedriver closes, and the shell stops chromedriver and removes the folder. Chromium is connected to
//! chromedriver by a pipe and stops with it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::Request;
use crate::support::eventually;

/// The JSON key of an element's ID (W3C WebDriver, section 11).
pub const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const INSTALL: &str = "scripts/tools installs Chromium and chromedriver";

/// Chromedriver runs in a process group of its own, together with Chromium.
const AROUND: &str = r#"
set -m
"$1" --port=0 --log-level=SEVERE >"$2/driver.log" 2>&1 &
read -r _
kill -KILL -- "-$!"
until rm -rf "$2"; do sleep 0.02; done
"#;

/// A WebDriver error.
#[derive(Debug)]
pub struct Refusal {
    pub error: String,
    pub message: String,
}

/// A running chromedriver.
pub struct Driver {
    shell: Child,
    folder: Option<TempDir>,
    address: SocketAddr,
}

/// A browser session.
pub struct Session {
    driver: Arc<Driver>,
    path: String,
}

impl Driver {
    /// Returns the running chromedriver, or starts one.
    #[track_caller]
    fn running() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Driver>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let driver = Arc::new(Self::start());
            *running = Arc::downgrade(&driver);
            driver
        })
    }

    #[track_caller]
    fn start() -> Self {
        let program = std::env::var_os("KEYTURN_TEST_CHROMEDRIVER").map(PathBuf::from);
        let program =
            program.or_else(|| find(&["chromedriver"])).unwrap_or_else(|| panic!("no chromedriver: {INSTALL}"));
        let folder = tempfile::Builder::new().prefix("keyturn-browser.").tempdir().unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-c", AROUND, "chromedriver"]).arg(program).arg(folder.path());
        // Chromium's temporary files go into the folder too.
        shell.env("TMPDIR", folder.path()).env("HOME", folder.path());
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY"] {
            shell.env_remove(name);
        }
        let errors = File::create(folder.path().join("shell.log")).unwrap();
        let mut shell =
            shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors).process_group(0).spawn().unwrap();
        let log = folder.path().join("driver.log");
        let port = eventually("chromedriver", || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(shell.try_wait().unwrap().is_none(), "chromedriver ended; {INSTALL}: {text}");
            let (_, rest) = text.split_once("started successfully on port ")?;
            rest.split_once('.')?.0.parse::<u16>().ok()
        });
        Self { shell, folder: Some(folder), address: ([127, 0, 0, 1], port).into() }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refusal> {
        let request = Request::new(self.address, method, path);
        let request = if method == "POST" { request.json(body) } else { request };
        let answer = self.send(&request.bytes());
        let mut answer = answer.map_err(|error| Refusal { error: "broken".into(), message: error.to_string() })?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => {
                let message = value["message"].as_str().unwrap_or_default();
                Err(Refusal { error: error.into(), message: message.lines().next().unwrap_or_default().into() })
            }
            None => Ok(value),
        }
    }
}

impl Driver {
    /// Chromedriver keeps the connection open although it was asked to close it, so the response is read up to its
    /// length.
    fn send(&self, request: &[u8]) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        stream.write_all(request)?;
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        serde_json::from_slice(&body).map_err(std::io::Error::other)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        if let Some(folder) = self.folder.take() {
            let _ = folder.close();
        }
    }
}

impl Session {
    /// Starts a browser with a profile of its own.
    #[track_caller]
    pub fn start() -> Self {
        let driver = Driver::running();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-pipe",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-default-browser-check",
            "--no-proxy-server",
            "--force-color-profile=srgb",
            "--font-render-hinting=none",
            "--hide-scrollbars",
            // As for most people: a site in a frame has no cookies but partitioned ones.
            "--test-third-party-cookie-phaseout",
            "--lang=en-US",
            "--window-size=1280,900",
        ];
        let binary = std::env::var_os("KEYTURN_TEST_CHROMIUM").map(PathBuf::from);
        let names =
            ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        let binary = binary.or_else(|| find(&names)).unwrap_or_else(|| panic!("no Chromium: {INSTALL}"));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments, "binary": binary },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 25_000, "script": 60_000 },
            "unhandledPromptBehavior": "ignore",
        } } });
        let started = driver.call("POST", "/session", &capabilities);
        let started =
            started.unwrap_or_else(|refusal| panic!("{} does not start: {refusal:?}; {INSTALL}", binary.display()));
        let path = format!("/session/{}", started["sessionId"].as_str().unwrap());
        Self { driver, path }
    }

    pub fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.driver.call("GET", &format!("{}{path}", self.path), &Value::Null)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.driver.call("POST", &format!("{}{path}", self.path), body)
    }

    /// A command of the Chrome DevTools Protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Result<Value, Refusal> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Runs the body of a function in the page and awaits a promise. Works even if the page itself may run no scripts.
    pub fn script(&self, body: &str, arguments: &[Value]) -> Result<Value, Refusal> {
        self.post("/execute/sync", &json!({ "script": body, "args": arguments }))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.driver.call("DELETE", &self.path, &Value::Null);
    }
}

/// Returns the first of these programs in the search path.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}
