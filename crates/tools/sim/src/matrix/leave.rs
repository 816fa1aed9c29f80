//! The user's leave for a mode that others can read, in a conversation between two clients: tried without, given, announced, taken back.

use rcseal_client::ClientError;
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, PolicyError, PolicyScope, Subject};
use rcseal_wire::id::MessageId;

use super::MatrixError;
use super::outcome::{Direction, Fate, Told};
use super::story::{LIMIT, Pair, until};
use crate::story::in_an_hour;

/// What keeps a user's word from being taken although the other side's keys only changed: the user looks at the change, accepts it, and
/// says it again.
async fn despite_change<T, R>(
    pair: &Pair,
    direction: Direction,
    word: impl Fn() -> R,
) -> Result<Result<T, PolicyError>, MatrixError>
where
    R: Future<Output = Result<T, ClientError>>,
{
    let mut said = word().await;
    if said.as_ref().is_err_and(|error| error.code() == "verification_changed") {
        let (from, to) = pair.sides(direction);
        from.client.accept_change(to.account).await?;
        said = word().await;
    }
    match said {
        Ok(said) => Ok(Ok(said)),
        Err(ClientError::Policy(error)) => Ok(Err(error)),
        Err(error) => Err(error.into()),
    }
}

/// The user tries to let a conversation go readable that policy keeps end to end.
pub(super) async fn try_without(pair: &Pair, mode: DeliveryMode, wrongs: &mut Vec<String>) -> Result<(), MatrixError> {
    let near = &pair.near.client;
    let said = despite_change(pair, Direction::Out, || near.acknowledge_downgrade(pair.conversation, mode)).await?;
    if !matches!(said, Err(PolicyError::NotAllowed)) {
        wrongs.push(format!("a word for {} was taken without leave: {said:?}", mode.as_str()));
    }
    Ok(())
}

/// Policy and consent of one side allow the mode.
pub(super) async fn allow(pair: &Pair, direction: Direction, mode: DeliveryMode) -> Result<(), MatrixError> {
    let (from, _) = pair.sides(direction);
    from.client.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await?;
    from.client.give_consent(Subject::Conversation(pair.conversation), mode, in_an_hour()).await?;
    Ok(())
}

/// One side's user says that the conversation goes in this mode, and the other side shows it, which came end to end.
pub(super) async fn announce(
    pair: &Pair,
    direction: Direction,
    mode: DeliveryMode,
    wrongs: &mut Vec<String>,
) -> Result<(), MatrixError> {
    let (from, _) = pair.sides(direction);
    let said = despite_change(pair, direction, || from.client.acknowledge_downgrade(pair.conversation, mode)).await?;
    match said {
        Ok(notice) => {
            if !is_shown(pair, direction, notice).await? {
                wrongs.push(format!("the other side was not told of {}", mode.as_str()));
            }
        }
        Err(error) => wrongs.push(format!("the word for {} was refused: {}", mode.as_str(), error.code())),
    }
    Ok(())
}

/// One side's user wants the conversation end to end again, and the other side shows that.
pub(super) async fn take_back(pair: &Pair, direction: Direction, wrongs: &mut Vec<String>) -> Result<(), MatrixError> {
    let (from, _) = pair.sides(direction);
    let said = despite_change(pair, direction, || from.client.restore_conversation(pair.conversation)).await?;
    match said {
        Ok(notice) => {
            if !is_shown(pair, direction, notice).await? {
                wrongs.push("the other side was not told that it is end to end again".to_owned());
            }
        }
        // A phone that wrote end to end meanwhile has ended it already.
        Err(PolicyError::NotDowngraded) => {}
        Err(error) => wrongs.push(format!("a downgrade could not be taken back: {}", error.code())),
    }
    if from.client.acknowledged_downgrade(pair.conversation).await?.is_some() {
        wrongs.push("a downgrade that was taken back is still there".to_owned());
    }
    Ok(())
}

/// Whether the other side shows a notice that came end to end.
async fn is_shown(pair: &Pair, direction: Direction, notice: MessageId) -> Result<bool, MatrixError> {
    let (from, to) = pair.sides(direction);
    let phones = [&pair.near, &pair.far];
    let shown = until(&phones, LIMIT, || async {
        // To a phone that was installed again it goes once its sender has looked at the change.
        pair.approve_held().await?;
        let found = to.client.message(pair.conversation, from.account, notice).await?;
        Ok(found.filter(|notice| notice.encryption.is_end_to_end()).map(|_| ()))
    });
    Ok(shown.await?.is_some())
}

/// What is wrong where these were to go end to end, or by leave.
pub(super) fn expect(what: &str, told: &[Told], is_right: impl Fn(&Fate) -> bool, wrongs: &mut Vec<String>) {
    for told in told.iter().filter(|told| !is_right(&told.fate)) {
        wrongs.push(format!("{what}, {:?} of {} bytes: {}", told.direction, told.len, told.fate.word()));
    }
    for told in told.iter().filter(|told| told.shown > 1) {
        wrongs.push(format!("{what}, {:?} of {} bytes: shown {} times", told.direction, told.len, told.shown));
    }
}

/// A message that went end to end by the relay, as decided.
pub(super) fn is_relayed(fate: &Fate) -> bool {
    matches!(fate, Fate::Delivered(DeliveryMode::Relayed))
}

/// A message that arrived by the user's leave, with its words as they were written.
pub(super) fn is_by_leave(fate: &Fate) -> bool {
    matches!(fate, Fate::Readable { is_intact: true })
}
