//! The process: output, files, signals.

mod credentials;
mod output;
mod secret_files;
mod signals;
