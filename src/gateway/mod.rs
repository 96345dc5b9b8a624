//! `/verify`: whether a gateway may pass a request on.
//!
//! Parses the request once into a complete type, calls one use case and renders its result.

mod answer;
mod requirement;
mod target;
mod verify;

pub use verify::routes;
