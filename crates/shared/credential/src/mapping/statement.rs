//! What an account says of a number, under its account key.

use rcseal_crypto::ed25519::{Signature, VerifyingKey};
use rcseal_wire::id::{AccountId, BrokerKeyId, DeviceNumber, KeySetCounter, KeySetHash, MappingHash};
use rcseal_wire::number::E164;

use super::codec::{self, StatementFields};
use super::{FormError, MAPPING_VERSION, MappingError, STATEMENT_LABEL, STATEMENT_LEN_MAX};
use crate::{AccountSigner, VerifiedKeySet};

/// What the statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The number is the account's.
    Bind,
    /// The account lets the number go.
    Release,
}

impl Action {
    const fn code(self) -> u8 {
        match self {
            Self::Bind => 1,
            Self::Release => 2,
        }
    }

    const fn from_code(code: u8) -> Result<Self, FormError> {
        match code {
            1 => Ok(Self::Bind),
            2 => Ok(Self::Release),
            code => Err(FormError::UnknownCode { code }),
        }
    }
}

/// What an account says of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberStatement {
    /// What for.
    pub action: Action,
    /// The number.
    pub number: E164,
    /// Whose it is, or was.
    pub account: AccountId,
    /// The device that carriers reach by it.
    pub device: DeviceNumber,
    /// The place in the number's chain at this broker: 1 for the first mapping, then one more each time. A release names the place of
    /// the mapping that will follow it.
    pub sequence: u64,
    /// The hash of the mapping before; none for the first.
    pub previous: Option<MappingHash>,
    /// The key set under which it is signed.
    pub key_set_counter: KeySetCounter,
    /// Its hash.
    pub key_set_hash: KeySetHash,
    /// For which broker.
    pub broker: BrokerKeyId,
    /// When, by the account's clock. Unix time in milliseconds.
    pub issued_at_ms: u64,
}

impl NumberStatement {
    /// Signs with the account key.
    ///
    /// # Errors
    /// [`FormError`] for what no reader would parse.
    pub fn sign(&self, signer: &AccountSigner) -> Result<SignedStatement, FormError> {
        let mut bytes = codec::encode(&self.fields());
        let signature = signer.sign_statement(&[STATEMENT_LABEL, &bytes]);
        bytes.extend_from_slice(signature.as_bytes());
        SignedStatement::parse(&bytes)
    }

    fn fields(&self) -> StatementFields {
        StatementFields {
            version: MAPPING_VERSION,
            action: self.action.code(),
            number: self.number.as_str().as_bytes().to_vec().into(),
            account: *self.account.as_bytes(),
            device: self.device.get(),
            sequence: self.sequence,
            previous: self.previous.map_or([0; 32], |hash| *hash.as_bytes()),
            key_set_counter: self.key_set_counter.get(),
            key_set_hash: *self.key_set_hash.as_bytes(),
            broker: *self.broker.as_bytes(),
            issued_at_ms: self.issued_at_ms,
        }
    }

    fn from_fields(fields: &StatementFields) -> Result<Self, FormError> {
        let action = Action::from_code(fields.action)?;
        let names_none = fields.previous == [0; 32];
        let is_first = fields.sequence == 1;
        if fields.sequence == 0 || is_first != names_none || (is_first && action == Action::Release) {
            return Err(FormError::Sequence { sequence: fields.sequence });
        }
        if fields.key_set_counter == 0 {
            return Err(FormError::Counter);
        }
        VerifyingKey::from_bytes(&fields.broker).map_err(FormError::Key)?;
        let number = std::str::from_utf8(fields.number.as_slice()).map_err(|_| FormError::Number)?;
        Ok(Self {
            action,
            number: number.parse().map_err(|_| FormError::Number)?,
            account: AccountId::from_bytes(fields.account),
            device: DeviceNumber::new(fields.device).map_err(FormError::Device)?,
            sequence: fields.sequence,
            previous: (!names_none).then(|| MappingHash::from_bytes(fields.previous)),
            key_set_counter: KeySetCounter::new(fields.key_set_counter),
            key_set_hash: KeySetHash::from_bytes(fields.key_set_hash),
            broker: BrokerKeyId::from_bytes(fields.broker),
            issued_at_ms: fields.issued_at_ms,
        })
    }
}

/// A well-formed statement whose signature nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    bytes: Vec<u8>,
    body_len: usize,
    statement: NumberStatement,
    signature: Signature,
}

impl SignedStatement {
    /// Parses the full signed bytes.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        codec::check_head(bytes, STATEMENT_LEN_MAX)?;
        let (fields, rest): (StatementFields, _) = codec::decode(bytes)?;
        let body_len = bytes.len() - rest.len();
        let signature: [u8; 64] = codec::decode_exact(rest)?;
        let statement = NumberStatement::from_fields(&fields)?;
        Ok(Self { bytes: bytes.to_vec(), body_len, statement, signature: Signature(signature) })
    }

    /// The full signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was signed, without the signature.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[..self.body_len]
    }

    /// What it claims.
    #[must_use]
    pub const fn statement(&self) -> &NumberStatement {
        &self.statement
    }

    /// Whether this key signed it, under whatever key set.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify(&[STATEMENT_LABEL, self.body()], &self.signature).is_ok()
    }

    /// Checks that it was signed under this key set, and by a device of it.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn verify(self, key_set: &VerifiedKeySet) -> Result<VerifiedStatement, MappingError> {
        let statement = &self.statement;
        let names_it = statement.account == key_set.account()
            && statement.key_set_counter == key_set.counter()
            && statement.key_set_hash == key_set.hash();
        if !names_it {
            return Err(MappingError::KeySet);
        }
        let account_key = *key_set.account_key();
        if !self.is_signed_by(&account_key) {
            return Err(MappingError::AccountSignature);
        }
        if key_set.device(statement.device).is_none() {
            return Err(MappingError::Device);
        }
        Ok(VerifiedStatement { signed: self, account_key })
    }
}

/// A statement that the account's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStatement {
    signed: SignedStatement,
    account_key: VerifyingKey,
}

impl VerifiedStatement {
    /// What it says.
    #[must_use]
    pub const fn statement(&self) -> &NumberStatement {
        self.signed.statement()
    }

    /// The full signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// The object itself.
    #[must_use]
    pub const fn signed(&self) -> &SignedStatement {
        &self.signed
    }

    /// The key that signed.
    #[must_use]
    pub const fn account_key(&self) -> &VerifyingKey {
        &self.account_key
    }
}
