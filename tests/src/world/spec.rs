//! What a world is made of.

use accord_client::TokenAlg;
use accord_proto::{
    camara::Scopes,
    clock::{SharedClock, SystemClock},
    purpose::Purpose,
};

/// The sandbox's agreement. Its dates are moved, so that it is in force.
pub const AGREEMENT: &str = include_str!("../../samples/agreement.toml");
/// `north-mobile`: the range that the United Kingdom reserves for drama.
pub const NORTH_PREFIX: &str = "+447700900";
/// `sud-mobile`: a range that France reserves for fiction.
pub const SUD_PREFIX: &str = "+33639980";
/// The bank that calls CAMARA APIs, whose clause offers any threshold.
pub const OPEN_GATEWAY_BANK: &str = "open-gateway-bank";
/// Its application.
pub const OPEN_GATEWAY_CLIENT: &str = "open-gateway-bank-app";

/// What a world is made of. [`Default`] gives the sandbox on free ports.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// The trust domain of every party.
    pub trust_domain: String,
    /// Name of the ledger, and the audience of the tokens.
    pub ledger_name: String,
    /// Port of gRPC on loopback; 0 for a free one.
    pub grpc_port: u16,
    /// Port of metrics, health and readiness on loopback; 0 for a free one.
    pub admin_port: u16,
    /// Port of checkpoints, tiles and entry bundles on loopback; 0 for a free one.
    pub tiles_port: u16,
    /// Port of the CAMARA APIs and the authorisation server on loopback; 0 for a free one. `None`: no
    /// such door.
    pub camara_port: Option<u16>,
    /// Paths below which the CAMARA APIs are served as well.
    pub api_roots: Vec<String>,
    /// Text of the agreement. Dates and version are set when it is signed.
    pub agreement: String,
    /// The banks; the first is the one that `accord` asks as.
    pub banks: Vec<BankSpec>,
    /// The operators, each with one adapter.
    pub operators: Vec<OperatorSpec>,
    /// Keys of the broker's `[limits]` that differ from their default.
    pub limits: Vec<(String, u32)>,
    /// Size of a ledger segment.
    pub segment_mib: u32,
    /// Below this much free space the broker answers nothing.
    pub free_mib_min: u64,
    /// Whether each authority runs a witness of the ledger.
    pub witnessed: bool,
    /// Now.
    pub clock: SharedClock,
}

/// A bank.
#[derive(Clone, Debug)]
pub struct BankSpec {
    /// Its organisation.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// How it signs its tokens.
    pub alg: TokenAlg,
    /// What `accord` asks for where nothing else is said.
    pub purpose: Purpose,
    /// Its applications that call CAMARA APIs.
    pub clients: Vec<ClientSpec>,
}

/// An application of a bank that asks the authorisation server for tokens.
#[derive(Clone, Debug)]
pub struct ClientSpec {
    /// Its `client_id`.
    pub id: String,
    /// The purposes that it states, and which of the agreement's each of them is.
    pub purposes: Vec<(String, Purpose)>,
    /// The scopes that it may ask for.
    pub scopes: Vec<String>,
}

impl ClientSpec {
    /// A client with every scope, which states that it fights fraud, before a payment.
    #[must_use]
    pub fn against_fraud(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            purposes: vec![(
                "dpv:FraudPreventionAndDetection".to_owned(),
                Purpose::Payment,
            )],
            scopes: Scopes::all().map(str::to_owned).collect(),
        }
    }
}

/// An operator.
#[derive(Clone, Debug)]
pub struct OperatorSpec {
    /// Its organisation.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The ranges that it serves.
    pub ranges: Vec<String>,
    /// The first `[[source]]` of its adapter, without the heading; others may follow.
    pub source: String,
}

impl OperatorSpec {
    /// A virtual operator of the thousand numbers under a prefix.
    #[must_use]
    pub fn virtual_operator(name: &str, title: &str, prefix: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            ranges: vec![prefix.to_owned()],
            source: format!("kind = \"virtual\"\nprefix = \"{prefix}\"\n"),
        }
    }
}

impl WorldSpec {
    /// A limit of the broker that differs from its default.
    #[must_use]
    pub fn limit(mut self, key: &str, value: u32) -> Self {
        self.limits.retain(|(known, _)| known != key);
        self.limits.push((key.to_owned(), value));
        self
    }
}

impl Default for WorldSpec {
    fn default() -> Self {
        let bank = |name: &str, title: &str, alg, purpose| BankSpec {
            name: name.to_owned(),
            title: title.to_owned(),
            alg,
            purpose,
            clients: Vec::new(),
        };
        let open_gateway = BankSpec {
            clients: vec![ClientSpec::against_fraud(OPEN_GATEWAY_CLIENT)],
            ..bank(
                OPEN_GATEWAY_BANK,
                "Open Gateway Bank",
                TokenAlg::Es256,
                Purpose::Payment,
            )
        };
        Self {
            trust_domain: "accord.test".to_owned(),
            ledger_name: "accord-sandbox".to_owned(),
            grpc_port: 0,
            admin_port: 0,
            tiles_port: 0,
            camara_port: None,
            api_roots: Vec::new(),
            agreement: AGREEMENT.to_owned(),
            banks: vec![
                bank(
                    "first-bank",
                    "First Bank",
                    TokenAlg::Es256,
                    Purpose::Payment,
                ),
                bank(
                    "second-bank",
                    "Second Bank",
                    TokenAlg::EdDsa,
                    Purpose::DormantAccount,
                ),
                open_gateway,
            ],
            operators: vec![
                OperatorSpec::virtual_operator("north-mobile", "North Mobile", NORTH_PREFIX),
                OperatorSpec::virtual_operator("sud-mobile", "Sud Mobile", SUD_PREFIX),
            ],
            limits: Vec::new(),
            segment_mib: 4,
            free_mib_min: 64,
            witnessed: false,
            clock: SystemClock::shared(),
        }
    }
}
