//! A network between phones, and what it does to what it carries.

use rcseal_rcs::transport::TransportProfile;
use serde::Deserialize;

/// A network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierProfile {
    /// What reports call it.
    pub name: String,
    /// What it does, for people.
    pub what: String,
    /// Where such a thing was seen.
    #[serde(default)]
    pub seen_at: Option<String>,
    /// How long our phones wait for it, in milliseconds.
    pub patience_ms: u64,
    /// What has to become of messages that are to go by it.
    pub expect: Expectation,
    /// What the phones' stacks say that they can carry.
    #[serde(default)]
    pub transport: Transport,
    /// What it answers to questions for capabilities.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// What it does to each message, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// What has to become of native messages to a phone that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// They arrive by the carrier.
    Native,
    /// They arrive by the relay, as the same ciphertext.
    Relayed,
    /// It depends on their size.
    Either,
}

/// What a stack says that it can carry. What is left out is as in a stack that carries everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transport {
    /// Whether bodies arrive byte for byte.
    pub is_binary_safe: bool,
    /// The longest body.
    pub body_len_max: usize,
    /// How many messages one ciphertext may be cut into.
    pub parts_max: u16,
    /// Whether headers arrive.
    pub carries_headers: bool,
    /// Whether receipts come back.
    pub has_receipts: bool,
}

impl Default for Transport {
    fn default() -> Self {
        // What a SIP stack with MSRP offers, with bodies short enough that the larger messages of a run are several.
        Self { is_binary_safe: true, body_len_max: 16 << 10, parts_max: 64, carries_headers: true, has_receipts: true }
    }
}

impl From<&Transport> for TransportProfile {
    fn from(transport: &Transport) -> Self {
        Self {
            is_binary_safe: transport.is_binary_safe,
            body_len_max: transport.body_len_max,
            parts_max: transport.parts_max,
            carries_headers: transport.carries_headers,
            has_receipts: transport.has_receipts,
        }
    }
}

/// What a question for capabilities is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capabilities {
    /// What the phone at the far end says of itself.
    #[default]
    AsTheyAre,
    /// An answer without any tag.
    WithoutTags,
    /// 404.
    NotFound,
    /// Nothing.
    NoAnswer,
    /// Our tag, whoever is asked about.
    Forged,
}

/// One thing that is done to a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Headers of the wrapper are taken away.
    StripHeaders,
    /// Namespaces are declared anew.
    RenameHeaders {
        /// The new prefixes begin with this.
        prefix: String,
    },
    /// Another media type is written.
    Retype {
        /// Which.
        to: String,
        /// Where.
        at: MediaTypes,
    },
    /// Carriage returns before line feeds are taken out.
    CrlfToLf {
        /// Where.
        at: LineEnds,
    },
    /// Text is put round it.
    Surround {
        /// Before.
        before: String,
        /// Behind.
        behind: String,
        /// Round what.
        at: Place,
    },
    /// Lines are wrapped and quoted.
    QuoteAndWrap {
        /// Characters in a line.
        columns: usize,
        /// What stands before each.
        quote: String,
    },
    /// Text is rewritten as editors do.
    Typography {
        /// One character in so many.
        every: usize,
    },
    /// It becomes a part of a multipart.
    Multipart {
        /// In which encoding.
        transfer: Transfer,
    },
    /// It is compressed.
    Deflate,
    /// Its body is cut into messages.
    Segment {
        /// Of so many bytes.
        bytes: usize,
    },
    /// It is delivered several times at once.
    Duplicate {
        /// So many.
        copies: usize,
    },
    /// It is delivered once more.
    RepeatLater {
        /// After so many milliseconds.
        hold_ms: u64,
    },
    /// Every second one is overtaken.
    Reorder {
        /// How long it waits for one that overtakes it.
        hold_ms: u64,
    },
    /// The end of the body is cut off.
    Truncate {
        /// Bytes that stay.
        keep: usize,
    },
    /// Bits of the body are flipped.
    Corrupt {
        /// In one of so many bytes.
        one_in: usize,
    },
    /// Everything is refused.
    Refuse {
        /// With this.
        status: u16,
    },
    /// What is longer is refused.
    RefuseAbove {
        /// Bytes in all.
        bytes: usize,
        /// With this.
        status: u16,
    },
    /// Every media type but these is refused.
    RefuseTypes {
        /// Those that are not.
        accept: Vec<String>,
        /// With this.
        status: u16,
    },
    /// Nothing is delivered.
    Drop {
        /// What the sender is told.
        answer: DropAnswer,
    },
    /// What is longer is not delivered.
    DropAbove {
        /// Bytes in all.
        bytes: usize,
        /// What the sender is told.
        answer: DropAnswer,
    },
    /// It is stored, and delivered later.
    Store {
        /// At the earliest after so many milliseconds.
        hold_ms: u64,
    },
    /// It is delivered, and nobody is told.
    Late {
        /// After so many milliseconds.
        hold_ms: u64,
    },
    /// The sender's number is hidden.
    Anonymous,
    /// The sender is told that it was delivered and read.
    ForgeReceipts,
    /// A message of the carrier's own is delivered.
    Inject {
        /// It says this.
        text: String,
    },
}

/// Which media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaTypes {
    /// That of the whole message.
    Outer,
    /// That in the wrapper.
    Inner,
    /// Both.
    Both,
}

/// Which line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnds {
    /// Those in the body.
    Body,
    /// All.
    Everything,
}

/// Round what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The body in the wrapper.
    Body,
    /// The whole message with its wrapper.
    Everything,
}

/// How a part of a multipart is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// As it is.
    Binary,
    /// RFC 2045, section 6.7.
    QuotedPrintable,
}

/// What the sender of something that is dropped is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropAnswer {
    /// That all is well.
    Ok,
    /// Nothing.
    Nothing,
}
