//! A stack that the host brings: CPIM in, CPIM out.
