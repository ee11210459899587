//! Why a bank asks.

use crate::{named::named_enum, v1};

named_enum! {
    /// The closed list of purposes (rules R06 and R08: exactly one, declared with each question;
    /// marketing, credit scoring, employment and debt collection are not in the list).
    pub enum Purpose: v1::Purpose, "purpose" {
        /// Before a customer logs in.
        Login = "login",
        /// Before money moves.
        Payment = "payment",
        /// Before a payee is added.
        AddPayee = "add_payee",
        /// Before a password, PIN or other credential is reset.
        CredentialReset = "credential_reset",
        /// Before a limit is raised.
        LimitChange = "limit_change",
        /// Before a device is enrolled.
        DeviceEnrolment = "device_enrolment",
        /// Before a one-time password is sent by SMS.
        OtpSend = "otp_send",
        /// Hygiene of accounts that sleep.
        DormantAccount = "dormant_account",
        /// A complaint or an investigation.
        Complaint = "complaint",
    }
}
