//! The numbers of commands, AVPs and results that Sh needs, each with its source.

/// What an AVP is called, on the wire and in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// AVP code.
    pub code: u32,
    /// Vendor-Id; 0 for those of the IETF, which have none on the wire.
    pub vendor: u32,
    /// Whether it is sent with the M bit.
    pub mandatory: bool,
    /// Its name.
    pub name: &'static str,
}

const fn base(code: u32, name: &'static str) -> Key {
    Key {
        code,
        vendor: 0,
        mandatory: true,
        name,
    }
}

const fn sh(code: u32, name: &'static str) -> Key {
    Key {
        code,
        vendor: VENDOR_3GPP,
        mandatory: true,
        name,
    }
}

/// Vendor-Id of 3GPP (TS 29.229 section 7.1.8).
pub const VENDOR_3GPP: u32 = 10_415;
/// The Sh application (TS 29.329 section 6).
pub const APPLICATION_SH: u32 = 16_777_217;
/// What a relay advertises instead of its applications (RFC 6733 section 2.4).
pub const APPLICATION_RELAY: u32 = 0xffff_ffff;
/// The base protocol (RFC 6733 section 2.4).
pub const APPLICATION_BASE: u32 = 0;

/// Capabilities-Exchange (RFC 6733 section 5.3).
pub const CAPABILITIES_EXCHANGE: u32 = 257;
/// Device-Watchdog (RFC 6733 section 5.5).
pub const DEVICE_WATCHDOG: u32 = 280;
/// Disconnect-Peer (RFC 6733 section 5.4).
pub const DISCONNECT_PEER: u32 = 282;
/// User-Data (TS 29.329 section 6.1.1).
pub const USER_DATA_COMMAND: u32 = 306;
/// Subscribe-Notifications (TS 29.329 section 6.1.5).
pub const SUBSCRIBE_NOTIFICATIONS: u32 = 308;
/// Push-Notification (TS 29.329 section 6.1.7).
pub const PUSH_NOTIFICATION: u32 = 309;

// RFC 6733 section 4.5.
/// Where the sender can be reached.
pub const HOST_IP_ADDRESS: Key = base(257, "Host-IP-Address");
/// Which application a message is for.
pub const AUTH_APPLICATION_ID: Key = base(258, "Auth-Application-Id");
/// An application with its vendor.
pub const VENDOR_SPECIFIC_APPLICATION_ID: Key = base(260, "Vendor-Specific-Application-Id");
/// One question and its answer.
pub const SESSION_ID: Key = base(263, "Session-Id");
/// The sender.
pub const ORIGIN_HOST: Key = base(264, "Origin-Host");
/// A vendor whose AVPs the sender knows.
pub const SUPPORTED_VENDOR_ID: Key = base(265, "Supported-Vendor-Id");
/// Who made the sender, or whose an application or a result is.
pub const VENDOR_ID: Key = base(266, "Vendor-Id");
/// The result, of the base protocol's list.
pub const RESULT_CODE: Key = base(268, "Result-Code");
/// The name of the sender's program; never with the M bit.
pub const PRODUCT_NAME: Key = Key {
    mandatory: false,
    ..base(269, "Product-Name")
};
/// Why a peer disconnects.
pub const DISCONNECT_CAUSE: Key = base(273, "Disconnect-Cause");
/// Whether the server keeps state.
pub const AUTH_SESSION_STATE: Key = base(277, "Auth-Session-State");
/// Where a request goes.
pub const DESTINATION_REALM: Key = base(283, "Destination-Realm");
/// State that a proxy wants back.
pub const PROXY_INFO: Key = base(284, "Proxy-Info");
/// Which host a request goes to.
pub const DESTINATION_HOST: Key = base(293, "Destination-Host");
/// The realm of the sender.
pub const ORIGIN_REALM: Key = base(296, "Origin-Realm");
/// A result of a vendor's list.
pub const EXPERIMENTAL_RESULT: Key = base(297, "Experimental-Result");
/// The result inside.
pub const EXPERIMENTAL_RESULT_CODE: Key = base(298, "Experimental-Result-Code");

// TS 29.329 section 6.3.
/// Whom a request is about.
pub const USER_IDENTITY: Key = sh(700, "User-Identity");
/// By number, TBCD.
pub const MSISDN: Key = sh(701, "MSISDN");
/// The document of the answer.
pub const USER_DATA: Key = sh(702, "User-Data");
/// User-Data of Cx (TS 29.229 section 6.3.1), which some stacks send in its place.
pub const USER_DATA_CX: Key = sh(606, "User-Data (Cx)");
/// What is asked.
pub const DATA_REFERENCE: Key = sh(703, "Data-Reference");
/// Which service's data.
pub const SERVICE_INDICATION: Key = sh(704, "Service-Indication");
/// Subscribe or unsubscribe.
pub const SUBS_REQ_TYPE: Key = sh(705, "Subs-Req-Type");
/// Circuit or packet switched.
pub const REQUESTED_DOMAIN: Key = sh(706, "Requested-Domain");
/// Whether the subscriber's phone is to be paged for it.
pub const CURRENT_LOCATION: Key = sh(707, "Current-Location");
/// Which of the packet domain's nodes are asked.
pub const REQUESTED_NODES: Key = Key {
    mandatory: false,
    ..sh(713, "Requested-Nodes")
};
/// By public identity, a `sip:` or `tel:` URI (TS 29.229 section 6.3.2).
pub const PUBLIC_IDENTITY: Key = sh(601, "Public-Identity");

/// DIAMETER_SUCCESS.
pub const SUCCESS: u32 = 2_001;
/// DIAMETER_COMMAND_UNSUPPORTED.
pub const COMMAND_UNSUPPORTED: u32 = 3_001;
/// DIAMETER_UNABLE_TO_DELIVER.
pub const UNABLE_TO_DELIVER: u32 = 3_002;
/// DIAMETER_TOO_BUSY.
pub const TOO_BUSY: u32 = 3_004;
/// DIAMETER_INVALID_AVP_LENGTH.
pub const INVALID_AVP_LENGTH: u32 = 5_014;

/// DIAMETER_ERROR_USER_UNKNOWN of 3GPP (TS 29.229 section 6.2.2.1). The base protocol's 5001 is
/// something else: an AVP that isn't supported.
pub const USER_UNKNOWN_3GPP: u32 = 5_001;
/// DIAMETER_USER_DATA_NOT_AVAILABLE (TS 29.329 section 6.2.2.1).
pub const USER_DATA_NOT_AVAILABLE: u32 = 4_100;
/// DIAMETER_ERROR_OPERATION_NOT_ALLOWED (TS 29.329 section 6.2.1).
pub const OPERATION_NOT_ALLOWED: u32 = 5_101;
/// DIAMETER_ERROR_USER_DATA_CANNOT_BE_READ (TS 29.329 section 6.2.1).
pub const USER_DATA_CANNOT_BE_READ: u32 = 5_102;
