//! The only source of randomness: AWS-LC's per-thread generator, seeded by the operating system.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The generator failed, which does not happen after startup.
#[derive(Debug, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct RandomError;

#[expect(clippy::disallowed_methods, reason = "this is the home of randomness")]
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// Returns a random identifier of 128 bits: 22 characters of `[A-Za-z0-9_-]`.
pub fn identifier() -> Result<String, RandomError> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<16>()?))
}

/// The same for an identifier that is no secret, such as a request's. A thread draws several at once, because most of the
/// cost of randomness is in each call of the generator.
pub fn public_identifier() -> Result<String, RandomError> {
    const DRAWN: usize = 16;
    thread_local! {
        static READY: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    READY.with_borrow_mut(|ready| {
        if ready.is_empty() {
            ready.extend_from_slice(bytes::<{ 16 * DRAWN }>()?.as_chunks().0);
        }
        ready.pop().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).ok_or(RandomError)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn public_identifiers_are_never_repeated() {
        let draw = || (0..100).map(|_| public_identifier().unwrap()).collect::<Vec<_>>();
        let mut all = draw();
        all.extend(std::thread::spawn(draw).join().unwrap());
        assert!(all.iter().all(|identifier| identifier.len() == 22));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200);
    }
}
