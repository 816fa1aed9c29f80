//! Two people at a server that can read what they say, and what they do there.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_crypto::hpke_p256::{PublicKey, seal};
use rcseal_server::{AuditError, AuditLine, read_audit};
use rcseal_wire::api::Base64;
use rcseal_wire::api::retained::{
    RETAINED_INFO, RetainedHeader, RetainedMessage, RetainedPage, RetainedSubmit, ServerKey, server_key_id,
};
use rcseal_wire::id::{AccountId, DeviceAddress, RetainedId};

use crate::support::{Client, Owner, TestServer};

pub async fn server_key(client: &mut Client) -> ServerKey {
    let reply = client.get("/v1/server-key").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let key: ServerKey = reply.json();
    assert_eq!(key.key_id, server_key_id(&key.public_key.0));
    key
}

/// Seals words as an app does.
pub fn sealed(
    key: &ServerKey,
    from: DeviceAddress,
    to: AccountId,
    class: Option<&str>,
    words: &[u8],
) -> RetainedSubmit {
    let id = RetainedId::from_bytes(rand::random());
    let header = RetainedHeader {
        tenant: key.tenant.id,
        from,
        to,
        id,
        key_id: key.key_id,
        class: class.unwrap_or(&key.default_class),
    };
    let public = PublicKey::from_bytes(&key.public_key.0).unwrap();
    let rng = &mut ChaCha20Rng::from_seed(rand::random());
    let sealed = seal(rng, &public, RETAINED_INFO, &header.associated_data(), words);
    RetainedSubmit { id, to, key_id: key.key_id, class: class.map(str::to_owned), sealed: Base64(sealed) }
}

/// Two people at one server.
pub struct Pair {
    pub alice: Owner,
    pub alices: Client,
    pub bob: Owner,
    pub bobs: Client,
}

impl Pair {
    pub async fn at(server: &TestServer) -> Self {
        let ((alice, mut alices), (bob, bobs)) = (server.registered().await, server.registered().await);
        alices.delivery_token = Some(bob.delivery_token.expose_text());
        Self { alice, alices, bob, bobs }
    }

    /// The same two after a restart.
    pub async fn again(self, server: &TestServer) -> Self {
        let Self { alice, bob, .. } = self;
        let (mut alices, mut bobs) = (server.connect().await, server.connect().await);
        alice.log_in(server, &mut alices).await;
        bob.log_in(server, &mut bobs).await;
        alices.delivery_token = Some(bob.delivery_token.expose_text());
        Self { alice, alices, bob, bobs }
    }

    pub async fn say(&mut self, words: &str) -> RetainedSubmit {
        let key = server_key(&mut self.alices).await;
        let submission = sealed(&key, self.alice.address(), self.bob.account, None, words.as_bytes());
        let reply = self.alices.post("/v1/retained", &submission).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        submission
    }

    pub async fn read(&mut self) -> Vec<RetainedMessage> {
        page(&mut self.bobs, 0).await.messages
    }
}

pub async fn page(client: &mut Client, after: u64) -> RetainedPage {
    let reply = client.get(&format!("/v1/retained?after={after}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

pub fn words(messages: &[RetainedMessage]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.plaintext.as_ref().unwrap().0).unwrap()).collect()
}

pub async fn record(server: &TestServer) -> Result<Vec<AuditLine>, AuditError> {
    let mut rows = Vec::new();
    read_audit(&server.config.storage.path, |row| rows.push(row.clone())).await.map(|_| rows)
}
