//! What is large, long, deep or odd where nobody looks: decided like anything else.

use super::process::Server;
use super::reviews::{
    BAD_SPEC, GOOD_SPEC, MIB, UID, allowed, denied, pod, refused, review, review_of,
};

#[test]
fn what_nobody_reads_does_not_matter_however_odd_it_is() {
    let server = Server::start();
    let mut client = server.connect();
    let odd = [
        r#""a":1,"a":2"#.to_owned(),
        r#""a":{"b":1,"b":2}"#.into(),
        r#""a":"\ud800","b":["\udfff\ud800"]"#.into(),
        r#""a":1e999999,"b":-0,"c":123456789012345678901234567890"#.into(),
        format!(r#""a":"{}""#, "x".repeat(3 * MIB)),
        format!(r#""{}":1"#, "k".repeat(3 * MIB)),
        format!(r#""a":[{}0]"#, "0,".repeat(500_000)),
        format!(r#""a":"{}""#, r"\u0000".repeat(100_000)),
        format!(r#""a":1{}"#, " ".repeat(3 * MIB)),
    ];
    for odd in odd {
        for (spec, good) in [(GOOD_SPEC, true), (BAD_SPEC, false)] {
            let body = review(UID, &format!(r#"{{"status":{{{odd}}},"spec":{spec}}}"#));
            if good {
                allowed(&mut client, &body);
            } else {
                let message = denied(&mut client, &body);
                assert!(message.contains("pod-security/hostNamespaces"), "{message}");
            }
        }
    }
    // Huge texts where they are read.
    let name = pod(BAD_SPEC).replacen("\"web\"", &format!("\"{}\"", "n".repeat(3 * MIB)), 1);
    denied(&mut client, &review(UID, &name));
    let container = pod(&BAD_SPEC.replace("web", &r#"\"\\\u0007"#.repeat(300_000)));
    assert!(denied(&mut client, &review(UID, &container)).contains("pod-security/hostNamespaces"));
    let annotation = format!(
        r#"{{"metadata":{{"annotations":{{"a":"{}"}}}},"spec":{GOOD_SPEC}}}"#,
        "é".repeat(MIB)
    );
    allowed(&mut client, &review(UID, &annotation));
}

#[test]
fn nesting_is_decided_on_up_to_the_depth_the_api_server_takes_and_refused_beyond() {
    let server = Server::start();
    let mut client = server.connect();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [127, 128, 129, 1_000, 9_998] {
            let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let with = |spec: &str| review(UID, &format!(r#"{{"status":{deep},"spec":{spec}}}"#));
            allowed(&mut client, &with(GOOD_SPEC));
            assert!(denied(&mut client, &with(BAD_SPEC)).contains("pod-security/hostNamespaces"));
            let ring = format!(r#"{{"kind":"Ring","metadata":{{"name":"a"}},"spec":{deep}}}"#);
            let ring = review_of(
                "example.org",
                "v1",
                "Ring",
                "rings",
                UID,
                "CREATE",
                &ring,
                &ring,
            );
            allowed(&mut client, &ring);
            let typed = review(
                UID,
                &pod(&format!(
                    r#"{{"containers":{}{}}}"#,
                    "[".repeat(depth),
                    "]".repeat(depth)
                )),
            );
            assert!(denied(&mut client, &typed).contains("spec.containers[0]"));
        }
        for depth in [10_100, 100_000] {
            let closed = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            for deep in [open.repeat(depth), closed] {
                refused(&mut client, review(UID, &deep).as_bytes(), "at byte");
                let inside = format!(r#"{{"status":{deep},"spec":{GOOD_SPEC}}}"#);
                refused(&mut client, review(UID, &inside).as_bytes(), "at byte");
            }
        }
    }
    allowed(&mut client, &review(UID, &pod(GOOD_SPEC)));
}

#[test]
fn large_bodies_are_decided_and_not_refused_up_to_the_limit() {
    let server = Server::start();
    let mut client = server.connect();
    for size in [2 * MIB, 3 * MIB, 69 * MIB / 10, 7 * MIB] {
        let padded = |spec: &str, size: usize| {
            let body = |pad: &str| {
                let metadata = format!(r#"{{"annotations":{{"pad":"{pad}"}}}}"#);
                review(UID, &format!(r#"{{"metadata":{metadata},"spec":{spec}}}"#))
            };
            let body = body(&"p".repeat(size - body("").len()));
            assert_eq!(body.len(), size);
            body
        };
        assert!(
            denied(&mut client, &padded(BAD_SPEC, size)).contains("pod-security/hostNamespaces")
        );
        allowed(&mut client, &padded(GOOD_SPEC, size));
        let old = format!(
            r#"{{"metadata":{{"annotations":{{"pad":"{}"}}}},"spec":{GOOD_SPEC}}}"#,
            "p".repeat(size - 4096)
        )
        .replace(
            r#"{"name":"web","#,
            r#"{"name":"web","image":"the-old-one","#,
        );
        let update = review_of("", "v1", "Pod", "pods", UID, "UPDATE", &pod(BAD_SPEC), &old);
        assert!(denied(&mut client, &update).contains("pod-security/hostNamespaces"));
        let spaces = review(
            UID,
            &format!("{}{}", pod(BAD_SPEC), " ".repeat(size - 4096)),
        );
        assert!(denied(&mut client, &spaces).contains("pod-security/hostNamespaces"));
    }
    let answer = server.post(&vec![b' '; 71 * MIB / 10]);
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("7340032 bytes"), "{}", answer.text);
    allowed(&mut client, &review(UID, &pod(GOOD_SPEC)));
}

#[test]
fn as_many_findings_as_an_object_can_have_are_decided_in_time_and_little_memory() {
    let server = Server::start();
    let mut client = server.connect();
    let long = "n".repeat(100);
    let list = |element: &dyn Fn(usize) -> String| {
        let elements: Vec<String> = (0..9_999).map(element).collect();
        elements.join(",")
    };
    let container = |number: usize| {
        format!(
            r#"{{"name":"{number}{long}","ports":[{{"hostPort":{number}}}],"securityContext":{{"privileged":true,
            "procMount":"p{number}","runAsUser":0,"capabilities":{{"add":["C{number}"]}},
            "seccompProfile":{{"type":"s{number}"}},"appArmorProfile":{{"type":"a{number}"}},
            "seLinuxOptions":{{"type":"t{number}","user":"u{number}"}},"windowsOptions":{{"hostProcess":true}}}}}}"#
        )
    };
    let annotation = |number: usize| {
        format!(
            r#""container.apparmor.security.beta.kubernetes.io/{number}{long}":"unconfined\u0007{number}""#
        )
    };
    let volume = |number: usize| format!(r#"{{"name":"{number}{long}","hostPath":{{}}}}"#);
    let sysctl = |number: usize| format!(r#"{{"name":"{number}{long}"}}"#);
    let containers = format!(r#"{{"containers":[{}]}}"#, list(&container));
    let volumes = format!(r#"{{"volumes":[{}]}}"#, list(&volume));
    let sysctls = format!(r#"{{"securityContext":{{"sysctls":[{}]}}}}"#, list(&sysctl));
    let few = format!(
        r#"{{"containers":[{{"name":"{long}"}}{}]}}"#,
        ",{}".repeat(9_998)
    );
    let annotated = format!(r#"{{"annotations":{{{}}}}}"#, list(&annotation));
    for (metadata, spec, check) in [
        ("{}", &containers, "pod-security/privileged"),
        ("{}", &volumes, "pod-security/restrictedVolumes"),
        ("{}", &sysctls, "pod-security/sysctls"),
        (&*annotated, &few, "pod-security/appArmorProfile"),
    ] {
        let body = review(UID, &format!(r#"{{"metadata":{metadata},"spec":{spec}}}"#));
        let start = std::time::Instant::now();
        let message = denied(&mut client, &body);
        let took = start.elapsed();
        assert!(message.contains(check), "{check}: {message}");
        let memory = server.memory("VmHWM");
        println!(
            "{check}: {} bytes in {took:?}, at most {memory} KiB",
            body.len()
        );
        // The API server waits 10 s, and this is a debug build.
        assert!(
            took.as_secs() < 5 && memory < 256 * 1024,
            "{check}: {took:?}, {memory} KiB"
        );
    }
}
