# Short names for the scripts. `just` is optional: every recipe is one command that you can run yourself.

# List the recipes.
default:
    @just --list

# Everything that CI checks; up to an hour.
ci:
    .ci/run

# Formatting, lints, dependencies and wording: the checks that need no tests.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    scripts/dependencies
    scripts/spelling
    scripts/wording

# Unit and integration tests with a PostgreSQL server of their own, for example `just test rotate`.
test *filter:
    scripts/with-postgres cargo test --lib --test it {{ filter }}

# Start a server with a new store in ./data.
serve:
    cargo run --release

# Measure the parts of the token endpoint.
bench *filter:
    cargo bench --bench hot_path {{ filter }}

# Fuzz one parser, or all of them, for a number of seconds each.
fuzz seconds="60" *targets:
    scripts/fuzz --seconds {{ seconds }} {{ targets }}
