//! A token request, read: which client asks, proved by its assertion, and for what.

use accord_proto::{
    camara::ClientId,
    msisdn::Msisdn,
    oauth::{Assertion, AssertionError, Form, Use},
};

use super::error::TokenRefusal;

/// `grant_type` of a token for any number (RFC 6749 section 4.4).
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of a token for one number (RFC 7523 section 2.1).
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// `client_assertion_type` (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token request, read and not yet believed.
pub(super) struct TokenRequest<'a> {
    /// What proves who asks; in a request about one number also what is asked.
    pub(super) assertion: Assertion<'a>,
    /// What the assertion is for.
    pub(super) used_as: Use,
    /// In a request about one number the client may authenticate separately too (RFC 7521 section
    /// 4.1).
    pub(super) beside: Option<Assertion<'a>>,
    client_id: Option<&'a str>,
    scope: Option<&'a str>,
}

impl<'a> TokenRequest<'a> {
    /// Reads a form.
    ///
    /// # Errors
    /// [`TokenRefusal`] names the parameter.
    pub(super) fn read(form: &'a Form<'a>) -> Result<Self, TokenRefusal> {
        let grant = form.get("grant_type");
        let used_as = match grant.ok_or(TokenRefusal::Missing("grant_type"))? {
            CLIENT_CREDENTIALS => Use::Client,
            JWT_BEARER => Use::Grant,
            _ => return Err(TokenRefusal::GrantType),
        };
        if form.get("client_secret").is_some() {
            return Err(TokenRefusal::NoAssertion { by_header: false });
        }
        let of_client = client_assertion(form)?;
        let (scope, client_id) = (form.get("scope"), form.get("client_id"));
        let no_assertion = TokenRefusal::NoAssertion { by_header: false };
        let (assertion, beside) = match used_as {
            Use::Client => (of_client.ok_or(no_assertion)?, None),
            Use::Grant => {
                if scope.is_some() {
                    let parameter = "scope";
                    let rule = "stands in the assertion, as its claim `scope`, and not beside it";
                    return Err(TokenRefusal::Parameter { parameter, rule });
                }
                let text = form.get("assertion");
                let text = text.ok_or(TokenRefusal::Missing("assertion"))?;
                let assertion = Assertion::read(text, Use::Grant).map_err(TokenRefusal::Grant)?;
                (assertion, of_client)
            }
        };
        Ok(Self {
            assertion,
            used_as,
            beside,
            client_id,
            scope,
        })
    }

    /// Which client says that it asks: the same wherever it is named.
    pub(super) fn client(&self) -> Result<ClientId, TokenRefusal> {
        let named = self.assertion.issuer().map_err(|error| self.fault(error))?;
        if self.client_id.is_some_and(|client_id| client_id != named) {
            let (parameter, rule) = ("client_id", "is another client than the assertion's `iss`");
            return Err(TokenRefusal::Parameter { parameter, rule });
        }
        let of_client = match self.used_as {
            Use::Client => Some(&self.assertion),
            Use::Grant => self.beside.as_ref(),
        };
        if let Some(assertion) = of_client {
            for claim in ["iss", "sub"] {
                if assertion.text(claim).map_err(TokenRefusal::Client)? != named {
                    let rule = "is the client's own name, `iss` and `sub` alike";
                    return Err(TokenRefusal::Client(AssertionError::Claim { claim, rule }));
                }
            }
        }
        ClientId::parse(named).map_err(|_| TokenRefusal::UnknownClient)
    }

    /// The `scope`: beside the assertion, or within it.
    pub(super) fn scope(&self) -> Result<&str, TokenRefusal> {
        match self.used_as {
            Use::Client => Ok(self.scope.unwrap_or_default()),
            Use::Grant => self.assertion.text("scope").map_err(TokenRefusal::Grant),
        }
    }

    /// The one number that the token is to be about.
    pub(super) fn subject(&self) -> Result<Option<Msisdn>, TokenRefusal> {
        if self.used_as == Use::Client {
            return Ok(None);
        }
        let subject = self.assertion.text("sub").map_err(TokenRefusal::Grant)?;
        let wrong = |rule| TokenRefusal::Grant(AssertionError::Claim { claim: "sub", rule });
        let Some((scheme, number)) = subject.split_once(':') else {
            return Err(wrong("is `tel:+` and the digits of a number"));
        };
        if scheme.eq_ignore_ascii_case("operatortoken") {
            return Err(wrong(
                "is an operator's token, which only that operator could read: use `tel:` and the \
                 number",
            ));
        }
        if !scheme.eq_ignore_ascii_case("tel") {
            return Err(wrong("is `tel:+` and the digits of a number"));
        }
        let number = Msisdn::parse(number).map_err(|_| {
            wrong("is no number in E.164 form: `tel:+`, country code and 8 to 15 digits in all")
        })?;
        Ok(Some(number))
    }

    /// A fault of the assertion, as the grant's or the client's.
    pub(super) const fn fault(&self, error: AssertionError) -> TokenRefusal {
        match self.used_as {
            Use::Client => TokenRefusal::Client(error),
            Use::Grant => TokenRefusal::Grant(error),
        }
    }
}

fn client_assertion<'a>(form: &'a Form<'a>) -> Result<Option<Assertion<'a>>, TokenRefusal> {
    let text = form.get("client_assertion");
    match form.get("client_assertion_type") {
        Some(ASSERTION_TYPE) => {}
        Some(_) => {
            let parameter = "client_assertion_type";
            let rule = "is `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`";
            return Err(TokenRefusal::Parameter { parameter, rule });
        }
        None if text.is_some() => return Err(TokenRefusal::Missing("client_assertion_type")),
        None => return Ok(None),
    }
    let text = text.ok_or(TokenRefusal::Missing("client_assertion"))?;
    let assertion = Assertion::read(text, Use::Client).map_err(TokenRefusal::Client)?;
    Ok(Some(assertion))
}
