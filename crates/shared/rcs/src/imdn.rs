//! Delivery receipts (RFC 5438).
