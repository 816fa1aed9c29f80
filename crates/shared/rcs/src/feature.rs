//! Capability tags: what a device says of itself in the parameters of its `Contact`.
//!
//! A phone answers OPTIONS, and registers, with tags such as `+g.3gpp.icsi-ref="…"` (RFC 3840). Four of them matter here: that it takes
//! our frames, that it takes RCC.16 (sections 10 and 5 of that profile), that it chats, and that it takes files over HTTP. Names are
//! compared without regard to case, URNs after taking `%3A` out.
//!
//! Tags are unauthenticated, and a carrier may drop them. A tag that is there may start an attempt; a tag that is missing is never
//! evidence that a peer cannot encrypt.

use crate::text::parameters;

/// The tag of a device that takes frames of [`crate::frame`]. Its value is the highest version that the device reads.
pub const FRAME_TAG: &str = "+g.rcseal.frame";

const MLS_VERSION: &str = "+g.gsma.rcs.mls.mls-version";
const MLS_KDS: &str = "+g.gsma.rcs.mls.mls-kds";
const MLS_LAUNCH: &str = "+g.google.rcs.mls-launch-iteration";
const MLS_GROUPS: &str = "+g.google.rcs.mls-supports-groups";
const ICSI: &str = "+g.3gpp.icsi-ref";
const IARI: &str = "+g.3gpp.iari-ref";
const SIP_IM: &str = "+g.oma.sip-im";

const PAGER_URN: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg";
const LARGE_URN: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.largemsg";
const CHAT_URN: &str = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session";
const FT_HTTP_URN: &str = "urn:urn-7:3gpp-application.ims.iari.rcs.fthttp";

/// The longest set of parameters that is read. A phone with every service of RCS writes some two kilobytes.
pub const LEN_MAX: usize = 8192;

/// How many parameters are read.
const PARAMETERS_MAX: usize = 128;

/// The longest value of one tag of RCC.16 that is kept.
const VALUE_LEN_MAX: usize = 64;

/// Too long to be the parameters of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {LEN_MAX} bytes, or more than {PARAMETERS_MAX} parameters")]
pub struct FeatureError;

impl FeatureError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "feature_too_large"
    }
}

/// The tags of RCC.16.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MlsTags {
    /// `mls-version`: `v1` whatever the revision.
    pub version: Option<String>,
    /// `mls-kds`: which key distribution service. Without it there is no MLS.
    pub kds: Option<String>,
    /// A vendor's roll-out number.
    pub launch_iteration: Option<String>,
    /// Whether a vendor says that it takes groups.
    pub supports_groups: bool,
}

impl MlsTags {
    /// What we write when a device takes RCC.16 and uses this key distribution service.
    #[must_use]
    pub fn v1(kds: &str) -> Self {
        Self {
            version: Some("v1".to_owned()),
            kds: Some(kds.to_owned()),
            launch_iteration: None,
            supports_groups: false,
        }
    }

    /// Whether the device says that it takes RCC.16 in the way that is common to vendors.
    #[must_use]
    pub fn is_common(&self) -> bool {
        self.kds.is_some() && self.version.as_deref() == Some("v1")
    }
}

/// What one device says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeatureTags {
    /// The highest version of our frames that it reads.
    pub frame_version: Option<u8>,
    /// The tags of RCC.16, if any of them is there.
    pub mls: Option<MlsTags>,
    /// Single messages (pager mode, and large ones over MSRP).
    pub standalone: bool,
    /// Sessions of messages over MSRP.
    pub chat: bool,
    /// Files over HTTP.
    pub ft_http: bool,
}

impl FeatureTags {
    /// The tags in the value of a `Contact` header with one contact, or in its parameters alone.
    ///
    /// # Errors
    /// [`FeatureError`] for a value beyond the limits. What is no tag is passed over.
    pub fn parse(contact: &str) -> Result<Self, FeatureError> {
        if contact.len() > LEN_MAX {
            return Err(FeatureError);
        }
        Self::collect(parameters(after_address(contact)))
    }

    /// The tags among parameters that were taken apart already: `name`, `name=value` or `name="value"`.
    ///
    /// # Errors
    /// [`FeatureError`].
    pub fn from_params<'a>(params: impl IntoIterator<Item = &'a str>) -> Result<Self, FeatureError> {
        let mut found = Vec::new();
        let mut len = 0_usize;
        for param in params {
            len = len.saturating_add(param.len());
            if len > LEN_MAX {
                return Err(FeatureError);
            }
            found.extend(parameters(param));
        }
        Self::collect(found)
    }

    fn collect(params: Vec<(String, Option<String>)>) -> Result<Self, FeatureError> {
        if params.len() > PARAMETERS_MAX {
            return Err(FeatureError);
        }
        let mut tags = Self::default();
        let mut mls = MlsTags::default();
        for (name, value) in params {
            let value = value.unwrap_or_default();
            let kept = || {
                Some(value.chars().filter(|c| !c.is_control()).take(VALUE_LEN_MAX).collect::<String>())
                    .filter(|kept| !kept.is_empty())
            };
            match name.to_ascii_lowercase().as_str() {
                FRAME_TAG => tags.frame_version = value.parse().ok().filter(|version| *version > 0),
                MLS_VERSION => mls.version = kept(),
                MLS_KDS => mls.kds = kept(),
                MLS_LAUNCH => mls.launch_iteration = kept(),
                MLS_GROUPS => mls.supports_groups = value.eq_ignore_ascii_case("true"),
                SIP_IM => tags.chat = true,
                ICSI | IARI => tags.take_urns(&value),
                _ => {}
            }
        }
        tags.mls = (mls != MlsTags::default()).then_some(mls);
        Ok(tags)
    }

    fn take_urns(&mut self, list: &str) {
        for urn in list.split(',') {
            match urn.trim().to_ascii_lowercase().replace("%3a", ":").as_str() {
                PAGER_URN | LARGE_URN => self.standalone = true,
                CHAT_URN => self.chat = true,
                FT_HTTP_URN => self.ft_http = true,
                _ => {}
            }
        }
    }

    /// The tags as parameters, each `name="value"`.
    #[must_use]
    pub fn to_params(&self) -> Vec<String> {
        let mut params = Vec::new();
        let mut push = |name: &str, value: &str| params.push(format!("{name}=\"{}\"", quotable(value)));
        let mut services = Vec::new();
        if self.standalone {
            services.extend([PAGER_URN, LARGE_URN]);
        }
        if self.chat {
            services.push(CHAT_URN);
        }
        if !services.is_empty() {
            push(ICSI, &urns(&services));
        }
        if self.ft_http {
            push(IARI, &urns(&[FT_HTTP_URN]));
        }
        if let Some(version) = self.frame_version {
            push(FRAME_TAG, &version.to_string());
        }
        if let Some(mls) = &self.mls {
            let values = [(MLS_VERSION, &mls.version), (MLS_KDS, &mls.kds), (MLS_LAUNCH, &mls.launch_iteration)];
            for (name, value) in values {
                if let Some(value) = value {
                    push(name, value);
                }
            }
            if mls.supports_groups {
                push(MLS_GROUPS, "true");
            }
        }
        params
    }

    /// The tags as they are appended to a contact: `;name="value"` for each.
    #[must_use]
    pub fn to_contact_params(&self) -> String {
        self.to_params().iter().map(|param| format!(";{param}")).collect()
    }
}

/// URNs as a tag's value, with the colons escaped as RFC 3840's grammar wants them.
fn urns(list: &[&str]) -> String {
    list.iter().map(|urn| urn.replace(':', "%3A")).collect::<Vec<_>>().join(",")
}

/// What may stand inside quotes without an escape: nothing that ends them or the line.
fn quotable(value: &str) -> String {
    value.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
}

/// What follows `"name" <uri>` or a bare URI; the whole where there is no address.
fn after_address(contact: &str) -> &str {
    let contact = contact.trim();
    let mut in_quotes = false;
    let mut is_escaped = false;
    for (at, c) in contact.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            '>' if !in_quotes => return &contact[at + 1..],
            _ => {}
        }
    }
    let is_address = ["sip:", "sips:", "tel:"]
        .iter()
        .any(|scheme| contact.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if is_address { contact.split_once(';').map_or("", |(_, params)| params) } else { contact }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tags_of_a_deployed_phone_are_read() {
        let contact = "\"a;>b\" <sip:+15551230001@10.0.0.1:5060;transport=tcp>;+sip.instance=\"<urn:uuid:1>\";\
            +G.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,urn%3aurn-7%3a3gpp-service.ims.icsi.oma.cpm.session\";\
            +g.3gpp.iari-ref=\"urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.fthttp\";+g.gsma.rcs.mls.mls-version=\"v1\";\
            +g.gsma.rcs.mls.mls-kds=\"2\";+g.rcseal.frame=\"1\";q=1.0";
        let tags = FeatureTags::parse(contact).unwrap();
        assert!(tags.standalone && tags.chat && tags.ft_http);
        assert_eq!(tags.frame_version, Some(1));
        assert!(tags.mls.unwrap().is_common());
    }

    #[test]
    fn what_is_written_reads_back_as_parameters_and_as_a_whole() {
        let tags = FeatureTags {
            frame_version: Some(1),
            mls: Some(MlsTags::v1("2")),
            standalone: true,
            chat: true,
            ft_http: true,
        };
        assert_eq!(FeatureTags::parse(&tags.to_contact_params()), Ok(tags.clone()));
        assert_eq!(FeatureTags::parse(&format!("sip:a@b{}", tags.to_contact_params())), Ok(tags.clone()));
        assert_eq!(FeatureTags::from_params(tags.to_params().iter().map(String::as_str)), Ok(tags));
        assert_eq!(FeatureTags::default().to_contact_params(), "");
    }

    #[test]
    fn an_address_that_names_a_tag_is_not_a_tag() {
        let tags = FeatureTags::parse("<sip:a@b;+g.rcseal.frame=\"1\">;q=1").unwrap();
        assert_eq!(tags, FeatureTags::default());
    }

    #[test]
    fn a_value_that_is_no_version_says_nothing() {
        for value in ["\"0\"", "\"256\"", "\"x\"", "", "\"1"] {
            let tags = FeatureTags::parse(&format!(";+g.rcseal.frame={value};")).unwrap();
            assert_eq!(tags.frame_version, None, "{value}");
        }
        assert_eq!(FeatureTags::parse(";+g.rcseal.frame").unwrap().frame_version, None);
    }

    #[test]
    fn a_value_cannot_add_a_header() {
        let tags = FeatureTags { mls: Some(MlsTags::v1("2\"\r\nX: y")), ..FeatureTags::default() };
        let written = tags.to_contact_params();
        assert!(!written.contains(['\r', '\n']), "{written}");
        assert_eq!(FeatureTags::parse(&written).unwrap().mls.unwrap().kds.as_deref(), Some("2X: y"));
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(FeatureTags::parse(&";a".repeat(LEN_MAX)), Err(FeatureError));
        assert_eq!(FeatureTags::parse(&";a".repeat(PARAMETERS_MAX + 1)), Err(FeatureError));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_to_something(text in ".{0,200}") {
            if let Ok(tags) = FeatureTags::parse(&text) {
                prop_assert_eq!(FeatureTags::parse(&tags.to_contact_params()), Ok(tags));
            }
        }
    }
}
