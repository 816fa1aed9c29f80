//! `rcseal chat`: lines that are typed are sent, what arrives is printed as it comes.
//!
//! It works without a terminal as well: lines come from a pipe, results go out as JSON lines, and at the end of the input it stays until
//! the relay has everything that was sent. A line that has been answered with `sent` is durable on this device.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use rcseal_client::client::{Client, Status};
use rcseal_engine::contact::ContactView;
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until};

use super::attach;
use super::incoming::{Handled, Incoming};
use super::send::message_id;
use crate::args::ChatArgs;
use crate::carrier::{self, REGISTER_WAIT};
use crate::device;
use crate::error::{CliError, describe, with_recipient};
use crate::output::Output;
use crate::profile::Profile;
use crate::serve::wait_for_stop;
use crate::view;

/// Messages of the past that a chat begins with.
const HISTORY_LEN: usize = 10;
/// How long the end waits for the relay to take what was sent.
const GOODBYE: Duration = Duration::from_secs(15);
/// How often it tries a server that was away, meanwhile.
const GOODBYE_ATTEMPT: Duration = Duration::from_secs(3);
/// Lines read ahead of their sending.
const LINES_AHEAD: usize = 16;

const HELP: &str = "\
/file PATH [WORDS]    send a file
/react EMOJI [ID]     react to the last message received, or to another one
/reply WORDS          answer the last message received
/quit                 leave (so does the end of the input)
//WORDS               send words that begin with a slash";

/// What a typed line means.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    File { path: String, caption: String },
    React { emoji: String, to: Option<String> },
    Reply(String),
    Help,
    Quit,
    Empty,
    Unknown(String),
}

/// Runs the command.
///
/// # Errors
/// [`CliError`]; [`CliError::StillQueued`] when the relay did not take everything by the end.
pub(crate) async fn run(args: ChatArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let contact = match device::contact(&client, &args.contact).await {
        // Whoever writes first may have written while nobody listened.
        Err(unknown @ CliError::UnknownContact { .. }) => match client.sync_once().await {
            Ok(_) => device::contact(&client, &args.contact).await?,
            Err(_) => return Err(unknown),
        },
        found => found?,
    };
    let way = carrier::attach(&client, output, REGISTER_WAIT).await?;
    if let Some(way) = way.as_ref().filter(|way| output.is_json() || !way.is_registered()) {
        if output.is_json() { output.json(&way.json()) } else { output.note(&way.text()) }
    }
    let talked = talk(args, &client, &contact, profile, output).await;
    if let Some(way) = way {
        way.close(&client).await;
    }
    talked
}

async fn talk(
    args: ChatArgs,
    client: &Client,
    contact: &ContactView,
    profile: &Profile,
    output: Output,
) -> Result<(), CliError> {
    let conversation = client.direct_conversation(contact.account).await?;
    let own = device::account(client).await?.address.account;
    let folder = args.save.unwrap_or_else(|| profile.downloads());
    let mut incoming = Incoming::new(client, output, Some(folder), true).await?;
    let mut past = client.messages(conversation, None, HISTORY_LEN).await?;
    past.reverse();
    if !output.is_json() {
        greet(&past, &mut incoming, output, &device::name_of(contact));
        // What is shown is read.
        if let Some(newest) = past.last() {
            client.mark_read(conversation, newest.order).await?;
        }
    }
    if let Some(warning) = view::warning(contact) {
        output.note(&warning);
    }
    let last_received = past.iter().rfind(|message| !message.is_outgoing).map(|message| message.id);
    let mut chat = Chat {
        client,
        conversation,
        own,
        whom: device::argument_for(contact),
        incoming,
        output,
        last_received,
        on_the_way: HashSet::new(),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = client.run(async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    let outcome = tokio::select! {
        served = &mut serving => return Ok(served?),
        outcome = chat.talk() => outcome,
    };
    let _ = stop.send(());
    serving.await?;
    outcome
}

fn greet(past: &[MessageView], incoming: &mut Incoming<'_>, output: Output, name: &str) {
    for message in past {
        incoming.show_past(message);
    }
    output.note(&format!("chatting with {name}; /help says what else there is"));
}

struct Chat<'a> {
    client: &'a Client,
    conversation: ConversationId,
    own: AccountId,
    /// The contact, as an argument of a command.
    whom: String,
    incoming: Incoming<'a>,
    output: Output,
    last_received: Option<MessageId>,
    /// Sent here and not yet taken by the relay.
    on_the_way: HashSet<MessageId>,
}

impl Chat<'_> {
    async fn talk(&mut self) -> Result<(), CliError> {
        let mut lines = read_lines();
        let mut events = self.client.events();
        let mut status = self.client.status();
        let mut is_online = true;
        let stop = wait_for_stop();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                event = events.next() => self.handled(event?).await?,
                changed = status.changed(), if changed_is_told(self.output) => {
                    if changed.is_err() {
                        break;
                    }
                    let now = *status.borrow_and_update();
                    is_online = self.tell_status(now, is_online);
                }
                line = lines.recv() => match line.as_deref().map(parse) {
                    None | Some(Line::Quit) => break,
                    Some(line) => self.say(line).await?,
                },
            }
        }
        // What was sent should not have to wait for the next start.
        let latest = Instant::now() + GOODBYE;
        self.forget_stored().await?;
        let mut attempts = interval(GOODBYE_ATTEMPT);
        while !self.on_the_way.is_empty() {
            tokio::select! {
                () = sleep_until(latest) => return Err(CliError::StillQueued),
                // A reconnect that waits for its turn may wait for longer than the user does.
                _ = attempts.tick() => self.client.network_changed(),
                event = events.next() => self.handled(event?).await?,
            }
        }
        Ok(())
    }

    fn tell_status(&self, status: Status, was_online: bool) -> bool {
        match status {
            Status::Online if !was_online => {
                self.output.note("* online again");
                true
            }
            Status::Offline { code } if was_online => {
                self.output.note(&format!("* the server is away ({code}); messages wait here"));
                false
            }
            Status::Online | Status::Offline { .. } | Status::Stopped | Status::Connecting | Status::Delivering => {
                was_online
            }
        }
    }

    async fn handled(&mut self, event: rcseal_engine::event::NumberedEvent) -> Result<(), CliError> {
        match self.incoming.handle(event).await? {
            Handled::Received(message) if message.conversation == self.conversation && !message.is_outgoing => {
                self.last_received = Some(message.id);
            }
            Handled::Changed(message) if message.state != MessageState::Queued => {
                self.on_the_way.remove(&message.id);
            }
            Handled::Received(_) | Handled::Changed(_) | Handled::Other => {}
        }
        Ok(())
    }

    /// Looks once at the messages themselves: their events may have been read before they were noted.
    async fn forget_stored(&mut self) -> Result<(), CliError> {
        for id in self.on_the_way.clone() {
            let message = self.client.message(self.conversation, self.own, id).await?;
            if message.is_none_or(|message| message.state != MessageState::Queued) {
                self.on_the_way.remove(&id);
            }
        }
        Ok(())
    }

    /// Does what a line says. What a user got wrong is told, and the chat goes on.
    async fn say(&mut self, line: Line) -> Result<(), CliError> {
        let sent = match line {
            Line::Empty | Line::Quit => return Ok(()),
            Line::Help => {
                self.output.note(HELP);
                return Ok(());
            }
            Line::Unknown(command) => {
                self.output.note(&format!("there is no {command}; /help says what there is"));
                return Ok(());
            }
            Line::Text(text) => self.send(Body::Text(text), None).await,
            Line::Reply(text) => match self.last_received {
                Some(target) => self.send(Body::Text(text), Some(target)).await,
                None => return self.nothing_received(),
            },
            Line::React { emoji, to } => {
                let target = match to.as_deref().map(message_id).transpose() {
                    Ok(named) => named.or(self.last_received),
                    Err(error) => {
                        self.output.note(&describe(&error));
                        return Ok(());
                    }
                };
                match target {
                    Some(target) => {
                        self.send(Body::Reaction { target, emoji, removed: false }, None).await.map(|_| None)
                    }
                    None => return self.nothing_received(),
                }
            }
            Line::File { path, caption } => {
                attach::send(self.client, self.conversation, Path::new(&path), caption, self.output)
                    .await
                    .map(Some)
                    .map_err(|error| with_recipient(error, self.whom.clone()))
            }
        };
        match sent {
            Ok(Some(id)) => {
                self.on_the_way.insert(id);
                if self.output.is_json() {
                    self.output.json(&json!({ "event": "sent", "message": id.to_string() }));
                }
            }
            Ok(None) => {}
            Err(error) if error.exit() == crate::error::Exit::Store => return Err(error),
            Err(error) => {
                if let Some(hint) = error.hint() {
                    self.output.note(&hint);
                }
                self.output.note(&describe(&error));
                if self.output.is_json() {
                    self.output.json(&json!({ "event": "not_sent", "code": error.code() }));
                }
            }
        }
        Ok(())
    }

    async fn send(&self, body: Body, reply_to: Option<MessageId>) -> Result<Option<MessageId>, CliError> {
        let sent = self.client.send(self.conversation, body, reply_to).await;
        sent.map(Some).map_err(|error| with_recipient(error, self.whom.clone()))
    }

    fn nothing_received(&self) -> Result<(), CliError> {
        self.output.note("no message has been received yet; name one by its id");
        Ok(())
    }
}

/// Programs read the state of their messages; people are told when the server goes away.
const fn changed_is_told(output: Output) -> bool {
    !output.is_json()
}

/// Reads standard input on a thread of its own, because a read from a terminal cannot be called off; the thread ends with the process.
fn read_lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receive
}

fn parse(line: &str) -> Line {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some(command) = line.strip_prefix('/') else {
        return if line.trim().is_empty() { Line::Empty } else { Line::Text(line.to_owned()) };
    };
    if command.starts_with('/') {
        return Line::Text(command.to_owned());
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    let rest = rest.trim();
    let (first, second) = match rest.split_once(' ') {
        Some((first, second)) => (first, second.trim()),
        None => (rest, ""),
    };
    match name {
        "quit" => Line::Quit,
        "help" => Line::Help,
        "file" if !rest.is_empty() => {
            // A path with spaces stands in quotation marks.
            let (path, caption) = match rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                Some((path, caption)) => (path, caption.trim()),
                None => (first, second),
            };
            Line::File { path: path.to_owned(), caption: caption.to_owned() }
        }
        "react" if !rest.is_empty() => {
            Line::React { emoji: first.to_owned(), to: Some(second.to_owned()).filter(|id| !id.is_empty()) }
        }
        "reply" if !rest.is_empty() => Line::Reply(rest.to_owned()),
        _ => Line::Unknown(format!("/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_words_or_commands() {
        assert_eq!(parse("hello /file x"), Line::Text("hello /file x".to_owned()));
        assert_eq!(parse("//file"), Line::Text("/file".to_owned()));
        assert_eq!(parse("  "), Line::Empty);
        assert_eq!(parse("/quit"), Line::Quit);
        assert_eq!(parse("/file a.png a cat"), Line::File { path: "a.png".to_owned(), caption: "a cat".to_owned() });
        assert_eq!(
            parse("/file \"my cat.png\" hi"),
            Line::File { path: "my cat.png".to_owned(), caption: "hi".to_owned() }
        );
        assert_eq!(parse("/react 👍"), Line::React { emoji: "👍".to_owned(), to: None });
        assert_eq!(parse("/react 👍 AAA"), Line::React { emoji: "👍".to_owned(), to: Some("AAA".to_owned()) });
        assert_eq!(parse("/reply yes"), Line::Reply("yes".to_owned()));
        assert_eq!(parse("/file"), Line::Unknown("/file".to_owned()));
    }
}
