//! The fuzz targets on stable Rust: every seed, and a few thousand mutations of the seeds.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Inputs per target. All targets together take a few seconds.
const CASES: u32 = 4_000;

/// Bytes with a meaning in the grammars.
const SPECIAL: &[u8] = b"\0\t\n\r \"#%&'()*+,-./0129:;<=>?@AZ[\\]^_`az{|}~\x7f\x80\xff";

#[derive(Clone, Debug)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
    /// Continues with another seed from here.
    Splice(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = || prop_oneof![prop::sample::select(SPECIAL), any::<u8>()];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<Index>().prop_map(Mutation::Remove),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, seed)| Mutation::Splice(at, seed)),
    ]
}

fn mutated(seeds: &[Vec<u8>], seed: Index, mutations: &[Mutation]) -> Vec<u8> {
    let mut data = seed.get(seeds).clone();
    for mutation in mutations {
        let place = |at: &Index| at.index(data.len() + 1);
        match mutation {
            Mutation::Replace(at, byte) => {
                let at = place(at);
                data.splice(at..(at + 1).min(data.len()), [*byte]);
            }
            Mutation::Insert(at, byte) => data.insert(place(at), *byte),
            Mutation::Remove(at) => {
                let at = place(at);
                data.drain(at..(at + 1).min(data.len()));
            }
            Mutation::Repeat(one, other) => {
                let (one, other) = (place(one), place(other));
                let part = data[one.min(other)..one.max(other)].to_vec();
                data.splice(other..other, part);
            }
            Mutation::Splice(at, seed) => {
                data.truncate(place(at));
                data.extend_from_slice(seed.get::<Vec<u8>>(seeds));
            }
        }
    }
    data
}

/// The seeds of a target, in the order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 2, "{} has no seeds", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs a target with every seed and with mutations. The error contains the shortest failing input.
fn run(seeds: &[Vec<u8>], target: impl Fn(&[u8])) -> Result<(), TestError<(Index, Vec<Mutation>)>> {
    for seed in seeds {
        target(seed);
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let inputs = (any::<Index>(), prop::collection::vec(mutation(), 0..8));
    TestRunner::new(config).run(&inputs, |(seed, mutations)| {
        target(&mutated(seeds, seed, &mutations));
        Ok(())
    })
}

#[test]
fn parsers_accept_any_input() {
    for (name, target) in targets::TARGETS {
        let seeds = seeds(name);
        if let Err(TestError::Fail(reason, (seed, mutations))) = run(&seeds, target) {
            let input = mutated(&seeds, seed, &mutations);
            panic!("{name}: {reason}, with {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn broken_parser_is_detected() {
    let seeds = seeds("form");
    let finds = |target: fn(&[u8])| matches!(run(&seeds, target), Err(TestError::Fail(..)));
    assert!(finds(|data| assert!(!data.contains(&0xff), "a byte that no seed has")));
    assert!(finds(|data| assert!(!data.windows(2).any(|pair| pair == b"&&"), "an empty parameter")));
    assert!(!finds(|_| {}));
}

/// Each target has a program for libFuzzer, and the other way round.
#[test]
fn every_target_has_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut programs: Vec<String> = fs::read_dir(folder.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, targets::TARGETS.map(|(name, _)| name));
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let declared: Vec<&str> =
        manifest["bin"].as_array().unwrap().iter().map(|program| program["name"].as_str().unwrap()).collect();
    assert_eq!(declared, programs);
}
