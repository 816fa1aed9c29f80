//! A process that ends with us.
//!
//! A test that is interrupted or killed runs no destructor, and a daemon that it started would stay. So a shell stands between: it
//! waits for the end of its standard input, which the system closes when we are gone however we went, and then stops the program by
//! the id of its process group, first politely. Only ids of processes that it started itself are ever signalled. A test of what happens
//! when a peer is cut off in the middle stops it without being polite ([`Kept::kill`]).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PeerError, prepare};

/// Runs its arguments as a process group, waits for the end of its input, and stops the group: five seconds after having asked, without
/// asking. The group and not the one process, because a daemon that is stopped while it starts may leave a child behind that it does not
/// know of yet.
const KEEPER: &str = r#"
setsid "$@" </dev/null &
pid=$!
stop() { kill "-$1" -- "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }
trap 'stop TERM' TERM INT
trap 'stop KILL' USR1
read -r _
stop TERM
tries=0
while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
stop KILL
wait "$pid"
"#;

/// How long a stop may take before the keeper itself is given up: more than it gives the program.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// A running program, its output in a log file.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Kept {
    /// Starts a program in a folder. Both its outputs go to `log` there.
    pub(super) fn start(program: &'static str, arguments: &[String], folder: &Path) -> Result<Self, PeerError> {
        let path = Path::new(program);
        Self::launch(&Launch { program, path, arguments, environment: &[] }, folder)
    }

    /// Starts a program in a folder, with an environment of its own beside ours.
    pub(super) fn launch(launch: &Launch<'_>, folder: &Path) -> Result<Self, PeerError> {
        let program = launch.program;
        let log = folder.join(format!("{program}.log"));
        let out = File::create(&log).map_err(prepare("a log file"))?;
        let error = out.try_clone().map_err(prepare("a log file"))?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(launch.path)
            .args(launch.arguments)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(error)
            .spawn()
            .map_err(|source| PeerError::Start { program, source })?;
        let lifeline = keeper.stdin.take();
        Ok(Self { keeper, lifeline, log })
    }

    /// The end of what it has printed.
    pub(super) fn said(&self) -> String {
        tail(&self.log)
    }

    /// Ends it as a crash would.
    pub(super) fn kill(mut self) -> Result<(), PeerError> {
        let mut kill = Command::new("kill");
        kill.args(["-USR1", &self.keeper.id().to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
        kill.status().map_err(|source| PeerError::Start { program: "kill", source })?;
        // A shell may look at a signal only once it has read what it waits for.
        drop(self.lifeline.take());
        ends_within(&mut self.keeper, STOP_LIMIT);
        Ok(())
    }
}

/// What is to be started.
pub(super) struct Launch<'a> {
    /// What it is called, and its log.
    pub(super) program: &'static str,
    /// Where it is.
    pub(super) path: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) environment: &'a [(&'static str, String)],
}

/// The last lines of a file.
pub(super) fn tail(path: &Path) -> String {
    const LINES: usize = 12;
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        if !ends_within(&mut self.keeper, STOP_LIMIT) {
            let _ = self.keeper.kill();
            let _ = self.keeper.wait();
        }
    }
}

/// Waits for a child that was told to end.
pub(super) fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => return false,
        }
    }
}

/// A port of 127.0.0.1 that is free for UDP and for TCP now. Another process may take it before its use; whoever starts a peer tries
/// again then.
pub(super) fn free_port() -> io::Result<u16> {
    loop {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

/// So many ports of 127.0.0.1, all different, as free as one is.
pub(super) fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        // Held until all are found, or two could be one.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn is_running(pid: &str) -> bool {
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
    }

    fn pid_in(log: &Path) -> String {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                return pid.to_owned();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the program did not say its id");
    }

    #[test]
    fn a_program_ends_with_the_value_that_stands_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::start("sh", &["-c".to_owned(), "echo $$; exec sleep 100".to_owned()], folder.path()).unwrap();
        let pid = pid_in(&folder.path().join("sh.log"));
        assert!(is_running(&pid));
        drop(kept);
        assert!(!is_running(&pid));
    }

    #[test]
    fn a_program_that_is_killed_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo asked' TERM; echo $$; while :; do sleep 0.01; done";
        let kept = Kept::start("sh", &["-c".to_owned(), script.to_owned()], folder.path()).unwrap();
        let pid = pid_in(&folder.path().join("sh.log"));
        kept.kill().unwrap();
        assert!(!is_running(&pid));
        assert_eq!(std::fs::read_to_string(folder.path().join("sh.log")).unwrap().trim(), pid);
    }

    #[test]
    fn the_end_of_a_log_is_what_is_shown_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, (0..40).map(|line| format!("line {line}\n\n")).collect::<String>()).unwrap();
        assert!(tail(&path).starts_with("line 28 | "));
        assert!(tail(&path).ends_with("line 39"));
        assert_eq!(tail(&folder.path().join("none")), "");
    }

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free_port().unwrap();
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
