//! The descriptor of a file transfer over HTTP (RCC.07).
