//! Writes the Kotlin, Swift and Python sources that belong to a built SDK library.
//!
//! UniFFI's own generator, of the very version that the library was built with: the two check each other's contract when the library is
//! loaded. A crate of its own, because the generator is larger than the library and is shipped to nobody.

fn main() {
    uniffi::uniffi_bindgen_main();
}
