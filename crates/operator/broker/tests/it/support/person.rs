//! What people do at a relay and a broker.

use rcseal_credential::mapping::{Action, SignedStatement, UnverifiedMapping, VerifiedMapping};
use rcseal_credential::{AccountSigner, KeySetBuilder, UnverifiedKeySet, VerifiedKeySet};
use rcseal_wire::api::broker::{
    ClaimRequest, ClaimStarted, ClaimState, ConfirmAnswer, ConfirmRequest, EnrolmentRequest, LookupAnswer,
    LookupRequest, MappingHead, NumberView, path,
};
use rcseal_wire::api::{Base64, KeySetBody, LoginResponse};
use rcseal_wire::id::AccountId;
use rcseal_wire::number::E164;

use super::keys::rng;
use super::{Client, Person, Reply, World};

impl Person {
    /// Somebody who has registered at the relay and enrolled at the broker, with a connection that is logged in.
    pub async fn enrolled(world: &World) -> (Self, Client) {
        let person = Self::registered(world).await;
        let client = person.enrol(world).await;
        (person, client)
    }

    pub async fn registered(world: &World) -> Self {
        let person = Self::of_account(AccountId::generate(&mut rng()));
        person.register_at(&mut Client::connect(&world.relay_tls, world.relay.addr()).await).await;
        person
    }

    pub async fn enrolment_request(&self, world: &World, client: &mut Client) -> EnrolmentRequest {
        self.enrolment(client, world.relay.origin(), world.broker.origin()).await
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
        (self.try_log_in_at(&mut client, world.broker.origin()).await, client)
    }

    pub async fn log_in(&self, world: &World) -> Client {
        let (reply, mut client) = self.try_log_in(world).await;
        client.token = Some(reply.expect(200).json::<LoginResponse>().token);
        client
    }

    /// A connection to the relay, logged in there.
    pub async fn at_relay(&self, world: &World) -> Client {
        let mut client = Client::connect(&world.relay_tls, world.relay.addr()).await;
        let reply = self.try_log_in_at(&mut client, world.relay.origin()).await;
        client.token = Some(reply.expect(200).json::<LoginResponse>().token);
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
    person.state((world.broker.signing_key(), world.now_ms()), action, number, before)
}

/// The place in its chain of a mapping, for the statement that follows it.
pub fn head(mapping: &VerifiedMapping) -> MappingHead {
    MappingHead { sequence: mapping.sequence(), hash: mapping.hash() }
}

/// What is in a key set of a look-up.
pub fn key_set(bytes: &Base64) -> VerifiedKeySet {
    UnverifiedKeySet::parse(&bytes.0).unwrap().verify().unwrap()
}
