//! For apps with an RCS stack of their own, in Node. Bodies cross as buffers.

use std::sync::Arc;

use napi::Env;
use napi::Status;
use napi::bindgen_prelude::PromiseRaw;
use napi::bindgen_prelude::{Buffer, Promise};
use napi::threadsafe_function::ThreadsafeFunction;
use napi_derive::napi;

use super::client::NativeClient;
use super::{answer, failed, promise, record};
use crate::hand_over::{PayloadPart, RcsStack, SecureSession, StackError, StackOutcome};
use crate::runtime::runtime;

/// One message of the carrier.
#[napi(object)]
pub struct NativePart {
    /// To whom.
    pub number: String,
    /// The body's media type.
    pub content_type: String,
    /// The body's encoding.
    pub content_encoding: Option<String>,
    /// The body.
    pub body: Buffer,
}

impl From<PayloadPart> for NativePart {
    fn from(part: PayloadPart) -> Self {
        let PayloadPart { number, content_type, content_encoding, body } = part;
        Self { number, content_type, content_encoding, body: body.into() }
    }
}

/// A message for the app's stack.
#[napi(object)]
pub struct NativePayload {
    /// The message.
    pub message_id: String,
    /// To whom.
    pub number: String,
    /// What to carry.
    pub parts: Vec<NativePart>,
}

/// Hands a part to the app's stack, on Node's thread; the answer is the outcome as JSON.
pub(super) type Carry = ThreadsafeFunction<NativePart, Promise<String>, NativePart, Status, false, true>;

/// The app's stack.
struct NodeStack(Carry);

impl RcsStack for NodeStack {
    /// Called on a thread of the blocking pool.
    fn send_encrypted_payload(&self, part: PayloadPart) -> Result<StackOutcome, StackError> {
        let failed = || StackError::Failed { reason: "the stack threw, or answered something else".to_owned() };
        let runtime = runtime().map_err(|_| failed())?;
        let outcome = runtime.block_on(async { self.0.call_async(part.into()).await?.await }).map_err(|_| failed())?;
        record("outcome", &outcome).map_err(|_| failed())
    }
}

#[napi]
impl NativeClient {
    /// The user gives a contact a number.
    #[napi]
    pub fn set_contact_number<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
        number: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().set_contact_number(contact_id, number).await.map_err(failed) })
    }

    /// The app has a stack and asks for what it carries.
    #[napi]
    pub fn use_app_stack<'env>(&self, env: &'env Env, config: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().use_app_stack(record("config", &config)?).await.map_err(failed) })
    }

    /// The app lends its stack.
    #[napi]
    pub fn attach_host_stack<'env>(
        &self,
        env: &'env Env,
        config: String,
        stack: Carry,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            let config = record("config", &config)?;
            this.client().attach_host_stack(config, Arc::new(NodeStack(stack))).await.map_err(failed)
        })
    }

    /// The stack is gone for good.
    #[napi]
    pub fn leave_carrier<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move { this.client().leave_carrier().await.map_err(failed) })
    }

    /// The session with a contact.
    #[napi]
    pub fn get_or_create_session<'env>(
        &self,
        env: &'env Env,
        contact_id: String,
    ) -> napi::Result<PromiseRaw<'env, NativeSession>> {
        let this = self.clone();
        promise(env, async move {
            Ok(NativeSession { session: this.client().get_or_create_session(contact_id).await.map_err(failed)? })
        })
    }

    /// Takes in what the stack received.
    #[napi]
    pub fn decrypt<'env>(
        &self,
        env: &'env Env,
        from_number: Option<String>,
        is_asserted: bool,
        content_type: String,
        content_encoding: Option<String>,
        body: Buffer,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let this = self.clone();
        promise(env, async move {
            let body = body.to_vec();
            answer(this.client().decrypt(from_number, is_asserted, content_type, content_encoding, body).await)
        })
    }
}

/// The session with a contact.
#[napi]
#[derive(Clone)]
pub struct NativeSession {
    session: Arc<SecureSession>,
}

#[napi]
impl NativeSession {
    /// The contact's id.
    #[napi(getter)]
    pub fn contact_id(&self) -> napi::Result<String> {
        self.session.contact_id().map_err(failed)
    }

    /// Sends a message and answers what to carry.
    #[napi]
    pub fn encrypt<'env>(&self, env: &'env Env, message: String) -> napi::Result<PromiseRaw<'env, NativePayload>> {
        let this = self.clone();
        promise(env, async move {
            let payload = Arc::clone(&this.session).encrypt(record("message", &message)?).await.map_err(failed)?;
            let parts = payload.parts.into_iter().map(NativePart::from).collect();
            Ok(NativePayload { message_id: payload.message_id, number: payload.number, parts })
        })
    }

    /// What the stack made of it.
    #[napi]
    pub fn report<'env>(
        &self,
        env: &'env Env,
        message_id: String,
        outcome: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let this = self.clone();
        promise(env, async move {
            Arc::clone(&this.session).report(message_id, record("outcome", &outcome)?).await.map_err(failed)
        })
    }
}
