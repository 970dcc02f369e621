//! The shipped policies, embedded.

/// Name and YAML of every preset.
pub const ALL: [(&str, &str); 3] = [
    (
        "recommended",
        include_str!("../../policies/recommended.yaml"),
    ),
    ("restricted", include_str!("../../policies/restricted.yaml")),
    ("audit", include_str!("../../policies/audit.yaml")),
];

/// The preset that is in force when no policy is given.
pub const DEFAULT: &str = "recommended";

/// In place of a preset's name: none of them.
pub const NONE: &str = "none";

/// The YAML of the preset of this name.
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter()
        .find(|(candidate, _)| *candidate == name)
        .map(|(_, text)| *text)
}
