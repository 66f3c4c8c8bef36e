"""Validates a CI recipe or an IAM policy: its syntax, its references, and the shell scripts in it.

usage: check_recipe.py github|action|gitlab|codebuild|jenkins|policy POD_SCHEMA BUILDSPEC_SCHEMA FILE…
Prints a JSON array with an array of faults for each file.
"""

import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True


def schema(file, *chosen):
    """The errors of check-jsonschema for a YAML or JSON file."""
    import check_jsonschema

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = check_jsonschema.main([*chosen, file], standalone_mode=False)
    return [said.getvalue().strip()] if code else []


def yaml(text):
    import ruamel.yaml

    return ruamel.yaml.YAML(typ="safe", pure=True).load(text)


def shell(scripts):
    """The scripts that bash cannot parse; none is run."""
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            yield f"{done.stderr.strip()} in the script:\n{script}"


def github(file, text):
    faults = schema(file, "--builtin-schema", "vendor.github-workflows")
    yield from faults
    if faults:
        return
    jobs = yaml(text)["jobs"]
    for name, job in jobs.items():
        yield from shell(step["run"] for step in job["steps"] if "run" in step)
        needs = job.get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        yield from (f"{name} needs the job {other}, which does not exist" for other in needs if other not in jobs)
        steps = {step["id"] for step in job["steps"] if "id" in step}
        written = "\n".join(step.get("run", "") for step in job["steps"])
        expressions = re.findall(r"\$\{\{(.*?)\}\}", json.dumps(job))
        expressions = " ".join(expressions + [step.get("if", "") for step in job["steps"]])
        for step in re.findall(r"\bsteps\.([\w-]+)\.", expressions):
            if step not in steps:
                yield f"{name} refers to the step {step}, which does not exist"
        for other, output in re.findall(r"\bneeds\.([\w-]+)\.outputs\.([\w-]+)", expressions):
            if other not in needs or output not in jobs[other].get("outputs", {}):
                yield f"{name} refers to {other}'s output {output}, which does not exist"
        for step, output in re.findall(r"\bsteps\.([\w-]+)\.outputs\.([\w-]+)", json.dumps(job.get("outputs", {}))):
            if f'"{output}=' not in written:
                yield f"no script of {name} writes the output {output}"


def action(file, text):
    """A composite action: GitHub's schema, and the inputs and steps of its expressions."""
    faults = schema(file, "--builtin-schema", "vendor.github-actions")
    yield from faults
    if faults:
        return
    document = yaml(text)
    steps = document["runs"]["steps"]
    yield from shell(step["run"] for step in steps if "run" in step)
    expressions = re.findall(r"\$\{\{(.*?)\}\}", json.dumps([steps, document.get("outputs", {})]))
    expressions += [step["if"] for step in steps if "if" in step]
    named = {name for text in expressions for name in re.findall(r"\binputs\.([\w-]+)", text)}
    yield from (f"there is no input {name}" for name in sorted(named - document["inputs"].keys()))
    yield from (f"nothing takes the input {name}" for name in sorted(document["inputs"].keys() - named))
    ids = {step["id"] for step in steps if "id" in step}
    used = {name for text in expressions for name in re.findall(r"\bsteps\.([\w-]+)\.outputs", text)}
    yield from (f"there is no step {name}" for name in sorted(used - ids))
    # An expression in a script would let an input be read as a command.
    yield from (f"an expression in the script {step['run']}" for step in steps if "${{" in step.get("run", ""))


def merged(below, above):
    """GitLab's `extends`: maps are merged, other values are replaced."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def gitlab(file, text):
    chosen = ("--builtin-schema", "vendor.gitlab-ci")
    faults = schema(file, *chosen)
    yield from faults
    if faults:
        return
    document = yaml(text)
    jobs = {name: job for name, job in document.items() if "script" in job}
    for name, job in jobs.items():
        base = job.pop("extends", None)
        if base is not None and base not in document:
            yield f"{name} extends {base}, which does not exist"
        job = document[name] = merged(document.get(base), job)
        for key in ("before_script", "script", "after_script"):
            yield from shell(["\n".join(job.get(key, []))])
        yield from (f"{name} needs {other}, which does not exist" for other in job.get("needs", []) if other not in jobs)
        if job.get("stage", "test") not in document["stages"]:
            yield f"{name} is in a stage that does not exist"
    # the schema does not validate hidden jobs, so validate the jobs that extend them again
    with tempfile.NamedTemporaryFile("w", suffix=".json") as resolved:
        json.dump({name: value for name, value in document.items() if name[0] != "."}, resolved)
        resolved.flush()
        yield from schema(resolved.name, *chosen)


def codebuild(file, text, buildspec_schema):
    faults = schema(file, "--schemafile", buildspec_schema)
    yield from faults
    if faults:
        return
    document = yaml(text)
    commands = [command for phase in document["phases"].values() for command in phase.get("commands", [])]
    yield from shell(commands)
    for name in document.get("env", {}).get("exported-variables", []):
        if not any(command.startswith(f"export {name}=") for command in commands):
            yield f"no command exports {name}"


# the allowed sections, then sets of which one section each is required, according to Jenkins's "Pipeline Syntax"
SECTIONS = {
    "pipeline": (
        {"agent", "environment", "options", "parameters", "triggers", "tools", "libraries", "stages", "post"},
        [{"agent"}, {"stages"}],
    ),
    "stages": ({"stage"}, [{"stage"}]),
    "stage": (
        {"agent", "environment", "input", "matrix", "options", "parallel", "post", "stages", "steps", "tools", "when"},
        [{"steps", "stages", "parallel", "matrix"}],
    ),
}


def children(node):
    yield node
    for child in node.children:
        yield from children(child)


def called(node):
    """The name of the function that a node calls."""
    name = node.child_by_field_name("name") if node.type in ("method_invocation", "juxt_function_call") else None
    return name.text.decode() if name else None


def quoted(call):
    """The text of a call's only argument, a string."""
    arguments = call.child_by_field_name("arguments") or call.child_by_field_name("args")
    (string,) = arguments.named_children
    return re.fullmatch(r"('''|\"\"\"|'|\")(.*)\1", string.text.decode(), re.DOTALL)[2]


def sections(node):
    """The calls directly in a call's closure."""
    for statement in node.child_by_field_name("body").named_children:
        call = statement.named_children[0] if statement.type == "expression_statement" else statement
        if called(call):
            yield call


def jenkins(file, text, pod_schema):
    import tree_sitter
    import tree_sitter_groovy

    root = tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language())).parse(text.encode()).root_node
    faults = [node for node in children(root) if node.is_error or node.is_missing]
    yield from (f"line {node.start_point.row + 1}: not Groovy" for node in faults)
    if faults:
        return
    calls = [node for node in children(root) if called(node)]
    if [called(call) for call in calls[:1]] != ["pipeline"]:
        yield "not a Declarative Pipeline"
    containers = set()
    for call in calls:
        if called(call) in SECTIONS:
            allowed, wanted = SECTIONS[called(call)]
            here = {called(section) for section in sections(call)}
            yield from (f"{called(call)} has no {' or '.join(sorted(some))}" for some in wanted if not some & here)
            yield from (f"{called(call)} has no section {name}" for name in sorted(here - allowed))
        if called(call) == "yaml":
            yield from pod(quoted(call), pod_schema)
            containers = {container["name"] for container in yaml(quoted(call))["spec"]["containers"]}
    for call in calls:
        if called(call) in ("container", "defaultContainer") and quoted(call) not in containers:
            yield f"the pod has no container {quoted(call)}"
    yield from shell(quoted(call) for call in calls if called(call) == "sh")


def pod(text, pod_schema):
    """The faults of a pod, by Kubernetes's schema and its "restricted" security standard."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        faults = schema(file.name, "--schemafile", pod_schema)
    yield from faults
    if faults:
        return
    spec = yaml(text)["spec"]
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
        yield "the pod runs as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    if {"hostNetwork", "hostPID", "hostIPC"} & spec.keys() or any("hostPath" in v for v in spec.get("volumes", [])):
        yield "the pod reaches the node"
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            yield f"the container {container['name']} may gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"the container {container['name']} keeps capabilities"
        if {"runAsUser", "runAsNonRoot", "seccompProfile"} & own.keys():
            yield f"the container {container['name']} overrides the pod's security context"


def policy(file, text):
    """The findings of parliament's linter: grammar, and whether each action exists and fits its resources."""
    import warnings

    warnings.simplefilter("ignore")  # deprecation warnings of setuptools
    import parliament

    for finding in parliament.analyze_policy_string(text).findings:
        yield f"{finding.issue}: {finding.detail}"


def main(kind, pod_schema, buildspec_schema, *files):
    more = {"jenkins": [pod_schema], "codebuild": [buildspec_schema]}.get(kind, [])
    results = []
    for file in files:
        with open(file) as opened:
            results.append(list(globals()[kind](file, opened.read(), *more)))
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
