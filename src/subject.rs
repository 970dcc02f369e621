//! What a request is about: the object, read when a rule first asks for it.

use std::cell::OnceCell;

use serde::Deserialize;

use crate::json::{self, Raw};
use crate::objects::{
    Any, CronJob, Metadata, Pod, PodSpec, PodTemplate, Template, Text, WithSpec, Workload,
};
use crate::path::FieldPath;
use crate::review::Request;

/// An object, as far as tidegate reads it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Group and version, `apps/v1`.
    pub api_version: Text<'a>,
    /// Kind, `Deployment`.
    pub kind: Text<'a>,
    /// Metadata.
    pub metadata: Metadata<'a>,
    /// The rest, by kind.
    pub body: Body<'a>,
}

/// What an object holds beside its metadata.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// A Pod's spec.
    Pod(PodSpec<'a>),
    /// A pod template and the path of it in the object.
    Template(Template<'a>, &'static str),
    /// A `ReplicationController` without the template it may have.
    NoTemplate,
    /// A Namespace: all of it is metadata.
    Namespace,
    /// A kind of which only the metadata is read.
    Other,
}

/// A pod's metadata and spec, wherever they stand.
#[derive(Clone, Copy, Debug)]
pub struct PodView<'s, 'a> {
    /// Metadata of the pod or template.
    pub metadata: &'s Metadata<'a>,
    /// Spec of the pod or template.
    pub spec: &'s PodSpec<'a>,
    /// Path of the pod in the object; empty for a Pod.
    pub base: &'static str,
}

impl<'a> Subject<'a> {
    /// The pod this object is or makes.
    pub fn pod(&self) -> Option<PodView<'_, 'a>> {
        match &self.body {
            Body::Pod(spec) => Some(PodView {
                metadata: &self.metadata,
                spec,
                base: "",
            }),
            Body::Template(template, base) => Some(PodView {
                metadata: &template.metadata,
                spec: &template.spec,
                base,
            }),
            Body::NoTemplate | Body::Namespace | Body::Other => None,
        }
    }

    /// Reads an object. What it says of its own kind decides; where it says nothing `expected`
    /// does, as in upstream's decoder.
    ///
    /// # Errors
    /// When the text is no such object; the error names the path.
    pub fn parse(object: Raw<'a>, expected: Expected<'_>) -> Result<Subject<'a>, Unreadable> {
        let shape = Shape::of(expected.api_version, expected.kind);
        let subject = Subject::parse_as(object, shape);
        let own = match &subject {
            Ok(subject) => TypeMeta {
                api_version: subject.api_version.clone(),
                kind: subject.kind.clone(),
            },
            // Perhaps it cannot be read because it is of another kind than it was taken for.
            Err(_) => read(object).unwrap_or_default(),
        };
        let or = |own: Text<'a>, expected: &str| {
            if own.is_empty() {
                expected.to_owned()
            } else {
                own.to_string()
            }
        };
        let actual = if own.kind.is_empty() || own.api_version.is_empty() {
            Shape::of(
                &or(own.api_version, expected.api_version),
                &or(own.kind, expected.kind),
            )
        } else {
            Shape::of(&own.api_version, &own.kind)
        };
        if actual == shape {
            return subject;
        }
        Subject::parse_as(object, actual)
    }

    fn parse_as(object: Raw<'a>, shape: Shape) -> Result<Subject<'a>, Unreadable> {
        match shape {
            Shape::Pod => {
                let pod: Pod = read(object)?;
                Ok(Subject {
                    api_version: pod.api_version,
                    kind: pod.kind,
                    metadata: pod.metadata,
                    body: Body::Pod(pod.spec),
                })
            }
            Shape::Workload { optional } => {
                let object: WithSpec<Workload> = read(object)?;
                let body = match object.spec.template {
                    None if optional => Body::NoTemplate,
                    template => Body::Template(template.unwrap_or_default(), "spec.template"),
                };
                Ok(Subject {
                    api_version: object.api_version,
                    kind: object.kind,
                    metadata: object.metadata,
                    body,
                })
            }
            Shape::CronJob => {
                let object: WithSpec<CronJob> = read(object)?;
                let template = object.spec.job_template.spec.template.unwrap_or_default();
                Ok(Subject {
                    api_version: object.api_version,
                    kind: object.kind,
                    metadata: object.metadata,
                    body: Body::Template(template, "spec.jobTemplate.spec.template"),
                })
            }
            Shape::PodTemplate => {
                let object: PodTemplate = read(object)?;
                Ok(Subject {
                    api_version: object.api_version,
                    kind: object.kind,
                    metadata: object.metadata,
                    body: Body::Template(object.template, "template"),
                })
            }
            Shape::Namespace | Shape::Other => {
                let object: Any = read(object)?;
                Ok(Subject {
                    api_version: object.api_version,
                    kind: object.kind,
                    metadata: object.metadata,
                    body: if shape == Shape::Namespace {
                        Body::Namespace
                    } else {
                        Body::Other
                    },
                })
            }
        }
    }
}

/// What an object says of its own kind.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TypeMeta<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
}

/// Reads a value; when that fails, again, more slowly, to learn which field it is about.
fn read<'a, T: Deserialize<'a>>(object: Raw<'a>) -> Result<T, Unreadable> {
    json::from_raw(object).map_err(|error| {
        let (field, error) = json::locate::<T>(object.text(), error);
        Unreadable {
            field: field.map(|path| FieldPath::of(&path)),
            message: error.message().to_owned(),
        }
    })
}

/// Which struct a kind is read into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// `v1` Pod.
    Pod,
    /// A kind with `spec.template`; `optional` where that may be absent.
    Workload {
        /// Whether no template differs from an empty one.
        optional: bool,
    },
    /// `batch/v1` `CronJob`.
    CronJob,
    /// `v1` `PodTemplate`.
    PodTemplate,
    /// `v1` Namespace.
    Namespace,
    /// Anything else.
    Other,
}

impl Shape {
    /// The shape of `kind` in `api_version`.
    pub fn of(api_version: &str, kind: &str) -> Shape {
        match (api_version, kind) {
            ("v1", "Pod") => Shape::Pod,
            ("apps/v1", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch/v1", "Job") => Shape::Workload { optional: false },
            ("v1", "ReplicationController") => Shape::Workload { optional: true },
            ("batch/v1", "CronJob") => Shape::CronJob,
            ("v1", "PodTemplate") => Shape::PodTemplate,
            ("v1", "Namespace") => Shape::Namespace,
            _ => Shape::Other,
        }
    }
}

/// The kind an object is believed to have.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'r> {
    /// Group and version.
    pub api_version: &'r str,
    /// Kind.
    pub kind: &'r str,
}

/// Why an object could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    /// The field that is wrong, where it is one field.
    pub field: Option<FieldPath>,
    /// What is wrong.
    pub message: String,
}

/// A request with its objects, each read at most once and only when asked for.
#[derive(Debug)]
pub struct Input<'a> {
    /// The request.
    pub request: Request<'a>,
    object: OnceCell<Result<Subject<'a>, Unreadable>>,
    old_object: OnceCell<Result<Subject<'a>, Unreadable>>,
}

impl<'a> Input<'a> {
    /// What `request` is about.
    pub fn new(request: Request<'a>) -> Self {
        Input {
            request,
            object: OnceCell::new(),
            old_object: OnceCell::new(),
        }
    }

    /// The object after the operation.
    pub fn object(&self) -> Result<&Subject<'a>, &Unreadable> {
        self.read(&self.object, self.request.object)
    }

    /// The object before the operation.
    pub fn old_object(&self) -> Result<&Subject<'a>, &Unreadable> {
        self.read(&self.old_object, self.request.old_object)
    }

    fn read<'s>(
        &self,
        cell: &'s OnceCell<Result<Subject<'a>, Unreadable>>,
        text: Option<Raw<'a>>,
    ) -> Result<&'s Subject<'a>, &'s Unreadable> {
        cell.get_or_init(|| match text {
            Some(text) => {
                let kind = &self.request.kind;
                let api_version = kind.api_version();
                Subject::parse(
                    text,
                    Expected {
                        api_version: &api_version,
                        kind: &kind.kind,
                    },
                )
            }
            None => Err(Unreadable {
                field: None,
                message: "the request holds no such object".into(),
            }),
        })
        .as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body<'a>(
        text: &'a str,
        api_version: &'a str,
        kind: &'a str,
    ) -> Result<Body<'a>, Unreadable> {
        let expected = Expected { api_version, kind };
        Subject::parse(Raw::assume(text), expected).map(|subject| subject.body)
    }

    #[test]
    fn what_an_object_says_of_its_kind_decides() {
        let pod = r#"{"apiVersion":"v1","kind":"Pod","template":{"spec":{"containers":{}}}}"#;
        assert!(matches!(body(pod, "v1", "PodTemplate"), Ok(Body::Pod(_))));
        let job = r#"{"apiVersion":"batch/v1","kind":"Job","spec":{"template":{}}}"#;
        assert!(matches!(
            body(job, "v1", "Pod"),
            Ok(Body::Template(_, "spec.template"))
        ));
        let unsaid = r#"{"spec":{"containers":[{}]}}"#;
        assert!(
            matches!(body(unsaid, "v1", "Pod"), Ok(Body::Pod(spec)) if spec.containers.len() == 1)
        );
    }

    #[test]
    fn an_object_of_its_kind_that_cannot_be_read_names_the_field() {
        let pod = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":{}}}"#;
        let error = body(pod, "v1", "Pod").unwrap_err();
        assert_eq!(error.field.unwrap().as_str(), "spec.containers");
    }
}
