//! Chromium without a window, over its debugging protocol (CDP): JSON over one WebSocket.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The names under which it is installed.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// How long something on the page may take.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Browser {
    /// Killed when it goes away.
    child: Child,
    socket: WebSocketStream<TcpStream>,
    session: String,
    count: u64,
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None` where there is none.
    pub(crate) async fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut child = spawn(&profile.path().join("profile"))?;
        // It says where it listens, among other things.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    return address.to_owned();
                }
            }
            panic!("chromium ended before it listened");
        };
        let address = timeout(LIMIT, address).await.expect("chromium listens");
        // What it says from now on must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let host = address.trim_start_matches("ws://").split('/').next().unwrap().to_owned();
        let (socket, _) = client_async(address, TcpStream::connect(host).await.unwrap()).await.unwrap();
        let mut browser =
            Self { child, socket, session: String::new(), count: 0, complaints: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true })).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await;
        }
        Some(browser)
    }

    /// Calls a method and waits for its answer; what the page complains about meanwhile is written down.
    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.count += 1;
        let mut message = json!({ "id": self.count, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let told = timeout(LIMIT, self.socket.next()).await.expect("chromium answers").unwrap().unwrap();
            let Message::Text(text) = told else { continue };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["id"] == self.count {
                assert!(told["error"].is_null(), "{method}: {}", told["error"]);
                return told["result"].clone();
            }
            match told["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.complaints.push(told["params"].to_string()),
                Some("Log.entryAdded") if told["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(told["params"]["entry"].to_string());
                }
                _ => {}
            }
        }
    }

    /// Errors of scripts, and what the page's own policy kept it from.
    pub(crate) fn complaints(&self) -> Vec<String> {
        // Chromium asks for an icon that the page does not have.
        self.complaints.iter().filter(|complaint| !complaint.contains("favicon.ico")).cloned().collect()
    }

    /// Opens a page in a window of this size.
    pub(crate) async fn open(&mut self, url: &str, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// From now on the user prefers dark pages, in a wide window.
    pub(crate) async fn darken(&mut self) {
        let size = json!({ "width": 1440, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.call("Emulation.setEmulatedMedia", dark).await;
    }

    /// The value of an expression on the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let evaluated = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true })).await;
        evaluated["result"]["value"].clone()
    }

    /// What an element says.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let value = self.value(&format!("document.querySelector({}).textContent", Value::from(selector))).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&mut self, what: &str, expression: &str) {
        let ends_at = Instant::now() + LIMIT;
        while self.value(expression).await != true {
            assert!(Instant::now() < ends_at, "never: {what}; the page complains: {:?}", self.complaints());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Types a text for somebody and presses Enter, with real key events.
    pub(crate) async fn write(&mut self, who: &str, to: &str, text: &str) {
        let field = format!("document.querySelector('form[data-who={who}][data-to={to}] textarea')");
        self.value(&format!("{field}.focus()")).await;
        self.call("Input.insertText", json!({ "text": text })).await;
        for kind in ["keyDown", "keyUp"] {
            let key =
                json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
            self.call("Input.dispatchKeyEvent", key).await;
        }
    }

    /// Chooses an option as a user does, as far as the page can tell.
    pub(crate) async fn choose(&mut self, id: &str, option: &str) {
        let (id, option) = (Value::from(id), Value::from(option));
        self.value(&format!(
            "(() => {{ const it = document.getElementById({id}); it.value = {option}; \
             it.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ))
        .await;
    }

    /// Clicks an element.
    pub(crate) async fn click(&mut self, selector: &str) {
        self.value(&format!("document.querySelector({}).click()", Value::from(selector))).await;
    }

    /// Leaves a picture of the page, where somebody wants to see it.
    pub(crate) async fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("RCSEAL_SCREENSHOTS").map(PathBuf::from) else { return };
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// Ends it, by its own process id, with the processes that it started.
    pub(crate) async fn end(mut self) {
        self.session.clear();
        self.call("Browser.close", json!({})).await;
        if timeout(LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await.unwrap();
        }
    }
}

fn spawn(profile: &std::path::Path) -> Option<Child> {
    for program in PROGRAMS {
        let spawned = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(child) => return Some(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{program}: {error}"),
        }
    }
    None
}
