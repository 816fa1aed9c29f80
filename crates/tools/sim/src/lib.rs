//! Carriers that mangle, faults, and the carrier matrix.
