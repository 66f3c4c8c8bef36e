use super::super::secret::tests::random;
use super::{find, places};

fn found(text: &str) -> Vec<String> {
    find(text).iter().map(ToString::to_string).collect()
}

const KEY: &str = "Z3MHBFVX7KPLQRST";

#[test]
fn secrets_are_recognised_by_their_form() {
    for (text, expected) in [
        (format!("id=AKIA{KEY}"), "AWS access key AKIA…"),
        (format!("'ASIA{KEY}'"), "AWS access key ASIA…"),
        (format!("aws_secret_access_key = {}", random(40)), "AWS secret access key"),
        (format!("\"SecretAccessKey\": \"{}\"", random(40)), "AWS secret access key"),
        (format!("aws configure set aws_secret_access_key {}", random(40)), "AWS secret access key"),
        (format!("-----BEGIN {} KEY-----\n{}", "PRIVATE", random(64)), "private key"),
        (format!("-----BEGIN RSA {} KEY-----\\n{}", "PRIVATE", random(64)), "private key"),
        (format!("-----BEGIN PGP {} KEY BLOCK-----\nVersion: 1\n\n{}", "PRIVATE", random(64)), "private key"),
        (format!("'ghp_{}'", random(36)), "GitHub token ghp_…"),
        (format!("gho_{}", random(36)), "GitHub token gho_…"),
        (format!("ghr_{}", random(36)), "GitHub token ghr_…"),
        (format!("ghs_{}", random(36)), "GitHub token ghs_…"),
        (format!("ghu_{}", random(36)), "GitHub token ghu_…"),
        (format!("github_pat_{}", random(80)), "GitHub token github_pat_…"),
        (format!("glpat-{}", random(20)), "GitLab token glpat-…"),
        (format!("npm_{} ", random(36)), "npm token npm_…"),
        (format!("pypi-AgEIcHlwaS5vcmc{}", random(48)), "PyPI token pypi-AgE…"),
        (format!("xoxb-903817264501-{}", random(24)), "Slack token xoxb-…"),
        (format!("sk_live_{}", random(24)), "Stripe key sk_live_…"),
        (format!("rk_live_{}", random(24)), "Stripe key rk_live_…"),
        (format!("AIza{};", random(35)), "Google API key AIza…"),
        (format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.{}", random(43)), "JSON web token eyJ…"),
        (format!("-H \"Authorization: Bearer {}\"", random(32)), "login in a header"),
        (format!("AUTHORIZATION=Token {}", random(32)), "login in a header"),
        (format!("AWS_SECRET_ACCESS_KEY={}", random(40)), "AWS secret access key"),
        (format!("'authorization: Basic {}=='", random(22)), "login in a header"),
        ("postgres://me:hunter2@db/x".to_owned(), "password in a URL"),
        (format!("https://me:{}@i.example/", random(16)), "password in a URL"),
    ] {
        assert_eq!(found(&text), [expected], "{text}");
    }
}

#[test]
fn values_that_only_resemble_secrets_are_ignored() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "AKIAABCDEFGHIJKLMNOP",
        "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "TODAYINASIAASACKOFRICEFELLOVER",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "npm_config_registry npm_package_json",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <token-that-you-were-given>",
        "Authorization: Bearer QQ==",
        // The example of jwt.io, and the public key of Supabase.
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJVadQssw5c",
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJzdXBhYmFzZSIsInJvbGUiOiJhbm9uIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV",
        "https://me:${PASSWORD}@i.example/",
        "https://me:$PASSWORD@i.example/",
        "https://<user>:<password>@i.example/",
        "https://me:xxxxxx@i.example/ https://me:******@i.example/ https://me:@i.example/",
        "https://${GITHUB_TOKEN}:x-oauth-basic@github.com/a/b",
        "amqp://rabbit:rabbit@queue:5672",
        "postgres://me:hunter2@localhost/x redis://:hunter2@[::1]/ https://me:hunter2@www.example.com/",
        "https://i.example:8080/@scope/a",
        "docker://alpine:3.20.10@sha256:00",
        "git+ssh://git@i.example/a",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn values_in_base_images_are_ignored() {
    for text in [
        "GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305",
        "PYTHON_SHA256=c909157bb25ec114e5869124cc2a9c4a4d4c1e957ca4ff553f1edc692101154e",
        "RUN /bin/sh -c echo \"9ce3c3dbd2a1ea5a4a4fd06d6a3d4d8e8ab0d3e3 *node.tar.xz\" | sha256sum -c -",
        "curl -fsSLO --compressed https://nodejs.org/dist/v22.1.0/node-v22.1.0-linux-x64.tar.xz",
        "gpg --batch --keyserver hkps://keys.openpgp.org --recv-keys C4F0DFFF4E8C1A8236409D08E73BC641CC11F4C8",
        "https://b.s3.amazonaws.com/x?X-Amz-Credential=AKIAZ3MHBFVX7KPLQRST%2F20261121%2Feu-west-1",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn only_a_complete_unencrypted_private_key_is_found() {
    let pem = |kind: &str, rest: &str| format!("-----BEGIN {kind}PRIVATE KEY-----\n{rest}\n-----END");
    let openssh = format!("b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0{}", random(64));
    for text in [
        pem("", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC..."),
        pem("", "put your key here"),
        pem("ENCRYPTED ", &random(128)),
        pem("RSA ", &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,A1\n\n{}", random(128))),
        pem("OPENSSH ", &openssh),
    ] {
        assert_eq!(found(&text), [""; 0], "{text}");
    }
    let two = format!("{}{}", pem("EC ", &random(120)), pem("EC ", &random(124)));
    assert_eq!(found(&two), ["private key"; 2]);
}

#[test]
fn the_halves_of_an_aws_key_are_found_together() {
    let both = ["AWS access key AKIA…", "AWS secret access key"];
    assert_eq!(found(&format!("keys: [AKIA{KEY}, {}]", random(40))), both);
    assert_eq!(found(&format!("{}:AKIA{KEY}", random(40))), both);
    for other in [random(41), random(39), "9ce3c3dbd2a1ea5a4a4fd06d6a3d4d8e8ab0d3e3".to_owned()] {
        assert_eq!(found(&format!("AKIA{KEY} {other}")), both[..1], "{other}");
    }
    let far = format!("AKIA{KEY}{}{}", " ".repeat(300), random(40));
    assert_eq!(found(&far), both[..1]);
    let umlauts = format!("{}AKIA{KEY} {}", "ü".repeat(150), random(40));
    assert_eq!(found(&umlauts), both);
}

#[test]
fn a_secret_is_reported_once() {
    let token = format!("ghs_{}", random(40));
    let text = format!("https://x-access-token:{token}@github.com/a/b {token}");
    assert_eq!(found(&text), ["GitHub token ghs_…"]);
    assert_eq!(found(&format!("Authorization: token {token}")), ["GitHub token ghs_…"]);
    let many: String = (36..80).map(|length| format!("ghp_{}\n", random(length))).collect();
    assert_eq!(found(&many).len(), super::MOST);
}

#[test]
fn each_place_has_an_offset_and_a_certainty() {
    let text = format!("a\nkey: AKIA{KEY}\nnpm_{}", random(36));
    let places = places(&text);
    let found: Vec<_> = places.iter().map(|place| (place.at, place.is_sure)).collect();
    assert_eq!(found, [(7, false), (28, true)]);
}
