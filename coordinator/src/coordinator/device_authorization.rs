//! Machines that wait to be let in, and the people who decide.

use std::net::IpAddr;
use std::sync::{MutexGuard, PoisonError};

use protocol::api::{DeviceAuthorizationRequest, EnrollmentKey};

use super::Coordinator;
use crate::service::device_authorization::{Decision, DeviceAuthorizations, DeviceError, UserCode};
use crate::service::resources::device_authorizations::{self, Approval, WaitingMachine};
use crate::service::resources::{Call, ResourceError};
use crate::service::{Caller, DeviceCode};

impl Coordinator {
    /// A machine without an enrollment key begins to wait; `address` is where its request came from.
    ///
    /// # Errors
    /// Too many wait, or a field is wrong.
    pub fn begin_device_authorization(
        &self,
        now_ms: i64,
        request: DeviceAuthorizationRequest,
        address: Option<IpAddr>,
    ) -> Result<(DeviceCode, UserCode), DeviceError> {
        self.devices().begin(&self.entropy, now_ms, request, address)
    }

    /// A machine asks how it was decided.
    ///
    /// # Errors
    /// No decision yet, or another one.
    pub fn ask_device_authorization(
        &self,
        now_ms: i64,
        device: &DeviceCode,
    ) -> Result<EnrollmentKey, DeviceError> {
        self.devices().ask(now_ms, device)
    }

    /// The machine with this code, for a person who may decide.
    ///
    /// # Errors
    /// None waits, or the database's.
    pub fn waiting_machine(
        &self,
        now_ms: i64,
        caller: &Caller,
        code: UserCode,
    ) -> Result<WaitingMachine, ResourceError> {
        let waiting = self.devices().look(now_ms, code)?.clone();
        device_authorizations::show(&self.store, caller, code, &waiting)
    }

    /// Lets a machine in. Of several people who decide at once one does.
    ///
    /// # Errors
    /// None waits, it is decided already, no such network, a caller that is a program, or the database's.
    pub fn approve_device(
        &self,
        call: &Call<'_>,
        code: UserCode,
        approval: Approval,
    ) -> Result<(), ResourceError> {
        self.decide_device(call, code, |waiting| {
            call.approve_device(waiting, approval).map(Decision::Approved)
        })
    }

    /// Refuses a machine.
    ///
    /// # Errors
    /// None waits, it is decided already, a caller that is a program, or the database's.
    pub fn refuse_device(&self, call: &Call<'_>, code: UserCode) -> Result<(), ResourceError> {
        self.decide_device(call, code, |waiting| call.refuse_device(waiting).map(|()| Decision::Refused))
    }

    fn decide_device(
        &self,
        call: &Call<'_>,
        code: UserCode,
        decide: impl FnOnce(&crate::service::device_authorization::Waiting) -> Result<Decision, ResourceError>,
    ) -> Result<(), ResourceError> {
        if call.caller.is_api_token() {
            return Err(ResourceError::Forbidden("whether a machine comes in is decided at a browser"));
        }
        let waiting = self.devices().take_up(call.now_ms, code)?;
        let decided = decide(&waiting);
        let (decision, outcome) = match decided {
            Ok(decision) => (decision, Ok(())),
            Err(error) => (Decision::Waiting, Err(error)),
        };
        self.devices().decide(call.now_ms, code, decision);
        outcome
    }

    fn devices(&self) -> MutexGuard<'_, DeviceAuthorizations> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
