//! ML-KEM-1024 (FIPS 203, category 5): the post-quantum half of the handshake.

crate::mlkem::parameter_set!(mlkem1024, public: 1568, secret: 3168, ciphertext: 1568);
