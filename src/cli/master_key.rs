//! `keyturn master-key rotate`: a new master key, under which everything is sealed anew.

use crate::cli::{CliError, print_out};
use crate::clock;
use crate::config::Settings;
use crate::crypto::master_key::{MasterKeys, generate, write_file};
use crate::organizations::reseal;
use crate::server::{self, ServerError};

pub(super) async fn rotate(settings: Settings) -> Result<(), CliError> {
    if server::look(&settings).await?.is_none() {
        return Err(CliError::Failed("store.url: there is no database yet; run: keyturn init".into()));
    }
    // The lock first: what is read before it may be somebody else's past.
    let opened = server::open(&settings).await?;
    server::refuse_running_nodes(&opened).await?;
    let (file, old) = server::master_key_file(&settings)?;
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());

    // The new key is in the file, in front of the old, before anything is sealed under it; and the old one
    // leaves only when nothing is sealed under it. A crash in between leaves a pair that works.
    let new = generate().map_err(ServerError::from)?;
    let mut both = vec![new.clone()];
    both.extend(old);
    write_file(&file, &both).map_err(ServerError::from)?;
    let keys = MasterKeys::derive(&both).map_err(ServerError::from)?;
    let count = reseal(opened.store.as_ref(), &keys, clock::now()).await.map_err(|error| failed(&error))?;
    write_file(&file, std::slice::from_ref(&new)).map_err(ServerError::from)?;
    print_out(&format!(
        "The master key in {} is new; {count} signing keys and webhooks are sealed under it.\n\
         API keys go on working: the first use of each is checked with Argon2 once.\n",
        file.display()
    ))
}
