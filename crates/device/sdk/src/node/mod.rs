//! The face for Node, through N-API, in the same library as the others.
//!
//! Records cross as JSON text in the shape of `sdk/typescript/src/types.ts`: parsing one text costs V8 less than building an object field
//! by field over the border. Bytes cross as buffers. A call that failed rejects with an error whose message is the JSON of a
//! [`RcsealError`]; the layer in TypeScript makes an error of its own class out of it and is the only one to call what is exported here.
//!
//! What an app implements runs on Node's own thread, to which a *thread-safe function* hands each call; whoever asked waits on a thread
//! that is neither Node's nor a runtime's.

mod backup;
mod client;
mod conversation;
#[cfg(feature = "crypto-only")]
mod crypto_only;
mod device;
mod hand_over;
mod listener;
mod push;
mod vault;
mod words;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use napi::bindgen_prelude::{PromiseRaw, ToNapiValue};
use napi::{Env, Error, JsError, JsValue as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::RcsealError;
use crate::runtime::runtime;

/// The answer of a call. What is exported spells it out: the macro knows a result by its name, and hands any other type over as a value.
type Answer<T> = napi::Result<T>;

/// An error as the layer in TypeScript expects it.
#[derive(Serialize)]
struct Failure<'a> {
    kind: &'a str,
    code: &'a str,
    retryable: bool,
    reason: &'a str,
}

fn failed(error: RcsealError) -> Error {
    let failure =
        Failure { kind: error.kind(), code: error.code(), retryable: error.retryable(), reason: error.reason() };
    Error::from_reason(serde_json::to_string(&failure).unwrap_or_else(|_| error.code().to_owned()))
}

/// Makes a promise out of a call, which is begun on Node's own thread: what can be answered at once is, and what cannot has only to be woken
/// when its answer is there. Handing every call to another thread first costs as much as the rest of the border.
fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    call: impl Future<Output = Answer<T>> + Send + 'static,
) -> Answer<PromiseRaw<'env, T>> {
    let mut call = Box::pin(call);
    // Unwinding must end here: at Node's frames it takes the process with it, and in a task it leaves a promise that nobody settles.
    let mut step = move |context: &mut Context<'_>| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))).unwrap_or_else(|_| {
            Poll::Ready(Err(failed(RcsealError::internal("sdk.panic", "the call ended with a panic"))))
        })
    };
    let runtime = runtime().map_err(failed)?;
    let begun = {
        let _entered = runtime.enter();
        step(&mut Context::from_waker(Waker::noop()))
    };
    match begun {
        Poll::Ready(Ok(value)) => PromiseRaw::resolve(env, value),
        Poll::Ready(Err(error)) => PromiseRaw::reject(env, JsError::from(error)),
        Poll::Pending => {
            let (deferred, promise) = env.create_deferred::<T, Settle<T>>()?;
            let promise = PromiseRaw::new(env.raw(), promise.raw());
            runtime.spawn(async move {
                match poll_fn(step).await {
                    Ok(value) => deferred.resolve(Box::new(move |_| Ok(value))),
                    Err(error) => deferred.reject(error),
                }
            });
            Ok(promise)
        }
    }
}

/// Makes the value of a promise, on Node's thread.
type Settle<T> = Box<dyn FnOnce(Env) -> Answer<T> + Send>;

/// A record as text.
fn text<T: Serialize>(record: &T) -> Answer<String> {
    serde_json::to_string(record)
        .map_err(|_| failed(RcsealError::internal("sdk.record", "a record could not be written as JSON")))
}

/// What a call answered, as text.
fn answer<T: Serialize>(outcome: Result<T, RcsealError>) -> Answer<String> {
    text(&outcome.map_err(failed)?)
}

/// An argument that is a record.
fn record<T: DeserializeOwned>(name: &'static str, text: &str) -> Answer<T> {
    serde_json::from_str(text).map_err(|_| failed(RcsealError::argument(name)))
}

/// A count that JavaScript keeps as a double: negative ones, fractions and what is above 2^53 are refused.
fn whole(name: &'static str, number: f64) -> Answer<u64> {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    if (0.0..=SAFE_MAX).contains(&number) && number.fract() == 0.0 {
        // In range and whole, so that nothing is cut off.
        return Ok(number as u64);
    }
    Err(failed(RcsealError::argument(name)))
}

/// The same for counts of 32 bits.
fn whole_u32(name: &'static str, number: f64) -> Answer<u32> {
    u32::try_from(whole(name, number)?).map_err(|_| failed(RcsealError::argument(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_are_whole_and_within_what_a_double_holds() {
        assert_eq!(whole("n", 0.0).unwrap(), 0);
        assert_eq!(whole("n", 9_007_199_254_740_991.0).unwrap(), (1 << 53) - 1);
        for wrong in [-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0] {
            assert!(whole("n", wrong).unwrap_err().reason.contains("argument_malformed"));
        }
    }

    #[test]
    fn an_error_is_json_with_its_four_fields() {
        let error = failed(RcsealError::argument("folder"));
        let fields: serde_json::Value = serde_json::from_str(&error.reason).unwrap();
        assert_eq!(fields["kind"], "invalid_argument");
        assert_eq!(fields["code"], "argument_malformed");
        assert_eq!(fields["retryable"], false);
        assert!(fields["reason"].as_str().unwrap().contains("folder"));
    }
}
