//! `rcseal probe`: what a carrier does to messages, seen from this device, as rows of the carrier matrix.
//!
//! There are two kinds. The first ([`frames`]) sends frames of random bytes to a number of one's own and looks at what comes back, part by
//! part: nobody's session takes part, so every damage is seen and none costs a message. The second ([`contact`]) sends real messages to a
//! contact and waits until its device confirms them. Fates are named as in the matrix: the way a message took, `fell_back:…`,
//! `refused:…`, `failed:…`, or `lost`.
//!
//! It never sends readable words into a carrier but a text to a contact, which goes as policy decides.

mod contact;
mod frames;

use std::time::{Duration, Instant};

use rcseal_carrier::transport::{CarrierCapabilities, Transport as _};
use rcseal_client::client::Client;
use rcseal_rcs::feature::FeatureTags;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use rcseal_report::{Report, Row};
use rcseal_sim::matrix::{Fate, Mode};
use rcseal_wire::content::TEXT_LEN_MAX;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::args::ProbeArgs;
use crate::carrier::{self, REGISTER_WAIT, Way};
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;

/// How long an answer to OPTIONS is waited for.
const OPTIONS_WAIT: Duration = Duration::from_secs(10);

/// What became of one message.
pub(super) struct Probed {
    /// The preferred route.
    pub(super) mode: Mode,
    /// Its length in bytes.
    pub(super) len: usize,
    /// `binary` or `text` for a frame; `message` for a message to a contact.
    pub(super) form: &'static str,
    /// Into how many messages of the carrier it was cut; `None` where that is not known.
    pub(super) parts: Option<usize>,
    /// What became of it.
    pub(super) fate: Fate,
    /// What the carrier did to it, by the codes of frames.
    pub(super) damage: Vec<&'static str>,
    /// Until it was whole at the far end, or confirmed by it.
    pub(super) took: Option<Duration>,
    /// Until the carrier's own receipt came, where one was asked for.
    pub(super) receipt: Option<Duration>,
    /// Who could read it.
    pub(super) readers: Vec<&'static str>,
}

/// What stands in every row.
struct Place {
    carrier: String,
    near: String,
    far: String,
}

/// What the carrier said to OPTIONS.
struct Asked {
    outcome: Result<CarrierCapabilities, SendFailure>,
    took: Duration,
}

/// Runs the command.
///
/// # Errors
/// [`CliError::NoCarrier`], [`CliError::Carrier`] where the carrier takes no registration, [`CliError::ProbeLost`].
pub(crate) async fn run(args: ProbeArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let settings = carrier::read(&client).await?.ok_or(CliError::NoCarrier)?;
    let way = Way::open(&settings, REGISTER_WAIT).await?;
    let outcome = probe(&args, profile, &client, &way, output, &settings.domain).await;
    way.close(&client).await;
    outcome
}

async fn probe(
    args: &ProbeArgs,
    profile: &Profile,
    client: &Client,
    way: &Way,
    output: Output,
    domain: &str,
) -> Result<(), CliError> {
    if let Err(failure) = &way.registered {
        return Err(CliError::Carrier(failure.clone()));
    }
    let wait = Duration::from_secs(args.seconds);
    let sizes: Vec<usize> = args.sizes.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
    let mut place = Place { carrier: domain.to_owned(), near: args.platform.clone(), far: args.platform.clone() };
    let mut rows = Vec::new();
    let mut tell = |place: &Place, probed: Probed| {
        output.result(|| row_json(place, &probed), || row_text(&probed));
        rows.push(probed);
    };
    let asked = if let Some(wanted) = &args.to {
        let contact = device::contact(client, wanted).await?;
        let number = client.contact_number(contact.account).await?.number;
        let asked = match &number {
            Some(number) => Some(ask(way, number).await),
            None => None,
        };
        place.far = "contact".to_owned();
        for len in sizes.iter().filter(|len| **len > TEXT_LEN_MAX) {
            output.note(&format!(
                "{len} B is left out: a message has at most {TEXT_LEN_MAX}; without --to it would go as a frame"
            ));
        }
        way.attach_to(client).await?;
        contact::run(client, &contact, &sizes, wait, |probed| tell(&place, probed)).await?;
        asked
    } else if let Some(folder) = &args.second {
        let second = profile.beside(folder.clone());
        let other = device::open(&second).await?;
        let settings = carrier::read(&other).await?.ok_or(CliError::NoCarrier)?;
        let far = Way::open(&settings, REGISTER_WAIT).await?;
        let outcome = over(way, &far, &sizes, wait, |probed| tell(&place, probed)).await;
        far.close(&other).await;
        Some(outcome?)
    } else {
        Some(over(way, way, &sizes, wait, |probed| tell(&place, probed)).await?)
    };
    let lost = rows.iter().filter(|row| matches!(row.fate, Fate::Lost(_) | Fate::Failed(_))).count();
    output.result(|| end_json(way, asked.as_ref(), &rows, lost), || end_text(way, asked.as_ref(), &rows, lost));
    if output.is_json() {
        let report = report(way, &place, asked.as_ref(), &rows, lost);
        output.json(&serde_json::to_value(&report).unwrap_or_default());
    }
    if lost > 0 { Err(CliError::ProbeLost { count: lost }) } else { Ok(()) }
}

/// Frames from one way to another, or to itself.
async fn over(
    near: &Way,
    far: &Way,
    sizes: &[usize],
    wait: Duration,
    tell: impl FnMut(Probed),
) -> Result<Asked, CliError> {
    if let Err(failure) = &far.registered {
        return Err(CliError::Carrier(failure.clone()));
    }
    let asked = ask(near, &far.number()?).await;
    frames::run(near, far, sizes, wait, tell).await?;
    Ok(asked)
}

async fn ask(way: &Way, number: &PhoneNumber) -> Asked {
    let begun = Instant::now();
    let outcome = timeout(OPTIONS_WAIT, way.transport.capabilities(number)).await;
    Asked { outcome: outcome.unwrap_or(Err(SendFailure::NoAnswer)), took: begun.elapsed() }
}

impl Asked {
    /// Whether some device at the number says that it takes frames.
    fn has_frames(&self) -> bool {
        let tags = |contact: &Vec<String>| FeatureTags::from_params(contact.iter().map(String::as_str)).ok();
        let contacts = self.outcome.iter().flat_map(|answer| answer.contacts.iter());
        contacts.filter_map(tags).any(|tags| tags.frame_version.is_some_and(|version| version > 0))
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn row_json(place: &Place, row: &Probed) -> Value {
    json!({
        "event": "probe",
        "mode": row.mode.as_str(),
        "carrier": place.carrier,
        "near": place.near,
        "far": place.far,
        "state": "real",
        "bytes": row.len,
        "form": row.form,
        "parts": row.parts,
        "fate": row.fate.word(),
        "damage": row.damage,
        "ms": row.took.map(ms),
        "receipt_ms": row.receipt.map(ms),
        "readers": row.readers.join(" and "),
    })
}

fn row_text(row: &Probed) -> String {
    let mut line = format!("{:>7} B  {:<8}{:<10}", row.len, row.form, row.fate.word());
    if let Some(parts) = row.parts {
        line.push_str(&format!("{parts} part(s)  "));
    }
    if let Some(took) = row.took {
        line.push_str(&format!("{} ms  ", ms(took)));
    }
    if let Some(receipt) = row.receipt {
        line.push_str(&format!("receipt {} ms  ", ms(receipt)));
    }
    line.push_str(&row.damage.join(", "));
    line.trim_end().to_owned()
}

fn end_json(way: &Way, asked: Option<&Asked>, rows: &[Probed], lost: usize) -> Value {
    let code = asked.and_then(|asked| asked.outcome.as_ref().err().map(SendFailure::code));
    json!({
        "event": "probed",
        "registration_ms": ms(way.took),
        "options_ms": asked.map(|asked| ms(asked.took)),
        "options_code": code,
        "frames_announced": asked.is_some_and(Asked::has_frames),
        "messages": rows.len(),
        "receipts": rows.iter().filter(|row| row.receipt.is_some()).count(),
        "lost": lost,
    })
}

fn end_text(way: &Way, asked: Option<&Asked>, rows: &[Probed], lost: usize) -> String {
    let options = match asked.map(|asked| (&asked.outcome, asked)) {
        None => "not asked what the far end can do".to_owned(),
        Some((Ok(_), asked)) if asked.has_frames() => format!("OPTIONS: takes frames, {} ms", ms(asked.took)),
        Some((Ok(_), asked)) => format!("OPTIONS: says nothing of frames, {} ms", ms(asked.took)),
        Some((Err(failure), _)) => format!("OPTIONS: {failure} [{}]", failure.code()),
    };
    format!(
        "registration {} ms\n{options}\n{} of {} arrived as they were sent",
        ms(way.took),
        rows.len().saturating_sub(lost),
        rows.len()
    )
}

/// The rows as the carrier matrix has them: counts of fates by mode and carrier, and who could read.
fn report(way: &Way, place: &Place, asked: Option<&Asked>, rows: &[Probed], lost: usize) -> Report {
    let mut report = Report::new("probe");
    let mut counts = std::collections::BTreeMap::<(Mode, String), usize>::new();
    for row in rows {
        *counts.entry((row.mode, row.fate.word())).or_default() += 1;
    }
    let mut readers: Vec<&str> = rows.iter().flat_map(|row| row.readers.iter().copied()).collect();
    readers.sort_unstable();
    readers.dedup();
    for mode in Mode::ALL {
        let fates: Vec<_> = counts
            .iter()
            .filter(|((of, _), _)| *of == mode)
            .map(|((_, fate), count)| format!("{fate} {count}"))
            .collect();
        if !fates.is_empty() {
            let summary = format!("{}; read by {}", fates.join(", "), readers.join(" or "));
            report.measure(Row::equal(&format!("{}_over_{}", mode.as_str(), place.carrier), summary, "1 cells"));
        }
    }
    report.measure(Row::higher("messages", rows.len(), "messages"));
    report.measure(Row::lower("registration", ms(way.took), "ms"));
    if let Some(asked) = asked {
        report.measure(Row::lower("options", ms(asked.took), "ms"));
        report.measure(Row::equal("frames_announced", asked.has_frames().to_string().as_str(), ""));
    }
    let receipts = rows.iter().filter(|row| row.receipt.is_some()).count();
    report.measure(Row::higher("receipts_of_the_carrier", receipts, "messages"));
    report.promise_row(Row::equal("lost", lost, "messages").goal(0));
    report
}
