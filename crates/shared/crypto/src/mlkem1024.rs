//! ML-KEM-1024 (FIPS 203, category 5): the post-quantum half of the handshake.

crate::mlkem::parameter_set!(mlkem1024, public: 1568, ciphertext: 1568);
crate::mlkem::expanded_with_matrix!(mlkem1024, ct1: 1408, ct2: 160);
