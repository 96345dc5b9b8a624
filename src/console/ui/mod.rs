//! What pages are made of: small templates with a type each. Whatever they are given is escaped, here and nowhere else.

mod chart;
mod field;
mod moment;
mod small;

pub(super) use chart::{Chart, Column, Spark};
pub(super) use field::{Area, Errors, Field, Offer, Select, Tick};
pub(super) use moment::{Moment, date, days_left, span};
pub(super) use small::{Badge, Notice, Token, Tone, count};

/// Says that a component is HTML already: its own template has escaped what it was given.
macro_rules! html {
    ($($name:ident $(<$life:lifetime>)?)*) => {$(
        impl $(<$life>)? askama::filters::HtmlSafe for $name $(<$life>)? {}
    )*};
}
pub(crate) use html;
