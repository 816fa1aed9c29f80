//! Somebody with an account at the relay: real keys, real key sets, real proofs.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rcseal_credential::mapping::{
    Action, BrokerKeyId, MappingHash, NumberStatement, SignedStatement, UnverifiedMapping, VerifiedMapping,
};
use rcseal_credential::{
    AccountSigner, DeviceClaims, DeviceEntry, IdentityProfile, KeySetBuilder, RecoveryKey, UnverifiedKeySet,
    VerifiedKeySet, prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, mlkem1024, x25519};
use rcseal_wire::api::broker::{
    ClaimRequest, ClaimStarted, ClaimState, ConfirmAnswer, ConfirmRequest, EnrolmentRequest, LookupAnswer,
    LookupRequest, MappingHead, NumberView, path,
};
use rcseal_wire::api::{
    Base64, DeviceUpload, KemPreKey, KeySetBody, LoginChallenge, LoginRequest, LoginResponse, RegisterRequest,
    SignedPreKey,
};
use rcseal_wire::id::{AccountId, Custody, DeviceAddress, DeviceNumber, MailboxId, Platform};
use rcseal_wire::login::login_bytes;
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;

use super::{Client, Reply, World};

pub struct Person {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub delivery_token: DeliveryToken,
    pub key_set: VerifiedKeySet,
    pub signer: AccountSigner,
    pub device_key: ed25519::SigningKey,
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(rand::random())
}

impl Person {
    /// Somebody who has registered at the relay and enrolled at the broker, with a connection that is logged in.
    pub async fn enrolled(world: &World) -> (Self, Client) {
        let person = Self::registered(world).await;
        let client = person.enrol(world).await;
        (person, client)
    }

    pub async fn registered(world: &World) -> Self {
        let person = Self::of_account(AccountId::generate(&mut rng()));
        let mut client = Client::connect(&world.relay_tls, world.relay.addr()).await;
        let request = RegisterRequest {
            invite: None,
            key_set: Base64(person.key_set.as_bytes().to_vec()),
            device: upload(person.mailbox),
            delivery_token_hash: person.delivery_token.hash(),
        };
        client.post("/v1/accounts", &request).await.expect(201);
        person
    }

    /// Somebody who says that they have this account, with keys of their own.
    pub fn of_account(account: AccountId) -> Self {
        let rng = &mut rng();
        let signer = AccountSigner::generate(rng);
        let device_key = ed25519::SigningKey::generate(rng);
        let key_set = KeySetBuilder::first(account, RecoveryKey::generate(rng).commitment())
            .add_device(entry(rng, account, DeviceNumber::PRIMARY, &device_key))
            .unwrap()
            .sign(&signer)
            .unwrap();
        Self {
            account,
            mailbox: MailboxId::generate(rng),
            delivery_token: DeliveryToken::generate(rng),
            key_set,
            signer,
            device_key,
        }
    }

    pub fn address(&self) -> DeviceAddress {
        DeviceAddress { account: self.account, device: DeviceNumber::PRIMARY }
    }

    fn sign_login(&self, origin: &Origin, exporter: &[u8; 32], nonce: &[u8]) -> Base64 {
        let bytes = login_bytes(origin, exporter, self.address(), nonce.try_into().unwrap());
        Base64(self.device_key.sign(&[&bytes]).0.to_vec())
    }

    pub async fn enrolment_request(&self, world: &World, client: &mut Client) -> EnrolmentRequest {
        let nonce = client.post("/v1/login/challenge", &()).await.expect(200).json::<LoginChallenge>().nonce.0;
        EnrolmentRequest {
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            relay: world.relay.origin().clone(),
            device: DeviceNumber::PRIMARY,
            mailbox: self.mailbox,
            delivery_token: Base64(self.delivery_token.expose().to_vec()),
            signature: self.sign_login(world.broker.origin(), &client.exporter, &nonce),
        }
    }

    pub async fn try_enrol(&self, world: &World) -> (Reply, Client) {
        let mut client = world.client().await;
        let request = self.enrolment_request(world, &mut client).await;
        (client.post(path::ENROLMENT, &request).await, client)
    }

    pub async fn enrol(&self, world: &World) -> Client {
        let (reply, mut client) = self.try_enrol(world).await;
        client.token = Some(reply.expect(200).json::<LoginResponse>().token);
        client
    }

    pub async fn try_log_in(&self, world: &World) -> (Reply, Client) {
        let mut client = world.client().await;
        let nonce = client.post("/v1/login/challenge", &()).await.expect(200).json::<LoginChallenge>().nonce.0;
        let signature = self.sign_login(world.broker.origin(), &client.exporter, &nonce);
        let request = LoginRequest { account: self.account, device: DeviceNumber::PRIMARY, signature };
        (client.post("/v1/login", &request).await, client)
    }

    pub async fn log_in(&self, world: &World) -> Client {
        let (reply, mut client) = self.try_log_in(world).await;
        client.token = Some(reply.expect(200).json::<LoginResponse>().token);
        client
    }

    /// A connection to the relay, logged in there.
    pub async fn at_relay(&self, world: &World) -> Client {
        let mut client = Client::connect(&world.relay_tls, world.relay.addr()).await;
        let nonce = client.post("/v1/login/challenge", &()).await.expect(200).json::<LoginChallenge>().nonce.0;
        let signature = self.sign_login(world.relay.origin(), &client.exporter, &nonce);
        let request = LoginRequest { account: self.account, device: DeviceNumber::PRIMARY, signature };
        client.token = Some(client.post("/v1/login", &request).await.expect(200).json::<LoginResponse>().token);
        client
    }

    /// Publishes the next key set at the relay: the same devices, under a new account key where `migrates`.
    pub async fn publish_next(&mut self, world: &World, migrates: bool) {
        let mut client = self.at_relay(world).await;
        let builder = KeySetBuilder::successor(&self.key_set);
        self.key_set = if migrates {
            let signer = AccountSigner::generate(&mut rng());
            let key_set = builder.sign_migration(&self.signer, &signer).unwrap();
            self.signer = signer;
            key_set
        } else {
            builder.sign(&self.signer).unwrap()
        };
        let body = KeySetBody { key_set: Base64(self.key_set.as_bytes().to_vec()) };
        client.put("/v1/account/key-set", &body).await.expect(204);
    }

    /// A statement that binds a number after `before`.
    pub fn bind(&self, world: &World, number: &E164, before: Option<MappingHead>) -> SignedStatement {
        statement(self, world, Action::Bind, number, before)
    }

    pub fn release(&self, world: &World, number: &E164, before: MappingHead) -> SignedStatement {
        statement(self, world, Action::Release, number, Some(before))
    }

    /// Asks for a code.
    pub async fn claim(&self, client: &mut Client, number: &E164) -> ClaimStarted {
        client.post(path::NUMBERS, &ClaimRequest { number: number.clone() }).await.expect(202).json()
    }

    /// Shows a code with a statement after `before`.
    pub async fn confirm(
        &self,
        world: &World,
        client: &mut Client,
        (claim, number): (&str, &E164),
        before: Option<MappingHead>,
    ) -> Reply {
        let request = ConfirmRequest {
            code: world.codes.newest(number),
            statement: Some(Base64(self.bind(world, number, before).as_bytes().to_vec())),
            release: None,
        };
        client.post(&path::confirm(claim), &request).await
    }

    /// Claims a number whose newest mapping is `before`; the answer.
    pub async fn try_bind(
        &self,
        world: &World,
        client: &mut Client,
        number: &E164,
        before: Option<MappingHead>,
    ) -> ConfirmAnswer {
        let started = self.claim(client, number).await;
        let reply = self.confirm(world, client, (&started.claim, number), before).await;
        assert!(matches!(reply.status, 200 | 202), "{reply:?}");
        reply.json()
    }

    /// Claims a number and gets it.
    pub async fn bind_number(
        &self,
        world: &World,
        client: &mut Client,
        number: &E164,
        before: Option<MappingHead>,
    ) -> VerifiedMapping {
        let answer = self.try_bind(world, client, number, before).await;
        assert_eq!(answer.state, ClaimState::Mapped, "{answer:?}");
        self.verify(world, &answer.mapping.unwrap())
    }

    pub fn verify(&self, world: &World, mapping: &Base64) -> VerifiedMapping {
        UnverifiedMapping::parse(&mapping.0).unwrap().verify(&world.broker.signing_key(), &self.key_set).unwrap()
    }

    pub async fn view(&self, client: &mut Client, number: &E164) -> NumberView {
        client.get(&path::number(number)).await.expect(200).json()
    }

    pub async fn look_up(&self, client: &mut Client, number: &E164) -> LookupAnswer {
        client.post(path::LOOKUPS, &LookupRequest { number: number.clone() }).await.expect(200).json()
    }
}

pub fn statement(
    person: &Person,
    world: &World,
    action: Action,
    number: &E164,
    before: Option<MappingHead>,
) -> SignedStatement {
    let statement = NumberStatement {
        action,
        number: number.clone(),
        account: person.account,
        device: DeviceNumber::PRIMARY,
        sequence: before.map_or(1, |head| head.sequence + 1),
        previous: before.map(|head| MappingHash::from_bytes(*head.hash.as_bytes())),
        key_set_counter: person.key_set.counter(),
        key_set_hash: person.key_set.hash(),
        broker: BrokerKeyId::from_bytes(*world.broker.signing_key().as_bytes()),
        issued_at_ms: world.now_ms(),
    };
    statement.sign(&person.signer).unwrap()
}

/// The place in its chain of a mapping, for the statement that follows it.
pub fn head(mapping: &VerifiedMapping) -> MappingHead {
    MappingHead { sequence: mapping.sequence(), hash: mapping.hash() }
}

/// What is in a key set of a look-up.
pub fn key_set(bytes: &Base64) -> VerifiedKeySet {
    UnverifiedKeySet::parse(&bytes.0).unwrap().verify().unwrap()
}

fn entry(
    rng: &mut ChaCha20Rng,
    account: AccountId,
    number: DeviceNumber,
    auth_key: &ed25519::SigningKey,
) -> DeviceEntry {
    let identity = x25519::SecretKey::generate(rng);
    let sealing = SealingSecretKey::generate(rng);
    let claims = DeviceClaims {
        account,
        number,
        platform: Platform::Android,
        custody: Custody::User,
        auth_key,
        identity_keys: &[(IdentityProfile::Native, &identity)],
        sealing_key: &sealing.public_key(),
        mls_leaf_keys: &[],
    };
    prove_device(rng, &claims).unwrap()
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
