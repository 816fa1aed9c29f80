//! One encrypted blob on its way through a carrier.
