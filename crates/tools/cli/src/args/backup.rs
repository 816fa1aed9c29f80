//! Backups, and the end of an account.

use std::path::PathBuf;

use clap::Subcommand;

/// What `backup` does.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Write an encrypted backup: contacts, verifications, messages, and the keys of their files. Prints the secret that opens it, this once.
    #[command(after_help = "\
Examples:
  rcseal backup create ada.backup                              under a secret that is drawn and printed; holds the account key
  rcseal backup create ada.backup --passphrase < words.txt     under your own words; holds no account key")]
    Create {
        /// The file; one of that name is replaced.
        file: PathBuf,
        /// Read a passphrase from standard input in place of drawing a secret.
        #[arg(long)]
        passphrase: bool,
    },
    /// Print what a backup says of itself. That needs no secret, and nothing of it is authentic.
    #[command(after_help = "Example: rcseal backup inspect ada.backup")]
    Inspect {
        /// The file.
        file: PathBuf,
    },
    /// Restore a backup; its secret is read from standard input. A profile without an account becomes the account's new device, if the backup
    /// holds its key; one with an account and no messages gets the contacts and the history.
    #[command(after_help = "\
Examples:
  rcseal backup restore ada.backup --ca authority.pem < secret.txt    into an empty profile
  rcseal backup restore ada.backup < words.txt                        into a profile that has an account")]
    Restore {
        /// The file.
        file: PathBuf,
        /// The certificate authority that the server's certificate must be under, as PEM; where the profile has no account.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
}
