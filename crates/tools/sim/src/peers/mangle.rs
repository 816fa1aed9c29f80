//! What a carrier does to messages.
//!
//! Each script is a file of Kamailio's own language in `peers/mangle/`, so that what is done to the bytes is done by somebody else's
//! code. The name of the file is the script's name in reports.

macro_rules! scripts {
    ($($(#[$doc:meta])* $variant:ident = $file:literal,)*) => {
        /// A script by which Kamailio treats the messages that it carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mangle {
            $($(#[$doc])* $variant,)*
        }

        impl Mangle {
            /// Every script.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $file,)*
                }
            }

            /// The script itself.
            pub(super) const fn script(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../peers/mangle/", $file, ".cfg")),)*
                }
            }
        }
    };
}

scripts! {
    /// Nothing is done to them.
    Carry = "carry",
    /// Unknown headers are taken away, in SIP and in the wrapper.
    StripHeaders = "strip-headers",
    /// The wrapper's namespace prefix and letter cases change, as its specification allows.
    RenameHeaders = "rename-headers",
    /// Every body is called plain text.
    TextType = "text-type",
    /// CRLF becomes LF.
    BareLf = "bare-lf",
    /// A line is put in front.
    Prefix = "prefix",
    /// A line is put behind.
    Suffix = "suffix",
    /// Wrapped into a multipart behind an advertisement.
    Multipart = "multipart",
    /// Deflated.
    Deflate = "deflate",
    /// Sent over two branches.
    ForkTwice = "fork-twice",
    /// Sent once more, as a message of its own.
    SendTwice = "send-twice",
    /// Every second one is overtaken.
    Late = "late",
    /// Cut off after 450 bytes.
    Truncate = "truncate",
    /// Some letters changed.
    Corrupt = "corrupt",
    /// 513 above 1,300 bytes.
    RefuseAbove1300 = "refuse-above-1300",
    /// No answer above 1,300 bytes.
    DropAbove1300 = "drop-above-1300",
    /// 200, and nothing is delivered.
    Swallow = "swallow",
    /// 415 to everything but plain text.
    RefuseCpim = "refuse-cpim",
    /// 403.
    Forbid = "forbid",
    /// 503 with a time to come back at.
    Busy = "busy",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_defines_both_hooks_and_says_what_it_does() {
        for mangle in Mangle::ALL {
            let script = mangle.script();
            assert!(script.starts_with("# "), "{}", mangle.name());
            assert!(script.contains("\nroute[MANGLE] {"), "{}", mangle.name());
            assert!(script.contains("\nroute[RELAY] {"), "{}", mangle.name());
        }
    }
}
