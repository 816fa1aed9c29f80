//! Man pages and completions, made from the same types that parse the command line.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::CliError;

/// Prints a shell's completions on standard output.
pub fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rcseal", &mut script);
    // A reader that has gone away is not an error.
    let _ = io::Write::write_all(&mut io::stdout().lock(), &script);
}

/// Writes one man page per command into a folder.
///
/// # Errors
/// [`CliError::File`].
pub fn man_pages(folder: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|source| CliError::File { path: folder.to_owned(), source })
}
