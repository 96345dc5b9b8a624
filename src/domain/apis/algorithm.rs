//! The algorithm of an API's tokens, and its change, during which the tokens of both algorithms are valid.

use crate::domain::choices::Algorithm;
use crate::domain::timestamp::Timestamp;

/// How long after a change the last token of the earlier algorithm can be in use: the longest lifetime of a token and five
/// minutes, in seconds.
const OVERLAP_SECONDS: i64 = 3900;

/// The algorithm that signs an API's tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenAlgorithm {
    current: Algorithm,
    next: Option<NextAlgorithm>,
}

/// The algorithm that replaces the current one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextAlgorithm {
    pub algorithm: Algorithm,
    /// First time at which it signs.
    pub from: Timestamp,
}

impl TokenAlgorithm {
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { current: algorithm, next: None }
    }

    /// Reads a stored algorithm.
    pub const fn from_stored(current: Algorithm, next: Option<NextAlgorithm>) -> Self {
        Self { current, next }
    }

    /// Returns the stored form.
    pub const fn to_stored(self) -> (Algorithm, Option<NextAlgorithm>) {
        (self.current, self.next)
    }

    /// Returns the algorithm that signs at `now`.
    pub fn at(self, now: Timestamp) -> Algorithm {
        self.next.filter(|next| next.from <= now).map_or(self.current, |next| next.algorithm)
    }

    /// Returns the algorithm that was chosen last.
    pub fn chosen(self) -> Algorithm {
        self.next.map_or(self.current, |next| next.algorithm)
    }

    /// Returns the change that has not begun at `now`.
    pub fn pending(self, now: Timestamp) -> Option<NextAlgorithm> {
        self.next.filter(|next| next.from > now)
    }

    /// Whether keys of an algorithm are needed at `now`: they sign, will sign, or have signed tokens that may be valid.
    pub fn needs(self, algorithm: Algorithm, now: Timestamp) -> bool {
        self.needed(now).any(|needed| needed == algorithm)
    }

    /// Returns the algorithms whose keys are needed at `now`.
    pub fn needed(self, now: Timestamp) -> impl Iterator<Item = Algorithm> {
        let Self { current, next } = self.settled(now);
        std::iter::once(current).chain(next.map(|next| next.algorithm))
    }

    /// Changes the algorithm from a time on. A change that has not begun is replaced, or cancelled by choosing the current
    /// algorithm. Fails while the earlier change may still have valid tokens of both algorithms; returns the end of that time.
    pub fn change(self, algorithm: Algorithm, from: Timestamp, now: Timestamp) -> Result<Self, Timestamp> {
        let settled = self.settled(now);
        match settled.next {
            Some(next) if next.algorithm == algorithm => Ok(settled),
            Some(next) if next.from <= now => Err(next.from.plus_seconds(OVERLAP_SECONDS)),
            _ if algorithm == settled.current => Ok(Self::new(algorithm)),
            _ => Ok(Self { next: Some(NextAlgorithm { algorithm, from: from.max(now) }), ..settled }),
        }
    }

    /// Forgets an earlier algorithm of which no token can be valid.
    fn settled(self, now: Timestamp) -> Self {
        match self.next {
            Some(next) if next.from.plus_seconds(OVERLAP_SECONDS) <= now => Self::new(next.algorithm),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn change_overlaps_until_the_last_token_has_expired() {
        let changed = TokenAlgorithm::new(Algorithm::Es256).change(Algorithm::Rs256, at(1900), at(1000)).unwrap();
        assert_eq!((changed.at(at(1899)), changed.at(at(1900))), (Algorithm::Es256, Algorithm::Rs256));
        assert!(changed.pending(at(1899)).is_some() && changed.pending(at(1900)).is_none());
        for now in [1000, 1900, 1900 + OVERLAP_SECONDS - 1] {
            assert!(changed.needs(Algorithm::Es256, at(now)) && changed.needs(Algorithm::Rs256, at(now)), "{now}");
        }
        assert!(!changed.needs(Algorithm::EdDsa, at(1900)));
        let over = at(1900 + OVERLAP_SECONDS);
        assert!(!changed.needs(Algorithm::Es256, over) && changed.needs(Algorithm::Rs256, over));
    }

    #[test]
    fn pending_change_is_replaced_or_cancelled_and_a_begun_one_is_not() {
        let start = TokenAlgorithm::new(Algorithm::Es256);
        let pending = start.change(Algorithm::Rs256, at(1900), at(1000)).unwrap();
        assert_eq!(pending.change(Algorithm::Es256, at(2000), at(1100)), Ok(start));
        assert_eq!(pending.change(Algorithm::Rs256, at(2000), at(1100)), Ok(pending), "not postponed");
        let other = pending.change(Algorithm::EdDsa, at(2000), at(1100)).unwrap();
        assert_eq!((other.at(at(1999)), other.at(at(2000))), (Algorithm::Es256, Algorithm::EdDsa));
        let end = at(1900 + OVERLAP_SECONDS);
        assert_eq!(pending.change(Algorithm::EdDsa, at(2000), at(1900)), Err(end));
        assert_eq!(pending.change(Algorithm::Es256, at(2000), at(1900)), Err(end));
        assert_eq!(pending.change(Algorithm::Es256, at(0), end).unwrap().at(end), Algorithm::Es256);
    }
}
