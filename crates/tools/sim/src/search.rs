//! Looking for known bytes in everything a folder holds, in every form in which a program is likely to have written them down: as they are,
//! in hexadecimal, and in base64 at any alignment.
//!
//! A search that finds nothing proves nothing by itself, so each search also looks for things that must be there.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Bytes read at once.
const PIECE_LEN: usize = 1024 * 1024;
/// Shorter forms are found by accident: eight random bytes turn up in a hundred megabytes once in 10^11 searches.
const FORM_LEN_MIN: usize = 8;

/// Things to look for, each under a name.
#[derive(Debug, Default)]
pub struct Search {
    names: Vec<String>,
    /// Where a name stands among them.
    places: HashMap<String, usize>,
    forms: Vec<Vec<u8>>,
    /// Which name each form belongs to.
    owners: Vec<usize>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Where each name was found first.
    pub hits: BTreeMap<String, PathBuf>,
}

impl Search {
    /// Adds something to look for.
    pub fn add(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let name = name.into();
        let owner = *self.places.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        });
        for form in forms(bytes) {
            if form.len() >= FORM_LEN_MIN {
                self.forms.push(form);
                self.owners.push(owner);
            }
        }
    }

    /// How many forms are looked for.
    #[must_use]
    pub fn forms_len(&self) -> usize {
        self.forms.len()
    }

    /// Reads every file under `folder`.
    ///
    /// # Errors
    /// Those of reading files; that one is gone meanwhile is none.
    pub fn run(&self, folder: &Path) -> io::Result<Found> {
        let automaton = self.automaton().map_err(io::Error::other)?;
        let overlap = self.forms.iter().map(Vec::len).max().unwrap_or(1) - 1;
        let mut found = Found::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    match self.read(&automaton, overlap, &entry.path(), &mut found) {
                        // A running relay removes files; what is gone is no longer on its disk.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        other => other?,
                    }
                }
            }
        }
        Ok(found)
    }

    fn automaton(&self) -> Result<AhoCorasick, BuildError> {
        AhoCorasick::new(&self.forms)
    }

    fn read(&self, automaton: &AhoCorasick, overlap: usize, path: &Path, found: &mut Found) -> io::Result<()> {
        let mut file = File::open(path)?;
        found.files += 1;
        let mut buffer = vec![0; overlap + PIECE_LEN];
        let mut kept = 0;
        loop {
            let read = file.read(&mut buffer[kept..])?;
            if read == 0 {
                return Ok(());
            }
            found.bytes += read as u64;
            let filled = kept + read;
            for hit in automaton.find_overlapping_iter(&buffer[..filled]) {
                let name = &self.names[self.owners[hit.pattern().as_usize()]];
                found.hits.entry(name.clone()).or_insert_with(|| path.to_owned());
            }
            // The end of this piece is the beginning of the next, so that nothing hides on the border.
            kept = overlap.min(filled);
            buffer.copy_within(filled - kept..filled, 0);
        }
    }
}

/// Every form of some bytes.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![bytes.to_vec(), hex::encode(bytes).into_bytes(), hex::encode_upper(bytes).into_bytes()];
    let config = GeneralPurposeConfig::new().with_encode_padding(false);
    for alphabet in [STANDARD, URL_SAFE] {
        let engine = GeneralPurpose::new(&alphabet, config);
        for shift in 0..3 {
            // In the middle of other data the bytes begin at any of three places of a base64 group; the characters that depend on what
            // stands before or behind are left away.
            let text = engine.encode([&vec![0; shift][..], bytes].concat()).into_bytes();
            let start = (shift * 8).div_ceil(6);
            let end = (shift + bytes.len()) * 8 / 6;
            if let Some(form) = text.get(start..end) {
                forms.push(form.to_vec());
            }
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_form_is_found_at_every_place_and_nothing_else() {
        let secret: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
        let mut search = Search::default();
        search.add("secret", &secret);
        search.add("other", &[9; 32]);
        let folder = tempfile::tempdir().unwrap();
        let padding = vec![b'x'; PIECE_LEN - 10];
        for shift in 0..4 {
            let inside = [&vec![7; shift][..], &secret, b"behind"].concat();
            let url = base64::engine::general_purpose::URL_SAFE.encode(&inside);
            let standard = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&inside);
            for written in [
                inside.clone(),
                hex::encode(&inside).into(),
                hex::encode_upper(&inside).into(),
                url.into(),
                standard.into(),
            ] {
                // Across the border of two pieces.
                std::fs::write(folder.path().join("file"), [&padding[..], &written].concat()).unwrap();
                let found = search.run(folder.path()).unwrap();
                assert_eq!(found.hits.keys().collect::<Vec<_>>(), ["secret"]);
            }
        }
        std::fs::write(folder.path().join("file"), &secret[..31]).unwrap();
        assert!(search.run(folder.path()).unwrap().hits.is_empty());
    }
}
