//! Every operation of the door: where it stands, what it reads, and how it is called in the record.
//! Router, reader and the OpenAPI document all go by this table.

use accord_proto::camara::Operation;

/// A property of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `device`, of which `phoneNumber` alone is supported.
    Device,
    /// `maxAge`, hours.
    MaxAge,
    /// `phoneNumber`.
    PhoneNumber,
    /// `specifiedDate`.
    SpecifiedDate,
    /// `tenureDate`.
    TenureDate,
}

impl Field {
    /// Its name in the body.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::MaxAge => "maxAge",
            Self::PhoneNumber => "phoneNumber",
            Self::SpecifiedDate => "specifiedDate",
            Self::TenureDate => "tenureDate",
        }
    }

    /// Whether a body without it breaks the schema. A missing number does not: that is a rule of its
    /// own (CAMARA API Design Guide section 3.2.2, case 5).
    pub(super) const fn is_required(self) -> bool {
        match self {
            Self::SpecifiedDate | Self::TenureDate => true,
            Self::Device | Self::MaxAge | Self::PhoneNumber => false,
        }
    }
}

/// What an operation answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// `{"active": bool}`.
    Active,
    /// `{"ageBand": n}`.
    AgeBand,
    /// `["inactive"]`.
    Forwardings,
    /// `{"latestDeviceChange": …}`.
    LatestDeviceChange,
    /// `{"latestSimChange": …}`.
    LatestSimChange,
    /// `{"phoneNumberRecycled": bool}`.
    Recycled,
    /// `{"roaming": …}`.
    Roaming,
    /// `{"swapped": bool}`.
    Swapped,
    /// `{"tenureDateCheck": bool}`.
    Tenure,
}

/// One API, at one version.
#[derive(Debug)]
pub(super) struct Api {
    /// What it is called.
    pub(super) title: &'static str,
    /// What its paths begin with.
    pub(super) base: &'static str,
    /// What the paths of older versions begin with, which ask and answer the same: clients of them
    /// go on as they are. The description names the newest alone.
    pub(super) older: &'static [&'static str],
    /// Which version of the upstream file it follows; for an extension of ours, that it is one.
    pub(super) follows: &'static str,
    /// Its operations, all of them `POST`.
    pub(super) endpoints: &'static [Endpoint],
}

/// One operation at its place.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Behind its API's base.
    pub(super) path: &'static str,
    pub(super) operation: Operation,
    /// `operationId`, upstream's where there is one.
    pub(super) id: &'static str,
    /// In the record of refusals.
    pub(super) method: &'static str,
    pub(super) summary: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) answers: Answers,
}

const NUMBER: &[Field] = &[Field::PhoneNumber];
const NUMBER_AND_AGE: &[Field] = &[Field::PhoneNumber, Field::MaxAge];

/// All APIs.
pub(super) const APIS: &[Api] = &[
    Api {
        title: "SIM Swap",
        base: "/sim-swap/v2",
        older: &["/sim-swap/v0", "/sim-swap/v1"],
        follows: "CAMARA sim-swap 2.1.0",
        endpoints: &[
            Endpoint {
                path: "/check",
                operation: Operation::SimSwapCheck,
                id: "checkSimSwap",
                method: "SimSwap.Check",
                summary: "Was the number associated with a new SIM within the last hours?",
                fields: NUMBER_AND_AGE,
                answers: Answers::Swapped,
            },
            Endpoint {
                path: "/retrieve-date",
                operation: Operation::SimSwapRetrieveDate,
                id: "retrieveSimSwapDate",
                method: "SimSwap.RetrieveDate",
                summary: "When was the number last associated with a new SIM?",
                fields: NUMBER,
                answers: Answers::LatestSimChange,
            },
        ],
    },
    Api {
        title: "SIM age bands (an extension)",
        base: "/accord-sim-swap/v1",
        older: &[],
        follows: "an extension: CAMARA merged age bands into sim-swap and took them out again before \
                  a release",
        endpoints: &[Endpoint {
            path: "/retrieve-age-band",
            operation: Operation::SimSwapRetrieveAgeBand,
            id: "retrieveSimSwapAgeBand",
            method: "SimSwap.RetrieveAgeBand",
            summary: "In which band lies the age of the last change of SIM?",
            fields: NUMBER,
            answers: Answers::AgeBand,
        }],
    },
    Api {
        title: "Device Swap",
        base: "/device-swap/v1",
        older: &[],
        follows: "CAMARA device-swap 1.0.0",
        endpoints: &[
            Endpoint {
                path: "/check",
                operation: Operation::DeviceSwapCheck,
                id: "checkDeviceSwap",
                method: "DeviceSwap.Check",
                summary: "Did the SIM move to another device within the last hours?",
                fields: NUMBER_AND_AGE,
                answers: Answers::Swapped,
            },
            Endpoint {
                path: "/retrieve-date",
                operation: Operation::DeviceSwapRetrieveDate,
                id: "retrieveDeviceSwapDate",
                method: "DeviceSwap.RetrieveDate",
                summary: "When did the SIM last move to another device?",
                fields: NUMBER,
                answers: Answers::LatestDeviceChange,
            },
        ],
    },
    Api {
        title: "Call Forwarding Signal",
        base: "/call-forwarding-signal/v0.4",
        older: &["/call-forwarding-signal/v0.3"],
        follows: "CAMARA call-forwarding-signal 0.4.0",
        endpoints: &[
            Endpoint {
                path: "/unconditional-call-forwardings",
                operation: Operation::ForwardingUnconditional,
                id: "retrieveUnconditionalCallForwarding",
                method: "CallForwarding.Unconditional",
                summary: "Are all calls forwarded?",
                fields: NUMBER,
                answers: Answers::Active,
            },
            Endpoint {
                path: "/call-forwardings",
                operation: Operation::ForwardingAll,
                id: "retrieveCallForwarding",
                method: "CallForwarding.All",
                summary: "Which forwardings are active?",
                fields: NUMBER,
                answers: Answers::Forwardings,
            },
        ],
    },
    Api {
        title: "Call Forwarding Signal, its release candidate",
        base: "/call-forwarding-signal/v0.5rc1",
        older: &[],
        follows: "CAMARA call-forwarding-signal 0.5.0-rc.1",
        endpoints: &[
            Endpoint {
                path: "/check-unconditional-forwarding",
                operation: Operation::ForwardingUnconditional,
                id: "checkUnconditionalCallForwarding",
                method: "CallForwarding.Unconditional",
                summary: "Are all calls forwarded?",
                fields: NUMBER,
                answers: Answers::Active,
            },
            Endpoint {
                path: "/retrieve-forwardings",
                operation: Operation::ForwardingAll,
                id: "retrieveCallForwardings",
                method: "CallForwarding.All",
                summary: "Which forwardings are active?",
                fields: NUMBER,
                answers: Answers::Forwardings,
            },
        ],
    },
    Api {
        title: "Device Roaming Status",
        base: "/device-roaming-status/v1",
        older: &[],
        follows: "CAMARA device-roaming-status 1.1.0",
        endpoints: &[Endpoint {
            path: "/retrieve",
            operation: Operation::RoamingRetrieve,
            id: "getRoamingStatus",
            method: "Roaming.Retrieve",
            summary: "Is the subscriber in a visited network, and in which country?",
            fields: &[Field::Device],
            answers: Answers::Roaming,
        }],
    },
    Api {
        title: "Number Recycling",
        base: "/number-recycling/v0.2",
        older: &[],
        follows: "CAMARA number-recycling 0.2.0",
        endpoints: &[Endpoint {
            path: "/check",
            operation: Operation::RecyclingCheck,
            id: "checkNumberRecycling",
            method: "NumberRecycling.Check",
            summary: "Did the holder of the number change after a day?",
            fields: &[Field::PhoneNumber, Field::SpecifiedDate],
            answers: Answers::Recycled,
        }],
    },
    Api {
        title: "KYC Tenure",
        base: "/kyc-tenure/v0.2",
        older: &["/kyc-tenure/v0.1"],
        follows: "CAMARA kyc-tenure 0.2.0",
        endpoints: &[Endpoint {
            path: "/check-tenure",
            operation: Operation::TenureCheck,
            id: "checkTenure",
            method: "Tenure.Check",
            summary: "Has the same holder held the number since a day?",
            fields: &[Field::PhoneNumber, Field::TenureDate],
            answers: Answers::Tenure,
        }],
    },
];

/// The operation at a path.
pub(super) fn find(path: &str) -> Option<&'static Endpoint> {
    let bases = APIS.iter().flat_map(|api| {
        let bases = std::iter::once(&api.base).chain(api.older);
        bases.map(move |base| (api, base))
    });
    bases
        .filter_map(|(api, base)| Some((api, path.strip_prefix(base)?)))
        .find_map(|(api, rest)| api.endpoints.iter().find(|endpoint| endpoint.path == rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_place_and_no_two_share_one() {
        let mut places = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut operations = BTreeSet::new();
        for api in APIS {
            for endpoint in api.endpoints {
                let place = format!("{}{}", api.base, endpoint.path);
                assert_eq!(find(&place).unwrap().id, endpoint.id);
                assert!(places.insert(place), "{}", endpoint.path);
                assert!(ids.insert(endpoint.id), "{}", endpoint.id);
                operations.insert(endpoint.operation);
            }
        }
        assert_eq!(operations, BTreeSet::from(Operation::ALL));
    }

    #[test]
    fn a_client_of_an_older_version_goes_on_as_it_is() {
        for (path, id) in [
            ("/sim-swap/v0/check", "checkSimSwap"),
            ("/sim-swap/v1/retrieve-date", "retrieveSimSwapDate"),
            (
                "/call-forwarding-signal/v0.3/call-forwardings",
                "retrieveCallForwarding",
            ),
            ("/kyc-tenure/v0.1/check-tenure", "checkTenure"),
        ] {
            assert_eq!(find(path).unwrap().id, id);
        }
    }

    #[test]
    fn a_path_is_found_in_one_spelling() {
        for path in [
            "/sim-swap/v2/check/",
            "/sim-swap/v2//check",
            "/sim-swap/v3/check",
            "/SIM-SWAP/v2/check",
            "/sim-swap/v2",
            "/sim-swap/v2/check?x=1",
            "/sim-swap/v2/%63heck",
            "",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
