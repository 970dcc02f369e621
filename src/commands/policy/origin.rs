//! Where a part of a policy was said.

use serde::Serialize;

use crate::document::Node;
use crate::document::source::{Object, Source};
use crate::report::console::place;
use crate::report::text;

/// Where a part of a policy was said.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Origin {
    /// The file or preset; `built in` for what nobody said.
    pub(super) path: String,
    /// The line; 0 where there is none.
    pub(super) line: u32,
    /// The field's path.
    pub(super) field: String,
}

impl Origin {
    pub(super) fn built_in() -> Origin {
        Origin {
            path: "built in".into(),
            line: 0,
            field: String::new(),
        }
    }

    /// For a remark, which comes from no field.
    pub(super) fn nowhere() -> Origin {
        Origin {
            path: String::new(),
            ..Origin::built_in()
        }
    }

    pub(super) fn new(source: &Source, line: u32, field: String) -> Origin {
        Origin {
            path: source.path.clone(),
            line,
            field,
        }
    }

    pub(super) fn text(&self) -> String {
        let place = place(&Source {
            line: self.line,
            ..Source::file(&self.path)
        });
        if self.field.is_empty() {
            place
        } else {
            format!("{place} {}", text::visible(&self.field))
        }
    }
}

/// A part of a policy that names a control: the main part or an override.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'o> {
    object: &'o Object,
    /// Which override; none for the main part.
    position: Option<usize>,
    /// What it says of the control.
    pub(super) control: &'o Node,
    id: &'static str,
}

impl Part<'_> {
    /// Where `field` of the control, whose value is `node`, was said.
    pub(super) fn at(&self, node: &Node, field: &str) -> Origin {
        let part = self
            .position
            .map(|position| format!("overrides[{position}]."))
            .unwrap_or_default();
        Origin::new(
            &self.object.source,
            node.line,
            format!("spec.{part}controls.{}.{field}", self.id),
        )
    }
}

/// The parts of a policy that name a control, the last first, as the engine asks them.
pub(super) fn parts<'o>(
    object: &'o Object,
    overrides: &[usize],
    id: &'static str,
) -> Vec<Part<'o>> {
    let Some(spec) = object.node.get("spec") else {
        return Vec::new();
    };
    let listed = spec
        .get("overrides")
        .map(Node::elements)
        .unwrap_or_default();
    let control = |node: &'o Node| node.get("controls").and_then(|controls| controls.get(id));
    let overriding = overrides.iter().rev().filter_map(|position| {
        let control = control(listed.get(*position)?)?;
        Some(Part {
            object,
            position: Some(*position),
            control,
            id,
        })
    });
    let main = control(spec).map(|control| Part {
        object,
        position: None,
        control,
        id,
    });
    overriding.chain(main).collect()
}
