//! The catalogue: one explicit, ordered list.

pub mod pod_security;

use crate::control::Control;

/// Every control, in the order findings are listed.
pub static ALL: &[&Control] = &[&pod_security::CONTROL];

/// The control of this id.
pub fn find(id: &str) -> Option<&'static Control> {
    ALL.iter().copied().find(|control| control.id == id)
}

/// Where the control of this id stands in the catalogue; unknown ones come last.
pub fn position(id: &str) -> usize {
    ALL.iter()
        .position(|control| control.id == id)
        .unwrap_or(ALL.len())
}
