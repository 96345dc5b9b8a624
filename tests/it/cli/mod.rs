//! The command line: exit codes, one line for what is wrong, and nothing changed when it is.

mod client;
mod configuration;
mod init;
mod keys;
mod master_key;
mod migrate;
mod serve;
