//! Numbers at a broker: the client's face of the engine's `number`.
//!
//! What a person does here waits for the broker, since the answer is what they asked for. What is done without anybody asking, the watch over
//! own numbers and looks that gossip calls for, are needs of the engine and go with the others (`submit.rs`).

use rcseal_engine::capability::NumberKey;
use rcseal_engine::need::NeedKind;
use rcseal_engine::number::{
    BrokerCheck, BrokerView, Claimed, EvidenceView, LookupResult, NumberError, OwnNumberView, pick_key_set,
};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::{ClaimStarted, LookupAnswer};
use rcseal_wire::id::{AccountId, BrokerKeyId};
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;

use super::core::Core;
use super::{Client, ClientError};
use crate::net::{NetError, broker_info, enrol};

fn e164(number: &PhoneNumber) -> Result<E164, ClientError> {
    number.as_str().parse().map_err(|_| NumberError::Number.into())
}

impl Client {
    // ---- broker

    /// Uses a broker: pins its key the first time, compares it later, and tells it how to write to this account.
    ///
    /// # Errors
    /// [`ClientError::Number`] where another broker or another key is pinned, [`ClientError::Net`].
    pub async fn use_broker(&self, origin: &Origin) -> Result<BrokerView, ClientError> {
        let info = broker_info(&self.core.broker_endpoint(origin)?).await?;
        let (claimed, key) = (info.origin, info.signing_key.0);
        if claimed != *origin {
            return Err(NumberError::BrokerPinned.into());
        }
        match self.core.change(move |engine| engine.handle_broker_info(&claimed, &key)).await? {
            BrokerCheck::Pinned | BrokerCheck::Same => {}
            BrokerCheck::OtherKey | BrokerCheck::OtherOrigin => return Err(NumberError::BrokerPinned.into()),
        }
        self.enrol_at_broker().await?;
        self.broker().await?.ok_or_else(|| NumberError::NoBroker.into())
    }

    /// Tells the broker who this account is and how to write to it. To be repeated when the key set, the server or the mailbox is another.
    ///
    /// # Errors
    /// [`ClientError::Number`] without a broker, [`ClientError::Net`].
    pub async fn enrol_at_broker(&self) -> Result<(), ClientError> {
        // The broker shows the token to whoever looks a number up: the account's server has to know it first.
        self.core.tell_broker_token().await?;
        let origin = self.core.broker_origin().await?;
        enrol::<ClientError>(&self.core.broker_endpoint(&origin)?, async |exporter, nonce| {
            self.core.engine(move |engine| engine.broker_enrolment(&exporter, &nonce)).await
        })
        .await
    }

    /// The pinned broker.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn broker(&self) -> Result<Option<BrokerView>, ClientError> {
        self.core.engine(|engine| engine.broker_view()).await
    }

    /// Gives the broker up, with everything that it said.
    ///
    /// # Errors
    /// [`ClientError::Number`].
    pub async fn forget_broker(&self) -> Result<(), ClientError> {
        self.core.change(|engine| engine.forget_broker()).await
    }

    // ---- own numbers

    /// Claims a number, or begins to renew one: the broker sends it a code.
    ///
    /// # Errors
    /// [`ClientError::Number`], [`ClientError::Net`].
    pub async fn claim_number(&self, number: &PhoneNumber) -> Result<ClaimStarted, ClientError> {
        let claimed = number.clone();
        self.core.change(move |engine| engine.claim_number(&claimed)).await?;
        let started = match self.core.at_broker().await?.claim_number(&e164(number)?).await {
            Ok(started) => started,
            Err(error) => return Err(self.refused(number, error).await),
        };
        let (number, told) = (number.clone(), started.clone());
        self.core.change(move |engine| engine.handle_claim_started(&number, &told)).await?;
        Ok(started)
    }

    /// The user has typed the code in. `release` is what the account that has the number gave for it, where there is one.
    ///
    /// # Errors
    /// [`ClientError::Number`], [`ClientError::Net`]; with a wrong code the claim goes on.
    pub async fn confirm_number(
        &self,
        number: &PhoneNumber,
        code: &str,
        release: Option<Vec<u8>>,
    ) -> Result<Claimed, ClientError> {
        let broker = self.core.at_broker().await?;
        // Where somebody has had the number before, the first statement cannot follow what it does not know, and the broker names it.
        for _ in 0..2 {
            let (asked, code, release) = (number.clone(), code.to_owned(), release.clone());
            let (claim, request) =
                self.core.change(move |engine| engine.confirm_request(&asked, &code, release.as_deref())).await?;
            let answer = broker.confirm_number(&claim, &request).await?;
            let asked = number.clone();
            match self.core.change(move |engine| engine.handle_confirmed(&asked, &answer)).await? {
                Claimed::Verified => {}
                done @ (Claimed::Mapped | Claimed::Pending { .. } | Claimed::NotBelieved { .. }) => return Ok(done),
            }
        }
        Ok(Claimed::Verified)
    }

    /// Lets a number go. Answers the signed release, which the account that is to have it can show.
    ///
    /// # Errors
    /// [`ClientError::Number`], [`ClientError::Net`].
    pub async fn release_number(&self, number: &PhoneNumber) -> Result<Vec<u8>, ClientError> {
        let asked = number.clone();
        let request = self.core.change(move |engine| engine.release_request(&asked)).await?;
        self.core.at_broker().await?.release_number(&e164(number)?, &request).await?;
        let released = number.clone();
        self.core.change(move |engine| engine.handle_released(&released)).await?;
        Ok(request.statement.0)
    }

    /// Ends another account's wait for a number of this one.
    ///
    /// # Errors
    /// [`ClientError::Number`], [`ClientError::Net`].
    pub async fn veto_number(&self, number: &PhoneNumber) -> Result<(), ClientError> {
        self.core.at_broker().await?.veto_number(&e164(number)?).await?;
        self.core.view_number(number).await
    }

    /// Whether others find a number of this account.
    ///
    /// # Errors
    /// [`ClientError::Number`], [`ClientError::Net`].
    pub async fn set_number_visibility(&self, number: &PhoneNumber, discoverable: bool) -> Result<(), ClientError> {
        self.core.at_broker().await?.set_number_visibility(&e164(number)?, discoverable).await?;
        self.core.view_number(number).await
    }

    /// This account's numbers, as they are known here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn own_numbers(&self) -> Result<Vec<OwnNumberView>, ClientError> {
        self.core.engine(|engine| engine.own_numbers()).await
    }

    /// Looks at what the broker shows of this account's numbers, now: its view for the holder, and what anybody gets. What is wrong with it
    /// is an event, and in [`Client::broker_evidence`].
    ///
    /// # Errors
    /// [`ClientError::Number`] without a broker, [`ClientError::Net`].
    pub async fn watch_numbers(&self) -> Result<Vec<OwnNumberView>, ClientError> {
        for own in self.own_numbers().await? {
            self.core.view_number(&own.number).await?;
            self.look_up_number(&own.number).await?;
        }
        self.own_numbers().await
    }

    // ---- other people's

    /// Asks the broker who has a number, and judges the answer.
    ///
    /// # Errors
    /// [`ClientError::Number`] without a broker, [`ClientError::Net`]. What does not hold is [`LookupResult::Refused`].
    pub async fn look_up_number(&self, number: &PhoneNumber) -> Result<LookupResult, ClientError> {
        let answer = self.core.at_broker().await?.look_up_number(&e164(number)?).await?;
        self.core.judge_lookup(number, answer).await
    }

    /// Takes who was found for a number as a contact.
    ///
    /// # Errors
    /// [`ClientError::Number`].
    pub async fn add_contact_by_number(&self, number: &PhoneNumber, name: String) -> Result<AccountId, ClientError> {
        let number = number.clone();
        self.core.change(move |engine| engine.add_contact_by_number(&number, &name)).await
    }

    /// The number by which a contact was found at the broker.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn contact_source(&self, account: AccountId) -> Result<Option<NumberKey>, ClientError> {
        self.core.engine(move |engine| engine.contact_source(account)).await
    }

    /// What the broker was found to have done.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn broker_evidence(&self) -> Result<Vec<EvidenceView>, ClientError> {
        self.core.engine(|engine| engine.broker_evidence()).await
    }

    /// What proves one of these to anybody: the broker's key, and the portable evidence.
    ///
    /// # Errors
    /// [`ClientError::Number`] where there is none.
    pub async fn export_evidence(&self, id: u64) -> Result<(BrokerKeyId, Vec<u8>), ClientError> {
        self.core.engine(move |engine| engine.export_evidence(id)).await
    }

    /// The broker's refusal is kept with the number, and is the error all the same.
    async fn refused(&self, number: &PhoneNumber, error: NetError) -> ClientError {
        if let NetError::Problem(refused) = &error {
            let (number, code) = (number.clone(), refused.code());
            let kept = self.core.change(move |engine| engine.handle_claim_refused(&number, code)).await;
            if let Err(error) = kept {
                return error;
            }
        }
        error.into()
    }
}

impl Core {
    pub(super) async fn broker_origin(&self) -> Result<Origin, ClientError> {
        let broker = self.engine(|engine| engine.broker_view()).await?;
        Ok(broker.ok_or(NumberError::NoBroker)?.origin)
    }

    /// The pinned broker, logged in.
    async fn at_broker(&self) -> Result<std::sync::Arc<crate::net::Authenticated>, ClientError> {
        self.broker(&self.broker_origin().await?)
    }

    /// Has the account's server take the broker's delivery token, unless it has.
    async fn tell_broker_token(&self) -> Result<(), ClientError> {
        let Some(change) = self.engine(|engine| engine.untold_tokens()).await? else { return Ok(()) };
        let (hashes, keeps_others) = change;
        self.set_delivery_tokens(hashes.clone(), keeps_others).await??;
        self.change(move |engine| engine.handle_delivery_tokens(&hashes)).await
    }

    /// Asks for the holder's view of a number and takes it in.
    pub(super) async fn view_number(&self, number: &PhoneNumber) -> Result<(), ClientError> {
        let view = self.at_broker().await?.number_view(&e164(number)?).await?;
        let number = number.clone();
        self.change(move |engine| engine.handle_number_view(&number, &view)).await
    }

    /// Hands an answer to the engine, and fetches the key set that it may need.
    pub(super) async fn judge_lookup(
        &self,
        number: &PhoneNumber,
        answer: LookupAnswer,
    ) -> Result<LookupResult, ClientError> {
        let (asked, first) = (number.clone(), answer.clone());
        let result = self.change(move |engine| engine.handle_lookup(&asked, &first, None)).await?;
        let LookupResult::KeySetNeeded { account, relay, delivery_token, counter, hash } = result else {
            return Ok(result);
        };
        let sets = self.anonymous(&relay)?.key_sets(&account, &delivery_token, counter).await?;
        let Some(key_set) = pick_key_set(sets, hash) else {
            return Ok(LookupResult::KeySetNeeded { account, relay, delivery_token, counter, hash });
        };
        let number = number.clone();
        self.change(move |engine| engine.handle_lookup(&number, &answer, Some(&key_set))).await
    }

    /// Meets a need that concerns a number. Only the broker's absence is an error.
    pub(super) async fn meet_number(
        &self,
        kind: NeedKind,
        origin: &Origin,
        number: PhoneNumber,
    ) -> Result<(), ClientError> {
        let broker = self.broker(origin)?;
        let name = e164(&number)?;
        let outcome = match kind {
            NeedKind::NumberView => match broker.number_view(&name).await {
                Ok(view) => {
                    let number = number.clone();
                    self.change(move |engine| engine.handle_number_view(&number, &view)).await?;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            _ => match broker.look_up_number(&name).await {
                Ok(answer) => {
                    self.judge_lookup(&number, answer).await?;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::info!(event = "broker_not_asked", code = error.code());
                self.change(move |engine| engine.handle_number_need_failed(kind, &number)).await
            }
        }
    }
}
