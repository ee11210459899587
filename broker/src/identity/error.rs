//! Why a certificate or a token is refused.

use accord_proto::camara::ScopeError;
use accord_proto::oauth::TokenHeaderError;
use rustls::CertificateError;

/// Why a certificate or a token is refused. `Display` is safe for the caller: it never repeats a
/// token or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Past its `notAfter`.
    #[error("the client certificate has expired")]
    CertificateExpired,
    /// Not a certificate for this use, or damaged.
    #[error("the client certificate is not acceptable")]
    CertificateInvalid,
    /// The URI is no identity of a party.
    #[error(
        "the URI in the client certificate is no `spiffe://<trust-domain>/<role>/<organisation>`"
    )]
    CertificateMalformedIdentity,
    /// None was presented.
    #[error("no client certificate was presented")]
    CertificateMissing,
    /// No URI in the subject alternative name.
    #[error("the client certificate has no URI in its subject alternative name; it needs one")]
    CertificateNoIdentity,
    /// Before its `notBefore`.
    #[error("the client certificate is not valid yet")]
    CertificateNotYetValid,
    /// On a revocation list.
    #[error("the client certificate has been revoked")]
    CertificateRevoked,
    /// Two or more URIs in the subject alternative name.
    #[error(
        "the client certificate has more than one URI in its subject alternative name; it needs \
         exactly one"
    )]
    CertificateTwoIdentities,
    /// Signed by a stranger.
    #[error("the client certificate was not issued by a trusted authority")]
    CertificateUntrusted,
    /// Another trust domain than the broker's.
    #[error("the client certificate belongs to another trust domain")]
    CertificateWrongDomain,
    /// A proof that the sender holds a key (RFC 9449) is wrong.
    #[error("the DPoP proof is wrong: {0}")]
    Proof(&'static str),
    /// None came with a token that is bound to a key.
    #[error("the token is bound to a key, so a DPoP proof of it is required (RFC 9449)")]
    ProofMissing,
    /// The proof was shown before.
    #[error("the DPoP proof was shown before; make one for each request")]
    ProofReplayed,
    /// More proofs than can be remembered.
    #[error("this party showed too many DPoP proofs in a short time; try again in some minutes")]
    ProofTooMany,
    /// The list on disk is past its `nextUpdate`, so nobody's certificate can be checked.
    #[error("the broker's certificate revocation list has expired")]
    RevocationListExpired,
    /// No list covers the certificate's issuer.
    #[error("the broker cannot tell whether the client certificate has been revoked")]
    RevocationUnknown,
    /// Another algorithm than the registered key's, `none` included.
    #[error("the token's `alg` is not that of the registered key, `ES256` or `EdDSA`")]
    TokenAlgorithm,
    /// A claim breaks a rule.
    #[error("the token's claim `{claim}` {rule}")]
    TokenClaim {
        /// The claim.
        claim: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A required claim is absent, or not of its type.
    #[error("the token's claim `{0}` is missing or of the wrong type")]
    TokenClaimMissing(&'static str),
    /// Past its `exp`.
    #[error("the token has expired")]
    TokenExpired,
    /// The client may not sign any more with the key that the token was asked for with.
    #[error("the token was asked for with a key that is no longer the client's; ask for a new one")]
    TokenKeyRetired,
    /// `exp` is too far from `iat`.
    #[error("the token lives longer than 300 s from `iat` to `exp`")]
    TokenLifetime,
    /// Not a JSON web token.
    #[error("the token is malformed: {0}")]
    TokenMalformed(&'static str),
    /// None was sent.
    #[error("no token was sent: `authorization: Bearer <token>` is required")]
    TokenMissing,
    /// `iat` or `nbf` lies in the future.
    #[error("the token's claim `{0}` lies in the future")]
    TokenNotYetValid(&'static str),
    /// The client may not state this purpose.
    #[error("the token's purpose is not among those that its client is registered for")]
    TokenPurposeNotRegistered,
    /// The same `jti` came with another certificate.
    #[error("the token's `jti` was used with another certificate")]
    TokenReused,
    /// A scope that is malformed.
    #[error("the token's `scope` is not in order: {0}")]
    TokenScope(#[from] ScopeError),
    /// The client may not ask for so much.
    #[error("the token's `scope` is wider than what its client is registered for")]
    TokenScopeNotRegistered,
    /// The signature isn't that of the registered key.
    #[error("the token's signature is not that of the registered key")]
    TokenSignature,
    /// Too many live tokens of one party.
    #[error("this party has too many live tokens; use each until it expires")]
    TokenTooMany,
    /// Nobody registered the client.
    #[error("the token's client is not in the list of parties")]
    TokenUnknownClient,
    /// No such `kid` for this party.
    #[error("the token's `kid` is not a registered key of this party")]
    TokenUnknownKey,
    /// Meant for somebody else.
    #[error("the token's `aud` is not this broker")]
    TokenWrongAudience,
    /// Bound to another certificate (RFC 8705 section 3).
    #[error("the token's `cnf` is bound to another certificate")]
    TokenWrongCertificate,
    /// Bound to another key (RFC 9449 section 7.1).
    #[error("the token's `cnf` is bound to another key than the DPoP proof shows")]
    TokenWrongKey,
    /// The client is another organisation's.
    #[error("the token's client is not one of the organisation in the client certificate")]
    TokenWrongParty,
    /// Another party's.
    #[error("the token's `iss` is not the identity in the client certificate")]
    TokenWrongIssuer,
}

impl From<TokenHeaderError> for IdentityError {
    fn from(error: TokenHeaderError) -> Self {
        match error {
            TokenHeaderError::Malformed(rule) => Self::TokenMalformed(rule),
            TokenHeaderError::Algorithm => Self::TokenAlgorithm,
            TokenHeaderError::NoKey => Self::TokenUnknownKey,
        }
    }
}

impl IdentityError {
    /// The stable word for programs (`google.rpc.ErrorInfo.reason`) and for metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::CertificateExpired => "CERTIFICATE_EXPIRED",
            Self::CertificateInvalid => "CERTIFICATE_INVALID",
            Self::CertificateMalformedIdentity => "CERTIFICATE_MALFORMED_IDENTITY",
            Self::CertificateMissing => "CERTIFICATE_MISSING",
            Self::CertificateNoIdentity => "CERTIFICATE_NO_IDENTITY",
            Self::CertificateNotYetValid => "CERTIFICATE_NOT_YET_VALID",
            Self::CertificateRevoked => "CERTIFICATE_REVOKED",
            Self::CertificateTwoIdentities => "CERTIFICATE_TWO_IDENTITIES",
            Self::CertificateUntrusted => "CERTIFICATE_UNTRUSTED",
            Self::CertificateWrongDomain => "CERTIFICATE_WRONG_DOMAIN",
            Self::Proof(_) => "DPOP_PROOF",
            Self::ProofMissing => "DPOP_PROOF_MISSING",
            Self::ProofReplayed => "DPOP_PROOF_REPLAYED",
            Self::ProofTooMany => "DPOP_PROOF_TOO_MANY",
            Self::RevocationListExpired => "REVOCATION_LIST_EXPIRED",
            Self::RevocationUnknown => "REVOCATION_UNKNOWN",
            Self::TokenAlgorithm => "TOKEN_ALGORITHM",
            Self::TokenClaim { .. } => "TOKEN_CLAIM",
            Self::TokenClaimMissing(_) => "TOKEN_CLAIM_MISSING",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::TokenKeyRetired => "TOKEN_KEY_RETIRED",
            Self::TokenLifetime => "TOKEN_LIFETIME",
            Self::TokenMalformed(_) => "TOKEN_MALFORMED",
            Self::TokenMissing => "TOKEN_MISSING",
            Self::TokenNotYetValid(_) => "TOKEN_NOT_YET_VALID",
            Self::TokenPurposeNotRegistered => "TOKEN_PURPOSE_NOT_REGISTERED",
            Self::TokenReused => "TOKEN_REUSED",
            Self::TokenScope(_) => "TOKEN_SCOPE",
            Self::TokenScopeNotRegistered => "TOKEN_SCOPE_NOT_REGISTERED",
            Self::TokenSignature => "TOKEN_SIGNATURE",
            Self::TokenTooMany => "TOKEN_TOO_MANY",
            Self::TokenUnknownClient => "TOKEN_UNKNOWN_CLIENT",
            Self::TokenUnknownKey => "TOKEN_UNKNOWN_KEY",
            Self::TokenWrongAudience => "TOKEN_WRONG_AUDIENCE",
            Self::TokenWrongCertificate => "TOKEN_WRONG_CERTIFICATE",
            Self::TokenWrongIssuer => "TOKEN_WRONG_ISSUER",
            Self::TokenWrongKey => "TOKEN_WRONG_KEY",
            Self::TokenWrongParty => "TOKEN_WRONG_PARTY",
        }
    }

    /// Whether the caller is known and may not, rather than not known.
    #[must_use]
    pub const fn is_permission(&self) -> bool {
        matches!(self, Self::CertificateWrongDomain)
    }

    /// What a failed check of a certificate chain means.
    pub(super) fn of_chain(error: &rustls::Error) -> Self {
        use CertificateError as Cause;
        if matches!(error, rustls::Error::NoCertificatesPresented) {
            return Self::CertificateMissing;
        }
        // Damaged lists are kept out when they are loaded, so this is one by an intermediate CA.
        if matches!(error, rustls::Error::InvalidCertRevocationList(_)) {
            return Self::RevocationUnknown;
        }
        let rustls::Error::InvalidCertificate(cause) = error else {
            return Self::CertificateInvalid;
        };
        if matches!(cause, Cause::Expired | Cause::ExpiredContext { .. }) {
            Self::CertificateExpired
        } else if matches!(cause, Cause::NotValidYet | Cause::NotValidYetContext { .. }) {
            Self::CertificateNotYetValid
        } else if matches!(cause, Cause::Revoked) {
            Self::CertificateRevoked
        } else if matches!(cause, Cause::UnknownIssuer | Cause::BadSignature) {
            Self::CertificateUntrusted
        } else if matches!(cause, Cause::UnknownRevocationStatus) {
            Self::RevocationUnknown
        } else if matches!(
            cause,
            Cause::ExpiredRevocationList | Cause::ExpiredRevocationListContext { .. }
        ) {
            Self::RevocationListExpired
        } else {
            Self::CertificateInvalid
        }
    }
}
