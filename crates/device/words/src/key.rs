//! The keys of the catalogue: stable names, each with how serious it is. A name that was shipped keeps its meaning.

/// How loudly an app should say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As it should be.
    Info,
    /// Worth a look; nothing is at risk.
    Notice,
    /// Something was lost, or somebody else can read, or a contact is not certain any more.
    Warning,
    /// The user should act now.
    Critical,
}

impl Severity {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Declares the keys, so that variant, name and severity of each stand together.
macro_rules! keys {
    ($($name:ident = $text:literal, $severity:ident;)+) => {
        /// A state that a user is told about. The variants are the names in camel case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $(#[doc = concat!("`", $text, "`")] $name,)+
        }

        impl Key {
            /// Every key, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// How serious it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }
        }
    };
}

impl Key {
    /// The key of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.as_str() == name)
    }

    /// What it belongs to: the part of the name before the dot.
    #[must_use]
    pub fn group(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }

    /// Whether it may be shown on a locked screen: a sentence about the app and nobody else.
    #[must_use]
    pub fn is_notification(self) -> bool {
        self.group() == "notification"
    }
}

keys! {
    // account
    AccountRegistering = "account.registering", Info;
    AccountActive = "account.active", Info;
    AccountRecovering = "account.recovering", Info;
    AccountResetting = "account.resetting", Notice;
    AccountResetPending = "account.reset_pending", Critical;
    AccountResetCalledOff = "account.reset_called_off", Notice;
    AccountChangeRefused = "account.change_refused", Warning;
    AccountDeviceRemoved = "account.device_removed", Critical;
    AccountDevicesChanged = "account.devices_changed", Notice;
    AccountKeyChanged = "account.key_changed", Critical;
    AccountNotBelieved = "account.not_believed", Warning;
    // number
    NumberClaiming = "number.claiming", Info;
    NumberCodeSent = "number.code_sent", Info;
    NumberVerified = "number.verified", Info;
    NumberPending = "number.pending", Notice;
    NumberMapped = "number.mapped", Info;
    NumberRefused = "number.refused", Notice;
    NumberReleased = "number.released", Info;
    NumberLost = "number.lost", Critical;
    NumberContested = "number.contested", Critical;
    NumberExpiring = "number.expiring", Notice;
    NumberStateBehind = "number.state_behind", Notice;
    NumberRebound = "number.rebound", Warning;
    NumberServiceFound = "number.service_found", Critical;
    // case
    CaseWaiting = "case.waiting", Info;
    CaseOpen = "case.open", Info;
    CaseClosed = "case.closed", Info;
    CaseRevoked = "case.revoked", Notice;
    CaseExpired = "case.expired", Notice;
    CaseRefused = "case.refused", Notice;
    CaseReplayed = "case.replayed", Warning;
    // connection
    ConnectionStopped = "connection.stopped", Info;
    ConnectionConnecting = "connection.connecting", Info;
    ConnectionDelivering = "connection.delivering", Info;
    ConnectionOnline = "connection.online", Info;
    ConnectionOffline = "connection.offline", Notice;
    // vault
    VaultSoftware = "vault.software", Notice;
    VaultTee = "vault.tee", Info;
    VaultStrongBox = "vault.strong_box", Info;
    VaultSecureEnclave = "vault.secure_enclave", Info;
    VaultLocked = "vault.locked", Notice;
    VaultInvalidated = "vault.invalidated", Critical;
    VaultUnavailable = "vault.unavailable", Warning;
    // store
    StoreRolledBack = "store.rolled_back", Warning;
    StoreDamaged = "store.damaged", Critical;
    StoreFull = "store.full", Warning;
    StoreInUse = "store.in_use", Notice;
    StoreNewer = "store.newer", Notice;
    // link
    LinkWaiting = "link.waiting", Info;
    LinkDone = "link.done", Info;
    LinkNotGenuine = "link.not_genuine", Warning;
    LinkOtherServer = "link.other_server", Notice;
    LinkStartOver = "link.start_over", Notice;
    LinkFailed = "link.failed", Notice;
    // recovery
    RecoveryCodeReady = "recovery.code_ready", Notice;
    RecoveryCodeMismatch = "recovery.code_mismatch", Notice;
    RecoveryDone = "recovery.done", Info;
    // backup
    BackupNever = "backup.never", Notice;
    BackupRunning = "backup.running", Info;
    BackupDone = "backup.done", Info;
    BackupRestored = "backup.restored", Notice;
    BackupWrongPassphrase = "backup.wrong_passphrase", Notice;
    BackupTruncated = "backup.truncated", Warning;
    BackupTampered = "backup.tampered", Warning;
    BackupUnsupported = "backup.unsupported", Notice;
    BackupOtherSecret = "backup.other_secret", Notice;
    BackupCodeMismatch = "backup.code_mismatch", Notice;
    BackupWeakPassphrase = "backup.weak_passphrase", Notice;
    BackupNotEmpty = "backup.not_empty", Notice;
    BackupAccountFirst = "backup.account_first", Notice;
    // message
    MessageQueued = "message.queued", Info;
    MessageStored = "message.stored", Info;
    MessageDelivered = "message.delivered", Info;
    MessageRead = "message.read", Info;
    MessageReceived = "message.received", Info;
    MessageSeen = "message.seen", Info;
    MessageUndecryptable = "message.undecryptable", Warning;
    // failed
    FailedRefused = "failed.refused", Warning;
    FailedExpired = "failed.expired", Notice;
    FailedRejected = "failed.rejected", Warning;
    FailedNoKeys = "failed.no_keys", Warning;
    FailedNotAllowed = "failed.not_allowed", Notice;
    FailedUnconfirmed = "failed.unconfirmed", Notice;
    FailedServerKeyGone = "failed.server_key_gone", Warning;
    FailedRegionMismatch = "failed.region_mismatch", Warning;
    FailedRetentionUnknown = "failed.retention_unknown", Warning;
    // resend
    ResendHeld = "resend.held", Warning;
    // undecryptable
    UndecryptableUpdateNeeded = "undecryptable.update_needed", Notice;
    UndecryptableDamaged = "undecryptable.damaged", Warning;
    UndecryptableKeysGone = "undecryptable.keys_gone", Notice;
    UndecryptableNotGenuine = "undecryptable.not_genuine", Warning;
    UndecryptableRepeated = "undecryptable.repeated", Info;
    UndecryptableNoRoom = "undecryptable.no_room", Notice;
    UndecryptableOtherNumber = "undecryptable.other_number", Notice;
    // plain
    PlainQueued = "plain.queued", Info;
    PlainUnconfirmed = "plain.unconfirmed", Notice;
    PlainStored = "plain.stored", Info;
    PlainSent = "plain.sent", Info;
    PlainDelivered = "plain.delivered", Info;
    PlainDisplayed = "plain.displayed", Info;
    PlainFailed = "plain.failed", Warning;
    PlainNotAllowed = "plain.not_allowed", Notice;
    PlainReceived = "plain.received", Warning;
    // carrier
    CarrierDetached = "carrier.detached", Info;
    CarrierAttached = "carrier.attached", Info;
    CarrierClosed = "carrier.closed", Notice;
    CarrierUnread = "carrier.unread", Notice;
    // notification
    NotificationMessage = "notification.message", Info;
    NotificationMessages = "notification.messages", Info;
    NotificationPending = "notification.pending", Info;
    NotificationUnlock = "notification.unlock", Notice;
    NotificationAccount = "notification.account", Warning;
    NotificationSafety = "notification.safety", Warning;
    NotificationUpdate = "notification.update", Notice;
    // encryption
    EncryptionRelayed = "encryption.relayed", Info;
    EncryptionNative = "encryption.native", Info;
    EncryptionBrokered = "encryption.brokered", Info;
    EncryptionServerEncrypted = "encryption.server_encrypted", Notice;
    EncryptionCarrierReadable = "encryption.carrier_readable", Warning;
    EncryptionSms = "encryption.sms", Warning;
    // reader
    ReaderParticipants = "reader.participants", Info;
    ReaderServerOperator = "reader.server_operator", Notice;
    ReaderCarriers = "reader.carriers", Warning;
    ReaderRadioAndRoaming = "reader.radio_and_roaming", Warning;
    // fallback
    FallbackDowngrade = "fallback.downgrade", Warning;
    FallbackVerify = "fallback.verify", Info;
    FallbackBlock = "fallback.block", Info;
    // route
    RouteRelayed = "route.relayed", Info;
    RouteNative = "route.native", Info;
    // reason
    ReasonRelayedByDefault = "reason.relayed_by_default", Info;
    ReasonNativePreferred = "reason.native_preferred", Info;
    ReasonNativeUnavailable = "reason.native_unavailable", Info;
    ReasonNativeDoubtful = "reason.native_doubtful", Info;
    ReasonNativeOnly = "reason.native_only", Info;
    ReasonBrokeredOnly = "reason.brokered_only", Info;
    ReasonBrokeredPreferred = "reason.brokered_preferred", Info;
    ReasonDowngradeAgreed = "reason.downgrade_agreed", Warning;
    ReasonDowngradeAcknowledged = "reason.downgrade_acknowledged", Warning;
    ReasonPolicyBlocks = "reason.policy_blocks", Notice;
    ReasonCapabilityUnknown = "reason.capability_unknown", Notice;
    ReasonPolicyVerifies = "reason.policy_verifies", Notice;
    ReasonKnownCapable = "reason.known_capable", Warning;
    ReasonConsentMissing = "reason.consent_missing", Notice;
    ReasonNoWay = "reason.no_way", Notice;
    ReasonContentUnfit = "reason.content_unfit", Notice;
    ReasonNoLongerAllowed = "reason.no_longer_allowed", Notice;
    ReasonServerKeyDestroyed = "reason.server_key_destroyed", Notice;
    ReasonRegionMismatch = "reason.region_mismatch", Notice;
    ReasonRetentionUnknown = "reason.retention_unknown", Notice;
    ReasonCarrierUnconfirmed = "reason.carrier_unconfirmed", Info;
    ReasonCarrierRefusedIt = "reason.carrier_refused_it", Info;
    ReasonCarrierUnfitForIt = "reason.carrier_unfit_for_it", Info;
    ReasonCarrierGone = "reason.carrier_gone", Info;
    ReasonDeviceNotOnCarrier = "reason.device_not_on_carrier", Info;
    ReasonRestored = "reason.restored", Info;
    ReasonServerKeyChanged = "reason.server_key_changed", Notice;
    ReasonServerKeyHeld = "reason.server_key_held", Warning;
    // verification
    VerificationUnverified = "verification.unverified", Notice;
    VerificationVerified = "verification.verified", Info;
    VerificationChanged = "verification.changed", Warning;
    VerificationSuggested = "verification.suggested", Notice;
    // scan
    ScanMatched = "scan.matched", Info;
    ScanMalformed = "scan.malformed", Notice;
    ScanWrongVersion = "scan.wrong_version", Notice;
    ScanMismatch = "scan.mismatch", Critical;
    // change
    ChangeAllow = "change.allow", Notice;
    ChangeWarn = "change.warn", Info;
    ChangeBlock = "change.block", Info;
    // account_key
    AccountKeyUnchanged = "account_key.unchanged", Info;
    AccountKeySameAccountKey = "account_key.same_account_key", Info;
    AccountKeyMigrated = "account_key.migrated", Notice;
    AccountKeyRecovered = "account_key.recovered", Notice;
    AccountKeyReset = "account_key.reset", Warning;
    // key_set
    KeySetNotBelieved = "key_set.not_believed", Warning;
    KeySetOlder = "key_set.older", Warning;
    KeySetFork = "key_set.fork", Critical;
    KeySetGap = "key_set.gap", Notice;
    KeySetTooEarly = "key_set.too_early", Notice;
    // conversation
    ConversationDowngradedHere = "conversation.downgraded_here", Warning;
    ConversationDowngradedThere = "conversation.downgraded_there", Warning;
    ConversationRestored = "conversation.restored", Info;
    // contact
    ContactAdded = "contact.added", Info;
    ContactDevicesChanged = "contact.devices_changed", Notice;
    // retained
    RetainedUnannounced = "retained.unannounced", Warning;
    // server_key
    ServerKeyUsable = "server_key.usable", Info;
    ServerKeyStale = "server_key.stale", Info;
    ServerKeyHeld = "server_key.held", Warning;
    ServerKeyGone = "server_key.gone", Notice;
    ServerKeyRegionMismatch = "server_key.region_mismatch", Notice;
}
