//! Integration tests: one binary, folders that mirror the surfaces.
