//! ML-KEM-768 (FIPS 203, category 3): the post-quantum half of sealing.

crate::mlkem::parameter_set!(
    mlkem768,
    "mlkem768",
    1184,
    1088,
    MlKem768PublicKey,
    MlKem768PrivateKey,
    MlKem768Ciphertext
);
