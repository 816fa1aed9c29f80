//! Two engines and a relay in memory.
