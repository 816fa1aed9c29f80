//! The tenants' routes, and those that providers and gateways call.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rcseal_carrier::business::webhook::{BODY_LEN_MAX, WebhookError};
use rcseal_carrier::business::{MessageId, ProviderFailure, Reach, RevokeOutcome, Webhook};
use rcseal_carrier::sms::http_gateway::Callback;
use rcseal_front::carried_out::carried_out;
use rcseal_front::{ApiBytes, ApiJson, ApiPath, ApiQuery, Refusal};
use rcseal_store::broker::business::MessageKey;
use rcseal_wire::api::business::{
    BUSINESS_EVENTS_MAX, BUSINESS_WAIT_SECONDS_MAX, BusinessEvent, BusinessEvents, BusinessMessageRequest,
    BusinessReach, BusinessReachRequest, BusinessRevoked, BusinessStatus,
};
use rcseal_wire::problem::{Problem, ProblemCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::metrics::WebhookOutcome;
use super::request::{self, Unsendable};
use super::runner::BeginError;
use super::tenant::Tenant;
use crate::state::AppState;

/// The path of SMS gateways' call-backs, without the secret.
pub(crate) const SMS_CALLBACK: &str = "/v1/callbacks/sms";

/// Bytes of a tenant's request: the longest message, with every suggestion.
const REQUEST_LEN_MAX: usize = 256 * 1024;

/// Names of the headers by which a gateway signs.
const SIGNATURE_HEADER: &str = "x-signature";
const TIMESTAMP_HEADER: &str = "x-timestamp";

/// The routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let tenants = OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(status, withdraw))
        .routes(routes!(capabilities))
        .routes(routes!(events))
        .layer(DefaultBodyLimit::max(REQUEST_LEN_MAX));
    let callers = OpenApiRouter::new()
        .routes(routes!(webhook))
        .routes(routes!(sms_posted, sms_got))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX));
    tenants.merge(callers)
}

/// The tenant whose key a request shows.
struct Caller(Arc<Tenant>);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        state.business.tenants.by_key(key).map(Self)
    }
}

impl Caller {
    fn agent(&self, name: Option<&str>) -> Result<&str, Refusal> {
        self.0.agent(name).ok_or_else(|| Refusal::with_detail(ProblemCode::NotFound, "no such agent"))
    }

    fn key(&self, id: &str) -> Result<MessageKey, Refusal> {
        let id = MessageId::parse(id).ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        Ok(MessageKey { tenant: self.0.name.clone(), id: *id.as_bytes() })
    }
}

/// Sends a message of an agent.
#[utoipa::path(
    post, path = "/v1/business/messages", tag = "business",
    request_body = BusinessMessageRequest,
    responses(
        (status = 202, body = BusinessStatus),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem),
    )
)]
async fn send(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(request): ApiJson<BusinessMessageRequest>,
) -> Result<(StatusCode, Json<BusinessStatus>), Refusal> {
    let agent = caller.agent(request.agent.as_deref())?.to_owned();
    let (runner, tenant) = (Arc::clone(&state.business.runner), Arc::clone(&caller.0));
    let begun = carried_out(async move { runner.begin(&tenant, &agent, request).await });
    Ok((StatusCode::ACCEPTED, Json(begun.await?)))
}

/// How a message stands.
#[utoipa::path(
    get, path = "/v1/business/messages/{id}", tag = "business", params(("id" = String, Path)),
    responses((status = 200, body = BusinessStatus), (status = 401, body = Problem), (status = 404, body = Problem))
)]
async fn status(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<BusinessStatus>, Refusal> {
    let status = state.business.runner.status(caller.key(&id)?).await?;
    status.map(Json).ok_or_else(|| Refusal::new(ProblemCode::NotFound))
}

/// Takes a message back. No SMS leaves for it any more.
#[utoipa::path(
    delete, path = "/v1/business/messages/{id}", tag = "business", params(("id" = String, Path)),
    responses((status = 200, body = BusinessRevoked), (status = 401, body = Problem), (status = 404, body = Problem))
)]
async fn withdraw(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<BusinessRevoked>, Refusal> {
    let (runner, key) = (Arc::clone(&state.business.runner), caller.key(&id)?);
    let withdrawn = carried_out(async move { runner.withdraw(&key).await }).await?;
    let (outcome, status) = withdrawn.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
    let outcome = match outcome {
        RevokeOutcome::Confirmed => "confirmed",
        RevokeOutcome::Refused => "refused",
        RevokeOutcome::Unanswered => "unanswered",
        RevokeOutcome::Unsupported => "unsupported",
    };
    Ok(Json(BusinessRevoked { outcome: outcome.to_owned(), status }))
}

/// Whether a number can be reached by RCS.
#[utoipa::path(
    post, path = "/v1/business/capabilities", tag = "business",
    request_body = BusinessReachRequest,
    responses((status = 200, body = BusinessReach), (status = 401, body = Problem), (status = 502, body = Problem))
)]
async fn capabilities(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(request): ApiJson<BusinessReachRequest>,
) -> Result<Json<BusinessReach>, Refusal> {
    let agent = caller.agent(request.agent.as_deref())?;
    let agent = state.business.runner.agent(agent).ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
    let number = request::phone(&request.to).map_err(of_unsendable)?;
    let reach = agent.provider.capabilities(&number).await.map_err(|failure| of_provider(&failure))?;
    let (reach, features) = match reach {
        Reach::Rcs { features } => ("rcs", features),
        Reach::NotRcs => ("not_rcs", Vec::new()),
        Reach::Unknown => ("unknown", Vec::new()),
    };
    let features = features.iter().map(feature).collect();
    Ok(Json(BusinessReach { reach: reach.to_owned(), features }))
}

fn feature(feature: &rcseal_carrier::business::Feature) -> String {
    use rcseal_carrier::business::Feature;
    match feature {
        Feature::Revocation => "revocation".to_owned(),
        Feature::Card => "card".to_owned(),
        Feature::Carousel => "carousel".to_owned(),
        Feature::OpenUrl => "open_url".to_owned(),
        Feature::Dial => "dial".to_owned(),
        Feature::Other(name) => name.clone(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait: u64,
}

/// What happened to the tenant's messages, and what users wrote.
#[utoipa::path(
    get, path = "/v1/business/events", tag = "business",
    params(("after" = Option<u64>, Query), ("wait" = Option<u64>, Query)),
    responses((status = 200, body = BusinessEvents), (status = 401, body = Problem))
)]
async fn events(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<EventsQuery>,
) -> Result<Json<BusinessEvents>, Refusal> {
    let deadline = Instant::now() + Duration::from_secs(query.wait.min(BUSINESS_WAIT_SECONDS_MAX));
    let runner = &state.business.runner;
    let mut told = runner.told();
    loop {
        told.mark_unchanged();
        let found = runner.store().feed(caller.0.name.clone(), query.after, BUSINESS_EVENTS_MAX + 1).await?;
        if !found.is_empty() || Instant::now() >= deadline {
            let more = found.len() > BUSINESS_EVENTS_MAX;
            let events = found
                .into_iter()
                .take(BUSINESS_EVENTS_MAX)
                .map(|(sequence, entry)| {
                    let what = serde_json::from_slice(&entry).map_err(|_| Refusal::new(ProblemCode::Internal))?;
                    Ok(BusinessEvent { sequence, what })
                })
                .collect::<Result<_, Refusal>>()?;
            return Ok(Json(BusinessEvents { events, more }));
        }
        tokio::select! {
            _ = timeout_at(deadline, told.changed()) => {}
            () = state.stopping.cancelled() => return Err(Refusal::new(ProblemCode::ShuttingDown)),
        }
    }
}

/// A provider reports. Answered once what it says is durable.
#[utoipa::path(
    post, path = "/v1/webhooks/{agent}", tag = "business", params(("agent" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/json"),
    responses((status = 200), (status = 401, body = Problem), (status = 404, body = Problem))
)]
async fn webhook(
    State(state): State<AppState>,
    ApiPath(agent): ApiPath<String>,
    headers: HeaderMap,
    ApiBytes(body): ApiBytes,
) -> Result<Response, Refusal> {
    let runner = Arc::clone(&state.business.runner);
    let agent = runner.agent(&agent).cloned().ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
    let now_ms = state.business.clock.now().get();
    let parsed = match agent.provider.parse_webhook(&headers, &body, now_ms) {
        Ok(parsed) => parsed,
        Err(error) => {
            runner.metrics().webhook(WebhookOutcome::Refused);
            tracing::warn!(code = error.code(), agent = agent.name, "business.webhook_refused");
            return not_counted(&error);
        }
    };
    match parsed {
        Webhook::Handshake { answer } => Ok(([(header::CONTENT_TYPE, "text/plain")], answer).into_response()),
        Webhook::Events(events) => {
            let taking = async move {
                for event in events {
                    runner.reported(&agent, event).await.inspect_err(|_| {
                        runner.metrics().webhook(WebhookOutcome::Failed);
                    })?;
                }
                Ok::<_, Refusal>(())
            };
            // The provider may hang up: what it brought is taken all the same, and its repetition is known then.
            carried_out(taking).await?;
            Ok(StatusCode::OK.into_response())
        }
    }
}

/// What is said of a webhook that does not count. What the provider has signed and what never will count is acknowledged: users' clients write
/// some of what stands there, and one that could not be read would be repeated for days, with everybody else's waiting behind it.
fn not_counted(error: &WebhookError) -> Result<Response, Refusal> {
    let problem = match error.status() {
        200 => return Ok(StatusCode::OK.into_response()),
        400 => ProblemCode::Malformed,
        413 => ProblemCode::TooLarge,
        _ => ProblemCode::WebhookRefused,
    };
    Err(Refusal::with_detail(problem, error.code()))
}

/// An SMS gateway reports, or brings an SMS.
#[utoipa::path(
    post, path = "/v1/callbacks/sms/{secret}", tag = "business", params(("secret" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200), (status = 403), (status = 404, body = Problem))
)]
async fn sms_posted(
    State(state): State<AppState>,
    ApiPath(secret): ApiPath<String>,
    headers: HeaderMap,
    ApiBytes(body): ApiBytes,
) -> Result<Response, Refusal> {
    called_back(&state, &secret, &headers, &body).await
}

/// The same with the form in the address.
#[utoipa::path(
    get, path = "/v1/callbacks/sms/{secret}", tag = "business", params(("secret" = String, Path)),
    responses((status = 200), (status = 403), (status = 404, body = Problem))
)]
async fn sms_got(
    State(state): State<AppState>,
    ApiPath(secret): ApiPath<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    called_back(&state, &secret, &headers, uri.query().unwrap_or_default().as_bytes()).await
}

async fn called_back(state: &AppState, secret: &str, headers: &HeaderMap, content: &[u8]) -> Result<Response, Refusal> {
    let gateway = state.business.callbacks.as_ref().ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let call = Callback {
        secret,
        content,
        signature: text(SIGNATURE_HEADER),
        timestamp: text(TIMESTAMP_HEADER),
        now_ms: state.business.clock.now().get(),
    };
    let answer = gateway.callback(call).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok((status, [(header::CONTENT_TYPE, "text/plain")], answer.body).into_response())
}

fn of_unsendable(error: Unsendable) -> Refusal {
    Refusal::with_detail(ProblemCode::OutOfRange, error.code)
}

fn of_provider(failure: &ProviderFailure) -> Refusal {
    match failure {
        ProviderFailure::Busy { retry_after } => {
            Refusal::retry_after(ProblemCode::ProviderUnavailable, retry_after.unwrap_or(5))
        }
        other => Refusal::with_detail(ProblemCode::ProviderUnavailable, other.code()),
    }
}

impl From<BeginError> for Refusal {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Unsendable(source) => of_unsendable(source),
            BeginError::NoGateway => Self::with_detail(ProblemCode::OutOfRange, "no_sms_gateway"),
            BeginError::SmsNotAllowed => Self::with_detail(ProblemCode::OutOfRange, "sms_not_to_this_number"),
            BeginError::SmsUsedUp { retry_after_seconds } => {
                Self::retry_after(ProblemCode::RateLimited, retry_after_seconds)
            }
            BeginError::IdConflict => Self::new(ProblemCode::IdConflict),
            BeginError::NoAgent => Self::new(ProblemCode::NotFound),
            BeginError::Store(source) => Self::from(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_webhook_that_cannot_be_read_is_not_repeated_for_days() {
        for acknowledged in [WebhookError::Unreadable { what: "messageId" }, WebhookError::Late { by_ms: 1 }] {
            assert!(not_counted(&acknowledged).is_ok_and(|response| response.status() == StatusCode::OK));
        }
        for (refused, code) in [
            (WebhookError::Forged, "webhook_refused"),
            (WebhookError::SignatureMissing, "webhook_refused"),
            (WebhookError::Early { by_ms: 1 }, "webhook_refused"),
            (WebhookError::Malformed { what: "body" }, "malformed"),
            (WebhookError::TooLarge, "too_large"),
        ] {
            assert!(not_counted(&refused).is_err_and(|refusal| refusal.problem().code == code), "{refused}");
        }
    }
}
