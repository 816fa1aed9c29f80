//! Writing a wrapper, in the order that deployed clients write: `From`, `To`, the message id, `DateTime`, the rest. Each namespace is
//! declared right before its first header.

use std::collections::{BTreeMap, BTreeSet};

use super::{Address, CORE, Header, IMDN, MLS, Message, Namespace};

impl Message {
    /// The bytes. Cannot fail: every part is of a type that fits into its place.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        line(&mut out, "From", &address(&self.from));
        line(&mut out, "To", &address(&self.to));
        let mut prefixes = Prefixes::avoiding(&self.headers);
        let id_first = usize::from(self.headers.first().is_some_and(|header| header.is(IMDN, "Message-ID")));
        let (first, rest) = self.headers.split_at(id_first);
        first.iter().for_each(|header| prefixes.write(&mut out, header));
        if let Some(date_time) = self.date_time {
            line(&mut out, "DateTime", &date_time.to_string());
        }
        rest.iter().for_each(|header| prefixes.write(&mut out, header));
        out.push_str("\r\n");
        line(&mut out, "Content-Type", self.content_type.as_str());
        self.content_headers.iter().for_each(|header| line(&mut out, header.name(), header.value()));
        out.push_str("\r\n");
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(": ");
    out.push_str(value);
    out.push_str("\r\n");
}

/// The name always in quotes, with what has a meaning inside quotes escaped.
fn address(address: &Address) -> String {
    let uri = address.uri.as_str();
    match &address.display_name {
        None => format!("<{uri}>"),
        Some(name) => format!("\"{}\" <{uri}>", name.as_str().replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// The prefixes that were declared so far.
struct Prefixes {
    declared: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Prefixes {
    /// A prefix that somebody used without declaring it must not get a meaning now.
    fn avoiding(headers: &[Header]) -> Self {
        let undeclared = headers.iter().filter(|header| header.namespace == Namespace::Undeclared);
        let prefix = |header: &Header| header.name.split('.').next().unwrap_or_default().to_ascii_lowercase();
        Self { declared: BTreeMap::new(), taken: undeclared.map(prefix).collect() }
    }

    fn write(&mut self, out: &mut String, header: &Header) {
        match header.namespace() {
            None => line(out, header.name(), header.value()),
            Some(CORE) if !header.name.contains('.') => line(out, header.name(), header.value()),
            Some(uri) => {
                let prefix = self.prefix(out, uri);
                line(out, &format!("{prefix}.{}", header.name), header.value());
            }
        }
    }

    fn prefix(&mut self, out: &mut String, uri: &str) -> String {
        if let Some(prefix) = self.declared.get(uri) {
            return prefix.clone();
        }
        let usual = match uri {
            IMDN => "imdn",
            MLS => "mls",
            _ => "n",
        };
        let numbered = (1..).map(|number: u32| format!("{usual}{number}"));
        let plain = (usual != "n").then(|| usual.to_owned());
        let mut candidates = plain.into_iter().chain(numbered);
        let prefix = candidates.find(|prefix| !self.taken.contains(prefix)).unwrap_or_else(|| usual.to_owned());
        line(out, "NS", &format!("{prefix} <{uri}>"));
        self.taken.insert(prefix.clone());
        self.declared.insert(uri.to_owned(), prefix.clone());
        prefix
    }
}
