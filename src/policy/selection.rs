//! Which namespaces a policy means.

use globset::{GlobBuilder, GlobMatcher};

use crate::facts::{Fact, Labels};
use crate::subject::{Input, Shape};

/// A choice of namespaces; all parts must hold.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Names that are in.
    pub include: Vec<Pattern>,
    /// Names that are out all the same.
    pub exclude: Vec<Pattern>,
    /// What their labels must be.
    pub selector: Option<Selector>,
}

impl Default for Selection {
    /// Every namespace.
    fn default() -> Self {
        Selection {
            include: vec![Pattern::Any],
            exclude: Vec::new(),
            selector: None,
        }
    }
}

impl Selection {
    /// Whether a request at `place` is meant. Where the labels that decide could not be had, it is:
    /// a failure must not switch a control off.
    pub fn matches(&self, place: &Place<'_, '_>) -> bool {
        let Some(name) = place.name() else {
            return true;
        };
        self.include.iter().any(|pattern| pattern.matches(name))
            && !self.exclude.iter().any(|pattern| pattern.matches(name))
            && self
                .selector
                .as_ref()
                .is_none_or(|selector| place.has_labels(selector))
    }
}

/// A glob over names.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `*`
    Any,
    /// A name without wildcards.
    Exact(Box<str>),
    /// The start of a name, `shop-*`. Nearly all globs are of this form or the next, and a matcher
    /// for any glob takes kilobytes.
    Start(Box<str>),
    /// The end of a name, `*-shop`.
    End(Box<str>),
    /// Anything else.
    Glob(Box<GlobMatcher>),
}

impl Pattern {
    /// Reads a glob: `*`, `?`, `[a-z]`, `{a,b}`.
    ///
    /// # Errors
    /// When it is none; the text says why.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("an empty glob matches nothing".into());
        }
        if text == "*" {
            return Ok(Pattern::Any);
        }
        let literal = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', '\\']);
        if literal(text) {
            return Ok(Pattern::Exact(text.into()));
        }
        if let Some(start) = text.strip_suffix('*').filter(|start| literal(start)) {
            return Ok(Pattern::Start(start.into()));
        }
        if let Some(end) = text.strip_prefix('*').filter(|end| literal(end)) {
            return Ok(Pattern::End(end.into()));
        }
        let glob = GlobBuilder::new(text).build();
        glob.map(|glob| Pattern::Glob(Box::new(glob.compile_matcher())))
            .map_err(|error| format!("bad glob {text:?}: {}", error.kind()))
    }

    /// Whether `name` matches, in whole.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(exact) => **exact == *name,
            Pattern::Start(start) => name.starts_with(&**start),
            Pattern::End(end) => name.ends_with(&**end),
            Pattern::Glob(glob) => glob.is_match(name),
        }
    }
}

/// A label selector as Kubernetes has it; all requirements must hold.
#[derive(Clone, Debug, Default)]
pub struct Selector(pub Vec<Requirement>);

/// One requirement of a selector.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What is asked of its value.
    pub operator: Operator,
}

/// What a requirement asks of a label's value.
#[derive(Clone, Debug)]
pub enum Operator {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these, or absent.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

impl Selector {
    /// Whether labels fulfil it.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| {
            let value = label(&requirement.key);
            match &requirement.operator {
                Operator::In(values) => {
                    value.is_some_and(|value| values.iter().any(|one| one == value))
                }
                Operator::NotIn(values) => {
                    value.is_none_or(|value| values.iter().all(|one| one != value))
                }
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// Where a request is about something.
#[derive(Debug)]
pub enum Place<'i, 'a> {
    /// Something in a namespace.
    In(&'i str, &'i Fact<Labels>),
    /// A Namespace itself, judged by its name and by its labels before and after.
    Itself(&'i str, &'i Input<'a>),
    /// Something that belongs to no namespace.
    Cluster,
}

impl<'i, 'a> Place<'i, 'a> {
    /// The place of a request.
    pub fn of(input: &'i Input<'a>, namespace: &'i Fact<Labels>) -> Self {
        let request = &input.request;
        let core = request.kind.group.is_empty() && request.kind.version == "v1";
        if core && Shape::of("v1", &request.kind.kind) == Shape::Namespace {
            let name = if request.name.is_empty() {
                &request.namespace
            } else {
                &request.name
            };
            Place::Itself(name, input)
        } else if request.namespace.is_empty() {
            Place::Cluster
        } else {
            Place::In(&request.namespace, namespace)
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Place::In(name, _) | Place::Itself(name, _) => Some(name),
            Place::Cluster => None,
        }
    }

    fn has_labels(&self, selector: &Selector) -> bool {
        match self {
            Place::In(_, Fact::Known(labels)) => selector.matches(|key| labels.get(key)),
            Place::In(_, Fact::NotAsked | Fact::Unavailable(_)) | Place::Cluster => true,
            Place::Itself(_, input) => {
                let objects = [input.object(), input.old_object()];
                let mut readable = objects.iter().filter_map(|object| object.ok()).peekable();
                readable.peek().is_none()
                    || readable
                        .any(|subject| selector.matches(|key| subject.metadata.labels.get(key)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        let matches = |glob: &str, name: &str| Pattern::parse(glob).unwrap().matches(name);
        assert!(matches("*", "anything") && matches("prod-*", "prod-1") && matches("{a,b}", "b"));
        assert!(matches("shop", "shop"));
        assert!(
            matches("*-shop", "a-shop") && matches("prod-*", "prod-") && matches("a*-b", "a1-b")
        );
        assert!(!matches("*-shop", "a-shops") && !matches("a*-b", "a1-bc"));
        assert!(
            !matches("shop", "shop-2")
                && !matches("prod-*", "a-prod-1")
                && !matches("Shop", "shop")
        );
        assert!(
            Pattern::parse("a[")
                .unwrap_err()
                .starts_with("bad glob \"a[\"")
        );
        assert!(Pattern::parse("").is_err());
    }

    #[test]
    fn a_namespace_whose_labels_are_unknown_is_meant() {
        let selection = Selection {
            selector: Some(Selector(vec![Requirement {
                key: "team".into(),
                operator: Operator::Exists,
            }])),
            ..Selection::default()
        };
        let unknown = Fact::Unavailable("the API server did not answer".into());
        assert!(selection.matches(&Place::In("shop", &unknown)));
        let known = Fact::Known(Labels::from_iter([("other", "x")]));
        assert!(!selection.matches(&Place::In("shop", &known)));
        assert!(selection.matches(&Place::Cluster));
    }
}
