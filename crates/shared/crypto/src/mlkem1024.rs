//! ML-KEM-1024 (FIPS 203, category 5): the post-quantum half of the handshake.

crate::mlkem::parameter_set!(
    mlkem1024,
    "mlkem1024",
    1568,
    1568,
    MlKem1024PublicKey,
    MlKem1024PrivateKey,
    MlKem1024Ciphertext
);
