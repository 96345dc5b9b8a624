//! `/verify`: what gateways ask before they let a request through.
//!
//! A surface: parses once into a complete type, calls one use case, renders. Imports `domain`, `clock`,
//! `tokens`, `node` and `http`; no other surface.

mod answer;
mod requirement;
mod target;
mod verify;

pub use verify::routes;
