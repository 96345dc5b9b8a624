//! What SQLite and PostgreSQL have in common: one SQL text with its values, run on whichever database was opened.

pub(super) mod columns;
pub(super) mod database;
pub(super) mod login;
pub(super) mod postgres;
pub(super) mod schema;
pub(super) mod sqlite;
pub(super) mod statement;
