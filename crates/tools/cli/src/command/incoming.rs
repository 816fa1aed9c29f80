//! What `listen` and `chat` do with events: print them, save files, send read receipts; then the event is done with.
//!
//! An event is forgotten after it was printed, so a process that dies in between prints it once more. The message itself is stored once
//! whatever happens.

use std::collections::HashMap;
use std::path::PathBuf;

use rcseal_client::client::Client;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::event::{Event, NumberedEvent};
use rcseal_engine::message::MessageView;
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use serde_json::json;

use super::{attach, thread};
use crate::device::Names;
use crate::error::{CliError, describe};
use crate::output::Output;
use crate::view;

/// Where events go.
pub(crate) struct Incoming<'a> {
    client: &'a Client,
    output: Output,
    names: Names,
    save: Option<PathBuf>,
    read: bool,
    has_read: bool,
    /// The last change that was printed for people: one message may change several times before it is looked at.
    last_change: String,
    /// The lines of the past that people see already, by sender and message: an event that would print one again is done with silently.
    shown: HashMap<(AccountId, MessageId), String>,
}

/// What an event was about.
#[derive(Debug)]
pub(crate) enum Handled {
    /// A message that somebody else wrote.
    Received(MessageView),
    /// A message of ours that has come further, or was changed.
    Changed(MessageView),
    /// Something else.
    Other,
}

impl<'a> Incoming<'a> {
    /// Prints to `output`; saves files into `save`; with `read`, tells senders that their messages were read.
    pub(crate) async fn new(
        client: &'a Client,
        output: Output,
        save: Option<PathBuf>,
        read: bool,
    ) -> Result<Self, CliError> {
        Ok(Self {
            client,
            output,
            names: Names::read(client).await?,
            save,
            read,
            has_read: false,
            last_change: String::new(),
            shown: HashMap::new(),
        })
    }

    /// Prints a message of the past for people. Its event may still wait: a command that was not listening can have received it.
    pub(crate) fn show_past(&mut self, message: &MessageView) {
        let line = view::message_text(message, &self.names);
        self.output.text(&line);
        self.shown.insert((message.sender.account, message.id), line);
    }

    /// Whether people see exactly this line of the message already.
    fn is_shown(&self, message: &MessageView, line: &str) -> bool {
        self.shown.get(&(message.sender.account, message.id)).is_some_and(|shown| shown == line)
    }

    /// Whether read receipts have become due.
    pub(crate) const fn has_read(&self) -> bool {
        self.has_read
    }

    /// Deals with one event.
    ///
    /// # Errors
    /// Those of the store. A file that cannot be fetched now is told and is no error.
    pub(crate) async fn handle(&mut self, event: NumberedEvent) -> Result<Handled, CliError> {
        let handled = match event.event {
            Event::MessageReceived { conversation, sender, message } => {
                match self.message(conversation, sender, message).await? {
                    Some(message) => {
                        self.received(&message).await?;
                        Handled::Received(message)
                    }
                    None => Handled::Other,
                }
            }
            Event::MessageChanged { conversation, sender, message } => {
                match self.message(conversation, sender, message).await? {
                    Some(message) => {
                        self.changed(&message);
                        Handled::Changed(message)
                    }
                    None => Handled::Other,
                }
            }
            Event::PlainReceived { number, order } if number.number().is_some() => {
                self.plain("plain_received", number, order).await?;
                Handled::Other
            }
            Event::PlainChanged { number, order } if number.number().is_some() => {
                self.plain("plain_changed", number, order).await?;
                Handled::Other
            }
            other => {
                if let Event::ContactAdded { .. } | Event::DevicesChanged { .. } = other {
                    self.names = Names::read(self.client).await?;
                }
                if let Some((json, text)) = view::event(&other, &self.names) {
                    match text {
                        Some(text) => self.output.result(|| json, || text),
                        None if self.output.is_json() => self.output.json(&json),
                        None => {}
                    }
                }
                Handled::Other
            }
        };
        self.client.forget_events(event.number).await?;
        Ok(handled)
    }

    /// Words in a thread: what came, or how far what was sent has come.
    async fn plain(&self, event: &str, number: NumberKey, order: u64) -> Result<(), CliError> {
        let Some(number) = number.number() else { return Ok(()) };
        let newest = self.client.plain_messages(number.clone(), Some(order.saturating_add(1)), 1).await?;
        let Some(message) = newest.into_iter().find(|message| message.order == order) else { return Ok(()) };
        let threads = self.client.threads().await?;
        let name = threads.into_iter().find(|thread| thread.number == number).map_or_else(String::new, |it| it.name);
        self.output.result(
            || thread::message_json(event, &number, &message),
            || thread::message_text(&name, &number, &message),
        );
        Ok(())
    }

    async fn message(
        &self,
        conversation: ConversationId,
        sender: AccountId,
        message: MessageId,
    ) -> Result<Option<MessageView>, CliError> {
        Ok(self.client.message(conversation, sender, message).await?)
    }

    fn changed(&mut self, message: &MessageView) {
        if self.output.is_json() {
            self.output.json(&view::message_json("changed", message));
            return;
        }
        let text = view::message_text(message, &self.names);
        if self.is_shown(message, &text) {
            return;
        }
        self.shown.remove(&(message.sender.account, message.id));
        let line = format!("* {text}");
        if line != self.last_change {
            self.output.text(&line);
            self.last_change = line;
        }
    }

    async fn received(&mut self, message: &MessageView) -> Result<(), CliError> {
        if self.output.is_json() {
            self.output.json(&view::message_json("message", message));
        } else if !self.shown.contains_key(&(message.sender.account, message.id)) {
            self.output.text(&view::message_text(message, &self.names));
        }
        let media = match message.content.as_ref().map(rcseal_wire::content::Content::body) {
            Some(Body::Media(_)) => true,
            Some(_) | None => false,
        };
        if let (true, Some(folder)) = (media, &self.save) {
            match attach::save(self.client, message, folder, self.output).await {
                Ok(path) => self.output.result(
                    || json!({ "event": "saved", "message": message.id.to_string(), "path": path.display().to_string() }),
                    || format!("* saved {}", path.display()),
                ),
                Err(error) => self.output.result(
                    || json!({ "event": "not_saved", "message": message.id.to_string(), "code": error.code() }),
                    || format!("* not saved: {}", describe(&error)),
                ),
            }
        }
        if self.read && !message.is_outgoing {
            self.client.mark_read(message.conversation, message.order).await?;
            self.has_read = true;
        }
        Ok(())
    }
}
