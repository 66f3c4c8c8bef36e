//! An error names the missing permission, before anything is changed.

use crate::support::aws_network::{AwsNetwork, REGION, REGISTRY};
use crate::support::lbuild::{RunOutput, hello, tiny_base};
use crate::support::moto::{ACCOUNT, allow};
use serde_json::json;
use std::collections::BTreeSet;

/// Every permission of ECR's control plane that some command needs. sts:GetCallerIdentity requires none.
const RIGHTS: [&str; 6] = [
    "ecr:GetAuthorizationToken",
    "ecr:DescribeRepositories",
    "ecr:CreateRepository",
    "ecr:GetRepositoryPolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:PutLifecyclePolicy",
];

/// A command that is run by a user who lacks one permission.
struct Case {
    lacks: &'static str,
    command: &'static str,
    /// Whether the repository exists.
    exists: bool,
    works: bool,
}

/// `PUSH`, `REPO` and `NAME` are placeholders for the arguments that differ by case.
const CASES: [Case; 14] = [
    case("ecr:GetAuthorizationToken", "PUSH --to REPO:v1", true),
    case("ecr:GetAuthorizationToken", "login --print", true),
    case("ecr:CreateRepository", "PUSH --to REPO:v1 --create-repo", false),
    case("ecr:CreateRepository", "repo create NAME", false),
    case("ecr:GetRepositoryPolicy", "PUSH --to REPO:v1 --create-repo --allow-lambda", false),
    case("ecr:SetRepositoryPolicy", "PUSH --to REPO:v1 --create-repo --allow-lambda", false),
    case("ecr:GetRepositoryPolicy", "PUSH --to REPO:v1 --allow-lambda", true),
    case("ecr:SetRepositoryPolicy", "PUSH --to REPO:v1 --allow-lambda", true),
    case("ecr:GetRepositoryPolicy", "repo policy NAME --allow-lambda", true),
    case("ecr:SetRepositoryPolicy", "repo policy NAME --allow-lambda", true),
    case("ecr:PutLifecyclePolicy", "repo create NAME --lifecycle lifecycle.json", false),
    // creation works without ecr:DescribeRepositories; an existing repository does not need ecr:CreateRepository
    works("ecr:DescribeRepositories", "PUSH --to REPO:v1 --create-repo", false),
    works("ecr:DescribeRepositories", "PUSH --to REPO:v1 --create-repo", true),
    works("ecr:CreateRepository", "PUSH --to REPO:v1 --create-repo", true),
];

const fn case(lacks: &'static str, command: &'static str, exists: bool) -> Case {
    Case { lacks, command, exists, works: false }
}

const fn works(lacks: &'static str, command: &'static str, exists: bool) -> Case {
    Case { lacks, command, exists, works: true }
}

impl Case {
    fn run(&self, network: &AwsNetwork, name: &str) -> RunOutput {
        let rest: Vec<&str> = RIGHTS.into_iter().filter(|right| *right != self.lacks).collect();
        let user = network.user(&network.moto.user(name, &allow(&rest)));
        if self.exists {
            network.moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": name }));
        }
        let rules = json!({ "rules": [{
            "rulePriority": 1, "action": { "type": "expire" },
            "selection": { "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3 },
        }] });
        std::fs::write(user.path("lifecycle.json"), rules.to_string()).expect("ours");
        let (hello, base) = (hello().display().to_string(), tiny_base());
        let push = ["push", &hello, "--arch", "amd64", "--base", &base, "--cmd", "app.handler"];
        let mut all: Vec<String> = Vec::new();
        for word in self.command.split(' ') {
            match word {
                "PUSH" => all.extend(push.map(str::to_owned)),
                word => all.push(word.replace("REPO", &format!("{REGISTRY}/{name}")).replace("NAME", name)),
            }
        }
        network.run(&user, &all)
    }
}

#[test]
fn an_error_names_the_missing_permission() {
    let network = AwsNetwork::start();
    network.moto.check_requests();
    let mut used = BTreeSet::new();
    for (number, case) in CASES.iter().enumerate() {
        let (name, before) = (format!("case-{number}"), network.log().len());
        let done = case.run(&network, &name);
        let seen = network.log_since(before);
        let calls = seen.iter().filter(|seen| seen.is_for_aws() && seen.action != "GetCallerIdentity");
        used.extend(calls.map(|seen| format!("ecr:{}", seen.action)));
        let put = seen.iter().any(|seen| seen.host == REGISTRY && seen.method == "PUT");
        if case.works {
            let done = done.succeeded();
            assert!(done.stdout.starts_with(&format!("{REGISTRY}/{name}@sha256:")), "{}", done.stdout);
            continue;
        }
        let error = done.failed(6);
        let resource = match case.lacks {
            "ecr:GetAuthorizationToken" => "*".to_owned(),
            _ => format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"),
        };
        let hint = format!("hint: allow {} on {resource}\n", case.lacks);
        let whom = format!("{ACCOUNT}:user/{name} is not authorized");
        assert!(error.contains(&hint) && error.contains(&whom), "{number}: {}: {error}", case.command);
        let others = RIGHTS.iter().filter(|right| **right != case.lacks);
        assert!(others.clone().all(|right| !error.contains(right)), "{number}: {}: {error}", case.command);
        assert!(!put, "{number}: {}: sent before it was refused: {seen:?}", case.command);
    }
    assert_eq!(used, RIGHTS.map(str::to_owned).into(), "lbuild makes exactly these calls");
}
