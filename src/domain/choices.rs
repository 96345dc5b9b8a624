//! Choices with fixed names that settings share with the code that they configure.

use std::fmt;

/// An enum whose variants are read and written by name.
pub trait Choice: Copy + Sized + 'static {
    /// The names, in the order of the variants.
    const NAMES: &'static [&'static str];

    /// The variant of that name.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! choice {
    ($(#[$meta:meta])* $Name:ident { $($(#[$of_variant:meta])* $Variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $Name { $($(#[$of_variant])* $Variant,)+ }

        impl $Name {
            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$Variant => $text,)+ }
            }
        }

        impl Choice for $Name {
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$Variant),)+ _ => None }
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// A JWS algorithm (RFC 7518 §3, RFC 8037 §3).
    Algorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSA PKCS#1 v1.5 of 2048 bits with SHA-256.
        Rs256 = "RS256",
    }
}

choice! {
    /// The `typ` header of a token.
    TokenType {
        /// RFC 9068 §2.1.
        AtJwt = "at+jwt",
        /// For validators that reject `at+jwt`.
        Jwt = "JWT",
    }
}

choice! {
    /// How an API writes and compares scopes.
    ScopeStyle {
        /// `action:filter`; a scope can contain others.
        Filters = "filters",
        /// Any text; compared exactly.
        Plain = "plain",
    }
}

choice! {
    /// The format of log lines.
    LogFormat {
        /// For people.
        Human = "human",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// Which responses of webhook receivers are stored and shown.
    StoredResponses {
        /// None.
        None = "none",
        /// Those from public addresses, which any client can read anyway.
        Public = "public",
        /// All, including those from the server's own networks.
        All = "all",
    }
}

choice! {
    /// Which requests have a log line.
    LoggedRequests {
        /// Requests that are denied or fail.
        Failed = "failed",
        /// All requests.
        All = "all",
        /// Only requests that fail with a server error.
        None = "none",
    }
}

choice! {
    /// The forwarding header that the trusted proxies write.
    #[derive(Default)]
    ForwardingHeader {
        /// Either; if both name a client, they must agree.
        #[default]
        Auto = "auto",
        /// `X-Forwarded-For`; `Forwarded` is ignored.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239); `X-Forwarded-For` is ignored.
        Forwarded = "forwarded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_by_their_names() {
        fn check<T: Choice + fmt::Display + PartialEq + fmt::Debug>() {
            for name in T::NAMES {
                assert_eq!(T::parse(name).unwrap().to_string(), *name);
                assert_eq!(T::parse(&format!("{name} ")), None);
            }
        }
        check::<Algorithm>();
        check::<TokenType>();
        check::<ScopeStyle>();
        check::<LogFormat>();
        check::<LoggedRequests>();
        check::<ForwardingHeader>();
        assert_eq!(Algorithm::NAMES, ["ES256", "EdDSA", "RS256"]);
        assert_eq!(Algorithm::parse("es256"), None);
    }
}
