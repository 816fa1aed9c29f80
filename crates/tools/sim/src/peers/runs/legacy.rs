//! `linphonec` at the far end: what somebody else's client does with what we send, and what we make of its answers.

use std::time::Duration;

use rcseal_rcs::chat::{self, Content, Unwrapped};
use rcseal_rcs::ft::{self, Descriptor, FileInfo};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::text::{Line, MediaType};
use rcseal_rcs::transport::{Carriage, SendFailure};
use rcseal_report::Report;
use tokio::time::Instant;

use super::super::files::ContentServer;
use super::super::line::{Line as OurLine, Over, awkward_blob, number_of, random};
use super::super::linphone::{Leg, Linphone};
use super::super::{Kamailio, Setup, User};
use super::{PATIENCE, RunError, expect};

const FILE_LEN: usize = 4_096;
const FILE_NAME: &str = "sealed.bin";

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let (alice, carol) = (User::nth(1), User::nth(3));
    let carrier = Kamailio::start(&Setup::of(vec![alice.clone(), carol.clone()])).await?;
    let mut linphone = Linphone::start(&carrier, &carol, Leg::Udp).await?;
    let line = OurLine::open(&carrier, &alice, Over::Tcp).await?;
    let number = number_of(&carol);

    let tags = line.agent().options(&number).await.map(|capabilities| capabilities.contacts.concat().join(";"));
    report.promise("linphone_shows_no_tag_of_ours", tags.is_ok_and(|tags| !tags.contains("rcseal")));

    // Words for people arrive, and a receipt comes back: bare, deflated.
    let words = format!("plain words {}", nonce());
    line.send(&number, verbatim("text/plain;charset=UTF-8", words.clone().into_bytes())).await?;
    report.promise("linphone_shows_text", linphone.shows(&words, PATIENCE).await);
    let (kind, encoding) = receipt(&line).await;
    expect(report, "linphone_receipt", &kind, "delivered");
    expect(report, "linphone_receipt_encoding", &encoding, "deflate");

    // A frame does not.
    let seen = match line.send_blob(&number, &awkward_blob(300), true).await {
        Err(SendFailure::UnsupportedMedia) => "carrier_unsupported_media",
        Err(failure) => failure.code(),
        Ok(_) => "taken",
    };
    expect(report, "linphone_binary_frame", seen, "carrier_unsupported_media");

    // A file that it is told of is fetched, and its bytes are those that were put there.
    let server = ContentServer::start().await?;
    let bytes = awkward_blob(FILE_LEN);
    let descriptor = descriptor(&server.put(FILE_NAME, bytes.clone())).ok_or(SendFailure::Unfit)?;
    line.send(&number, verbatim(ft::CONTENT_TYPE, descriptor)).await?;
    let fetched = linphone.fetched(FILE_NAME, FILE_LEN, PATIENCE).await;
    report.promise("linphone_fetches_file", fetched.is_some_and(|fetched| fetched == bytes));
    report.promise("linphone_still_runs", linphone.is_running());
    Ok(())
}

fn verbatim(content_type: &str, body: Vec<u8>) -> Carriage {
    Carriage::Verbatim { headers: Vec::new(), content_type: content_type.to_owned(), body }
}

/// Something that nobody else has said.
fn nonce() -> String {
    random().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// What the next receipt says, and how it was encoded.
async fn receipt(line: &OurLine) -> (String, String) {
    let until = Instant::now() + PATIENCE + Duration::from_secs(5);
    while let Some((content_type, encoding, body)) = line.next(until).await {
        let unwrapped = chat::unwrap(&content_type, encoding.as_deref(), &body);
        if let Ok(Unwrapped { content: Content::Receipt(notification), .. }) = unwrapped {
            let kind = format!("{:?}", notification.kind).to_lowercase();
            return (kind, encoding.unwrap_or_else(|| "none".to_owned()));
        }
    }
    ("nothing".to_owned(), "nothing".to_owned())
}

/// What a standard peer is told of a file.
fn descriptor(url: &str) -> Option<Vec<u8>> {
    let file = FileInfo {
        size: FILE_LEN as u64,
        name: Line::parse(FILE_NAME).ok(),
        content_type: MediaType::parse("application/octet-stream").ok()?,
        url: url.parse().ok()?,
        until: Timestamp::parse("2099-01-01T00:00:00Z"),
    };
    Some(Descriptor { file, thumbnail: None }.to_xml().into_bytes())
}
