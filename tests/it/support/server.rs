//! The real program: a folder, settings, and a server that stops with the test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Answer, Request};
use crate::support::postgres::Database;
use crate::support::{eventually, jwt};

/// A folder and an isolated environment for the program.
pub struct Place {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    /// Set if the store is not in the folder.
    _store: Option<Database>,
}

/// Result of a command.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An API key and its secret.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub text: String,
}

impl Key {
    /// Returns the last part of the secret.
    pub fn secret(&self) -> &str {
        self.text.rsplit('_').next().unwrap()
    }
}

/// Output of `keyturn init --json`.
pub struct BootstrappedOrganization {
    pub issuer: String,
    pub email: String,
    pub password: String,
    pub key: Key,
}

impl Place {
    /// Creates a place with a store of the kind in `KEYTURN_TEST_STORE`: `sqlite` or `postgres`.
    pub fn new() -> Self {
        let place = Self::on_sqlite();
        match std::env::var("KEYTURN_TEST_STORE").as_deref() {
            Ok("postgres") => {
                let database = Database::create();
                let url = database.url();
                Self { _store: Some(database), ..place }.set("KEYTURN_STORE__URL", url)
            }
            Ok("sqlite" | "") | Err(_) => place,
            Ok(other) => panic!("KEYTURN_TEST_STORE is {other:?}, not sqlite or postgres"),
        }
    }

    /// Creates a place with a SQLite file in the folder, for tests that read it.
    pub fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = Self::variables(folder.path());
        Self { folder, environment, _store: None }
    }

    fn variables(folder: &Path) -> BTreeMap<String, String> {
        let environment = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("KEYTURN_SERVER__LISTEN", "127.0.0.1:0".into()),
            ("KEYTURN_SERVER__WORKERS", "2".into()),
            ("KEYTURN_STORE__URL", format!("sqlite://{}", folder.join("data/keyturn.db").display())),
            ("KEYTURN_SECRETS__MASTER_KEY_FILE", folder.join("data/master.key").display().to_string()),
            ("KEYTURN_ARGON2__MEMORY_KIB", "8192".into()),
            ("KEYTURN_ARGON2__ITERATIONS", "1".into()),
            ("KEYTURN_LIMITS__CHANGES_PER_MINUTE", "0".into()),
        ];
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.into(), value.to_string());
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.path("data/keyturn.db")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_keyturn"), arguments)
    }

    /// Prepares another program in the same environment.
    pub fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command and waits for it.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments))
    }

    /// Runs `keyturn init --json` with more arguments.
    #[track_caller]
    pub fn init(&self, arguments: &[&str]) -> BootstrappedOrganization {
        let ended = self.run(&[&["init", "--json"], arguments].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        let value: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        BootstrappedOrganization {
            issuer: text(&value["issuer"]),
            email: text(&value["console"]["email"]),
            password: text(&value["console"]["password"]),
            key: Key { id: text(&value["api_key"]["client_id"]), text: text(&value["api_key"]["client_secret"]) },
        }
    }

    /// Bootstraps the default organization and starts a server.
    #[track_caller]
    pub fn start(self) -> Server {
        let key = if self.is_like_template() { self.copy_template() } else { self.init(&[]).key };
        self.serve(key)
    }

    /// Whether `keyturn init` would do the same here as in a new [`Place::on_sqlite`].
    fn is_like_template(&self) -> bool {
        let is_read_by_init = |name: &str| {
            let prefixes = [
                "KEYTURN_CONFIG",
                "KEYTURN_STORE__",
                "KEYTURN_SECRETS__",
                "KEYTURN_ARGON2__",
                "KEYTURN_TOKEN__ALGORITHM",
            ];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        let (own, usual) = (self.environment.clone(), Self::variables(self.folder.path()));
        let [own, usual] = [own, usual].map(|all| all.into_iter().filter(|(name, _)| is_read_by_init(name)));
        fs::read_dir(&self.folder).unwrap().next().is_none() && own.eq(usual)
    }

    /// Writes the database and the master key of the template, which takes a fraction of the time of `keyturn init`.
    fn copy_template(&self) -> Key {
        let template = Template::get();
        fs::create_dir(self.path("data")).unwrap();
        fs::set_permissions(self.path("data"), template.folder.clone()).unwrap();
        for (name, content, permissions) in &template.files {
            let path = self.path("data").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, permissions.clone()).unwrap();
        }
        template.key.clone()
    }

    /// Like [`Place::start`], for a server that trusts the client as a proxy: requests set their address.
    #[track_caller]
    pub fn start_behind_proxy(self) -> Server {
        let mut server = self.start();
        server.forwarded_for = Some("198.51.100.77");
        server
    }

    /// Starts a server on an existing store with a command that the caller prepared, including standard error.
    #[track_caller]
    pub fn serve_with(self, key: Key, mut command: Command) -> Server {
        let out = self.path("stdout.log");
        let stdout = File::options().create(true).append(true).open(&out).unwrap();
        let before = fs::metadata(&out).unwrap().len() as usize;
        let mut child = command.stdout(stdout).spawn().unwrap();
        let public_url = eventually("the line that says what is served", || {
            assert!(child.try_wait().unwrap().is_none(), "the server ended");
            let text = fs::read_to_string(&out).unwrap();
            Some(text[before..].lines().find_map(|line| line.strip_prefix("Keyturn serves "))?.to_owned())
        });
        let address = public_url.strip_prefix("http://").unwrap().parse().unwrap();
        let server = Server { place: Some(self), child: Some(child), address, public_url, key, forwarded_for: None };
        eventually("readiness", || (server.get("/readyz").try_send().ok()?.status == 200).then_some(()));
        server
    }

    /// Starts a server on an existing store.
    #[track_caller]
    pub fn serve(self, key: Key) -> Server {
        let (out, err) = (self.path("stdout.log"), self.path("stderr.log"));
        let open = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len() as usize);
        let (before, log_before) = (length(&out), length(&err));
        let mut child = self.command(&["serve"]).stdout(open(&out)).stderr(open(&err)).spawn().unwrap();
        let public_url = eventually("the line that says what is served", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended: {status}: {}", fs::read_to_string(&err).unwrap());
            }
            let text = fs::read_to_string(&out).unwrap();
            let line = text[before..].lines().find_map(|line| line.strip_prefix("Keyturn serves "))?;
            text[before..].contains('\n').then(|| line.to_owned())
        });
        // The port that the system assigned, from the log, which is independent of the public URL.
        let address = eventually("the address that is listened on", || {
            let log = fs::read_to_string(&err).unwrap();
            let listen = ["listen=", "\"listen\":\""].iter().find_map(|name| log[log_before..].split_once(name));
            let address = listen.and_then(|(_, rest)| rest.split([' ', '"']).next()?.parse::<SocketAddr>().ok());
            address.or_else(|| public_url.strip_prefix("http://")?.parse().ok())
        });
        let server = Server { place: Some(self), child: Some(child), address, public_url, key, forwarded_for: None };
        eventually("readiness", || (server.get("/readyz").try_send().ok()?.status == 200).then_some(()));
        server
    }
}

/// The files that `keyturn init` creates in a [`Place::on_sqlite`], once for all tests of the process.
struct Template {
    folder: Permissions,
    files: Vec<(OsString, Vec<u8>, Permissions)>,
    key: Key,
}

impl Template {
    fn get() -> &'static Self {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(|| {
            let place = Place::on_sqlite();
            let key = place.init(&[]).key;
            let read = |entry: fs::DirEntry| {
                let permissions = entry.metadata().unwrap().permissions();
                (entry.file_name(), fs::read(entry.path()).unwrap(), permissions)
            };
            let data = place.path("data");
            Self {
                folder: fs::metadata(&data).unwrap().permissions(),
                files: fs::read_dir(data).unwrap().map(|entry| read(entry.unwrap())).collect(),
                key,
            }
        })
    }
}

impl Ended {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code and that there is one error line, and returns the line.
    #[track_caller]
    pub fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("keyturn: ") && self.stdout.is_empty(), "{} {}", self.stdout, self.stderr);
        self.stderr.trim_end()
    }
}

/// A running server; killed when it is dropped.
pub struct Server {
    place: Option<Place>,
    child: Option<Child>,
    pub address: SocketAddr,
    pub public_url: String,
    /// The first key, with all permissions.
    pub key: Key,
    /// Value of `X-Forwarded-For` in requests to the management API.
    pub forwarded_for: Option<&'static str>,
}

impl Deref for Server {
    type Target = Place;

    fn deref(&self) -> &Place {
        self.place.as_ref().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Server {
    /// Starts a server with the default organization and default settings.
    #[track_caller]
    pub fn start() -> Self {
        Place::new().start()
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    /// Creates an empty request to the token endpoint.
    pub fn token_request(&self) -> Request {
        self.request("POST", "/oauth/token")
    }

    /// Exchanges a secret in the body, with more parameters.
    pub fn exchange(&self, text: &str, more: &[(&str, &str)]) -> Answer {
        let pairs = [&[("grant_type", "client_credentials"), ("client_secret", text)], more].concat();
        self.token_request().form(&pairs).send()
    }

    /// Returns the access token of an exchange that must succeed.
    #[track_caller]
    pub fn token(&self, key: &Key, more: &[(&str, &str)]) -> String {
        self.exchange(&key.text, more).expect(200)["access_token"].as_str().unwrap().to_owned()
    }

    /// Returns the claims of a token, verified with the published keys of the default issuer.
    #[track_caller]
    pub fn claims(&self, token: &str) -> Value {
        jwt::verify(token, &self.get("/.well-known/jwks.json").send().expect(200)).1
    }

    /// Returns the identity of a credential.
    pub fn me(&self, credential: &str) -> Answer {
        self.get("/api/v1/me").bearer(credential).send()
    }

    /// Creates a request to the default organization's management API with the first key.
    pub fn api(&self, method: &str, rest: &str) -> Request {
        self.api_as(&self.key.text, method, rest)
    }

    /// Creates a request to the default organization's management API.
    pub fn api_as(&self, credential: &str, method: &str, rest: &str) -> Request {
        let request = self.request(method, &format!("/api/v1/organizations/default/{rest}")).bearer(credential);
        match self.forwarded_for {
            Some(address) => request.header("X-Forwarded-For", address),
            None => request,
        }
    }

    /// Changes a key; must succeed.
    #[track_caller]
    pub fn change(&self, method: &str, rest: &str, body: &Value) -> Value {
        self.api(method, &format!("keys/{rest}")).json(body).send().expect(200)
    }

    /// Creates a key with `read:*` and the given fields.
    #[track_caller]
    pub fn make(&self, more: &Value) -> Key {
        let mut body = json!({ "name": "a key", "scopes": [{ "action": "read", "resource": "*" }] });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.api("POST", "keys").json(&body).send().expect(201);
        Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() }
    }

    /// Creates a key with these scopes, separated by spaces.
    #[track_caller]
    pub fn make_with(&self, scopes: &str) -> Key {
        self.make(&json!({ "scopes": scopes.split(' ').collect::<Vec<_>>() }))
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr.log")).unwrap()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.path("stdout.log")).unwrap()
    }

    /// The process ID.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, by its name without `SIG`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the process.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        eventually("the end of the server", || child.try_wait().unwrap())
    }

    /// Stops the server in order and returns its place.
    #[track_caller]
    pub fn stop(mut self) -> Place {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.stderr());
        self.place.take().unwrap()
    }

    /// Kills the server and returns its place.
    pub fn kill(mut self) -> Place {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.place.take().unwrap()
    }
}

/// Returns a unique word that is valid as a slug.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("unique-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Adds a viewer and returns their ID.
#[track_caller]
pub fn new_member(server: &Server) -> String {
    let body = json!({ "email": format!("{}@example.org", unique()), "role": "viewer" });
    server.api("POST", "members").json(&body).send().expect(201)["id"].as_str().unwrap().to_owned()
}

/// Returns scopes in the API's object form.
pub fn scope_list(text: &str) -> Value {
    let scope = |scope: &str| {
        let (action, resource) = scope.split_once(':').unwrap();
        json!({ "action": action, "resource": resource })
    };
    text.split(' ').map(scope).collect()
}
