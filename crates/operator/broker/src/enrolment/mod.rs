//! Accounts that show themselves to the broker, and their login.
//!
//! An enrolment is a login by a key set that the broker does not know yet. Three parties have to agree: the *device* signs the challenge of
//! this TLS connection with the key that the key set lists for it; the *key set* holds together, and follows the one that is stored; the
//! *relay* of the account, one that the operator has listed, answers the very same bytes to the delivery token. So nobody enrols an account
//! whose device they are not, and a made-up key set with somebody's account id ends at the relay.
//!
//! What is stored ages. It is compared with the relay's answer at logins, now and then, and at every claim of a number.
//! Spec: `docs/protocol/broker.md`, section Enrolment.

mod error;
mod http;
mod key_set;
mod refresh;

pub(crate) use error::EnrolmentError;
pub(crate) use http::routes;
pub(crate) use key_set::read_verified;
pub(crate) use refresh::refresh;
