//! ML-KEM-768 (FIPS 203, category 3): the post-quantum half of sealing and, in pieces, of the ratchet.

pub mod split;

crate::mlkem::parameter_set!(mlkem768, public: 1184, ciphertext: 1088);
crate::mlkem::expanded_with_matrix!(mlkem768, ct1: 960, ct2: 128);
