//! What the fuzz targets check.

mod agreement;
pub mod properties;
