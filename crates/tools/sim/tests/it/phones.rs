//! Clients with an account at a relay, as the tests here begin with them.

use std::path::Path;
use std::sync::Arc;

use rcseal_client::client::{Client, Config};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::vault::{Argon2Params, SoftwareKeyVault, Unlock};
use rcseal_engine::account::NewAccount;
use rcseal_engine::message::MessageView;
use rcseal_server::{RunningServer, Server};
use rcseal_wire::id::{ConversationId, Custody, Platform};

/// A relay with nothing set, in a folder of its own.
pub(crate) async fn relay(folder: &Path) -> RunningServer {
    rcseal_server::init::write_development_identity(folder).unwrap();
    Server::start(rcseal_server::Config::development(folder)).await.unwrap()
}

/// Whom a client trusts that talks to this relay alone.
pub(crate) fn trust(server: &RunningServer) -> TrustAnchors {
    TrustAnchors::from_pem(server.ca_pem().unwrap().as_bytes()).unwrap()
}

/// The vault of a name.
pub(crate) fn vault(folder: &Path, name: &str) -> Arc<SoftwareKeyVault> {
    let unlock = Unlock::Passphrase("pass".to_owned().into(), Argon2Params::new(8, 1, 1).unwrap());
    Arc::new(SoftwareKeyVault::new(&folder.join(format!("{name}-vault")), unlock).unwrap())
}

/// What the client of a name is opened with.
pub(crate) fn config(trust: TrustAnchors, folder: &Path, name: &str) -> Config {
    Config::new(folder.join(name), trust, Timeouts::default())
}

/// A client with an account that the relay knows.
pub(crate) async fn phone(server: &RunningServer, trust: TrustAnchors, folder: &Path, name: &str) -> Client {
    let client = Client::open(config(trust, folder, name), vault(folder, name)).await.unwrap();
    let account = NewAccount {
        origin: server.origin().clone(),
        platform: Platform::Ios,
        custody: Custody::User,
        display_name: name.to_owned(),
    };
    client.create_account(account).await.unwrap();
    client.register(None).await.unwrap();
    client
}

/// Lets what one writes reach the others, and their receipts come back.
pub(crate) async fn sync(clients: &[&Client]) {
    for _ in 0..3 {
        for client in clients {
            client.sync_once().await.unwrap();
        }
    }
}

/// The newest message.
pub(crate) async fn last(client: &Client, conversation: ConversationId) -> MessageView {
    client.messages(conversation, None, 1).await.unwrap().remove(0)
}
