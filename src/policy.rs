//! Policies: which controls apply where, in which mode, with which settings.
//!
//! A [`Policy`] is what a `ControlPolicy` compiles to: modes are enums, settings are rules, globs
//! are matchers. [`parse`] is the only way to make one; whatever it does not know it refuses.

pub mod break_glass;
pub mod exception;
pub mod guard;
pub mod meta;
pub mod parse;
pub mod preset;
pub mod selection;
pub mod settings;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::control::{Control, Mode, Rule};

use break_glass::{BreakGlassRules, Opened};
use exception::{CLOCK_SKEW, ExceptionRules, Exceptions};
use selection::{Place, Selection};

/// The API group and version of the objects users write.
pub const API_VERSION: &str = "tidegate.dev/v1alpha1";

/// Every policy in force.
#[derive(Clone, Debug)]
pub struct Policies {
    /// The policies, in the order they were given.
    pub list: Vec<Arc<Policy>>,
    /// No finding gets a mode above this; `audit` under `--audit-only`.
    pub cap: Mode,
    /// What is lowered for single objects.
    pub exceptions: Exceptions,
    /// Names this state of policies and exceptions; equal on every replica that has it. Empty where
    /// nothing can change.
    pub generation: Arc<str>,
}

/// One policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.mode`: the mode of controls that name none.
    pub mode: Mode,
    /// Where it applies.
    pub namespaces: Selection,
    /// The controls it names, in the order of the catalogue.
    pub controls: Vec<Setup>,
    /// What differs in some namespaces, in order.
    pub overrides: Vec<Override>,
    /// Mode and rule of controls that only overrides name, where no override gives them.
    pub fallbacks: Vec<Setup>,
    /// What it says of exceptions to it.
    pub exceptions: ExceptionRules,
    /// Who may open it; nobody where there is none.
    pub break_glass: Option<BreakGlassRules>,
    /// That somebody opened it.
    pub opened: Option<Opened>,
}

/// What a policy says of some namespaces beside its main part.
#[derive(Clone, Debug)]
pub struct Override {
    /// Which namespaces.
    pub namespaces: Selection,
    /// What differs there.
    pub controls: Vec<Setup>,
}

/// What one part of a policy says of one control.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The control.
    pub control: &'static Control,
    /// Its mode; an override may leave it as it is.
    pub mode: Option<Mode>,
    /// Its rule; an override may leave it as it is.
    pub rule: Option<Configured>,
    /// Modes of single checks.
    pub checks: Vec<(&'static str, Mode)>,
}

/// A rule and what it was made from.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The rule.
    pub rule: Arc<dyn Rule>,
    settings: Arc<str>,
}

impl Configured {
    /// A rule that its control made from these settings, in JSON; empty: from none.
    pub fn new(rule: Arc<dyn Rule>, settings: &str) -> Self {
        Configured {
            rule,
            settings: settings.into(),
        }
    }

    /// Whether both, of the same control, say the same of everything.
    pub fn is_like(&self, other: &Configured) -> bool {
        *self.settings == *other.settings
    }
}

/// A control as one policy applies it to one request.
#[derive(Debug)]
pub struct Applied<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// The control.
    pub control: &'static Control,
    /// Its mode.
    pub mode: Mode,
    /// Its rule.
    pub rule: &'p Configured,
    main: Option<&'p Setup>,
    overrides: Vec<&'p Setup>,
}

impl Applied<'_> {
    /// The mode of one check: what the last part of the policy that names it says, else the
    /// control's.
    pub fn mode_of(&self, check: &str) -> Mode {
        let parts = self.overrides.iter().rev().copied().chain(self.main);
        let mut named = parts.flat_map(|part| part.checks.iter().filter(|(id, _)| *id == check));
        named.next().map_or(self.mode, |(_, mode)| *mode)
    }

    /// Whether nothing it finds would be heard of.
    fn is_off(&self) -> bool {
        let mut parts = self.overrides.iter().copied().chain(self.main);
        self.mode == Mode::Off
            && !parts.any(|part| part.checks.iter().any(|(_, mode)| *mode != Mode::Off))
    }
}

impl Policy {
    /// Calls `each` with every control this policy applies at `place`.
    pub fn apply<'p>(&'p self, place: &Place<'_, '_>, mut each: impl FnMut(Applied<'p>)) {
        if !self.namespaces.matches(place) {
            return;
        }
        let here = |part: &&Override| part.namespaces.matches(place);
        let overrides: Vec<&Override> = self.overrides.iter().filter(here).collect();
        for setup in &self.controls {
            self.apply_control(setup.control, Some(setup), &overrides, &mut each);
        }
        for setup in &self.fallbacks {
            let id = setup.control.id;
            let mut named = overrides.iter().flat_map(|part| &part.controls);
            if named.any(|part| part.control.id == id) {
                self.apply_control(setup.control, Some(setup), &overrides, &mut each);
            }
        }
    }

    fn apply_control<'p>(
        &'p self,
        control: &'static Control,
        main: Option<&'p Setup>,
        overrides: &[&'p Override],
        each: &mut impl FnMut(Applied<'p>),
    ) {
        let setups = overrides.iter().flat_map(|part| part.controls.iter());
        let overrides: Vec<&Setup> = setups
            .filter(|setup| setup.control.id == control.id)
            .collect();
        let last_first = || overrides.iter().rev().copied().chain(main);
        let mode = last_first().find_map(|part| part.mode);
        let rule = last_first().find_map(|part| part.rule.as_ref());
        if let (Some(mode), Some(rule)) = (mode, rule) {
            let applied = Applied {
                policy: self,
                control,
                mode,
                rule,
                main,
                overrides,
            };
            if !applied.is_off() {
                each(applied);
            }
        }
    }

    /// Whether somebody opened it and that is not over at `now`: it then only records. An end
    /// further away than the policy allows never came past the guard and opens nothing.
    pub fn is_open(&self, now: Option<OffsetDateTime>) -> bool {
        let rules = self.break_glass.as_ref().zip(self.opened.as_ref());
        now.zip(rules).is_some_and(|(now, (rules, opened))| {
            now < opened.until && opened.until - now <= rules.longest() + CLOCK_SKEW
        })
    }

    /// Whether where it applies depends on labels of namespaces.
    pub fn needs_labels(&self) -> bool {
        self.namespaces.selector.is_some()
            || self
                .overrides
                .iter()
                .any(|part| part.namespaces.selector.is_some())
    }
}

impl Policies {
    /// The policies with every mode capped.
    pub fn new(list: impl IntoIterator<Item = impl Into<Arc<Policy>>>, cap: Mode) -> Self {
        Policies {
            list: list.into_iter().map(Into::into).collect(),
            cap,
            exceptions: Exceptions::default(),
            generation: Arc::default(),
        }
    }

    /// The same policies with these exceptions.
    #[must_use]
    pub fn with_exceptions(self, exceptions: Exceptions) -> Self {
        Policies { exceptions, ..self }
    }

    /// The same policies with every `audit` and `warn` an `enforce`; what is off stays off.
    #[must_use]
    pub fn raised(&self) -> Self {
        let list = self.list.iter().map(|policy| policy.raised().into());
        Policies {
            list: list.collect(),
            ..self.clone()
        }
    }
}

impl Policy {
    fn raised(&self) -> Policy {
        let mut raised = self.clone();
        let overrides = raised.overrides.iter_mut();
        let overridden = overrides.flat_map(|part| part.controls.iter_mut());
        let main = raised.controls.iter_mut().chain(&mut raised.fallbacks);
        for setup in main.chain(overridden) {
            let checks = setup.checks.iter_mut().map(|(_, mode)| mode);
            for mode in setup.mode.iter_mut().chain(checks) {
                if *mode != Mode::Off {
                    *mode = Mode::Enforce;
                }
            }
        }
        raised
    }
}
