//! Which numbers can be claimed: those that the operator pays messages to, of a kind whose owner reads messages.
//!
//! The answer depends on the number's digits alone and never on whether somebody has it.

use phonenumber::Type;
use phonenumber::metadata::DATABASE;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::number::E164;

use crate::config::{NumbersConfig, Prefix};

/// The number, if it can be claimed here. It must be written as the numbering plan writes it: two spellings of one number would be two
/// numbers with two owners.
pub(crate) fn served(config: &NumbersConfig, number: &E164) -> Option<PhoneNumber> {
    let known: PhoneNumber = number.as_str().parse().ok()?;
    if known.as_str() != number.as_str() {
        return None;
    }
    let is_of_any_kind = config.served_of_any_kind.iter().any(|prefix| prefix.covers(number));
    let is_served = is_of_any_kind || (config.served.iter().any(|prefix| prefix.covers(number)) && is_mobile(number));
    is_served.then_some(known)
}

/// Whether an SMS of somebody whom the operator lets send may go to a number: to those that can be claimed, and to mobile ones with further
/// beginnings; and to no number that costs extra, whatever the configuration says of its range.
pub(crate) fn takes_sms(config: &NumbersConfig, more: &[Prefix], number: &E164) -> bool {
    let is_further = more.iter().any(|prefix| prefix.covers(number)) && is_mobile(number);
    !is_costly(number) && (is_further || served(config, number).is_some())
}

/// Whether any country that has the number's code knows it as one that costs extra.
fn is_costly(number: &E164) -> bool {
    let Ok(parsed) = phonenumber::parse(None, number.as_str()) else { return true };
    let code = parsed.country().code();
    let Some(national) = number.as_str().strip_prefix(&format!("+{code}")) else { return true };
    let is_costly = |plan| matches!(kind(plan, national), Type::PremiumRate | Type::SharedCost | Type::PersonalNumber);
    DATABASE.by_code(&code).unwrap_or_default().into_iter().any(is_costly)
}

/// Whether the numbering plan knows the number as a mobile one, and no country that shares the code knows it as one that costs extra.
fn is_mobile(number: &E164) -> bool {
    let Ok(parsed) = phonenumber::parse(None, number.as_str()) else { return false };
    let code = parsed.country().code();
    let text = format!("+{code}");
    let Some(national) = number.as_str().strip_prefix(&text) else { return false };
    let mut is_mobile = false;
    for plan in DATABASE.by_code(&code).unwrap_or_default() {
        match kind(plan, national) {
            Type::Mobile | Type::FixedLineOrMobile => is_mobile = true,
            Type::PremiumRate | Type::SharedCost => return false,
            _ => {}
        }
    }
    is_mobile
}

/// The kind of a number by one country's plan, the costly ones first.
fn kind(plan: &phonenumber::Metadata, national: &str) -> Type {
    let is = |kind| plan.descriptors().get(kind).is_some_and(|descriptor| descriptor.is_match(national));
    const COSTLY_OR_ODD: [Type; 8] = [
        Type::PremiumRate,
        Type::SharedCost,
        Type::TollFree,
        Type::Voip,
        Type::PersonalNumber,
        Type::Pager,
        Type::Uan,
        Type::Voicemail,
    ];
    if !plan.descriptors().general().is_match(national) {
        return Type::Unknown;
    }
    if let Some(kind) = COSTLY_OR_ODD.into_iter().find(|kind| is(*kind)) {
        return kind;
    }
    if is(Type::Mobile) { Type::Mobile } else { Type::Unknown }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(served: &[&str], of_any_kind: &[&str]) -> NumbersConfig {
        let parse = |list: &[&str]| list.iter().map(|prefix| prefix.parse().unwrap()).collect();
        NumbersConfig { served: parse(served), served_of_any_kind: parse(of_any_kind), ..NumbersConfig::default() }
    }

    fn is_served(config: &NumbersConfig, number: &str) -> bool {
        served(config, &number.parse().unwrap()).is_some()
    }

    #[test]
    fn nothing_is_served_by_default() {
        assert!(!is_served(&NumbersConfig::default(), "+447400123456"));
    }

    #[test]
    fn mobile_numbers_of_served_countries_are_and_others_are_not() {
        let config = config(&["+44", "+49", "+39", "+1"], &[]);
        for number in ["+447400123456", "+4915123456789", "+393123456789", "+12015550123"] {
            assert!(is_served(&config, number), "{number}");
        }
        for (number, why) in [
            ("+33612345678", "another country"),
            ("+442079460018", "a landline"),
            ("+449098790879", "premium"),
            ("+448431234567", "shared cost"),
            ("+447011234567", "a personal number, charged like a premium one"),
            ("+447640123456", "a pager"),
            ("+19002345678", "premium"),
            ("+18002345678", "without charge for the caller"),
            ("+499001234567", "premium"),
            ("+39899123456", "premium"),
        ] {
            assert!(!is_served(&config, number), "{number}: {why}");
        }
    }

    #[test]
    fn a_number_has_one_spelling() {
        // The library takes the trunk prefix out; the number with it is no second number.
        assert!(!is_served(&config(&["+44"], &["+44"]), "+4407400123456"));
    }

    #[test]
    fn an_operators_own_ranges_are_served_whatever_their_kind() {
        let config = config(&[], &["+1555123", "+442079460"]);
        assert!(is_served(&config, "+15551230001"));
        assert!(is_served(&config, "+442079460018"));
        assert!(!is_served(&config, "+447400123456"));
    }

    #[test]
    fn sms_of_tenants_go_where_the_operator_lets_them_and_to_no_costly_number() {
        let config = config(&["+44"], &["+1", "+49900"]);
        let goes = |more: &[&str], number: &str| {
            let more: Vec<Prefix> = more.iter().map(|prefix| prefix.parse().unwrap()).collect();
            takes_sms(&config, &more, &number.parse().unwrap())
        };
        assert!(goes(&[], "+447400123456") && goes(&[], "+15551230001"));
        assert!(!goes(&[], "+4915123456789") && goes(&["+49"], "+4915123456789"));
        assert!(!goes(&[], "+33612345678"), "another country");
        assert!(!goes(&["+44"], "+442079460018"), "a landline");
        for costly in ["+19002345678", "+499001234567", "+449098790879", "+447011234567"] {
            assert!(!goes(&["+1", "+44", "+49"], costly), "{costly}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_number_is_served_or_not(digits in "[1-9][0-9]{6,14}") {
            let _ = is_served(&config(&["+1", "+44", "+7"], &["+39"]), &format!("+{digits}"));
        }
    }
}
