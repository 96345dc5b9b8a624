//! `keyturn master-key rotate`: replaces the master key and encrypts all data with the new one.

use crate::cli::table::count;
use crate::cli::{CliError, no_database, print_out};
use crate::clock;
use crate::config::Settings;
use crate::crypto::master_key::{MasterKeys, generate, write_file};
use crate::organizations::reseal;
use crate::server::{self, ServerError};

pub(super) async fn rotate(settings: Settings) -> Result<(), CliError> {
    if server::database_state(&settings).await?.is_none() {
        return Err(no_database());
    }
    // The lock comes first: another process may change whatever is read before it.
    let opened = server::open(&settings).await?;
    server::refuse_running_nodes(&opened).await?;
    let (file, old) = server::master_key_file(&settings)?;
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());

    // The new key is written in front of the old one before data is encrypted with it, and the old one is removed when
    // no data is encrypted with it. After a crash in between, the file has both keys, and both work.
    let new = generate().map_err(ServerError::from)?;
    let mut both = vec![new.clone()];
    both.extend(old);
    write_file(&file, &both).map_err(ServerError::from)?;
    let keys = MasterKeys::derive(&both).map_err(ServerError::from)?;
    let resealed = reseal(opened.store.as_ref(), &keys, clock::now()).await.map_err(|error| failed(&error))?;
    write_file(&file, std::slice::from_ref(&new)).map_err(ServerError::from)?;
    print_out(&format!(
        "Replaced the master key in {} and sealed {} under it (signing keys and webhooks).\n\
         API keys keep working: the first use of each is checked with Argon2 once.\n",
        file.display(),
        count(resealed as u64, "object")
    ))
}
