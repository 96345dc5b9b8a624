//! Argon2id behind a gate: a few low-priority threads with their own memory, and a bounded queue.
//!
//! One hash takes about 15 ms and 19 MiB. Without a bound, a burst of them would take the whole server
//! down; when the queue is full the caller is told to come back.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::crypto::random;

/// What a hash costs, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub struct GateSettings {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes computed at once.
    pub threads: usize,
    /// Hashes that may wait.
    pub queue: usize,
}

/// Why there is no hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GateError {
    /// Too many are waiting.
    #[error("too many secrets are being hashed")]
    Busy,
    /// The parameters, the stored PHC string or the random generator were unusable.
    #[error("a secret could not be hashed: {0}")]
    Broken(&'static str),
}

/// The gate. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Argon2Gate {
    queue: SyncSender<Job>,
}

#[derive(Debug)]
enum Job {
    Hash(Zeroizing<Vec<u8>>, oneshot::Sender<Result<String, GateError>>),
    Verify(Zeroizing<Vec<u8>>, String, oneshot::Sender<Result<bool, GateError>>),
}

impl Argon2Gate {
    /// Starts the threads; they end when the last clone is dropped.
    pub fn start(settings: GateSettings) -> Result<Self, GateError> {
        let params = Params::new(settings.memory_kib, settings.iterations, settings.parallelism, Some(32))
            .map_err(|_| GateError::Broken("parameters out of range"))?;
        let (queue, jobs) = sync_channel(settings.queue);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..settings.threads.max(1) {
            let (jobs, params) = (jobs.clone(), params.clone());
            thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || work(&jobs, &params))
                .map_err(|_| GateError::Broken("no thread could be started"))?;
        }
        Ok(Self { queue })
    }

    /// The Argon2id PHC string of a secret, with a fresh salt.
    pub async fn hash(&self, secret: &[u8]) -> Result<String, GateError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Hash(Zeroizing::new(secret.to_vec()), reply))?;
        answer.await.map_err(|_| GateError::Broken("the hashing thread ended"))?
    }

    /// Whether a secret fits a PHC string.
    pub async fn verify(&self, secret: &[u8], phc: &str) -> Result<bool, GateError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Verify(Zeroizing::new(secret.to_vec()), phc.to_owned(), reply))?;
        answer.await.map_err(|_| GateError::Broken("the hashing thread ended"))?
    }

    fn submit(&self, job: Job) -> Result<(), GateError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => GateError::Busy,
            TrySendError::Disconnected(_) => GateError::Broken("the hashing threads ended"),
        })
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, params: &Params) {
    // On Linux this lowers the calling thread alone; where it is refused, hashing only competes harder.
    let _ = rustix::process::nice(10);
    let mut memory = Vec::new();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(Job::Hash(secret, reply)) => {
                let _ = reply.send(hash(&secret, params, &mut memory));
            }
            Ok(Job::Verify(secret, phc, reply)) => {
                let _ = reply.send(verify(&secret, &phc, &mut memory));
            }
            Err(_) => return,
        }
    }
}

fn hash(secret: &[u8], params: &Params, memory: &mut Vec<Block>) -> Result<String, GateError> {
    let salt: [u8; 16] = random::bytes().map_err(|_| GateError::Broken("no randomness"))?;
    let mut out = [0; 32];
    compute(secret, &salt, params, memory, &mut out)?;
    let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
    Ok(format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out)))
}

fn verify(secret: &[u8], phc: &str, memory: &mut Vec<Block>) -> Result<bool, GateError> {
    let broken = |_| GateError::Broken("a stored verifier is unreadable");
    let parsed = PasswordHash::new(phc).map_err(|_| GateError::Broken("a stored verifier is unreadable"))?;
    let params = Params::try_from(&parsed).map_err(broken)?;
    let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else {
        return Err(GateError::Broken("a stored verifier has no salt or hash"));
    };
    if parsed.algorithm.as_str() != "argon2id" {
        return Err(GateError::Broken("a stored verifier is not Argon2id"));
    }
    let mut out = vec![0; expected.as_ref().len()];
    compute(secret, salt.as_ref(), &params, memory, &mut out)?;
    Ok(constant_time::verify_slices_are_equal(&out, expected.as_ref()).is_ok())
}

fn compute(
    secret: &[u8],
    salt: &[u8],
    params: &Params,
    memory: &mut Vec<Block>,
    out: &mut [u8],
) -> Result<(), GateError> {
    memory.resize(memory.len().max(params.block_count()), Block::default());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(secret, salt, out, memory.as_mut_slice())
        .map_err(|_| GateError::Broken("Argon2 refused its input"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(queue: usize) -> Argon2Gate {
        Argon2Gate::start(GateSettings { memory_kib: 64, iterations: 1, parallelism: 1, threads: 1, queue }).unwrap()
    }

    #[tokio::test]
    async fn a_hash_fits_its_secret_only() {
        let gate = gate(8);
        let phc = gate.hash(b"correct").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(gate.verify(b"correct", &phc).await, Ok(true));
        assert_eq!(gate.verify(b"wrong", &phc).await, Ok(false));
        assert_ne!(phc, gate.hash(b"correct").await.unwrap(), "salts differ");
    }

    #[tokio::test]
    async fn our_strings_and_those_of_the_argon2_crate_agree() {
        use argon2::password_hash::{PasswordHasher, PasswordVerifier};
        let ours = gate(8).hash(b"secret").await.unwrap();
        assert!(Argon2::default().verify_password(b"secret", &PasswordHash::new(&ours).unwrap()).is_ok());
        let theirs = Argon2::default().hash_password(b"secret").unwrap().to_string();
        assert_eq!(gate(8).verify(b"secret", &theirs).await, Ok(true));
    }

    #[tokio::test]
    async fn an_unreadable_verifier_is_an_error_and_not_a_no() {
        assert!(matches!(gate(8).verify(b"x", "plain").await, Err(GateError::Broken(_))));
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let slow = GateSettings { memory_kib: 65_536, iterations: 4, parallelism: 1, threads: 1, queue: 1 };
        let gate = Argon2Gate::start(slow).unwrap();
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.hash(b"x").await })
            })
            .collect();
        let mut busy = 0;
        for attempt in attempts {
            busy += usize::from(attempt.await.unwrap() == Err(GateError::Busy));
        }
        assert!(busy >= 5, "{busy} of 8 were refused");
    }
}
