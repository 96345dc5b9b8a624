//! `[session]`: how long people stay signed in.

use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[session]`: sessions of people who have signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Minutes without use after which a session ends, 1 to 10080.
    pub idle_minutes: u32,
    /// Hours after which a session ends however much it is used, 1 to 720.
    pub hours: u32,
}

impl Session {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        Ok(Self {
            idle_minutes: section.within(&IDLE_MINUTES, raw.idle_minutes)?,
            hours: section.within(&HOURS, raw.hours)?,
        })
    }
}

const IDLE_MINUTES: Setting = Setting::numbers("idle_minutes", 1, 10_080, "minutes");
const HOURS: Setting = Setting::numbers("hours", 1, 720, "hours");

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "session", settings: &[IDLE_MINUTES, HOURS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    idle_minutes: u32,
    hours: u32,
}
