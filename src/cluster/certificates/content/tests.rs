use super::*;
use crate::cluster::certificates::plan::{Action, Trust, plan};

const DAY: i64 = 86_400;
const NOW: i64 = 1_800_000_000;

fn names() -> Vec<String> {
    ["tidegate.tg.svc", "tidegate.tg.svc.cluster.local"]
        .map(str::to_owned)
        .to_vec()
}

fn fresh(now: i64) -> Content {
    Content::default()
        .with_authority(WithLeaf::Make, &names(), Lives::default(), now)
        .unwrap()
}

#[test]
fn what_is_made_holds_what_was_asked_for() {
    let content = fresh(NOW);
    let held = content.held(&names(), NOW);
    assert_eq!(held.ca, Ok(NOW + 5 * 365 * DAY));
    assert_eq!(
        held.leaf,
        Leaf::Good {
            expires: NOW + 90 * DAY,
            of_newest: true
        }
    );
    let secret = json!({"data": content.data()});
    assert!(Content::of(&secret) == content, "written and read again");
    let authority = Validity::of(&content.bundle().unwrap().certificates()[0]).unwrap();
    assert!(authority.authority);
    let leaf = Validity::of(&content.chain().unwrap()[0]).unwrap();
    assert!(!leaf.authority && leaf.from == NOW - 3600);
}

#[test]
fn each_damage_is_told_apart() {
    let good = fresh(NOW);
    let other = fresh(NOW);
    let ca = |content: &Content| content.held(&names(), NOW).ca.unwrap_err();
    let leaf = |content: &Content| match content.held(&names(), NOW).leaf {
        Leaf::Unusable(why) => why,
        usable => panic!("{usable:?}"),
    };
    let with = |change: &dyn Fn(&mut Content)| {
        let mut content = good.clone();
        change(&mut content);
        content
    };
    assert_eq!(ca(&Content::default()), "ca.crt is missing");
    assert_eq!(ca(&with(&|c| c.authority_key.clear())), "ca.key is missing");
    assert!(ca(&with(&|c| c.authority_key = other.authority_key.clone())).contains("does not fit"));
    assert!(ca(&with(&|c| c.authority_key = b"junk".to_vec())).contains("no usable key"));
    assert!(ca(&with(&|c| c.authorities = b"junk".to_vec())).contains("no certificate"));
    assert!(ca(&with(&|c| c.authorities = c.certificate.clone())).contains("is no CA"));
    assert!(leaf(&with(&|c| c.certificate.clear())).contains("no certificate"));
    assert!(
        leaf(&with(
            &|c| c.certificate = b"-----BEGIN CERTIFICATE-----\n".to_vec()
        ))
        .contains("PEM")
    );
    assert!(leaf(&with(&|c| c.key = other.key.clone())).contains("does not fit"));
    assert!(leaf(&with(&|c| c.key.clear())).contains("no usable key"));
    assert!(
        leaf(&with(&|c| {
            c.certificate = other.certificate.clone();
            c.key = other.key.clone();
        }))
        .contains("UnknownIssuer")
    );
    let elsewhere = vec!["tidegate.other.svc".to_owned()];
    let held = good.held(&elsewhere, NOW);
    assert!(matches!(held.leaf, Leaf::Unusable(why) if why.contains("not for tidegate.other.svc")));
    assert_eq!(good.held(&names(), NOW + 91 * DAY).leaf, Leaf::Expired);
    assert!(
        good.held(&names(), NOW - 2 * 3600).ca.is_err(),
        "not valid yet"
    );
}

#[test]
fn the_old_ca_goes_on_beside_the_new_one_and_the_leaf_stays_until_the_new_one_is_trusted() {
    let (lives, names) = (Lives::default(), names());
    let first = fresh(NOW);
    let later = NOW + 4 * 365 * DAY;
    let first = first.with_leaf(&names, lives, later).unwrap();
    let second = first
        .with_authority(WithLeaf::Keep, &names, lives, later)
        .unwrap();
    assert_eq!(second.bundle().unwrap().certificates().len(), 2);
    assert_eq!(second.certificate, first.certificate);
    let held = second.held(&names, later);
    assert!(
        matches!(
            held.leaf,
            Leaf::Good {
                of_newest: false,
                ..
            }
        ),
        "{held:?}"
    );
    let third = second.with_leaf(&names, lives, later).unwrap();
    assert!(matches!(
        third.held(&names, later).leaf,
        Leaf::Good {
            of_newest: true,
            ..
        }
    ));
    let chain = third.chain().unwrap();
    assert!(
        first
            .bundle()
            .unwrap()
            .verify(&chain, &names, later)
            .is_err(),
        "who has not heard of the new CA does not trust its leaf"
    );
    assert!(
        third
            .bundle()
            .unwrap()
            .verify(&first.chain().unwrap(), &names, later)
            .is_ok()
    );
    let last = third.forgetting(later).unwrap();
    assert_eq!(last.bundle().unwrap().certificates().len(), 1);
    let trust = Trust {
        anything: true,
        newest_settled: true,
    };
    assert!(matches!(
        plan(&last.held(&names, later), trust, lives, later),
        Action::Rest(_)
    ));
}

#[test]
fn a_ca_that_somebody_put_there_without_its_key_goes_on_only_while_the_leaf_needs_it() {
    let (lives, names) = (Lives::default(), names());
    let mut swapped = fresh(NOW);
    swapped.authority_key.clear();
    let mut bundle = swapped.bundle().unwrap();
    bundle.add(fresh(NOW).bundle().unwrap().certificates()[0].clone());
    swapped.authorities = bundle.to_pem().into_bytes();
    let healed = swapped
        .with_authority(WithLeaf::Keep, &names, lives, NOW)
        .unwrap();
    let kept = healed.bundle().unwrap();
    assert_eq!(kept.certificates().len(), 2);
    assert!(kept.certificates().contains(&bundle.certificates()[0]));
}
