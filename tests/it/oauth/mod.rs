//! `/oauth/*` and `/.well-known/*`.

mod audience;
mod bad_input;
mod client_address;
mod cors;
mod denials;
mod issuers;
mod presenting;
mod public_path;
mod resource_metadata;
mod scopes;
mod token;
