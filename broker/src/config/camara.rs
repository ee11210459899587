//! The section of the CAMARA door.

use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

use super::bounds;
use crate::identity::Certificates;

/// The CAMARA door: APIs of GSMA Open Gateway, and the authorisation server for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CamaraSection {
    /// Under which URL clients reach it, without a slash at its end: the issuer of its tokens, and
    /// what the proofs of keys must name.
    pub url: String,
    /// Paths below which the APIs are served as well, each with a slash at its beginning and none at
    /// its end: for clients that expect them where an aggregator has them.
    #[serde(default)]
    pub api_roots: Vec<String>,
    /// Whether clients need a certificate.
    #[serde(default)]
    pub client_certificates: Certificates,
    /// For how long a token lasts.
    #[serde(default = "default_token_seconds")]
    pub token_seconds: u32,
    /// Another's authorisation server in place of the broker's own.
    pub authorization_server: Option<AuthorizationServerSection>,
}

/// Another's authorisation server, whose tokens are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerSection {
    /// Its issuer: `iss` of its tokens.
    pub issuer: String,
    /// Its public keys, a JSON web key set, read again when it changes.
    pub jwks: PathBuf,
}

/// Roots of aggregators.
const API_ROOTS_MAX: usize = 32;

const fn default_token_seconds() -> u32 {
    300
}

/// The door listens where it is described, and nowhere else.
pub(super) fn check(
    listens: bool,
    section: Option<&CamaraSection>,
) -> Result<(), (&'static str, String)> {
    let section = match (listens, section) {
        (true, Some(section)) => section,
        (false, None) => return Ok(()),
        (true, None) => return Err(("camara", "is required where `listen.camara` is set".into())),
        (false, Some(_)) => {
            return Err((
                "listen.camara",
                "is required where `[camara]` stands".into(),
            ));
        }
    };
    if !is_origin(&section.url) {
        let rule = "`https://host` or `https://host:port`, and nothing after it";
        return Err(("camara.url", rule.into()));
    }
    if let Some(other) = &section.authorization_server {
        let https = other.issuer.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("https") && uri.host().is_some() && uri.query().is_none()
        });
        if !https || other.issuer == section.url {
            let rule = "the `https` address of another server than this broker (RFC 8414, issuer)";
            return Err(("camara.authorization_server.issuer", rule.into()));
        }
    }
    if section.api_roots.len() > API_ROOTS_MAX
        || !section.api_roots.iter().all(|root| is_root(root))
    {
        let rule = format!(
            "at most {API_ROOTS_MAX} paths such as `/gateway/camara`, without a slash at the end"
        );
        return Err(("camara.api_roots", rule));
    }
    // Rule R04.
    bounds::check([("camara.token_seconds", section.token_seconds, 30, 300)])
}

fn is_root(root: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    (2..=256).contains(&root.len())
        && root.starts_with('/')
        && !root.ends_with('/')
        && !root.contains("//")
        && root.bytes().all(plain)
}

fn is_origin(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        let authority = uri.authority().map(http::uri::Authority::as_str);
        uri.scheme_str() == Some("https")
            && authority.is_some_and(|authority| {
                !authority.contains('@') && url == format!("https://{authority}")
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_an_origin_and_tokens_are_short_lived() {
        let section = |url: &str, token_seconds| CamaraSection {
            url: url.to_owned(),
            api_roots: Vec::new(),
            client_certificates: Certificates::Required,
            token_seconds,
            authorization_server: None,
        };
        let checked = |url, seconds| check(true, Some(&section(url, seconds))).map_err(|e| e.0);
        assert_eq!(checked("https://broker.example:7445", 300), Ok(()));
        for url in [
            "https://broker.example/",
            "https://broker.example/v1",
            "http://broker.example",
            "https://user@broker.example",
            "broker.example",
            "",
        ] {
            assert_eq!(checked(url, 300), Err("camara.url"), "{url}");
        }
        for seconds in [0, 29, 301] {
            let outcome = checked("https://broker.example", seconds);
            assert_eq!(outcome, Err("camara.token_seconds"));
        }
        for (issuer, outcome) in [
            ("https://login.example/realms/banks", Ok(())),
            (
                "https://a.example",
                Err("camara.authorization_server.issuer"),
            ),
            (
                "http://login.example",
                Err("camara.authorization_server.issuer"),
            ),
            ("login", Err("camara.authorization_server.issuer")),
        ] {
            let other = AuthorizationServerSection {
                issuer: issuer.to_owned(),
                jwks: "jwks.json".into(),
            };
            let mut section = section("https://a.example", 300);
            section.authorization_server = Some(other);
            let checked = check(true, Some(&section)).map_err(|e| e.0);
            assert_eq!(checked, outcome, "{issuer}");
        }
        for root in ["", "/", "gateway", "/gateway/", "//gateway", "/a b", "/%2e"] {
            let mut section = section("https://broker.example", 300);
            section.api_roots = vec!["/gateway/camara".to_owned(), root.to_owned()];
            let outcome = check(true, Some(&section)).map_err(|e| e.0);
            assert_eq!(outcome, Err("camara.api_roots"), "{root}");
        }
        assert_eq!(check(true, None).map_err(|e| e.0), Err("camara"));
        let alone = check(false, Some(&section("https://a.example", 300)));
        assert_eq!(alone.map_err(|e| e.0), Err("listen.camara"));
        assert_eq!(check(false, None), Ok(()));
    }
}
