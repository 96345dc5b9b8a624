//! Argon2id with bounded cost: a few low-priority threads with their own memory, and a fair, bounded queue.
//!
//! One hash takes about 15 ms and 19 MiB, so hashes wait in lanes by purpose, and in fair shares within a lane
//! (`queue.rs`). A waiter that is dropped leaves the queue immediately and its hash is not computed.

mod queue;

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::crypto::digest::sha256;
use crate::crypto::random;

use queue::{JobTicket, Queue};
pub use queue::{Lane, Share};

/// Maximum number of sign-ins that wait in one narrowest share (one address, one tenant).
const SIGN_INS_OF_SHARE: usize = 8;

/// Cost of a hash and limits of the queue.
#[derive(Clone, Copy, Debug)]
pub struct GateSettings {
    /// Memory per hash in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    pub parallelism: u32,
    /// Number of hashing threads.
    pub threads: usize,
    /// Maximum number of waiting hashes per lane.
    pub queue: usize,
}

/// Reason why a hash was not computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GateError {
    /// The queue is full.
    #[error("too many secrets are being hashed")]
    Busy,
    /// The parameters, a stored PHC string or the random generator cannot be used.
    #[error("failed to hash a secret: {0}")]
    Broken(&'static str),
}

/// Position in the queue: the lane, and the share of the lane.
#[derive(Clone, Debug)]
pub struct QueueKey {
    pub lane: Lane,
    /// From the widest group to the narrowest.
    pub share: Share,
}

/// The result of a shared check of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Whether the secret matches.
    pub is_match: bool,
    /// Whether the hash was computed for another waiter.
    pub is_shared: bool,
}

/// A check of a secret against a PHC string that any number of waiters share: the first hash decides for all of them,
/// and for those that join before the last one has dropped it.
pub struct SharedCheck {
    digest: [u8; 32],
    secret: Zeroizing<Vec<u8>>,
    phc: String,
    /// Locked while the hash is computed.
    result: Mutex<Option<bool>>,
    gate: Weak<Shared>,
}

impl std::fmt::Debug for SharedCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedCheck(..)")
    }
}

impl Drop for SharedCheck {
    fn drop(&mut self) {
        let Some(gate) = self.gate.upgrade() else { return };
        let mut checks = gate.checks.lock();
        // An identical check may have started meanwhile.
        if checks.get(&self.digest).is_some_and(|check| check.strong_count() == 0) {
            checks.remove(&self.digest);
        }
    }
}

/// A handle of the threads. Cheap to clone; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Argon2Gate {
    handle: Arc<Handle>,
}

impl std::fmt::Debug for Argon2Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Argon2Gate(..)")
    }
}

struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    added: Condvar,
    checks: Mutex<HashMap<[u8; 32], Weak<SharedCheck>>>,
}

struct Waiting {
    queue: Queue<Job>,
    is_closed: bool,
}

enum Job {
    Hash(Zeroizing<Vec<u8>>, oneshot::Sender<Result<String, GateError>>),
    Verify(Zeroizing<Vec<u8>>, String, oneshot::Sender<Result<bool, GateError>>),
    Shared(Arc<SharedCheck>, oneshot::Sender<Result<Verified, GateError>>),
}

impl Job {
    fn reject(self) {
        // The waiter may be gone.
        let _ = match self {
            Self::Hash(_, reply) => reply.send(Err(GateError::Busy)).is_ok(),
            Self::Verify(_, _, reply) => reply.send(Err(GateError::Busy)).is_ok(),
            Self::Shared(_, reply) => reply.send(Err(GateError::Busy)).is_ok(),
        };
    }
}

/// Removes a job from the queue when its waiter is dropped.
struct Waiter<'a> {
    gate: &'a Argon2Gate,
    ticket: JobTicket,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let removed = self.gate.handle.shared.lock().queue.remove(&self.ticket);
        drop(removed);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.added.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Returns the next job; `None` after the gate is closed.
    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.queue.pop() {
                return Some(job);
            }
            if waiting.is_closed {
                return None;
            }
            self.added.wait(&mut waiting);
        }
    }
}

impl Argon2Gate {
    /// Starts the threads.
    pub fn start(settings: GateSettings) -> Result<Self, GateError> {
        let params = Params::new(settings.memory_kib, settings.iterations, settings.parallelism, Some(32))
            .map_err(|_| GateError::Broken("parameters out of range"))?;
        let waiting = Mutex::new(Waiting { queue: Queue::new(settings.queue), is_closed: false });
        let shared = Arc::new(Shared { waiting, added: Condvar::new(), checks: Mutex::default() });
        let handle = Arc::new(Handle { shared: shared.clone() });
        for number in 0..settings.threads.max(1) {
            let (shared, params) = (shared.clone(), params.clone());
            thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || run_despite_panics(|| work(&shared, &params)))
                .map_err(|_| GateError::Broken("failed to start a thread"))?;
        }
        Ok(Self { handle })
    }

    /// Returns the Argon2id PHC string of a secret, with a fresh salt.
    pub async fn hash(&self, queue: QueueKey, secret: &[u8]) -> Result<String, GateError> {
        let (reply, response) = oneshot::channel();
        let _waiter = self.submit(queue, Job::Hash(Zeroizing::new(secret.to_vec()), reply))?;
        response.await.map_err(|_| GateError::Broken("the hashing thread ended"))?
    }

    /// Returns whether a secret matches a PHC string. Always computes the hash.
    pub async fn verify(&self, queue: QueueKey, secret: &[u8], phc: &str) -> Result<bool, GateError> {
        let (reply, response) = oneshot::channel();
        let _waiter = self.submit(queue, Job::Verify(Zeroizing::new(secret.to_vec()), phc.to_owned(), reply))?;
        response.await.map_err(|_| GateError::Broken("the hashing thread ended"))?
    }

    /// Returns a check of a secret against a PHC string, which may already be in progress for others.
    pub fn shared_check(&self, secret: &[u8], phc: &str) -> Arc<SharedCheck> {
        let digest = sha256(&Zeroizing::new([phc.as_bytes(), b"\n", secret].concat()));
        let shared = &self.handle.shared;
        let mut checks = shared.checks.lock();
        if let Some(check) = checks.get(&digest).and_then(Weak::upgrade) {
            return check;
        }
        let check = Arc::new(SharedCheck {
            digest,
            secret: Zeroizing::new(secret.to_vec()),
            phc: phc.to_owned(),
            result: Mutex::default(),
            gate: Arc::downgrade(shared),
        });
        checks.insert(digest, Arc::downgrade(&check));
        check
    }

    /// Completes a shared check. Each waiter waits in its own share, so a flooded network does not delay others.
    pub async fn verify_shared(&self, queue: QueueKey, check: &Arc<SharedCheck>) -> Result<Verified, GateError> {
        let (reply, response) = oneshot::channel();
        let _waiter = self.submit(queue, Job::Shared(check.clone(), reply))?;
        response.await.map_err(|_| GateError::Broken("the hashing thread ended"))?
    }

    fn submit(&self, QueueKey { lane, share }: QueueKey, job: Job) -> Result<Waiter<'_>, GateError> {
        let shared = &self.handle.shared;
        let (ticket, evicted) = {
            let mut waiting = shared.lock();
            let own = waiting.queue.waiting(lane, &share).last().copied().unwrap_or_default();
            if lane == Lane::SignIn && own >= SIGN_INS_OF_SHARE {
                return Err(GateError::Busy);
            }
            waiting.queue.push(lane, share, job)
        };
        if let Some(evicted) = evicted {
            evicted.reject();
        }
        shared.added.notify_one();
        Ok(Waiter { gate: self, ticket })
    }
}

/// Runs the work of a thread, and runs it again after a panic: without threads, hashes would wait forever.
fn run_despite_panics(work: impl Fn()) {
    while panic::catch_unwind(AssertUnwindSafe(&work)).is_err() {
        tracing::error!("Argon2 thread failed; it is restarted");
    }
}

fn work(shared: &Shared, params: &Params) {
    // On Linux this affects only the calling thread. If it fails, hashing only competes harder for the CPU.
    let _ = rustix::process::nice(10);
    let mut memory = Vec::new();
    while let Some(job) = shared.next() {
        match job {
            // A waiter may be dropped after its job has left the queue.
            Job::Hash(_, reply) if reply.is_closed() => {}
            Job::Verify(_, _, reply) if reply.is_closed() => {}
            Job::Shared(_, reply) if reply.is_closed() => {}
            Job::Hash(secret, reply) => {
                let _ = reply.send(hash(&secret, params, &mut memory));
            }
            Job::Verify(secret, phc, reply) => {
                let _ = reply.send(verify(&secret, &phc, &mut memory));
            }
            Job::Shared(check, reply) => {
                let _ = reply.send(run_shared(&check, &mut memory));
            }
        }
    }
}

fn run_shared(check: &SharedCheck, memory: &mut Vec<Block>) -> Result<Verified, GateError> {
    let mut result = check.result.lock();
    if let Some(is_match) = *result {
        return Ok(Verified { is_match, is_shared: true });
    }
    let is_match = verify(&check.secret, &check.phc, memory)?;
    *result = Some(is_match);
    Ok(Verified { is_match, is_shared: false })
}

fn hash(secret: &[u8], params: &Params, memory: &mut Vec<Block>) -> Result<String, GateError> {
    let salt: [u8; 16] = random::bytes().map_err(|_| GateError::Broken("the random number generator failed"))?;
    let mut out = [0; 32];
    compute(secret, &salt, params, memory, &mut out)?;
    let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
    Ok(format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out)))
}

fn verify(secret: &[u8], phc: &str, memory: &mut Vec<Block>) -> Result<bool, GateError> {
    let broken = |_| GateError::Broken("a stored verifier cannot be parsed");
    let parsed = PasswordHash::new(phc).map_err(|_| GateError::Broken("a stored verifier cannot be parsed"))?;
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
    #[cfg(test)]
    assert_ne!(secret, tests::PANICS, "injected");
    memory.resize(memory.len().max(params.block_count()), Block::default());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(secret, salt, out, memory.as_mut_slice())
        .map_err(|_| GateError::Broken("Argon2 rejected its input"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret whose hash panics.
    pub(super) const PANICS: &[u8] = b"panics";

    #[tokio::test]
    async fn panic_fails_one_hash_and_the_thread_continues() {
        let gate = gate(8);
        let failed = gate.hash(management(), PANICS).await;
        assert_eq!(failed, Err(GateError::Broken("the hashing thread ended")));
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), gate.hash(management(), b"x")).await;
        assert!(next.is_ok_and(|hash| hash.is_ok()));
    }

    fn gate(queue: usize) -> Argon2Gate {
        Argon2Gate::start(GateSettings { memory_kib: 64, iterations: 1, parallelism: 1, threads: 1, queue }).unwrap()
    }

    fn slow_gate(queue: usize) -> Argon2Gate {
        let settings = GateSettings { memory_kib: 16_384, iterations: 2, parallelism: 1, threads: 1, queue };
        Argon2Gate::start(settings).unwrap()
    }

    fn queue(lane: Lane, share: u64) -> QueueKey {
        QueueKey { lane, share: vec![share] }
    }

    fn management() -> QueueKey {
        queue(Lane::Management, 0)
    }

    fn hash_later(gate: &Argon2Gate, queue: QueueKey) -> tokio::task::JoinHandle<Result<String, GateError>> {
        let gate = gate.clone();
        tokio::spawn(async move { gate.hash(queue, b"x").await })
    }

    #[tokio::test]
    async fn hash_matches_its_secret_only() {
        let gate = gate(8);
        let phc = gate.hash(management(), b"correct").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(gate.verify(management(), b"correct", &phc).await, Ok(true));
        assert_eq!(gate.verify(management(), b"wrong", &phc).await, Ok(false));
        assert_ne!(phc, gate.hash(management(), b"correct").await.unwrap(), "salts differ");
    }

    #[tokio::test]
    async fn phc_strings_match_the_argon2_crate() {
        use argon2::password_hash::{PasswordHasher, PasswordVerifier};
        let ours = gate(8).hash(management(), b"secret").await.unwrap();
        assert!(Argon2::default().verify_password(b"secret", &PasswordHash::new(&ours).unwrap()).is_ok());
        let theirs = Argon2::default().hash_password(b"secret").unwrap().to_string();
        assert_eq!(gate(8).verify(management(), b"secret", &theirs).await, Ok(true));
    }

    #[tokio::test]
    async fn invalid_verifier_is_an_error() {
        assert!(matches!(gate(8).verify(management(), b"x", "plain").await, Err(GateError::Broken(_))));
    }

    #[tokio::test]
    async fn full_queue_fails_immediately() {
        let gate = slow_gate(1);
        let attempts: Vec<_> = (0..8).map(|_| hash_later(&gate, management())).collect();
        let mut busy = 0;
        for attempt in attempts {
            busy += usize::from(attempt.await.unwrap() == Err(GateError::Busy));
        }
        assert!(busy >= 5, "{busy} of 8 were refused");
    }

    #[tokio::test]
    async fn full_queue_makes_room_for_another_share() {
        let gate = slow_gate(4);
        let flood: Vec<_> = (0..20).map(|_| hash_later(&gate, queue(Lane::KeyCheck, 1))).collect();
        tokio::task::yield_now().await;
        assert!(gate.hash(queue(Lane::KeyCheck, 2), b"good").await.is_ok());
        drop(flood);
    }

    #[tokio::test]
    async fn dropped_waiter_leaves_the_queue() {
        let gate = slow_gate(64);
        let flood: Vec<_> = (0..20).map(|n| hash_later(&gate, queue(Lane::SignIn, n))).collect();
        tokio::task::yield_now().await;
        for task in flood {
            task.abort();
            let _ = task.await;
        }
        assert!(gate.handle.shared.lock().queue.is_empty());
    }

    #[tokio::test]
    async fn identical_checks_share_one_hash() {
        for threads in [1, 4] {
            let settings = GateSettings { memory_kib: 16_384, iterations: 2, parallelism: 1, threads, queue: 64 };
            let gate = Argon2Gate::start(settings).unwrap();
            let phc = gate.hash(management(), b"correct").await.unwrap();
            let run = |secret: &'static [u8]| {
                let (gate, check) = (gate.clone(), gate.shared_check(secret, &phc));
                tokio::spawn(async move { gate.verify_shared(queue(Lane::KeyCheck, 1), &check).await.unwrap() })
            };
            let held = gate.shared_check(b"correct", &phc);
            let identical: Vec<_> = (0..20).map(|_| run(b"correct")).collect();
            let wrong = run(b"wrong");
            let mut hashes = 0;
            for task in identical {
                let verified = task.await.unwrap();
                assert!(verified.is_match);
                hashes += usize::from(!verified.is_shared);
            }
            assert_eq!(hashes, 1);
            assert_eq!(wrong.await.unwrap(), Verified { is_match: false, is_shared: false });
            assert!(run(b"correct").await.unwrap().is_shared, "while the check is held");
            drop(held);
            drop(gate.hash(management(), b"the threads are done with all before").await);
            wait_for_no_checks(&gate).await;
            assert!(!run(b"correct").await.unwrap().is_shared);
        }
    }

    async fn wait_for_no_checks(gate: &Argon2Gate) {
        for _ in 0..1000 {
            if gate.handle.shared.checks.lock().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("checks are left");
    }
}
