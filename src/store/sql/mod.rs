//! The common part of SQLite and PostgreSQL: one SQL text with values that runs on either database.

pub(super) mod columns;
pub(super) mod database;
pub(super) mod login;
pub(super) mod postgres;
pub(super) mod schema;
pub(super) mod sqlite;
pub(super) mod statement;
