//! File transfer over HTTP (RCC.07).
