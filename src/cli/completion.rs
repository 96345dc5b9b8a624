//! `keyturn completion`: scripts that complete commands in a shell.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::{CliError, print_bytes};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  source <(keyturn completion bash)\n  \
    keyturn completion zsh > \"${fpath[1]}/_keyturn\"\n  \
    keyturn completion fish > ~/.config/fish/completions/keyturn.fish")]
pub(super) struct CompletionArguments {
    /// Shell
    shell: Shell,
}

pub(super) fn completion(arguments: &CompletionArguments, mut command: Command) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "keyturn", &mut script);
    print_bytes(&script)
}
