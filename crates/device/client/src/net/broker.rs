//! What a device says to its broker, beside what goes out by it (`broker_transport.rs`): who it is, its numbers, and look-ups.
//!
//! The connection is one of [`Authenticated`]: logged in with the same key as at the account's server, with the broker's own origin under the
//! signature. Nothing that is answered here is believed here: the engine judges it.

use http::Method;
use rcseal_wire::api::broker::{
    BrokerInfo, ClaimRequest, ClaimStarted, ConfirmAnswer, ConfirmRequest, EnrolmentRequest, LookupAnswer,
    LookupRequest, NumberView, NumbersView, ReleaseRequest, Visibility, path,
};
use rcseal_wire::api::{LoginChallenge, LoginResponse, path as relay_path};
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};
use rcseal_wire::number::E164;

use super::Authenticated;
use super::error::{Fault, NetError};
use super::http::{Call, Connection};
use super::tls::{Endpoint, Plane};

/// Who a broker says that it is, on a connection of its own on which nobody has logged in.
///
/// # Errors
/// [`NetError`].
pub async fn broker_info(endpoint: &Endpoint) -> Result<BrokerInfo, NetError> {
    let mut connection = Connection::open(endpoint, Plane::Anonymous).await?;
    connection.call(&Call::new(Method::GET, path::BROKER)).await?.json()
}

/// Tells a broker who the account is and how to write to it; a login in one, on a connection of its own. `sign` makes the request for what
/// this connection exports and the broker's nonce.
///
/// # Errors
/// [`NetError`], or that of `sign`.
pub async fn enrol<E: From<NetError>>(
    endpoint: &Endpoint,
    sign: impl AsyncFnOnce([u8; TLS_EXPORTER_LEN], [u8; LOGIN_NONCE_LEN]) -> Result<EnrolmentRequest, E>,
) -> Result<(), E> {
    let mut connection = Connection::open(endpoint, Plane::Authenticated).await?;
    let challenge: LoginChallenge =
        connection.call(&Call::new(Method::POST, relay_path::LOGIN_CHALLENGE)).await?.json()?;
    let nonce = challenge.nonce.0.try_into().map_err(|_| NetError::Protocol(Fault::Body))?;
    let request = sign(*connection.exporter(), nonce).await?;
    let answer = connection.call(&Call::new(Method::POST, path::ENROLMENT).json(&request)).await?;
    // The token in it is of this connection, which ends here.
    answer.json::<LoginResponse>()?;
    Ok(())
}

impl Authenticated {
    /// Asks the broker to send a code to a number.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn claim_number(&self, number: &E164) -> Result<ClaimStarted, NetError> {
        let request = ClaimRequest { number: number.clone() };
        self.call(Call::new(Method::POST, path::NUMBERS).json(&request)).await?.json()
    }

    /// Hands in the code and the signed statement.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn confirm_number(&self, claim: &str, request: &ConfirmRequest) -> Result<ConfirmAnswer, NetError> {
        self.call(Call::new(Method::POST, path::confirm(claim)).json(request)).await?.json()
    }

    /// Lets a number go.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn release_number(&self, number: &E164, request: &ReleaseRequest) -> Result<(), NetError> {
        self.call(Call::new(Method::DELETE, path::number(number)).json(request)).await.map(drop)
    }

    /// Ends another account's wait for a number of ours.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn veto_number(&self, number: &E164) -> Result<(), NetError> {
        self.call(Call::new(Method::POST, path::veto(number))).await.map(drop)
    }

    /// Whether others find a number of ours.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn set_number_visibility(&self, number: &E164, discoverable: bool) -> Result<(), NetError> {
        let request = Visibility { discoverable };
        self.call(Call::new(Method::PUT, path::visibility(number)).json(&request)).await.map(drop)
    }

    /// One of our numbers, or one that we wait for.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn number_view(&self, number: &E164) -> Result<NumberView, NetError> {
        self.call(Call::new(Method::GET, path::number(number))).await?.json()
    }

    /// All of them.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn number_views(&self) -> Result<NumbersView, NetError> {
        self.call(Call::new(Method::GET, path::NUMBERS)).await?.json()
    }

    /// Who has a number.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn look_up_number(&self, number: &E164) -> Result<LookupAnswer, NetError> {
        let request = LookupRequest { number: number.clone() };
        self.call(Call::new(Method::POST, path::LOOKUPS).json(&request)).await?.json()
    }
}
