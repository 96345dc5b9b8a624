//! The process among others: its output, its files, its signals.

mod credentials;
mod output;
mod secret_files;
mod signals;
