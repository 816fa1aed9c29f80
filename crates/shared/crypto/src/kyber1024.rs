//! Kyber-1024 as submitted to round 3 of the NIST competition (specification of 2021-08-04): what deployed Signal clients speak.
//!
//! Not FIPS 203: keys and ciphertexts look the same and do not interoperate. It exists for the Signal-compatible profile only (feature
//! `kyber`); everything else uses [`crate::mlkem1024`]. The modulus check, which round 3 does not ask for, is made all the same: honest
//! keys pass it. The secret that a ciphertext for another key gives is not the submission's value either, in libcrux: it is as
//! unpredictable, and nobody but the holder of the secret key ever sees it.

crate::mlkem::parameter_set!(kyber1024, public: 1568, secret: 3168, ciphertext: 1568);
