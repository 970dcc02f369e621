//! `tidegate controls`: the catalogue.

use crate::cli::{ControlsArgs, ControlsOutput};
use crate::controls;
use crate::policy::settings::unknown;
use crate::report::catalogue;

use super::{OK, output};

/// Prints the catalogue or one control of it.
///
/// # Errors
/// When there is no such control, or the output cannot be written.
pub fn run(args: &ControlsArgs) -> Result<u8, String> {
    let one = match &args.id {
        None => None,
        Some(id) => {
            let known: Vec<&str> = controls::ALL.iter().map(|control| control.id).collect();
            Some(controls::find(id).ok_or_else(|| unknown("control", id, &known))?)
        }
    };
    let selected = one.as_ref().map_or(controls::ALL, std::slice::from_ref);
    let style = output::style();
    output::print(&match args.output {
        ControlsOutput::Text if one.is_none() => catalogue::overview(selected, style),
        ControlsOutput::Text => catalogue::text(selected, style),
        ControlsOutput::Json => catalogue::json(selected),
        ControlsOutput::Markdown => catalogue::markdown(selected),
    })?;
    Ok(OK)
}
