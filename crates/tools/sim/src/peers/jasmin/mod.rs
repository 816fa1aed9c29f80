//! Jasmin as an SMSC and as an HTTP gateway.
//!
//! Jasmin is a gateway that operators run: an SMPP server and an HTTP interface in front, SMPP clients towards networks behind, RabbitMQ and
//! Redis between them. It comes from PyPI into a folder of its own outside the clone (`cargo xtask interop carrier` installs it), RabbitMQ and
//! Redis from Debian. All of it runs on loopback, on ports and in a folder of the test. Behind it stands [`Network`], a stand-in for the
//! networks with their phones, which writes down what arrives there; the peer that is tested is Jasmin.
//!
//! It is set up by its own console, as an operator would do it, and again after a restart: its accounts and routes are the test's, not what it
//! has kept of them.

mod console;
mod flood;
mod network;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use self::console::Console;
pub use self::flood::flood;
pub use self::network::{Arrival, Network};
use super::process::{Kept, Launch, free_ports};
use super::{PeerError, prepare};

/// What was installed, its own version first.
const REQUIREMENTS: &str = include_str!("../../../peers/jasmin/requirements.txt");
const CONFIGURATION: &str = include_str!("../../../peers/jasmin/jasmin.cfg");
const DAEMON: &str = include_str!("../../../peers/jasmin/daemon.py");
/// Where Debian's package has RabbitMQ's own start, which is the one that does not change users.
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// RabbitMQ starts in some nine seconds on two busy cores, Jasmin in two.
const READY_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// The password of every account. SMPP has room for eight characters.
pub const PASSWORD: &str = "pa55word";
/// An account without a limit. What comes in is delivered to it.
pub const USER: &str = "rcseal";
/// An account that may submit [`SLOW_RATE`] messages in a second.
pub const SLOW_USER: &str = "rcslow";
/// See [`SLOW_USER`].
pub const SLOW_RATE: u32 = 20;
/// What is sent to this code goes out by HTTP instead.
pub const HTTP_CODE: &str = "72345";

/// Why Jasmin cannot be run here: what is missing.
#[must_use]
pub fn missing() -> Option<&'static str> {
    let answers = |program: &str, flag: &str| {
        let mut command = Command::new(program);
        command.arg(flag).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if !Path::new(RABBITMQ).is_file() {
        return Some("rabbitmq-server");
    }
    if !answers("redis-server", "--version") {
        return Some("redis-server");
    }
    if python().is_file() { None } else { Some("jasmin") }
}

/// The version that is installed, as the list of what is installed says.
fn required_version() -> &'static str {
    REQUIREMENTS.lines().find_map(|line| line.strip_prefix("jasmin==")).unwrap_or("unknown").trim()
}

/// The interpreter among Jasmin's libraries: in the cache folder, where `cargo xtask` installs peers.
fn python() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    let folder = format!("jasmin-{}", required_version());
    cache.join("rcseal").join("peers").join(folder).join("bin").join("python")
}

/// What Jasmin says of its version.
#[must_use]
pub fn version() -> Option<String> {
    let output = Command::new(python())
        .args(["-c", "import importlib.metadata as m; print('jasmin', m.version('jasmin'))"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|version| !version.is_empty())
}

/// A running Jasmin with everything it needs.
#[derive(Debug)]
pub struct Jasmin {
    // Before what it needs, and all before the folder.
    daemon: Option<Kept>,
    _redis: Kept,
    _rabbitmq: Kept,
    _epmd: Kept,
    network: Network,
    folder: TempDir,
    python: PathBuf,
    smpp_port: u16,
    http_port: u16,
    console_port: u16,
    push_url: String,
}

impl Jasmin {
    /// Starts it and sets it up. What comes in for [`HTTP_CODE`] is pushed to `push_url`.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn start(push_url: &str) -> Result<Self, PeerError> {
        let python = python();
        let folder = tempfile::Builder::new().prefix("rcseal-jasmin-").tempdir().map_err(prepare("a folder"))?;
        let [smpp_port, smpp_pb, clients, amqp, http_port, router, redis, console_port, epmd, distribution] =
            free_ports().map_err(prepare("ports"))?;
        let path = folder.path();
        let (epmd, rabbitmq) = start_rabbitmq(path, amqp, epmd, distribution)?;
        let redis_process = start_redis(path, redis)?;
        let network = Network::start(path).await?;
        let words = [
            ("SMPP_PORT", smpp_port.to_string()),
            ("SMPP_PB_PORT", smpp_pb.to_string()),
            ("CLIENTS_PORT", clients.to_string()),
            ("AMQP_PORT", amqp.to_string()),
            ("AMQP_SPECIFICATION", amqp_specification(&python)?),
            ("HTTP_PORT", http_port.to_string()),
            ("ROUTER_PORT", router.to_string()),
            ("REDIS_PORT", redis.to_string()),
            ("JCLI_PORT", console_port.to_string()),
            ("FOLDER", path.to_string_lossy().into_owned()),
        ];
        let filled = words
            .iter()
            .fold(CONFIGURATION.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value));
        std::fs::write(path.join("jasmin.cfg"), filled).map_err(prepare("the configuration"))?;
        std::fs::write(path.join("daemon.py"), DAEMON).map_err(prepare("the daemon's start"))?;
        wait_for_amqp(amqp, &rabbitmq).await?;
        let mut started = Self {
            daemon: None,
            _redis: redis_process,
            _rabbitmq: rabbitmq,
            _epmd: epmd,
            network,
            folder,
            python,
            smpp_port,
            http_port,
            console_port,
            push_url: push_url.to_owned(),
        };
        started.start_daemon().await?;
        started.set_up().await?;
        Ok(started)
    }

    /// Where its SMPP server listens.
    #[must_use]
    pub fn smpp(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.smpp_port))
    }

    /// Where messages are sent by HTTP.
    #[must_use]
    pub fn send_url(&self) -> String {
        format!("http://127.0.0.1:{}/send", self.http_port)
    }

    /// What stands behind it.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Ends the daemon as a crash would. What it needs keeps running.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn kill(&mut self) -> Result<(), PeerError> {
        self.daemon.take().map_or(Ok(()), Kept::kill)
    }

    /// Starts the daemon again, and sets it up again. What waits in its queues is still there.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.start_daemon().await?;
        self.set_up().await
    }

    async fn start_daemon(&mut self) -> Result<(), PeerError> {
        let store = self.folder.path().join("store");
        if store.exists() {
            std::fs::remove_dir_all(&store).map_err(prepare("a folder"))?;
        }
        std::fs::create_dir_all(&store).map_err(prepare("a folder"))?;
        let folder = self.folder.path().to_string_lossy().into_owned();
        let arguments =
            ["daemon.py", "-c", "jasmin.cfg", "--enable-dlr-thrower", "--enable-dlr-lookup"].map(str::to_owned);
        let environment = [
            ("LOG_PATH", format!("{folder}/log")),
            ("CONFIG_PATH", folder.clone()),
            ("STORE_PATH", format!("{folder}/store")),
            ("ROOT_PATH", folder.clone()),
        ];
        let launch = Launch { program: "jasmin", path: &self.python, arguments: &arguments, environment: &environment };
        self.daemon = Some(Kept::launch(&launch, self.folder.path())?);
        for port in [self.console_port, self.http_port, self.smpp_port] {
            self.wait_for(port).await?;
        }
        Ok(())
    }

    async fn wait_for(&self, port: u16) -> Result<(), PeerError> {
        let until = Instant::now() + READY_LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if Instant::now() >= until {
                return Err(PeerError::NotReady { program: "jasmin", said: self.said() });
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The end of its log.
    #[must_use]
    pub fn said(&self) -> String {
        self.daemon.as_ref().map(Kept::said).unwrap_or_default()
    }

    async fn console(&self) -> Result<Console, PeerError> {
        Console::open(self.console_port).await
    }

    /// Accounts, the way out to the network, and the ways in.
    async fn set_up(&self) -> Result<(), PeerError> {
        let mut console = self.console().await?;
        console.say(&["group -a", "gid tests", "ok"]).await?;
        let port = format!("port {}", self.network.address().port());
        let connector = ["smppccm -a", "cid net", "host 127.0.0.1", &port, "username net", "password net"];
        console.say(&connector).await?;
        // Jasmin sends one message a second unless it is told otherwise.
        console.say(&["bind transceiver", "submit_throughput 0", "con_loss_delay 1", "con_fail_delay 1"]).await?;
        console.say(&["requeue_delay 1", "ok", "smppccm -1 net"]).await?;
        console.say(&["mtrouter -a", "type defaultroute", "connector smppc(net)", "rate 0", "ok"]).await?;
        let connector = format!("connector smpps({USER})");
        console.say(&["morouter -a", "type defaultroute", &connector, "ok"]).await?;
        let url = format!("url {}", self.push_url);
        console.say(&["httpccm -a", "cid push", &url, "method POST", "ok"]).await?;
        let address = format!("destination_addr ^{HTTP_CODE}$");
        console.say(&["filter -a", "fid code", "type DestinationAddrFilter", &address, "ok"]).await?;
        console.say(&["morouter -a", "type StaticMORoute", "order 10", "filters code", "connector http(push)"]).await?;
        console.say(&["ok"]).await?;
        console.until_bound("net").await?;
        // Last, because a client that may come in is taken at its word at once.
        let slow = format!("quota smpps_throughput {SLOW_RATE}");
        for (user, credentials) in [(USER, ""), (SLOW_USER, slow.as_str())] {
            let (uid, username) = (format!("uid {user}"), format!("username {user}"));
            let password = format!("password {PASSWORD}");
            console.say(&["user -a", &uid, "gid tests", &username, &password]).await?;
            if !credentials.is_empty() {
                console.say(&[&format!("mt_messaging_cred {credentials}")]).await?;
                console.say(&["mt_messaging_cred quota http_throughput 1"]).await?;
            }
            console.say(&["ok"]).await?;
        }
        Ok(())
    }
}

/// The broker between Jasmin's parts, and what Erlang needs to name it.
fn start_rabbitmq(folder: &Path, port: u16, epmd: u16, distribution: u16) -> Result<(Kept, Kept), PeerError> {
    let own = folder.join("rabbitmq");
    std::fs::create_dir_all(&own).map_err(prepare("a folder"))?;
    let write = |name: &str, text: &str| std::fs::write(own.join(name), text).map_err(prepare("the configuration"));
    write("enabled_plugins", "[].\n")?;
    write("environment", "")?;
    write("rabbitmq.conf", "disk_free_limit.absolute = 50MB\n")?;
    let of = |name: &str| own.join(name).to_string_lossy().into_owned();
    // Started by us, so that it is stopped by us: RabbitMQ would start one that stays.
    let arguments = ["-port".to_owned(), epmd.to_string(), "-address".to_owned(), "127.0.0.1".to_owned()];
    let epmd_process = Kept::start("epmd", &arguments, folder)?;
    let environment = [
        ("HOME", of("")),
        ("RABBITMQ_MNESIA_BASE", of("data")),
        ("RABBITMQ_LOG_BASE", of("log")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("RABBITMQ_PID_FILE", of("pid")),
        ("RABBITMQ_CONF_ENV_FILE", of("environment")),
        ("RABBITMQ_CONFIG_FILE", of("rabbitmq")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", of("enabled_plugins")),
        ("RABBITMQ_NODENAME", format!("rcseal{port}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", distribution.to_string()),
        ("ERL_EPMD_PORT", epmd.to_string()),
        // Loopback only, and no spinning while there is nothing to do.
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none".to_owned()),
    ];
    let launch =
        Launch { program: "rabbitmq-server", path: Path::new(RABBITMQ), arguments: &[], environment: &environment };
    Ok((epmd_process, Kept::launch(&launch, folder)?))
}

fn start_redis(folder: &Path, port: u16) -> Result<Kept, PeerError> {
    let port = port.to_string();
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned);
    Kept::start("redis-server", &arguments, folder)
}

/// RabbitMQ answers a greeting that it does not know with its own.
async fn wait_for_amqp(port: u16, rabbitmq: &Kept) -> Result<(), PeerError> {
    let until = Instant::now() + READY_LIMIT;
    let greets = async || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(b"AMQP\0\0\0\0").await.ok()?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.ok()?;
        (&greeting == b"AMQP").then_some(())
    };
    while greets().await.is_none() {
        if Instant::now() >= until {
            return Err(PeerError::NotReady { program: "rabbitmq-server", said: rabbitmq.said() });
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Where Jasmin's AMQP library has the protocol's description, which it reads when it starts.
fn amqp_specification(python: &Path) -> Result<String, PeerError> {
    let script = "import os, txamqp; print(os.path.dirname(txamqp.__file__))";
    let output = Command::new(python)
        .args([OsString::from("-c"), OsString::from(script)])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PeerError::Start { program: "jasmin", source })?;
    let library = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if library.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(PeerError::Failed { program: "jasmin", said });
    }
    Ok(format!("{library}/specs/standard/amqp0-9-1.stripped.xml"))
}
