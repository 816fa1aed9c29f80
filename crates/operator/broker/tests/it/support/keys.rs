//! Somebody with an account and one device: real keys, a real key set, and what they sign. Both test binaries of this crate have such
//! people; what these do there is beside each binary's own world.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rcseal_credential::mapping::{Action, BrokerKeyId, NumberStatement, SignedStatement};
use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryKey, VerifiedKeySet, prove_device,
};
use rcseal_crypto::ed25519::{SigningKey, VerifyingKey};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{mlkem1024, x25519};
use rcseal_wire::api::broker::{EnrolmentRequest, MappingHead};
use rcseal_wire::api::{Base64, DeviceUpload, KemPreKey, LoginChallenge, LoginRequest, RegisterRequest, SignedPreKey};
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, DeviceNumber, MailboxId, Platform};
use rcseal_wire::login::login_bytes;
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use super::{Client, Reply};

pub struct Person {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub delivery_token: DeliveryToken,
    pub key_set: VerifiedKeySet,
    pub signer: AccountSigner,
    pub device_key: SigningKey,
    pub sealing: SealingSecretKey,
}

pub fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(rand::random())
}

impl Person {
    /// Somebody who says that they have this account, with keys of their own.
    pub fn of_account(account: AccountId) -> Self {
        let rng = &mut rng();
        let signer = AccountSigner::generate(rng);
        let device_key = SigningKey::generate(rng);
        let sealing = SealingSecretKey::generate(rng);
        let identity = x25519::SecretKey::generate(rng);
        let claims = DeviceClaims {
            account,
            number: DeviceNumber::PRIMARY,
            platform: Platform::Android,
            custody: Custody::User,
            auth_key: &device_key,
            identity_keys: &[(IdentityProfile::Native, &identity)],
            sealing_key: &sealing.public_key(),
            mls_leaf_keys: &[],
        };
        let entry = prove_device(rng, &claims).unwrap();
        let first = KeySetBuilder::first(account, RecoveryKey::generate(rng).commitment());
        let key_set = first.add_device(entry).unwrap().sign(&signer).unwrap();
        let (mailbox, delivery_token) = (MailboxId::generate(rng), DeliveryToken::generate(rng));
        Self { account, mailbox, delivery_token, key_set, signer, device_key, sealing }
    }

    pub fn address(&self) -> DeviceAddress {
        DeviceAddress { account: self.account, device: DeviceNumber::PRIMARY }
    }

    /// Registers at the relay that `client` is connected to.
    pub async fn register_at(&self, client: &mut Client) {
        let request = RegisterRequest {
            invite: None,
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            device: upload(self.mailbox),
            delivery_token_hash: self.delivery_token.hash(),
        };
        let reply = client.post("/v1/accounts", &request).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    /// A signature over a challenge of whom `client` is connected to.
    async fn answer_challenge(&self, client: &mut Client, origin: &Origin) -> Base64 {
        let reply = client.post("/v1/login/challenge", &()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let nonce = reply.json::<LoginChallenge>().nonce.0;
        let bytes = login_bytes(origin, &client.exporter, self.address(), nonce.as_slice().try_into().unwrap());
        Base64(self.device_key.sign(&[&bytes]).0.to_vec())
    }

    /// A login attempt at whom `client` is connected to, whatever comes of it.
    pub async fn try_log_in_at(&self, client: &mut Client, origin: &Origin) -> Reply {
        let signature = self.answer_challenge(client, origin).await;
        let request = LoginRequest { account: self.account, device: DeviceNumber::PRIMARY, signature };
        client.post("/v1/login", &request).await
    }

    /// What enrols at the broker that `client` is connected to.
    pub async fn enrolment(&self, client: &mut Client, relay: &Origin, broker: &Origin) -> EnrolmentRequest {
        EnrolmentRequest {
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            relay: relay.clone(),
            device: DeviceNumber::PRIMARY,
            mailbox: self.mailbox,
            delivery_token: Base64(self.delivery_token.expose().to_vec()),
            signature: self.answer_challenge(client, broker).await,
        }
    }

    /// A statement that follows `before`.
    pub fn state(
        &self,
        (broker, now_ms): (VerifyingKey, u64),
        action: Action,
        number: &E164,
        before: Option<MappingHead>,
    ) -> SignedStatement {
        let statement = NumberStatement {
            action,
            number: number.clone(),
            account: self.account,
            device: DeviceNumber::PRIMARY,
            sequence: before.map_or(1, |head| head.sequence + 1),
            previous: before.map(|head| head.hash),
            key_set_counter: self.key_set.counter(),
            key_set_hash: self.key_set.hash(),
            broker: BrokerKeyId::from_bytes(*broker.as_bytes()),
            issued_at_ms: now_ms,
        };
        statement.sign(&self.signer).unwrap()
    }
}

fn upload(mailbox: MailboxId) -> DeviceUpload {
    let rng = &mut rng();
    let ec = Base64(x25519::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let kem = Base64(mlkem1024::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let signature = Base64(vec![7; 64]);
    DeviceUpload {
        mailbox,
        signed: Some(SignedPreKey { id: 1, key: ec, signature: signature.clone() }),
        last_resort: Some(KemPreKey { id: 1_000_000, key: kem, signature }),
        one_time: vec![],
        one_time_kem: vec![],
    }
}
