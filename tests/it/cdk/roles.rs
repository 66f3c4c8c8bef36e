//! The roles that push.

use super::{CdkUser, REGION, REPOSITORY, assembly, image, lines};
use crate::support::aws_network::{AwsNetwork, REGISTRY};
use crate::support::http::{Request, Response, Server};
use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::moto::{ACCOUNT, allow};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The calls that a push to ECR needs.
const PUSHER: [&str; 2] = ["ecr:GetAuthorizationToken", "ecr:DescribeRepositories"];

/// The role in `destination`, as moto names it.
const ROLE: &str = "cdk-hnb659fds-image-publishing-role-123456789012-eu-west-1";

/// A network that checks the rights of each call, with the role and an assembly of one image.
fn network(user: &Lbuild, image: (String, Value)) {
    let dir = user.path("cdk.out");
    super::write(&dir, "app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    assembly(&dir, "Stack", [image], &[]);
}

fn source() -> Value {
    json!({ "directory": "app", "platform": "linux/arm64" })
}

fn publish(network: &AwsNetwork, user: &Lbuild) -> RunOutput {
    network.run(user, &["cdk", "publish", "--no-check"])
}

#[test]
fn the_role_pushes_for_a_caller_who_may_only_assume_it() {
    let aws = AwsNetwork::start();
    aws.moto.role_with(ROLE, &allow(&PUSHER));
    let user = aws.user(&aws.moto.user("deployer", &allow(&["sts:AssumeRole"])));
    aws.moto.check_requests();
    network(&user, image("app", &source()));
    let done = publish(&aws, &user).succeeded();
    let found = lines(&done.stdout);
    assert!(found[0].0.starts_with(&format!("{REGISTRY}/{REPOSITORY}@sha256:")), "{found:?}");
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    let actions = |seen: &[crate::support::aws_network::NginxRequest]| {
        let calls = seen.iter().filter(|seen| seen.is_for_aws()).map(|seen| seen.action.clone());
        calls.collect::<Vec<_>>()
    };
    assert!(actions(&aws.log()).contains(&"AssumeRole".to_owned()));
    // once more: one call for each of role, account and token
    let before = aws.log().len();
    assert_eq!(publish(&aws, &user).succeeded().stdout, done.stdout);
    let mut again = actions(&aws.log_since(before));
    again.sort();
    assert_eq!(again, ["AssumeRole", "GetAuthorizationToken", "GetCallerIdentity"]);
}

#[test]
fn a_caller_who_may_not_assume_the_role_pushes_in_its_account() {
    let aws = AwsNetwork::start();
    aws.moto.role_with(ROLE, &allow(&PUSHER));
    let user = aws.user(&aws.moto.user("developer", &allow(&PUSHER)));
    aws.moto.check_requests();
    network(&user, image("app", &source()));
    let done = publish(&aws, &user).succeeded();
    assert_eq!(lines(&done.stdout).len(), 1);
    let warning = format!(
        "cannot assume the role arn:aws:iam::{ACCOUNT}:role/{ROLE}: sts:AssumeRole answered AccessDenied"
    );
    assert!(done.stderr.contains(&warning), "{}", done.stderr);
    assert!(done.stderr.contains("continuing with the current credentials"), "{}", done.stderr);

    // the role of another account
    let (id, mut entry) = image("other", &source());
    entry["destinations"]["current_account-current_region"]["assumeRoleArn"] =
        json!("arn:aws:iam::999999999999:role/x");
    network(&user, (id, entry));
    let error = publish(&aws, &user).failed(6);
    assert!(error.contains("cannot assume the role arn:aws:iam::999999999999:role/x"), "{error}");
    assert!(error.contains("hint: allow sts:AssumeRole on "), "{error}");
}

#[test]
fn the_role_is_assumed_as_the_assembly_says() {
    let calls: Arc<Mutex<Vec<Request>>> = Arc::default();
    let log = calls.clone();
    let sts = Server::start("127.0.0.1", move |request| {
        log.lock().unwrap().push(request.clone());
        let body = match request.form("Action").first().map(String::as_str) {
            Some("AssumeRole") => {
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2090-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                    .to_owned()
            }
            Some(_) => format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Account>{ACCOUNT}</Account><Arn>arn:aws:iam::{ACCOUNT}:user/u</Arn><UserId>u</UserId>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
            None => json!({ "authorizationData": [{ "authorizationToken": "QVdTOng=", "expiresAt": 2000000000 }] }).to_string(),
        };
        Response { status: 200, body: body.into_bytes() }
    });
    let mut cdk = CdkUser::start();
    cdk.user.set("AWS_ENDPOINT_URL", &format!("http://{}", sts.address));
    let (id, mut entry) = image("app", &source());
    let destination = &mut entry["destinations"]["current_account-current_region"];
    destination["assumeRoleExternalId"] = json!("my-${AWS::Region}");
    destination["assumeRoleAdditionalOptions"] =
        json!({ "Tags": [{ "Key": "stage", "Value": "prod" }], "DurationSeconds": 900 });
    network(&cdk.user, (id, entry.clone()));
    cdk.publish(&["--no-check"]).succeeded();
    let calls = calls.lock().unwrap();
    let assumed: Vec<&Request> = calls.iter().filter(|call| call.form("Action") == ["AssumeRole"]).collect();
    assert_eq!(assumed.len(), 1);
    for (name, value) in [
        ("RoleArn", &*format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}")),
        ("RoleSessionName", "lbuild"),
        ("ExternalId", &format!("my-{REGION}")),
        ("Tags.member.1.Key", "stage"),
        ("Tags.member.1.Value", "prod"),
        ("TransitiveTagKeys.member.1", "stage"),
        ("DurationSeconds", "900"),
    ] {
        assert_eq!(assumed[0].form(name), [value], "{name}");
    }
    let token =
        calls.iter().find(|call| call.header("x-amz-target").is_some()).expect("a token is asked for");
    assert!(token.header("authorization").unwrap().contains("Credential=ASIAROLE/"));
    drop(calls);

    entry["destinations"]["current_account-current_region"]["assumeRoleAdditionalOptions"] =
        json!({ "SerialNumber": "mfa" });
    network(&cdk.user, ("app".into(), entry));
    let error = cdk.publish(&[]).failed(2);
    assert!(
        error.contains(
            "the asset app/AssetImage (app): assumeRoleAdditionalOptions.SerialNumber: lbuild cannot"
        ),
        "{error}"
    );
}
