//! The owner of an account: real keys, real key sets, real proofs.

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use rcseal_credential::{
    AccountSigner, BuildError, DeviceClaims, DeviceEntry, IdentityProfile, KeySetBuilder, RecoveryKey, VerifiedKeySet,
    prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, mlkem1024, x25519};
use rcseal_wire::api::{
    AccountDeletion, Base64, DeviceUpload, KemPreKey, KeySetBody, LoginChallenge, LoginRequest, LoginResponse,
    OneTimePreKey, RecoveryRequest, RegisterRequest, ResetRequest, SignedPreKey,
};
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, DeviceNumber, MailboxId, Platform};
use rcseal_wire::login::login_bytes;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use super::{Client, Reply, TestServer};

pub struct Owner {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub delivery_token: DeliveryToken,
    pub key_set: VerifiedKeySet,
    pub recovery_key: RecoveryKey,
    device: DeviceNumber,
    pub signer: AccountSigner,
    primary: ed25519::SigningKey,
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(rand::random())
}

impl Owner {
    pub fn new() -> Self {
        Self::of_account(AccountId::generate(&mut rng()))
    }

    /// Somebody who claims a given account id, with keys of their own.
    pub fn of_account(account: AccountId) -> Self {
        let rng = &mut rng();
        let signer = AccountSigner::generate(rng);
        let recovery_key = RecoveryKey::generate(rng);
        let primary = ed25519::SigningKey::generate(rng);
        let key_set = KeySetBuilder::first(account, recovery_key.commitment())
            .add_device(entry(rng, account, DeviceNumber::PRIMARY, &primary))
            .unwrap()
            .sign(&signer)
            .unwrap();
        Self {
            account,
            mailbox: MailboxId::generate(rng),
            delivery_token: DeliveryToken::generate(rng),
            key_set,
            recovery_key,
            device: DeviceNumber::PRIMARY,
            signer,
            primary,
        }
    }

    pub fn address(&self) -> DeviceAddress {
        DeviceAddress { account: self.account, device: self.device }
    }

    /// Every private byte of this owner's, to look for where it must not be.
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let seeds = [self.signer.seed(), self.primary.seed(), self.recovery_key.seed(), self.delivery_token.expose()];
        seeds.map(|seed| seed.to_vec()).to_vec()
    }

    /// The same person with nothing but a recovery key and a new device, whose key set continues `current`.
    pub fn recovered(&self, current: &VerifiedKeySet) -> Self {
        self.try_recovered(current, current.device_number_anew(), &self.recovery_key).unwrap()
    }

    pub fn try_recovered(
        &self,
        current: &VerifiedKeySet,
        device: DeviceNumber,
        key: &RecoveryKey,
    ) -> Result<Self, BuildError> {
        self.anew(device, |entry, signer, renewed| {
            KeySetBuilder::recovery(current, key, renewed.commitment())?.add_device(entry)?.sign_recovery(key, signer)
        })
    }

    /// The same as [`Self::recovered`], with counters left out for somebody who publishes at the same moment.
    pub fn recovered_ahead(&self, current: &VerifiedKeySet, counters: u64) -> Self {
        let key = &self.recovery_key;
        let recovered = self.anew(current.device_number_anew(), |entry, signer, renewed| {
            let begun = KeySetBuilder::recovery(current, key, renewed.commitment())?.ahead(counters);
            begun.add_device(entry)?.sign_recovery(key, signer)
        });
        recovered.unwrap()
    }

    /// The same person with nothing at all, and a new device, whose key set continues `current`.
    pub fn reset(&self, current: &VerifiedKeySet, not_before_ms: u64) -> Self {
        let reset = self.anew(current.device_number_anew(), |entry, signer, renewed| {
            KeySetBuilder::reset(current, renewed.commitment()).add_device(entry)?.sign_reset(signer, not_before_ms)
        });
        reset.unwrap()
    }

    /// The same person with a backup's account key and a new device, whose key set continues `current`.
    pub fn restored(&self, current: &VerifiedKeySet) -> Self {
        let rng = &mut rng();
        let primary = ed25519::SigningKey::generate(rng);
        let device = current.next_device_number().unwrap();
        let mut builder = KeySetBuilder::successor(current);
        for known in current.devices() {
            builder = builder.remove_device(known.number()).unwrap();
        }
        let signer = AccountSigner::from_seed(*self.signer.seed());
        let key_set = builder.add_device(entry(rng, self.account, device, &primary)).unwrap().sign(&signer).unwrap();
        Self {
            account: self.account,
            mailbox: MailboxId::generate(rng),
            delivery_token: DeliveryToken::parse(self.delivery_token.expose()).unwrap(),
            key_set,
            recovery_key: RecoveryKey::from_seed(*self.recovery_key.seed()),
            device,
            signer,
            primary,
        }
    }

    /// What asks the server to delete the account as it is now.
    pub fn deletion_request(&self) -> AccountDeletion {
        AccountDeletion { signature: Base64(self.signer.sign_deletion(&self.account, &self.key_set.hash()).0.to_vec()) }
    }

    fn anew(
        &self,
        device: DeviceNumber,
        sign: impl FnOnce(DeviceEntry, &AccountSigner, &RecoveryKey) -> Result<VerifiedKeySet, BuildError>,
    ) -> Result<Self, BuildError> {
        let rng = &mut rng();
        let (signer, recovery_key) = (AccountSigner::generate(rng), RecoveryKey::generate(rng));
        let primary = ed25519::SigningKey::generate(rng);
        Ok(Self {
            account: self.account,
            mailbox: MailboxId::generate(rng),
            delivery_token: DeliveryToken::parse(self.delivery_token.expose()).unwrap(),
            key_set: sign(entry(rng, self.account, device, &primary), &signer, &recovery_key)?,
            recovery_key,
            device,
            signer,
            primary,
        })
    }

    /// Hands the account over to a new account key.
    pub fn migrate(&mut self) {
        let signer = AccountSigner::generate(&mut rng());
        self.key_set = KeySetBuilder::successor(&self.key_set).sign_migration(&self.signer, &signer).unwrap();
        self.signer = signer;
    }

    /// The next key set, with nothing changed.
    pub fn republish(&mut self) {
        self.key_set = KeySetBuilder::successor(&self.key_set).sign(&self.signer).unwrap();
    }

    pub fn recovery_request(&self) -> RecoveryRequest {
        RecoveryRequest {
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            device: device_upload(self.mailbox, 1, 3),
            account_signature: None,
        }
    }

    /// With what shows that the account key is at hand.
    pub fn restoration_request(&self) -> RecoveryRequest {
        let signature = self.signer.prove_restoration(&self.account);
        RecoveryRequest { account_signature: Some(Base64(signature.0.to_vec())), ..self.recovery_request() }
    }

    pub fn reset_request(&self, ticket: &str) -> ResetRequest {
        ResetRequest {
            ticket: ticket.to_owned(),
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            device: device_upload(self.mailbox, 1, 3),
        }
    }

    pub fn register_request(&self) -> RegisterRequest {
        RegisterRequest {
            invite: None,
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            device: device_upload(self.mailbox, 1, 0),
            delivery_token_hash: self.delivery_token.hash(),
        }
    }

    /// The next key set, with one more device, and that device's key.
    pub fn with_linked_device(&self) -> (VerifiedKeySet, ed25519::SigningKey) {
        let rng = &mut rng();
        let number = self.key_set.next_device_number().unwrap();
        let key = ed25519::SigningKey::generate(rng);
        let next = KeySetBuilder::successor(&self.key_set)
            .add_device(entry(rng, self.account, number, &key))
            .unwrap()
            .sign(&self.signer)
            .unwrap();
        (next, key)
    }

    pub fn without_device(&self, device: DeviceNumber) -> VerifiedKeySet {
        KeySetBuilder::successor(&self.key_set).remove_device(device).unwrap().sign(&self.signer).unwrap()
    }

    pub fn sign_login(&self, origin: &Origin, exporter: &[u8; 32], nonce: &[u8]) -> Vec<u8> {
        sign_login(&self.primary, self.address(), origin, exporter, nonce)
    }

    pub async fn log_in(&self, server: &TestServer, client: &mut Client) {
        let reply = log_in(server, client, self.address(), &self.primary).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        client.token = Some(reply.json::<LoginResponse>().token);
    }

    /// A login attempt, whatever comes of it.
    pub async fn try_log_in(&self, server: &TestServer, client: &mut Client) -> Reply {
        log_in(server, client, self.address(), &self.primary).await
    }

    /// At a server that runs as its own process.
    pub async fn log_in_at(&self, origin: &Origin, client: &mut Client) {
        let nonce = challenge(client).await;
        let signature = self.sign_login(origin, &client.exporter, &nonce);
        let request = LoginRequest { account: self.account, device: self.device, signature: Base64(signature) };
        let reply = client.post("/v1/login", &request).await.expect(200);
        client.token = Some(reply.json::<LoginResponse>().token);
    }

    pub async fn log_in_as(
        &self,
        server: &TestServer,
        client: &mut Client,
        device: DeviceNumber,
        key: &ed25519::SigningKey,
    ) {
        let address = DeviceAddress { account: self.account, device };
        let reply = log_in(server, client, address, key).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        client.token = Some(reply.json::<LoginResponse>().token);
    }
}

fn sign_login(
    key: &ed25519::SigningKey,
    address: DeviceAddress,
    origin: &Origin,
    exporter: &[u8; 32],
    nonce: &[u8],
) -> Vec<u8> {
    key.sign(&[&login_bytes(origin, exporter, address, nonce.try_into().unwrap())]).0.to_vec()
}

pub async fn challenge(client: &mut Client) -> Vec<u8> {
    let reply = client.post("/v1/login/challenge", &()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json::<LoginChallenge>().nonce.0
}

pub async fn log_in(
    server: &TestServer,
    client: &mut Client,
    address: DeviceAddress,
    key: &ed25519::SigningKey,
) -> Reply {
    let nonce = challenge(client).await;
    let signature = sign_login(key, address, server.running.origin(), &client.exporter, &nonce);
    let request = LoginRequest { account: address.account, device: address.device, signature: Base64(signature) };
    client.post("/v1/login", &request).await
}

pub fn body(key_set: &VerifiedKeySet) -> KeySetBody {
    KeySetBody { key_set: Base64(key_set.as_bytes().to_vec()) }
}

fn entry(
    rng: &mut dyn CryptoRng,
    account: AccountId,
    number: DeviceNumber,
    auth_key: &ed25519::SigningKey,
) -> DeviceEntry {
    let identity = x25519::SecretKey::generate(rng);
    let sealing = SealingSecretKey::generate(rng);
    prove_device(
        rng,
        &DeviceClaims {
            account,
            number,
            platform: Platform::Android,
            custody: Custody::User,
            auth_key,
            identity_keys: &[(IdentityProfile::Native, &identity)],
            sealing_key: &sealing.public_key(),
            mls_leaf_keys: &[],
        },
    )
    .unwrap()
}

/// A full upload: signed and last-resort prekey, and `one_time` one-time prekeys of each kind with ids from `first_id` on.
pub fn device_upload(mailbox: MailboxId, first_id: u32, one_time: u32) -> DeviceUpload {
    let rng = &mut rng();
    let ec = |rng: &mut ChaCha20Rng| Base64(x25519::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let kem = Base64(mlkem1024::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let signature = Base64(vec![7; 64]);
    let kem_prekey = |id| KemPreKey { id, key: kem.clone(), signature: signature.clone() };
    DeviceUpload {
        mailbox,
        signed: Some(SignedPreKey { id: 1, key: ec(rng), signature: signature.clone() }),
        last_resort: Some(kem_prekey(1_000_000)),
        one_time: (first_id..first_id + one_time).map(|id| OneTimePreKey { id, key: ec(rng) }).collect(),
        one_time_kem: (first_id..first_id + one_time).map(kem_prekey).collect(),
    }
}
