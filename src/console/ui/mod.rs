//! Components of pages: small templates, each with a type. Their input is escaped here and nowhere else.

pub mod attributes;
mod chart;
mod choice;
mod errors;
mod field;
mod messages;
mod moment;
mod small;

pub(super) use chart::{Chart, Column, SecretColumn, Spark};
pub(super) use choice::{Choice, ChoiceOption, was_used_recently};
pub(super) use errors::{Errors, Labels};
pub(super) use field::{Area, Checkbox, Field, Select, SelectOption};
pub(super) use messages::{describe_networks_error, describe_scope_error, to_sentence};
pub(super) use moment::{
    Moment, format_date, format_date_and_time, format_distance, format_month_and_day, format_span, is_within_days,
    replace_times,
};
pub(super) use small::{Badge, Copyable, CsrfField, Icon, Notice, Tone, capitalize, escape, format_count, html_size};

/// Marks components as safe HTML: their own templates escape their input.
macro_rules! html {
    ($($name:ident $(<$life:lifetime>)?)*) => {$(
        impl $(<$life>)? askama::filters::HtmlSafe for $name $(<$life>)? {}
    )*};
}
pub(crate) use html;
