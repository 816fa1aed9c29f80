//! The binary: init, config check, serve, commands about numbers, stop.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rcseal_wire::api::broker::{BrokerInfo, path};

use crate::support::{Client, Tls};

const BINARY: &str = env!("CARGO_BIN_EXE_rcseal-broker");

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn init(folder: &Path) -> PathBuf {
    let output = run(&["init", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let path = folder.join(rcseal_broker::init::CONFIG_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("127.0.0.1:8446", "127.0.0.1:0").replace("127.0.0.1:9446", "127.0.0.1:0");
    std::fs::write(&path, text).unwrap();
    path
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_is_good_serves_and_takes_commands() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path());
    let config = config.to_str().unwrap();
    let checked = run(&["config", "check", config]);
    assert!(stdout(&checked).contains("the configuration is good"), "{checked:?}");
    let mut broker =
        Running(Command::new(BINARY).args(["serve", "--config", config]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(broker.0.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().split(' ').next().unwrap().parse().unwrap();
    let key = lines.next().unwrap().unwrap();
    let key = key.strip_prefix("countersigning key ").unwrap().to_owned();

    let authority = std::fs::read_to_string(folder.path().join(rcseal_broker::init::AUTHORITY_FILE)).unwrap();
    let mut client = Client::connect(&Tls::trusting(&authority), address).await;
    let info: BrokerInfo = client.get(path::BROKER).await.expect(200).json();
    assert_eq!(rcseal_wire::b64::encode(&info.signing_key.0), key);
    assert!(info.relays.is_empty() && info.served.is_empty());
    client.get("/openapi.json").await.expect(200);

    let ported = run(&["number", "ported", "--config", config, "+447700900123", "--reason", "told"]);
    assert!(!ported.status.success());
    let error = String::from_utf8(ported.stderr).unwrap();
    assert!(error.contains("the number was never bound here"), "{error}");
    let audit = run(&["number", "audit", "--config", config]);
    assert!(audit.status.success() && stdout(&audit).is_empty(), "{audit:?}");
    let shown = run(&["number", "show", "--config", config, "447700900123"]);
    assert_eq!(shown.status.code(), Some(2), "no number in international form: {shown:?}");
}

#[test]
fn a_command_without_a_broker_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path());
    let output = run(&["number", "audit", "--config", config.to_str().unwrap()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no server is running") && error.contains("[admin.no_server]"), "{error}");
}

#[test]
fn a_check_reads_what_serving_would_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path());
    let sound = std::fs::read_to_string(&config).unwrap();
    let check = |more: &str| {
        std::fs::write(&config, format!("{sound}{more}")).unwrap();
        let output = run(&["config", "check", config.to_str().unwrap()]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let smpp =
        "[sms]\nsender = \"RCSeal\"\n[sms.smpp]\nhost = \"127.0.0.1\"\nport = 9\nsystem_id = \"x\"\npassword = \"p\"\n";
    let (code, error) = check(smpp);
    assert!(code == Some(1) && error.contains("[way_unreadable]"), "{error}");
    std::fs::write(folder.path().join("p"), "longer than SMPP has room for\n").unwrap();
    let (code, error) = check(smpp);
    assert!(code == Some(1) && error.contains("[smpp_start_credentials]"), "{error}");
    std::fs::write(folder.path().join("p"), "secret\n").unwrap();
    assert_eq!(check(smpp), (Some(0), String::new()));
    let (code, error) = check("[numbers]\nserved = [\"44\"]\n");
    assert!(code == Some(1) && error.contains("[config.parse]"), "{error}");
    assert!(error.contains("for key \"numbers.served.0\" in the file"), "{error}");
}

#[test]
fn the_description_is_printed() {
    let output = run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/v1/lookups"]["post"].is_object());
}

#[test]
fn the_sample_configuration_is_good() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/broker.toml");
    let config: rcseal_broker::Config =
        rcseal_front::config::parse(&std::fs::read_to_string(sample).unwrap(), figment::Figment::new()).unwrap();
    config.validate().unwrap();
    assert!(!config.numbers.served.is_empty() && !config.relays.is_empty());
}
