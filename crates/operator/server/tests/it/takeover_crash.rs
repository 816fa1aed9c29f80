//! `kill -9` of the server while an account is being taken over.

use std::io::Write as _;
use std::time::{Duration, Instant};

use rcseal_server::create_reset_ticket;
use rcseal_wire::api::{PrekeyCounts, ResetAccepted};

use crate::mailbox_crash::{Process, configure};
use crate::support::{Client, Owner, Tls};

/// Longer than anything takes on a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_no_recovery_and_no_reset_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let (config, address) = configure(folder.path());
    std::fs::OpenOptions::new().append(true).open(&config).unwrap().write_all(b"[reset]\ndelay_seconds = 2\n").unwrap();
    let tls = Tls::trusting(&std::fs::read_to_string(folder.path().join("authority.pem")).unwrap());
    let origin = format!("https://localhost:{}", address.port()).parse().unwrap();
    let owner = Owner::new();
    let server = Process::start(&config, address).await;
    let mut client = Client::connect(&tls, address).await;
    assert_eq!(client.post("/v1/accounts", &owner.register_request()).await.status, 201);
    let back = owner.recovered(&owner.key_set);
    let recovery = format!("/v1/accounts/{}/recovery", owner.account);
    assert_eq!(client.post(&recovery, &back.recovery_request()).await.status, 204);
    drop(server);

    let server = Process::start(&config, address).await;
    let mut client = Client::connect(&tls, address).await;
    back.log_in_at(&origin, &mut client).await;
    let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
    assert_eq!((counts.one_time, counts.one_time_kem), (3, 3));
    let ticket = create_reset_ticket(&folder.path().join("data"), &owner.account, 600).await.unwrap();
    let new = back.reset(&back.key_set, 0);
    let path = format!("/v1/accounts/{}/reset", owner.account);
    let accepted: ResetAccepted = client.post(&path, &new.reset_request(&ticket)).await.json();
    assert!(!accepted.in_force);
    drop(server);

    let mut server = Process::start(&config, address).await;
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        assert!(begun.elapsed() < PATIENCE, "the reset never took effect");
        let mut client = Client::connect(&tls, address).await;
        let again: ResetAccepted = client.post(&path, &new.reset_request(&ticket)).await.json();
        if again.in_force && kills == 1 {
            break;
        }
        if again.in_force {
            // The moment after it took effect.
            drop(server);
            server = Process::start(&config, address).await;
            kills += 1;
        } else {
            assert_eq!(again.effective_at_ms, accepted.effective_at_ms);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut client = Client::connect(&tls, address).await;
    new.log_in_at(&origin, &mut client).await;
    let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
    assert_eq!((counts.one_time, counts.one_time_kem), (3, 3));
    drop(server);
}
