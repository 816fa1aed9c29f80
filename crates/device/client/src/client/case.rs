//! Cases of businesses: the client's face of the engine's `case`.

use rcseal_engine::case::{BusinessCaseView, CaseView, NewCase};
use rcseal_wire::content::CaseId;
use rcseal_wire::continuation::Continuation;
use rcseal_wire::id::ConversationId;

use super::{Client, ClientError};

impl Client {
    /// Opens a case and makes the link for its card. The link is shown here and never again.
    ///
    /// # Errors
    /// [`ClientError::Case`].
    pub async fn open_case(&self, new: NewCase) -> Result<Continuation, ClientError> {
        self.core.change(move |engine| engine.open_case(&new)).await
    }

    /// Takes a link back that nobody has followed.
    ///
    /// # Errors
    /// [`ClientError::Case`].
    pub async fn revoke_case(&self, case: CaseId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.revoke_case(case)).await
    }

    /// Ends a case.
    ///
    /// # Errors
    /// [`ClientError::Case`].
    pub async fn close_case(&self, case: CaseId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.close_case(case)).await
    }

    /// Follows a link. The business's answer comes as an event.
    ///
    /// # Errors
    /// [`ClientError::Case`].
    pub async fn continue_case(&self, link: String) -> Result<ConversationId, ClientError> {
        self.core.change(move |engine| engine.continue_case(&link)).await
    }

    /// The cases of a conversation, the one that changed last first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn cases_of(&self, conversation: ConversationId) -> Result<Vec<CaseView>, ClientError> {
        self.core.engine(move |engine| engine.cases_of(conversation)).await
    }

    /// One case that this account opened.
    ///
    /// # Errors
    /// [`ClientError::Case`].
    pub async fn business_case(&self, case: CaseId) -> Result<BusinessCaseView, ClientError> {
        self.core.engine(move |engine| engine.business_case(case)).await
    }

    /// Cases that this account opened, after one in the order of their ids.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn business_cases(&self, after: Option<CaseId>) -> Result<Vec<BusinessCaseView>, ClientError> {
        self.core.engine(move |engine| engine.business_cases(after)).await
    }
}
