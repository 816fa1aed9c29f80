//! Looking for words in everything that a relay has on disk.
//!
//! A search that finds nothing proves nothing by itself, so it is given something that must be there as well.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aho_corasick::AhoCorasick;

/// Bytes read at once.
const PIECE_LEN: usize = 1 << 20;

/// Which of these stand anywhere in the files under a folder.
///
/// # Errors
/// Those of reading files; a folder that changes meanwhile is no error.
pub(super) fn found_in(folder: &Path, wanted: &[Vec<u8>]) -> io::Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    let Some(overlap) = wanted.iter().map(Vec::len).max() else { return Ok(found) };
    let automaton = AhoCorasick::new(wanted).map_err(io::Error::other)?;
    let mut folders = vec![folder.to_owned()];
    let mut buffer = vec![0; overlap + PIECE_LEN];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let mut file = File::open(entry.path())?;
                let mut kept = 0;
                loop {
                    let read = file.read(&mut buffer[kept..])?;
                    if read == 0 {
                        break;
                    }
                    let filled = kept + read;
                    found
                        .extend(automaton.find_overlapping_iter(&buffer[..filled]).map(|hit| hit.pattern().as_usize()));
                    // The end of this piece is the beginning of the next, so that nothing hides on the border.
                    kept = overlap.min(filled);
                    buffer.copy_within(filled - kept..filled, 0);
                }
            }
        }
    }
    Ok(found)
}
