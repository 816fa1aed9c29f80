//! Sessions between devices: new keys, and what waits to be sent again.

use clap::{Args, Subcommand};
use rcseal_engine::rekey::RekeyInterval;

/// Options of `rekey`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcseal rekey Bob               new keys now
  rcseal rekey Bob --every 15m   from now on, every 15 minutes while the conversation is active
  rcseal rekey Bob --every off   not by itself any more")]
pub struct RekeyArgs {
    /// With whom: the name of a contact, or its account id.
    pub contact: String,
    /// Choose how often it is done by itself, and do nothing now: minutes (15m), hours (1h), days (2d), or off.
    #[arg(long, value_name = "INTERVAL", value_parser = every)]
    pub every: Option<Every>,
}

/// How often sessions get new keys by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Never.
    Off,
    /// While the conversation is active.
    Interval(RekeyInterval),
}

/// What `resend` does about a message that waits.
#[derive(Debug, Subcommand)]
pub enum ResendCommand {
    /// Send it to the keys that its recipients have now.
    #[command(after_help = "Example: rcseal resend approve MESSAGE")]
    Approve {
        /// The id of the message, as `rcseal resend` lists it.
        #[arg(allow_hyphen_values = true)]
        message: String,
    },
}

/// The longest and shortest interval are the engine's.
fn every(text: &str) -> Result<Every, String> {
    if text == "off" {
        return Ok(Every::Off);
    }
    let wrong = || "not an interval such as 15m, 1h or 2d, and not off".to_owned();
    let (unit, minutes_per_unit) = match text.chars().last() {
        Some('m') => ("m", 1),
        Some('h') => ("h", 60),
        Some('d') => ("d", 24 * 60),
        Some(_) | None => return Err(wrong()),
    };
    let count: u32 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    let interval = count.checked_mul(minutes_per_unit).and_then(RekeyInterval::from_minutes);
    interval.map(Every::Interval).ok_or_else(|| {
        let days = RekeyInterval::MINUTES_MAX / (24 * 60);
        format!("shorter than {}m or longer than {days}d", RekeyInterval::MINUTES_MIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_a_unit_and_limits() {
        let minutes = |text| match every(text) {
            Ok(Every::Interval(interval)) => Some(interval.minutes()),
            Ok(Every::Off) | Err(_) => None,
        };
        assert_eq!([minutes("1m"), minutes("1h"), minutes("30d")], [Some(1), Some(60), Some(43_200)]);
        assert_eq!(every("off"), Ok(Every::Off));
        for wrong in ["", "h", "1", "0m", "-1h", "1.5h", "31d", "4294967295d", "1\u{665}m", "1 h", "off "] {
            assert!(every(wrong).is_err(), "{wrong:?}");
        }
    }
}
