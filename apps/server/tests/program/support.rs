//! The program as a process of a test: started on free ports in a folder of its
//! own, known by what it logs, and gone when the test is.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use ruggine_core::ConversationId;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{HttpClient, Person, SocketClient, patiently};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A master key that protects something.
pub(crate) const KEY: &str = "7f3a91d2c4b5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819a0b1c2d3e4f5";
/// Another.
pub(crate) const OTHER_KEY: &str =
    "d1c2b3a4958677685948392a1b0c1d2e3f405162738495a6b7c8d9eafb0c1d2e";

/// How the program is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    folder: PathBuf,
    flags: Vec<(String, Option<String>)>,
    environment: Vec<(OsString, OsString)>,
}

impl Setup {
    /// In this folder, with an empty environment and nothing set but the ports,
    /// which are free ones.
    pub(crate) fn in_folder(folder: impl AsRef<Path>) -> Self {
        Self::without_ports(folder)
            .flag("--port", "0")
            .flag("--websocket-port", "0")
            .flag("--admin-addr", "127.0.0.1:0")
    }

    /// In this folder, with nothing at all set: not to be started on a machine
    /// whose ports may be in use.
    pub(crate) fn without_ports(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_path_buf(),
            flags: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// With this flag, instead of the same one said before.
    pub(crate) fn flag(mut self, name: &str, value: impl Display) -> Self {
        self.flags.retain(|(known, _)| known != name);
        self.flags.push((name.to_owned(), Some(value.to_string())));
        self
    }

    /// With this flag, which takes no value.
    pub(crate) fn bare_flag(mut self, name: &str) -> Self {
        self.flags.push((name.to_owned(), None));
        self
    }

    /// With this variable in the environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Begins to run it.
    pub(crate) fn spawn(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ruggine-server"));
        command
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in &self.flags {
            command.arg(name).args(value);
        }
        let mut child = command.spawn().expect("the program can be run");
        let (stdout, output) = follow(child.stdout.take().expect("standard output is a pipe"));
        let (stderr, errors) = follow(child.stderr.take().expect("standard error is a pipe"));
        Process {
            child,
            output,
            errors,
            readers: [stdout, stderr],
        }
    }

    /// Runs it until it serves.
    pub(crate) async fn start(&self) -> Process {
        let mut process = self.spawn();
        process.line("ready").await;
        process
    }

    /// Runs it to its end, which is expected to come by itself.
    pub(crate) async fn run(&self) -> Ended {
        self.spawn().ended().await
    }
}

/// Collects the lines of a pipe until it is closed.
fn follow(
    pipe: impl AsyncRead + Unpin + Send + 'static,
) -> (JoinHandle<()>, watch::Receiver<Vec<String>>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let reader = tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|known| known.push(line));
        }
    });
    (reader, receiver)
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: watch::Receiver<Vec<String>>,
    errors: watch::Receiver<Vec<String>>,
    readers: [JoinHandle<()>; 2],
}

/// The program when it has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code, where no signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Everything that it wrote.
    pub(crate) fn everything(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Process {
    /// Waits for the first log line with this message and returns it.
    pub(crate) async fn line(&mut self, message: &str) -> Value {
        let what = format!("the log line {message:?}");
        let found = patiently(
            &what,
            self.output.wait_for(|lines| find(lines, message).is_some()),
        )
        .await
        .map(|lines| find(&lines, message));
        match found {
            Ok(Some(line)) => line,
            _ => panic!(
                "the program ended before {what}: {:?} {:?}",
                *self.output.borrow(),
                *self.errors.borrow()
            ),
        }
    }

    /// Where the API is served.
    pub(crate) fn api(&self) -> SocketAddr {
        self.address("API and WebSocket")
    }

    /// Where the WebSocket alone is served.
    pub(crate) fn websocket(&self) -> SocketAddr {
        self.address("WebSocket")
    }

    /// Where operators look.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("metrics")
    }

    /// The address in the URL of the line with this message.
    fn address(&self, message: &str) -> SocketAddr {
        let url = self.url(message);
        let (_, rest) = url.split_once("://").expect("a URL has a scheme");
        let authority = rest.split('/').next().expect("a URL has an authority");
        authority.parse().expect("the log tells an address")
    }

    /// The URL in the line with this message.
    pub(crate) fn url(&self, message: &str) -> String {
        let line = find(&self.output.borrow(), message);
        let line = line.unwrap_or_else(|| panic!("nothing was logged about {message:?}"));
        line["url"].as_str().expect("the line has a URL").to_owned()
    }

    /// A client that has not logged in.
    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::new(self.api())
    }

    /// A client of this person.
    pub(crate) fn http_of(&self, person: &Person) -> HttpClient {
        self.http().with_token(person.token())
    }

    /// Makes an account.
    pub(crate) async fn register(&self, username: &str) -> Person {
        let login = self.http().call(Person::registration(username)).await;
        Person {
            login: login.expect("the username is free"),
        }
    }

    /// Logs somebody in on a further device.
    pub(crate) async fn another_device(&self, person: &Person) -> Person {
        let login = self.http().call(person.new_login()).await;
        Person {
            login: login.expect("the password is right"),
        }
    }

    /// A live connection that has said hello.
    pub(crate) async fn socket(&self, person: &Person, encoding: Encoding) -> SocketClient {
        let mut socket = SocketClient::connect(self.api(), encoding).await;
        let hello = socket.hello(person.token()).await;
        hello.expect("the token is valid");
        socket
    }

    /// Makes a managed group.
    pub(crate) async fn group(&self, owner: &Person, others: &[&Person]) -> ConversationId {
        let create = Create {
            kind: ConversationKind::Group,
            mode: ProtectionMode::Managed,
            members: others.iter().map(|person| person.user()).collect(),
            id: None,
        };
        let created = self.http_of(owner).call(create).await;
        created.expect("a group can be made").id
    }

    /// What is served to operators.
    pub(crate) async fn metrics(&self) -> Metrics {
        let answer = HttpClient::new(self.admin()).get("/metrics").await;
        assert_eq!(answer.status, 200);
        Metrics(String::from_utf8(answer.body.to_vec()).expect("metrics are text"))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("the program runs")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("a process id is small");
        let id = Pid::from_raw(id).expect("a process id is positive");
        kill_process(id, signal).expect("the program runs");
    }

    /// Waits for its end, which something has brought about.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = patiently("the end of the program", self.child.wait()).await;
        for reader in self.readers {
            let read = patiently("the end of its output", reader).await;
            read.expect("its output can be read");
        }
        let text = |lines: &watch::Receiver<Vec<String>>| lines.borrow().join("\n");
        Ended {
            status: status.expect("the program can be waited for"),
            stdout: text(&self.output),
            stderr: text(&self.errors),
        }
    }

    /// Ends it without a warning, as a power cut would.
    pub(crate) async fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }
}

fn find(lines: &[String], message: &str) -> Option<Value> {
    lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["message"] == message)
}

/// Figures in the Prometheus text format.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of the sample with this name and these labels.
    pub(crate) fn value(&self, sample: &str) -> Option<f64> {
        self.0.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == sample).then(|| value.parse().expect("a sample is a number"))
        })
    }
}

/// Tells a figure to whoever runs the tests without capturing their output.
pub(crate) fn tell(figure: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{figure}");
}

/// A folder of a test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}
