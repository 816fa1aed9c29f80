//! The relay under load: a folder with accounts, and `rcseald` as a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryCommitment, prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, x25519};
use rcseal_store::{AccountStore as _, FjallStore, Register, Store as _, StoreLimits, StoredKeySet, UnixMillis};
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, DeviceNumber, MailboxId, Platform};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tokio::net::TcpStream;

use crate::client::Tls;

/// An account that can log in and be written to.
pub(crate) struct Owner {
    pub(crate) address: DeviceAddress,
    pub(crate) mailbox: MailboxId,
    pub(crate) token: DeliveryToken,
    pub(crate) auth_key: ed25519::SigningKey,
}

pub(crate) struct Relay {
    pub(crate) owners: Vec<Owner>,
    pub(crate) tls: Tls,
    pub(crate) address: SocketAddr,
    pub(crate) origin: Origin,
    config: PathBuf,
    process: Option<Child>,
}

/// An account with a key set as the server expects it.
fn account(rng: &mut ChaCha20Rng) -> (Owner, Register) {
    let account = AccountId::generate(rng);
    let signer = AccountSigner::generate(rng);
    let auth_key = ed25519::SigningKey::generate(rng);
    let identity = x25519::SecretKey::generate(rng);
    let sealing = SealingSecretKey::generate(rng);
    let entry = prove_device(
        rng,
        &DeviceClaims {
            account,
            number: DeviceNumber::PRIMARY,
            platform: Platform::Android,
            custody: Custody::User,
            auth_key: &auth_key,
            identity_keys: &[(IdentityProfile::Native, &identity)],
            sealing_key: &sealing.public_key(),
            mls_leaf_keys: &[],
        },
    )
    .unwrap();
    let key_set =
        KeySetBuilder::first(account, RecoveryCommitment::NONE).add_device(entry).unwrap().sign(&signer).unwrap();
    let owner = Owner {
        address: DeviceAddress { account, device: DeviceNumber::PRIMARY },
        mailbox: MailboxId::generate(rng),
        token: DeliveryToken::generate(rng),
        auth_key,
    };
    let register = Register {
        account,
        key_set: StoredKeySet {
            counter: key_set.counter(),
            hash: key_set.hash(),
            bytes: key_set.as_bytes().to_vec().into(),
        },
        device: DeviceNumber::PRIMARY,
        mailbox: owner.mailbox,
        delivery_tokens: vec![owner.token.hash()],
        invite: None,
        now: UnixMillis::new(1_800_000_000_000),
    };
    (owner, register)
}

impl Relay {
    /// Writes a configuration and `accounts` accounts into a folder.
    pub(crate) async fn prepare(folder: &Path, accounts: usize) -> Self {
        rcseal_server::init::write_development_identity(folder).unwrap();
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let origin: Origin = format!("https://localhost:{}", address.port()).parse().unwrap();
        let config = folder.join("rcseald.toml");
        // Everything comes from one address here, which no limit per address foresees.
        let text = format!(
            "[server]\nlisten = \"{address}\"\norigin = \"{origin}\"\n[tls]\ncertificate = \"certificate.pem\"\nprivate_key = \"private-key.pem\"\n\
             [storage]\npath = \"data\"\n[admission]\nmode = \"open\"\n[limits]\nconnections_per_address_max = 20000\n\
             anonymous_requests_per_minute_max = 10000000\nsubmissions_per_second_max = 1000000\nmailbox_messages_max = 10000000\n\
             mailbox_bytes_max = 100000000000\n[log]\nfilter = \"warn\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let tls = Tls::trusting(&std::fs::read_to_string(folder.join("authority.pem")).unwrap());

        let store = FjallStore::open(folder.join("data"), StoreLimits::default()).unwrap();
        let mut owners = Vec::with_capacity(accounts);
        let mut rng = ChaCha20Rng::from_seed(rand::random());
        while owners.len() < accounts {
            let (some, registrations): (Vec<_>, Vec<_>) =
                (0..500.min(accounts - owners.len())).map(|_| account(&mut rng)).unzip();
            owners.extend(some);
            let stored =
                futures_util::future::join_all(registrations.into_iter().map(|register| store.register(register)))
                    .await;
            assert!(stored.into_iter().all(|result| result.is_ok()));
        }
        store.close().await;
        Self { owners, tls, address, origin, config, process: None }
    }

    pub(crate) async fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_rcseald"))
            .args(["serve", "--config"])
            .arg(&self.config)
            .stdout(Stdio::null())
            .spawn()
            .expect("rcseald starts");
        self.process = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "rcseald did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.start().await;
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Resident memory of the server's process in bytes.
    pub(crate) fn resident(&self) -> f64 {
        let id = self.process.as_ref().expect("the server runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024.0
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}
