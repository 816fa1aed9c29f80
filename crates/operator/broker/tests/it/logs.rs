//! What a log says: no number, no code, no account.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Person, World, number};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_shows_neither_numbers_nor_codes_nor_accounts() {
    let written = Written::default();
    tracing_subscriber::fmt()
        .with_env_filter("rcseal_broker=trace,rcseal_front=trace")
        .with_writer(written.clone())
        .try_init()
        .unwrap();
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let started = alice.claim(&mut client, &number(77)).await;
    let wrong = rcseal_wire::api::broker::ConfirmRequest {
        code: world.codes.wrong(&number(77)),
        statement: None,
        release: None,
    };
    client.post(&rcseal_wire::api::broker::path::confirm(&started.claim), &wrong).await;
    alice.confirm(&world, &mut client, (&started.claim, &number(77)), None).await.expect(200);
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    bob.look_up(&mut at_bob, &number(77)).await;
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("mapping_countersigned") && log.contains("code_wrong"), "{log}");
    let code = world.codes.newest(&number(77));
    for secret in ["7700900077", code.as_str(), &alice.account.to_string(), &alice.delivery_token.expose_text()] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}
