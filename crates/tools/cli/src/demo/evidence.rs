//! What the relay must not have: everything that was said and every secret of every device, gathered while the demo runs.

use std::collections::BTreeMap;

use rcseal_sim::search::Search;
use zeroize::Zeroizing;

use super::inside::Inside;
use super::stage::{Phone, StepError};

/// Bytes of the photo that are looked for, at a time.
const WINDOW_LEN: usize = 32;
/// From one such window to the next: a prime, so that no layout in rows or blocks hides between them.
const WINDOW_STEP: usize = 997;
/// Where the first one begins: what stands before is the same in every PNG.
const WINDOW_START: usize = 101;

/// Gathered so far.
#[derive(Default)]
pub(crate) struct Evidence {
    /// Texts, captions, names and file names.
    words: Vec<(String, &'static str)>,
    photo: Vec<Vec<u8>>,
    /// By kind; each secret once.
    secrets: BTreeMap<&'static str, Vec<Zeroizing<Vec<u8>>>>,
    /// What must be found, so that finding nothing else means something.
    controls: Vec<(&'static str, Vec<u8>)>,
}

impl Evidence {
    /// Something that was written.
    pub(crate) fn learn_text(&mut self, text: &str) {
        self.words.push((text.to_owned(), "text"));
    }

    /// What somebody is called.
    pub(crate) fn learn_name(&mut self, name: &str) {
        self.words.push((name.to_owned(), "name"));
    }

    /// A photo: pieces from all over it.
    pub(crate) fn learn_photo(&mut self, bytes: &[u8]) {
        let windows = bytes.windows(WINDOW_LEN).skip(WINDOW_START).step_by(WINDOW_STEP);
        self.photo.extend(windows.map(<[u8]>::to_vec));
    }

    /// Every secret that a phone holds at this moment. Called several times, because prekeys and chain keys come and go.
    pub(crate) fn learn_secrets(&mut self, phone: &Phone) -> Result<(), StepError> {
        for secret in Inside::open(phone)?.secrets()? {
            let known = self.secrets.entry(secret.kind).or_default();
            // A field of zeros is an empty one, and would be found in every file.
            if secret.bytes.iter().any(|byte| *byte != 0) && !known.contains(&secret.bytes) {
                known.push(secret.bytes);
            }
        }
        Ok(())
    }

    /// Something that the relay must have.
    pub(crate) fn learn_control(&mut self, name: &'static str, bytes: &[u8]) {
        self.controls.push((name, bytes.to_vec()));
    }

    /// The search for all of it.
    pub(crate) fn search(&self) -> Search {
        let mut search = Search::default();
        for (text, kind) in &self.words {
            search.add(format!("{kind} {text:?}"), text.as_bytes());
        }
        for window in &self.photo {
            search.add("photo", window);
        }
        for (kind, secrets) in &self.secrets {
            for secret in secrets {
                search.add(*kind, secret);
            }
        }
        for (name, bytes) in &self.controls {
            search.add(*name, bytes);
        }
        search
    }

    /// Names of what must be found.
    pub(crate) fn controls(&self) -> impl Iterator<Item = &'static str> {
        self.controls.iter().map(|(name, _)| *name)
    }

    /// How many texts and names, pieces of the photo, and secrets there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.words.len(), self.photo.len(), self.secrets.values().map(Vec::len).sum())
    }
}
