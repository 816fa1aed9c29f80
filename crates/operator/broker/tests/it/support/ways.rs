//! What the broker sends, caught.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use rcseal_broker::code::{Code, CodeNotSent, CodeSender};
use rcseal_broker::notice::{NoticeFailure, NoticeSender, NoticeTaken, NoticeTarget};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::{BrokerNotice, NoticeKind};
use rcseal_wire::id::AccountId;
use rcseal_wire::number::E164;

/// Phones that are sent codes.
#[derive(Default)]
pub struct Codes {
    sent: Mutex<HashMap<String, Vec<String>>>,
    pub is_down: Mutex<bool>,
}

#[async_trait]
impl CodeSender for Codes {
    async fn send(&self, to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent> {
        if *self.is_down.lock().unwrap() {
            return Err(CodeNotSent { code: "gateway_down" });
        }
        assert!(code.text().contains(code.expose()));
        self.sent.lock().unwrap().entry(to.as_str().to_owned()).or_default().push(code.expose().to_owned());
        Ok(())
    }
}

impl Codes {
    /// The newest code at a number.
    pub fn newest(&self, number: &E164) -> String {
        self.sent.lock().unwrap()[number.as_str()].last().unwrap().clone()
    }

    /// How many went to a number.
    pub fn count(&self, number: &E164) -> usize {
        self.sent.lock().unwrap().get(number.as_str()).map_or(0, Vec::len)
    }

    /// A code that was not sent.
    pub fn wrong(&self, number: &E164) -> String {
        let right: u32 = self.newest(number).parse().unwrap();
        format!("{:06}", (right + 1) % 1_000_000)
    }

    /// How many went out at all.
    pub fn total(&self) -> usize {
        self.sent.lock().unwrap().values().map(Vec::len).sum()
    }
}

/// Mailboxes that are sent notices.
#[derive(Default)]
pub struct Notices {
    sent: Mutex<Vec<(AccountId, BrokerNotice)>>,
    /// What relays answer instead of taking them.
    pub answer: Mutex<Option<Result<NoticeTaken, NoticeFailure>>>,
}

#[async_trait]
impl NoticeSender for Notices {
    async fn send(&self, to: &NoticeTarget, notice: &BrokerNotice) -> Result<NoticeTaken, NoticeFailure> {
        if let Some(answer) = *self.answer.lock().unwrap() {
            return answer;
        }
        self.sent.lock().unwrap().push((to.device.account, notice.clone()));
        Ok(NoticeTaken::Taken)
    }
}

impl Notices {
    /// The kinds of notices that an account got, oldest first.
    pub fn of(&self, account: AccountId) -> Vec<NoticeKind> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(to, _)| *to == account).map(|(_, notice)| notice.kind).collect()
    }
}
