//! Kamailio as a carrier.
//!
//! One configuration, `peers/kamailio.cfg`, with a [`Role`] and a [`Mangle`] script filled in. Users are authenticated by digest when
//! they register, and also for each message where the setup says so; the sender's number is then asserted to the far end
//! (`P-Asserted-Identity`), and otherwise what a message claims of its sender stays a claim.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::Rng;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::process::{Kept, free_port};
use super::{Mangle, PeerError, prepare, probe};

/// The carrier's domain. Reserved by RFC 2606, so it can mean nobody.
pub const DOMAIN: &str = "carrier.test";

const CONFIGURATION: &str = include_str!("../../peers/kamailio.cfg");
/// Where the package puts the schemas of Kamailio's tables.
const SCHEMAS: &str = "/usr/share/kamailio/db_sqlite";
/// Starting takes a fifth of a second on an idle machine.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// A port may be taken between the moment it is found free and the start.
const START_TRIES: usize = 3;

/// What Kamailio is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Registrar and proxy.
    Registrar,
    /// The same, and it keeps messages for users who are not registered (`msilo` over SQLite).
    Store,
    /// The same, and an application server is trusted to say who sends, and is told who registers.
    Trunk {
        /// The server's UDP port on 127.0.0.1.
        server_port: u16,
        /// The first digits of the numbers behind it, after the plus sign.
        prefix: String,
    },
    /// The same, and it puts itself as a relay into MSRP sessions.
    MsrpRelay,
}

/// How users prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// MD5 with `qop=auth`.
    Md5,
    /// SHA-256 with `qop=auth`.
    Sha256,
    /// MD5 as RFC 2069 had it, without `qop`.
    Md5Legacy,
}

/// Somebody with a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number in E.164 form: also the name to authenticate with.
    pub number: String,
    /// The password.
    pub password: String,
}

impl User {
    /// The `index`th user of a test, with a password of their own.
    #[must_use]
    pub fn nth(index: u8) -> Self {
        Self { number: format!("+49151000001{index:02}"), password: format!("{:032x}", rand::rng().next_u64()) }
    }

    /// `sip:` URI in the carrier's domain.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.number)
    }
}

/// How Kamailio is to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// What it is.
    pub role: Role,
    /// What it does to messages.
    pub mangle: Mangle,
    /// How users authenticate.
    pub digest: Digest,
    /// Whether each message is authenticated, not only registrations.
    pub challenges_messages: bool,
    /// The longest SIP message over TCP and TLS. Kamailio's own default is 16,384: longer ones end the connection without an answer.
    pub tcp_buffer: usize,
    /// Processes for UDP.
    pub workers: u8,
    /// Who may register.
    pub users: Vec<User>,
}

impl Setup {
    /// A carrier that carries what it is given.
    #[must_use]
    pub fn of(users: Vec<User>) -> Self {
        Self {
            role: Role::Registrar,
            mangle: Mangle::Carry,
            digest: Digest::Md5,
            challenges_messages: true,
            tcp_buffer: 262_144,
            workers: 2,
            users,
        }
    }
}

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    // Before the folder that it works in.
    process: Kept,
    folder: TempDir,
    port: u16,
    tls_port: u16,
}

impl Kamailio {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn start(setup: &Setup) -> Result<Self, PeerError> {
        let mut tries = 1;
        loop {
            match Self::start_once(setup).await {
                Err(PeerError::NotReady { said, .. }) if tries < START_TRIES && said.contains("bind") => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn start_once(setup: &Setup) -> Result<Self, PeerError> {
        let folder = tempfile::Builder::new().prefix("rcseal-kamailio-").tempdir().map_err(prepare("a folder"))?;
        let port = free_port().map_err(prepare("a port"))?;
        let tls_port = free_port().map_err(prepare("a port"))?;
        certificates(folder.path())?;
        if setup.role == Role::Store {
            create_tables(&folder.path().join("silo.sqlite"))?;
        }
        let configuration = folder.path().join("kamailio.cfg");
        let text = fill(setup, folder.path(), port, tls_port);
        std::fs::write(&configuration, text).map_err(prepare("the configuration"))?;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let in_folder = path(folder.path());
        // In the foreground (-DD), printing its log (-E), with memory for the transactions of the last seconds under load.
        let arguments =
            ["-f", &path(&configuration), "-DD", "-E", "-Y", &in_folder, "-w", &in_folder, "-m", "512", "-M", "8"];
        let process = Kept::start("kamailio", &arguments.map(str::to_owned), folder.path())?;
        let started = Self { process, folder, port, tls_port };
        match probe::options(started.address(), &format!("sip:{DOMAIN}"), READY_LIMIT).await {
            Some(200) => Ok(started),
            _ => Err(PeerError::NotReady { program: "kamailio", said: started.process.said() }),
        }
    }

    /// Where it listens for UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it listens for TLS.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.tls_port))
    }

    /// The certificate of the authority that vouches for it, in PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The end of its log.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }
}

/// The configuration for one run.
fn fill(setup: &Setup, folder: &Path, port: u16, tls_port: u16) -> String {
    let (role, store) = match &setup.role {
        Role::Registrar => ("ROLE_PLAIN", "STORE_NONE"),
        Role::Store => ("ROLE_PLAIN", "STORE_MSILO"),
        Role::Trunk { .. } => ("ROLE_TRUNK", "STORE_NONE"),
        Role::MsrpRelay => ("ROLE_MSRP", "STORE_NONE"),
    };
    let (trunk_port, trunk_prefix) = match &setup.role {
        Role::Trunk { server_port, prefix } => (*server_port, format!("\\+{prefix}")),
        _ => (0, String::new()),
    };
    let (algorithm, qop, flags) = match setup.digest {
        Digest::Md5 => ("MD5", "auth", "1"),
        Digest::Sha256 => ("SHA-256", "auth", "1"),
        Digest::Md5Legacy => ("MD5", "", "0"),
    };
    let users: String =
        setup.users.iter().map(|user| format!("\t$sht(users=>{}) = \"{}\";\n", user.number, user.password)).collect();
    let words: [(&str, String); 18] = [
        // First the script, since it may hold words of its own.
        ("MANGLE", setup.mangle.script().to_owned()),
        ("USERS", users),
        ("ROLE", role.to_owned()),
        ("STORE", store.to_owned()),
        ("CHALLENGE", if setup.challenges_messages { "CHALLENGE_ALL" } else { "CHALLENGE_REGISTER" }.to_owned()),
        ("CHALLENGE_FLAGS", flags.to_owned()),
        ("ALGORITHM", algorithm.to_owned()),
        ("QOP", qop.to_owned()),
        ("DEBUG", "1".to_owned()),
        ("CHILDREN", setup.workers.to_string()),
        ("PORT", port.to_string()),
        ("TLS_PORT", tls_port.to_string()),
        ("TCP_BUFFER", setup.tcp_buffer.to_string()),
        ("TRUNK_PORT", trunk_port.to_string()),
        ("TRUNK_PREFIX", trunk_prefix),
        ("DOMAIN", DOMAIN.to_owned()),
        ("FOLDER", folder.to_string_lossy().into_owned()),
        ("SECRET", format!("{:016x}{:016x}", rand::rng().next_u64(), rand::rng().next_u64())),
    ];
    words.iter().fold(CONFIGURATION.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value))
}

/// An authority, and a certificate of its making for the domain and for loopback.
fn certificates(folder: &Path) -> Result<(), PeerError> {
    let mut authority = CertificateParams::new(Vec::<String>::new()).map_err(PeerError::Certificate)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.distinguished_name.push(DnType::CommonName, "a carrier's authority");
    let authority_key = KeyPair::generate().map_err(PeerError::Certificate)?;
    let authority = CertifiedIssuer::self_signed(authority, authority_key).map_err(PeerError::Certificate)?;
    let names = [DOMAIN, "localhost", "127.0.0.1"].map(str::to_owned);
    let mut server = CertificateParams::new(names).map_err(PeerError::Certificate)?;
    server.distinguished_name.push(DnType::CommonName, DOMAIN);
    let key = KeyPair::generate().map_err(PeerError::Certificate)?;
    let certificate = server.signed_by(&key, &authority).map_err(PeerError::Certificate)?;
    for (name, text) in
        [("authority.pem", authority.pem()), ("certificate.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
    {
        std::fs::write(folder.join(name), text).map_err(prepare("a certificate file"))?;
    }
    Ok(())
}

/// Makes the tables of the store out of the package's own schemas.
fn create_tables(database: &Path) -> Result<(), PeerError> {
    let mut sql = String::new();
    for schema in ["standard-create.sql", "msilo-create.sql"] {
        sql += &std::fs::read_to_string(Path::new(SCHEMAS).join(schema)).map_err(prepare("the store's tables"))?;
    }
    let output = Command::new("sqlite3")
        .arg(database)
        .arg(sql)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PeerError::Start { program: "sqlite3", source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(PeerError::Failed { program: "sqlite3", said: String::from_utf8_lossy(&output.stderr).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_the_template_is_left_for_any_role() {
        let trunk = Role::Trunk { server_port: 5_060, prefix: "49170".to_owned() };
        for role in [Role::Registrar, Role::Store, trunk, Role::MsrpRelay] {
            for mangle in Mangle::ALL {
                let setup = Setup { role: role.clone(), mangle: *mangle, ..Setup::of(vec![User::nth(1)]) };
                let text = fill(&setup, Path::new("/folder"), 1, 2);
                let left: Vec<&str> = text
                    .split('@')
                    .skip(1)
                    .filter(|word| {
                        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
                    })
                    .collect();
                assert!(left.is_empty(), "{left:?}");
            }
        }
    }
}
