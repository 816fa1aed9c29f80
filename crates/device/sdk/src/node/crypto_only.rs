//! The crypto-only level for Node. Its calls block on the app's store, which answers on Node's thread: each runs on a thread of the
//! blocking pool, and is a promise to JavaScript.

use std::sync::Arc;

use napi::Env;
use napi::Status;
use napi::bindgen_prelude::PromiseRaw;
use napi::bindgen_prelude::{Buffer, Promise};
use napi::threadsafe_function::ThreadsafeFunction;
use napi_derive::napi;

use super::vault::{AskVault, NodeVault};
use super::{answer, failed, promise, whole_u32};
use crate::crypto_only::{
    CryptoStore, CryptoStoreError, CryptoStoreWrite, PairwiseClient, PairwiseSafetyNumber, PairwiseSession,
};
use crate::error::RcsealError;
use crate::runtime::runtime;

/// What the store is asked. The layer in TypeScript hands it to the app's object.
#[napi(object)]
pub struct StoreRequest {
    /// `get` or `commit`.
    pub method: String,
    /// Of `get`: which row.
    pub key: Option<Buffer>,
    /// Of `commit`: what `head` has to be; nothing where it has not to be there.
    pub expected_head: Option<Buffer>,
    /// Of `commit`: what to write.
    pub writes: Vec<StoreRow>,
}

/// One change of one row.
#[napi(object)]
pub struct StoreRow {
    /// The row's name.
    pub key: Buffer,
    /// Its new value; deleted where there is none.
    pub value: Option<Buffer>,
}

/// What it answers.
#[napi(object)]
pub struct StoreAnswer {
    /// Which of `CryptoStoreError`; anything unknown is unexpected.
    pub error: Option<String>,
    /// Of `get`: the row's value.
    pub value: Option<Buffer>,
}

/// Hands a request to Node's thread. It does not keep the process alive by itself.
pub(super) type AskStore = ThreadsafeFunction<StoreRequest, Promise<StoreAnswer>, StoreRequest, Status, false, true>;

/// The app's store.
struct NodeStore(AskStore);

impl NodeStore {
    fn ask(&self, request: StoreRequest) -> Result<Option<Vec<u8>>, CryptoStoreError> {
        let runtime = runtime().map_err(|_| unexpected())?;
        let answer = runtime.block_on(async { self.0.call_async(request).await?.await }).map_err(|_| unexpected())?;
        match answer.error.as_deref() {
            None => Ok(answer.value.map(|value| value.to_vec())),
            Some("conflict") => Err(CryptoStoreError::Conflict),
            Some("full") => Err(CryptoStoreError::Full),
            Some("busy") => Err(CryptoStoreError::Busy),
            Some(_) => Err(unexpected()),
        }
    }
}

impl CryptoStore for NodeStore {
    fn get(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, CryptoStoreError> {
        self.ask(StoreRequest {
            method: "get".to_owned(),
            key: Some(key.into()),
            expected_head: None,
            writes: Vec::new(),
        })
    }

    fn commit(&self, expected_head: Option<Vec<u8>>, writes: Vec<CryptoStoreWrite>) -> Result<(), CryptoStoreError> {
        let row = |write: CryptoStoreWrite| StoreRow { key: write.key.into(), value: write.value.map(Buffer::from) };
        let request = StoreRequest {
            method: "commit".to_owned(),
            key: None,
            expected_head: expected_head.map(Buffer::from),
            writes: writes.into_iter().map(row).collect(),
        };
        self.ask(request).map(|_| ())
    }
}

fn unexpected() -> CryptoStoreError {
    CryptoStoreError::Unexpected { reason: "the store threw, or answered something else".to_owned() }
}

/// Runs a call where it may block.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, RcsealError> + Send + 'static,
) -> napi::Result<T> {
    let called = runtime().map_err(failed)?.spawn_blocking(call).await;
    called.unwrap_or_else(|_| Err(RcsealError::internal("sdk.panic", "the call ended with a panic"))).map_err(failed)
}

/// One identity with its sessions.
#[napi]
#[derive(Clone)]
pub struct NativePairwise {
    client: Arc<PairwiseClient>,
}

#[napi]
impl NativePairwise {
    /// Opens it.
    #[napi(factory)]
    pub async fn open(store: AskStore, vault: AskVault) -> napi::Result<NativePairwise> {
        let (store, vault) = (Arc::new(NodeStore(store)), Arc::new(NodeVault(vault)));
        Ok(Self { client: blocking(move || PairwiseClient::open(store, vault)).await? })
    }

    /// Whether the store was an old copy.
    #[napi(getter)]
    pub fn was_rolled_back(&self) -> napi::Result<bool> {
        self.client.was_rolled_back().map_err(failed)
    }

    /// Our identity.
    #[napi(getter)]
    pub fn identity(&self) -> napi::Result<Buffer> {
        Ok(self.client.identity().map_err(failed)?.into())
    }

    /// A bundle for any number of peers.
    #[napi]
    pub fn local_bundle<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Buffer>> {
        let this = self.clone();
        promise(env, async move {
            let client = Arc::clone(&this.client);
            Ok(blocking(move || client.local_bundle()).await?.into())
        })
    }

    /// What to publish next: the bundles that serve once, then the last resort.
    #[napi]
    pub fn replenish_prekeys<'env>(&self, env: &'env Env, left: f64) -> napi::Result<PromiseRaw<'env, Vec<Buffer>>> {
        let this = self.clone();
        promise(env, async move {
            let (client, left) = (Arc::clone(&this.client), whole_u32("left", left)?);
            let bundles = blocking(move || client.replenish_prekeys(left)).await?;
            Ok(bundles.one_time.into_iter().chain([bundles.last_resort]).map(Buffer::from).collect())
        })
    }

    /// How many prekeys there are.
    #[napi]
    pub fn prekey_state<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            let client = Arc::clone(&this.client);
            answer(Ok(blocking(move || client.prekey_state()).await?))
        })
    }

    /// The session with a peer.
    #[napi]
    pub fn get_or_create_session<'env>(
        &self,
        env: &'env Env,
        peer_id: String,
        bundle: Option<Buffer>,
    ) -> napi::Result<PromiseRaw<'env, NativePairwiseSession>> {
        let this = self.clone();
        promise(env, async move {
            let (client, bundle) = (Arc::clone(&this.client), bundle.map(|bundle| bundle.to_vec()));
            Ok(NativePairwiseSession {
                session: blocking(move || client.get_or_create_session(peer_id, bundle)).await?,
            })
        })
    }

    /// Decrypts what a peer sent, known or not.
    #[napi]
    pub fn decrypt<'env>(
        &self,
        env: &'env Env,
        peer_id: String,
        message: Buffer,
    ) -> napi::Result<PromiseRaw<'env, Buffer>> {
        let this = self.clone();
        promise(env, async move {
            let (client, message) = (Arc::clone(&this.client), message.to_vec());
            Ok(blocking(move || client.decrypt(peer_id, message)).await?.into())
        })
    }

    /// Forgets a peer.
    #[napi]
    pub fn forget_peer<'env>(&self, env: &'env Env, peer_id: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let client = Arc::clone(&this.client);
            blocking(move || client.forget_peer(peer_id)).await
        })
    }

    /// Closes it.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let client = Arc::clone(&this.client);
            blocking(move || client.shutdown()).await
        })
    }
}

/// The session with one peer.
#[napi]
#[derive(Clone)]
pub struct NativePairwiseSession {
    session: Arc<PairwiseSession>,
}

#[napi]
impl NativePairwiseSession {
    /// Encrypts.
    #[napi]
    pub fn encrypt<'env>(&self, env: &'env Env, plaintext: Buffer) -> napi::Result<PromiseRaw<'env, Buffer>> {
        let this = self.clone();
        promise(env, async move {
            let (session, plaintext) = (Arc::clone(&this.session), plaintext.to_vec());
            Ok(blocking(move || session.encrypt(plaintext)).await?.into())
        })
    }

    /// Decrypts.
    #[napi]
    pub fn decrypt<'env>(&self, env: &'env Env, message: Buffer) -> napi::Result<PromiseRaw<'env, Buffer>> {
        let this = self.clone();
        promise(env, async move {
            let (session, message) = (Arc::clone(&this.session), message.to_vec());
            Ok(blocking(move || session.decrypt(message)).await?.into())
        })
    }

    /// The safety number.
    #[napi]
    pub fn safety_number<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, NativePairwiseSafetyNumber>> {
        let this = self.clone();
        promise(env, async move {
            let session = Arc::clone(&this.session);
            Ok(NativePairwiseSafetyNumber { number: blocking(move || session.safety_number()).await? })
        })
    }

    /// Whether it was compared.
    #[napi]
    pub fn is_verified<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, bool>> {
        let this = self.clone();
        promise(env, async move {
            let session = Arc::clone(&this.session);
            blocking(move || session.is_verified()).await
        })
    }
}

/// What two people compare.
#[napi]
#[derive(Clone)]
pub struct NativePairwiseSafetyNumber {
    number: Arc<PairwiseSafetyNumber>,
}

#[napi]
impl NativePairwiseSafetyNumber {
    /// Sixty digits.
    #[napi(getter)]
    pub fn numeric(&self) -> napi::Result<String> {
        self.number.numeric().map_err(failed)
    }

    /// What the code holds.
    #[napi(getter)]
    pub fn qr_payload(&self) -> napi::Result<String> {
        self.number.qr_payload().map_err(failed)
    }

    /// Compares.
    #[napi]
    pub fn verify<'env>(&self, env: &'env Env, scan: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let number = Arc::clone(&this.number);
            blocking(move || number.verify(scan)).await
        })
    }
}
